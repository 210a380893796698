package ext4

import (
	"fmt"

	"kuva/disk"
	"kuva/guest/tree"
)

// types of entries, by their number in a folder.
var types = [...]uint32{0, tree.Regular, tree.Dir, tree.Char, tree.Block, tree.FIFO, tree.Socket, tree.Symlink}

// maxDamaged is how many damaged blocks of a folder are gone over.
const maxDamaged = 64

// ReadDir implements tree.Reader. A block that is damaged is left from the
// damage on, the rest is read, and the damage is the error in the end.
func (f *FS) ReadDir(id tree.ID, g func(tree.Entry) error) error {
	i, err := f.inode(id.Ino)
	if err != nil {
		return err
	}
	switch {
	case i.typ() != tree.Dir:
		return disk.Malform("ext4", "inode %d is no folder", i.no)
	case i.flags&flagEncrypt != 0:
		return errEncrypted(i)
	case i.flags&flagInlineData != 0:
		return f.readInlineDir(i, g)
	}
	s := f.s
	// A folder has no more blocks than the file system, holes apart.
	left := s.blocks
	var damage error
	damaged := 0
	last := uint64((i.size + s.blockSize - 1) / s.blockSize)
	for lblk := uint64(0); lblk < last; {
		if err := f.r.Budget().Step(1); err != nil {
			return err
		}
		r, err := f.run(i, lblk)
		if err != nil {
			return err
		}
		n := min(r.n, last-lblk)
		if r.phys == 0 || r.unwritten {
			lblk += n
			continue
		}
		if n > left {
			return disk.Malform("ext4", "folder %d has more blocks than the file system", i.no)
		}
		left -= n
		for k := range n {
			p, err := f.block(r.phys + k)
			if err != nil {
				return err
			}
			if lblk+k > 0 || i.flags&flagIndex == 0 {
				f.checkDirBlock(i, p)
			}
			if err := f.entries(i, p, g); err != nil {
				if _, ok := err.(*disk.Malformed); !ok {
					return plain(err)
				}
				damage = err
				if damaged++; damaged > maxDamaged {
					return damage
				}
			}
		}
		lblk += n
	}
	return damage
}

// checkDirBlock compares the checksum of a block of entries. The nodes of hash
// trees look like one empty entry; they have theirs elsewhere, and are not
// read for what they say.
func (f *FS) checkDirBlock(i *inode, p []byte) {
	if !f.s.csum() || le.Uint32(p) == 0 && int64(le.Uint16(p[4:])) == f.s.blockSize&0xffff {
		return
	}
	t := p[len(p)-12:]
	if le.Uint32(t) != 0 || le.Uint16(t[4:]) != 12 || t[6] != 0 || t[7] != 0xde {
		return
	}
	if crc32c(i.seed, p[:len(p)-12]) != le.Uint32(t[8:]) {
		f.note(tree.BadChecksum, fmt.Sprintf("folder %d", i.no))
	}
}

func (f *FS) readInlineDir(i *inode, g func(tree.Entry) error) error {
	p, err := f.inline(i)
	if err != nil {
		return err
	}
	// The first four bytes are the parent; entries do not span the border
	// between the body and the attribute.
	err = f.entries(i, p[4:60], g)
	if err == nil && len(p) > 60 {
		err = f.entries(i, p[60:], g)
	}
	return plain(err)
}

// entries calls g for the entries in one block. What g returns comes back
// wrapped so that it is no damage.
func (f *FS) entries(i *inode, p []byte, g func(tree.Entry) error) error {
	for at := 0; at+8 <= len(p); {
		if err := f.r.Budget().Step(1); err != nil {
			return err
		}
		e := p[at:]
		size := int(le.Uint16(e[4:]))
		if f.s.blockSize == 64<<10 {
			if size == 0xffff || size == 0 {
				size = 64 << 10
			} else {
				size = size&^3 | size&3<<16
			}
		}
		n := int(e[6])
		if size < 8 || size%4 != 0 || size > len(e) || 8+n > size {
			return disk.Malform("ext4", "folder %d has an entry of %d bytes with a name of %d", i.no, size, n)
		}
		at += size
		ino := le.Uint32(e)
		name := string(e[8 : 8+n])
		if ino == 0 || n == 0 || name == "." || name == ".." {
			continue
		}
		entry := tree.Entry{Name: name, ID: tree.ID{Ino: uint64(ino)}}
		if kind := e[7] & 0xf; f.s.incompat&incompatFiletype != 0 && int(kind) < len(types) {
			entry.Type = types[kind]
		}
		if err := g(entry); err != nil {
			return callback{err}
		}
	}
	return nil
}

// callback carries an error of the caller's function past the handling of
// damage.
type callback struct{ error }

// plain takes the wrapping away.
func plain(err error) error {
	if c, ok := err.(callback); ok {
		return c.error
	}
	return err
}
