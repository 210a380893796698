package tus

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/images"
)

// exact asks for the bytes as they were sent.
var exact = map[string]string{"name": "disk", "content": "exact", "disk_format": "raw"}

func TestWhole(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		data := random(5<<20+123, 1)
		path := w.begin(len(data), exact)
		if got := w.offset(path); got != 0 {
			t.Fatalf("begins at %d", got)
		}
		// Odd pieces, of which some are several parts.
		for off, n := 0, 0; off < len(data); off += n {
			n = min(len(data)-off, []int{1, 70_001, 3 << 20, 1 << 20}[off%4])
			a := w.patch(path, off, data[off:off+n])
			if a.status != http.StatusNoContent || a.header.Get(headerOffset) != strconv.Itoa(off+n) {
				t.Fatalf("piece at %d: %d %v %s", off, a.status, a.header, a.body)
			}
			if off+n < len(data) && (w.offset(path) != off+n || a.header.Get(headerExpires) == "") {
				t.Fatalf("after the piece at %d: %v", off, a.header)
			}
		}
		img := w.done(path)
		sum := md5.Sum(data)
		if img.Status != kuva.StatusActive || img.Name != "disk" || img.DiskFormat != "raw" || img.MD5 != toHex(sum[:]) || !bytes.Equal(w.content(img.ID), data) {
			t.Fatalf("%+v", img)
		}
		// The same end again, as after a lost answer.
		if a := w.patch(path, len(data), []byte{}); a.status != http.StatusNoContent {
			t.Errorf("the end again: %d %s", a.status, a.body)
		}
		w.want(http.StatusNoContent, "DELETE", path, nil)
		w.want(http.StatusNotFound, "HEAD", path, nil)
		if _, err := w.images.Show(t.Context(), people["alice"], img.ID); err != nil {
			t.Errorf("forgetting an upload took its image: %v", err)
		}
	}, change{})
}

func toHex(b []byte) string {
	const digits = "0123456789abcdef"
	out := make([]byte, 0, 2*len(b))
	for _, x := range b {
		out = append(out, digits[x>>4], digits[x&15])
	}
	return string(out)
}

// TestRules: what the protocol says of single calls.
func TestRules(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		path := w.begin(10, exact)
		w.patch(path, 0, []byte("01234"))
		later := w.begin(-1, exact, headerDefer, "1")
		partial := w.begin(3, nil, headerConcat, "partial")
		sum := func(algo string, b []byte) string { return algo + " " + base64.StdEncoding.EncodeToString(b) }
		s1, s2, s5, m := sha1.Sum([]byte("56")), sha256.Sum256([]byte("7")), sha512.Sum512([]byte("8")), md5.Sum([]byte("x"))
		for _, c := range []struct {
			name, method, path string
			status             int
			body               string // "-" is none
			headers            headers
		}{
			{"no version", "HEAD", path, 412, "-", headers{"Tus-Resumable", "-"}},
			{"another version", "PATCH", path, 412, "5", headers{"Tus-Resumable", "0.2.2", headerOffset, "5"}},
			{"no token", "HEAD", path, 401, "-", headers{"X-Auth-Token", "-"}},
			{"another project", "HEAD", path, 404, "-", headers{"X-Auth-Token", "bob"}},
			{"another project's bytes", "PATCH", path, 404, "5", headers{"X-Auth-Token", "bob", headerOffset, "5"}},
			{"another project's end", "DELETE", path, 404, "-", headers{"X-Auth-Token", "bob"}},
			{"a reader looks", "HEAD", path, 200, "-", headers{"X-Auth-Token", "rita"}},
			{"a reader's bytes", "PATCH", path, 403, "5", headers{"X-Auth-Token", "rita", headerOffset, "5"}},
			{"a reader's end", "DELETE", path, 403, "-", headers{"X-Auth-Token", "rita"}},
			{"a reader begins", "POST", "/files", 403, "-", headers{"X-Auth-Token", "rita", headerLength, "1"}},
			{"a reader begins a part", "POST", "/files", 403, "-", headers{"X-Auth-Token", "rita", headerLength, "1", headerConcat, "partial"}},
			{"an id of no upload", "HEAD", "/files/00000000-0000-4000-8000-000000000000", 404, "-", nil},
			{"an id that is none", "HEAD", "/files/..%2f..%2fetc%2fpasswd", 404, "-", nil},
			{"a long id", "HEAD", "/files/" + strings.Repeat("a", 5000), 404, "-", nil},
			{"GET", "GET", path, 405, "-", nil},
			{"PUT", "PUT", path, 405, "x", nil},

			{"no length", "POST", "/files", 400, "-", nil},
			{"both lengths", "POST", "/files", 400, "-", headers{headerLength, "1", headerDefer, "1"}},
			{"a length below 0", "POST", "/files", 400, "-", headers{headerLength, "-1"}},
			{"a length with a sign", "POST", "/files", 400, "-", headers{headerLength, "+1"}},
			{"a length that is none", "POST", "/files", 400, "-", headers{headerLength, "ten"}},
			{"a length beyond all", "POST", "/files", 400, "-", headers{headerLength, "99999999999999999999"}},
			{"deferred twice", "POST", "/files", 400, "-", headers{headerDefer, "2"}},
			{"too large", "POST", "/files", 413, "-", headers{headerLength, "5000000000000"}},
			{"a part too large", "POST", "/files", 413, "-", headers{headerLength, "5000000000000", headerConcat, "partial"}},
			{"metadata in clear", "POST", "/files", 400, "-", headers{headerLength, "1", headerMetadata, "name %%%"}},
			{"metadata twice", "POST", "/files", 400, "-", headers{headerLength, "1", headerMetadata, "name YQ==,name Yg=="}},
			{"metadata without key", "POST", "/files", 400, "-", headers{headerLength, "1", headerMetadata, "name YQ==,,"}},
			{"text that is none", "POST", "/files", 400, "-", headers{headerLength, "1", headerMetadata, metadata(map[string]string{"name": "\xff\xfe"})}},
			{"NUL", "POST", "/files", 400, "-", headers{headerLength, "1", headerMetadata, metadata(map[string]string{"property_x": "a\x00b"})}},
			{"a property of the service's", "POST", "/files", 403, "-", headers{headerLength, "1", headerMetadata, metadata(map[string]string{"property_os_glance_x": "a"})}},
			{"a reserved property", "POST", "/files", 403, "-", headers{headerLength, "1", headerMetadata, metadata(map[string]string{"property_status": "active"})}},
			{"public", "POST", "/files", 403, "-", headers{headerLength, "1", headerMetadata, metadata(map[string]string{"visibility": "public"})}},
			{"a format that is none", "POST", "/files", 400, "-", headers{headerLength, "1", headerMetadata, metadata(map[string]string{"disk_format": "exe"})}},
			{"a digest that is none", "POST", "/files", 400, "-", headers{headerLength, "1", headerMetadata, metadata(map[string]string{"sha256": "abc"})}},
			{"an image that is none", "POST", "/files", 404, "-", headers{headerLength, "1", headerMetadata, metadata(map[string]string{"image": "nope"})}},
			{"an image and a name", "POST", "/files", 400, "-", headers{headerLength, "1", headerMetadata, metadata(map[string]string{"image": "nope", "name": "x"})}},
			{"a body of another type", "POST", "/files", 415, "x", headers{headerLength, "1", "Content-Type", "text/plain"}},
			{"a body that is longer", "POST", "/files", 413, "xyz", headers{headerLength, "1"}},

			{"no type", "PATCH", path, 415, "5", headers{headerOffset, "5", "Content-Type", "-"}},
			{"another type", "PATCH", path, 415, "5", headers{headerOffset, "5", "Content-Type", "application/octet-stream"}},
			{"no offset", "PATCH", path, 400, "5", nil},
			{"an offset below 0", "PATCH", path, 400, "5", headers{headerOffset, "-5"}},
			{"an offset behind", "PATCH", path, 409, "5", headers{headerOffset, "6"}},
			{"an offset before", "PATCH", path, 409, "5", headers{headerOffset, "4"}},
			{"more than announced", "PATCH", path, 413, "567890", headers{headerOffset, "5"}},
			{"another length", "PATCH", path, 400, "5", headers{headerOffset, "5", headerLength, "11"}},
			{"an unknown checksum", "PATCH", path, 400, "56", headers{headerOffset, "5", headerChecksum, "crc32 AAAA"}},
			{"half a checksum", "PATCH", path, 400, "56", headers{headerOffset, "5", headerChecksum, "sha1 AAAA"}},
			{"a wrong checksum", "PATCH", path, 460, "65", headers{headerOffset, "5", headerChecksum, sum("sha1", s1[:])}},
			{"a wrong checksum of the end", "PATCH", path, 460, "56789", headers{headerOffset, "5", headerChecksum, sum("md5", m[:])}},
			{"sha1", "PATCH", path, 204, "56", headers{headerOffset, "5", headerChecksum, sum("sha1", s1[:])}},
			{"sha256", "PATCH", path, 204, "7", headers{headerOffset, "7", headerChecksum, sum("sha256", s2[:])}},
			{"sha512, by POST", "POST", path, 204, "8", headers{headerOffset, "8", headerChecksum, sum("sha512", s5[:]), "X-HTTP-Method-Override", "PATCH"}},
			{"another method in the header", "POST", path, 400, "8", headers{headerOffset, "9", "X-HTTP-Method-Override", "TRACE"}},
			{"nothing", "PATCH", path, 204, "", headers{headerOffset, "9"}},

			{"shorter than what came", "PATCH", later, 204, "abc", headers{headerOffset, "0"}},
			{"shorter than what came", "PATCH", later, 400, "", headers{headerOffset, "3", headerLength, "2"}},
			{"length and too much", "PATCH", later, 413, "def", headers{headerOffset, "3", headerLength, "5"}},
			{"length", "PATCH", later, 204, "d", headers{headerOffset, "3", headerLength, "5"}},
			{"length once more", "PATCH", later, 204, "", headers{headerOffset, "4", headerLength, "5"}},
			{"length once more, another", "PATCH", later, 400, "", headers{headerOffset, "4", headerLength, "6"}},

			{"final of nothing", "POST", "/files", 400, "-", headers{headerConcat, "final;"}},
			{"final of what is no part", "POST", "/files", 400, "-", headers{headerConcat, "final;" + path}},
			{"final of what is not complete", "POST", "/files", 409, "-", headers{headerConcat, "final;" + partial}},
			{"final with a length", "POST", "/files", 400, "-", headers{headerConcat, "final;" + partial, headerLength, "3"}},
			{"final of others'", "POST", "/files", 404, "-", headers{headerConcat, "final;" + partial, "X-Auth-Token", "bob"}},
			{"final of others', by an administrator", "POST", "/files", 404, "-", headers{headerConcat, "final;" + partial, "X-Auth-Token", "root"}},
			{"final of another path", "POST", "/files", 400, "-", headers{headerConcat, "final;/files/../" + idOf(partial)}},
			{"final of another place", "POST", "/files", 400, "-", headers{headerConcat, "final;/etc/passwd"}},
			{"final twice the same", "POST", "/files", 400, "-", headers{headerConcat, "final;" + partial + " " + partial}},
			{"neither partial nor final", "POST", "/files", 400, "-", headers{headerConcat, "whole", headerLength, "3"}},
		} {
			body := []byte(c.body)
			if c.body == "-" {
				body = nil
			}
			a := w.call(c.method, c.path, body, c.headers...)
			if a.status != c.status {
				t.Errorf("%s: %d, want %d: %s", c.name, a.status, c.status, a.body)
			}
			if a.status >= 400 && c.method != "HEAD" && (a.code == "" || !strings.Contains(a.body, "request_id")) {
				t.Errorf("%s: an error without kuva's body: %q", c.name, a.body)
			}
			if a.status == 412 && a.header.Get("Tus-Version") != "1.0.0" {
				t.Errorf("%s: %v", c.name, a.header)
			}
		}
		if got := w.offset(path); got != 9 {
			t.Fatalf("stands at %d", got)
		}
		if a := w.patch(path, 9, []byte("9")); a.status != http.StatusNoContent {
			t.Fatalf("last byte: %+v", a)
		}
		if img := w.done(path); string(w.content(img.ID)) != "0123456789" {
			t.Errorf("content %q", w.content(img.ID))
		}
		w.patch(later, 4, []byte("e"))
		if img := w.done(later); string(w.content(img.ID)) != "abcde" {
			t.Errorf("content %q", w.content(img.ID))
		}
	}, change{})
}

// TestOptions: what the door says of itself, to anybody.
func TestOptions(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, path := range []string{"/files", "/files/", "/files/x"} {
			a := w.want(http.StatusNoContent, "OPTIONS", path, nil, "X-Auth-Token", "-", "Tus-Resumable", "-")
			if a.header.Get("Tus-Version") != "1.0.0" || a.header.Get("Tus-Max-Size") != strconv.FormatInt(kuva.DefaultQuota.ImageSize, 10) ||
				!strings.Contains(a.header.Get("Tus-Checksum-Algorithm"), "sha1") || !strings.Contains(a.header.Get("Tus-Extension"), "concatenation") {
				t.Errorf("%s: %v", path, a.header)
			}
		}
		limit := int64(77)
		if err := w.images.SetQuota(t.Context(), people["root"], "a", map[string]*int64{"image_size": &limit}); err != nil {
			t.Fatal(err)
		}
		if a := w.want(http.StatusNoContent, "OPTIONS", "/files", nil); a.header.Get("Tus-Max-Size") != "77" {
			t.Errorf("own size: %v", a.header)
		}
		w.want(http.StatusRequestEntityTooLarge, "POST", "/files", nil, headerLength, "78")
	}, change{})
}

// TestShow: HEAD says what was said, and changes nothing.
func TestShow(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		meta := map[string]string{"filename": "C:\\disks\\my disk.qcow2", "filetype": "", "tags": "a, b", "min_disk": "3", "property_os_distro": "debian", "protected": "true"}
		path := w.begin(-1, meta, headerDefer, "1")
		before := w.row(path)
		a := w.want(http.StatusOK, "HEAD", path, nil)
		got, err := parseMetadata(a.header.Get(headerMetadata))
		if err != nil || len(got) != len(meta) || got["filename"] != meta["filename"] || a.header.Get(headerDefer) != "1" || a.header.Get(headerLength) != "" ||
			a.header.Get("Cache-Control") != "no-store" || a.header.Get(headerExpires) == "" || a.header.Get(headerImage) != before.Image {
			t.Errorf("%v", a.header)
		}
		if after := w.row(path); after.Writer != before.Writer || !after.UpdatedAt.Equal(before.UpdatedAt) || !after.ExpiresAt.Equal(before.ExpiresAt) {
			t.Errorf("HEAD changed %+v to %+v", before, after)
		}
		img, err := w.images.Show(t.Context(), people["alice"], before.Image)
		if err != nil || img.Name != "my disk.qcow2" || img.MinDisk != 3 || len(img.Tags) != 2 || img.Properties["os_distro"] != "debian" ||
			!img.Protected || img.Status != kuva.StatusUploading || img.ContainerFormat != "bare" {
			t.Errorf("%+v, %v", img, err)
		}
		// The end of the upload is the image's, protected or not.
		w.want(http.StatusNoContent, "DELETE", path, nil)
		w.want(http.StatusNotFound, "HEAD", path, nil)
		if _, err := w.images.Show(t.Context(), people["alice"], before.Image); kuva.CodeOf(err) != kuva.CodeNotFound {
			t.Errorf("image of an ended upload: %v", err)
		}
	}, change{})
}

// TestQueuedImage: an upload fills an image that is there, and gives it back
// where it ends before.
func TestQueuedImage(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		img, err := w.images.Create(t.Context(), people["alice"], images.NewImage{Name: "mine", DiskFormat: "raw", ContainerFormat: "bare"})
		if err != nil {
			t.Fatal(err)
		}
		meta := map[string]string{"image": img.ID, "content": "exact"}
		path := w.begin(5, meta)
		w.want(http.StatusConflict, "POST", "/files", nil, headerLength, "5", headerMetadata, metadata(meta))
		w.want(http.StatusNoContent, "DELETE", path, nil)
		got, err := w.images.Show(t.Context(), people["alice"], img.ID)
		if err != nil || got.Status != kuva.StatusQueued || got.LastFailure == nil || got.LastFailure.Code != kuva.CodeCancelled {
			t.Fatalf("%+v, %v", got, err)
		}
		path = w.begin(5, meta)
		w.patch(path, 0, []byte("hello"))
		if got = w.done(path); got.ID != img.ID || string(w.content(img.ID)) != "hello" || got.Name != "mine" {
			t.Errorf("%+v", got)
		}
	}, change{})
}

// TestCreateWithUpload: the first bytes may come with POST, all of them too.
func TestCreateWithUpload(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		m := metadata(exact)
		a := w.want(http.StatusCreated, "POST", "/files/", []byte("hello"), headerLength, "5", headerMetadata, m)
		if a.header.Get(headerOffset) != "5" {
			t.Errorf("%v", a.header)
		}
		if img := w.done(a.header.Get("Location")); string(w.content(img.ID)) != "hello" {
			t.Errorf("%+v", img)
		}
		a = w.want(http.StatusCreated, "POST", "/files", []byte("hel"), headerDefer, "1", headerMetadata, m)
		path := a.header.Get("Location")
		if a.header.Get(headerOffset) != "3" || w.offset(path) != 3 {
			t.Errorf("%v", a.header)
		}
		if a := w.patch(path, 3, []byte("lo"), headerLength, "5"); a.status != http.StatusNoContent {
			t.Fatalf("%+v", a)
		}
		w.done(path)
		// Nothing at all is an image, too.
		path = w.begin(0, exact)
		if img := w.done(path); img.Size != 0 {
			t.Errorf("%+v", img)
		}
	}, change{})
}

// TestConcat: parts that were sent side by side become one, at odd borders, and
// once.
func TestConcat(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		data := random(4<<20+99, 7)
		borders := []int{0, 1<<20 + 13, 1<<20 + 13, 3<<20 + 5, len(data)}
		var parts []string
		for i := range borders[1:] {
			from, to := borders[i], borders[i+1]
			p := w.begin(to-from, nil, headerConcat, "partial")
			if a := w.patch(p, 0, data[from:to]); a.status != http.StatusNoContent {
				t.Fatalf("part %d: %+v", i, a)
			}
			if a := w.want(http.StatusOK, "HEAD", p, nil); a.header.Get(headerConcat) != "partial" || a.header.Get(headerOffset) != strconv.Itoa(to-from) {
				t.Errorf("part %d: %v", i, a.header)
			}
			parts = append(parts, p)
		}
		list := "final;" + strings.Join(parts, " ")
		a := w.want(http.StatusCreated, "POST", "/files", nil, headerConcat, list, headerMetadata, metadata(exact))
		path := a.header.Get("Location")
		again := w.want(http.StatusCreated, "POST", "/files", nil, headerConcat, strings.ReplaceAll(list, "/files/", "https://else.where/files/"), headerMetadata, metadata(exact))
		if got := again.header.Get("Location"); got != path {
			t.Errorf("the same again made %s beside %s", got, path)
		}
		w.want(http.StatusConflict, "POST", "/files", nil, headerConcat, "final;"+parts[0], headerMetadata, metadata(exact))
		w.want(http.StatusForbidden, "PATCH", path, []byte{}, headerOffset, "0")
		img := w.done(path)
		if !bytes.Equal(w.content(img.ID), data) {
			t.Error("other content")
		}
		a = w.want(http.StatusOK, "HEAD", path, nil)
		if a.header.Get(headerConcat) != list || a.header.Get(headerLength) != strconv.Itoa(len(data)) {
			t.Errorf("%v", a.header)
		}
		if u := w.row(parts[0]); u.State != catalog.UploadDone || u.Options.Final != idOf(path) {
			t.Errorf("%+v", u)
		}
	}, change{})
}
