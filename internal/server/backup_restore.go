package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"kuva/internal/blob"
	"kuva/internal/blob/dir"
	"kuva/internal/catalog"
	"kuva/internal/depot"
)

// RestoreOptions say what to restore. The zero value takes the newest
// snapshot, with the keys that lie in the backup.
type RestoreOptions struct {
	Snapshot string
	Keys     string // folder of the wrapping keys, where they are kept apart
	Progress func(done, total int64)
}

// RestoreReport says what came back.
type RestoreReport struct {
	Snapshot string   `json:"snapshot"`
	Images   int      `json:"images"`
	Blobs    int      `json:"blobs"`
	Bytes    int64    `json:"bytes"`
	Missing  []string `json:"missing_blobs"` // not in the backup, or cut short
}

// Restore makes a data folder from a snapshot. data must not exist, or be
// empty; it gets its name when all is durable, so a crash leaves it as it was.
func Restore(ctx context.Context, backup, data string, opt RestoreOptions) (rep RestoreReport, err error) {
	if rep, err = restore(ctx, backup, data, opt); err != nil {
		err = fmt.Errorf("restore: %w", err)
	}
	return rep, err
}

func restore(ctx context.Context, backup, data string, opt RestoreOptions) (rep RestoreReport, err error) {
	if data, err = filepath.Abs(data); err != nil {
		return rep, err
	}
	if rep.Snapshot, err = chooseSnapshot(backup, opt.Snapshot); err != nil {
		return rep, err
	}
	if entries, err := os.ReadDir(data); len(entries) > 0 {
		return rep, fmt.Errorf("%s is not empty: move it away first, or restore to another place", data)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return rep, err
	}
	keys := opt.Keys
	if keys == "" {
		keys = filepath.Join(backup, "keys")
	}
	if names, err := keyNames(keys); err != nil || len(names) == 0 {
		return rep, errors.Join(fmt.Errorf("there are no keys in %s, and without them nothing can be read: say with --keys where they are kept", keys), err)
	}
	snapshot := filepath.Join(backup, snapshotsDir, rep.Snapshot)
	work := Config{Data: data + ".restoring"}
	if err := os.RemoveAll(work.Data); err != nil {
		return rep, err
	}
	defer os.RemoveAll(work.Data) // not there any more once it has its name
	if err := work.fill(); err != nil {
		return rep, err
	}
	if err := work.makeData(); err != nil {
		return rep, err
	}
	if err := restoreBlobs(ctx, backup, work, &rep, opt.Progress); err != nil {
		return rep, err
	}
	if err := restoreFiles(snapshot, keys, work); err != nil {
		return rep, err
	}
	if err := rep.prove(ctx, work); err != nil {
		return rep, err
	}
	if err := syncTree(work.Data); err != nil {
		return rep, err
	}
	if err := os.Remove(data); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return rep, err
	}
	if err := os.Rename(work.Data, data); err != nil {
		return rep, err
	}
	return rep, syncDir(filepath.Dir(data))
}

func chooseSnapshot(backup, name string) (string, error) {
	names, err := snapshots(backup)
	if err != nil {
		return "", err
	}
	if len(names) == 0 {
		return "", fmt.Errorf("%s holds no backup that was finished", backup)
	}
	if name == "" {
		return names[len(names)-1], nil
	}
	if !slices.Contains(names, name) {
		return "", fmt.Errorf("%s holds no snapshot %q, only %q", backup, name, names)
	}
	return name, nil
}

func restoreBlobs(ctx context.Context, backup string, to Config, rep *RestoreReport, progress func(done, total int64)) (err error) {
	if progress == nil {
		progress = func(int64, int64) {}
	}
	blobs, err := readManifest(filepath.Join(backup, snapshotsDir, rep.Snapshot, manifestName))
	if err != nil {
		return err
	}
	from, err := dir.Open(dir.Config{Dir: filepath.Join(backup, "store"), ReadOnly: true})
	if err != nil {
		return err
	}
	defer from.Close()
	store, err := dir.Open(dir.Config{Dir: to.storeDir(), Reserve: -1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	var total int64
	for _, size := range blobs {
		total += size
	}
	var done atomic.Int64
	missing := make(chan string, len(blobs))
	work, workCtx := errgroup.WithContext(ctx)
	work.SetLimit(8)
	for key, size := range blobs {
		work.Go(func() error {
			got, err := copyBlob(workCtx, from, store, key, func(n int64) { progress(done.Add(n), total) })
			if errors.Is(err, blob.ErrNotFound) || err == nil && got != size {
				missing <- key
				return nil
			}
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return err
	}
	close(missing)
	for key := range missing {
		rep.Missing = append(rep.Missing, key)
	}
	rep.Blobs, rep.Bytes = len(blobs), done.Load()
	return nil
}

// restoreFiles copies database, keys and the small files. The node keeps its
// name: by it the restored service knows at once which uploads it was in the
// middle of, and puts their images back to queued.
func restoreFiles(snapshot, keys string, to Config) error {
	db, _ := to.databaseFile()
	for from, to := range map[string]string{
		filepath.Join(snapshot, databaseName):  db,
		filepath.Join(snapshot, "clouds.yaml"): to.cloudsFile(),
		filepath.Join(snapshot, "node"):        to.nodeFile(),
	} {
		if err := copyLarge(from, to); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(to.keyDir(), 0o700); err != nil {
		return err
	}
	names, err := keyNames(keys)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := copyLarge(filepath.Join(keys, name), filepath.Join(to.keyDir(), name)); err != nil {
			return err
		}
	}
	return syncDir(to.keyDir())
}

// copyLarge copies a file of any size to a name that is not taken.
func copyLarge(from, to string) error {
	in, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) && filepath.Base(from) != databaseName {
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := out.ReadFrom(in); err != nil {
		return err
	}
	return out.Sync()
}

// prove compares what the restored database needs with what is there.
func (rep *RestoreReport) prove(ctx context.Context, c Config) (err error) {
	db, err := catalog.Open(ctx, catalog.Config{DSN: c.Database, NoMigrate: true})
	if err != nil {
		return fmt.Errorf("the restored database: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	inv, err := depot.TakeInventory(ctx, db)
	if err != nil {
		return err
	}
	rep.Images = len(inv.Images)
	store, err := dir.Open(dir.Config{Dir: c.storeDir(), ReadOnly: true})
	if err != nil {
		return err
	}
	defer store.Close()
	for key, size := range inv.Blobs {
		info, err := store.Stat(ctx, key)
		if err != nil && !errors.Is(err, blob.ErrNotFound) {
			return err
		}
		if err != nil || size >= 0 && info.Size != size {
			rep.Missing = append(rep.Missing, key)
		}
	}
	slices.Sort(rep.Missing)
	rep.Missing = slices.Compact(rep.Missing)
	return nil
}
