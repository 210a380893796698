package imagev2

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"kuva/disk"
	"kuva/disk/formats"
)

// layoutOf makes a file of a format of a raw disk.
func layoutOf(t *testing.T, content []byte, format string) []byte {
	t.Helper()
	d, err := formats.ByName("raw").Open(t.Context(), bytes.NewReader(content), int64(len(content)), disk.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	v, err := formats.ByName(format).Layout(t.Context(), d, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, v.Size())
	if err := disk.ReadFull(v, b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestDownloadInFormats: an image is had as another format, whole and in
// parts, and as what was sent.
func TestDownloadInFormats(t *testing.T) {
	w := start(t, options{})
	data := noise(1<<20, 1)
	sent := layoutOf(t, data, "qcow2")
	path := "/v2/images/" + w.filled(w.alice, sent, map[string]any{"disk_format": "qcow2"}) + "/file"
	plain := w.want(200, w.alice, "GET", path, nil)
	same := w.want(200, w.alice, "GET", path+"?format=qcow2", nil)
	if !bytes.Equal(plain.body, sent) || !bytes.Equal(same.body, sent) || plain.header.Get("ETag") != same.header.Get("ETag") || same.header.Get("Content-Md5") == "" {
		t.Errorf("what was sent does not come back: %v", same.header)
	}
	raw := w.want(200, w.alice, "GET", path+"?format=raw", nil)
	if !bytes.Equal(raw.body, data) || raw.header.Get("Content-Length") != "1048576" || raw.header.Get("Accept-Ranges") != "bytes" || raw.header.Get("Content-Md5") != "" {
		t.Errorf("raw: %d bytes, %v", len(raw.body), raw.header)
	}
	if !strings.HasSuffix(raw.header.Get("Content-Disposition"), `.raw"`) || raw.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("raw: %v", raw.header)
	}
	tag := raw.header.Get("ETag")
	if tag == "" || strings.HasPrefix(tag, "W/") || tag == plain.header.Get("ETag") {
		t.Errorf("ETag %s", tag)
	}
	part := w.want(206, w.alice, "GET", path+"?format=raw", nil, "Range", "bytes=1000-1999", "If-Range", tag)
	if !bytes.Equal(part.body, data[1000:2000]) || part.header.Get("Content-Range") != "bytes 1000-1999/1048576" {
		t.Errorf("part: %v", part.header)
	}
	w.want(304, w.alice, "GET", path+"?format=raw", nil, "If-None-Match", tag)
	w.want(416, w.alice, "GET", path+"?format=raw", nil, "Range", "bytes=1048576-")
	w.want(400, w.alice, "GET", path+"?format=raw", nil, "Range", "bytes=0-1,3-4")
	if a := w.want(200, w.alice, "HEAD", path+"?format=vdi", nil); a.header.Get("Content-Length") == "" || a.header.Get("Content-Type") != "application/x-vdi-disk" {
		t.Errorf("vdi: %v", a.header)
	}
	packed := w.want(200, w.alice, "GET", path+"?format=qcow2&compress=true", nil)
	if binary.BigEndian.Uint32(packed.body) != 0x514649fb || packed.header.Get("Accept-Ranges") != "none" || !strings.HasPrefix(packed.header.Get("ETag"), "W/") {
		t.Errorf("compressed: %v", packed.header)
	}
	for _, query := range []string{"?format=floppy", "?format=", "?format=raw&format=raw", "?format=vdi&compress=true", "?format=raw&nothing=1", "?format=raw&compress=perhaps"} {
		if a := w.want(400, w.alice, "GET", path+query, nil, "Accept", "application/json"); query == "?format=floppy" && !bytes.Contains(a.body, []byte("qcow2, vmdk")) {
			t.Errorf("the list is missing: %s", a.body)
		}
	}
	w.want(404, w.bob, "GET", path+"?format=raw", nil)
	w.want(200, w.alice, "GET", path+"?something=else", nil) // means nothing to the reference either
	other := "/v2/images/" + w.filled(w.alice, data, map[string]any{"disk_format": "ami", "container_format": "ami"}) + "/file"
	w.want(409, w.alice, "GET", other+"?format=raw", nil)
	w.want(204, w.alice, "GET", w.queued(w.alice)+"/file?format=vdi", nil)
}

// TestContentIsNotWhatItClaims: 415 with the reason, and the image can be
// filled again (S-107).
func TestContentIsNotWhatItClaims(t *testing.T) {
	w := start(t, options{})
	data := noise(1<<20, 1)
	path := w.queued(w.alice)
	a := w.want(415, w.alice, "PUT", path+"/file", layoutOf(t, data, "qcow2"), "Content-Type", octets, "Accept", "application/json")
	if !bytes.Contains(a.body, []byte("qcow2")) {
		t.Errorf("no reason: %s", a.body)
	}
	o := w.want(200, w.alice, "GET", path, nil).object(t)
	if o["status"] != "queued" || !strings.Contains(o["kuva_last_failure"].(string), "qcow2") || o["size"] != nil {
		t.Errorf("%v", o)
	}
	w.want(204, w.alice, "PUT", path+"/file", data, "Content-Type", octets)
	if o := w.want(200, w.alice, "GET", path, nil).object(t); o["status"] != "active" || o["virtual_size"] != float64(len(data)) {
		t.Errorf("%v", o)
	}
	backing := layoutOf(t, data, "qcow2")
	binary.BigEndian.PutUint64(backing[8:], 512)
	binary.BigEndian.PutUint32(backing[16:], 11)
	copy(backing[512:], "/etc/passwd")
	id := w.create(w.alice, map[string]any{"disk_format": "qcow2", "container_format": "bare"})
	w.want(415, w.alice, "PUT", "/v2/images/"+id+"/file", backing, "Content-Type", octets)
}
