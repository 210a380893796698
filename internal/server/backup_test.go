package server

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/depot"
	"kuva/internal/images"
)

// site is a running service with images.
type site struct {
	t    *testing.T
	cfg  Config
	s    *Server
	who  kuva.Principal
	stop func()
}

func startSite(t *testing.T, data string) *site {
	t.Helper()
	return startSiteAs(t, Config{Data: data, Listen: "127.0.0.1:0"})
}

func startSiteAs(t *testing.T, cfg Config) *site {
	t.Helper()
	x := &site{t: t, cfg: cfg, who: kuva.Principal{UserID: "u", ProjectID: "p", Admin: true, Roles: []string{"admin"}}}
	s, err := Open(t.Context(), x.cfg, Options{AdminPassword: "correct horse"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	x.s = s
	x.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(x.stop)
	return x
}

func seeded(seed byte, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

func (x *site) must(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatal(err)
	}
}

func (x *site) upload(name string, content []byte) string {
	x.t.Helper()
	ctx := context.Background()
	img, err := x.s.images.Create(ctx, x.who, images.NewImage{Name: name, DiskFormat: "raw", ContainerFormat: "bare"})
	x.must(err)
	_, err = x.s.images.Ingest(ctx, x.who, img.ID, images.Source{Content: bytes.NewReader(content), Size: int64(len(content))})
	x.must(err)
	return img.ID
}

func (x *site) rename(id, name string) {
	x.t.Helper()
	_, err := x.s.images.Update(context.Background(), x.who, id, []images.Change{{Op: images.OpReplace, Name: "name", Value: name}})
	x.must(err)
}

// share writes its card before it returns.
func (x *site) share(id string) {
	x.t.Helper()
	_, err := x.s.images.Update(context.Background(), x.who, id, []images.Change{{Op: images.OpReplace, Name: "visibility", Value: "community"}})
	x.must(err)
}

func (x *site) delete(id string) {
	x.t.Helper()
	x.must(x.s.images.Delete(context.Background(), x.who, id))
}

// settle waits until the rows say that all cards are durable.
func (x *site) settle() {
	x.t.Helper()
	for range 200 {
		var n int
		x.must(x.s.db.View(context.Background(), func(tx *catalog.Tx) error {
			return tx.QueryRow(context.Background(), `SELECT COUNT(*) FROM image WHERE card_version < version`).Scan(&n)
		}))
		if n == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	x.t.Fatal("cards stay behind their images")
}

// collect runs cycles as `kuva depot gc` does.
func (x *site) collect(cycles int) {
	x.t.Helper()
	tools, err := OpenTools(context.Background(), x.cfg, nil)
	x.must(err)
	defer tools.Close()
	for range cycles {
		_, err := tools.Depot.Collect(context.Background(), depot.CollectOptions{Compact: true})
		x.must(err)
	}
}

func (x *site) read(id string) (string, []byte) {
	x.t.Helper()
	c, err := x.s.images.Download(context.Background(), x.who, id)
	x.must(err)
	r, err := c.Reader(context.Background(), 0, c.Size())
	x.must(err)
	defer r.Close()
	b, err := io.ReadAll(r)
	x.must(err)
	return c.Image.Name, b
}

func (x *site) backup(to string, opt BackupOptions) BackupReport {
	x.t.Helper()
	rep, err := Backup(x.t.Context(), x.cfg, to, opt)
	x.must(err)
	if len(rep.Missing) > 0 {
		x.t.Fatalf("missing: %q", rep.Missing)
	}
	return rep
}

// restored starts the newest snapshot, and proves that all of it is right: no
// finding, no later age, writes taken, another round of the collector.
func restored(t *testing.T, backup string) *site {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	rep, err := Restore(t.Context(), backup, data, RestoreOptions{})
	if err != nil || len(rep.Missing) > 0 {
		t.Fatalf("%v, missing %q", err, rep.Missing)
	}
	x := &site{t: t, cfg: Config{Data: data}}
	x.scrub() // before anything is mended
	x = startSite(t, data)
	x.must(x.s.depot.ReadOnly())
	x.upload("after the restore", []byte("x"))
	x.collect(2)
	x.scrub()
	return x
}

func (x *site) scrub() {
	x.t.Helper()
	tools, err := OpenTools(x.t.Context(), x.cfg, nil)
	x.must(err)
	defer tools.Close()
	_, err = tools.Verify(x.t.Context(), 0, func(f depot.Finding) { x.t.Error(f) })
	x.must(err)
	x.must(tools.Depot.ReadOnly())
}

func (x *site) expect(id, name string, content []byte) {
	x.t.Helper()
	if gotName, got := x.read(id); gotName != name || !bytes.Equal(got, content) {
		x.t.Errorf("image %s: %q with %d bytes, want %q with %d", id, gotName, len(got), name, len(content))
	}
}

// What happens between the copy of the database and the copies of the blobs
// is where a backup goes wrong.
func TestBackupWhileThingsHappen(t *testing.T) {
	a, b := seeded(1, 3<<20), seeded(2, 2<<20)
	for _, c := range []struct {
		name   string
		point  string
		happen func(x *site, idA, idB string)
		nameA  string // in the copy
		hasB   bool
	}{
		{"nothing", "ledger", func(*site, string, string) {}, "a", true},
		{"upload", "ledger", func(x *site, _, _ string) { x.upload("c", seeded(3, 1<<20)) }, "a", true},
		{"change", "ledger", func(x *site, idA, _ string) { x.rename(idA, "other"); x.share(idA) }, "a", true},
		{"change of every card", "blobs", func(x *site, idA, idB string) { x.share(idA); x.share(idB) }, "a", true},
		{"delete", "ledger", func(x *site, _, idB string) { x.delete(idB) }, "a", true},
		{"a cycle", "ledger", func(x *site, _, _ string) { x.collect(1) }, "a", true},
		// The collector is faster: the database is copied again.
		{"delete and collect", "ledger", func(x *site, _, idB string) { x.delete(idB); x.collect(3) }, "a", false},
		{"delete and collect later", "blobs", func(x *site, _, idB string) { x.delete(idB); x.collect(3) }, "a", true},
		{"all of it", "ledger", func(x *site, idA, idB string) {
			x.rename(idA, "other")
			x.share(idA)
			x.delete(idB)
			x.upload("c", seeded(3, 1<<20))
			x.collect(3)
		}, "other", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting for cards
			x := startSite(t, filepath.Join(t.TempDir(), "data"))
			idA, idB := x.upload("a", a), x.upload("b", b)
			x.settle()
			to := filepath.Join(t.TempDir(), "backup")
			once := sync.OnceFunc(func() { c.happen(x, idA, idB) })
			x.backup(to, BackupOptions{passed: func(point string) {
				if point == c.point {
					once()
				}
			}})
			x.scrub()
			y := restored(t, to)
			y.expect(idA, c.nameA, a)
			if c.hasB {
				y.expect(idB, "b", b)
			} else if _, err := y.s.images.Download(t.Context(), y.who, idB); kuva.CodeOf(err) != kuva.CodeNotFound {
				t.Errorf("the deleted image: %v", err)
			}
		})
	}
}

// Backups beside a service that is never quiet; every image that is left in
// peace is in each of them.
func TestBackupUnderLoad(t *testing.T) {
	x := startSite(t, filepath.Join(t.TempDir(), "data"))
	calm := seeded(9, 1<<20)
	calmID := x.upload("calm", calm)
	stop := make(chan struct{})
	var busy sync.WaitGroup
	for w := range 2 {
		busy.Go(func() {
			dice := rand.New(rand.NewPCG(uint64(w), 1))
			var ids []string
			for i := byte(0); ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				switch {
				case len(ids) < 3 || dice.IntN(3) == 0:
					ids = append(ids, x.upload("busy", seeded(i, 100_000+dice.IntN(200_000))))
				case dice.IntN(2) == 0:
					x.rename(ids[dice.IntN(len(ids))], string('a'+rune(i%26)))
				default:
					k := dice.IntN(len(ids))
					x.delete(ids[k])
					ids = slices.Delete(ids, k, k+1)
				}
			}
		})
	}
	to := filepath.Join(t.TempDir(), "backup")
	for range 4 {
		x.backup(to, BackupOptions{Keep: 2})
	}
	close(stop)
	busy.Wait()
	y := restored(t, to)
	y.expect(calmID, "calm", calm)
	if names, err := snapshots(to); err != nil || len(names) != 2 {
		t.Errorf("snapshots: %q, %v", names, err)
	}
}

// A backup that dies leaves the one before as it was, and the next one clears
// up.
func TestBackupDies(t *testing.T) {
	for _, point := range []string{"ledger", "blobs", "copied"} {
		t.Run(point, func(t *testing.T) {
			x := startSite(t, filepath.Join(t.TempDir(), "data"))
			a, b := seeded(1, 1<<20), seeded(2, 1<<20)
			idA := x.upload("a", a)
			to := filepath.Join(t.TempDir(), "backup")
			x.backup(to, BackupOptions{Keep: 1})
			x.rename(idA, "newer")
			x.share(idA)
			idB := x.upload("b", b)
			x.collect(1)
			die(t, x.cfg, to, point)
			y := restored(t, to)
			y.expect(idA, "a", a)
			y.stop()

			x.backup(to, BackupOptions{Keep: 1})
			left, err := filepath.Glob(filepath.Join(to, snapshotsDir, ".*"))
			if err != nil || len(left) > 0 {
				t.Errorf("left over: %q, %v", left, err)
			}
			z := restored(t, to)
			z.expect(idA, "newer", a)
			z.expect(idB, "b", b)
		})
	}
}

// die ends a backup at a point as a crash would: nothing is cleaned up but
// what the system does, which gives the locks back.
func die(t *testing.T, cfg Config, to, point string) {
	t.Helper()
	b, err := openBackup(t.Context(), cfg, to, BackupOptions{passed: func(p string) {
		if p == point {
			panic(point)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	work := ""
	func() {
		defer func() {
			if recover() != point {
				t.Fatal("it did not get there")
			}
		}()
		defer func() { work = b.work }()
		_ = b.run(t.Context())
	}()
	// run's own clean-up ran with the panic; a crash would have left this.
	if err := os.MkdirAll(work, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(work, databaseName), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.close(); err != nil {
		t.Fatal(err)
	}
}

func TestBackupKeepsOrderWhateverTheClock(t *testing.T) {
	x := startSite(t, filepath.Join(t.TempDir(), "data"))
	to := filepath.Join(t.TempDir(), "backup")
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	x.upload("a", seeded(1, 1000))
	x.backup(to, BackupOptions{Keep: 1, Now: clock})
	now = now.AddDate(-10, 0, 0)
	id := x.upload("b", seeded(2, 1000))
	rep := x.backup(to, BackupOptions{Keep: 1, Now: clock})
	if rep.Snapshot != "20300101T000001Z" {
		t.Errorf("snapshot %s", rep.Snapshot)
	}
	restored(t, to).expect(id, "b", seeded(2, 1000))
}

// Nothing that a backup holds is readable by others; keys that the service
// destroyed go from it, too.
func TestBackupIsPrivate(t *testing.T) {
	x := startSite(t, filepath.Join(t.TempDir(), "data"))
	x.upload("a", seeded(1, 1000))
	to := filepath.Join(t.TempDir(), "backup")
	x.backup(to, BackupOptions{})
	err := filepath.Walk(to, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() && !strings.Contains(path, "/store/") && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	x.must(err)
	if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the backup's folder: %v, %v", info.Mode(), err)
	}
	gone := filepath.Join(to, "keys", strings.Repeat("0", 32))
	x.must(os.WriteFile(gone, []byte("of a realm that was erased"), 0o600))
	x.backup(to, BackupOptions{})
	if _, err := os.Stat(gone); !os.IsNotExist(err) {
		t.Error("a destroyed key lives on in the backup")
	}
}

// A backup that lost something says what, and still restores the rest.
func TestDamagedBackup(t *testing.T) {
	x := startSite(t, filepath.Join(t.TempDir(), "data"))
	x.upload("a", seeded(1, 1000))
	to := filepath.Join(t.TempDir(), "backup")
	rep := x.backup(to, BackupOptions{})
	packs, err := filepath.Glob(filepath.Join(to, "store/blobs/pack/*/*/*"))
	if err != nil || len(packs) != 1 {
		t.Fatalf("%q, %v", packs, err)
	}
	x.must(os.Truncate(packs[0], 100))
	got, err := Restore(t.Context(), to, filepath.Join(t.TempDir(), "data"), RestoreOptions{})
	if err != nil || len(got.Missing) != 1 || !strings.HasPrefix(got.Missing[0], "pack/") {
		t.Errorf("%v, missing %q", err, got.Missing)
	}
	// The next backup heals it.
	x.backup(to, BackupOptions{})
	restored(t, to)

	manifest := filepath.Join(to, snapshotsDir, rep.Snapshot, manifestName)
	b, err := os.ReadFile(manifest)
	x.must(err)
	x.must(os.WriteFile(manifest, b[:len(b)-8], 0o600))
	_, err = Restore(t.Context(), to, filepath.Join(t.TempDir(), "data"), RestoreOptions{Snapshot: rep.Snapshot})
	if err == nil || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("a list cut short: %v", err)
	}
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte("12 store\n0 epoch/00000000000000000002\nend 2\n"))
	f.Add([]byte("12 ../../etc/passwd\nend 1\n"))
	f.Add([]byte("end 0\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "m")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		blobs, err := readManifest(path)
		if err != nil {
			return
		}
		again := path + "2"
		if err := writeManifest(again, blobs); err != nil {
			t.Fatal(err)
		}
		for key, size := range blobs {
			if size < 0 || strings.Contains(key, "..") {
				t.Errorf("%q: %d", key, size)
			}
		}
		if twice, err := readManifest(again); err != nil || len(twice) != len(blobs) {
			t.Errorf("%v, %d of %d", err, len(twice), len(blobs))
		}
	})
}
