package fsys

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// each runs a test on every file system that is complete.
func each(t *testing.T, test func(t *testing.T, f FS)) {
	t.Run("os", func(t *testing.T) { test(t, openOS(t, t.TempDir())) })
	t.Run("mem", func(t *testing.T) { test(t, NewMem()) })
	t.Run("fault", func(t *testing.T) { test(t, NewFault(NewMem())) })
}

func openOS(t *testing.T, dir string) *OS {
	o, err := OpenOS(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return o
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, f FS, name string, b []byte) File {
	t.Helper()
	w, err := f.Create(name)
	must(t, err)
	n, err := w.Write(b)
	must(t, err)
	if n != len(b) {
		t.Fatalf("wrote %d of %d", n, len(b))
	}
	return w
}

func read(t *testing.T, f FS, name string) []byte {
	t.Helper()
	r, err := f.Open(name)
	must(t, err)
	defer r.Close()
	b, err := io.ReadAll(io.NewSectionReader(r, 0, 1<<30))
	must(t, err)
	return b
}

func TestFiles(t *testing.T) {
	each(t, func(t *testing.T, f FS) {
		must(t, f.Mkdir("d"))
		w := write(t, f, "d/a", []byte("hello "))
		if _, err := w.Write([]byte("world")); err != nil {
			t.Fatal(err)
		}
		must(t, w.Sync())
		must(t, f.SyncDir("d"))
		must(t, f.SyncDir("."))
		must(t, f.Link("d/a", "b"))
		must(t, w.Close())
		if _, err := w.Write([]byte("x")); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("write after close: %v", err)
		}
		must(t, f.Remove("d/a"))
		must(t, f.Rmdir("d"))
		if got := read(t, f, "b"); string(got) != "hello world" {
			t.Errorf("read %q", got)
		}
		r, err := f.Open("b")
		must(t, err)
		must(t, f.Remove("b"))
		p := make([]byte, 100)
		if n, err := r.ReadAt(p, 6); n != 5 || err != io.EOF {
			t.Errorf("removed but open: %d, %v", n, err)
		}
		if n, err := r.ReadAt(p, 11); n != 0 || err != io.EOF {
			t.Errorf("at the end: %d, %v", n, err)
		}
		if _, err := r.ReadAt(p, -1); err == nil {
			t.Error("negative offset")
		}
		if _, err := r.Write(p); err == nil {
			t.Error("write to a file opened for reading")
		}
		must(t, r.Close())
	})
}

func TestErrors(t *testing.T) {
	each(t, func(t *testing.T, f FS) {
		must(t, f.Mkdir("d"))
		must(t, f.Mkdir("d/empty"))
		write(t, f, "d/a", nil).Close()
		write(t, f, "e", nil).Close()
		_, createErr := f.Create("e")
		_, openErr := f.Open("d/x")
		_, statErr := f.Stat("x/y")
		_, listErr := f.List("x")
		_, underFile := f.Stat("e/x")
		_, outside := f.Stat("../x")
		_, absolute := f.Open("/etc/passwd")
		for _, c := range []struct {
			what string
			err  error
			want error
		}{
			{"create taken", createErr, fs.ErrExist},
			{"mkdir taken", f.Mkdir("d"), fs.ErrExist},
			{"mkdir without parent", f.Mkdir("x/y"), fs.ErrNotExist},
			{"link taken", f.Link("e", "d/a"), fs.ErrExist},
			{"link taken by folder", f.Link("e", "d"), fs.ErrExist},
			{"link nothing", f.Link("x", "y"), fs.ErrNotExist},
			{"link to nowhere", f.Link("e", "x/y"), fs.ErrNotExist},
			{"open nothing", openErr, fs.ErrNotExist},
			{"stat nothing", statErr, fs.ErrNotExist},
			{"stat under a file", underFile, syscall.ENOTDIR},
			{"list nothing", listErr, fs.ErrNotExist},
			{"remove nothing", f.Remove("x"), fs.ErrNotExist},
			{"remove folder", f.Remove("d/empty"), syscall.EISDIR},
			{"rmdir nothing", f.Rmdir("x"), fs.ErrNotExist},
			{"rmdir file", f.Rmdir("e"), syscall.ENOTDIR},
			{"rmdir full folder", f.Rmdir("d"), syscall.ENOTEMPTY},
			{"rmdir root", f.Rmdir("."), fs.ErrInvalid},
			{"syncdir nothing", f.SyncDir("x"), fs.ErrNotExist},
			{"outside", outside, nil},
			{"absolute", absolute, nil},
		} {
			if c.err == nil || c.want != nil && !errors.Is(c.err, c.want) {
				t.Errorf("%s: %v, want %v", c.what, c.err, c.want)
			}
		}
	})
}

func TestList(t *testing.T) {
	each(t, func(t *testing.T, f FS) {
		must(t, f.Mkdir("d"))
		must(t, f.Mkdir("d/sub"))
		write(t, f, "d/a", []byte("four")).Close()
		list, err := f.List("d")
		must(t, err)
		slices.SortFunc(list, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
		if want := []Info{{"a", 4, Regular}, {"sub", 0, Dir}}; !slices.Equal(list, want) {
			t.Errorf("List = %v", list)
		}
		if fi, err := f.Stat("d/a"); err != nil || fi != list[0] {
			t.Errorf("Stat = %v, %v", fi, err)
		}
		if fi, err := f.Stat("d"); err != nil || fi.Kind != Dir {
			t.Errorf("Stat = %v, %v", fi, err)
		}
	})
}

func TestOSModesAndLinks(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	must(t, os.WriteFile(filepath.Join(outside, "secret"), []byte("x"), 0o600))
	must(t, os.Symlink(outside, filepath.Join(dir, "out")))
	must(t, os.Symlink(filepath.Join(outside, "secret"), filepath.Join(dir, "file")))
	o := openOS(t, dir)
	if _, err := o.Open("out/secret"); err == nil {
		t.Error("a link led outside")
	}
	if _, err := o.Open("file"); err == nil {
		t.Error("a link to a file led outside")
	}
	if fi, err := o.Stat("file"); err != nil || fi.Kind != Other {
		t.Errorf("Stat of a link: %v, %v", fi, err)
	}
	must(t, o.Mkdir("d"))
	write(t, o, "d/a", nil).Close()
	for name, want := range map[string]fs.FileMode{"d": 0o700, "d/a": 0o600} {
		fi, err := os.Stat(filepath.Join(dir, name))
		must(t, err)
		if got := fi.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o", name, got)
		}
	}
}

func TestOSLock(t *testing.T) {
	dir := t.TempDir()
	a, b := openOS(t, dir), openOS(t, dir)
	l, err := a.Lock("lock", false)
	must(t, err)
	for _, shared := range []bool{true, false} {
		if _, err := b.Lock("lock", shared); !errors.Is(err, ErrLocked) {
			t.Errorf("second lock, shared %v: %v", shared, err)
		}
	}
	must(t, l.Close())
	l, err = b.Lock("lock", true)
	must(t, err)
	m, err := a.Lock("lock", true)
	must(t, err)
	l.Close()
	m.Close()
}

func TestAllocate(t *testing.T) {
	for _, f := range []FS{openOS(t, t.TempDir()), NewMem()} {
		w, err := f.Create("a")
		must(t, err)
		if err := w.(Allocator).Allocate(1 << 20); errors.Is(err, errors.ErrUnsupported) {
			t.Logf("%T: %v", f, err)
		} else if err != nil {
			t.Error(err)
		}
		w.Close()
	}
}

func TestMemLimit(t *testing.T) {
	m := NewMem()
	m.SetLimit(10)
	w := write(t, m, "a", []byte("12345678"))
	if n, err := w.Write([]byte("abcd")); n != 2 || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("Write = %d, %v", n, err)
	}
	if got := read(t, m, "a"); string(got) != "12345678ab" {
		t.Errorf("read %q", got)
	}
	if err := w.(Allocator).Allocate(1); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Allocate: %v", err)
	}
	must(t, m.Remove("a"))
	if m.Used() != 10 {
		t.Errorf("an open file takes %d", m.Used())
	}
	w.Close()
	if m.Used() != 0 {
		t.Errorf("%d bytes are taken by nothing", m.Used())
	}
	w, err := m.Create("b")
	must(t, err)
	must(t, w.(Allocator).Allocate(7))
	if m.Used() != 7 || m.Kill().Used() != 7 {
		t.Errorf("%d bytes reserved", m.Used())
	}
}

// TestCrashKeepsSynced: what was synced is there after every crash; what was not
// is sometimes there and sometimes not.
func TestCrashKeepsSynced(t *testing.T) {
	old, add := bytes.Repeat([]byte{1}, 3*pageSize+100), bytes.Repeat([]byte{2}, 3*pageSize)
	outcomes := map[string]int{}
	for seed := range uint64(500) {
		m := NewMem()
		must(t, m.Mkdir("d"))
		w := write(t, m, "d/a", old)
		must(t, w.Sync())
		must(t, m.SyncDir("d"))
		must(t, m.SyncDir("."))
		w.Write(add)
		must(t, m.Link("d/a", "d/b"))
		must(t, m.Mkdir("e"))
		after := m.Crash(seed)

		if _, err := w.Write(add); err != ErrCrashed {
			t.Fatalf("a dead process writes: %v", err)
		}
		if _, err := m.Stat("d"); err != ErrCrashed {
			t.Fatalf("a dead process looks: %v", err)
		}
		got := read(t, after, "d/a")
		if !bytes.HasPrefix(got, old) {
			t.Fatalf("seed %d: synced bytes are lost", seed)
		}
		if _, err := after.Stat("d/b"); err == nil {
			outcomes["link kept"]++
			if !bytes.Equal(read(t, after, "d/b"), got) {
				t.Fatal("two names, two files")
			}
		} else {
			outcomes["link lost"]++
		}
		if _, err := after.Stat("e"); err == nil {
			outcomes["folder kept"]++
		} else {
			outcomes["folder lost"]++
		}
		switch rest := got[len(old):]; {
		case len(rest) == 0:
			outcomes["none"]++
		case bytes.Equal(rest, add):
			outcomes["all"]++
		case len(rest) < len(add):
			outcomes["short"]++
		default:
			outcomes["torn"]++
		}
	}
	for _, what := range []string{"link kept", "link lost", "folder kept", "folder lost", "none", "all", "short", "torn"} {
		if outcomes[what] == 0 {
			t.Errorf("500 crashes and never: %s", what)
		}
	}
	t.Log(outcomes)
}

func TestCrashIsDeterministic(t *testing.T) {
	var first []byte
	for i := range 5 {
		m := NewMem()
		for _, name := range []string{"a", "b", "c", "d"} {
			write(t, m, name, bytes.Repeat([]byte{byte(name[0])}, 5*pageSize))
		}
		after := m.Crash(7)
		var all []byte
		list, err := after.List(".")
		must(t, err)
		slices.SortFunc(list, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
		for _, fi := range list {
			all = append(append(all, fi.Name...), read(t, after, fi.Name)...)
		}
		if i == 0 {
			first = all
		} else if !bytes.Equal(all, first) {
			t.Fatal("one seed, two outcomes")
		}
	}
}

func TestKillKeepsAll(t *testing.T) {
	m := NewMem()
	w := write(t, m, "a", []byte("unsynced"))
	next := m.Kill()
	if err := w.Close(); err != ErrCrashed {
		t.Errorf("a dead process closes: %v", err)
	}
	if got := read(t, next, "a"); string(got) != "unsynced" {
		t.Errorf("read %q", got)
	}
	lost := 0
	for seed := range uint64(20) {
		m := NewMem()
		write(t, m, "a", []byte("unsynced"))
		if _, err := m.Kill().Crash(seed).Stat("a"); err != nil {
			lost++
		}
	}
	if lost == 0 {
		t.Error("what a killed process left unsynced is durable")
	}
}

// TestFailedSyncIsForEver: a sync that failed and was not done leaves its bytes and
// entries at the mercy of a crash, however often it is repeated.
func TestFailedSyncIsForEver(t *testing.T) {
	lostBytes, lostNames := 0, 0
	for seed := range uint64(60) {
		m := NewMem()
		f := NewFault(m)
		w := write(t, f, "a", []byte("precious"))
		f.Arm(Failure{At: 1, Ops: []Op{OpSync}, Err: syscall.EIO})
		if err := w.Sync(); err != syscall.EIO {
			t.Fatal(err)
		}
		must(t, w.Sync())
		must(t, f.SyncDir("."))
		write(t, f, "b", nil)
		f.Arm(Failure{At: 1, Ops: []Op{OpSyncDir}, Err: syscall.EIO})
		if err := f.SyncDir("."); err != syscall.EIO {
			t.Fatal(err)
		}
		must(t, f.SyncDir("."))
		after := m.Crash(seed)
		if string(read(t, after, "a")) != "precious" {
			lostBytes++
		}
		if _, err := after.Stat("b"); err != nil {
			lostNames++
		}
	}
	if lostBytes == 0 || lostNames == 0 {
		t.Errorf("lost %d and %d times: a repeated sync is trusted", lostBytes, lostNames)
	}
}

func TestFaultPairs(t *testing.T) {
	m := NewMem()
	f := NewFault(m)
	var seen []string
	f.OnCall = func(op Op, name string) { seen = append(seen, string(op)+" "+name) }
	f.Arm(Failure{At: 2, Err: syscall.EIO})
	must(t, f.Mkdir("a"))
	if err := f.Mkdir("b"); err != syscall.EIO {
		t.Fatal(err)
	}
	must(t, f.Mkdir("c"))
	if n := f.Disarm(); n != 1 {
		t.Errorf("%d failed", n)
	}
	if _, err := m.Stat("b"); err == nil {
		t.Error("failed and not done was done")
	}
	f.Arm(Failure{At: 1, Times: -1, Ops: []Op{OpMkdir, OpCreate}, Err: syscall.ENOSPC, Done: true})
	if err := f.Mkdir("b"); err != syscall.ENOSPC {
		t.Fatal(err)
	}
	if _, err := f.Create("d"); err != syscall.ENOSPC {
		t.Fatal(err)
	}
	for _, name := range []string{"b", "d"} {
		if _, err := m.Stat(name); err != nil {
			t.Error("failed but done was not done")
		}
	}
	if want := []string{"mkdir a", "mkdir b", "mkdir c", "mkdir b", "create d"}; !slices.Equal(seen, want) {
		t.Errorf("calls: %v", seen)
	}
}

func TestMemFlip(t *testing.T) {
	m := NewMem()
	w := write(t, m, "a", []byte{0, 0, 0})
	must(t, w.Sync())
	must(t, m.SyncDir("."))
	must(t, m.Flip("a", 1, 0x41))
	if got := read(t, m.Crash(1), "a"); !bytes.Equal(got, []byte{0, 0x41, 0}) {
		t.Errorf("read %v", got)
	}
	if err := NewMem().Flip("a", 0, 1); err == nil {
		t.Error("flipped nothing")
	}
}
