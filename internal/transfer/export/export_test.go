package export_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"kuva"
	"kuva/internal/blob/mem"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
	"kuva/internal/depot"
	"kuva/internal/depot/keyfile"
	"kuva/internal/images"
	"kuva/internal/job"
	"kuva/internal/testkit/s3server"
	"kuva/internal/transfer/bucket"
	"kuva/internal/transfer/export"
	"kuva/internal/transfer/fetch"
)

var (
	alice = kuva.Principal{UserID: "alice", ProjectID: "a", Roles: []string{"member", "reader"}}
	rita  = kuva.Principal{UserID: "rita", ProjectID: "a", Roles: []string{"reader"}}
	bob   = kuva.Principal{UserID: "bob", ProjectID: "b", Roles: []string{"member", "reader"}}
)

type world struct {
	t       *testing.T
	s3      *s3server.Server
	db      *catalog.DB
	images  *images.Service
	exports *export.Service
	jobs    *job.Queue
}

func each(t *testing.T, f func(w *world)) {
	t.Helper()
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		s3 := s3server.Start(t)
		f(start(t, db, s3, s3.Endpoint))
	})
}

// start is the service; buckets are asked at address.
func start(t *testing.T, db *catalog.DB, s3 *s3server.Server, address string) *world {
	t.Helper()
	ctx := t.Context()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	keys, err := keyfile.Open(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := depot.Open(ctx, depot.Config{DB: db, Store: mem.New(1), Keys: keys, Node: "test", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	web := fetch.New(fetch.Config{
		Ports: []uint16{uint16(port)}, AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Failure: 10 * time.Millisecond,
	})
	set, err := bucket.New(map[string]bucket.Config{"here": {
		Endpoint: address, Region: s3.Region, Bucket: s3.Bucket, Keys: images.BucketKeys{Access: s3.Access, Secret: s3.Secret}, Read: true, Write: true,
	}}, web, log)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, s3: s3, db: db}
	w.images = images.New(images.Config{DB: db, Depot: d, Log: log, Import: images.ImportConfig{Buckets: set}, Inspect: images.InspectConfig{Off: true}})
	w.exports = export.New(export.Config{DB: db, Depot: d, Images: w.images, Buckets: set, Web: web, Program: "kuva test", Log: log})
	w.jobs, err = job.Open(job.Config{
		DB: db, Node: "test", Log: log, Handlers: append(w.images.Handlers(), w.exports.Handlers()...), Poll: 20 * time.Millisecond,
		Pause: func(int64) time.Duration { return 50 * time.Millisecond },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.images.Start(ctx, w.jobs); err != nil {
		t.Fatal(err)
	}
	w.exports.Open(ctx, w.jobs)
	if err := w.jobs.Start(context.WithoutCancel(ctx)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background()
		err := w.jobs.Stop(ctx)
		w.exports.Close()
		if err := errors.Join(err, w.images.Close(ctx), d.Close()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return w
}

// content is a disk with data at its beginning and its end and nothing between.
func content(n int) []byte {
	b := make([]byte, n)
	var seed [32]byte
	seed[0] = byte(n >> 20)
	r := rand.NewChaCha8(seed)
	_, _ = r.Read(b[:n/3])
	_, _ = r.Read(b[n-n/4:])
	return b
}

func (w *world) image(data []byte) string {
	w.t.Helper()
	img, err := w.images.Create(w.t.Context(), alice, images.NewImage{
		Name: "disk one", DiskFormat: "raw", ContainerFormat: "bare", Tags: []string{"red"}, MinRAM: 512, Properties: map[string]string{"os_distro": "debian"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.images.Ingest(w.t.Context(), alice, img.ID, images.Source{Content: bytes.NewReader(data), Size: int64(len(data))}); err != nil {
		w.t.Fatal(err)
	}
	return img.ID
}

func (w *world) start(x export.Wanted) *export.Export {
	w.t.Helper()
	e, err := w.exports.Start(w.t.Context(), alice, x)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// ended waits for the end of an export.
func (w *world) ended(id string) *export.Export {
	w.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		e, err := w.exports.Show(w.t.Context(), alice, id)
		if err != nil {
			w.t.Fatal(err)
		}
		if e.State != "pending" && e.State != "running" {
			return e
		}
		if time.Now().After(end) {
			w.t.Fatalf("the export does not end: %+v", e)
		}
	}
}

func (w *world) done(id string) *export.Export {
	w.t.Helper()
	e := w.ended(id)
	if e.State != "done" || e.Manifest == nil {
		w.t.Fatalf("the export is %s: %s", e.State, e.Sentence)
	}
	return e
}

// file reads what the bucket has, past everything of ours; nil for nothing.
func (w *world) file(key string) []byte {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(w.s3.Folder(w.s3.Bucket), key))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// clean checks that no upload is left in the bucket.
func (w *world) clean() {
	w.t.Helper()
	for u := range w.s3.Client().ListIncompleteUploads(w.t.Context(), w.s3.Bucket, "", true) {
		w.t.Errorf("an upload is left: %+v", u)
	}
	w.free()
}

// free checks that no pin is left.
func (w *world) free() {
	w.t.Helper()
	var n int
	err := w.db.View(w.t.Context(), func(tx *catalog.Tx) error {
		return tx.QueryRow(w.t.Context(), `SELECT count(*) FROM pin WHERE holder LIKE 'export %'`).Scan(&n)
	})
	if err != nil || n > 0 {
		w.t.Errorf("%d pins are left, %v", n, err)
	}
}

// view is the file as a download gives it.
func (w *world) view(id, format string, o images.ViewOptions) []byte {
	w.t.Helper()
	v, err := w.images.OpenView(w.t.Context(), alice, id, format, o)
	if err != nil {
		w.t.Fatal(err)
	}
	var b bytes.Buffer
	if v.Size < 0 {
		_, err = v.WriteTo(w.t.Context(), &b)
	} else {
		var r io.ReadCloser
		if r, err = v.Reader(w.t.Context(), 0, v.Size); err == nil {
			_, err = io.Copy(&b, r)
			err = errors.Join(err, r.Close())
		}
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return b.Bytes()
}

func here(key string) *images.BucketObject { return &images.BucketObject{Name: "here", Object: key} }

// TestRoundTrip: files of several formats come into the bucket as a download
// gives them, and back into images, with name, properties and digest.
func TestRoundTrip(t *testing.T) {
	each(t, func(w *world) {
		data := content(10 << 20)
		id := w.image(data)
		for _, x := range []struct {
			format   string
			compress bool
		}{{"", false}, {"qcow2", false}, {"vmdk", true}, {"raw.zst", true}} {
			key := "out/disk." + x.format
			o := images.ViewOptions{Compress: x.compress}
			e := w.done(w.start(export.Wanted{Image: id, Format: x.format, View: o, Bucket: here(key)}).ID)
			want := w.view(id, x.format, o)
			got := w.file(key)
			sum := sha256.Sum256(want)
			if !bytes.Equal(got, want) {
				t.Errorf("%s: %d bytes in the bucket, a download has %d", x.format, len(got), len(want))
			}
			if m := e.Manifest; m.SHA256 != hex.EncodeToString(sum[:]) || m.Size != int64(len(want)) || m.Image.ID != id || m.Image.Name != "disk one" || e.Sent != int64(len(want)) {
				t.Errorf("%s: %+v, %+v", x.format, e, m)
			}
			back, err := w.images.Create(t.Context(), alice, images.NewImage{Name: "mine"})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.images.ImportBucket(t.Context(), alice, back.ID, images.BucketImport{At: *here(key)}); err != nil {
				t.Fatal(err)
			}
			img := w.active(back.ID)
			if img.Name != "mine" || img.Properties["os_distro"] != "debian" || img.MinRAM != 512 || len(img.Tags) != 1 {
				t.Errorf("%s: came back as %+v", x.format, img)
			}
			if disk := w.view(back.ID, "raw", images.ViewOptions{}); !bytes.Equal(disk, data) {
				t.Errorf("%s: another disk came back, %d bytes", x.format, len(disk))
			}
		}
		// Without its manifest an object is what its bytes are, and called as it is;
		// with one it must be what that says.
		for _, plain := range []bool{true, false} {
			if f, err := os.OpenFile(filepath.Join(w.s3.Folder(w.s3.Bucket), "out/disk.qcow2"), os.O_WRONLY, 0); err != nil {
				t.Fatal(err)
			} else if _, err := f.WriteAt([]byte{1}, 5<<20); err != nil || f.Close() != nil {
				t.Fatal(err)
			}
			back, err := w.images.Create(t.Context(), alice, images.NewImage{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.images.ImportBucket(t.Context(), alice, back.ID, images.BucketImport{At: *here("out/disk.qcow2"), Plain: plain}); err != nil {
				t.Fatal(err)
			}
			if plain {
				if img := w.active(back.ID); img.Name != "disk" || img.DiskFormat != "qcow2" || len(img.Properties) != 0 {
					t.Errorf("a plain object came as %+v", img)
				}
				continue
			}
			if img := w.refused(back.ID); img.LastFailure.Code != kuva.CodeDigest {
				t.Errorf("an object that is not its manifest's: %+v", img.LastFailure)
			}
		}
		w.clean()
	})
}

// refused waits for the end of an import that fails.
func (w *world) refused(id string) *kuva.Image {
	w.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		img, err := w.images.Show(w.t.Context(), alice, id)
		if err != nil {
			w.t.Fatal(err)
		}
		if img.Status == kuva.StatusQueued && img.LastFailure != nil {
			return img
		}
		if img.Status == kuva.StatusActive || time.Now().After(end) {
			w.t.Fatalf("the image is %s", img.Status)
		}
	}
}

func (w *world) active(id string) *kuva.Image {
	w.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		img, err := w.images.Show(w.t.Context(), alice, id)
		if err != nil {
			w.t.Fatal(err)
		}
		if img.Status == kuva.StatusActive {
			return img
		}
		if img.Status != kuva.StatusImporting || time.Now().After(end) {
			w.t.Fatalf("the image is %s: %+v", img.Status, img.LastFailure)
		}
	}
}

// TestSigned: a signed PUT and signed parts get the same bytes, compressed ones
// too.
func TestSigned(t *testing.T) {
	each(t, func(w *world) {
		ctx := t.Context()
		data := content(17 << 20)
		id := w.image(data)
		sign := func(method, key string, q url.Values) string {
			u, err := w.s3.Client().Presign(ctx, method, w.s3.Bucket, key, time.Hour, q)
			if err != nil {
				t.Fatal(err)
			}
			return u.String()
		}
		for _, compress := range []bool{false, true} {
			format := map[bool]string{false: "qcow2", true: "raw.gz"}[compress]
			o := images.ViewOptions{Compress: compress}
			want := w.view(id, format, o)
			one := "put." + format
			e := w.done(w.start(export.Wanted{Image: id, Format: format, View: o, Signed: &export.Signed{Put: sign("PUT", one, nil)}}).ID)
			if got := w.file(one); !bytes.Equal(got, want) || e.Manifest.Size != int64(len(want)) {
				t.Errorf("%s by PUT: %d bytes of %d", format, len(got), len(want))
			}
			many := "parts." + format
			core := minio.Core{Client: w.s3.Client()}
			upload, err := core.NewMultipartUpload(ctx, w.s3.Bucket, many, minio.PutObjectOptions{})
			if err != nil {
				t.Fatal(err)
			}
			g := &export.Signed{
				Complete: sign("POST", many, url.Values{"uploadId": {upload}}),
				Abort:    sign("DELETE", many, url.Values{"uploadId": {upload}}),
			}
			for n := 1; n <= 4; n++ {
				g.Parts = append(g.Parts, sign("PUT", many, url.Values{"uploadId": {upload}, "partNumber": {strconv.Itoa(n)}}))
			}
			w.done(w.start(export.Wanted{Image: id, Format: format, View: o, Signed: g}).ID)
			if got := w.file(many); !bytes.Equal(got, want) {
				t.Errorf("%s in parts: %d bytes of %d", format, len(got), len(want))
			}
		}
		e := w.ended(w.start(export.Wanted{Image: id, Signed: &export.Signed{Put: sign("GET", "x", nil)}}).ID)
		if e.State != "failed" || e.Code != kuva.CodeConflict || strings.Contains(e.Sentence, "Signature") {
			t.Errorf("an address for another method: %+v", e)
		}
		w.clean()
	})
}

// TestRefused: what is told before anything is sent.
func TestRefused(t *testing.T) {
	each(t, func(w *world) {
		ctx := t.Context()
		id := w.image(content(1 << 20))
		w.done(w.start(export.Wanted{Image: id, Bucket: here("taken")}).ID)
		own := &images.BucketObject{Endpoint: w.s3.Endpoint, Region: w.s3.Region, Bucket: w.s3.Bucket, Object: "own"}
		for name, c := range map[string]struct {
			p    kuva.Principal
			x    export.Wanted
			code kuva.Code
		}{
			"taken":            {alice, export.Wanted{Image: id, Bucket: here("taken")}, kuva.CodeConflict},
			"reader":           {rita, export.Wanted{Image: id, Bucket: here("x")}, kuva.CodeForbidden},
			"another's image":  {bob, export.Wanted{Image: id, Bucket: here("x")}, kuva.CodeNotFound},
			"no target":        {alice, export.Wanted{Image: id}, kuva.CodeInvalid},
			"no such format":   {alice, export.Wanted{Image: id, Format: "floppy", Bucket: here("x")}, kuva.CodeInvalid},
			"inside":           {alice, export.Wanted{Image: id, Signed: &export.Signed{Put: "http://10.0.0.1/x"}}, kuva.CodeInvalid},
			"two hosts":        {alice, export.Wanted{Image: id, Signed: &export.Signed{Parts: []string{w.s3.Endpoint + "/a"}, Complete: strings.Replace(w.s3.Endpoint, "127.0.0.1", "127.0.0.2", 1)}}, kuva.CodeInvalid},
			"odd encryption":   {alice, export.Wanted{Image: id, Bucket: here("x"), Sealed: "rot13"}, kuva.CodeInvalid},
			"no such bucket":   {alice, export.Wanted{Image: id, Bucket: &images.BucketObject{Name: "there", Object: "x"}}, kuva.CodeNotFound},
			"keys to a signed": {alice, export.Wanted{Image: id, Keys: images.BucketKeys{Access: "a", Secret: "b"}, Signed: &export.Signed{Put: w.s3.Endpoint}}, kuva.CodeInvalid},
		} {
			if _, err := w.exports.Start(ctx, c.p, c.x); kuva.CodeOf(err) != c.code {
				t.Errorf("%s: %v", name, err)
			}
		}
		// A bucket of the caller's own is asked by the job.
		keys := images.BucketKeys{Access: w.s3.Access, Secret: w.s3.Secret}
		w.done(w.start(export.Wanted{Image: id, Bucket: own, Keys: keys}).ID)
		for name, x := range map[string]export.Wanted{
			"taken":      {Image: id, Bucket: own, Keys: keys},
			"wrong keys": {Image: id, Bucket: &images.BucketObject{Endpoint: own.Endpoint, Region: own.Region, Bucket: own.Bucket, Object: "y"}, Keys: images.BucketKeys{Access: w.s3.Access, Secret: "c4n4ry-wrong"}},
		} {
			e := w.ended(w.start(x).ID)
			if e.State != "failed" || e.Code != kuva.CodeConflict || e.Sentence == "" || e.Attempt != 1 {
				t.Errorf("%s: %+v", name, e)
			}
		}
		w.done(w.start(export.Wanted{Image: id, Bucket: own, Keys: keys, Overwrite: true}).ID)
		// Keys are nowhere to be read.
		var rows int
		err := w.db.View(ctx, func(tx *catalog.Tx) error {
			return tx.QueryRow(ctx, `SELECT count(*) FROM export e, job j WHERE e.secret || e.spec || e.result || e.sentence || j.args || j.sentence LIKE $1`, "%"+w.s3.Secret+"%").Scan(&rows)
		})
		if err != nil || rows > 0 {
			t.Errorf("the secret key stands in %d rows, %v", rows, err)
		}
		if list, err := w.exports.List(ctx, bob, export.Query{}); err != nil || len(list) != 0 {
			t.Errorf("bob sees %d exports, %v", len(list), err)
		}
		if list, err := w.exports.List(ctx, alice, export.Query{Image: id, Limit: 2}); err != nil || len(list) != 2 {
			t.Errorf("alice sees %d exports, %v", len(list), err)
		}
		w.clean()
	})
}

// slowly lets requests through to the S3 server; before is asked for each.
func slowly(t *testing.T, s3 *s3server.Server, before func(w http.ResponseWriter, r *http.Request) bool) string {
	t.Helper()
	u, err := url.Parse(s3.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	through := &httputil.ReverseProxy{ErrorLog: log.New(io.Discard, "", 0), Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(u); r.Out.Host = r.In.Host }}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if before(w, r) {
			through.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// TestCancel: an export that is cancelled while parts are under way ends within
// two seconds, and so does one of an image that goes on being exported after
// it was deleted; nothing is left.
func TestCancel(t *testing.T) {
	s3 := s3server.Start(t)
	hold, parts := make(chan struct{}), make(chan struct{}, 100)
	address := slowly(t, s3, func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("partNumber") > "1" {
			parts <- struct{}{}
			select {
			case <-hold:
			case <-r.Context().Done():
			}
		}
		return true
	})
	w := start(t, catalogtest.SQLite(t), s3, address)
	data := content(25 << 20)
	id := w.image(data)
	e := w.start(export.Wanted{Image: id, Bucket: here("x")})
	<-parts
	began := time.Now()
	if _, err := w.exports.Cancel(t.Context(), alice, e.ID); err != nil {
		t.Fatal(err)
	}
	if got := w.ended(e.ID); got.State != "cancelled" || time.Since(began) > 2*time.Second {
		t.Errorf("after %v it is %s: %s", time.Since(began), got.State, got.Sentence)
	}
	if _, err := w.exports.Cancel(t.Context(), alice, e.ID); kuva.CodeOf(err) != kuva.CodeConflict {
		t.Errorf("cancelled twice: %v", err)
	}
	if w.file("x") != nil {
		t.Error("the object is there")
	}
	w.clean()

	e = w.start(export.Wanted{Image: id, Bucket: here("y")})
	<-parts
	if err := w.images.Delete(t.Context(), alice, id); err != nil {
		t.Fatal(err)
	}
	close(hold)
	w.done(e.ID)
	if !bytes.Equal(w.file("y"), data) {
		t.Error("the export of a deleted image is not whole")
	}
	w.clean()
}

// TestFaults: storms are outlived, and what does not pass leaves nothing.
func TestFaults(t *testing.T) {
	s3 := s3server.Start(t)
	var mode atomic.Value
	mode.Store("")
	var calls atomic.Int64
	var forgotten atomic.Value
	forget := func() {
		_ = (minio.Core{Client: s3.Client()}).AbortMultipartUpload(context.Background(), s3.Bucket, "forgetful", forgotten.Load().(string))
	}
	address := slowly(t, s3, func(w http.ResponseWriter, r *http.Request) bool {
		switch mode.Load() {
		case "storm":
			if calls.Add(1)%3 != 0 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return false
			}
		case "lost":
			if r.URL.Query().Has("partNumber") && calls.Add(1)%2 == 1 {
				_, _ = io.CopyN(io.Discard, r.Body, 100<<10)
				panic(http.ErrAbortHandler)
			}
		case "forgetful": // the upload is gone
			if r.URL.Query().Has("partNumber") && calls.Add(1) == 2 {
				for u := range s3.Client().ListIncompleteUploads(context.Background(), s3.Bucket, "", true) {
					forgotten.Store(u.UploadID)
					forget()
				}
			}
		case "denied":
			if r.URL.Query().Has("partNumber") {
				w.WriteHeader(http.StatusForbidden)
				return false
			}
		}
		return true
	})
	w := start(t, catalogtest.SQLite(t), s3, address)
	data := content(25 << 20)
	id := w.image(data)
	for _, m := range []string{"storm", "lost", "forgetful"} {
		calls.Store(0)
		mode.Store(m)
		var e *export.Export
		for try := 0; ; try++ { // the checks before the start answer themselves
			var err error
			if e, err = w.exports.Start(t.Context(), alice, export.Wanted{Image: id, Bucket: here(m)}); err == nil {
				break
			}
			if kuva.CodeOf(err) != kuva.CodeUnavailable || try == 20 {
				t.Fatal(err)
			}
		}
		w.done(e.ID)
		if !bytes.Equal(w.file(m), data) {
			t.Errorf("%s: the object is not whole", m)
		}
	}
	forget() // a part that was under way then may have brought the upload back
	mode.Store("denied")
	e := w.ended(w.start(export.Wanted{Image: id, Bucket: here("denied")}).ID)
	if e.State != "failed" || e.Code != kuva.CodeConflict || w.file("denied") != nil {
		t.Errorf("%+v", e)
	}
	mode.Store("")
	w.clean()
}
