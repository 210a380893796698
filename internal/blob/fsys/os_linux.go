package fsys

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// syncData leaves out what only stat shows (times), so that one journal commit
// is enough; the length is saved, since reading needs it.
func syncData(f *os.File) error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); err != unix.EINTR {
			return err
		}
	}
}

// beginWriteBack does not wait, and takes no error away from a later syncData.
func beginWriteBack(f *os.File, off, n int64) error {
	for {
		err := unix.SyncFileRange(int(f.Fd()), off, n, unix.SYNC_FILE_RANGE_WRITE)
		if err == unix.ENOSYS || err == unix.EINVAL || err == unix.ESPIPE {
			return nil // not on this file system: Sync does it all
		}
		if err != unix.EINTR {
			return err
		}
	}
}

func allocate(f *os.File, n int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), 0, 0, n)
		if err == unix.EOPNOTSUPP || err == unix.ENOSYS {
			return errors.ErrUnsupported
		}
		if err != unix.EINTR {
			return err
		}
	}
}

const (
	unlinkFile = 0
	unlinkDir  = unix.AT_REMOVEDIR
)

func unlinkAt(d *os.File, base string, how int) error {
	for {
		if err := unix.Unlinkat(int(d.Fd()), base, how); err != unix.EINTR {
			return err
		}
	}
}

func lockFile(f *os.File, shared bool) error {
	how := unix.LOCK_EX
	if shared {
		how = unix.LOCK_SH
	}
	for {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		if err == unix.EWOULDBLOCK {
			return ErrLocked
		}
		if err != unix.EINTR {
			return err
		}
	}
}
