package tree

import (
	"cmp"
	"io"
	"io/fs"
	"path"
	"slices"
	"time"

	"kuva/disk"
	"kuva/guest/budget"
)

// FS is a guest's files by path: an io/fs.FS that is also ReadDirFS, StatFS,
// ReadFileFS and ReadLinkFS. Paths are those of io/fs ("etc/passwd", "." for
// the root), but names may hold any bytes except NUL and '/'. Symbolic links
// are resolved inside, absolute ones from the root; at most 40 in a path.
//
// Methods may be called at the same time from any goroutine, but for Mount.
type FS struct {
	root   place
	b      *budget.Budget
	mounts map[place]place
}

// New makes paths of a Reader. The budget counts what walking costs; b may be
// nil.
func New(r Reader, b *budget.Budget) *FS {
	v := &volume{r: r, b: b, info: r.Info(), folders: map[ID]map[string]Entry{}}
	return &FS{root: place{v, r.Root()}, b: b, mounts: map[place]place{}}
}

// Mount shows another file system, with what is mounted in it, in place of a
// folder, as the guest's fstab does. A mount on "." hides the root.
func (f *FS) Mount(name string, other *FS) error {
	at, err := f.resolve(name, true)
	if err == nil {
		err = at.mustBeDir()
	}
	if err != nil {
		return &fs.PathError{Op: "mount", Path: name, Err: err}
	}
	f.mounts[at] = other.root
	for from, to := range other.mounts {
		f.mounts[from] = to
	}
	return nil
}

// top is the place of ".".
func (f *FS) top() place { return f.mounted(f.root) }

// mounted goes from a mount point to what is mounted there.
func (f *FS) mounted(p place) place {
	for range len(f.mounts) {
		next, ok := f.mounts[p]
		if !ok {
			break
		}
		p = next
	}
	return p
}

func (p place) mustBeDir() error {
	a, err := p.vol.r.Stat(p.id)
	if err == nil && a.Mode&TypeMask != Dir {
		err = errNotDir
	}
	return err
}

// Info tells about the file system that the path lies in.
func (f *FS) Info(name string) (Info, error) {
	p, err := f.resolve(name, true)
	if err != nil {
		return Info{}, &fs.PathError{Op: "info", Path: name, Err: err}
	}
	// Notes may have come up since.
	return p.vol.r.Info(), nil
}

// info makes a FileInfo.
func (p place) info(name string) (*fileInfo, error) {
	a, err := p.vol.r.Stat(p.id)
	if err != nil {
		return nil, err
	}
	return &fileInfo{name: path.Base(name), attr: a}, nil
}

func (f *FS) stat(op, name string, follow bool) (fs.FileInfo, error) {
	p, err := f.resolve(name, follow)
	if err == nil {
		var i *fileInfo
		if i, err = p.info(name); err == nil {
			return i, nil
		}
	}
	return nil, &fs.PathError{Op: op, Path: name, Err: err}
}

// Stat implements fs.StatFS; Sys of what it gives is an *Attr.
func (f *FS) Stat(name string) (fs.FileInfo, error) { return f.stat("stat", name, true) }

// Lstat implements fs.ReadLinkFS: Stat of a link itself.
func (f *FS) Lstat(name string) (fs.FileInfo, error) { return f.stat("lstat", name, false) }

// ReadLink implements fs.ReadLinkFS.
func (f *FS) ReadLink(name string) (string, error) {
	p, err := f.resolve(name, false)
	if err == nil {
		var i *fileInfo
		if i, err = p.info(name); err == nil && i.Mode().Type() != fs.ModeSymlink {
			err = fs.ErrInvalid
		}
	}
	var target string
	if err == nil {
		target, err = p.vol.r.Readlink(p.id)
	}
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return target, nil
}

// RealPath gives the path without symbolic links.
func (f *FS) RealPath(name string) (string, error) {
	way, err := f.walk(name, true)
	if err != nil {
		return "", &fs.PathError{Op: "realpath", Path: name, Err: err}
	}
	names := make([]string, len(way))
	for i, s := range way {
		names[i] = s.name
	}
	if len(names) == 1 {
		return ".", nil
	}
	return path.Join(names...), nil
}

// Xattrs gives the extended attributes of a file, not of the link that a path
// ends in; none where the file system has none.
func (f *FS) Xattrs(name string) (map[string][]byte, error) {
	p, err := f.resolve(name, false)
	if err == nil {
		x, ok := p.vol.r.(Xattrer)
		if !ok {
			return nil, nil
		}
		var all map[string][]byte
		if all, err = x.Xattrs(p.id); err == nil {
			return all, nil
		}
	}
	return nil, &fs.PathError{Op: "xattrs", Path: name, Err: err}
}

// Open implements fs.FS. Regular files are io.ReaderAt and io.Seeker too, and
// folders fs.ReadDirFile.
func (f *FS) Open(name string) (fs.File, error) {
	file, err := f.open(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return file, nil
}

func (f *FS) open(name string) (fs.File, error) {
	p, err := f.resolve(name, true)
	if err != nil {
		return nil, err
	}
	i, err := p.info(name)
	if err != nil {
		return nil, err
	}
	switch i.attr.Mode & TypeMask {
	case Dir:
		return &dirFile{fs: f, place: p, path: name, info: i}, nil
	case Regular:
		c, err := p.vol.r.Open(p.id)
		if err != nil {
			return nil, err
		}
		return &file{info: i, path: name, content: c}, nil
	}
	// A device, pipe or socket opens, and nothing is in it: so a service that
	// is masked by a link to /dev/null reads as empty.
	return &file{info: i, path: name, content: noContent{}}, nil
}

// ReadDir implements fs.ReadDirFS. On a damaged folder it gives the entries
// that could be read and the error.
func (f *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	p, err := f.resolve(name, true)
	var list []fs.DirEntry
	if err == nil {
		list, err = f.list(p)
	}
	if err != nil {
		err = &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	return list, err
}

// entryCost is about what an entry takes in memory beside its name.
const entryCost = 128

func (f *FS) list(p place) ([]fs.DirEntry, error) {
	if err := p.mustBeDir(); err != nil {
		return nil, err
	}
	var list []fs.DirEntry
	var cost int64
	defer func() { f.b.Free(cost) }()
	var bad error
	err := p.vol.r.ReadDir(p.id, func(e Entry) error {
		if !validName(e.Name) {
			bad = disk.Malform(p.vol.info.Type, "a folder has the name %s", disk.Quote([]byte(e.Name)))
			return nil
		}
		n := entryCost + int64(len(e.Name))
		if err := f.b.Alloc(n); err != nil {
			return err
		}
		cost += n
		if e.Type == 0 {
			a, err := p.vol.r.Stat(e.ID)
			if budget.IsLimit(err) {
				return err
			}
			e.Type = a.Mode & TypeMask
		}
		list = append(list, &dirEntry{place: f.mounted(place{p.vol, e.ID}), name: e.Name, typ: e.Type})
		return nil
	})
	if err == nil {
		err = bad
	}
	slices.SortStableFunc(list, func(a, b fs.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
	return list, err
}

// ReadFile implements fs.ReadFileFS. A file that does not fit into the
// budget's memory is a *budget.Limit.
func (f *FS) ReadFile(name string) ([]byte, error) { return f.ReadFileMax(name, 1<<62) }

// ReadFileMax is ReadFile for files that should be small: one of more than
// limit bytes is a *budget.Limit and nothing is read.
func (f *FS) ReadFileMax(name string, limit int64) ([]byte, error) {
	b, err := f.readFile(name, limit)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return b, nil
}

func (f *FS) readFile(name string, limit int64) ([]byte, error) {
	opened, err := f.open(name)
	if err != nil {
		return nil, err
	}
	file, ok := opened.(*file)
	if !ok {
		return nil, errIsDir
	}
	size := file.content.Size()
	if size > limit {
		return nil, &budget.Limit{What: budget.Memory, Max: limit}
	}
	if err := f.b.Alloc(size); err != nil {
		return nil, err
	}
	defer f.b.Free(size)
	b := make([]byte, size)
	n, err := file.content.ReadAt(b, 0)
	if n == len(b) || err == io.EOF && n == 0 && size == 0 {
		return b, nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return nil, err
}

type fileInfo struct {
	name string
	attr Attr
}

func (i *fileInfo) Name() string       { return i.name }
func (i *fileInfo) Size() int64        { return i.attr.Size }
func (i *fileInfo) Mode() fs.FileMode  { return FileMode(i.attr.Mode) }
func (i *fileInfo) ModTime() time.Time { return i.attr.Mtime }
func (i *fileInfo) IsDir() bool        { return i.Mode().IsDir() }
func (i *fileInfo) Sys() any           { return &i.attr }

// AttrOf is the *Attr behind a FileInfo of this package, or nil.
func AttrOf(i fs.FileInfo) *Attr {
	a, _ := i.Sys().(*Attr)
	return a
}

type dirEntry struct {
	place
	name string
	typ  uint32
}

func (e *dirEntry) Name() string      { return e.name }
func (e *dirEntry) IsDir() bool       { return e.typ == Dir }
func (e *dirEntry) Type() fs.FileMode { return FileMode(e.typ).Type() }

func (e *dirEntry) Info() (fs.FileInfo, error) {
	i, err := e.info(e.name)
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: e.name, Err: err}
	}
	return i, nil
}

// String is fs.FormatDirEntry.
func (e *dirEntry) String() string { return fs.FormatDirEntry(e) }
