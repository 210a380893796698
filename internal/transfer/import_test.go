package transfer_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kuva"
	"kuva/internal/blob/mem"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
	"kuva/internal/depot"
	"kuva/internal/depot/keyfile"
	"kuva/internal/images"
	"kuva/internal/job"
	"kuva/internal/transfer"
	"kuva/internal/transfer/fetch"
)

var alice = kuva.Principal{UserID: "alice", ProjectID: "blue", Roles: []string{"member"}}

// world is the use cases with a fetcher that reaches one server.
type world struct {
	*images.Service

	t     *testing.T
	db    *catalog.DB
	depot *depot.Depot
	url   string
}

const (
	whole = 1 << 20
	part  = 256 << 10
)

func start(t *testing.T, db *catalog.DB, h http.Handler, change ...func(*images.Config)) *world {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	web := fetch.New(fetch.Config{
		Ports: []uint16{uint16(port)}, AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Connect: 2 * time.Second, Header: time.Second, Idle: 200 * time.Millisecond, Window: time.Second, Failure: 50 * time.Millisecond, Resumes: 3, Log: log,
	})
	keys, err := keyfile.Open(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := depot.Open(t.Context(), depot.Config{DB: db, Store: mem.New(1), Keys: keys, Node: "test", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	cfg := images.Config{DB: db, Depot: d, Log: log, Import: images.ImportConfig{Web: transfer.Opener{Fetcher: web}, FetchWhole: whole, FetchPart: part}}
	for _, c := range change {
		c(&cfg)
	}
	w := &world{Service: images.New(cfg), t: t, db: db, depot: d, url: srv.URL}
	jobs, err := job.Open(job.Config{
		DB: db, Node: "test", Log: log, Handlers: w.Handlers(), Poll: 50 * time.Millisecond,
		Pause: func(int64) time.Duration { return 50 * time.Millisecond },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Start(t.Context(), jobs); err != nil {
		t.Fatal(err)
	}
	if err := jobs.Start(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background() // the test's own has ended
		if err := jobs.Stop(ctx); err != nil {
			t.Errorf("stop jobs: %v", err)
		}
		if err := w.Close(ctx); err != nil {
			t.Errorf("close images: %v", err)
		}
	})
	return w
}

// fetch begins an import of a new image.
func (w *world) fetch(in images.URLImport, change ...func(*images.NewImage)) string {
	w.t.Helper()
	n := images.NewImage{Name: "disk", DiskFormat: "raw", ContainerFormat: "bare"}
	for _, c := range change {
		c(&n)
	}
	img, err := w.Create(w.t.Context(), alice, n)
	if err != nil {
		w.t.Fatal(err)
	}
	if in.URL == "" {
		in.URL = w.url + "/disk"
	}
	if _, err := w.ImportURL(w.t.Context(), alice, img.ID, in); err != nil {
		w.t.Fatal(err)
	}
	return img.ID
}

// ended waits until the import has.
func (w *world) ended(id string) *kuva.Image {
	w.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		img, err := w.Show(w.t.Context(), alice, id)
		if err != nil {
			w.t.Fatal(err)
		}
		if img.Status == kuva.StatusActive || img.Status == kuva.StatusQueued && img.LastFailure != nil {
			return img
		}
		if time.Now().After(end) {
			w.t.Fatalf("the import takes for ever: %+v", img)
		}
	}
}

// brought waits for the import's good end and compares what came.
func (w *world) brought(id string, want []byte) {
	w.t.Helper()
	if img := w.ended(id); img.Status != kuva.StatusActive {
		w.t.Errorf("%s: %+v", img.Status, img.LastFailure)
		return
	}
	c, err := w.Download(w.t.Context(), alice, id)
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := c.Reader(w.t.Context(), 0, c.Size())
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // it was only read
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, want) {
		w.t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
	}
}

// failed waits for the import's bad end and holds the reason to its words.
func (w *world) failed(id string, code kuva.Code, words string) {
	w.t.Helper()
	img := w.ended(id)
	if img.Status != kuva.StatusQueued || img.LastFailure.Code != code || !strings.Contains(img.LastFailure.Sentence, words) {
		w.t.Errorf("%s: %+v", img.Status, img.LastFailure)
	}
}

// nothing is left: no bytes held, no parts, and the store holds live bytes of
// no object.
func (w *world) nothing() {
	w.t.Helper()
	ctx := w.t.Context()
	_, use, err := w.Quota(ctx, alice, "blue")
	if err != nil || use.Bytes != 0 || use.Reserved != 0 || use.Uploads != 0 {
		w.t.Errorf("the project holds %+v, %v", use, err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		var parts int
		err := w.db.View(ctx, func(tx *catalog.Tx) error {
			return tx.QueryRow(ctx, `SELECT COUNT(*) FROM upload_part`).Scan(&parts)
		})
		if err == nil && parts == 0 {
			break
		}
		if time.Now().After(end) {
			w.t.Fatalf("%d parts are left, %v", parts, err)
		}
	}
	for range 3 {
		if _, err := w.depot.Collect(ctx, depot.CollectOptions{Compact: true}); err != nil {
			w.t.Fatal(err)
		}
	}
	if left, err := w.depot.Totals(ctx); err != nil || left.Live.Bytes != 0 {
		w.t.Errorf("the store holds %+v, %v", left, err)
	}
}

func noise(n int, seed uint64) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 9))
	for i := 0; i+8 <= n; i += 8 {
		v := r.Uint64()
		for k := range 8 {
			b[i+k] = byte(v >> (8 * k))
		}
	}
	return b
}

func serve(rw http.ResponseWriter, r *http.Request, tag string, content []byte) {
	rw.Header().Set("ETag", tag)
	http.ServeContent(rw, r, "", time.Time{}, bytes.NewReader(content))
}

// breaking cuts an answer off after so many bytes.
type breaking struct {
	http.ResponseWriter
	left int
}

func (b *breaking) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		panic(http.ErrAbortHandler)
	}
	return b.ResponseWriter.Write(p)
}

// TestFetchServers (S-215): what servers do to large content, and what becomes
// of it.
func TestFetchServers(t *testing.T) {
	content, other := noise(5<<20+333, 1), noise(4<<20+111, 2)
	for name, c := range map[string]struct {
		h    func(rw http.ResponseWriter, r *http.Request, n int64) // the request's number, from 1
		want []byte
		code kuva.Code
		says string
	}{
		"well": {h: func(rw http.ResponseWriter, r *http.Request, n int64) { serve(rw, r, `"1"`, content) }, want: content},
		"cut again and again": {h: func(rw http.ResponseWriter, r *http.Request, n int64) {
			serve(&breaking{rw, 300_000}, r, `"1"`, content)
		}, want: content},
		"changes once": {h: func(rw http.ResponseWriter, r *http.Request, n int64) {
			if n < 4 {
				serve(rw, r, `"1"`, content)
			} else {
				serve(rw, r, `"2"`, other)
			}
		}, want: other},
		"changes all the time": {h: func(rw http.ResponseWriter, r *http.Request, n int64) {
			serve(rw, r, fmt.Sprintf(`"%d"`, n), content)
		}, code: kuva.CodeConflict, says: "changed"},
		"ignores ranges": {h: func(rw http.ResponseWriter, r *http.Request, n int64) {
			rw.Header().Set("Accept-Ranges", "bytes")
			rw.Header().Set("ETag", `"1"`)
			rw.Header().Set("Content-Length", strconv.Itoa(len(content)))
			_, _ = rw.Write(content)
		}, want: content},
		"says no ranges": {h: func(rw http.ResponseWriter, r *http.Request, n int64) {
			rw.Header().Set("Content-Length", strconv.Itoa(len(content)))
			_, _ = rw.Write(content)
		}, want: content},
		"no length": {h: func(rw http.ResponseWriter, r *http.Request, n int64) {
			rw.Header().Set("ETag", `"1"`)
			rw.(http.Flusher).Flush()
			_, _ = rw.Write(content)
		}, want: content},
		"one connection at a time": {h: func() func(http.ResponseWriter, *http.Request, int64) {
			var busy atomic.Bool
			return func(rw http.ResponseWriter, r *http.Request, n int64) {
				if !busy.CompareAndSwap(false, true) {
					rw.WriteHeader(http.StatusServiceUnavailable)
					return
				}
				defer busy.Store(false)
				serve(rw, r, `"1"`, content)
			}
		}(), want: content},
		"gone in the middle": {h: func(rw http.ResponseWriter, r *http.Request, n int64) {
			if n > 3 {
				rw.WriteHeader(http.StatusNotFound)
				return
			}
			serve(&breaking{rw, 300_000}, r, `"1"`, content)
		}, code: kuva.CodeUnavailable, says: "broke off"},
		"lies about the range": {h: func(rw http.ResponseWriter, r *http.Request, n int64) {
			if r.Header.Get("Range") != "" {
				r.Header.Set("Range", "bytes=0-1000")
			}
			serve(rw, r, `"1"`, content)
		}, want: content},
		"another server's bytes": {h: func(rw http.ResponseWriter, r *http.Request, n int64) {
			if r.Header.Get("Range") != "" {
				serve(rw, r, `"1"`, other)
				return
			}
			serve(rw, r, `"1"`, content)
		}, want: content},
		"never an end": {h: func(rw http.ResponseWriter, r *http.Request, n int64) {
			for r.Context().Err() == nil {
				_, _ = rw.Write(make([]byte, 64<<10))
			}
		}, code: kuva.CodeTooLarge, says: ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int64
			site := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { c.h(rw, r, n.Add(1)) })
			w := start(t, catalogtest.SQLite(t), site, func(c *images.Config) {
				c.DefaultQuota = kuva.DefaultQuota
				c.DefaultQuota.ImageSize = 20 << 20
			})
			id := w.fetch(images.URLImport{})
			if c.want != nil {
				w.brought(id, c.want)
			} else {
				w.failed(id, c.code, c.says)
			}
			if err := w.Delete(t.Context(), alice, id); err != nil {
				t.Fatal(err)
			}
			w.nothing()
		})
	}
}

// TestFetchRoom (S-141): space is reserved before the bytes travel, and given
// back.
func TestFetchRoom(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		content := noise(5<<20, 1)
		var sent atomic.Int64
		held, once := make(chan struct{}), sync.Once{}
		w := start(t, db, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("ETag", `"1"`)
			if r.URL.Path == "/held" && r.Header.Get("Range") != "" {
				once.Do(func() { close(held) })
				<-r.Context().Done()
			}
			if r.Header.Get("Range") != "" {
				sent.Add(1)
			}
			http.ServeContent(rw, r, "", time.Time{}, bytes.NewReader(content))
		}), func(c *images.Config) {
			c.DefaultQuota = kuva.DefaultQuota
			c.DefaultQuota.Bytes = 6 << 20
		})
		id := w.fetch(images.URLImport{})
		w.brought(id, content)
		before := sent.Load()
		full := w.fetch(images.URLImport{})
		w.failed(full, kuva.CodeQuota, "")
		if sent.Load() != before {
			t.Error("it was fetched all the same")
		}
		if err := w.Delete(t.Context(), alice, id); err != nil {
			t.Fatal(err)
		}
		// One that is deleted in the middle.
		mid := w.fetch(images.URLImport{URL: w.url + "/held"})
		<-held
		if _, use, err := w.Quota(t.Context(), alice, "blue"); err != nil || use.Reserved != int64(len(content)) {
			t.Errorf("reserved: %+v, %v", use, err)
		}
		if err := w.Delete(t.Context(), alice, mid); err != nil {
			t.Fatal(err)
		}
		drift, err := w.CheckQuotas(t.Context())
		if err != nil || len(drift) > 0 {
			t.Errorf("quotas drifted: %+v, %v", drift, err)
		}
	})
}

// TestFetchPacked: what is packed comes out, small or in parts; bombs, several
// disks and wrong digests do not.
func TestFetchPacked(t *testing.T) {
	disk := noise(3<<20, 5)
	copy(disk[510:], "\x55\xaa")
	tarred := func(files map[string][]byte) []byte {
		var b bytes.Buffer
		tw := tar.NewWriter(&b)
		for name, content := range files {
			if err := tw.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Mode: 0o644, Format: tar.FormatUSTAR}); err != nil {
				t.Fatal(err)
			}
			_, _ = tw.Write(content)
		}
		_ = tw.Close()
		return b.Bytes()
	}
	gzipped := func(content []byte) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write(content)
		_ = z.Close()
		return b.Bytes()
	}
	one := tarred(map[string][]byte{"README": []byte("x"), "disk.raw": disk})
	empty := make([]byte, 100<<20)
	copy(empty[50<<20:], disk[:1<<20])
	files := map[string][]byte{
		"/one.tar": one, "/one.tar.gz": gzipped(one), "/disk.gz": gzipped(disk), "/empty.gz": gzipped(empty),
		"/two.tar":      tarred(map[string][]byte{"a.raw": disk, "b.raw": disk}),
		"/bomb.gz":      gzipped(bytes.Repeat([]byte("a"), 70<<20)),
		"/bomb.tar.gz":  gzipped(tarred(map[string][]byte{"a.raw": bytes.Repeat([]byte("a"), 70<<20)})),
		"/large.gz":     gzipped(make([]byte, 130<<20)),
		"/half.tar.gz":  gzipped(one)[:2<<20],
		"/secret":       append([]byte("Salted__"), disk...),
		"/secret.tar":   tarred(map[string][]byte{"a.raw": append([]byte("LUKS\xba\xbe\x00\x02"), disk...)}),
		"/nothing.tar":  tarred(map[string][]byte{"a": []byte("a"), "b": []byte("b")}),
		"/members.tar":  tarred(many(20_000)),
		"/../../up.tar": nil,
	}
	w := start(t, catalogtest.SQLite(t), http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		serve(rw, r, `"1"`, files[r.URL.Path])
	}), func(c *images.Config) {
		c.DefaultQuota = kuva.DefaultQuota
		c.DefaultQuota.ImageSize = 120 << 20
	})
	for path, want := range map[string][]byte{"/one.tar": disk, "/one.tar.gz": disk, "/disk.gz": disk, "/empty.gz": empty} {
		id := w.fetch(images.URLImport{URL: w.url + path})
		w.brought(id, want)
		if err := w.Delete(t.Context(), alice, id); err != nil {
			t.Error(err)
		}
	}
	second := w.fetch(images.URLImport{URL: w.url + "/two.tar", Disk: 2})
	w.brought(second, disk)
	exact := w.fetch(images.URLImport{URL: w.url + "/one.tar", Exact: true})
	w.brought(exact, one)
	ova := w.fetch(images.URLImport{URL: w.url + "/one.tar"}, func(n *images.NewImage) { n.ContainerFormat, n.DiskFormat = "ova", "vmdk" })
	w.brought(ova, one)
	for path, c := range map[string]struct {
		code kuva.Code
		says string
	}{
		"/two.tar":     {kuva.CodeUnsupported, "several disks"},
		"/bomb.gz":     {kuva.CodeUnsupported, "no zeros"},
		"/bomb.tar.gz": {kuva.CodeUnsupported, "no zeros"},
		"/large.gz":    {kuva.CodeTooLarge, "125829120"},
		"/half.tar.gz": {kuva.CodeUnsupported, "cut off"},
		"/secret":      {kuva.CodeUnsupported, "openssl"},
		"/secret.tar":  {kuva.CodeUnsupported, "LUKS"},
		"/nothing.tar": {kuva.CodeUnsupported, "no file that is a disk"},
		"/members.tar": {kuva.CodeUnsupported, "10000 members"},
	} {
		id := w.fetch(images.URLImport{URL: w.url + path})
		img := w.ended(id)
		if img.Status != kuva.StatusQueued || img.LastFailure.Code != c.code || !strings.Contains(img.LastFailure.Sentence, c.says) {
			t.Errorf("%s: %s, %+v", path, img.Status, img.LastFailure)
		}
	}
	for _, id := range []string{second, exact, ova} {
		if err := w.Delete(t.Context(), alice, id); err != nil {
			t.Error(err)
		}
	}
	w.nothing()
}

// many small files.
func many(n int) map[string][]byte {
	out := map[string][]byte{}
	for i := range n {
		out[strconv.Itoa(i)] = nil
	}
	return out
}

// TestFetchProgress: the job tells how far it is and how quickly it gets on.
func TestFetchProgress(t *testing.T) {
	content := noise(12<<20, 1)
	w := start(t, catalogtest.SQLite(t), http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		serve(&slow{ResponseWriter: rw, every: 10 * time.Millisecond}, r, `"1"`, content)
	}))
	id := w.fetch(images.URLImport{})
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		jobs, err := w.Jobs(t.Context(), alice, images.JobQuery{Image: id})
		if err != nil || len(jobs) == 0 || jobs[0].State.Final() || time.Now().After(end) {
			t.Fatalf("never a rate: %+v, %v", jobs, err)
		}
		if j := jobs[0]; j.Rate > 0 {
			if j.Unit != "bytes" || j.Total != int64(len(content)) || j.Done <= 0 || j.Rate > 100<<20 {
				t.Errorf("%d of %d %s, %d a second", j.Done, j.Total, j.Unit, j.Rate)
			}
			break
		}
	}
	w.brought(id, content)
}

// slow writes a piece now and then.
type slow struct {
	http.ResponseWriter

	every time.Duration
}

func (s *slow) Write(p []byte) (int, error) {
	time.Sleep(s.every)
	return s.ResponseWriter.Write(p)
}
