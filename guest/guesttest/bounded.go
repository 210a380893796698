package guesttest

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"math"
	"runtime"
	"runtime/debug"
	"syscall"
	"testing"
	"time"

	"kuva/disk"
	"kuva/guest/budget"
	"kuva/guest/tree"
)

// What one hostile file may cost.
const (
	MaxCPU    = 2 * time.Second
	MaxMemory = 256 << 20
)

// Bounded calls f with the budget of an inspection and reports a panic, more
// than 2 s of processor time or more than 256 MiB of memory. Tests that use it
// must not run in parallel with others.
func Bounded(t testing.TB, f func(b *budget.Budget)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	b := budget.New(ctx, budget.Limits{})
	runtime.GC()
	debug.FreeOSMemory()
	before, peak := heap(), uint64(0)
	done := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				peak = max(peak, heap())
			}
		}
	}()
	start := cpu(t)
	func() {
		defer func() {
			if p := recover(); p != nil {
				t.Errorf("panic: %v\n%s", p, debug.Stack())
			}
		}()
		f(b)
	}()
	used := cpu(t) - start
	close(done)
	<-watched
	if used > MaxCPU {
		t.Errorf("%v of processor time", used)
	}
	if peak > before+MaxMemory {
		t.Errorf("%d MiB of memory", (peak-before)>>20)
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func cpu(t testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Counts is what ReadAll met.
type Counts struct {
	Files, Dirs, Links, Others int
	Bytes                      int64
	Errors                     []error // at most 100
}

// perFile is how much ReadAll reads of one file; of a larger one also its end.
const perFile = 4 << 20

// ReadAll walks a file system, reads files, links and attributes, and goes on
// after errors, but for those of the budget, which it returns.
func ReadAll(f *tree.FS) (Counts, error) {
	var c Counts
	failed := func(err error) error {
		if err == nil || budget.IsLimit(err) {
			return err
		}
		if len(c.Errors) < 100 {
			c.Errors = append(c.Errors, err)
		}
		return nil
	}
	err := fs.WalkDir(f, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return failed(err)
		}
		if _, err := f.Xattrs(name); err != nil {
			if err := failed(err); err != nil {
				return err
			}
		}
		switch e.Type() {
		case fs.ModeDir:
			c.Dirs++
		case fs.ModeSymlink:
			c.Links++
			_, err = f.ReadLink(name)
		case 0:
			c.Files++
			var n int64
			n, err = readFile(f, name)
			c.Bytes += n
		default:
			c.Others++
			_, err = e.Info()
		}
		return failed(err)
	})
	return c, err
}

func readFile(f *tree.FS, name string) (int64, error) {
	file, err := f.Open(name)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	if _, ok := file.(fs.ReadDirFile); ok {
		return 0, disk.Malform("", "%s is a folder, the entry says a file", disk.Quote([]byte(name)))
	}
	n, err := io.Copy(io.Discard, io.LimitReader(file, perFile))
	if err != nil {
		return n, err
	}
	r := file.(tree.File)
	if size := r.Size(); size > perFile && size < math.MaxInt64 {
		p := make([]byte, 64<<10)
		k, err := r.ReadAt(p, size-int64(len(p)))
		n += int64(k)
		if err != nil && !errors.Is(err, io.EOF) {
			return n, err
		}
	}
	extents := 0
	for _, err := range file.(tree.Extenter).Extents() {
		if extents++; err != nil || extents > 100_000 {
			return n, err
		}
	}
	return n, nil
}

// Sane tells whether an error is of a kind that a reader may give for a
// hostile disk: malformed, refused, over the budget, or one of paths.
func Sane(err error) bool {
	var malformed *disk.Malformed
	var refused *disk.Refused
	return err == nil || errors.As(err, &malformed) || errors.As(err, &refused) || budget.IsLimit(err) ||
		errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) || errors.Is(err, tree.ErrLoop) ||
		errors.Is(err, io.ErrUnexpectedEOF)
}
