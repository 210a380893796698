package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"kuva/internal/blob"
	"kuva/internal/blob/dir"
	"kuva/internal/blob/fsys"
	"kuva/internal/catalog"
	"kuva/internal/depot"
	"kuva/internal/identity"
)

// BackupOptions say how to back up. The zero value keeps seven snapshots.
type BackupOptions struct {
	Keep int // snapshots that stay, the new one among them [7]
	// Progress is called with the bytes copied so far and the bytes to copy as
	// far as they are known. nil is fine.
	Progress func(done, total int64)
	Now      func() time.Time
	Log      *slog.Logger
	// passed is called at the places where a test wants something to happen.
	passed func(point string)
}

// BackupReport says what a backup did.
type BackupReport struct {
	Snapshot string   `json:"snapshot"`
	Images   int      `json:"images"`
	Blobs    int      `json:"blobs"`
	Copied   int64    `json:"copied"`        // blobs that were not in the backup before
	Bytes    int64    `json:"copied_bytes"`  // of these
	Removed  int64    `json:"removed"`       // blobs that no snapshot needs any more
	Dropped  []string `json:"dropped"`       // old snapshots
	Missing  []string `json:"missing_blobs"` // lost by the service itself: run kuva depot verify
}

const backupTries = 5

// Backup adds a snapshot of a data folder to a backup, while the service may
// run. All that the copied database refers to is in the copy when it returns:
//
//  1. The database is copied first, of one moment.
//  2. Then the packs, recipes and keys which that copy needs. The collector may
//     delete one meanwhile that was condemned after the copy; then the database
//     is copied again and only what is still lacking.
//  3. Then each image's newest card that is not newer than its copied row. Where
//     a later change has replaced the very card, the copied row says that it has
//     none, and the restored service writes it again.
//  4. Last the blobs of the copied epochs, none later: so the copy's database and
//     store are of one age, and a restored service starts as if nothing had
//     happened.
//
// A crash leaves earlier snapshots as they were.
func Backup(ctx context.Context, cfg Config, to string, opt BackupOptions) (rep BackupReport, err error) {
	b, err := openBackup(ctx, cfg, to, opt)
	if err != nil {
		return rep, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.run(ctx); err != nil {
		return b.rep, fmt.Errorf("backup: %w", err)
	}
	return b.rep, nil
}

type backup struct {
	cfg  Config
	to   string
	opt  BackupOptions
	rep  BackupReport
	db   *catalog.DB
	from store
	pool *dir.Store
	work string // the snapshot that is being made

	have  map[string]int64 // blobs in the backup
	whole map[string]int64 // blobs of this snapshot

	done, total atomic.Int64
}

func openBackup(ctx context.Context, cfg Config, to string, opt BackupOptions) (_ *backup, err error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	if err := cfg.made(ctx); err != nil {
		return nil, err
	}
	if to, err = filepath.Abs(to); err != nil {
		return nil, err
	}
	if inside(cfg.Data, to) || inside(to, cfg.Data) {
		return nil, fmt.Errorf("%s and the data folder %s lie in each other: choose another place for the backup, best on another disk", to, cfg.Data)
	}
	b := &backup{cfg: cfg, to: to, opt: opt}
	if b.opt.Keep <= 0 {
		b.opt.Keep = 7
	}
	if b.opt.Now == nil {
		b.opt.Now = time.Now
	}
	if b.opt.Progress == nil {
		b.opt.Progress = func(int64, int64) {}
	}
	if b.opt.passed == nil {
		b.opt.passed = func(string) {}
	}
	defer func() {
		if err != nil {
			_ = b.close()
		}
	}()
	if b.db, err = catalog.Open(ctx, catalog.Config{DSN: cfg.Database, Log: opt.Log, NoMigrate: true}); err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	if b.from, err = cfg.openStore(ctx, storeRead, opt.Log); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(to, snapshotsDir), 0o700); err != nil {
		return nil, err
	}
	if err := syncDir(filepath.Dir(to)); err != nil && !errors.Is(err, fs.ErrPermission) {
		return nil, err
	}
	b.pool, err = dir.Open(dir.Config{Dir: filepath.Join(to, "store"), Reserve: -1})
	if errors.Is(err, fsys.ErrLocked) {
		return nil, fmt.Errorf("another backup to %s is running", to)
	}
	return b, err
}

func inside(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

func (b *backup) close() error {
	var errs []error
	if b.pool != nil {
		errs = append(errs, b.pool.Close())
	}
	if b.from != nil {
		errs = append(errs, b.from.Close())
	}
	if b.db != nil {
		errs = append(errs, b.db.Close())
	}
	return errors.Join(errs...)
}

func (b *backup) run(ctx context.Context) error {
	if err := b.begin(ctx); err != nil {
		return err
	}
	defer os.RemoveAll(b.work) // not there any more once it has its name
	for try := 1; ; try++ {
		outrun, err := b.take(ctx)
		if err != nil {
			return err
		}
		if !outrun {
			break
		}
		if try == backupTries {
			return errors.New("the collector was faster each time: try again when no `kuva depot gc` runs")
		}
	}
	if err := b.copyKeys(); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	b.opt.passed("copied")
	if err := b.name(); err != nil {
		return err
	}
	b.opt.passed("named")
	if err := b.dropKeys(); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	return b.prune(ctx)
}

// begin clears what a crash left, and sees to it that the backup is of this
// service.
func (b *backup) begin(ctx context.Context) error {
	id, err := blob.Get(ctx, b.from, "store", 4096)
	if err != nil {
		return fmt.Errorf("the store's id: %w", err)
	}
	was, err := blob.Get(ctx, b.pool, "store", 4096)
	if errors.Is(err, blob.ErrNotFound) {
		was, err = id, blob.Put(ctx, b.pool, "store", id)
	}
	if err != nil {
		return err
	}
	if string(was) != string(id) {
		return fmt.Errorf("%s holds the backup of another service: give each its own folder", b.to)
	}
	left, err := filepath.Glob(filepath.Join(b.to, snapshotsDir, ".*-*"))
	if err != nil {
		return err
	}
	for _, path := range left {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	if b.work, err = os.MkdirTemp(filepath.Join(b.to, snapshotsDir), ".new-*"); err != nil {
		return err
	}
	b.have = map[string]int64{}
	for info, err := range b.pool.List(ctx, "") {
		if err != nil {
			return err
		}
		b.have[info.Key] = info.Size
	}
	return nil
}

// take copies the database and then all that it needs. outrun says that
// something of it was deleted meanwhile.
func (b *backup) take(ctx context.Context) (outrun bool, err error) {
	path := filepath.Join(b.work, databaseName)
	for _, old := range []string{path, path + "-wal", path + "-shm"} {
		if err := os.Remove(old); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	if err := b.db.Backup(ctx, path); err != nil {
		return false, err
	}
	b.opt.passed("ledger")
	ledger, err := catalog.Open(ctx, catalog.Config{DSN: "sqlite:" + path, NoMigrate: true})
	if err != nil {
		return false, fmt.Errorf("the copied database: %w", err)
	}
	defer func() { err = errors.Join(err, ledger.Close()) }()
	inv, err := depot.TakeInventory(ctx, ledger)
	if err != nil {
		return false, err
	}
	b.rep.Images = len(inv.Images)
	b.whole = map[string]int64{"store": int64(len(inv.StoreID))}
	gone, err := b.copyBlobs(ctx, inv.Blobs)
	if err != nil {
		return false, err
	}
	b.rep.Missing = nil
	for _, key := range gone {
		needed, err := depot.Needs(ctx, b.db, key)
		if err != nil {
			return false, err
		}
		if !needed {
			return true, nil
		}
		b.rep.Missing = append(b.rep.Missing, key)
	}
	b.opt.passed("blobs")
	if err := b.copyCards(ctx, ledger, inv); err != nil {
		return false, err
	}
	epochs := map[string]int64{}
	for n := max(2, inv.Epoch-2); n <= inv.Epoch; n++ {
		epochs[depot.EpochKey(n)] = 0
	}
	// One may be missing: its cycle died, and the next one fills it in.
	if _, err := b.copyBlobs(ctx, epochs); err != nil {
		return false, err
	}
	return false, b.dumpIdentity(ctx, ledger)
}

// copyBlobs copies what the backup does not have and returns, in order, what
// is not there.
func (b *backup) copyBlobs(ctx context.Context, want map[string]int64) (gone []string, err error) {
	var lack []string
	for key, size := range want {
		had, ok := b.have[key]
		if ok && (size < 0 || had == size) {
			b.whole[key] = had
			continue
		}
		if ok { // damage, or a copy by other means that was cut short
			if err := b.pool.Delete(ctx, key); err != nil {
				return nil, err
			}
		}
		lack = append(lack, key)
		b.total.Add(max(size, 0))
	}
	slices.Sort(lack)
	sizes := make([]int64, len(lack))
	work, workCtx := errgroup.WithContext(ctx)
	work.SetLimit(8) // they mostly wait for the disk's fsync
	for i, key := range lack {
		work.Go(func() (err error) {
			sizes[i], err = copyBlob(workCtx, b.from, b.pool, key, func(n int64) {
				done, total := b.done.Add(n), b.total.Load()
				b.opt.Progress(done, max(done, total))
			})
			if errors.Is(err, blob.ErrNotFound) {
				sizes[i], err = -1, nil
			}
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return nil, err
	}
	for i, key := range lack {
		switch size := want[key]; {
		case sizes[i] < 0:
			gone = append(gone, key)
			continue
		case size > 0 && sizes[i] != size:
			b.rep.Missing = append(b.rep.Missing, key) // kept as it is: verify names the damage
		}
		b.have[key], b.whole[key] = sizes[i], sizes[i]
		b.rep.Copied++
		b.rep.Bytes += sizes[i]
	}
	return gone, nil
}

// copyBlob copies one blob and returns its size.
func copyBlob(ctx context.Context, from, to blob.Store, key string, moved func(int64)) (int64, error) {
	info, err := from.Stat(ctx, key)
	if err != nil {
		return 0, err
	}
	w, err := to.Create(ctx, key)
	if err != nil {
		return 0, err
	}
	defer w.Abort()
	buf := make([]byte, min(1<<20, max(1, info.Size)))
	for off := int64(0); off < info.Size; {
		n, err := from.ReadAt(ctx, key, buf[:min(int64(len(buf)), info.Size-off)], off)
		if n == 0 && err != nil {
			return 0, fmt.Errorf("copy: %w", err)
		}
		if _, err := w.Write(buf[:n]); err != nil {
			return 0, err
		}
		off += int64(n)
		moved(int64(n))
	}
	if err := w.Commit(); err != nil && !errors.Is(err, blob.ErrExists) {
		return 0, err
	}
	return info.Size, nil
}

// copyCards copies each image's newest card that its copied row knows.
func (b *backup) copyCards(ctx context.Context, ledger *catalog.DB, inv depot.Inventory) error {
	newest := map[string]int64{}
	keys := map[string]int64{}
	of := map[string]string{}
	for info, err := range b.from.List(ctx, "card/") {
		if err != nil {
			return err
		}
		image, version, ok := depot.CardOf(info.Key)
		row, live := inv.Images[image]
		if !live {
			row = inv.Deleted[image]
		}
		if ok && version <= row && version > newest[image] {
			delete(keys, of[image])
			newest[image], of[image], keys[info.Key] = version, info.Key, info.Size
		}
	}
	gone, err := b.copyBlobs(ctx, keys)
	if err != nil {
		return err
	}
	for _, key := range gone {
		image, _, _ := depot.CardOf(key)
		delete(newest, image)
	}
	forget := map[string]int64{}
	for image := range inv.Images {
		forget[image] = newest[image]
	}
	return depot.ForgetCards(ctx, ledger, forget)
}

// dumpIdentity writes what a rebuild without the database would lack.
func (b *backup) dumpIdentity(ctx context.Context, ledger *catalog.DB) error {
	f, err := os.OpenFile(filepath.Join(b.work, identityName), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(identity.Dump(ctx, ledger, f), f.Sync(), f.Close())
}

// name makes the snapshot durable, then visible.
func (b *backup) name() error {
	for from, to := range map[string]string{b.cfg.cloudsFile(): "clouds.yaml", b.cfg.nodeFile(): "node"} {
		if err := copyFile(from, filepath.Join(b.work, to)); err != nil {
			return err
		}
	}
	b.rep.Blobs = len(b.whole)
	if err := writeManifest(filepath.Join(b.work, manifestName), b.whole); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(b.work, databaseName+"-wal")); err == nil {
		return errors.New("the copied database was not closed")
	}
	if err := syncTree(b.work); err != nil {
		return err
	}
	at := b.opt.Now().UTC()
	names, err := snapshots(b.to)
	if err != nil {
		return err
	}
	// The order of names is the order of snapshots, whatever the clock says.
	if len(names) > 0 {
		if last, err := time.Parse(snapshotTime, names[len(names)-1]); err == nil && !at.After(last) {
			at = last.Add(time.Second)
		}
	}
	for ; ; at = at.Add(time.Second) {
		name := at.Format(snapshotTime)
		err := os.Rename(b.work, filepath.Join(b.to, snapshotsDir, name))
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		b.rep.Snapshot = name
		return syncDir(filepath.Join(b.to, snapshotsDir))
	}
}
