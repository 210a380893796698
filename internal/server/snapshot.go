package server

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"kuva/internal/blob"
)

// A backup is a folder of its own:
//
//	BACKUP/store/               blobs, each once, whichever snapshots need them
//	BACKUP/keys/                the wrapping keys: better moved elsewhere
//	BACKUP/snapshots/TIME/      one state of the service:
//	    kuva.db                   the database
//	    identity.json             users, projects and roles, for a rebuild without the database
//	    blobs                     the blobs that belong to it, one "SIZE KEY" a line
//	    clouds.yaml, node         as in the data folder
//
// A snapshot gets its name when all of it is durable; what a crash leaves
// begins with a dot. A blob's key is used for one content for ever, so
// snapshots share blobs without knowing of each other.
const (
	snapshotsDir  = "snapshots"
	snapshotTime  = "20060102T150405Z"
	manifestName  = "blobs"
	databaseName  = "kuva.db"
	identityName  = "identity.json"
	manifestLimit = 1 << 32 // bytes
)

// snapshots lists the snapshots of a backup, the oldest first.
func snapshots(backup string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(backup, snapshotsDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, err
}

// writeManifest writes the list of blobs. Its last line counts the others, so
// that a list cut short is noticed.
func writeManifest(path string, blobs map[string]int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	for _, key := range slices.Sorted(maps.Keys(blobs)) {
		fmt.Fprintf(w, "%d %s\n", blobs[key], key)
	}
	fmt.Fprintf(w, "end %d\n", len(blobs))
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Sync()
}

// readManifest is the inverse.
func readManifest(path string) (map[string]int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() > manifestLimit {
		return nil, errors.Join(fmt.Errorf("%s is too long for a list of blobs", path), err)
	}
	blobs := map[string]int64{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		first, rest, _ := strings.Cut(lines.Text(), " ")
		if first == "end" {
			if rest != strconv.Itoa(len(blobs)) {
				break
			}
			return blobs, nil
		}
		size, err := strconv.ParseInt(first, 10, 64)
		if err != nil || size < 0 || blob.CheckKey(rest) != nil {
			break
		}
		blobs[rest] = size
	}
	return nil, errors.Join(fmt.Errorf("%s is damaged: take an older snapshot", path), lines.Err())
}

// copyFile copies a small file, durable under its name once its folder is
// synced. One that is not there is no error.
func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return writeFile(to, string(b))
}

// syncTree makes the files of one folder and their names durable.
func syncTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Type().IsRegular() {
			if err := syncFile(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return syncDir(dir)
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
