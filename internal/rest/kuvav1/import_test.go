package kuvav1

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"kuva"
	"kuva/api"
	"kuva/internal/images"
)

// pages is what lies at URLs, by path. It stands for the network.
var pages = map[string][]byte{}

type web struct{}

func (web) Check(address string) error {
	if !strings.HasPrefix(address, "http://site.test/") {
		return kuva.E(kuva.CodeInvalid, "fetch.refused", "schemes", "http")
	}
	return nil
}

func (web) Open(_ context.Context, address string, _ map[string]string, _ int64) (io.ReadCloser, int64, error) {
	b, ok := pages[strings.TrimPrefix(address, "http://site.test/")]
	if !ok {
		return nil, 0, kuva.E(kuva.CodeInvalid, "fetch.failed")
	}
	return io.NopCloser(bytes.NewReader(b)), int64(len(b)), nil
}

// TestImport: content comes from a URL, out of what it is packed in, held to its
// digest, and an image without formats gets those of the content.
func TestImport(t *testing.T) {
	noise := make([]byte, 300_000)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	copy(noise[510:], "\x55\xaa")
	var packed, archive bytes.Buffer
	tw := tar.NewWriter(&archive)
	for name, b := range map[string][]byte{"README": []byte("hello"), "disk.raw": noise} {
		if err := tw.WriteHeader(&tar.Header{Name: name, Size: int64(len(b)), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		_, _ = tw.Write(b)
	}
	_ = tw.Close()
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(archive.Bytes())
	_ = z.Close()
	pages["disk.raw"], pages["disk.tar.gz"], pages["secret"] = noise, packed.Bytes(), append([]byte("Salted__"), noise...)
	digest := func(b []byte) string { s := sha256.Sum256(b); return "sha256:" + hex.EncodeToString(s[:]) }

	w := start(t)
	for _, c := range []struct {
		body  string
		want  []byte
		words string // of the failure
	}{
		{`{"url":"http://site.test/disk.raw"}`, noise, ""},
		{`{"url":"http://site.test/disk.raw","digest":"` + digest(noise) + `"}`, noise, ""},
		{`{"url":"http://site.test/disk.tar.gz","digest":"` + digest(packed.Bytes()) + `"}`, noise, ""},
		{`{"url":"http://site.test/disk.tar.gz","exact":true}`, packed.Bytes(), ""},
		{`{"url":"http://site.test/disk.tar.gz","digest":"` + digest(noise) + `"}`, nil, "sha256"},
		{`{"url":"http://site.test/disk.raw","digest":"` + digest(nil) + `"}`, nil, "sha256"},
		{`{"url":"http://site.test/secret"}`, nil, "openssl enc -d"},
		{`{"url":"http://site.test/none"}`, nil, "address"},
	} {
		id := w.image(w.alice, "", func(n *images.NewImage) {
			n.DiskFormat, n.ContainerFormat = "", ""
			if strings.Contains(c.body, "exact") { // else gzip is no disk that is known
				n.DiskFormat, n.ContainerFormat = "raw", "bare"
			}
		})
		var j api.Job
		w.want(http.StatusAccepted, w.alice, "POST", "/kuva/v1/images/"+id+"/import", c.body).into(t, &j)
		if j.Image == nil || *j.Image != id {
			t.Errorf("%s: job %+v", c.body, j)
		}
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			img, err := w.images.Show(t.Context(), w.principal(w.alice), id)
			if err != nil {
				t.Fatal(err)
			}
			if img.Status == kuva.StatusActive {
				content := w.want(http.StatusOK, w.alice, "GET", "/kuva/v1/images/"+id+"/file", "").body
				if !bytes.Equal(content, c.want) || img.DiskFormat != "raw" || img.ContainerFormat != "bare" {
					t.Errorf("%s: %d bytes, %s in %s", c.body, len(content), img.DiskFormat, img.ContainerFormat)
				}
				break
			}
			if img.Status == kuva.StatusQueued && img.LastFailure != nil {
				if c.words == "" || !strings.Contains(img.LastFailure.Sentence, c.words) {
					t.Errorf("%s: %s", c.body, img.LastFailure.Sentence)
				}
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%s: %s", c.body, img.Status)
			}
		}
	}
	id := w.image(w.alice, "", func(n *images.NewImage) { n.DiskFormat = "" })
	for body, word := range map[string]string{
		`{}`:                          "source",
		`{"url":"ftp://site.test/x"}`: "http",
		`{"url":"http://site.test/x","digest":"sha256:12"}`: "sha256",
		`{"url":"http://site.test/x","digest":"crc:12"}`:    "crc",
		`{"url":"http://site.test/x","disk":-1}`:            "number",
		`{"uri":"http://site.test/x"}`:                      "uri",
	} {
		a := w.want(http.StatusBadRequest, w.alice, "POST", "/kuva/v1/images/"+id+"/import", body)
		if !strings.Contains(string(a.body), word) {
			t.Errorf("%s: %s", body, a.body)
		}
	}
}
