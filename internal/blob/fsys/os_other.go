//go:build !linux

package fsys

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

func syncData(f *os.File) error { return f.Sync() }

func beginWriteBack(*os.File, int64, int64) error { return nil }

func allocate(*os.File, int64) error { return errors.ErrUnsupported }

const (
	unlinkFile = iota
	unlinkDir
)

// unlinkAt looks first, since elsewhere one call takes files and folders.
func unlinkAt(d *os.File, base string, how int) error {
	name := filepath.Join(d.Name(), base)
	fi, err := os.Lstat(name)
	switch {
	case err != nil:
		return err
	case fi.IsDir() && how == unlinkFile:
		return syscall.EISDIR
	case !fi.IsDir() && how == unlinkDir:
		return syscall.ENOTDIR
	}
	return os.Remove(name)
}

// lockFile does nothing: the service is for Linux; elsewhere whoever starts two
// of them on one folder is not stopped.
func lockFile(*os.File, bool) error { return nil }
