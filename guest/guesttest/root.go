package guesttest

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"kuva/disk"
	"kuva/guest/tree"
)

// Files are a guest's files for tests, by path without a slash in front. A
// content that begins with "-> " makes a symbolic link, a path that ends in a
// slash a folder. Modes and owners are those of Modes where it has the path.
type Files map[string]string

// Mode is what stat(2) tells beside the type.
type Mode struct {
	Perm     uint32
	UID, GID uint32
	Mtime    time.Time
}

// Root makes a file tree in memory. modes may be nil: files are 0644 root's.
func Root(files Files, modes map[string]Mode) *tree.FS {
	return tree.New(NewMemory(files, modes), nil)
}

// Memory is a tree.Reader over files in memory.
type Memory struct{ nodes []memNode }

type memNode struct {
	attr    tree.Attr
	data    string // content or target
	entries []tree.Entry
}

// NewMemory makes a Memory; see Root.
func NewMemory(files Files, modes map[string]Mode) *Memory {
	m := &Memory{}
	m.add(memNode{attr: tree.Attr{Mode: tree.Dir | 0o755}})
	for _, path := range slices.Sorted(maps.Keys(files)) {
		n := memNode{attr: tree.Attr{Mode: tree.Regular | 0o644, Nlink: 1}, data: files[path]}
		if target, ok := strings.CutPrefix(n.data, "-> "); ok {
			n.attr.Mode, n.data = tree.Symlink|0o777, target
		}
		if strings.HasSuffix(path, "/") {
			n.attr.Mode, n.data = tree.Dir|0o755, ""
		}
		if mode, ok := modes[path]; ok {
			if mode.Perm != 0 {
				n.attr.Mode = n.attr.Mode&tree.TypeMask | mode.Perm
			}
			n.attr.UID, n.attr.GID, n.attr.Mtime = mode.UID, mode.GID, mode.Mtime
		}
		m.put(strings.Trim(path, "/"), n)
	}
	return m
}

func (m *Memory) add(n memNode) tree.ID {
	n.attr.ID = tree.ID{Ino: uint64(len(m.nodes))}
	if n.attr.Mode&tree.TypeMask != tree.Dir {
		n.attr.Size = int64(len(n.data))
		n.attr.Allocated = (n.attr.Size + 4095) &^ 4095
	}
	m.nodes = append(m.nodes, n)
	return n.attr.ID
}

func (m *Memory) put(path string, n memNode) {
	dir := tree.ID{}
	parts := strings.Split(path, "/")
	for i, p := range parts {
		last := i == len(parts)-1
		at := slices.IndexFunc(m.nodes[dir.Ino].entries, func(e tree.Entry) bool { return e.Name == p })
		if at >= 0 {
			dir = m.nodes[dir.Ino].entries[at].ID
			if last { // a folder that was made on the way to another file
				n.attr.ID = dir
				m.nodes[dir.Ino].attr = n.attr
			}
			continue
		}
		next := memNode{attr: tree.Attr{Mode: tree.Dir | 0o755}}
		if last {
			next = n
		}
		id := m.add(next)
		m.nodes[dir.Ino].entries = append(m.nodes[dir.Ino].entries,
			tree.Entry{Name: p, ID: id, Type: next.attr.Mode & tree.TypeMask})
		dir = id
	}
}

// Info implements tree.Reader.
func (m *Memory) Info() tree.Info { return tree.Info{Type: "memory", FreeBytes: -1} }

// Root implements tree.Reader.
func (m *Memory) Root() tree.ID { return tree.ID{} }

// Stat implements tree.Reader.
func (m *Memory) Stat(id tree.ID) (tree.Attr, error) {
	if id.Ino >= uint64(len(m.nodes)) {
		return tree.Attr{}, disk.Malform("memory", "no node %d", id.Ino)
	}
	return m.nodes[id.Ino].attr, nil
}

// ReadDir implements tree.Reader.
func (m *Memory) ReadDir(id tree.ID, f func(tree.Entry) error) error {
	if m.nodes[id.Ino].attr.Mode&tree.TypeMask != tree.Dir {
		return fmt.Errorf("%w: node %d is no folder", fs.ErrInvalid, id.Ino)
	}
	for _, e := range m.nodes[id.Ino].entries {
		if err := f(e); err != nil {
			return err
		}
	}
	return nil
}

type memFile struct{ *bytes.Reader }

func (f memFile) Size() int64 { return f.Reader.Size() }

// Open implements tree.Reader.
func (m *Memory) Open(id tree.ID) (tree.File, error) {
	return memFile{bytes.NewReader([]byte(m.nodes[id.Ino].data))}, nil
}

// Readlink implements tree.Reader.
func (m *Memory) Readlink(id tree.ID) (string, error) { return m.nodes[id.Ino].data, nil }
