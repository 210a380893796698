package images_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
	"kuva/internal/depot"
	"kuva/internal/images"
	"kuva/internal/job"
)

// site is an Opener whose content comes as the test wants it.
type site struct {
	open func(ctx context.Context, n int64) (io.ReadCloser, int64, error)
	n    atomic.Int64
}

func (s *site) Check(address string) error {
	if address == "" {
		return kuva.E(kuva.CodeInvalid, "fetch.refused", "schemes", "https")
	}
	return nil
}

func (s *site) Open(ctx context.Context, _ string, _ map[string]string, _ int64) (io.ReadCloser, int64, error) {
	return s.open(ctx, s.n.Add(1))
}

func (w *world) stage(id string, content []byte) {
	w.t.Helper()
	if err := w.Stage(ctx, alice, id, images.Source{Content: bytes.NewReader(content), Size: -1}); err != nil {
		w.t.Fatalf("stage: %v", err)
	}
}

func (w *world) status(id string) func() bool {
	return func() bool { return w.show(alice, id).Status == kuva.StatusActive }
}

func (w *world) collected() depot.Totals {
	w.t.Helper()
	for range 3 {
		if _, err := w.depot.Collect(ctx, depot.CollectOptions{Compact: true}); err != nil {
			w.t.Fatal(err)
		}
	}
	t, err := w.depot.Totals(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

// TestStagedContent: what is staged outlives the collector and a restart, costs
// the project its size until it goes, and becomes an image without being stored
// twice; what is deleted instead leaves nothing.
func TestStagedContent(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		content := random(3<<20+7, 1)
		img := w.create(alice, images.NewImage{})
		w.stage(img.ID, content)
		if s := w.show(alice, img.ID); s.Status != kuva.StatusUploading || s.Size >= 0 {
			t.Fatalf("staged: %+v", s)
		}
		_, use, err := w.Quota(ctx, alice, "a")
		if err != nil || use.Reserved != int64(len(content)) || use.Uploads != 1 {
			t.Errorf("staged content holds %+v, %v", use, err)
		}
		before := w.collected()
		if before.Live.Bytes < int64(len(content)) {
			t.Errorf("the collector took what is staged: %+v", before)
		}
		w.shut()
		w.open()
		if s := w.show(alice, img.ID); s.Status != kuva.StatusUploading {
			t.Fatalf("after a restart: %+v", s)
		}
		j, err := w.Import(ctx, alice, img.ID, images.Import{Method: images.MethodDirect})
		if err != nil || j.Image != img.ID || j.Project != "a" {
			t.Fatalf("import: %+v, %v", j, err)
		}
		eventually(t, "active", w.status(img.ID))
		if !bytes.Equal(w.read(alice, img.ID), content) {
			t.Error("other bytes")
		}
		if s := w.show(alice, img.ID); s.Origin != kuva.OriginImported || s.Size != int64(len(content)) {
			t.Errorf("imported: %+v", s)
		}
		after := w.collected()
		if after.Live.Bytes > before.Live.Bytes+1<<20 {
			t.Errorf("the import stored it again: %d bytes, then %d", before.Live.Bytes, after.Live.Bytes)
		}

		other := w.create(alice, images.NewImage{})
		w.stage(other.ID, random(2<<20, 2))
		for _, id := range []string{other.ID, img.ID} {
			if err := w.Delete(ctx, alice, id); err != nil {
				t.Fatal(err)
			}
		}
		if _, use, err := w.Quota(ctx, alice, "a"); err != nil || use != (images.QuotaUse{}) {
			t.Errorf("after DELETE the project holds %+v, %v", use, err)
		}
		if left := w.collected(); left.Live.Bytes+left.Garbage != 0 {
			t.Errorf("after DELETE the store holds %+v", left)
		}
	})
}

// TestImportIsTriedAgain: content that breaks off is fetched again, and what
// another attempt does not mend is told.
func TestImportIsTriedAgain(t *testing.T) {
	content := random(1<<20, 3)
	s := &site{open: func(_ context.Context, n int64) (io.ReadCloser, int64, error) {
		if n == 1 {
			return io.NopCloser(io.MultiReader(bytes.NewReader(content[:1000]), broken{})), int64(len(content)), nil
		}
		return io.NopCloser(bytes.NewReader(content)), int64(len(content)), nil
	}}
	each(t, func(t *testing.T, w *world) {
		s.n.Store(0)
		img := w.create(alice, images.NewImage{})
		if _, err := w.Import(ctx, alice, img.ID, images.Import{Method: images.MethodWeb, URI: "x"}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "active", w.status(img.ID))
		if s.n.Load() != 2 || !bytes.Equal(w.read(alice, img.ID), content) {
			t.Errorf("%d attempts", s.n.Load())
		}
	}, func(c *images.Config) { c.Import.Web = s })
}

type broken struct{}

func (broken) Read([]byte) (int, error) {
	return 0, kuva.E(kuva.CodeUnavailable, "fetch.broken").Because(errors.New("cut"))
}

// TestImportCancelled: a job that is cancelled, while it runs or before it
// began, leaves the image queued with the reason and no space held.
func TestImportCancelled(t *testing.T) {
	s := &site{open: func(ctx context.Context, _ int64) (io.ReadCloser, int64, error) {
		<-ctx.Done()
		return nil, 0, context.Cause(ctx)
	}}
	each(t, func(t *testing.T, w *world) {
		var ids []string
		var last job.Job
		for range 8 { // more than run at once
			img := w.create(alice, images.NewImage{})
			j, err := w.Import(ctx, alice, img.ID, images.Import{Method: images.MethodWeb, URI: "x"})
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.Import(ctx, alice, img.ID, images.Import{Method: images.MethodWeb, URI: "x"})
			want(t, err, kuva.CodeConflict)
			ids, last = append(ids, img.ID), j
		}
		eventually(t, "some run", func() bool {
			jobs, err := w.Jobs(ctx, alice, images.JobQuery{States: []job.State{job.Running}})
			return err == nil && len(jobs) > 0
		})
		jobs, err := w.Jobs(ctx, alice, images.JobQuery{})
		if err != nil || len(jobs) != 8 || last.ID == "" {
			t.Fatalf("%d jobs, %v", len(jobs), err)
		}
		for _, j := range jobs {
			if _, err := w.CancelJob(ctx, alice, j.ID); err != nil {
				t.Fatal(err)
			}
		}
		for _, id := range ids {
			eventually(t, "queued again", func() bool {
				img := w.show(alice, id)
				return img.Status == kuva.StatusQueued && img.LastFailure != nil && img.LastFailure.Code == kuva.CodeCancelled && img.LastFailure.Import
			})
		}
		if _, use, err := w.Quota(ctx, alice, "a"); err != nil || use.Reserved != 0 || use.Uploads != 0 {
			t.Errorf("the project holds %+v, %v", use, err)
		}
	}, func(c *images.Config) { c.Import.Web = s })
}

// TestImportGoesOnElsewhere: an import under way when the node stops is done by
// its next life.
func TestImportGoesOnElsewhere(t *testing.T) {
	content := random(1<<20, 4)
	begun := make(chan struct{}, 8)
	s := &site{open: func(ctx context.Context, n int64) (io.ReadCloser, int64, error) {
		if n == 1 {
			return io.NopCloser(io.MultiReader(bytes.NewReader(content[:500_000]), until{ctx, begun})), int64(len(content)), nil
		}
		return io.NopCloser(bytes.NewReader(content)), int64(len(content)), nil
	}}
	change := func(c *images.Config) { c.Import.Web = s }
	each(t, func(t *testing.T, w *world) {
		s.n.Store(0)
		img := w.create(alice, images.NewImage{})
		if _, err := w.Import(ctx, alice, img.ID, images.Import{Method: images.MethodWeb, URI: "x"}); err != nil {
			t.Fatal(err)
		}
		<-begun
		w.shut()
		w.open(change)
		eventually(t, "active", w.status(img.ID))
		if !bytes.Equal(w.read(alice, img.ID), content) {
			t.Error("other bytes")
		}
	}, change)
}

// until blocks till its context ends.
type until struct {
	ctx   context.Context //nolint:containedctx // of the one reading
	begun chan struct{}
}

func (u until) Read([]byte) (int, error) {
	u.begun <- struct{}{}
	<-u.ctx.Done()
	return 0, context.Cause(u.ctx)
}

// TestCopySharesTheObject: two images of one object come back from the store
// alone, and neither's end is the other's.
func TestCopySharesTheObject(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		fresh := catalogtest.SQLite(t)
		w := newWorld(t, db)
		content := random(2<<20, 5)
		img := w.filled(alice, images.NewImage{Name: "first"}, content)
		second, err := w.Copy(ctx, alice, img.ID, "")
		if err != nil || second.Object != img.Object || second.Name != "first" || second.Status != kuva.StatusActive {
			t.Fatalf("copy: %+v, %v", second, err)
		}
		third, err := w.Copy(ctx, alice, second.ID, "third")
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Delete(ctx, alice, img.ID); err != nil {
			t.Fatal(err)
		}
		w.allCards()
		if rep := w.lose(fresh); len(rep.Missing)+len(rep.Damaged) != 0 {
			t.Errorf("rebuild: %+v", rep)
		}
		for _, id := range []string{second.ID, third.ID} {
			if got := w.show(alice, id); got.Status != kuva.StatusActive || !bytes.Equal(w.read(alice, id), content) {
				t.Errorf("after the loss: %+v", got)
			}
		}
		if err := w.Delete(ctx, alice, second.ID); err != nil {
			t.Fatal(err)
		}
		w.collected()
		if !bytes.Equal(w.read(alice, third.ID), content) {
			t.Error("the last of them lost its bytes")
		}
	})
}

// TestOutgrown: what an image leaves behind is let go of after a day.
func TestOutgrown(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		content := random(2<<20, 6)
		img := w.filled(alice, images.NewImage{}, content)
		old := w.show(alice, img.ID).Object
		w.set(root, img.ID, "visibility", "public")
		eventually(t, "moved", func() bool { return w.show(alice, img.ID).Object != old })
		w.collected()
		if _, err := w.depot.OpenObject(ctx, old); err != nil {
			t.Errorf("the old object is gone at once: %v", err)
		}
		w.setClock(time.Now().Add(48 * time.Hour))
		if err := w.DropOutgrown(ctx); err != nil {
			t.Fatal(err)
		}
		w.collected()
		if _, err := w.depot.OpenObject(ctx, old); !errors.Is(err, depot.ErrNotFound) {
			t.Errorf("the old object stays: %v", err)
		}
		if !bytes.Equal(w.read(alice, img.ID), content) {
			t.Error("other bytes")
		}
	})
}
