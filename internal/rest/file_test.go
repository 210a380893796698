package rest

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kuva"
)

const fileText = "0123456789"

func textFile(tag string) *File {
	return &File{
		Size: int64(len(fileText)), ETag: tag, Media: "application/x-qemu-disk", Name: "a.qcow2", MD5: "ab", Stall: time.Minute, Log: slog.New(slog.DiscardHandler),
		Reader: func(off, n int64) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(fileText[off : off+n])), nil
		},
		WriteTo: func(w io.Writer) (int64, error) { return io.Copy(w, strings.NewReader(fileText)) },
	}
}

func TestSendFile(t *testing.T) {
	for _, c := range []struct {
		name, method string
		header       string // "Name: value"
		length       int64  // of the file; -1 streams it
		status       int
		body         string
		code         kuva.Code
	}{
		{"whole", "GET", "", 10, 200, fileText, ""},
		{"head", "HEAD", "", 10, 200, "", ""},
		{"part", "GET", "Range: bytes=2-4", 10, 206, "234", ""},
		{"part of another file", "GET", "Range: bytes=2-4|If-Range: \"y\"", 10, 200, fileText, ""},
		{"part by date", "GET", "Range: bytes=2-4|If-Range: Sat, 21 Nov 2026 12:00:00 GMT", 10, 200, fileText, ""},
		{"part of the same file", "GET", "Range: bytes=2-4|If-Range: \"x\"", 10, 206, "234", ""},
		{"behind the end", "GET", "Range: bytes=10-", 10, 0, "", kuva.CodeRange},
		{"several parts", "GET", "Range: bytes=0-1,3-4", 10, 0, "", kuva.CodeInvalid},
		{"had", "GET", `If-None-Match: "y", W/"x"`, 10, 304, "", ""},
		{"had any", "GET", `If-None-Match: *`, 10, 304, "", ""},
		{"had another", "GET", `If-None-Match: "y"`, 10, 200, fileText, ""},
		{"stream", "GET", "", -1, 200, fileText, ""},
		{"part of a stream", "GET", "Range: bytes=2-4", -1, 200, fileText, ""},
		{"stream that is had", "GET", `If-None-Match: "x"`, -1, 304, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			tag := `"x"`
			if c.length < 0 {
				tag = "W/" + tag
			}
			f := textFile(tag)
			f.Size = c.length
			r := httptest.NewRequest(c.method, "/", nil)
			for line := range strings.SplitSeq(c.header, "|") {
				if name, value, ok := strings.Cut(line, ": "); ok {
					r.Header.Set(name, value)
				}
			}
			w := httptest.NewRecorder()
			err := SendFile(w, r, f)
			if kuva.CodeOf(err) != c.code {
				t.Fatal(err)
			}
			if c.code != "" {
				if c.code == kuva.CodeRange && w.Header().Get("Content-Range") != "bytes */10" {
					t.Errorf("%v", w.Header())
				}
				return
			}
			h := w.Header()
			if w.Code != c.status || w.Body.String() != c.body || h.Get("ETag") != tag {
				t.Errorf("%d %q %v", w.Code, w.Body, h)
			}
			if c.status == 304 {
				return
			}
			if !strings.Contains(h.Get("Content-Disposition"), `attachment; filename="a.qcow2"`) || h.Get("Content-MD5") != "ab" || h.Get("Content-Type") != "application/x-qemu-disk" {
				t.Errorf("%v", h)
			}
			if ranges := h.Get("Accept-Ranges"); (ranges == "bytes") != (c.length >= 0) || (h.Get("Content-Length") != "") != (c.length >= 0) {
				t.Errorf("%v", h)
			}
		})
	}
}

// TestSendFileFails: an error before the first byte can still be answered as
// one; later the connection is broken off.
func TestSendFileFails(t *testing.T) {
	boom := kuva.E(kuva.CodeDamaged, "image.damaged")
	f := textFile("")
	f.Reader = func(int64, int64) (io.ReadCloser, error) { return io.NopCloser(failing{boom}), nil }
	w := httptest.NewRecorder()
	if err := SendFile(w, httptest.NewRequest("GET", "/", nil), f); !errors.Is(err, boom) || w.Body.Len() > 0 || w.Header().Get("Content-Length") != "" {
		t.Errorf("%v %v", err, w.Header())
	}
	for _, rest := range []io.Reader{failing{boom}, strings.NewReader("")} { // it ends too early without an error, too
		f.Reader = func(int64, int64) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader("012"), rest)), nil
		}
		func() {
			defer func() {
				if recover() != http.ErrAbortHandler {
					t.Error("the connection is not broken off")
				}
			}()
			_ = SendFile(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil), f)
		}()
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestSendingBeginsWithTheFirstByte: the header is written with it, once.
func TestSendingBeginsWithTheFirstByte(t *testing.T) {
	rec := &recording{header: http.Header{}}
	s := &sending{w: rec, conn: http.NewResponseController(rec), f: textFile(""), s: Span{Off: 1, N: 2, Part: true}}
	if rec.status != 0 || len(rec.header) != 0 {
		t.Fatal("something was sent before the first byte")
	}
	for range 2 {
		if _, err := s.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	s.begin()
	if rec.status != 206 || rec.heads != 1 || rec.body.Len() != 2 {
		t.Errorf("sent status %d %d times, %d bytes", rec.status, rec.heads, rec.body.Len())
	}
}

type recording struct {
	header http.Header
	status int
	heads  int
	body   bytes.Buffer
}

func (r *recording) Header() http.Header         { return r.header }
func (r *recording) WriteHeader(status int)      { r.status, r.heads = status, r.heads+1 }
func (r *recording) Write(p []byte) (int, error) { return r.body.Write(p) }
