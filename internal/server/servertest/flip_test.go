package servertest_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"kuva/internal/catalog"
	"kuva/internal/server"
	"kuva/internal/server/servertest"
)

// kept is an image of a data folder: what a reader must get, or an error.
type kept struct {
	id, name string
	content  []byte
}

// kinds are the places where bits flip, by what a path begins with.
var kinds = []struct {
	name string
	in   func(path string) bool
}{
	{"packs", func(path string) bool { return strings.HasPrefix(path, "store/blobs/pack/") }},
	{"recipes", func(path string) bool { return strings.HasPrefix(path, "store/blobs/recipe/") }},
	{"cards", func(path string) bool { return strings.HasPrefix(path, "store/blobs/card/") }},
	{"wrapped keys", func(path string) bool { return strings.HasPrefix(path, "store/blobs/key/") }},
	{"key files", func(path string) bool { return strings.HasPrefix(path, "keys/") }},
	{"database", func(path string) bool { return path == "kuva.db" }},
}

// A flipped bit anywhere in what is kept is found, by a scrub or by whoever
// reads, and no wrong byte is handed out meanwhile.
func TestFlips(t *testing.T) {
	seed := servertest.Seed(t)
	data := filepath.Join(memoryDir(t), "data")
	images := smallData(t, data)
	files := readFiles(t, data)

	flips := servertest.Count(2000, 100_000)
	workers := 2
	found := make([]map[string]int, workers)
	var wg sync.WaitGroup
	for w := range workers {
		found[w] = map[string]int{}
		wg.Go(func() {
			f := &flipper{dir: filepath.Join(filepath.Dir(data), fmt.Sprintf("flipped-%d", w)), files: files, images: images}
			f.write(t)
			for n := w; n < flips && !t.Failed(); n += workers {
				f.flip(t, rand.New(rand.NewPCG(seed, uint64(n))), found[w])
			}
		})
	}
	wg.Wait()
	total := map[string]int{}
	sum := 0
	for _, part := range found {
		for how, n := range part {
			total[how] += n
			sum += n
		}
	}
	t.Logf("%d of %d flips found: %v", sum, flips, total)
}

// memoryDir is a folder in memory where there is one: no power is cut here,
// and the syncs of a disk would take most of the time.
func memoryDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "kuva-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// smallData fills a data folder with a little of everything: two realms and
// the platform's, exact duplicates, an empty image, one without content, one
// that was renamed, one that was deleted.
func smallData(t *testing.T, data string) []kept {
	t.Helper()
	p := servertest.Start(t, servertest.Config{Data: data})
	admin := p.Login(t, servertest.Admin)
	member := admin.MustMember(t, "blue")
	var all []kept
	add := func(c *servertest.Client, name string, content []byte, f servertest.Fields) string {
		fields := servertest.Fields{"name": name}
		for k, v := range f {
			fields[k] = v
		}
		id := c.MustCreate(t, fields)
		if content != nil {
			c.MustUpload(t, id, content)
		}
		all = append(all, kept{id, name, content})
		return id
	}
	text := bytes.Repeat([]byte("a line of text that compresses well\n"), 3000)
	add(admin, "random", servertest.Random(1, 90_000), nil)
	add(admin, "text", text, servertest.Fields{"tags": []string{"one", "two"}})
	add(member, "text again", text, nil)
	add(member, "one byte", []byte{7}, nil)
	add(member, "empty", []byte{}, nil)
	add(member, "without content", nil, nil)
	add(admin, "public", servertest.Random(2, 40_000), servertest.Fields{"visibility": "public"})
	id := add(member, "old name", servertest.Random(3, 30_000), nil)
	if err := member.Patch(id, servertest.Fields{"name": "new name"}); err != nil {
		t.Fatal(err)
	}
	all[len(all)-1].name = "new name"
	id = add(member, "deleted", servertest.Random(4, 20_000), nil)
	if err := member.Delete(id); err != nil {
		t.Fatal(err)
	}
	all = all[:len(all)-1]
	waitCards(t, data, len(all)+1)
	p.MustStop(t)
	return all
}

// waitCards waits until the service has written the cards of changes that do
// not wait for theirs.
func waitCards(t *testing.T, data string, images int) {
	t.Helper()
	tools, err := server.OpenTools(t.Context(), server.Config{Data: data}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tools.Close()
	servertest.Eventually(t, "cards of all changes", func() bool {
		var behind int
		err := tools.DB.View(t.Context(), func(tx *catalog.Tx) error {
			return tx.QueryRow(t.Context(), `SELECT COUNT(*) FROM image WHERE card_version < version`).Scan(&behind)
		})
		if err != nil {
			t.Fatal(err)
		}
		return behind == 0
	})
}

// readFiles reads all that may flip.
func readFiles(t *testing.T, data string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(data, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || e.Name() == "reserve" || e.Name() == "clouds.yaml" {
			return err
		}
		rel, err := filepath.Rel(data, path)
		if err != nil {
			return err
		}
		files[filepath.ToSlash(rel)], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

type flipper struct {
	dir    string
	files  map[string][]byte
	images []kept
}

// write makes the folder.
func (f *flipper) write(t *testing.T) {
	for path := range f.files {
		if err := os.MkdirAll(filepath.Dir(f.path(path)), 0o700); err != nil {
			t.Error(err)
		}
		f.restore(t, path)
	}
}

func (f *flipper) path(path string) string { return filepath.Join(f.dir, filepath.FromSlash(path)) }

// restore gives a file its content again. Nothing but the flip and the
// database, in which a scrub notes what it finds, ever changes: the store's
// blobs are never written twice.
func (f *flipper) restore(t *testing.T, path string) {
	if err := os.WriteFile(f.path(path), f.files[path], 0o600); err != nil {
		t.Error(err)
	}
}

// flip turns one bit over, looks whether anybody notices, and turns it back.
func (f *flipper) flip(t *testing.T, dice *rand.Rand, found map[string]int) {
	kind := kinds[dice.IntN(len(kinds))]
	var paths []string
	for path, b := range f.files {
		if kind.in(path) && len(b) > 0 {
			paths = append(paths, path)
		}
	}
	if len(paths) == 0 {
		t.Errorf("no %s to flip", kind.name)
		return
	}
	slices.Sort(paths)
	path := paths[dice.IntN(len(paths))]
	at, bit := dice.IntN(len(f.files[path])), dice.IntN(8)
	bad := bytes.Clone(f.files[path])
	bad[at] ^= 1 << bit
	if err := os.WriteFile(f.path(path), bad, 0o600); err != nil {
		t.Error(err)
		return
	}
	how, err := f.look(context.Background())
	switch {
	case err != nil:
		t.Errorf("bit %d of byte %d of %s (%s): %v", bit, at, path, kind.name, err)
	case how == "":
		t.Errorf("bit %d of byte %d of %s (%s) was found by nobody", bit, at, path, kind.name)
	default:
		found[kind.name+" by "+how]++
	}
	f.restore(t, path)
	f.restore(t, "kuva.db")
	for _, suffix := range []string{"-wal", "-shm"} {
		_ = os.Remove(f.path("kuva.db" + suffix))
	}
}

// look opens the folder as the tools do, scrubs it, and reads everything. It
// tells who noticed the flip; an error means that a reader got what is wrong.
func (f *flipper) look(ctx context.Context) (how string, err error) {
	tools, err := server.OpenTools(ctx, server.Config{Data: f.dir}, nil)
	if err != nil {
		return "opening", nil
	}
	defer tools.Close()
	for _, img := range f.images {
		got, err := readImage(ctx, tools, img)
		if err != nil {
			how = "reading"
		} else if got != "" {
			return how, fmt.Errorf("image %q: a reader got %s", img.name, got)
		}
	}
	rep, err := tools.Verify(ctx, 0, nil)
	if err != nil || rep.Findings > 0 {
		how = "scrub"
	}
	return how, nil
}

// readImage reads as the service does: the row, then the object that it names.
// wrong says what was handed out and is not true.
func readImage(ctx context.Context, tools *server.Tools, want kept) (wrong string, err error) {
	var row *catalog.Image
	err = tools.DB.View(ctx, func(tx *catalog.Tx) error {
		row, err = catalog.GetImage(ctx, tx, want.id)
		return err
	})
	if err != nil {
		return "", err
	}
	if row.Name != want.name {
		return fmt.Sprintf("the name %q", row.Name), nil
	}
	if row.Object == 0 {
		if want.content != nil {
			return "no content", nil
		}
		return "", nil
	}
	obj, err := tools.Depot.OpenObject(ctx, row.Object)
	if err != nil {
		return "", err
	}
	r := obj.Reader(ctx, 0, obj.Size())
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		if !bytes.HasPrefix(want.content, b) {
			return fmt.Sprintf("%d wrong bytes before the error", len(b)), nil
		}
		return "", err
	}
	if !bytes.Equal(b, want.content) {
		return fmt.Sprintf("%d wrong bytes", len(b)), nil
	}
	return "", nil
}
