//go:build unix

package catalog

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes the advisory lock of f unless somebody has it; closing f
// gives it back.
func tryLock(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}
