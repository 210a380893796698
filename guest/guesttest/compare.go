package guesttest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kuva/disk"
	"kuva/guest/tree"
)

// Listing is what lies in a file system, by path.
type Listing map[string]Item

// Item is one file, folder or link.
type Item struct {
	Mode     uint32 // of stat(2)
	Size     int64  // of regular files and links
	UID, GID uint32
	Nlink    uint32
	Rdev     uint64 // major<<32 | minor, of devices
	Mtime    time.Time
	Sum      string // SHA-256 of a regular file, hexadecimal
	Target   string // of a symbolic link
	Xattrs   map[string]string
}

// Witness lists a folder of the host: the tree that an image is made from, or
// an image that the kernel mounted.
func Witness(t testing.TB, dir string) Listing {
	t.Helper()
	list := Listing{}
	err := filepath.WalkDir(dir, func(file string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st syscall.Stat_t
		if err := syscall.Lstat(file, &st); err != nil {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		item := Item{
			Mode: st.Mode, UID: st.Uid, GID: st.Gid, Nlink: uint32(st.Nlink), Mtime: time.Unix(st.Mtim.Sec, st.Mtim.Nsec),
		}
		switch st.Mode & tree.TypeMask {
		case tree.Regular:
			item.Size = st.Size
			item.Sum, err = sumFile(file)
			item.Xattrs = xattrs(file)
		case tree.Symlink:
			item.Target, err = os.Readlink(file)
			item.Size = int64(len(item.Target))
		case tree.Char, tree.Block:
			major := st.Rdev>>8&0xfff | st.Rdev>>32&^0xfff
			minor := st.Rdev&0xff | st.Rdev>>12&0xffffff00
			item.Rdev = major<<32 | minor
		}
		list[name] = item
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func sumFile(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return sum(f)
}

func sum(r io.Reader) (string, error) {
	h := sha256.New()
	_, err := io.Copy(h, r)
	return hex.EncodeToString(h.Sum(nil)), err
}

// xattrs lists those that a file system keeps for users and programs.
func xattrs(file string) map[string]string {
	names := make([]byte, 64<<10)
	n, err := syscall.Listxattr(file, names)
	if err != nil || n == 0 {
		return nil
	}
	all := map[string]string{}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names[:n]), "\x00"), "\x00") {
		value := make([]byte, 64<<10)
		if n, err := syscall.Getxattr(file, name, value); err == nil {
			all[name] = string(value[:n])
		}
	}
	return all
}

// Options say what Compare shall overlook, because the file system has no
// such thing or the tool that made the image drops it.
type Options struct {
	NoModes, NoOwners, NoNlink, NoXattrs bool
	// Times are compared to this precision; 0 not at all.
	Times time.Duration
	// Times32 compares only the low 32 bits of seconds, all that mke2fs writes.
	Times32 bool
	// FolderTimes compares those of folders too.
	FolderTimes bool
	// Extra are paths that the image has beyond the witness, with everything
	// below them.
	Extra []string
}

func (o Options) sameTime(a, b time.Time) bool {
	if o.Times32 {
		return int32(a.Unix()) == int32(b.Unix())
	}
	return a.Truncate(o.Times).Equal(b.Truncate(o.Times))
}

// Compare reads everything in f and reports what differs from the witness,
// forwards and backwards; and holds f to the rules of io/fs on the way.
func Compare(t testing.TB, f *tree.FS, want Listing, o Options) {
	t.Helper()
	seen := map[string]bool{}
	wrong := 0
	errorf := func(format string, args ...any) {
		t.Helper()
		if wrong++; wrong <= 20 {
			t.Errorf(format, args...)
		}
	}
	err := fs.WalkDir(f, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			errorf("%q: %v", name, err)
			return nil
		}
		if slices.Contains(o.Extra, name) {
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		item, ok := want[name]
		if !ok {
			errorf("%q is not in the witness", name)
			return nil
		}
		seen[name] = true
		compareItem(errorf, f, name, e, item, o)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if !seen[name] {
			errorf("%q is missing", name)
		}
	}
	if wrong > 20 {
		t.Errorf("and %d more", wrong-20)
	}
	if !t.Failed() {
		t.Logf("%d names equal", len(seen))
	}
	conform(t, f, want)
}

func compareItem(errorf func(string, ...any), f *tree.FS, name string, e fs.DirEntry, want Item, o Options) {
	info, err := f.Lstat(name)
	if err != nil {
		errorf("%q: %v", name, err)
		return
	}
	a := *tree.AttrOf(info)
	if listed, err := e.Info(); err != nil || name != "." && *tree.AttrOf(listed) != a {
		errorf("%q: the entry of the folder says otherwise: %v", name, err)
	}
	typ := want.Mode & tree.TypeMask
	if a.Mode&tree.TypeMask != typ || e.Type() != tree.FileMode(want.Mode).Type() {
		errorf("%q: type %o, want %o", name, a.Mode, want.Mode)
		return
	}
	if !o.NoModes && a.Mode != want.Mode {
		errorf("%q: mode %o, want %o", name, a.Mode, want.Mode)
	}
	if !o.NoOwners && (a.UID != want.UID || a.GID != want.GID) {
		errorf("%q: owner %d:%d, want %d:%d", name, a.UID, a.GID, want.UID, want.GID)
	}
	if !o.NoNlink && typ != tree.Dir && a.Nlink != want.Nlink {
		errorf("%q: %d links, want %d", name, a.Nlink, want.Nlink)
	}
	if o.Times > 0 && (o.FolderTimes || typ != tree.Dir) && !o.sameTime(a.Mtime, want.Mtime) {
		errorf("%q: changed at %v, want %v", name, a.Mtime, want.Mtime)
	}
	if typ == tree.Regular || typ == tree.Symlink {
		if a.Size != want.Size {
			errorf("%q: %d bytes, want %d", name, a.Size, want.Size)
			return
		}
	}
	if a.Rdev != want.Rdev {
		errorf("%q: device %x, want %x", name, a.Rdev, want.Rdev)
	}
	switch typ {
	case tree.Regular:
		file, err := f.Open(name)
		if err != nil {
			errorf("%q: %v", name, err)
			return
		}
		got, err := sum(file)
		if err != nil || got != want.Sum {
			errorf("%q: other bytes: %v", name, err)
		}
		pieces(errorf, name, file, want.Size)
		file.Close()
		if !o.NoXattrs {
			compareXattrs(errorf, f, name, want.Xattrs)
		}
	case tree.Symlink:
		if target, err := f.ReadLink(name); err != nil || target != want.Target {
			errorf("%q: points to %q, want %q: %v", name, target, want.Target, err)
		}
	}
}

func compareXattrs(errorf func(string, ...any), f *tree.FS, name string, want map[string]string) {
	got, err := f.Xattrs(name)
	if err != nil {
		errorf("%q: %v", name, err)
	}
	all := map[string]string{}
	for k, v := range got {
		all[k] = string(v)
	}
	if !maps.Equal(all, want) {
		errorf("%q: extended attributes %q, want %q", name, all, want)
	}
}

// pieces reads a larger file here and there, and over its end, as ReadAt and
// as the extents that it tells of.
func pieces(errorf func(string, ...any), name string, file fs.File, size int64) {
	r, ok := file.(interface {
		tree.File
		tree.Extenter
		io.Seeker
	})
	if !ok {
		errorf("%q: a %T is no ReaderAt and Seeker", name, file)
		return
	}
	end := int64(0)
	for e, err := range r.Extents() {
		if err != nil || e.Off < end || e.Len <= 0 {
			errorf("%q: extent %+v behind %d: %v", name, e, end, err)
			return
		}
		end = e.End()
	}
	if size < 50_000 || size > 8<<20 {
		return
	}
	whole := make([]byte, size)
	if n, err := r.ReadAt(whole, 0); int64(n) != size || err != nil && err != io.EOF {
		errorf("%q: read whole: %d bytes, %v", name, n, err)
		return
	}
	rng := rand.New(rand.NewPCG(3, uint64(size)))
	for range 20 {
		off := rng.Int64N(size)
		p := make([]byte, 1+rng.IntN(20_000))
		n, err := r.ReadAt(p, off)
		wantN := int(min(int64(len(p)), size-off))
		if n != wantN || (n < len(p)) != (err == io.EOF) || err != nil && err != io.EOF || !bytes.Equal(p[:n], whole[off:off+int64(n)]) {
			errorf("%q: %d bytes at %d: %d, %v", name, len(p), off, n, err)
			return
		}
	}
	if n, err := r.ReadAt(make([]byte, 1), size); n != 0 || err != io.EOF {
		errorf("%q: behind the end: %d, %v", name, n, err)
	}
}

// conform checks what holds for any FS.
func conform(t testing.TB, f *tree.FS, want Listing) {
	t.Helper()
	if _, err := f.Stat("no such name here"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a name that does not exist: %v", err)
	}
	if i, err := f.Info("."); err != nil || i.Type == "" {
		t.Error("Info has no Type")
	}
	// Many readers at a time see the same.
	var names []string
	for name, item := range want {
		if item.Sum != "" && item.Size < 1<<20 && len(names) < 50 {
			names = append(names, name)
		}
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for _, name := range names {
				b, err := f.ReadFile(name)
				if got, _ := sum(bytes.NewReader(b)); err != nil || got != want[name].Sum {
					t.Errorf("%q, read at the same time: %v", name, err)
				}
			}
		})
	}
	group.Wait()
	var refused *disk.Refused
	for name, item := range want {
		if item.Target == "" || strings.HasPrefix(item.Target, "/") {
			continue
		}
		// Where the target lies in the witness, the link leads there.
		to := filepath.Join(filepath.Dir(name), item.Target)
		if target, ok := want[to]; ok && target.Sum != "" {
			b, err := f.ReadFile(name)
			if got, _ := sum(bytes.NewReader(b)); got != target.Sum && !errors.As(err, &refused) {
				t.Errorf("%q does not lead to %q: %v", name, to, err)
			}
		}
	}
}
