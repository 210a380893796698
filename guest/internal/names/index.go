package names

import (
	"io/fs"
	"sync"

	"kuva/guest/tree"
)

// Index finds names without regard to case, or exact ones. It keeps the folders that were
// asked for lately; larger ones are read for each name. The zero value is ready
// and may be used from any goroutine.
type Index struct {
	// Exact tells upper and lower case apart. It is set before the first use.
	Exact bool

	mu      sync.Mutex
	folders map[tree.ID]map[string]tree.Entry
	entries int
}

// Bounds: an entry takes some 100 bytes.
const (
	maxFolder = 16 << 10
	maxKept   = 64 << 10
)

// Lookup finds a name in a folder. list gives the folder's entries, also under
// second names. The first of several equal names wins.
func (x *Index) Lookup(dir tree.ID, name string, list func(add func(name string, e tree.Entry) error) error) (tree.Entry, error) {
	want := x.key(name)
	x.mu.Lock()
	folder, ok := x.folders[dir]
	x.mu.Unlock()
	if !ok {
		var found *tree.Entry
		folder = map[string]tree.Entry{}
		n := 0
		err := list(func(name string, e tree.Entry) error {
			key := x.key(name)
			if key == want && found == nil {
				found = &e
			}
			if n++; n <= maxFolder {
				if _, twice := folder[key]; !twice {
					folder[key] = e
				}
			}
			return nil
		})
		if err == nil && n <= maxFolder {
			x.keep(dir, folder)
		}
		// A folder that is damaged further on still shows what was found.
		if found != nil {
			return *found, nil
		}
		if err != nil {
			return tree.Entry{}, err
		}
	}
	e, ok := folder[want]
	if !ok {
		return tree.Entry{}, fs.ErrNotExist
	}
	return e, nil
}

func (x *Index) key(name string) string {
	if x.Exact {
		return name
	}
	return Upper(name)
}

func (x *Index) keep(dir tree.ID, folder map[string]tree.Entry) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.folders == nil || x.entries+len(folder) > maxKept {
		x.folders, x.entries = map[tree.ID]map[string]tree.Entry{}, 0
	}
	if _, twice := x.folders[dir]; !twice {
		x.folders[dir] = folder
		x.entries += len(folder) + 1
	}
}
