package images_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kuva"
	"kuva/internal/blob/mem"
	"kuva/internal/catalog"
	"kuva/internal/images"
)

// slow hands out what is written to its other end.
func slow() (*io.PipeReader, *io.PipeWriter) { return io.Pipe() }

// failed expects an image that is queued again, holds nothing and says why.
func (w *world) failed(id string, code kuva.Code, received int64) {
	w.t.Helper()
	img := w.show(alice, id)
	f := img.LastFailure
	if img.Status != kuva.StatusQueued || f == nil || f.Code != code || f.Sentence == "" || f.At.IsZero() || received >= 0 && f.Received != received {
		w.t.Fatalf("after a failed upload: %s, %+v", img.Status, f)
	}
	if _, use, err := w.Quota(ctx, root, "a"); err != nil || use.Reserved != 0 || use.Uploads != 0 || use.Bytes != 0 {
		w.t.Fatalf("space is not given back: %+v %v", use, err)
	}
}

// TestBrokenUploads breaks uploads in every way, into one and the same image,
// which takes a good one at last.
func TestBrokenUploads(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		content := random(1<<20+3, 3)
		n := int64(len(content))
		sum := sha256.Sum256(content)
		wrong := sha256.Sum256(nil)
		img := w.create(alice, images.NewImage{})
		broken := errors.New("connection reset by peer")
		revoked := kuva.E(kuva.CodeUnauthenticated, "identity.unauthenticated")
		for _, c := range []struct {
			name     string
			src      images.Source
			code     kuva.Code
			received int64
		}{
			{"shorter", images.Source{Content: bytes.NewReader(content), Size: n + 1}, kuva.CodeInvalid, n},
			{"longer", images.Source{Content: bytes.NewReader(content), Size: n - 1}, kuva.CodeInvalid, n},
			{"much longer", images.Source{Content: bytes.NewReader(content), Size: 1000}, kuva.CodeInvalid, 1001},
			{"longer than nothing", images.Source{Content: bytes.NewReader(content), Size: 0}, kuva.CodeInvalid, 1},
			{"torn", images.Source{Content: io.MultiReader(bytes.NewReader(content[:5000]), failing{io.ErrUnexpectedEOF}), Size: n}, kuva.CodeInvalid, 5000},
			{"torn, of unknown length", images.Source{Content: io.MultiReader(bytes.NewReader(content[:5000]), failing{io.ErrUnexpectedEOF}), Size: -1}, kuva.CodeInvalid, 5000},
			{"reset", images.Source{Content: io.MultiReader(bytes.NewReader(content), failing{broken}), Size: -1}, kuva.CodeCancelled, n},
			{"revoked", images.Source{Content: io.MultiReader(bytes.NewReader(content), failing{revoked}), Size: n}, kuva.CodeUnauthenticated, n},
			{"other digest", images.Source{Content: bytes.NewReader(content), Size: n, Digests: []images.Digest{{Algo: "sha256", Sum: wrong[:]}}}, kuva.CodeDigest, n},
			{"too large", images.Source{Content: io.LimitReader(zeros{}, 5<<20), Size: -1}, kuva.CodeTooLarge, 4<<20 + 1},
			{"never ending nothing", images.Source{Content: failing{nil}, Size: -1}, kuva.CodeCancelled, 0},
		} {
			_, err := w.Ingest(ctx, alice, img.ID, c.src)
			if kuva.CodeOf(err) != c.code {
				t.Fatalf("%s: %v, want %s", c.name, err, c.code)
			}
			want(t, err, c.code)
			w.failed(img.ID, c.code, c.received)
		}
		// Refused before the first byte: the failure before stays.
		for _, c := range []struct {
			src  images.Source
			code kuva.Code
		}{
			{images.Source{Content: failing{broken}, Size: 4<<20 + 1}, kuva.CodeTooLarge},
			{images.Source{Content: failing{broken}, Size: 1, Digests: []images.Digest{{Algo: "crc32", Sum: []byte{1}}}}, kuva.CodeInvalid},
			{images.Source{Content: failing{broken}, Size: 1, Digests: []images.Digest{{Algo: "md5", Sum: []byte{1}}}}, kuva.CodeInvalid},
		} {
			_, err := w.Ingest(ctx, alice, img.ID, c.src)
			want(t, err, c.code)
		}
		bare, err := w.Create(ctx, alice, images.NewImage{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Ingest(ctx, alice, bare.ID, images.Source{Content: strings.NewReader("x"), Size: 1})
		want(t, err, kuva.CodeInvalid)
		_, err = w.Ingest(ctx, reader, img.ID, images.Source{Content: strings.NewReader("x"), Size: 1})
		want(t, err, kuva.CodeForbidden)

		got, err := w.Ingest(ctx, alice, img.ID, images.Source{
			Content: bytes.NewReader(content), Size: n, Digests: []images.Digest{{Algo: "sha256", Sum: sum[:]}}, Origin: kuva.OriginImported,
		})
		if err != nil || got.LastFailure != nil || got.Origin != kuva.OriginImported || got.Version != 2 {
			t.Fatalf("%+v %v", got, err)
		}
		if !bytes.Equal(w.read(alice, img.ID), content) {
			t.Fatal("other bytes")
		}
		empty := w.filled(alice, images.NewImage{}, nil)
		if empty.Size != 0 || len(w.read(alice, empty.ID)) != 0 {
			t.Fatalf("%+v", empty)
		}
	}, func(c *images.Config) {
		c.DefaultQuota = kuva.DefaultQuota
		c.DefaultQuota.ImageSize = 4 << 20
	})
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestSenderGoes(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		img := w.create(alice, images.NewImage{})
		r, p := slow()
		sender, leave := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() {
			_, err := w.Ingest(sender, alice, img.ID, images.Source{Content: r, Size: -1})
			_ = r.Close()
			done <- err
		}()
		if _, err := p.Write(random(100_000, 1)); err != nil {
			t.Fatal(err)
		}
		if s := w.show(alice, img.ID).Status; s != kuva.StatusSaving {
			t.Fatalf("while it is filled it is %s", s)
		}
		// A second upload into the same image.
		_, err := w.Ingest(ctx, alice, img.ID, images.Source{Content: strings.NewReader("x"), Size: 1})
		want(t, err, kuva.CodeConflict)
		leave()
		_ = p.CloseWithError(context.Canceled)
		want(t, <-done, kuva.CodeCancelled)
		w.failed(img.ID, kuva.CodeCancelled, 100_000)
	})
}

// TestDeleteDuringUpload: the delete does not wait for the sender, and nothing
// of the upload stays.
func TestDeleteDuringUpload(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, blocked := range []bool{true, false} {
			img := w.create(alice, images.NewImage{})
			r, p := slow()
			done := make(chan error, 1)
			var asked atomic.Bool
			go func() {
				src := images.Source{Content: r, Size: -1}
				if blocked { // the sender stands still; whoever feeds us can wake it
					src.Interrupt = func() { asked.Store(true); _ = p.CloseWithError(errors.New("deadline")) }
				}
				_, err := w.Ingest(ctx, alice, img.ID, src)
				_ = r.Close() // as a server does with a body that nobody reads
				done <- err
			}()
			if _, err := p.Write(random(300_000, 1)); err != nil {
				t.Fatal(err)
			}
			if err := w.Delete(ctx, alice, img.ID); err != nil {
				t.Fatal(err)
			}
			if _, use, _ := w.Quota(ctx, alice, "a"); use != (images.QuotaUse{}) {
				t.Fatalf("a deleted image holds %+v", use)
			}
			if !blocked {
				_, _ = p.Write(random(300_000, 1))
				_ = p.Close()
			}
			want(t, <-done, kuva.CodeGone)
			if asked.Load() != blocked {
				t.Fatal("the source was not interrupted")
			}
			if _, use, _ := w.Quota(ctx, alice, "a"); use != (images.QuotaUse{}) {
				t.Fatalf("afterwards: %+v", use)
			}
			_, err := w.Show(ctx, alice, img.ID)
			want(t, err, kuva.CodeNotFound)
		}
	})
}

// TestDeletedElsewhere: another node deletes the image; this one finds out at
// its commit.
func TestDeletedElsewhere(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		other := images.New(images.Config{DB: w.db, Depot: w.depot, Now: w.now})
		img := w.create(alice, images.NewImage{})
		r, p := slow()
		done := make(chan error, 1)
		go func() {
			_, err := w.Ingest(ctx, alice, img.ID, images.Source{Content: r, Size: 300_000})
			_ = r.Close()
			done <- err
		}()
		if _, err := p.Write(random(300_000, 1)); err != nil {
			t.Fatal(err)
		}
		if err := other.Delete(ctx, alice, img.ID); err != nil {
			t.Fatal(err)
		}
		_ = p.Close()
		want(t, <-done, kuva.CodeGone)
	})
}

// TestQuotaRace: 64 uploads at once against a quota for ten. Never more than
// the quota is held, and afterwards the counters are exact.
func TestQuotaRace(t *testing.T) {
	const size, room = 1 << 20, 10 << 20
	each(t, func(t *testing.T, w *world) {
		for _, announced := range []bool{true, false} {
			limit := int64(room)
			if err := w.SetQuota(ctx, root, "a", map[string]*int64{"bytes": &limit}); err != nil {
				t.Fatal(err)
			}
			ids := make([]string, 64)
			for i := range ids {
				ids[i] = w.create(alice, images.NewImage{}).ID
			}
			stop := make(chan struct{})
			var watch sync.WaitGroup
			watch.Go(func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(2 * time.Millisecond):
					}
					if _, use, err := w.Quota(ctx, root, "a"); err != nil || use.Bytes+use.Reserved > room {
						t.Errorf("held %+v of %d: %v", use, room, err)
						return
					}
				}
			})
			var good, full atomic.Int64
			var wg sync.WaitGroup
			for i, id := range ids {
				wg.Go(func() {
					src := images.Source{Content: bytes.NewReader(random(size, uint64(i))), Size: -1}
					if announced {
						src.Size = size
					}
					_, err := w.Ingest(ctx, alice, id, src)
					switch kuva.CodeOf(err) {
					case "":
						good.Add(1)
					case kuva.CodeQuota:
						full.Add(1)
					default:
						t.Errorf("upload: %v", err)
					}
				})
			}
			wg.Wait()
			close(stop)
			watch.Wait()
			if good.Load() != 10 || full.Load() != 54 {
				t.Errorf("announced %v: %d went in, %d were refused", announced, good.Load(), full.Load())
			}
			w.checkQuotas()
			if _, use, _ := w.Quota(ctx, root, "a"); use.Bytes != 10*size || use.Reserved != 0 || use.Uploads != 0 {
				t.Errorf("afterwards: %+v", use)
			}
			for _, id := range ids {
				if err := w.Delete(ctx, alice, id); err != nil {
					t.Fatal(err)
				}
			}
			if _, use, _ := w.Quota(ctx, root, "a"); use != (images.QuotaUse{}) {
				t.Errorf("after deleting all: %+v", use)
			}
		}
	})
}

// TestQuotaMidStream: an upload of unknown length grows into the quota, takes
// what is left of it, and is refused with the byte that does not fit.
func TestQuotaMidStream(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		limit := int64(5<<20 + 100)
		if err := w.SetQuota(ctx, root, "a", map[string]*int64{"bytes": &limit}); err != nil {
			t.Fatal(err)
		}
		img := w.create(alice, images.NewImage{})
		_, err := w.Ingest(ctx, alice, img.ID, images.Source{Content: bytes.NewReader(random(int(limit)+1, 1)), Size: -1})
		want(t, err, kuva.CodeQuota)
		w.failed(img.ID, kuva.CodeQuota, -1)
		_, err = w.Ingest(ctx, alice, img.ID, images.Source{Content: failing{io.ErrUnexpectedEOF}, Size: limit + 1})
		want(t, err, kuva.CodeQuota)
		if _, err = w.Ingest(ctx, alice, img.ID, images.Source{Content: bytes.NewReader(random(int(limit), 1)), Size: -1}); err != nil {
			t.Fatalf("exactly what is left: %v", err)
		}
		one := int64(0)
		if err := w.SetQuota(ctx, root, "a", map[string]*int64{"uploads": &one, "bytes": nil}); err != nil {
			t.Fatal(err)
		}
		next := w.create(alice, images.NewImage{})
		_, err = w.Ingest(ctx, alice, next.ID, images.Source{Content: strings.NewReader("x"), Size: 1})
		want(t, err, kuva.CodeQuota)
	})
}

// TestStoreFull: uploads are refused quickly, reading goes on, and with room
// everything is well again.
func TestStoreFull(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		kept := random(1<<20, 1)
		old := w.filled(alice, images.NewImage{}, kept)
		next := w.create(alice, images.NewImage{})
		w.store.SetLimit(w.store.Used() + 1<<20)
		start := time.Now()
		_, err := w.Ingest(ctx, alice, next.ID, images.Source{Content: bytes.NewReader(random(3<<20, 2)), Size: 3 << 20})
		want(t, err, kuva.CodeStorageFull)
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("refused after %v", d)
		}
		img := w.show(alice, next.ID)
		if img.Status != kuva.StatusQueued || img.LastFailure == nil || img.LastFailure.Code != kuva.CodeStorageFull {
			t.Fatalf("%+v", img)
		}
		if !bytes.Equal(w.read(alice, old.ID), kept) {
			t.Fatal("reading stops when the store is full")
		}
		w.store.SetLimit(w.store.Used()) // not even a card
		if _, err := w.Create(ctx, alice, images.NewImage{Name: "late"}); kuva.CodeOf(err) != kuva.CodeStorageFull {
			t.Fatalf("create without room for the card: %v", err)
		}
		w.store.SetLimit(0)
		if _, err := w.Ingest(ctx, alice, next.ID, images.Source{Content: bytes.NewReader(random(3<<20, 2)), Size: 3 << 20}); err != nil {
			t.Fatal(err)
		}
		w.allCards()
	})
}

// allCards waits until the newest version of every image has its card.
func (w *world) allCards() {
	w.t.Helper()
	eventually(w.t, "cards of all images", func() bool {
		var n int
		err := w.db.View(ctx, func(tx *catalog.Tx) error {
			return tx.QueryRow(ctx, `SELECT COUNT(*) FROM image WHERE card_version < version`).Scan(&n)
		})
		return err == nil && n == 0
	})
}

// TestStoreFaults: a store that fails now and then costs uploads, nothing else.
func TestStoreFaults(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.store.SetFaults(mem.Faults{CommitLost: .1, CommitStored: .1, CommitLate: .1, Create: .05, Write: .05, MaxDelay: 5})
		type one struct {
			id      string
			content []byte
		}
		var good []one
		for i := range 30 {
			img, err := w.Create(ctx, alice, images.NewImage{Name: fmt.Sprint(i), DiskFormat: "raw", ContainerFormat: "bare"})
			if err != nil {
				continue
			}
			content := random(200_000, uint64(i))
			if _, err := w.Ingest(ctx, alice, img.ID, images.Source{Content: bytes.NewReader(content), Size: -1}); err == nil {
				good = append(good, one{img.ID, content})
			}
		}
		w.store.SetFaults(mem.Faults{})
		if len(good) == 0 {
			t.Fatal("nothing went in at all")
		}
		for _, g := range good {
			if !bytes.Equal(w.read(alice, g.id), g.content) {
				t.Fatal("an acknowledged image reads differently")
			}
		}
		w.allCards()
		w.checkQuotas()
		l, err := w.List(ctx, alice, images.Query{Limit: 100, Status: []string{"saving"}})
		if err != nil || len(l) != 0 {
			t.Fatalf("%d images hang in saving: %v", len(l), err)
		}
	})
}

// TestRecover: images whose upload died with the process are queued again and
// hold nothing; an upload that lives is left alone.
func TestRecover(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		dead, alive := w.create(alice, images.NewImage{}), w.create(alice, images.NewImage{})
		begin := func(id string, size int64) (*io.PipeWriter, chan error) {
			r, p := slow()
			done := make(chan error, 1)
			go func() {
				_, err := w.Ingest(ctx, alice, id, images.Source{Content: r, Size: size})
				_ = r.Close()
				done <- err
			}()
			if _, err := p.Write(make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
			return p, done
		}
		p1, done1 := begin(dead.ID, 2000)
		p2, done2 := begin(alive.ID, 2000)
		// The collector, or a restart, takes the first writer for dead.
		err := w.db.Update(ctx, func(tx *catalog.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE lease SET state = 'expired' WHERE id = (SELECT lease FROM image WHERE id = $1)`, dead.ID)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Recover(ctx); err != nil {
			t.Fatal(err)
		}
		if img := w.show(alice, dead.ID); img.Status != kuva.StatusQueued || img.LastFailure == nil || img.LastFailure.Code != kuva.CodeUnavailable {
			t.Fatalf("%+v", img)
		}
		if s := w.show(alice, alive.ID).Status; s != kuva.StatusSaving {
			t.Fatalf("an upload that lives was ended: %s", s)
		}
		if _, use, _ := w.Quota(ctx, alice, "a"); use.Reserved != 2000 || use.Uploads != 1 {
			t.Fatalf("%+v", use)
		}
		// The image can be filled again while the sleeper still sleeps; when it
		// wakes it changes nothing.
		if _, err := w.Ingest(ctx, alice, dead.ID, images.Source{Content: strings.NewReader("new"), Size: 3}); err != nil {
			t.Fatal(err)
		}
		for _, p := range []*io.PipeWriter{p1, p2} {
			_, _ = p.Write(make([]byte, 1000))
			_ = p.Close()
		}
		if err := <-done1; err == nil {
			t.Fatal("an upload without a lease was committed")
		}
		if err := <-done2; err != nil {
			t.Fatal(err)
		}
		if string(w.read(alice, dead.ID)) != "new" {
			t.Fatal("the sleeper wrote over the new content")
		}
	})
}

// TestClockJumps: what is decided does not depend on the clock.
func TestClockJumps(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		var ids []string
		for i, years := range []int{0, 10, -10, 0, 30, -30} {
			w.setClock(time.Date(2026+years, 1, 1, 0, 0, 0, 0, time.UTC))
			r, p := slow()
			img := w.create(alice, images.NewImage{})
			done := make(chan error, 1)
			go func() {
				_, err := w.Ingest(ctx, alice, img.ID, images.Source{Content: r, Size: -1})
				_ = r.Close()
				done <- err
			}()
			_, _ = p.Write(random(200_000, uint64(i)))
			w.setClock(time.Date(2026-years, 6, 1, 0, 0, 0, 0, time.UTC))
			if err := w.Recover(ctx); err != nil {
				t.Fatal(err)
			}
			_, _ = p.Write(random(200_000, uint64(i)))
			_ = p.Close()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			ids = append(ids, img.ID)
		}
		seen := map[string]bool{}
		for marker := ""; ; {
			page, err := w.List(ctx, alice, images.Query{Limit: 2, Marker: marker})
			if err != nil {
				t.Fatal(err)
			}
			for _, img := range page {
				seen[img.ID] = true
				marker = img.ID
			}
			if len(page) < 2 {
				break
			}
		}
		for _, id := range ids {
			if !seen[id] {
				t.Errorf("image %s is on no page", id)
			}
		}
	})
}

// TestInterleavings: uploads, deletes, changes and recoveries in any order leave
// counters that are exact and no image that hangs.
func TestInterleavings(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		limit := int64(3 << 20)
		if err := w.SetQuota(ctx, root, "a", map[string]*int64{"bytes": &limit}); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var ids []string
		pick := func(r *rand.Rand) string {
			mu.Lock()
			defer mu.Unlock()
			if len(ids) == 0 {
				return ""
			}
			return ids[r.IntN(len(ids))]
		}
		allowed := map[kuva.Code]bool{
			"": true, kuva.CodeNotFound: true, kuva.CodeConflict: true, kuva.CodeQuota: true, kuva.CodeGone: true,
			kuva.CodeCancelled: true, kuva.CodeInvalid: true, kuva.CodeForbidden: true,
		}
		var wg sync.WaitGroup
		for g := range 6 {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(g), 7))
				for range 25 {
					var err error
					switch id := pick(r); r.IntN(7) {
					case 0, 1:
						var img *kuva.Image
						img, err = w.Create(ctx, alice, images.NewImage{DiskFormat: "raw", ContainerFormat: "bare"})
						if err == nil {
							mu.Lock()
							ids = append(ids, img.ID)
							mu.Unlock()
						}
					case 2, 3:
						src := images.Source{Content: bytes.NewReader(random(r.IntN(500_000), r.Uint64N(9))), Size: -1}
						c, leave := context.WithCancel(ctx)
						if r.IntN(3) == 0 {
							time.AfterFunc(time.Duration(r.IntN(4))*time.Millisecond, leave)
						}
						_, err = w.Ingest(c, alice, id, src)
						leave()
					case 4:
						err = w.Delete(ctx, alice, id)
					case 5:
						_, err = w.Update(ctx, root, id, []images.Change{{Name: "owner", Value: []string{"a", "b"}[r.IntN(2)]}})
					case 6:
						err = w.Recover(ctx)
					}
					if !allowed[kuva.CodeOf(err)] {
						t.Errorf("%v", err)
					}
				}
			})
		}
		wg.Wait()
		w.checkQuotas()
		l, err := w.List(ctx, root, images.Query{Limit: 1000, Visibility: "all"})
		if err != nil {
			t.Fatal(err)
		}
		for _, img := range l {
			if img.Status.Busy() {
				t.Errorf("image %s hangs in %s", img.ID, img.Status)
			}
		}
		w.allCards()
	})
}

// TestOneSink: the depot's Create has one caller in the whole program.
func TestOneSink(t *testing.T) {
	var callers []string
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (strings.HasPrefix(d.Name(), ".") && len(d.Name()) > 2 || d.Name() == "depot") {
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return err
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "CreateOptions" {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "depot" {
					callers = append(callers, fset.Position(n.Pos()).String())
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(callers) != 1 || !strings.Contains(callers[0], filepath.Join("internal", "images", "sink.go")) {
		t.Fatalf("content comes into the depot at %v", callers)
	}
}
