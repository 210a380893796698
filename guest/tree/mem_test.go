package tree_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"strings"

	"kuva/disk"
	"kuva/guest/tree"
)

// mem is a Reader over nodes in memory.
type mem struct {
	nodes []node
	typed bool // entries tell their types
	reads int  // of folders
}

type node struct {
	attr    tree.Attr
	data    string // content or target
	entries []tree.Entry
}

func newMem() *mem {
	m := &mem{typed: true}
	m.add(node{attr: tree.Attr{Mode: tree.Dir | 0o755}})
	return m
}

func (m *mem) add(n node) tree.ID {
	n.attr.ID = tree.ID{Ino: uint64(len(m.nodes))}
	if n.attr.Mode&tree.TypeMask != tree.Dir {
		n.attr.Size = int64(len(n.data))
	}
	m.nodes = append(m.nodes, n)
	return n.attr.ID
}

// put makes a node at a path, and the folders above it.
func (m *mem) put(path string, mode uint32, data string) tree.ID {
	dir := tree.ID{}
	parts := strings.Split(path, "/")
walk:
	for _, p := range parts[:len(parts)-1] {
		for _, e := range m.nodes[dir.Ino].entries {
			if e.Name == p {
				dir = e.ID
				continue walk
			}
		}
		dir = m.link(dir, p, m.add(node{attr: tree.Attr{Mode: tree.Dir | 0o755}}))
	}
	return m.link(dir, parts[len(parts)-1], m.add(node{attr: tree.Attr{Mode: mode}, data: data}))
}

func (m *mem) link(dir tree.ID, name string, to tree.ID) tree.ID {
	e := tree.Entry{Name: name, ID: to}
	if m.typed {
		e.Type = m.nodes[to.Ino].attr.Mode & tree.TypeMask
	}
	m.nodes[dir.Ino].entries = append(m.nodes[dir.Ino].entries, e)
	return to
}

func (m *mem) Info() tree.Info { return tree.Info{Type: "mem", FreeBytes: -1} }
func (m *mem) Root() tree.ID   { return tree.ID{} }

func (m *mem) Stat(id tree.ID) (tree.Attr, error) {
	if id.Ino >= uint64(len(m.nodes)) {
		return tree.Attr{}, disk.Malform("mem", "no node %d", id.Ino)
	}
	return m.nodes[id.Ino].attr, nil
}

func (m *mem) ReadDir(id tree.ID, f func(tree.Entry) error) error {
	m.reads++
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

func (m *mem) Open(id tree.ID) (tree.File, error) {
	return memFile{bytes.NewReader([]byte(m.nodes[id.Ino].data))}, nil
}

func (m *mem) Readlink(id tree.ID) (string, error) { return m.nodes[id.Ino].data, nil }
