// Package guesttest holds every reader of a guest's file system to what
// another program made and another reader sees: MakeTree makes files that are
// hard to get right, a native tool puts them into an image, Witness lists them
// through the host, and Compare reads everything through the reader under test.
package guesttest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Features say what a file system can hold, so that MakeTree makes no more.
type Features uint

// The features.
const (
	Links    Features = 1 << iota // hard links
	Symlinks                      // symbolic links
	Modes                         // permissions, setuid; owners where the test runs as root
	RawNames                      // names that are not UTF-8, and names with \ : * ? "
	Special                       // pipes, and device nodes where the test runs as root
	Xattrs                        // extended attributes user.*
	Sparse                        // files with holes

	// All of them.
	All = Links | Symlinks | Modes | RawNames | Special | Xattrs | Sparse
)

// MakeTree fills an existing folder: 4,000 entries in one folder, files of
// every size about a block, a file in many pieces, sparse files, links short
// and long, absolute and dangling, deep paths, strange names.
func MakeTree(t testing.TB, dir string, has Features) {
	t.Helper()
	rng := newRand()
	m := maker{t: t, dir: dir, rng: rng}

	for i := range 4000 {
		name := fmt.Sprintf("many/file-%04d%s", i, strings.Repeat("n", rng.IntN(120)))
		size := 0
		if i%8 == 0 {
			size = rng.IntN(300)
		}
		m.file(name, size)
	}
	for i := range 300 {
		m.file(fmt.Sprintf("some/%d", i), i)
	}
	for _, n := range []int{1, 59, 60, 61, 100, 150, 160, 511, 512, 513, 1023, 1024, 1025, 4095, 4096, 4097, 65535, 65536, 65537, 1 << 20} {
		m.file(fmt.Sprintf("sizes/%d", n), n)
	}
	m.file("big", 3_000_000)
	m.file("empty", 0)
	m.write("text", bytes.Repeat([]byte("the same line over and over\n"), 20_000))
	m.mkdir("nothing")
	m.file("deep/"+strings.Repeat("folder/", 60)+"file", 100)
	m.file("long/"+strings.Repeat("x", 255), 10)
	m.file("long/"+strings.Repeat("y", 200)+".txt", 10)
	for _, name := range []string{"ünï", "日本語", "with space", "a.b.c", "UPPER lower", "emoji😀", "dash-", "plus+[]"} {
		m.file("names/"+name, 20)
	}
	if has&RawNames != 0 {
		for _, name := range []string{"\xff\xfe\x80", "latin\xe9", "new\nline", `back\slash:*?"<>|`, " leading", "trailing ", "dots...", "tab\t"} {
			m.file("names/"+name, 20)
		}
	}
	if has&Sparse != 0 {
		m.sparse("sparse", 20<<20, 5000, 3<<12, 15<<20+77)
		m.sparse("hole", 3<<20, 0)
		m.sparse("head", 1<<20, 10, 0)
		// A piece in every other block: far more extents than fit into an inode.
		var at []int64
		for i := range 700 {
			at = append(at, int64(i)*8192)
		}
		m.sparse("pieces", 700*8192+100, 4096, at...)
	}
	if has&Symlinks != 0 {
		m.symlink("links/short", "../text")
		m.symlink("links/absolute", "/sizes/4097")
		m.symlink("links/dangling", "nowhere")
		m.symlink("links/folder", "../deep/folder")
		for _, n := range []int{58, 59, 60, 61, 120, 150, 155, 156, 160, 180, 500, 1000, 1023} {
			m.symlink(fmt.Sprintf("links/%d", n), strings.Repeat("./", (n-1)/2)[:(n-1)&^1]+strings.Repeat("t", 1+(n-1)&1))
		}
	}
	if has&Links != 0 {
		m.file("hard/one", 1000)
		for i := range 10 {
			m.must(os.Link(m.path("hard/one"), m.path(fmt.Sprintf("hard/link%d", i))))
		}
		m.must(os.Link(m.path("big"), m.path("hard/big")))
	}
	if has&Modes != 0 {
		for i, mode := range []os.FileMode{0, 0o600, 0o755, 0o4755, 0o2755, 0o1644, 0o7777} {
			name := fmt.Sprintf("modes/%d", i)
			m.file(name, 5)
			if os.Getuid() == 0 {
				m.must(os.Chown(m.path(name), 1000+i, 70_000+i))
			}
			m.must(syscall.Chmod(m.path(name), uint32(mode)))
		}
		m.mkdir("modes/tmp")
		m.must(syscall.Chmod(m.path("modes/tmp"), 0o1777))
	}
	if has&Special != 0 {
		m.mkdir("special")
		m.must(syscall.Mkfifo(m.path("special/pipe"), 0o644))
		if os.Getuid() == 0 {
			m.must(syscall.Mknod(m.path("special/null"), syscall.S_IFCHR|0o666, 1<<8|3))
			// Minor 1000 does not fit into the old encoding of device numbers.
			m.must(syscall.Mknod(m.path("special/disk"), syscall.S_IFBLK|0o660, 259<<8|1000&0xff|1000>>8<<20))
		}
	}
	if has&Xattrs != 0 {
		m.file("xattr/small", 10)
		m.file("xattr/large", 10)
		m.xattr("xattr/small", "user.kuva", "value")
		m.xattr("xattr/small", "user.empty", "")
		for i := range 8 {
			m.xattr("xattr/large", fmt.Sprintf("user.number%d", i), strings.Repeat(string(rune('a'+i)), 20*i))
		}
	}
	m.times()
}

func newRand() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

type maker struct {
	t   testing.TB
	dir string
	rng *rand.Rand
}

func (m *maker) path(name string) string { return filepath.Join(m.dir, name) }

func (m *maker) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *maker) mkdir(name string) { m.must(os.MkdirAll(m.path(name), 0o755)) }

func (m *maker) write(name string, b []byte) {
	m.t.Helper()
	m.mkdir(filepath.Dir(name))
	m.must(os.WriteFile(m.path(name), b, 0o644))
}

// file makes one of random bytes.
func (m *maker) file(name string, size int) {
	m.t.Helper()
	m.write(name, m.random(size))
}

func (m *maker) random(n int) []byte {
	b := make([]byte, n+8)
	for i := 0; i < n; i += 8 {
		v := m.rng.Uint64()
		for j := range 8 {
			b[i+j] = byte(v >> (8 * j))
		}
	}
	return b[:n]
}

// sparse makes a file with pieces of n bytes at some places and holes between.
func (m *maker) sparse(name string, size int64, n int, at ...int64) {
	m.t.Helper()
	f, err := os.Create(m.path(name))
	m.must(err)
	m.must(f.Truncate(size))
	for _, off := range at {
		_, err := f.WriteAt(m.random(n), off)
		m.must(err)
	}
	m.must(f.Close())
}

func (m *maker) symlink(name, target string) {
	m.t.Helper()
	m.mkdir(filepath.Dir(name))
	m.must(os.Symlink(target, m.path(name)))
}

func (m *maker) xattr(name, key, value string) {
	m.t.Helper()
	// A host folder without user attributes (tmpfs of old) goes without.
	if err := syscall.Setxattr(m.path(name), key, []byte(value), 0); err != nil && err != syscall.ENOTSUP {
		m.t.Fatal(err)
	}
}

// times gives files modification times of their own: one before 1970, one
// behind 2038, one with nanoseconds.
func (m *maker) times() {
	for name, at := range map[string]time.Time{
		"sizes/1":    time.Date(1965, 3, 4, 5, 6, 7, 0, time.UTC),
		"sizes/59":   time.Date(2100, 1, 2, 3, 4, 5, 0, time.UTC),
		"sizes/60":   time.Date(2024, 2, 29, 23, 59, 59, 123456789, time.UTC),
		"names/ünï":  time.Date(1999, 12, 31, 23, 59, 58, 0, time.UTC),
		"some/1":     time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC),
		"sizes/4096": time.Unix(0, 0),
	} {
		m.must(os.Chtimes(m.path(name), at, at))
	}
}
