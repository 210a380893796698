package vhdx

import (
	"encoding/binary"
	"io"

	"kuva/disk"
)

// metadata says what kind of disk it is.
type metadata struct {
	block    int64
	fixed    bool // blocks stay allocated
	parent   bool
	size     int64
	logical  int64 // bytes of a sector
	physical int64
}

const (
	flagFixed  = 1
	flagParent = 2

	itemRequired = 4
	itemVirtual  = 2
)

// readMetadata reads the table of items and the items that are known.
func readMetadata(r io.ReaderAt, reg region) (*metadata, error) {
	b := make([]byte, regionSize)
	if err := disk.ReadFull(r, b, reg.at); err != nil {
		return nil, err
	}
	if string(b[:8]) != "metadata" {
		return nil, disk.Malform(name, "the metadata have no mark")
	}
	n := binary.LittleEndian.Uint16(b[10:])
	if n > maxEntries {
		return nil, disk.Malform(name, "%d items of metadata", n)
	}
	items := map[guid][]byte{}
	for e := b[32:]; n > 0; n, e = n-1, e[32:] {
		id := guid(e)
		at, length := int64(binary.LittleEndian.Uint32(e[16:])), int64(binary.LittleEndian.Uint32(e[20:]))
		flags := binary.LittleEndian.Uint32(e[24:])
		if length > maxItem || length > 0 && at < regionSize || at+length > reg.length {
			return nil, disk.Malform(name, "an item of %d bytes at %d of the metadata", length, at)
		}
		want, known := itemLengths[id]
		switch {
		case flags&1 == 0 && id == itemParent:
			// Whether there is a parent is said by the file's parameters.
			continue
		case flags&1 != 0 || !known:
			if flags&itemRequired != 0 {
				return nil, disk.Refuse(name, disk.ReasonFeature, "a required item %x", id)
			}
			continue
		case items[id] != nil:
			return nil, disk.Malform(name, "an item is there twice")
		case length != want:
			return nil, disk.Malform(name, "an item has %d bytes, not %d", length, want)
		}
		items[id] = make([]byte, length)
		if err := disk.ReadFull(r, items[id], reg.at+at); err != nil {
			return nil, err
		}
	}
	for id := range itemLengths {
		if items[id] == nil && id != itemPage83 {
			return nil, disk.Malform(name, "item %x is missing", id)
		}
	}
	flags := binary.LittleEndian.Uint32(items[itemFile][4:])
	size := binary.LittleEndian.Uint64(items[itemSize])
	if size > MaxSize {
		return nil, disk.Refuse(name, disk.ReasonTooLarge, "%d bytes, the format ends at 64 TiB", size)
	}
	m := &metadata{
		block:    int64(binary.LittleEndian.Uint32(items[itemFile])),
		fixed:    flags&flagFixed != 0,
		parent:   flags&flagParent != 0,
		size:     int64(size),
		logical:  int64(binary.LittleEndian.Uint32(items[itemLogical])),
		physical: int64(binary.LittleEndian.Uint32(items[itemPhysical])),
	}
	switch {
	case flags&^(flagFixed|flagParent) != 0:
		return nil, disk.Refuse(name, disk.ReasonFeature, "flags %#x", flags)
	case m.logical != 512 && m.logical != 4096, m.physical != 512 && m.physical != 4096:
		return nil, disk.Malform(name, "sectors of %d and %d bytes", m.logical, m.physical)
	case m.block < mib || m.block > maxBlock || m.block&(m.block-1) != 0:
		return nil, disk.Malform(name, "blocks of %d bytes", m.block)
	case m.size == 0, m.size%m.logical != 0:
		return nil, disk.Malform(name, "the size %d is no number of sectors", m.size)
	}
	return m, nil
}

var itemLengths = map[guid]int64{itemFile: 8, itemSize: 8, itemPage83: 16, itemLogical: 4, itemPhysical: 4}

// bytes makes a whole region.
func (m *metadata) bytes(id guid) []byte {
	le := binary.LittleEndian
	b := make([]byte, mib)
	copy(b, "metadata")
	at := regionSize
	n := 0
	add := func(item guid, flags uint32, value []byte) {
		e := b[32+32*n:]
		copy(e, item[:])
		le.PutUint32(e[16:], uint32(at))
		le.PutUint32(e[20:], uint32(len(value)))
		le.PutUint32(e[24:], flags)
		at += copy(b[at:], value)
		n++
	}
	flags := uint32(0)
	if m.fixed {
		flags |= flagFixed
	}
	add(itemFile, itemRequired, le.AppendUint32(le.AppendUint32(nil, uint32(m.block)), flags))
	add(itemSize, itemRequired|itemVirtual, le.AppendUint64(nil, uint64(m.size)))
	add(itemPage83, itemRequired|itemVirtual, id[:])
	add(itemLogical, itemRequired|itemVirtual, le.AppendUint32(nil, uint32(m.logical)))
	add(itemPhysical, itemRequired|itemVirtual, le.AppendUint32(nil, uint32(m.physical)))
	le.PutUint16(b[10:], uint16(n))
	return b
}

// ratio is the number of blocks that share a sector bitmap.
func (m *metadata) ratio() int64 { return (1 << 23) * m.logical / m.block }

// blocks is the number of blocks of the disk, entries that of its table.
func (m *metadata) blocks() int64 { return (m.size + m.block - 1) / m.block }

func (m *metadata) entries() int64 {
	if m.parent { // here all bitmaps have one, also the last
		return (m.blocks() + m.ratio() - 1) / m.ratio() * (m.ratio() + 1)
	}
	return m.blocks() + (m.blocks()-1)/m.ratio()
}
