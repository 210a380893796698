package server

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// copyKeys copies the wrapping keys that the backup lacks.
func (b *backup) copyKeys() error {
	to := filepath.Join(b.to, "keys")
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	names, err := keyNames(b.cfg.keyDir())
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(to, name)); err == nil {
			continue
		}
		if err := copyFile(filepath.Join(b.cfg.keyDir(), name), filepath.Join(to, name)); err != nil {
			return err
		}
	}
	return errors.Join(syncDir(to), syncDir(b.to))
}

// dropKeys removes keys that the service has destroyed: what a realm's
// erasure promised holds for its backups.
func (b *backup) dropKeys() error {
	to := filepath.Join(b.to, "keys")
	names, err := keyNames(to)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(b.cfg.keyDir(), name)); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := os.Remove(filepath.Join(to, name)); err != nil {
			return err
		}
	}
	return syncDir(to)
}

// keyNames lists a folder of keys without what is being written there.
func keyNames(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// prune drops the oldest snapshots, then the blobs that none of the others
// needs.
func (b *backup) prune(ctx context.Context) error {
	names, err := snapshots(b.to)
	if err != nil {
		return err
	}
	old := max(0, len(names)-b.opt.Keep)
	for _, name := range names[:old] {
		// Without its name it is no snapshot any more, whatever a crash leaves.
		gone := filepath.Join(b.to, snapshotsDir, ".old-"+name)
		if err := os.Rename(filepath.Join(b.to, snapshotsDir, name), gone); err != nil {
			return err
		}
		if err := syncDir(filepath.Join(b.to, snapshotsDir)); err != nil {
			return err
		}
		if err := os.RemoveAll(gone); err != nil {
			return err
		}
	}
	b.rep.Dropped = slices.Clone(names[:old])
	needed := map[string]bool{}
	for _, name := range names[old:] {
		blobs, err := readManifest(filepath.Join(b.to, snapshotsDir, name, manifestName))
		if err != nil {
			return err // rather keep too much
		}
		for key := range blobs {
			needed[key] = true
		}
	}
	for key := range b.have {
		if needed[key] {
			continue
		}
		if err := b.pool.Delete(ctx, key); err != nil {
			return err
		}
		b.rep.Removed++
	}
	return nil
}
