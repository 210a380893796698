package tree

import (
	"io/fs"
	"sync"
)

// volume is a Reader with the folders that were read lately.
type volume struct {
	r    Reader
	info Info

	mu      sync.Mutex
	folders map[ID]map[string]Entry
	entries int // in all folders
}

// Bounds of the cache: a folder is some 100 bytes an entry. Larger folders are
// scanned for each name.
const (
	maxFolderEntries = 16 << 10
	maxCacheEntries  = 64 << 10
)

// lookup finds a name in a folder, and its type.
func (v *volume) lookup(dir ID, name string) (Entry, error) {
	e, err := v.find(dir, name)
	if err == nil && e.Type == 0 {
		var a Attr
		a, err = v.r.Stat(e.ID)
		e.Type = a.Mode & TypeMask
	}
	return e, err
}

func (v *volume) find(dir ID, name string) (Entry, error) {
	if l, ok := v.r.(Lookuper); ok {
		return l.Lookup(dir, name)
	}
	v.mu.Lock()
	names, ok := v.folders[dir]
	v.mu.Unlock()
	if !ok {
		var found *Entry
		names = map[string]Entry{}
		n := 0
		err := v.r.ReadDir(dir, func(e Entry) error {
			if e.Name == name && found == nil {
				found = &e
			}
			// Of two equal names a mount shows the first.
			if n++; n <= maxFolderEntries {
				if _, twice := names[e.Name]; !twice {
					names[e.Name] = e
				}
			}
			return nil
		})
		if err == nil && n <= maxFolderEntries {
			v.keep(dir, names)
		}
		// A folder that is damaged further on still shows what was found.
		if found != nil {
			return *found, nil
		}
		if err != nil {
			return Entry{}, err
		}
	}
	e, ok := names[name]
	if !ok {
		return Entry{}, fs.ErrNotExist
	}
	return e, nil
}

func (v *volume) keep(dir ID, names map[string]Entry) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.entries+len(names) > maxCacheEntries {
		clear(v.folders)
		v.entries = 0
	}
	if _, ok := v.folders[dir]; !ok {
		v.folders[dir] = names
		v.entries += len(names) + 1
	}
}
