package xfs

import (
	"fmt"
	"math"

	"kuva/disk"
	"kuva/guest/tree"
)

// types of entries, by their number in a folder.
var types = [...]uint32{0, tree.Regular, tree.Dir, tree.Char, tree.Block, tree.FIFO, tree.Socket, tree.Symlink}

// leafOffset is where in a folder its index begins: only what lies before
// holds entries.
const leafOffset = 32 << 30

// maxDamaged is how many damaged blocks of a folder are gone over.
const maxDamaged = 64

// ReadDir implements tree.Reader. A block that is damaged is left from the
// damage on, the rest is read, and the damage is the error in the end.
func (f *FS) ReadDir(id tree.ID, g func(tree.Entry) error) error {
	i, err := f.inode(id.Ino)
	if err != nil {
		return err
	}
	if i.typ() != tree.Dir {
		return disk.Malform("xfs", "inode %d is no folder", i.no)
	}
	if i.data.form == formLocal {
		return f.shortDir(i, g)
	}
	c := &file{f, i.no, i.data, math.MaxInt64}
	// A folder has no more blocks than the file system, holes apart.
	left := int64(f.s.blocks) * f.s.blockSize
	var damage error
	damaged := 0
	for off := int64(0); off < leafOffset; {
		e, err := c.extent(off)
		if err != nil {
			return err
		}
		if e.Kind == disk.Hole {
			if off == 0 {
				return disk.Malform("xfs", "folder %d has no first block", i.no)
			}
			if e.End() >= leafOffset {
				break
			}
			off = (e.End() + f.s.dirBlock - 1) / f.s.dirBlock * f.s.dirBlock
			continue
		}
		if left -= f.s.dirBlock; left < 0 {
			return disk.Malform("xfs", "folder %d has more blocks than the file system", i.no)
		}
		var p []byte
		if e.Kind == disk.Data && e.Len >= f.s.dirBlock {
			p, err = f.r.Get(e.At, int(f.s.dirBlock))
		} else {
			p = make([]byte, f.s.dirBlock)
			err = disk.ReadFull(c, p, off)
		}
		if err != nil {
			return err
		}
		err = f.entries(i, p, g)
		if c, ok := err.(callback); ok {
			return c.error
		}
		if err != nil {
			if _, ok := err.(*disk.Malformed); !ok {
				return err
			}
			damage = err
			if damaged++; damaged > maxDamaged {
				return damage
			}
		}
		off += f.s.dirBlock
	}
	return damage
}

// shortDir reads a folder that lies in its inode.
func (f *FS) shortDir(i *inode, g func(tree.Entry) error) error {
	p := i.data.p
	if i.size < 6 || i.size > int64(len(p)) {
		return disk.Malform("xfs", "folder %d has %d bytes in %d", i.no, i.size, len(p))
	}
	p = p[:i.size]
	count, width := int(p[0]), 4
	if p[1] != 0 {
		width = 8
	}
	if len(p) < 2+width {
		return disk.Malform("xfs", "folder %d is cut off", i.no)
	}
	p = p[2+width:]
	for range count {
		if err := f.r.Budget().Step(1); err != nil {
			return err
		}
		if len(p) < 3 {
			return disk.Malform("xfs", "folder %d is cut off", i.no)
		}
		n := int(p[0])
		size := 3 + n + width
		if f.s.ftype {
			size++
		}
		if size > len(p) || n == 0 {
			return disk.Malform("xfs", "folder %d has a name of %d bytes", i.no, n)
		}
		e := tree.Entry{Name: string(p[3 : 3+n])}
		if f.s.ftype {
			e.Type = entryType(p[3+n])
		}
		if ino := p[size-width : size]; width == 8 {
			e.ID.Ino = be.Uint64(ino)
		} else {
			e.ID.Ino = uint64(be.Uint32(ino))
		}
		if err := g(e); err != nil {
			return err
		}
		p = p[size:]
	}
	return nil
}

func entryType(n byte) uint32 {
	if int(n) < len(types) {
		return types[n]
	}
	return 0
}

// callback carries an error of the caller's function past the handling of
// damage.
type callback struct{ error }

// entries calls g for those in a block, which is the only one of its folder
// (with the index at its end) or one of many.
func (f *FS) entries(i *inode, p []byte, g func(tree.Entry) error) error {
	at, end := 16, len(p)
	single := false
	switch magic := string(p[:4]); {
	case magic == "XD2B" && !f.s.v5:
		single = true
	case magic == "XD2D" && !f.s.v5:
	case (magic == "XDB3" || magic == "XDD3") && f.s.v5:
		at, single = 64, magic == "XDB3"
		if !sum(p, 4) {
			f.note(tree.BadChecksum, fmt.Sprintf("folder %d", i.no))
		}
		if owner := be.Uint64(p[40:]); owner != i.no {
			return disk.Malform("xfs", "folder %d has a block of folder %d", i.no, owner)
		}
	default:
		return disk.Malform("xfs", "folder %d has a block that begins with %s", i.no, disk.Quote(p[:4]))
	}
	if single {
		count := int64(be.Uint32(p[end-8:]))
		if count > int64(end-8-at)/8 {
			return disk.Malform("xfs", "folder %d has an index of %d", i.no, count)
		}
		end -= 8 + 8*int(count)
	}
	for at+8 <= end {
		if err := f.r.Budget().Step(1); err != nil {
			return err
		}
		e := p[at:end]
		if be.Uint16(e) == 0xffff { // free
			size := int(be.Uint16(e[2:]))
			if size < 8 || size%8 != 0 || size > len(e) {
				return disk.Malform("xfs", "folder %d has %d free bytes", i.no, size)
			}
			at += size
			continue
		}
		if len(e) < 12 {
			return disk.Malform("xfs", "folder %d is cut off", i.no)
		}
		n := int(e[8])
		size := 9 + n + 2
		if f.s.ftype {
			size++
		}
		size = (size + 7) &^ 7
		if n == 0 || size > len(e) {
			return disk.Malform("xfs", "folder %d has a name of %d bytes", i.no, n)
		}
		at += size
		entry := tree.Entry{Name: string(e[9 : 9+n]), ID: tree.ID{Ino: be.Uint64(e)}}
		if f.s.ftype {
			entry.Type = entryType(e[9+n])
		}
		if entry.Name == "." || entry.Name == ".." {
			continue
		}
		if err := g(entry); err != nil {
			return callback{err}
		}
	}
	return nil
}
