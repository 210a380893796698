//go:build !linux

package fsys

import (
	"errors"
	"os"
	"syscall"
)

func syncData(fd uintptr) error { return syscall.Fsync(int(fd)) }

func allocate(uintptr, int64) error { return errors.ErrUnsupported }

// lockFile does nothing: the service is for Linux; elsewhere whoever starts two
// of them on one folder is not stopped.
func lockFile(*os.File, bool) error { return nil }
