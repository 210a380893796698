package xfs_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kuva/guest/guesttest"
	"kuva/guest/xfs"
	"kuva/internal/testkit/loopfs"
)

// seeds are small file systems with something of everything, of version 5 by
// the kernel and of version 4 by mkfs.xfs.
func seeds(t testing.TB) []*guesttest.Image {
	v5 := func(args ...string) func() string {
		return func() string {
			image := mkfs(t, args...)
			loopfs.With(t, image, "", func(dir string) { guesttest.MakeSmallTree(t, dir) })
			emptyLog(t, image)
			return image
		}
	}
	return []*guesttest.Image{
		guesttest.Seed(t, "v5", v5("-d", "agcount=2", "-i", "nrext64=1", "-m", "bigtime=1")),
		guesttest.Seed(t, "v5-1k", v5("-b", "size=1024", "-d", "agcount=2", "-n", "size=4096")),
		guesttest.Seed(t, "v4", func() string {
			dir := t.TempDir()
			guesttest.MakeSmallTree(t, dir)
			var list strings.Builder
			list.WriteString("boot\n0 0\n")
			proto(&list, dir, ".", guesttest.Witness(t, dir))
			file := filepath.Join(t.TempDir(), "proto")
			must(t, os.WriteFile(file, []byte(list.String()), 0o600))
			return mkfs(t, "-p", file, "-m", "crc=0", "-b", "size=512", "-n", "ftype=0", "-d", "agcount=2")
		}),
	}
}

// emptyLog writes zeros over the log, most of which is never read.
func emptyLog(t testing.TB, image string) {
	t.Helper()
	f, err := os.OpenFile(image, os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	p := make([]byte, 512)
	_, err = f.ReadAt(p, 0)
	must(t, err)
	be := binary.BigEndian
	size, start := int64(be.Uint32(p[4:])), be.Uint64(p[48:])
	at := int64(start>>p[124])*int64(be.Uint32(p[84:])) + int64(start&(1<<p[124]-1))
	_, err = f.WriteAt(make([]byte, int64(be.Uint32(p[96:]))*size), at*size)
	must(t, err)
}

func FuzzReader(f *testing.F) { guesttest.FuzzReader(f, seeds(f), xfs.Open) }
