package images_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
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
	"kuva/message"
)

// world is a service on one database, over a store in memory.
type world struct {
	t     testing.TB
	db    *catalog.DB
	store *mem.Store
	keys  *keyfile.Service
	depot *depot.Depot
	jobs  *job.Queue
	log   *slog.Logger
	*images.Service

	mu sync.Mutex
	at time.Time
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(time.Millisecond)
	return w.at
}

func (w *world) setClock(at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = at
}

func newWorld(t testing.TB, db *catalog.DB, change ...func(*images.Config)) *world {
	t.Helper()
	w := &world{
		t: t, db: db, store: mem.New(1), at: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC),
		log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	var err error
	if w.keys, err = keyfile.Open(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	w.open(change...)
	t.Cleanup(func() {
		w.shut()
		if t.Failed() {
			return
		}
		w.checkQuotas()
	})
	return w
}

func (w *world) depotConfig() depot.Config {
	return depot.Config{DB: w.db, Store: w.store, Keys: w.keys, Node: "test", Log: w.log, Now: w.now}
}

// open starts the service, as a process does.
func (w *world) open(change ...func(*images.Config)) {
	w.t.Helper()
	ctx := context.Background()
	var err error
	if w.depot, err = depot.Open(ctx, w.depotConfig()); err != nil {
		w.t.Fatal(err)
	}
	cfg := images.Config{DB: w.db, Depot: w.depot, Log: w.log, Now: w.now}
	for _, c := range change {
		c(&cfg)
	}
	w.Service = images.New(cfg)
	if w.jobs, err = job.Open(job.Config{DB: w.db, Node: "test", Handlers: w.Handlers(), Log: w.log, Poll: 20 * time.Millisecond}); err != nil {
		w.t.Fatal(err)
	}
	if err := w.Start(ctx, w.jobs); err != nil {
		w.t.Fatal(err)
	}
	if err := w.jobs.Start(ctx); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) shut() {
	ctx := context.Background()
	err := errors.Join(w.jobs.Stop(ctx), w.Close(ctx), w.depot.Close())
	if err != nil {
		w.t.Errorf("shut: %v", err)
	}
}

func (w *world) checkQuotas() {
	w.t.Helper()
	drift, err := w.CheckQuotas(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, d := range drift {
		w.t.Errorf("quota of %s: counted %+v, sum %+v", d.Project, d.Counted, d.Sum)
	}
}

// each runs f on both engines.
func each(t *testing.T, f func(t *testing.T, w *world), change ...func(*images.Config)) {
	t.Helper()
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) { f(t, newWorld(t, db, change...)) })
}

var (
	ctx    = context.Background()
	alice  = kuva.Principal{UserID: "alice", ProjectID: "a", Roles: []string{"member"}}
	bob    = kuva.Principal{UserID: "bob", ProjectID: "b", Roles: []string{"member"}}
	carol  = kuva.Principal{UserID: "carol", ProjectID: "c", Roles: []string{"member"}}
	reader = kuva.Principal{UserID: "rita", ProjectID: "a", Roles: []string{"reader"}}
	root   = kuva.Principal{UserID: "root", ProjectID: "admin", Roles: []string{"admin"}, Admin: true}
)

func (w *world) create(p kuva.Principal, n images.NewImage) *kuva.Image {
	w.t.Helper()
	if n.DiskFormat == "" {
		n.DiskFormat, n.ContainerFormat = "raw", "bare"
	}
	img, err := w.Create(ctx, p, n)
	if err != nil {
		w.t.Fatalf("create: %v", err)
	}
	return img
}

// filled makes an image with content.
func (w *world) filled(p kuva.Principal, n images.NewImage, content []byte) *kuva.Image {
	w.t.Helper()
	img := w.create(p, n)
	img, err := w.Ingest(ctx, p, img.ID, images.Source{Content: bytes.NewReader(content), Size: int64(len(content))})
	if err != nil {
		w.t.Fatalf("ingest: %v", err)
	}
	return img
}

func (w *world) show(p kuva.Principal, id string) *kuva.Image {
	w.t.Helper()
	img, err := w.Show(ctx, p, id)
	if err != nil {
		w.t.Fatalf("show: %v", err)
	}
	return img
}

func (w *world) set(p kuva.Principal, id, name string, value any) *kuva.Image {
	w.t.Helper()
	img, err := w.Update(ctx, p, id, []images.Change{{Op: images.OpAdd, Name: name, Value: value}})
	if err != nil {
		w.t.Fatalf("set %s: %v", name, err)
	}
	return img
}

func (w *world) read(p kuva.Principal, id string) []byte {
	w.t.Helper()
	c, err := w.Download(ctx, p, id)
	if err != nil {
		w.t.Fatalf("download: %v", err)
	}
	r, err := c.Reader(ctx, 0, c.Size())
	if err != nil {
		w.t.Fatalf("download: %v", err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		w.t.Fatalf("download: %v", err)
	}
	return b
}

// want fails the test unless err has the code and a sentence of its own.
func want(t testing.TB, err error, code kuva.Code) {
	t.Helper()
	if kuva.CodeOf(err) != code {
		t.Fatalf("got %q, want code %q: %v", kuva.CodeOf(err), code, err)
	}
	var e *kuva.Error
	if errors.As(err, &e) {
		if s := e.Text.In(message.English); s == e.Text.Key || strings.ContainsAny(s, "{}") {
			t.Fatalf("%s has no sentence, or one with holes: %q", e.Text.Key, s)
		}
	}
}

func random(n int, seed uint64) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = r.Read(b)
	return b
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("%s: not within 15 s", what)
}

func TestJourney(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		content := random(3<<20+17, 1)
		img := w.create(alice, images.NewImage{Name: "tiny", Tags: []string{"x", "x"}, Properties: map[string]string{"os_distro": "debian"}})
		if img.Status != kuva.StatusQueued || img.Visibility != kuva.VisibilityShared || img.Size != -1 || len(img.Tags) != 1 || img.Owner != "a" {
			t.Fatalf("new image: %+v", img)
		}
		c, err := w.Download(ctx, alice, img.ID)
		if err != nil || c.HasData() || c.Size() != 0 {
			t.Fatalf("download of a queued image: %v, data %v", err, c.HasData())
		}
		sum := sha512.Sum512(content)
		md := md5.Sum(content)
		got, err := w.Ingest(ctx, alice, img.ID, images.Source{Content: bytes.NewReader(content), Size: -1, Digests: []images.Digest{
			{Algo: "md5", Sum: md[:]}, {Algo: "sha512", Sum: sum[:]},
		}})
		if err != nil {
			t.Fatal(err)
		}
		if got.Status != kuva.StatusActive || got.Size != int64(len(content)) || got.VirtualSize != got.Size || got.Origin != kuva.OriginUploaded ||
			got.MD5 != hex.EncodeToString(md[:]) || got.HashAlgo != "sha512" || got.HashValue != hex.EncodeToString(sum[:]) {
			t.Fatalf("filled image: %+v", got)
		}
		if !bytes.Equal(w.read(alice, img.ID), content) {
			t.Fatal("other bytes came back")
		}
		c, err = w.Download(ctx, alice, img.ID)
		if err != nil {
			t.Fatal(err)
		}
		r, err := c.Reader(ctx, 1000, 5)
		if err != nil {
			t.Fatal(err)
		}
		part, err := io.ReadAll(r)
		_ = r.Close()
		if err != nil || !bytes.Equal(part, content[1000:1005]) {
			t.Fatalf("range: %x %v", part, err)
		}
		_, err = c.Reader(ctx, got.Size, 1)
		want(t, err, kuva.CodeRange)
		eventually(t, "two reads counted", func() bool { return w.show(alice, img.ID).Reads == 2 })
		if w.show(alice, img.ID).ReadAt.IsZero() {
			t.Fatal("time of the last read is unknown")
		}
		// Filled is filled.
		_, err = w.Ingest(ctx, alice, img.ID, images.Source{Content: strings.NewReader("x"), Size: 1})
		want(t, err, kuva.CodeConflict)

		q, use, err := w.Quota(ctx, alice, "a")
		if err != nil || use != (images.QuotaUse{Images: 1, Bytes: got.Size}) || q != kuva.DefaultQuota {
			t.Fatalf("quota %+v, use %+v: %v", q, use, err)
		}
		days, err := w.Usage(ctx, alice, "a", "", "")
		if err != nil || len(days) != 1 || days[0].Images != 1 || days[0].Shown != got.Size || days[0].Stored < got.Size || days[0].Unique == 0 {
			t.Fatalf("usage %+v: %v", days, err)
		}
		cost, err := w.Cost(ctx, alice, img.ID)
		if err != nil || cost.Stored < got.Size {
			t.Fatalf("cost %+v: %v", cost, err)
		}

		if err := w.Deactivate(ctx, alice, img.ID); err != nil {
			t.Fatal(err)
		}
		_, err = w.Download(ctx, alice, img.ID)
		want(t, err, kuva.CodeForbidden)
		if !bytes.Equal(w.read(root, img.ID), content) {
			t.Fatal("an admin reads a deactivated image")
		}
		if err := errors.Join(w.Deactivate(ctx, alice, img.ID), w.Reactivate(ctx, alice, img.ID), w.Reactivate(ctx, alice, img.ID)); err != nil {
			t.Fatal(err)
		}

		w.set(alice, img.ID, "protected", true)
		want(t, w.Delete(ctx, alice, img.ID), kuva.CodeForbidden)
		w.set(alice, img.ID, "protected", false)
		if err := w.Delete(ctx, alice, img.ID); err != nil {
			t.Fatal(err)
		}
		_, err = w.Show(ctx, alice, img.ID)
		want(t, err, kuva.CodeNotFound)
		want(t, w.Delete(ctx, root, img.ID), kuva.CodeNotFound)
		// The id stays taken, for everybody.
		for _, p := range []kuva.Principal{alice, bob, root} {
			_, err = w.Create(ctx, p, images.NewImage{ID: strings.ToUpper(img.ID)})
			want(t, err, kuva.CodeConflict)
		}
		entries, err := w.Activity(ctx, alice, img.ID, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		var actions []string
		for _, e := range entries {
			actions = append(actions, e.Action)
		}
		slices.Reverse(actions)
		if s := strings.Join(actions, " "); s != "image.create image.upload image.deactivate image.reactivate image.update image.update image.delete" {
			t.Fatalf("activity: %s", s)
		}
		_, err = w.Activity(ctx, bob, img.ID, 0, 100)
		want(t, err, kuva.CodeNotFound)
	})
}

// TestForeignIsUnknown: whatever is done to an image that one may not see is
// answered as if it did not exist.
func TestForeignIsUnknown(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		private := w.filled(alice, images.NewImage{Name: "mine", Visibility: kuva.VisibilityPrivate}, []byte("secret"))
		unknown := "00000000-0000-4000-8000-000000000000"
		calls := map[string]func(id string) error{
			"show": func(id string) error { _, err := w.Show(ctx, bob, id); return err },
			"update": func(id string) error {
				_, err := w.Update(ctx, bob, id, []images.Change{{Name: "name", Value: "x"}})
				return err
			},
			"tag":        func(id string) error { return w.AddTag(ctx, bob, id, "t") },
			"untag":      func(id string) error { return w.RemoveTag(ctx, bob, id, "t") },
			"members":    func(id string) error { _, err := w.Members(ctx, bob, id); return err },
			"member":     func(id string) error { _, err := w.Member(ctx, bob, id, "b"); return err },
			"add member": func(id string) error { _, err := w.AddMember(ctx, bob, id, "b"); return err },
			"set member": func(id string) error { _, err := w.SetMember(ctx, bob, id, "b", kuva.MemberAccepted); return err },
			"del member": func(id string) error { return w.RemoveMember(ctx, bob, id, "b") },
			"ingest": func(id string) error {
				_, err := w.Ingest(ctx, bob, id, images.Source{Content: strings.NewReader("")})
				return err
			},
			"download":   func(id string) error { _, err := w.Download(ctx, bob, id); return err },
			"deactivate": func(id string) error { return w.Deactivate(ctx, bob, id) },
			"reactivate": func(id string) error { return w.Reactivate(ctx, bob, id) },
			"delete":     func(id string) error { return w.Delete(ctx, bob, id) },
			"activity":   func(id string) error { _, err := w.Activity(ctx, bob, id, 0, 1); return err },
			"cost":       func(id string) error { _, err := w.Cost(ctx, bob, id); return err },
		}
		for name, call := range calls {
			a, b := call(private.ID), call(unknown)
			want(t, a, kuva.CodeNotFound)
			if strings.ReplaceAll(a.Error(), private.ID, "ID") != strings.ReplaceAll(b.Error(), unknown, "ID") {
				t.Errorf("%s tells a foreign image from an unknown one:\n%v\n%v", name, a, b)
			}
			for _, odd := range []string{"", "x\x00y", "\xff", strings.Repeat("a", 1000)} {
				want(t, call(odd), kuva.CodeNotFound)
			}
		}
		_, err := w.List(ctx, bob, images.Query{Limit: 1, Marker: private.ID})
		want(t, err, kuva.CodeInvalid)
		if private = w.show(alice, private.ID); private.Version != 2 || private.Name != "mine" {
			t.Fatalf("a stranger changed the image: %+v", private)
		}
	})
}

// TestMembers walks through sharing from one project to another.
func TestMembers(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		img := w.create(alice, images.NewImage{Name: "ours"})
		m, err := w.AddMember(ctx, alice, img.ID, "b")
		if err != nil || m.Status != kuva.MemberPending {
			t.Fatalf("%+v %v", m, err)
		}
		_, err = w.AddMember(ctx, alice, img.ID, "b")
		want(t, err, kuva.CodeConflict)
		_, err = w.AddMember(ctx, bob, img.ID, "c") // sharing is not transitive
		want(t, err, kuva.CodeForbidden)
		_, err = w.AddMember(ctx, alice, img.ID, "")
		want(t, err, kuva.CodeInvalid)
		if _, err := w.AddMember(ctx, alice, img.ID, "c"); err != nil {
			t.Fatal(err)
		}
		// By id at once; in the list when accepted.
		w.show(bob, img.ID)
		ids := func(p kuva.Principal, q images.Query) int {
			q.Limit = 100
			l, err := w.List(ctx, p, q)
			if err != nil {
				t.Fatal(err)
			}
			return len(l)
		}
		if ids(bob, images.Query{}) != 0 || ids(bob, images.Query{MemberStatus: "pending"}) != 1 {
			t.Fatal("a pending share is seen on request alone")
		}
		if l, err := w.Members(ctx, bob, img.ID); err != nil || len(l) != 1 || l[0].Project != "b" {
			t.Fatalf("a member sees itself alone: %+v %v", l, err)
		}
		if l, err := w.Members(ctx, alice, img.ID); err != nil || len(l) != 2 {
			t.Fatalf("the owner sees all: %+v %v", l, err)
		}
		_, err = w.Member(ctx, bob, img.ID, "c")
		want(t, err, kuva.CodeNotFound)
		_, err = w.SetMember(ctx, alice, img.ID, "b", kuva.MemberAccepted)
		want(t, err, kuva.CodeForbidden)
		_, err = w.SetMember(ctx, bob, img.ID, "c", kuva.MemberAccepted)
		want(t, err, kuva.CodeNotFound)
		_, err = w.SetMember(ctx, bob, img.ID, "b", "maybe")
		want(t, err, kuva.CodeInvalid)
		if m, err := w.SetMember(ctx, bob, img.ID, "b", kuva.MemberAccepted); err != nil || m.Status != kuva.MemberAccepted {
			t.Fatalf("%+v %v", m, err)
		}
		if ids(bob, images.Query{}) != 1 || ids(bob, images.Query{Visibility: "shared"}) != 1 || ids(carol, images.Query{}) != 0 {
			t.Fatal("an accepted image is in the default list")
		}
		_, err = w.Update(ctx, bob, img.ID, []images.Change{{Name: "name", Value: "x"}})
		want(t, err, kuva.CodeForbidden)
		want(t, w.RemoveMember(ctx, bob, img.ID, "b"), kuva.CodeForbidden)
		// Private: members stay recorded and see nothing.
		w.set(alice, img.ID, "visibility", "private")
		_, err = w.Show(ctx, bob, img.ID)
		want(t, err, kuva.CodeNotFound)
		_, err = w.Members(ctx, alice, img.ID)
		want(t, err, kuva.CodeForbidden)
		w.set(alice, img.ID, "visibility", "shared")
		w.show(bob, img.ID)
		if err := w.RemoveMember(ctx, alice, img.ID, "b"); err != nil {
			t.Fatal(err)
		}
		_, err = w.Show(ctx, bob, img.ID)
		want(t, err, kuva.CodeNotFound)
		want(t, w.RemoveMember(ctx, alice, img.ID, "b"), kuva.CodeNotFound)
	})
}

// TestUpdateRules holds the rules of PATCH.
func TestUpdateRules(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		img := w.create(alice, images.NewImage{Name: "one", Properties: map[string]string{"there": "1"}})
		for _, c := range []struct {
			who    kuva.Principal
			change images.Change
			code   kuva.Code
		}{
			{alice, images.Change{Op: images.OpReplace, Name: "status", Value: "active"}, kuva.CodeForbidden},
			{root, images.Change{Op: images.OpAdd, Name: "checksum", Value: "x"}, kuva.CodeForbidden},
			{root, images.Change{Op: images.OpAdd, Name: "os_hash_value", Value: "x"}, kuva.CodeForbidden},
			{root, images.Change{Op: images.OpAdd, Name: "size", Value: 1.0}, kuva.CodeForbidden},
			{root, images.Change{Op: images.OpAdd, Name: "locations", Value: []any{}}, kuva.CodeForbidden},
			{alice, images.Change{Op: images.OpAdd, Name: "os_glance_x", Value: "x"}, kuva.CodeForbidden},
			{alice, images.Change{Op: images.OpAdd, Name: "deleted", Value: "x"}, kuva.CodeForbidden},
			{alice, images.Change{Op: images.OpRemove, Name: "name"}, kuva.CodeForbidden},
			{alice, images.Change{Op: images.OpCreate, Name: "name", Value: "x"}, kuva.CodeConflict},
			{alice, images.Change{Op: images.OpCreate, Name: "there", Value: "x"}, kuva.CodeConflict},
			{alice, images.Change{Op: images.OpReplace, Name: "missing", Value: "x"}, kuva.CodeConflict},
			{alice, images.Change{Op: images.OpRemove, Name: "missing"}, kuva.CodeConflict},
			{alice, images.Change{Op: images.OpAdd, Name: "p", Value: 1.0}, kuva.CodeInvalid},
			{alice, images.Change{Op: images.OpAdd, Name: "p", Value: nil}, kuva.CodeInvalid},
			{alice, images.Change{Op: images.OpAdd, Name: "p", Value: "a\x00b"}, kuva.CodeInvalid},
			{alice, images.Change{Op: images.OpAdd, Name: "p\nq", Value: "a"}, kuva.CodeInvalid},
			{alice, images.Change{Op: images.OpAdd, Name: strings.Repeat("é", 256), Value: "a"}, kuva.CodeInvalid},
			{alice, images.Change{Op: images.OpAdd, Name: "p", Value: strings.Repeat("a", 300<<10)}, kuva.CodeTooLarge},
			{alice, images.Change{Op: images.OpAdd, Name: "name", Value: strings.Repeat("a", 256)}, kuva.CodeInvalid},
			{alice, images.Change{Op: images.OpAdd, Name: "owner", Value: "b"}, kuva.CodeForbidden},
			{alice, images.Change{Op: images.OpAdd, Name: "owner", Value: nil}, kuva.CodeInvalid},
			{alice, images.Change{Op: images.OpAdd, Name: "visibility", Value: "public"}, kuva.CodeForbidden},
			{alice, images.Change{Op: images.OpAdd, Name: "visibility", Value: "none"}, kuva.CodeInvalid},
			{alice, images.Change{Op: images.OpAdd, Name: "protected", Value: "true"}, kuva.CodeInvalid},
			{alice, images.Change{Op: images.OpAdd, Name: "min_ram", Value: -1.0}, kuva.CodeInvalid},
			{alice, images.Change{Op: images.OpAdd, Name: "min_ram", Value: 1.5}, kuva.CodeInvalid},
			{alice, images.Change{Op: images.OpAdd, Name: "disk_format", Value: "floppy"}, kuva.CodeInvalid},
			{alice, images.Change{Op: images.OpAdd, Name: "tags", Value: []any{1.0}}, kuva.CodeInvalid},
			{reader, images.Change{Op: images.OpAdd, Name: "name", Value: "x"}, kuva.CodeForbidden},
			{alice, images.Change{Op: images.OpAdd, Name: kuva.CreateImageAllowed, Value: "no"}, kuva.CodeInvalid},
		} {
			// All or nothing: the good change beside it does not happen either.
			_, err := w.Update(ctx, c.who, img.ID, []images.Change{{Name: "name", Value: "two"}, c.change})
			if kuva.CodeOf(err) != c.code {
				t.Errorf("%+v: %v, want %s", c.change, err, c.code)
				continue
			}
			want(t, err, c.code)
		}
		if got := w.show(alice, img.ID); got.Name != "one" || got.Version != 1 || len(got.Properties) != 1 {
			t.Fatalf("something was changed: %+v", got)
		}
		got, err := w.Update(ctx, alice, img.ID, []images.Change{
			{Op: images.OpReplace, Name: "name", Value: nil},
			{Op: images.OpAdd, Name: "there", Value: "2\r\n😀"},
			{Op: images.OpAdd, Name: "new/prop~", Value: ""},
			{Op: images.OpAdd, Name: "tags", Value: []any{"b", "a", "b"}},
			{Op: images.OpAdd, Name: "min_disk", Value: 5.0},
			{Op: images.OpAdd, Name: "os_hidden", Value: true},
			{Op: images.OpAdd, Name: "visibility", Value: "community"},
		})
		if err != nil || got.Name != "" || got.Properties["there"] != "2\r\n😀" || len(got.Tags) != 2 || got.MinDisk != 5 || !got.Hidden ||
			got.Visibility != kuva.VisibilityCommunity || got.Version != 2 || !got.UpdatedAt.After(got.CreatedAt) {
			t.Fatalf("%+v %v", got, err)
		}
		if again := w.show(alice, img.ID); again.Properties["new/prop~"] != "" || len(again.Properties) != 2 || again.Version != 2 {
			t.Fatalf("%+v", again)
		}
		if same := w.set(alice, img.ID, "min_disk", 5.0); same.Version != 2 {
			t.Fatal("nothing changed, yet there is a new version")
		}
		// Formats are for queued images.
		full := w.filled(alice, images.NewImage{}, []byte("x"))
		_, err = w.Update(ctx, alice, full.ID, []images.Change{{Name: "disk_format", Value: "qcow2"}})
		want(t, err, kuva.CodeForbidden)
		w.set(alice, full.ID, "disk_format", "raw")
		// Another owner, its space included.
		w.set(root, full.ID, "owner", "b")
		_, a, _ := w.Quota(ctx, root, "a")
		_, b, _ := w.Quota(ctx, root, "b")
		if a.Images != 1 || b != (images.QuotaUse{Images: 1, Bytes: 1}) {
			t.Fatalf("after handing over: a %+v, b %+v", a, b)
		}
		_, err = w.Show(ctx, alice, full.ID)
		want(t, err, kuva.CodeNotFound)
		eventually(t, "content moves to its owner", func() bool { return w.show(root, full.ID).Object != full.Object })
		if string(w.read(bob, full.ID)) != "x" {
			t.Fatal("the new owner reads other bytes")
		}
	})
}

func TestCountQuotas(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		img := w.create(alice, images.NewImage{Tags: []string{"1", "2"}})
		w.create(alice, images.NewImage{})
		_, err := w.Create(ctx, alice, images.NewImage{})
		want(t, err, kuva.CodeQuota)
		_, err = w.Create(ctx, bob, images.NewImage{Tags: []string{"1", "2", "3"}})
		want(t, err, kuva.CodeQuota)
		want(t, w.AddTag(ctx, alice, img.ID, "3"), kuva.CodeQuota)
		if err := errors.Join(w.AddTag(ctx, alice, img.ID, "2"), w.RemoveTag(ctx, alice, img.ID, "1"), w.AddTag(ctx, alice, img.ID, "3")); err != nil {
			t.Fatal(err)
		}
		want(t, w.RemoveTag(ctx, alice, img.ID, "1"), kuva.CodeNotFound)
		_, err = w.Update(ctx, alice, img.ID, []images.Change{{Name: "a", Value: ""}, {Name: "b", Value: ""}})
		want(t, err, kuva.CodeQuota)
		if _, err := w.AddMember(ctx, alice, img.ID, "b"); err != nil {
			t.Fatal(err)
		}
		_, err = w.AddMember(ctx, alice, img.ID, "c")
		want(t, err, kuva.CodeQuota)
		// A project's own limit, and back.
		three := int64(3)
		want(t, w.SetQuota(ctx, alice, "a", map[string]*int64{"images": &three}), kuva.CodeForbidden)
		want(t, w.SetQuota(ctx, root, "a", map[string]*int64{"imges": &three}), kuva.CodeInvalid)
		if err := w.SetQuota(ctx, root, "a", map[string]*int64{"images": &three}); err != nil {
			t.Fatal(err)
		}
		w.create(alice, images.NewImage{})
		if err := w.SetQuota(ctx, root, "a", map[string]*int64{"images": nil}); err != nil {
			t.Fatal(err)
		}
		_, err = w.Create(ctx, alice, images.NewImage{})
		want(t, err, kuva.CodeQuota)
		_, _, err = w.Quota(ctx, bob, "a")
		want(t, err, kuva.CodeForbidden)
		_, err = w.Usage(ctx, bob, "a", "", "")
		want(t, err, kuva.CodeForbidden)
	}, func(c *images.Config) {
		c.DefaultQuota = kuva.Quota{Images: 2, Bytes: -1, ImageSize: -1, VirtualSize: -1, Members: 1, Tags: 2, Properties: 1, Uploads: -1}
	})
}

func TestCreateRules(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, c := range []struct {
			who  kuva.Principal
			n    images.NewImage
			code kuva.Code
		}{
			{reader, images.NewImage{}, kuva.CodeForbidden},
			{kuva.Principal{UserID: "u", Roles: []string{"member"}}, images.NewImage{}, kuva.CodeForbidden},
			{alice, images.NewImage{Owner: "b"}, kuva.CodeForbidden},
			{alice, images.NewImage{Visibility: "public"}, kuva.CodeForbidden},
			{alice, images.NewImage{Visibility: "secret"}, kuva.CodeInvalid},
			{alice, images.NewImage{ID: "not-a-uuid"}, kuva.CodeInvalid},
			{alice, images.NewImage{ID: "../../../../../etc/passwd00000000000"}, kuva.CodeInvalid},
			{alice, images.NewImage{DiskFormat: "floppy"}, kuva.CodeInvalid},
			{alice, images.NewImage{MinDisk: -1}, kuva.CodeInvalid},
			{alice, images.NewImage{Name: "a\nb"}, kuva.CodeInvalid},
			{alice, images.NewImage{Tags: []string{""}}, kuva.CodeInvalid},
			{alice, images.NewImage{Properties: map[string]string{"os_glance_importing_to_stores": "x"}}, kuva.CodeForbidden},
			{alice, images.NewImage{Properties: map[string]string{"self": "x"}}, kuva.CodeForbidden},
			{alice, images.NewImage{Properties: map[string]string{"name": "x"}}, kuva.CodeInvalid},
		} {
			_, err := w.Create(ctx, c.who, c.n)
			if kuva.CodeOf(err) != c.code {
				t.Errorf("%+v: %v, want %s", c.n, err, c.code)
				continue
			}
			want(t, err, c.code)
		}
		if _, use, _ := w.Quota(ctx, root, "a"); use.Images != 0 {
			t.Fatalf("refused images count: %+v", use)
		}
		id := "7A1b2c3d-0000-4000-8000-123456789abc"
		if got := w.create(root, images.NewImage{ID: id, Owner: "z", Visibility: "public"}); got.ID != strings.ToLower(id) || got.Owner != "z" {
			t.Fatalf("%+v", got)
		}
	})
}

// TestRestricted: what was made from an image that forbids it is not given
// away.
func TestRestricted(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		base := w.create(root, images.NewImage{Visibility: "public", Properties: map[string]string{kuva.CreateImageAllowed: "false"}})
		derived := images.NewImage{Properties: map[string]string{kuva.PropertyBaseImageRef: base.ID, kuva.PropertyInstanceUUID: "i-1"}}
		for _, v := range []kuva.Visibility{"shared", "community"} {
			n := derived
			n.Visibility = v
			_, err := w.Create(ctx, alice, n)
			want(t, err, kuva.CodeForbidden)
		}
		img := w.filled(alice, derived, []byte("snapshot"))
		if img.Visibility != kuva.VisibilityPrivate || img.Properties[kuva.CreateImageAllowed] != "false" || img.BaseImage != base.ID ||
			img.InstanceUUID != "i-1" || img.Origin != kuva.OriginSnapshot {
			t.Fatalf("%+v", img)
		}
		try := func(changes ...images.Change) error {
			_, err := w.Update(ctx, alice, img.ID, changes)
			return err
		}
		want(t, try(images.Change{Name: "visibility", Value: "shared"}), kuva.CodeForbidden)
		want(t, try(images.Change{Op: images.OpRemove, Name: kuva.CreateImageAllowed}), kuva.CodeForbidden)
		want(t, try(images.Change{Name: kuva.CreateImageAllowed, Value: "true"}), kuva.CodeForbidden)
		// To forget the base does not help.
		if err := try(images.Change{Op: images.OpRemove, Name: kuva.PropertyBaseImageRef}, images.Change{Op: images.OpRemove, Name: kuva.PropertyInstanceUUID}); err != nil {
			t.Fatal(err)
		}
		want(t, try(images.Change{Name: "visibility", Value: "community"}), kuva.CodeForbidden)
		// To name the base later neither.
		late := w.create(alice, images.NewImage{})
		_, err := w.Update(ctx, alice, late.ID, []images.Change{{Name: kuva.PropertyBaseImageRef, Value: base.ID}})
		if err != nil || w.show(alice, late.ID).Properties[kuva.CreateImageAllowed] != "false" {
			t.Fatal("the base's word is not inherited later on")
		}
		_, err = w.AddMember(ctx, alice, late.ID, "b")
		want(t, err, kuva.CodeForbidden)
		// Only an admin lifts it.
		w.set(root, img.ID, kuva.CreateImageAllowed, "true")
		w.set(alice, img.ID, "visibility", "shared")
		// A base that the owner cannot see says nothing.
		hidden := w.create(bob, images.NewImage{Visibility: "private", Properties: map[string]string{kuva.CreateImageAllowed: "false"}})
		spy := w.create(alice, images.NewImage{Properties: map[string]string{kuva.PropertyBaseImageRef: hidden.ID}})
		if _, told := spy.Properties[kuva.CreateImageAllowed]; told {
			t.Fatal("a foreign private image tells that it exists")
		}
	})
}

// TestPublic: public content lies in the platform's realm, where every project
// shares it.
func TestPublic(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		content := random(2<<20, 7)
		img := w.filled(alice, images.NewImage{}, content)
		w.set(root, img.ID, "visibility", "public")
		if got := w.show(bob, img.ID); got.Visibility != kuva.VisibilityPublic {
			t.Fatalf("%+v", got)
		}
		if !bytes.Equal(w.read(bob, img.ID), content) {
			t.Fatal("not readable at once")
		}
		eventually(t, "content moves to the platform", func() bool { return w.show(root, img.ID).Object != img.Object })
		moved := w.show(bob, img.ID)
		if !bytes.Equal(w.read(bob, img.ID), content) || moved.MD5 != img.MD5 || moved.HashValue != img.HashValue || moved.Size != img.Size {
			t.Fatal("moved content differs")
		}
		if u, err := w.depot.UsageOfProject(ctx, ""); err != nil || u.Stored < int64(len(content)) {
			t.Fatalf("platform stores %+v %v", u, err)
		}
		// Foreign public images are read-only, and told so.
		_, err := w.Update(ctx, bob, img.ID, []images.Change{{Name: "name", Value: "x"}})
		want(t, err, kuva.CodeForbidden)
		want(t, w.Delete(ctx, bob, img.ID), kuva.CodeForbidden)
		want(t, w.AddTag(ctx, bob, img.ID, "x"), kuva.CodeForbidden)
		// An admin's upload into a public image is written there at once.
		direct := w.filled(root, images.NewImage{Visibility: "public"}, random(1<<20, 8))
		before, err := w.depot.UsageOfProject(ctx, "admin")
		if err != nil || before.Stored != 0 {
			t.Fatalf("the admin's own realm holds %+v %v", before, err)
		}
		queued := w.create(root, images.NewImage{Visibility: "public", Owner: "a"})
		_, err = w.Ingest(ctx, alice, queued.ID, images.Source{Content: strings.NewReader("x"), Size: 1})
		want(t, err, kuva.CodeForbidden)
		// Withdrawn: the content leaves the platform.
		w.set(root, direct.ID, "visibility", "private")
		eventually(t, "content moves back", func() bool { return w.show(root, direct.ID).Object != direct.Object })
	})
}
