package lossyfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func write(t *testing.T, path, text string, sync bool) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if sync {
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
	}
}

func syncDir(t *testing.T, path string) {
	t.Helper()
	d, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tree lists what is there as "path=content" lines, directories as "path/".
func tree(t *testing.T, root string) string {
	t.Helper()
	var b strings.Builder
	must(t, filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		if e.IsDir() {
			fmt.Fprintf(&b, "%s/ ", rel)
			return nil
		}
		data, err := os.ReadFile(path)
		fmt.Fprintf(&b, "%s=%s ", rel, data)
		return err
	}))
	return strings.TrimSpace(b.String())
}

// What must survive a crash that keeps nothing by luck.
func TestCrashKeepsWhatWasSynced(t *testing.T) {
	tests := []struct {
		name string
		do   func(t *testing.T, dir string)
		want string
	}{
		{"nothing synced", func(t *testing.T, dir string) {
			write(t, dir+"/a", "one", false)
		}, ""},
		{"file synced, its name not", func(t *testing.T, dir string) {
			write(t, dir+"/a", "one", true)
		}, ""},
		{"name synced, its bytes not", func(t *testing.T, dir string) {
			write(t, dir+"/a", "one", false)
			syncDir(t, dir)
		}, "a="},
		{"both synced", func(t *testing.T, dir string) {
			write(t, dir+"/a", "one", true)
			syncDir(t, dir)
		}, "a=one"},
		{"overwritten after the sync", func(t *testing.T, dir string) {
			write(t, dir+"/a", "one", true)
			syncDir(t, dir)
			write(t, dir+"/a", "twotwo", false)
		}, "a=one"},
		{"written with O_SYNC", func(t *testing.T, dir string) {
			f, err := os.OpenFile(dir+"/a", os.O_CREATE|os.O_WRONLY|os.O_SYNC, 0o600)
			must(t, err)
			defer f.Close()
			_, err = f.WriteString("one")
			must(t, err)
			syncDir(t, dir)
		}, "a=one"},
		{"truncated after the sync", func(t *testing.T, dir string) {
			write(t, dir+"/a", "one", true)
			syncDir(t, dir)
			must(t, os.Truncate(dir+"/a", 1))
		}, "a=one"},
		{"truncated by open after the sync", func(t *testing.T, dir string) {
			write(t, dir+"/a", "one", true)
			syncDir(t, dir)
			must(t, os.WriteFile(dir+"/a", nil, 0o600))
			if got := tree(t, dir); got != "a=" {
				t.Fatalf("before the crash: %q", got)
			}
		}, "a=one"},
		{"unlinked, not synced", func(t *testing.T, dir string) {
			write(t, dir+"/a", "one", true)
			syncDir(t, dir)
			must(t, os.Remove(dir+"/a"))
		}, "a=one"},
		{"unlinked and synced", func(t *testing.T, dir string) {
			write(t, dir+"/a", "one", true)
			syncDir(t, dir)
			must(t, os.Remove(dir+"/a"))
			syncDir(t, dir)
		}, ""},
		{"renamed, not synced", func(t *testing.T, dir string) {
			write(t, dir+"/a", "one", true)
			syncDir(t, dir)
			must(t, os.Rename(dir+"/a", dir+"/b"))
		}, "a=one"},
		{"renamed over, not synced", func(t *testing.T, dir string) {
			write(t, dir+"/a", "one", true)
			syncDir(t, dir)
			write(t, dir+"/b", "two", true)
			must(t, os.Rename(dir+"/b", dir+"/a"))
		}, "a=one"},
		{"renamed over and synced", func(t *testing.T, dir string) {
			write(t, dir+"/a", "one", true)
			syncDir(t, dir)
			write(t, dir+"/b", "two", true)
			must(t, os.Rename(dir+"/b", dir+"/a"))
			syncDir(t, dir)
		}, "a=two"},
		{"moved, target synced: the old name may come back", func(t *testing.T, dir string) {
			must(t, os.Mkdir(dir+"/d", 0o700))
			must(t, os.Mkdir(dir+"/e", 0o700))
			write(t, dir+"/d/a", "one", true)
			syncDir(t, dir+"/d")
			syncDir(t, dir)
			must(t, os.Rename(dir+"/d/a", dir+"/e/b"))
			syncDir(t, dir+"/e")
		}, "d/ d/a=one e/ e/b=one"},
		{"moved, source synced: the new name comes along", func(t *testing.T, dir string) {
			must(t, os.Mkdir(dir+"/d", 0o700))
			must(t, os.Mkdir(dir+"/e", 0o700))
			write(t, dir+"/d/a", "one", true)
			syncDir(t, dir+"/d")
			syncDir(t, dir)
			must(t, os.Rename(dir+"/d/a", dir+"/e/b"))
			syncDir(t, dir+"/d")
		}, "d/ e/ e/b=one"},
		{"directory not synced in its parent", func(t *testing.T, dir string) {
			must(t, os.Mkdir(dir+"/d", 0o700))
			write(t, dir+"/d/a", "one", true)
			syncDir(t, dir+"/d")
		}, ""},
		{"linked and synced", func(t *testing.T, dir string) {
			write(t, dir+"/a", "one", true)
			must(t, os.Link(dir+"/a", dir+"/b"))
			must(t, os.Remove(dir+"/a"))
			syncDir(t, dir)
		}, "b=one"},
		{"changed again after coming back", func(t *testing.T, dir string) {
			write(t, dir+"/a", "one", true)
			syncDir(t, dir)
			must(t, os.Rename(dir+"/a", dir+"/b"))
			must(t, os.Rename(dir+"/b", dir+"/a"))
			must(t, os.Remove(dir+"/a"))
		}, "a=one"},
	}
	f := Test(t, Config{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.do(t, f.Dir())
			must(t, f.Crash(0))
			if got := tree(t, f.Dir()); got != tt.want {
				t.Errorf("after the crash: %q, want %q", got, tt.want)
			}
			entries, err := os.ReadDir(f.Dir())
			must(t, err)
			for _, e := range entries {
				must(t, os.RemoveAll(f.Dir()+"/"+e.Name()))
			}
			syncDir(t, f.Dir())
		})
	}
}

// Pages that were not synced are kept, lost or torn one by one, and synced
// ones never; the same seed gives the same disk.
func TestCrashBySeed(t *testing.T) {
	const pages = 64
	run := func(seed int64) (disk []byte, there bool) {
		f := Test(t, Config{})
		path := f.Dir() + "/a"
		write(t, path, strings.Repeat("o", pages*pageSize), true)
		syncDir(t, f.Dir())
		write(t, path, strings.Repeat("n", pages*pageSize/2), false)
		write(t, f.Dir()+"/b", "new", true)
		must(t, f.Crash(seed))
		disk, err := os.ReadFile(path)
		must(t, err)
		if len(disk) != pages*pageSize {
			t.Fatalf("seed %d: length %d, synced %d", seed, len(disk), pages*pageSize)
		}
		if !bytes.Equal(disk[len(disk)/2:], bytes.Repeat([]byte("o"), len(disk)/2)) {
			t.Fatalf("seed %d: synced bytes that were not written again have changed", seed)
		}
		_, err = os.Stat(f.Dir() + "/b")
		return disk, err == nil
	}
	var kept, lost, torn, thereOnce, awayOnce int
	for seed := int64(1); seed <= 12; seed++ {
		disk, there := run(seed)
		if there {
			thereOnce++
		} else {
			awayOnce++
		}
		for i := range pages / 2 {
			switch p := disk[i*pageSize : (i+1)*pageSize]; bytes.Count(p, []byte("n")) {
			case pageSize:
				kept++
			case 0:
				lost++
			default:
				for at := 0; at < pageSize; at += sectorSize {
					if n := bytes.Count(p[at:at+sectorSize], []byte("n")); n != 0 && n != sectorSize {
						t.Fatal("a sector is torn")
					}
				}
				torn++
			}
		}
		if again, thereAgain := run(seed); seed < 4 && (!bytes.Equal(again, disk) || thereAgain != there) {
			t.Errorf("seed %d gave two disks", seed)
		}
	}
	if kept == 0 || lost == 0 || torn == 0 || thereOnce == 0 || awayOnce == 0 {
		t.Errorf("12 seeds: pages kept %d, lost %d, torn %d; name kept %d, lost %d: each must happen", kept, lost, torn, thereOnce, awayOnce)
	}
}

func TestIgnoreSync(t *testing.T) {
	f := Test(t, Config{IgnoreSync: func(path string, dir bool) bool { return !dir && strings.HasPrefix(path, "packs/") }})
	must(t, os.Mkdir(f.Dir()+"/packs", 0o700))
	write(t, f.Dir()+"/packs/p", "data", true)
	write(t, f.Dir()+"/other", "data", true)
	syncDir(t, f.Dir()+"/packs")
	syncDir(t, f.Dir())
	if s := f.Stats(); s.IgnoredSyncs != 1 || s.FileSyncs != 1 || s.DirSyncs != 2 {
		t.Errorf("counted %+v", s)
	}
	must(t, f.Crash(0))
	if got := tree(t, f.Dir()); got != "other=data packs/ packs/p=" {
		t.Errorf("after the crash: %q", got)
	}
}

func TestCut(t *testing.T) {
	f := Test(t, Config{})
	write(t, f.Dir()+"/a", "one", true)
	syncDir(t, f.Dir())
	done := f.CutAfter(2)
	g, err := os.OpenFile(f.Dir()+"/a", os.O_RDWR, 0)
	must(t, err)
	if _, err := g.WriteAt([]byte("two"), 0); err != nil {
		t.Fatal(err)
	}
	select {
	case <-done:
		t.Fatal("cut after one operation of two")
	default:
	}
	must(t, g.Sync())
	<-done
	if _, err := g.WriteAt([]byte("tri"), 0); !errors.Is(err, syscall.EIO) {
		t.Errorf("write without power: %v", err)
	}
	if err := g.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("sync without power: %v", err)
	}
	g.Close()
	must(t, f.Crash(0))
	if got := tree(t, f.Dir()); got != "a=two" {
		t.Errorf("after the crash: %q", got)
	}
}

func TestCrashWhileInUse(t *testing.T) {
	f := Test(t, Config{})
	g, err := os.Create(f.Dir() + "/a")
	must(t, err)
	if err := f.Crash(0); err == nil {
		t.Error("a crash under an open file was let pass")
	}
	g.Close()
	must(t, f.Crash(0))
}

// Holes, sparse growth and reads over the end, as a plain file system has them.
func TestBytes(t *testing.T) {
	f := Test(t, Config{})
	g, err := os.Create(f.Dir() + "/a")
	must(t, err)
	defer g.Close()
	_, err = g.WriteAt([]byte("end"), 10000)
	must(t, err)
	must(t, g.Truncate(10001))
	must(t, g.Truncate(20000))
	got, err := os.ReadFile(f.Dir() + "/a")
	must(t, err)
	want := make([]byte, 20000)
	want[10000] = 'e'
	if !bytes.Equal(got, want) {
		t.Error("the file is not what was written")
	}
}
