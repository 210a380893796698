package ask

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kuva"
	"kuva/api"
	"kuva/chunk"
	"kuva/internal/blob/mem"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
	"kuva/internal/depot"
	"kuva/internal/depot/keyfile"
	"kuva/internal/images"
	"kuva/internal/job"
	"kuva/internal/testkit"
	"kuva/internal/transfer/upload"
)

type world struct {
	t       testing.TB
	ask     *Service
	uploads *upload.Service
	images  *images.Service
	depot   *depot.Depot
	db      *catalog.DB
	queue   *job.Queue
	now     time.Time
}

var (
	alice = kuva.Principal{UserID: "alice", ProjectID: "blue", Roles: []string{"member"}}
	rita  = kuva.Principal{UserID: "rita", ProjectID: "blue", Roles: []string{"reader"}}
	bob   = kuva.Principal{UserID: "bob", ProjectID: "green", Roles: []string{"member"}}
)

func start(t testing.TB, change ...func(*Config)) *world {
	t.Helper()
	ctx := context.Background()
	w := &world{t: t, db: catalogtest.SQLite(t), now: time.Now()}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	keys, err := keyfile.Open(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	if w.depot, err = depot.Open(ctx, depot.Config{DB: w.db, Store: mem.New(1), Keys: keys, Node: "test", Log: log}); err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return w.now }
	w.images = images.New(images.Config{DB: w.db, Depot: w.depot, Log: log, Now: now})
	w.uploads = upload.New(upload.Config{DB: w.db, Images: w.images, Log: log, Now: now})
	cfg := Config{DB: w.db, Depot: w.depot, Images: w.images, Uploads: w.uploads, Log: log, Now: now}
	for _, c := range change {
		c(&cfg)
	}
	w.ask = New(cfg)
	w.queue, err = job.Open(job.Config{
		DB: w.db, Node: "test", Log: log, Handlers: append(w.images.Handlers(), w.uploads.Handlers()...), Poll: 20 * time.Millisecond, Workers: 8,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.images.Start(ctx, w.queue), w.queue.Start(ctx)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(w.queue.Stop(ctx), w.images.Close(ctx), w.depot.Close()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return w
}

// part is a stretch of a disk as a client knows it.
type part struct {
	off     int64
	entries []api.AskEntry
	data    [][]byte // of the chunks
}

func (p *part) ask() []byte { return api.EncodeAsk(p.off, p.entries) }

// frames are the chunks that the bits choose.
func (p *part) frames(lacking []byte) []byte {
	var b []byte
	for i, on := range chosenOf(lacking, len(p.data)) {
		if on {
			b = api.AppendFrame(b, p.data[i])
		}
	}
	return b
}

// cut makes parts of so many bytes of a disk.
func cut(p []byte, size int) (parts []*part) {
	for off := 0; off < len(p); off += size {
		x := &part{off: int64(off)}
		c := chunk.Cutter{Emit: func(p chunk.Piece) error {
			last := len(x.entries) - 1
			switch {
			case p.Data == nil && last >= 0 && x.entries[last].Hole:
				x.entries[last].Len += p.Len
			case p.Data == nil:
				x.entries = append(x.entries, api.AskEntry{Len: p.Len, Hole: true})
			default:
				x.entries, x.data = append(x.entries, api.AskEntry{Hash: chunk.Sum(p.Data), Len: p.Len}), append(x.data, bytes.Clone(p.Data))
			}
			return nil
		}}
		_, _ = c.Write(p[off:min(off+size, len(p))])
		_ = c.Cut()
		parts = append(parts, x)
	}
	return parts
}

func digestOf(parts []*part) string {
	var sums []chunk.Hash
	for _, p := range parts {
		sums = append(sums, chunk.Sum(p.ask()))
	}
	return api.FinishDigest(sums).String()
}

func noise(n int, seed uint64) []byte {
	p, r := make([]byte, n), rand.New(rand.NewPCG(seed, 9))
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return p
}

func (w *world) begin(p kuva.Principal, size int) *catalog.Upload {
	w.t.Helper()
	u, err := w.ask.Begin(w.t.Context(), p, int64(size), map[string]string{"name": "disk"})
	if err != nil {
		w.t.Fatal(err)
	}
	return u
}

// send uploads a disk and returns how many bytes of chunks travelled.
func (w *world) send(p kuva.Principal, disk []byte, size int) (u *catalog.Upload, sent int) {
	w.t.Helper()
	u = w.begin(p, len(disk))
	parts := cut(disk, size)
	for _, i := range rand.Perm(len(parts)) { // any order
		sent += w.sendPart(p, u.ID, int64(i), parts[i])
	}
	done, err := w.ask.Finish(w.t.Context(), p, u.ID, digestOf(parts))
	if err != nil {
		w.t.Fatal(err)
	}
	return done, sent
}

func (w *world) sendPart(p kuva.Principal, id string, n int64, x *part) int {
	w.t.Helper()
	a, err := w.ask.Ask(w.t.Context(), p, id, n, x.ask())
	if err != nil {
		w.t.Fatal(err)
	}
	if a.Durable {
		return 0
	}
	b := x.frames(a.Lacking)
	if err := w.ask.Put(w.t.Context(), p, id, n, bytes.NewReader(b)); err != nil {
		w.t.Fatal(err)
	}
	return len(b)
}

// active waits for the image and reads the disk that it holds.
func (w *world) active(p kuva.Principal, u *catalog.Upload) []byte {
	w.t.Helper()
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		img, err := w.images.Show(w.t.Context(), p, u.Image)
		if err != nil {
			w.t.Fatal(err)
		}
		if img.Status == kuva.StatusActive {
			break
		}
		if time.Since(began) > 20*time.Second || img.Status == kuva.StatusQueued {
			w.t.Fatalf("the image is %s: %+v", img.Status, img.LastFailure)
		}
	}
	var object int64
	if err := w.db.View(w.t.Context(), func(tx *catalog.Tx) error {
		img, err := catalog.GetImage(w.t.Context(), tx, u.Image)
		if err == nil {
			object = img.Object
		}
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	o, err := w.depot.OpenObject(w.t.Context(), object)
	if err != nil {
		w.t.Fatal(err)
	}
	got := make([]byte, o.Size())
	if _, err := o.ReadAt(got, 0); err != nil && err != io.EOF {
		w.t.Fatal(err)
	}
	return got
}

func someDisk(seed uint64) []byte {
	p := noise(9<<20, seed)
	clear(p[1<<20 : 3<<20])
	copy(p[4<<20:], bytes.Repeat([]byte("packs well "), 50_000))
	copy(p[6<<20:7<<20], p[5<<20:6<<20]) // comes twice
	return p
}

// TestUploadAndAgain: a disk arrives whole, and a second time costs its names.
func TestUploadAndAgain(t *testing.T) {
	w := start(t)
	disk := someDisk(1)
	u, sent := w.send(alice, disk, 2<<20)
	if !bytes.Equal(w.active(alice, u), disk) {
		t.Fatal("other bytes came back")
	}
	if sent > 6<<20 { // 9, less holes and what packs and comes twice in a part
		t.Errorf("%d bytes travelled", sent)
	}
	again, sent := w.send(alice, disk, 2<<20)
	if sent != 0 || !bytes.Equal(w.active(alice, again), disk) {
		t.Errorf("%d bytes travelled again", sent)
	}
	copy(disk[8<<20:], "changed")
	changed, sent := w.send(alice, disk, 4<<20)
	if sent > chunk.Size+8 || !bytes.Equal(w.active(alice, changed), disk) {
		t.Errorf("%d bytes travelled for one chunk", sent)
	}
	// Another project sends everything.
	foreign, sent := w.send(bob, disk, 4<<20)
	if sent < 4<<20 || !bytes.Equal(w.active(bob, foreign), disk) {
		t.Errorf("bob sent %d bytes", sent)
	}
	// Nothing that was kept for it stays.
	for _, u := range []*catalog.Upload{u, again, changed} {
		if err := w.uploads.End(t.Context(), alice, u.ID); err != nil {
			t.Error(err)
		}
	}
	w.count(alice, 0)
}

func (w *world) count(p kuva.Principal, want int) {
	w.t.Helper()
	var n int
	if err := w.db.View(w.t.Context(), func(tx *catalog.Tx) error {
		return tx.QueryRow(w.t.Context(), `SELECT COUNT(*) FROM upload_ask a JOIN upload u ON u.id = a.upload WHERE u.project = $1`, p.ProjectID).Scan(&n)
	}); err != nil || n != want {
		w.t.Errorf("%d asks are kept, want %d: %v", n, want, err)
	}
}

// TestChunksBetweenHoles: chunks that stand alone, of which hardly any is a
// hook, are found together.
func TestChunksBetweenHoles(t *testing.T) {
	w := start(t)
	disk := noise(40<<20, 12)
	first, _ := w.send(alice, disk, 40<<20)
	w.active(alice, first)
	for off := 0; off < len(disk); off += 2 * chunk.Size {
		clear(disk[off : off+chunk.Size])
	}
	u, sent := w.send(alice, disk, 20<<20)
	if sent > 16*chunk.Size || !bytes.Equal(w.active(alice, u), disk) {
		t.Errorf("%d bytes travelled", sent)
	}
}

// TestRefusals: bodies that are not what was asked for leave nothing behind, and
// the part can be sent all the same.
func TestRefusals(t *testing.T) {
	w := start(t)
	disk := someDisk(2)
	parts := cut(disk, 5<<20)
	u := w.begin(alice, len(disk))
	ctx, x := t.Context(), parts[0]
	code := func(name string, err error, want kuva.Code) {
		t.Helper()
		if kuva.CodeOf(err) != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	code("not asked", w.ask.Put(ctx, alice, u.ID, 0, bytes.NewReader(nil)), kuva.CodeConflict)
	for name, b := range map[string][]byte{"no ask": []byte("x"), "outside": (&part{off: int64(len(disk)) - 1, entries: x.entries}).ask()} {
		_, err := w.ask.Ask(ctx, alice, u.ID, 0, b)
		code(name, err, kuva.CodeInvalid)
	}
	for _, n := range []int64{-1, MostParts} {
		_, err := w.ask.Ask(ctx, alice, u.ID, n, x.ask())
		code("number", err, kuva.CodeInvalid)
	}
	a, err := w.ask.Ask(ctx, alice, u.ID, 0, x.ask())
	if err != nil || a.Durable {
		t.Fatal(a, err)
	}
	good := x.frames(a.Lacking)
	flipped := bytes.Clone(good)
	flipped[len(good)/2] ^= 1
	swapped := slices.Concat(api.AppendFrame(nil, x.data[1]), api.AppendFrame(nil, x.data[0]))
	code("flipped", w.ask.Put(ctx, alice, u.ID, 0, bytes.NewReader(flipped)), kuva.CodeDigest)
	code("swapped", w.ask.Put(ctx, alice, u.ID, 0, bytes.NewReader(swapped)), kuva.CodeDigest)
	code("too short", w.ask.Put(ctx, alice, u.ID, 0, bytes.NewReader(good[:len(good)-5])), kuva.CodeInvalid)
	code("nothing", w.ask.Put(ctx, alice, u.ID, 0, bytes.NewReader(nil)), kuva.CodeInvalid)
	code("too long", w.ask.Put(ctx, alice, u.ID, 0, bytes.NewReader(append(bytes.Clone(good), 0))), kuva.CodeInvalid)
	code("garbage", w.ask.Put(ctx, alice, u.ID, 0, strings.NewReader(strings.Repeat("\xff", 1000))), kuva.CodeInvalid)
	for name, p := range map[string]kuva.Principal{"reader": rita, "foreign": bob} {
		want := map[string]kuva.Code{"reader": kuva.CodeForbidden, "foreign": kuva.CodeNotFound}[name]
		_, err := w.ask.Ask(ctx, p, u.ID, 1, x.ask())
		code(name, err, want)
		code(name, w.ask.Put(ctx, p, u.ID, 0, bytes.NewReader(good)), want)
		_, err = w.ask.Finish(ctx, p, u.ID, digestOf(parts))
		code(name, err, want)
	}
	if got, err := w.ask.Parts(ctx, alice, u.ID, 0, 10); err != nil || len(got) != 0 {
		t.Fatalf("%d parts are kept: %v", len(got), err)
	}
	for range 2 { // again is fine
		if err := w.ask.Put(ctx, alice, u.ID, 0, bytes.NewReader(good)); err != nil {
			t.Fatal(err)
		}
	}
	if a, err := w.ask.Ask(ctx, alice, u.ID, 0, x.ask()); err != nil || !a.Durable {
		t.Error(a, err)
	}
	_, err = w.ask.Ask(ctx, alice, u.ID, 0, parts[1].ask())
	code("another part of that number", err, kuva.CodeConflict)
	overlap := &part{off: 1 << 20, entries: []api.AskEntry{{Len: 10, Hole: true}}}
	_, err = w.ask.Ask(ctx, alice, u.ID, 7, overlap.ask())
	code("overlap", err, kuva.CodeConflict)
	_, err = w.ask.Finish(ctx, alice, u.ID, digestOf(parts))
	code("unfinished", err, kuva.CodeConflict)
	_, err = w.ask.Finish(ctx, alice, u.ID, "abc")
	code("digest", err, kuva.CodeInvalid)
	w.sendPart(alice, u.ID, 1, parts[1])
	_, err = w.ask.Finish(ctx, alice, u.ID, digestOf(parts[:1]))
	code("other digest", err, kuva.CodeDigest)
	for range 2 {
		if u, err = w.ask.Finish(ctx, alice, u.ID, digestOf(parts)); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(w.active(alice, u), disk) {
		t.Error("other bytes came back")
	}
	_, err = w.ask.Ask(ctx, alice, u.ID, 9, x.ask())
	code("after the end", err, kuva.CodeConflict)
	_, err = w.ask.Begin(ctx, alice, 0, nil)
	code("no size", err, kuva.CodeInvalid)
}

// TestVanished: what went between ask and chunks is asked for again.
func TestVanished(t *testing.T) {
	w := start(t)
	ctx, disk := t.Context(), noise(2<<20, 4)
	first, _ := w.send(alice, disk, 2<<20)
	w.active(alice, first)
	next := slices.Concat(disk, noise(1<<20, 5))
	u, x := w.begin(alice, len(next)), cut(next, len(next))[0]
	a, err := w.ask.Ask(ctx, alice, u.ID, 0, x.ask())
	if err != nil || a.Durable || a.Lacking[0] != 0 || a.Lacking[1] != 0x0f {
		t.Fatalf("%+v %v", a, err)
	}
	if err := w.db.Update(ctx, func(tx *catalog.Tx) error { // damaged, say
		_, err := tx.Exec(ctx, `UPDATE pack SET suspect = $1`, true)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := w.ask.Put(ctx, alice, u.ID, 0, bytes.NewReader(x.frames(a.Lacking))); kuva.CodeOf(err) != kuva.CodeConflict {
		t.Fatalf("%v", err)
	}
	w.sendPart(alice, u.ID, 0, x)
	if u, err = w.ask.Finish(ctx, alice, u.ID, digestOf([]*part{x})); err != nil || !bytes.Equal(w.active(alice, u), next) {
		t.Errorf("%v", err)
	}
}

// TestHashesYieldNothing is S-181: names of what another project has are as
// unknown as names of what nobody has, and yield no bytes.
func TestHashesYieldNothing(t *testing.T) {
	w := start(t)
	secret := noise(3<<20, 6)
	u, _ := w.send(alice, secret, 3<<20)
	w.active(alice, u)
	x := cut(secret, len(secret))[0]
	mine := w.begin(bob, len(secret))
	a, err := w.ask.Ask(t.Context(), bob, mine.ID, 0, x.ask())
	if err != nil || a.Durable {
		t.Fatal(a, err)
	}
	unknown := &part{}
	for i := range x.entries {
		unknown.entries = append(unknown.entries, api.AskEntry{Hash: chunk.Hash{byte(i + 1)}, Len: x.entries[i].Len})
	}
	b, err := w.ask.Ask(t.Context(), bob, mine.ID, 1, unknown.ask())
	if err != nil || !bytes.Equal(a.Lacking, b.Lacking) {
		t.Errorf("lacking %x of what alice has, %x of what nobody has: %v", a.Lacking, b.Lacking, err)
	}
	if err := w.ask.Put(t.Context(), bob, mine.ID, 0, bytes.NewReader(nil)); kuva.CodeOf(err) != kuva.CodeInvalid {
		t.Errorf("without bytes: %v", err)
	}
}

// TestSameTime is S-190.
func TestSameTime(t *testing.T) {
	w := start(t, func(c *Config) { c.Rate, c.Burst = 1e9, 1e9 })
	var theirs []*part
	disk := noise(4<<20, 7)
	u, _ := w.send(alice, disk, 4<<20)
	w.active(alice, u)
	theirs = cut(disk, 4<<20)
	nobody := cut(noise(4<<20, 8), 4<<20)
	mine := w.begin(bob, len(disk))
	ask := func(p *part) func() {
		body := p.ask()
		return func() {
			if a, err := w.ask.Ask(t.Context(), bob, mine.ID, 0, body); err != nil || a.Durable {
				t.Fatal(a, err)
			}
		}
	}
	testkit.SameTime(t, 150, ask(nobody[0]), map[string]func(){"what another project has": ask(theirs[0])})
}

func TestRate(t *testing.T) {
	w := start(t, func(c *Config) { c.Rate, c.Burst = 1, 80 })
	disk := noise(10<<20, 10) // 40 chunks
	u, x := w.begin(alice, len(disk)), cut(disk, len(disk))[0]
	for i, want := range []kuva.Code{"", "", kuva.CodeThrottled} {
		if _, err := w.ask.Ask(t.Context(), alice, u.ID, int64(i), x.ask()); err == nil && want != "" || err != nil && kuva.CodeOf(err) != want {
			t.Errorf("ask %d: %v", i, err)
		}
	}
	other := w.begin(bob, len(disk))
	if _, err := w.ask.Ask(t.Context(), bob, other.ID, 0, x.ask()); err != nil {
		t.Errorf("another project: %v", err)
	}
	var r rate
	at := time.Now()
	for i := range 5 {
		if err := r.take("p", 100, 100, 500, at); err != nil {
			t.Errorf("ask %d: %v", i, err)
		}
	}
	err := r.take("p", 100, 100, 500, at)
	var wait interface{ RetryAfter() time.Duration }
	if !errors.As(err, &wait) || wait.RetryAfter() != time.Second {
		t.Errorf("%v", err)
	}
	if err := r.take("p", 100, 100, 500, at.Add(time.Second)); err != nil {
		t.Error(err)
	}
	if err := r.take("huge", 1000, 100, 500, at); err != nil {
		t.Errorf("a full bucket lets one large ask through: %v", err)
	}
}

// FuzzPut sends any bytes for a part that was asked for.
func FuzzPut(f *testing.F) {
	w := start(f)
	disk := noise(3*chunk.Size+5, 11)
	copy(disk[chunk.Size:], bytes.Repeat([]byte("kuva"), chunk.Size/4))
	x := cut(disk, len(disk))[0]
	u := w.begin(alice, len(disk))
	a, err := w.ask.Ask(context.Background(), alice, u.ID, 0, x.ask())
	if err != nil {
		f.Fatal(err)
	}
	good := x.frames(a.Lacking)
	f.Add(good[:100])
	f.Add(append([]byte{11}, "packed"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= len(good) && bytes.Equal(b, good) {
			return
		}
		if err := w.ask.Put(context.Background(), alice, u.ID, 0, bytes.NewReader(b)); err == nil {
			t.Fatal("that was taken")
		} else if c := kuva.CodeOf(err); c != kuva.CodeInvalid && c != kuva.CodeDigest {
			t.Fatal(err)
		}
	})
}
