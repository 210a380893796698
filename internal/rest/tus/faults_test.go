package tus

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/depot"
	"kuva/internal/images"
	"kuva/internal/transfer/upload"
)

const mib = 1 << 20

// sending is a PATCH whose bytes the test writes one by one.
type sending struct {
	*io.PipeWriter
	done chan answer
}

func (w *world) send(path string, off int, h ...string) *sending {
	w.t.Helper()
	r, body := io.Pipe()
	s := &sending{body, make(chan answer, 1)}
	go func() {
		a, err := w.try("PATCH", path, r, append([]string{headerOffset, strconv.Itoa(off)}, h...)...)
		if err != nil {
			a.body = err.Error()
		}
		_ = r.CloseWithError(io.ErrClosedPipe)
		s.done <- a
	}()
	return s
}

// until waits for an offset.
func (w *world) until(path string, off int) {
	w.t.Helper()
	for end := time.Now().Add(10 * time.Second); w.offset(path) != off; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("the upload stands at %d, not at %d", w.offset(path), off)
		}
	}
}

// TestPartsAreDurable: what came is there before the call ends, and a line that
// breaks loses nothing that arrived.
func TestPartsAreDurable(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		data := random(5*mib, 1)
		path := w.begin(len(data), exact)
		u, _ := url.Parse(w.url)
		conn, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "PATCH %s HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nX-Auth-Token: alice\r\nContent-Type: %s\r\nUpload-Offset: 0\r\nContent-Length: %d\r\n\r\n", path, mediaType, len(data))
		if _, err := conn.Write(data[:3*mib+12345]); err != nil {
			t.Fatal(err)
		}
		w.until(path, 3*mib)
		_ = conn.Close()
		w.until(path, 3*mib+12345)
		if a := w.patch(path, 3*mib+12345, data[3*mib+12345:]); a.status != http.StatusNoContent {
			t.Fatalf("%+v", a)
		}
		if img := w.done(path); !bytes.Equal(w.content(img.ID), data) {
			t.Error("other content")
		}
	}, change{})
}

// TestStall: a sender that moves no byte is not waited for.
func TestStall(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		path := w.begin(2*mib, exact)
		s := w.send(path, 0)
		_, _ = s.Write(random(mib+99, 1))
		select {
		case a := <-s.done:
			if a.status == http.StatusNoContent {
				t.Errorf("%+v", a)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("a sender that stands still is waited for")
		}
		w.until(path, mib+99)
	}, change{door: func(c *Config) { c.Stall = 200 * time.Millisecond }})
}

// TestTakeOver: of two calls that bring bytes for the same place the later one
// counts, on one node and on two.
func TestTakeOver(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		other := upload.New(upload.Config{DB: w.db, Images: w.images, Now: w.now, PartSize: mib}) // as another node
		for _, node := range []string{"the same", "another"} {
			data := random(2*mib+7, 1)
			path := w.begin(len(data), exact)
			first := w.send(path, 0)
			_, _ = first.Write(make([]byte, mib/2))
			for w.row(path).Writer == 0 {
				time.Sleep(time.Millisecond)
			}
			if node == "the same" {
				if a := w.patch(path, 0, data); a.status != http.StatusNoContent {
					t.Fatalf("%+v", a)
				}
			} else if _, err := other.Receive(t.Context(), people["anna"], idOf(path), upload.Chunk{Content: bytes.NewReader(data), Size: int64(len(data)), Length: -1}); err != nil {
				t.Fatal(err)
			}
			_, _ = first.Write(make([]byte, 2*mib))
			_ = first.Close()
			if a := <-first.done; a.status == http.StatusNoContent {
				t.Errorf("%s node: the first one counts too: %+v", node, a)
			}
			if img := w.done(path); !bytes.Equal(w.content(img.ID), data) {
				t.Errorf("%s node: other content", node)
			}
		}
	}, change{})
}

// TestParallel: many clients send the same upload at once, each from where it
// is told to. One byte set counts, one image comes of it.
func TestParallel(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		data := random(3*mib+1, 3)
		path := w.begin(len(data), exact)
		var clients sync.WaitGroup
		for i := range 6 {
			clients.Go(func() {
				for n := range 200 {
					a, err := w.try("HEAD", path, nil)
					if err != nil || a.status != http.StatusOK {
						t.Errorf("client %d: %+v %v", i, a, err)
						return
					}
					off, _ := strconv.Atoi(a.header.Get(headerOffset))
					if off == len(data) {
						return
					}
					end := min(off+mib/2+1000*i, len(data))
					a, err = w.try("PATCH", path, bytes.NewReader(data[off:end]), headerOffset, strconv.Itoa(off))
					if err == nil && a.status != http.StatusNoContent && a.status != http.StatusConflict {
						t.Errorf("client %d: %+v", i, a)
						return
					}
					time.Sleep(time.Duration((n*7+i*13)%11) * time.Millisecond)
				}
				t.Errorf("client %d came to no end", i)
			})
		}
		clients.Wait()
		if img := w.done(path); !bytes.Equal(w.content(img.ID), data) {
			t.Error("other content")
		}
	}, change{})
}

// TestDeletedImage: deleting the image ends the upload at once.
func TestDeletedImage(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		path := w.begin(10*mib, exact)
		u := w.row(path)
		s := w.send(path, 0)
		_, _ = s.Write(random(3*mib+1, 1))
		w.until(path, 3*mib)
		began := time.Now()
		if err := w.images.Delete(t.Context(), people["alice"], u.Image); err != nil {
			t.Fatal(err)
		}
		a := <-s.done
		if took := time.Since(began); took > 3*time.Second || a.status == http.StatusNoContent {
			t.Errorf("after %v: %+v", took, a)
		}
		w.want(http.StatusGone, "HEAD", path, nil)
		w.want(http.StatusGone, "PATCH", path, []byte("x"), headerOffset, strconv.Itoa(3*mib))
		w.want(http.StatusGone, "DELETE", path, nil)
		if u := w.row(path); u.State != catalog.UploadFailed || u.Failure == nil || u.Failure.Code != kuva.CodeGone {
			t.Errorf("%+v", u)
		}
		w.nothingLeft()
	}, change{})
}

// nothingLeft holds that ended uploads keep no byte, reserved or stored.
func (w *world) nothingLeft() {
	w.t.Helper()
	ctx := w.t.Context()
	if err := w.uploads.Sweep(ctx); err != nil {
		w.t.Fatal(err)
	}
	if _, use, err := w.images.Quota(ctx, people["root"], "a"); err != nil || use.Reserved != 0 || use.Uploads != 0 {
		w.t.Errorf("reserved: %+v, %v", use, err)
	}
	var parts, pins int
	err := w.db.View(ctx, func(tx *catalog.Tx) error {
		if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM upload_part`).Scan(&parts); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT COUNT(*) FROM pin WHERE holder LIKE 'upload %'`).Scan(&pins)
	})
	if err != nil || parts != 0 || pins != 0 {
		w.t.Errorf("%d parts, %d pins, %v", parts, pins, err)
	}
	var rep depot.Report
	for range 4 {
		if rep, err = w.depot.Collect(ctx, depot.CollectOptions{Compact: true}); err != nil {
			w.t.Fatal(err)
		}
	}
	if rep.Live.Bytes != 0 {
		w.t.Errorf("the collector leaves %+v", rep)
	}
}

// TestExpiry: an upload that nobody goes on with is given up, its image with it,
// and one that was there is queued again.
func TestExpiry(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		img, err := w.images.Create(ctx, people["alice"], images.NewImage{DiskFormat: "raw", ContainerFormat: "bare"})
		if err != nil {
			t.Fatal(err)
		}
		made, given := w.begin(3*mib, exact), w.begin(-1, map[string]string{"image": img.ID}, headerDefer, "1")
		partial := w.begin(2*mib, nil, headerConcat, "partial")
		for _, path := range []string{made, given, partial} {
			if a := w.patch(path, 0, random(mib+5, 2)); a.status != http.StatusNoContent {
				t.Fatalf("%+v", a)
			}
		}
		w.later(6 * 24 * time.Hour)
		if a := w.patch(made, mib+5, []byte("still here")); a.status != http.StatusNoContent {
			t.Fatalf("%+v", a)
		}
		w.later(2 * 24 * time.Hour)
		if err := w.uploads.Sweep(ctx); err != nil {
			t.Fatal(err)
		}
		w.offset(made) // its last part is not old
		w.want(http.StatusGone, "HEAD", given, nil)
		w.want(http.StatusGone, "HEAD", partial, nil)
		if u := w.row(given); u.State != catalog.UploadFailed || u.Failure == nil || u.Failure.Sentence == "" {
			t.Errorf("%+v", u)
		}
		if got, err := w.images.Show(ctx, people["alice"], img.ID); err != nil || got.Status != kuva.StatusQueued || got.LastFailure == nil {
			t.Errorf("%+v, %v", got, err)
		}
		image := w.row(made).Image
		w.later(6 * 24 * time.Hour)
		if err := w.uploads.Sweep(ctx); err != nil {
			t.Fatal(err)
		}
		w.want(http.StatusGone, "HEAD", made, nil)
		w.want(http.StatusNotFound, "HEAD", given, nil) // shown long enough
		if _, err := w.images.Show(ctx, people["alice"], image); kuva.CodeOf(err) != kuva.CodeNotFound {
			t.Errorf("image of an expired upload: %v", err)
		}
		w.nothingLeft()
	}, change{})
}

// TestOpenUploads: a project has so many open at a time, S-192.
func TestOpenUploads(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		var paths []string
		for i := range 5 {
			if i%2 == 0 {
				paths = append(paths, w.begin(1, exact))
			} else {
				paths = append(paths, w.begin(1, nil, headerConcat, "partial"))
			}
		}
		for range 20 {
			a := w.want(http.StatusRequestEntityTooLarge, "POST", "/files", nil, headerLength, "1")
			w.want(http.StatusRequestEntityTooLarge, "POST", "/files", nil, headerLength, "1", headerConcat, "partial")
			if a.code != string(kuva.CodeQuota) {
				t.Fatalf("%+v", a)
			}
		}
		w.want(http.StatusCreated, "POST", "/files", nil, headerLength, "1", "X-Auth-Token", "bob")
		w.want(http.StatusNoContent, "DELETE", paths[1], nil)
		w.begin(1, exact)
		w.want(http.StatusRequestEntityTooLarge, "POST", "/files", nil, headerLength, "1")
		if _, use, err := w.images.Quota(t.Context(), people["root"], "a"); err != nil || use.Images != 4 || use.Reserved != 5 || use.Uploads != 0 {
			t.Errorf("%+v, %v", use, err)
		}
	}, change{upload: func(c *upload.Config) { c.Open = 5 }})
}

// TestQuota: bytes are counted by the service, before they are kept, whatever
// the sender says; S-141, S-191.
func TestQuota(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		reserved := func(want int64) {
			t.Helper()
			if _, use, err := w.images.Quota(t.Context(), people["root"], "a"); err != nil || use.Reserved != want {
				t.Fatalf("%d reserved, want %d (%v)", use.Reserved, want, err)
			}
		}
		w.want(http.StatusRequestEntityTooLarge, "POST", "/files", nil, headerLength, strconv.Itoa(4*mib))
		w.want(http.StatusRequestEntityTooLarge, "POST", "/files", nil, headerLength, strconv.Itoa(4*mib), headerConcat, "partial")
		known := w.begin(mib, exact)
		reserved(mib)
		w.want(http.StatusRequestEntityTooLarge, "POST", "/files", nil, headerLength, strconv.Itoa(2*mib+1))

		// A length that is said later: as many bytes are kept as there is room.
		open := w.begin(-1, exact, headerDefer, "1")
		reserved(mib)
		s := w.send(open, 0)
		_, err := io.Copy(s, io.LimitReader(zeros{}, 8*mib))
		_ = s.Close()
		if a := <-s.done; err == nil && a.status != http.StatusRequestEntityTooLarge || a.status == http.StatusNoContent {
			t.Errorf("%+v", a)
		}
		w.until(open, 2*mib)
		reserved(3 * mib)
		w.want(http.StatusRequestEntityTooLarge, "PATCH", open, []byte("x"), headerOffset, strconv.Itoa(2*mib))
		w.want(http.StatusRequestEntityTooLarge, "PATCH", open, []byte{}, headerOffset, strconv.Itoa(2*mib), headerLength, strconv.Itoa(2*mib+1))

		// More than was announced, without a Content-Length: nothing of what
		// would be the last part is taken.
		s = w.send(known, 0)
		_, _ = s.Write(make([]byte, mib+1))
		_ = s.Close()
		if a := <-s.done; a.status == http.StatusNoContent {
			t.Errorf("%+v", a)
		}
		if got := w.offset(known); got != 0 {
			t.Errorf("stands at %d", got)
		}
		reserved(3 * mib)
		if a := w.patch(open, 2*mib, []byte{}, headerLength, strconv.Itoa(2*mib)); a.status != http.StatusNoContent {
			t.Fatalf("%+v", a)
		}
		if img := w.done(open); img.Size != 2*mib {
			t.Errorf("%+v", img)
		}
		reserved(mib)
	}, change{images: func(c *images.Config) {
		c.DefaultQuota = kuva.DefaultQuota
		c.DefaultQuota.Bytes = 3 * mib
	}})
}

// TestImageSize: what one image may have holds for parts together, too.
func TestImageSize(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.want(http.StatusRequestEntityTooLarge, "POST", "/files", nil, headerLength, strconv.Itoa(2*mib+1))
		open := w.begin(-1, exact, headerDefer, "1")
		w.want(http.StatusRequestEntityTooLarge, "PATCH", open, make([]byte, 2*mib+1), headerOffset, "0")
		s := w.send(open, 0)
		_, _ = s.Write(make([]byte, 3*mib))
		_ = s.Close()
		if a := <-s.done; a.status == http.StatusNoContent {
			t.Errorf("%+v", a)
		}
		if got := w.offset(open); got > 2*mib {
			t.Errorf("stands at %d", got)
		}
		var parts []string
		for range 2 {
			p := w.begin(mib+1, nil, headerConcat, "partial")
			w.patch(p, 0, make([]byte, mib+1))
			parts = append(parts, p)
		}
		w.want(http.StatusRequestEntityTooLarge, "POST", "/files", nil, headerConcat, "final;"+strings.Join(parts, " "))
		if u := w.row(parts[0]); u.State != catalog.UploadOpen {
			t.Errorf("%+v", u)
		}
	}, change{images: func(c *images.Config) {
		c.DefaultQuota = kuva.DefaultQuota
		c.DefaultQuota.ImageSize = 2 * mib
	}})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestRevoked: of what a revoked token sends nothing is kept.
func TestRevoked(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		path := w.begin(mib/2, exact)
		s := w.send(path, 0, "X-Auth-Token", "anna")
		_, _ = s.Write(random(mib/4, 1))
		for w.row(path).Writer == 0 {
			time.Sleep(time.Millisecond)
		}
		w.auth.revoked.Store("anna", true)
		_, _ = s.Write(random(mib/4, 2))
		_ = s.Close()
		if a := <-s.done; a.status != http.StatusUnauthorized {
			t.Errorf("%+v", a)
		}
		if got := w.offset(path); got != 0 {
			t.Errorf("stands at %d", got)
		}
	}, change{})
}

// TestDigests: the digest of the whole is enforced before the image is there.
func TestDigests(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		meta := map[string]string{"content": "exact", "disk_format": "raw", "sha256": strings.Repeat("0", 64)}
		path := w.begin(5, meta)
		w.patch(path, 0, []byte("hello"))
		for range 2000 {
			if u := w.row(path); u.State == catalog.UploadFailed {
				if u.Failure == nil || u.Failure.Code != kuva.CodeDigest {
					t.Errorf("%+v", u.Failure)
				}
				w.want(http.StatusGone, "HEAD", path, nil)
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
		t.Errorf("%+v", w.row(path))
	}, change{})
}

// TestOther: an upload of another protocol is none of this door's.
func TestOther(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		u, err := w.uploads.Begin(context.WithoutCancel(t.Context()), people["alice"], upload.Begin{Protocol: upload.ProtocolAsk, Size: mib, Disk: true, Metadata: map[string]string{"name": "x"}})
		if err != nil {
			t.Fatal(err)
		}
		for _, method := range []string{"HEAD", "PATCH", "DELETE"} {
			w.want(http.StatusNotFound, method, "/files/"+u.ID, nil, headerOffset, "0", "Content-Type", mediaType)
		}
	}, change{})
}
