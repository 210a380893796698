package imagev2

import (
	"bufio"
	"bytes"
	"crypto/md5" //nolint:gosec // named by the API
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"kuva"
)

const octets = "application/octet-stream"

// noise is n bytes that do not compress.
func noise(n int, seed uint64) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed)})
	_, _ = r.Read(b)
	return b
}

// queued makes an image that can be filled, and returns its path.
func (w *world) queued(u *user) string {
	w.t.Helper()
	return "/v2/images/" + w.create(u, map[string]any{"disk_format": "raw", "container_format": "bare"})
}

func TestUploadAndDownload(t *testing.T) {
	w := start(t, options{})
	data := noise(3<<20+17, 1)
	path := w.queued(w.alice)
	w.want(204, w.alice, "GET", path+"/file", nil) // nothing there yet
	if a := w.want(204, w.alice, "PUT", path+"/file", data, "Content-Type", octets); len(a.body) != 0 {
		t.Errorf("204 with a body: %q", a.body)
	}
	sum, long := md5.Sum(data), sha512.Sum512(data) //nolint:gosec // named by the API
	o := w.want(200, w.alice, "GET", path, nil).object(t)
	for name, want := range map[string]any{
		"status": "active", "size": float64(len(data)), "virtual_size": float64(len(data)),
		"checksum": hex.EncodeToString(sum[:]), "os_hash_algo": "sha512", "os_hash_value": hex.EncodeToString(long[:]),
	} {
		if o[name] != want {
			t.Errorf("%s is %v, want %v", name, o[name], want)
		}
	}
	a := w.want(200, w.alice, "GET", path+"/file", nil)
	if !bytes.Equal(a.body, data) {
		t.Fatal("what came back is not what was sent")
	}
	id := strings.TrimPrefix(path, "/v2/images/")
	for name, want := range map[string]string{
		"Content-Type": octets, "Content-Length": strconv.Itoa(len(data)), "Content-Md5": hex.EncodeToString(sum[:]),
		"Accept-Ranges": "bytes", "Content-Disposition": `attachment; filename="` + id + `.raw"`,
		"X-Content-Type-Options": "nosniff", "Content-Range": "",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if csp := a.header.Get("Content-Security-Policy"); !strings.Contains(csp, "sandbox") {
		t.Errorf("Content-Security-Policy is %q", csp)
	}
	head := w.want(200, w.alice, "HEAD", path+"/file", nil)
	if head.header.Get("Content-Length") != strconv.Itoa(len(data)) {
		t.Errorf("HEAD: %v", head.header)
	}
	w.want(409, w.alice, "PUT", path+"/file", []byte("again"), "Content-Type", octets)
	if b := w.want(200, w.alice, "GET", path+"/file", nil).body; !bytes.Equal(b, data) {
		t.Error("the content changed")
	}
}

func TestDownloadRanges(t *testing.T) {
	w := start(t, options{})
	data := noise(1<<20+3, 2)
	path := "/v2/images/" + w.filled(w.alice, data, nil) + "/file"
	size := len(data)
	for _, test := range []struct {
		field, value string
		status       int
		from, to     int
	}{
		{"Range", "bytes=0-0", 206, 0, 1},
		{"Range", "bytes=100-300099", 206, 100, 300100},
		{"Range", "bytes=1048570-", 206, 1048570, size},
		{"Range", "bytes=-5", 206, size - 5, size},
		{"Range", "bytes=-99999999", 206, 0, size},
		{"Range", "bytes=0-99999999", 206, 0, size},
		{"Content-Range", "bytes 5-9/*", 206, 5, 10},
		{"Range", "bytes=0-1,4-5", 400, 0, 0},
		{"Range", "bytes=" + strings.Repeat("0-1,", 1000) + "0-1", 400, 0, 0},
		{"Range", "bytes=9-1", 416, 0, 0},
		{"Range", "bytes=99999999-", 416, 0, 0},
		{"Range", "none", 416, 0, 0},
		{"Content-Range", "bytes 5-99999999/*", 416, 0, 0},
	} {
		a := w.want(test.status, w.alice, "GET", path, nil, test.field, test.value)
		got := a.header.Get("Content-Range")
		switch test.status {
		case 206:
			if !bytes.Equal(a.body, data[test.from:test.to]) {
				t.Errorf("%s: wrong bytes", test.value)
			}
			if want := fmt.Sprintf("bytes %d-%d/%d", test.from, test.to-1, size); got != want {
				t.Errorf("%s: Content-Range is %q, want %q", test.value, got, want)
			}
		case 416:
			if want := fmt.Sprintf("bytes */%d", size); got != want {
				t.Errorf("%s: Content-Range is %q, want %q", test.value, got, want)
			}
		}
	}
	empty := "/v2/images/" + w.filled(w.alice, nil, nil) + "/file"
	if a := w.want(200, w.alice, "GET", empty, nil); len(a.body) != 0 || a.header.Get("Content-Length") != "0" {
		t.Errorf("content of no bytes: %v %q", a.header, a.body)
	}
	w.want(416, w.alice, "GET", empty, nil, "Range", "bytes=0-")
}

func TestUploadRefusals(t *testing.T) {
	w := start(t, options{quota: kuva.Quota{Images: -1, Bytes: 10 << 20, ImageSize: 4 << 20, VirtualSize: -1, Members: 10, Tags: 10, Properties: 10, Uploads: 4}})
	path := w.queued(w.alice)
	file := path + "/file"
	data := noise(1<<20, 3)
	sum := md5.Sum([]byte("other")) //nolint:gosec // named by the API
	w.want(415, w.alice, "PUT", file, data, "Content-Type", "text/plain")
	w.want(415, w.alice, "PUT", file, data)
	w.want(400, w.alice, "PUT", file, data, "Content-Type", octets, "X-Openstack-Image-Size", "5")
	w.want(400, w.alice, "PUT", file, data, "Content-Type", octets, "X-Openstack-Image-Size", "five")
	w.want(400, w.alice, "PUT", file, data, "Content-Type", octets, "X-Openstack-Image-Size", "-1")
	w.want(400, w.alice, "PUT", file, data, "Content-Type", octets, "X-Image-Meta-Store", "other")
	w.want(400, w.alice, "PUT", file, data, "Content-Type", octets, "Content-MD5", "abc")
	w.want(400, w.alice, "PUT", file, data, "Content-Type", octets, "Content-MD5", hex.EncodeToString(sum[:]))
	w.want(404, w.bob, "PUT", file, data, "Content-Type", octets)
	w.want(403, w.rita, "PUT", file, data, "Content-Type", octets)
	w.want(413, w.alice, "PUT", file, noise(5<<20, 3), "Content-Type", octets)
	w.want(413, w.alice, "PUT", file, io.MultiReader(bytes.NewReader(noise(5<<20, 3))), "Content-Type", octets)
	w.want(413, w.alice, "PUT", file, io.MultiReader(bytes.NewReader(data)), "Content-Type", octets, "X-Openstack-Image-Size", strconv.Itoa(5<<20))
	// Announced shorter or longer than it is, in chunks (S-191).
	w.want(400, w.alice, "PUT", file, io.MultiReader(bytes.NewReader(data)), "Content-Type", octets, "X-Openstack-Image-Size", "1000")
	w.want(400, w.alice, "PUT", file, io.MultiReader(bytes.NewReader(data)), "Content-Type", octets, "X-Openstack-Image-Size", strconv.Itoa(len(data)+1))
	unformatted := "/v2/images/" + w.create(w.alice, nil)
	w.want(400, w.alice, "PUT", unformatted+"/file", data, "Content-Type", octets)

	o := w.want(200, w.alice, "GET", path, nil).object(t)
	if o["status"] != "queued" || o["size"] != nil {
		t.Errorf("after all refusals the image is %v", o)
	}
	why, _ := o["kuva_last_failure"].(string)
	if why == "" {
		t.Error("the image does not tell why the upload failed")
	}
	// It can be filled all the same, with digests that hold; then nothing
	// tells of failures.
	md, sh, lo := md5.Sum(data), sha256.Sum256(data), sha512.Sum512(data) //nolint:gosec // named by the API
	w.want(204, w.alice, "PUT", file, io.MultiReader(bytes.NewReader(data)), "Content-Type", octets,
		"X-Openstack-Image-Size", strconv.Itoa(len(data)), "Content-MD5", base64.StdEncoding.EncodeToString(md[:]),
		"Digest", "sha-256="+base64.StdEncoding.EncodeToString(sh[:]), "X-Kuva-Sha512", hex.EncodeToString(lo[:]))
	if o := w.want(200, w.alice, "GET", path, nil).object(t); o["status"] != "active" || o["kuva_last_failure"] != nil {
		t.Errorf("filled at last: %v", o)
	}
	if _, taken := w.want(200, w.bob, "GET", "/v2/images", nil).object(t)["next"]; taken {
		t.Error("bob sees more than a page")
	}
}

// raw is a connection on which a request is written by hand.
type raw struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func (w *world) dial() *raw {
	w.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	return &raw{w.t, c, bufio.NewReader(c)}
}

func (c *raw) send(format string, args ...any) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c, format, args...); err != nil {
		c.t.Fatal(err)
	}
}

func (c *raw) answer() *http.Response {
	c.t.Helper()
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return res
}

// TestExpectContinue: a refusal comes before the body is asked for.
func TestExpectContinue(t *testing.T) {
	w := start(t, options{})
	put := "PUT %s/file HTTP/1.1\r\nHost: kuva\r\nX-Auth-Token: %s\r\nContent-Type: %s\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
	path := w.queued(w.alice)
	c := w.dial()
	c.send(put, path, w.alice.token, octets)
	if res := c.answer(); res.StatusCode != 100 {
		t.Fatalf("got %d, want to be asked for the body", res.StatusCode)
	}
	c.send("bytes")
	if res := c.answer(); res.StatusCode != 204 {
		t.Fatalf("got %d, want 204", res.StatusCode)
	}
	for about, test := range map[string]struct {
		path, token, media string
		status             int
	}{
		"not queued": {path, w.alice.token, octets, 409},
		"unknown":    {"/v2/images/x", w.alice.token, octets, 404},
		"reader":     {w.queued(w.alice), w.rita.token, octets, 403},
		"no token":   {w.queued(w.alice), "", octets, 401},
		"media type": {w.queued(w.alice), w.alice.token, "text/plain", 415},
	} {
		c := w.dial()
		c.send(put, test.path, test.token, test.media)
		if res := c.answer(); res.StatusCode != test.status || !res.Close {
			t.Errorf("%s: got %d (close %v), want %d", about, res.StatusCode, res.Close, test.status)
		}
	}
}

// TestRefusalDoesNotWaitForTheBody: the answer comes while the sender still
// holds most of the body back.
func TestRefusalDoesNotWaitForTheBody(t *testing.T) {
	w := start(t, options{quota: kuva.Quota{Images: -1, Bytes: -1, ImageSize: 1 << 20, VirtualSize: -1, Members: 10, Tags: 10, Properties: 10, Uploads: 4}})
	c := w.dial()
	c.send("PUT %s/file HTTP/1.1\r\nHost: kuva\r\nX-Auth-Token: %s\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n", w.queued(w.alice), w.alice.token, octets)
	data := noise(2<<20, 4)
	c.send("%x\r\n%s\r\n", len(data), data)
	if res := c.answer(); res.StatusCode != 413 || !res.Close {
		t.Errorf("got %d (close %v), want 413", res.StatusCode, res.Close)
	}
}

// TestTruncatedBody: whoever goes away in the middle leaves a queued image
// that can be filled.
func TestTruncatedBody(t *testing.T) {
	w := start(t, options{})
	path := w.queued(w.alice)
	c := w.dial()
	c.send("PUT %s/file HTTP/1.1\r\nHost: kuva\r\nX-Auth-Token: %s\r\nContent-Type: %s\r\nContent-Length: 1000000\r\n\r\nfew bytes", path, w.alice.token, octets)
	w.await(path, "saving")
	_ = c.Close()
	w.await(path, "queued")
	w.want(204, w.alice, "PUT", path+"/file", []byte("whole"), "Content-Type", octets)
	if b := w.want(200, w.alice, "GET", path+"/file", nil).body; string(b) != "whole" {
		t.Errorf("got %q", b)
	}
}

// await waits until an image has a status, "" for being gone.
func (w *world) await(path, status string) {
	w.t.Helper()
	last := ""
	for range 500 {
		a := w.do(w.alice, "GET", path, nil)
		if a.status == 404 && status == "" {
			return
		}
		if last, _ = a.object(w.t)["status"].(string); a.status == 200 && last == status {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	w.t.Fatalf("%s is %s, not %s", path, last, status)
}

// TestStalledBody: a sender that holds still is sent away.
func TestStalledBody(t *testing.T) {
	w := start(t, options{stall: 300 * time.Millisecond})
	path := w.queued(w.alice)
	c := w.dial()
	c.send("PUT %s/file HTTP/1.1\r\nHost: kuva\r\nX-Auth-Token: %s\r\nContent-Type: %s\r\nContent-Length: 1000000\r\n\r\nfew bytes", path, w.alice.token, octets)
	if res := c.answer(); res.StatusCode/100 != 4 || !res.Close {
		t.Errorf("got %d (close %v)", res.StatusCode, res.Close)
	}
	w.await(path, "queued")
}

// TestDeletedDuringUpload: the upload ends at once, with 410.
func TestDeletedDuringUpload(t *testing.T) {
	w := start(t, options{})
	path := w.queued(w.alice)
	c := w.dial()
	c.send("PUT %s/file HTTP/1.1\r\nHost: kuva\r\nX-Auth-Token: %s\r\nContent-Type: %s\r\nContent-Length: 1000000\r\n\r\nfew bytes", path, w.alice.token, octets)
	w.await(path, "saving")
	w.want(204, w.alice, "DELETE", path, nil)
	began := time.Now()
	if res := c.answer(); res.StatusCode != 410 || !res.Close {
		t.Errorf("got %d (close %v), want 410", res.StatusCode, res.Close)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
	w.want(404, w.alice, "GET", path, nil)
}

// TestRevokedDuringUpload (S-194): what a revoked token sends is not kept.
func TestRevokedDuringUpload(t *testing.T) {
	w := start(t, options{})
	path := w.queued(w.alice)
	second := w.login("alice", "blue")
	c := w.dial()
	c.send("PUT %s/file HTTP/1.1\r\nHost: kuva\r\nX-Auth-Token: %s\r\nContent-Type: %s\r\nContent-Length: 10\r\n\r\nfew b", path, second.token, octets)
	w.await(path, "saving")
	w.want(204, second, "DELETE", "/identity/v3/auth/tokens", nil, "X-Subject-Token", second.token)
	c.send("ytes.")
	if res := c.answer(); res.StatusCode != 401 {
		t.Errorf("got %d, want 401", res.StatusCode)
	}
	w.await(path, "queued")
}

// flipAll damages every pack at a share of its length, 0 to 1.
func (w *world) flipAll(at float64) {
	w.t.Helper()
	for info, err := range w.store.List(w.t.Context(), "pack/") {
		if err == nil {
			err = w.store.Flip(info.Key, int64(at*float64(info.Size)), 0x10)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// TestDamagedContent: no wrong byte is sent. Damage at the beginning is an
// error with a sentence; later the connection breaks off.
func TestDamagedContent(t *testing.T) {
	w := start(t, options{})
	data := noise(20<<20, 5)
	id := w.filled(w.alice, data, nil)
	file := "/v2/images/" + id + "/file"
	w.flipAll(0.7)
	c := w.dial()
	c.send("GET %s HTTP/1.1\r\nHost: kuva\r\nX-Auth-Token: %s\r\n\r\n", file, w.alice.token)
	res := c.answer()
	got, err := io.ReadAll(res.Body)
	if res.StatusCode != 200 || err == nil || len(got) == 0 || len(got) >= len(data) || !bytes.Equal(got, data[:len(got)]) {
		t.Errorf("got %d, %d bytes, %v", res.StatusCode, len(got), err)
	}
	w.flipAll(0.001)
	a := w.want(500, w.alice, "GET", file, nil)
	if a.header.Get("Content-Length") == strconv.Itoa(len(data)) || a.header.Get("Content-Disposition") != "" || !bytes.Contains(a.body, []byte("500")) {
		t.Errorf("got %v %q", a.header, a.body)
	}
}

// TestFullStore: 413, nothing lost, and reading goes on.
func TestFullStore(t *testing.T) {
	w := start(t, options{})
	first := "/v2/images/" + w.filled(w.alice, []byte("first"), nil)
	path := w.queued(w.alice)
	w.store.SetLimit(w.store.Used() + 100<<10)
	w.want(413, w.alice, "PUT", path+"/file", noise(40<<20, 6), "Content-Type", octets)
	if b := w.want(200, w.alice, "GET", first+"/file", nil).body; string(b) != "first" {
		t.Errorf("got %q", b)
	}
	w.store.SetLimit(0)
	w.await(path, "queued")
	w.want(204, w.alice, "PUT", path+"/file", []byte("fits"), "Content-Type", octets)
}
