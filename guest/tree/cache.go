package tree

import (
	"io/fs"
	"sync"

	"kuva/guest/budget"
)

// volume is a Reader with the folders that were read lately.
type volume struct {
	r    Reader
	b    *budget.Budget
	info Info

	mu      sync.Mutex
	folders map[ID]map[string]Entry // nil for one that is too large
	bytes   int64                   // that all folders take, granted by the budget
}

// maxCacheBytes is what the folders that are kept may take. One that takes
// more, of some 200,000 entries, is read for each name that is looked up.
const maxCacheBytes = 32 << 20

// cachedEntry is about what an entry takes in memory beside its name.
const cachedEntry = 120

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
	names, known := v.folders[dir]
	v.mu.Unlock()
	if names != nil {
		if e, ok := names[name]; ok {
			return e, nil
		}
		return Entry{}, fs.ErrNotExist
	}
	if !known {
		names = map[string]Entry{}
	}
	found := Entry{}
	ok := false
	size := int64(cachedEntry)
	err := v.r.ReadDir(dir, func(e Entry) error {
		// Of two equal names a mount shows the first.
		if !ok && e.Name == name {
			found, ok = e, true
		}
		if names == nil {
			return nil
		}
		if size += cachedEntry + int64(len(e.Name)); size > maxCacheBytes {
			names = nil
		} else if _, twice := names[e.Name]; !twice {
			names[e.Name] = e
		}
		return nil
	})
	if err == nil && !known {
		v.keep(dir, names, size)
	}
	// A folder that is damaged further on still shows what was found.
	switch {
	case ok:
		return found, nil
	case err != nil:
		return Entry{}, err
	}
	return Entry{}, fs.ErrNotExist
}

// keep remembers a folder, and forgets all others where there is no room.
func (v *volume) keep(dir ID, names map[string]Entry, size int64) {
	if names == nil {
		size = cachedEntry
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, ok := v.folders[dir]; ok {
		return
	}
	if v.bytes+size > maxCacheBytes || v.b.Alloc(size) != nil {
		clear(v.folders)
		v.b.Free(v.bytes)
		v.bytes = 0
		if v.b.Alloc(size) != nil {
			return
		}
	}
	v.folders[dir] = names
	v.bytes += size
}
