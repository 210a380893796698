package btrfs

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"iter"
	"sync"

	"kuva/disk"
	"kuva/guest/tree"
)

// file is the content of a file. It may be read from any goroutine.
type file struct {
	f    *FS
	root root
	ino  uint64
	size int64

	mu   sync.Mutex // guards the extent that was unpacked last
	last packed
	data []byte
}

// packed names a compressed extent; inline ones are never kept.
type packed struct{ at, n int64 }

// piece is a part of a file.
type piece struct {
	off, n int64 // in the file
	zero   bool
	at     int64  // logical address of the first byte, or of the extent if packed
	inline []byte // what lies in the item
	method uint8  // of compression, 0 for none
	stored int64  // bytes of the packed extent
	whole  int64  // bytes of the extent when unpacked
	skip   int64  // of these before off
}

// Ways of compression.
const (
	methodZlib = 1 + iota
	methodLZO
	methodZstd
)

// Extents of compressed data have at most 128 KiB, packed or not.
const maxExtent = 128 << 10

// Open implements tree.Reader.
func (f *FS) Open(id tree.ID) (tree.File, error) {
	a, err := f.Stat(id)
	if err != nil {
		return nil, err
	}
	if a.Mode&tree.TypeMask != tree.Regular {
		return nil, fs.ErrInvalid
	}
	return f.file(id, a)
}

func (f *FS) file(id tree.ID, a tree.Attr) (*file, error) {
	r, err := f.tree(id.Tree)
	return &file{f: f, root: r, ino: id.Ino, size: a.Size}, err
}

func (f *file) Size() int64 { return f.size }

// pieces calls do for what lies in a part of the file, without holes, which
// have no items or zero ones.
func (f *file) pieces(off, n int64, do func(piece) error) error {
	first := key{f.ino, kindExtentData, 0}
	k, _, err := f.f.floor(f.root, key{f.ino, kindExtentData, uint64(off)})
	if err == nil && k.object == f.ino && k.kind == kindExtentData {
		first = k
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	end := int64(0)
	return f.f.scan(f.root, first, key{f.ino, kindExtentData, uint64(off + n - 1)}, func(k key, b []byte) error {
		p, err := f.f.piece(k, b)
		if err != nil {
			return err
		}
		if p.off < end {
			return disk.Malform(format, "extents of inode %d lie on each other", f.ino)
		}
		end = p.off + p.n
		if end <= off {
			return nil
		}
		return do(p)
	})
}

func (f *FS) piece(k key, b []byte) (p piece, err error) {
	if len(b) < 21 {
		return p, disk.Malform(format, "an extent's item has %d bytes", len(b))
	}
	le := binary.LittleEndian
	whole := le.Uint64(b[8:])
	p = piece{off: int64(k.offset), method: b[16]}
	if k.offset > 1<<62 || whole > 1<<62 {
		return p, disk.Malform(format, "an extent of %d bytes at %d", whole, k.offset)
	}
	p.whole = int64(whole)
	switch {
	case b[17] != 0 || le.Uint16(b[18:]) != 0:
		return p, disk.Refuse(format, disk.ReasonEncrypted, "a file is encrypted")
	case p.method > methodZstd:
		return p, disk.Refuse(format, disk.ReasonFeature, "compression of kind %d", p.method)
	}
	switch typ := b[20]; typ {
	case 0:
		p.n, p.inline = p.whole, b[21:]
		if p.n > maxExtent || p.method == 0 && p.n > int64(len(p.inline)) {
			return p, disk.Malform(format, "an inline extent of %d bytes in %d", p.n, len(p.inline))
		}
	case 1, 2:
		if len(b) < 53 {
			return p, disk.Malform(format, "an extent's item has %d bytes", len(b))
		}
		at, stored, skip, n := le.Uint64(b[21:]), le.Uint64(b[29:]), le.Uint64(b[37:]), le.Uint64(b[45:])
		if at > 1<<62 || stored > 1<<62 || skip > 1<<62 || n == 0 || n > 1<<62-k.offset {
			return p, disk.Malform(format, "an extent of %d bytes at %d", n, k.offset)
		}
		p.at, p.stored, p.skip, p.n = int64(at), int64(stored), int64(skip), int64(n)
		p.zero = at == 0 || typ == 2
		if p.zero {
			break
		}
		if p.method != 0 && (p.stored > maxExtent || p.whole > maxExtent) || p.skip > p.whole || p.n > p.whole-p.skip {
			return p, disk.Malform(format, "%d bytes at %d of an extent of %d, stored in %d", n, skip, whole, stored)
		}
		if p.method == 0 {
			p.at += p.skip
		}
	default:
		return p, disk.Malform(format, "an extent of kind %d", typ)
	}
	return p, nil
}

// ReadAt implements io.ReaderAt.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	return disk.ReadAtFunc(p, off, f.size, func(p []byte, off int64) error {
		at := off // up to where p is filled
		err := f.pieces(off, int64(len(p)), func(e piece) error {
			start, end := max(e.off, off), min(e.off+e.n, off+int64(len(p)))
			if end <= start {
				return nil
			}
			clear(p[at-off : start-off])
			at = end
			return f.read(p[start-off:end-off], e, start-e.off)
		})
		clear(p[at-off:])
		return err
	})
}

// read fills p with what lies from in of a piece.
func (f *file) read(p []byte, e piece, in int64) error {
	switch {
	case e.zero:
		clear(p)
		return nil
	case e.method == 0 && e.inline != nil:
		copy(p, e.inline[in:])
		return nil
	case e.method == 0:
		return f.f.readData(p, e.at+in)
	}
	if err := f.f.budget.Step(1 + e.whole/64); err != nil {
		return err
	}
	if e.inline != nil {
		data := make([]byte, e.whole)
		if err := f.f.unpack(e.method, data, e.inline); err != nil {
			return err
		}
		copy(p, data[in:])
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if id := (packed{e.at, e.whole}); f.last != id || f.data == nil {
		b := make([]byte, e.stored)
		if err := f.f.readData(b, e.at); err != nil {
			return err
		}
		data := make([]byte, e.whole)
		if err := f.f.unpack(e.method, data, b); err != nil {
			return err
		}
		f.last, f.data = id, data
	}
	copy(p, f.data[e.skip+in:])
	return nil
}

// readData reads from a logical address, the first copy that can be read.
func (f *FS) readData(p []byte, logical int64) error {
	for len(p) > 0 {
		at, n, err := f.place(logical, int64(len(p)))
		if err != nil {
			return err
		}
		for _, a := range at {
			if err = f.blocks.ReadFull(p[:n], a); err == nil {
				break
			}
		}
		if err != nil {
			return err
		}
		p, logical = p[n:], logical+n
	}
	return nil
}

// Extents implements tree.Extenter.
func (f *file) Extents() iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		stop := errFound
		err := f.pieces(0, max(f.size, 1), func(e piece) error {
			end := min(e.off+e.n, f.size)
			for off := e.off; off < end; {
				x := disk.Extent{Off: off, Len: end - off, Kind: disk.Data, At: disk.Nowhere}
				if e.zero {
					x.Kind = disk.Zero
				} else if e.method == 0 && e.inline == nil {
					at, n, err := f.f.place(e.at+off-e.off, x.Len)
					if err != nil {
						return err
					}
					x.At, x.Len = at[0], n
				}
				if !yield(x, nil) {
					return stop
				}
				off += x.Len
			}
			return nil
		})
		if err != nil && err != stop {
			yield(disk.Extent{}, err)
		}
	}
}
