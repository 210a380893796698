package lossyfs

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand"
	"os"
	"path/filepath"
	"testing"
)

// To programs the file system is like any other: random operations leave the
// same tree, and the same errors, as on the file system of the machine. Once
// everything is synced, a crash changes nothing.
func TestLikeARealOne(t *testing.T) {
	f := Test(t, Config{})
	for seed := range int64(6) {
		dice := rand.New(rand.NewSource(seed))
		roots := []string{filepath.Join(f.Dir(), fmt.Sprint(seed)), t.TempDir()}
		must(t, os.Mkdir(roots[0], 0o700))
		for step := range 250 {
			a, b := somePath(dice), somePath(dice)
			size, off := dice.Intn(20000), dice.Int63n(30000)
			data := bytes.Repeat([]byte{byte(dice.Intn(256))}, size)
			what := dice.Intn(9)
			var errs [2]error
			for i, root := range roots {
				errs[i] = act(what, root+"/"+a, root+"/"+b, data, off)
			}
			if (errs[0] == nil) != (errs[1] == nil) {
				t.Fatalf("seed %d step %d, operation %d on %s, %s: %v here, %v on a real file system", seed, step, what, a, b, errs[0], errs[1])
			}
		}
		want := tree(t, roots[1])
		if got := tree(t, roots[0]); got != want {
			t.Fatalf("seed %d: the trees differ", seed)
		}
		must(t, filepath.WalkDir(roots[0], func(path string, _ fs.DirEntry, err error) error {
			if err == nil {
				syncDir(t, path) // files alike
			}
			return err
		}))
		syncDir(t, f.Dir())
		must(t, f.Crash(seed))
		if got := tree(t, roots[0]); got != want {
			t.Fatalf("seed %d: the crash changed what was synced", seed)
		}
	}
}

func somePath(dice *rand.Rand) string {
	names := []string{"a", "b", "c", "d/a", "d/b", "d/e/a", "d", "d/e", "e"}
	return names[dice.Intn(len(names))]
}

func act(what int, a, b string, data []byte, off int64) error {
	switch what {
	case 0, 1:
		return os.WriteFile(a, data, 0o600)
	case 2, 3:
		f, err := os.OpenFile(a, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.WriteAt(data, off)
		return err
	case 4:
		return os.Truncate(a, off)
	case 5:
		return os.Rename(a, b)
	case 6:
		return os.Link(a, b)
	case 7:
		return os.Remove(a)
	default:
		return os.Mkdir(a, 0o700)
	}
}
