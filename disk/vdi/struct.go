// Package vdi reads and writes VDI, VirtualBox's format: dynamic and static
// disks. Of differencing ones the parent must be handed over.
//
//	header | table | blocks
//
// The table has four bytes for each block of the disk, 1 MiB as a rule: its
// number in the file, or one of two marks, never written and zero. Numbers are
// little endian.
//
// There is no specification; the layout is known from VirtualBox (VDICore.h)
// and QEMU (block/vdi.c).
package vdi

import (
	"encoding/binary"

	"kuva/disk"
)

// LayoutVersion of the files that Layout makes.
const LayoutVersion = 1

// MaxSize is the largest disk that is written, just under 1 PiB: the offset of
// the first block behind the table has 32 bits.
const MaxSize = (1<<30 - 1<<19) << 20

const (
	name       = "vdi"
	sector     = 512
	blockSize  = 1 << 20 // of the files that are written
	align      = 1 << 20 // of table and blocks there, as in VirtualBox's
	headerSize = 512
	signature  = 0xbeda107f
	version    = 1<<16 | 1
	structSize = 400 // of the header behind the signature, in VirtualBox 4

	free = 0xffffffff // never written; of a differencing disk the parent's
	zero = 0xfffffffe

	minBlock  = 4 << 10
	maxBlock  = 256 << 20
	maxBlocks = 1 << 30

	kindDynamic = 1
	kindStatic  = 2
	kindUndo    = 3
	kindDiff    = 4
)

const banner = "<<< Oracle VM VirtualBox Disk Image >>>\n"

// header is the first sector.
type header struct {
	Version, Kind, Flags uint32
	Table, Data          uint32 // offsets
	Sector               uint32
	Size                 uint64
	Block, Extra         uint32 // bytes of a block, and of what lies before it
	Blocks, Allocated    uint32
	ID, Snapshot         [16]byte
	Link, Parent         [16]byte
}

func parseHeader(b []byte) (*header, error) {
	le := binary.LittleEndian
	if le.Uint32(b[0x40:]) != signature {
		return nil, disk.Malform(name, "the header has no mark")
	}
	return &header{
		Version:   le.Uint32(b[0x44:]),
		Kind:      le.Uint32(b[0x4c:]),
		Flags:     le.Uint32(b[0x50:]),
		Table:     le.Uint32(b[0x154:]),
		Data:      le.Uint32(b[0x158:]),
		Sector:    le.Uint32(b[0x168:]),
		Size:      le.Uint64(b[0x170:]),
		Block:     le.Uint32(b[0x178:]),
		Extra:     le.Uint32(b[0x17c:]),
		Blocks:    le.Uint32(b[0x180:]),
		Allocated: le.Uint32(b[0x184:]),
		ID:        [16]byte(b[0x188:]),
		Snapshot:  [16]byte(b[0x198:]),
		Link:      [16]byte(b[0x1a8:]),
		Parent:    [16]byte(b[0x1b8:]),
	}, nil
}

func (h *header) bytes() []byte {
	le := binary.LittleEndian
	b := make([]byte, headerSize)
	copy(b, banner)
	le.PutUint32(b[0x40:], signature)
	le.PutUint32(b[0x44:], version)
	le.PutUint32(b[0x48:], structSize)
	le.PutUint32(b[0x4c:], h.Kind)
	le.PutUint32(b[0x50:], h.Flags)
	le.PutUint32(b[0x154:], h.Table)
	le.PutUint32(b[0x158:], h.Data)
	// The old geometry (0x15c) stays 0 but for the sector: VirtualBox works
	// it out.
	le.PutUint32(b[0x168:], sector)
	le.PutUint64(b[0x170:], h.Size)
	le.PutUint32(b[0x178:], h.Block)
	le.PutUint32(b[0x180:], h.Blocks)
	le.PutUint32(b[0x184:], h.Allocated)
	copy(b[0x188:], h.ID[:])
	copy(b[0x198:], h.Snapshot[:])
	le.PutUint32(b[0x1d4:], sector) // of the new geometry (0x1c8)
	return b
}

// check looks at what the header says by itself and in a file of size bytes.
func (h *header) check(size int64) error {
	table, data := int64(h.Table), int64(h.Data)
	switch {
	case h.Version != version:
		return disk.Refuse(name, disk.ReasonFeature, "version %d.%d", h.Version>>16, h.Version&0xffff)
	case h.Kind != kindDynamic && h.Kind != kindStatic && h.Kind != kindDiff:
		return disk.Refuse(name, disk.ReasonFeature, "kind %d", h.Kind)
	case h.Sector != sector:
		return disk.Refuse(name, disk.ReasonFeature, "sectors of %d bytes", h.Sector)
	case h.Extra != 0:
		return disk.Refuse(name, disk.ReasonFeature, "%d bytes before each block", h.Extra)
	case h.Block < minBlock || h.Block > maxBlock || h.Block&(h.Block-1) != 0:
		return disk.Malform(name, "blocks of %d bytes", h.Block)
	case h.Size > 1<<62:
		return disk.Refuse(name, disk.ReasonTooLarge, "%d bytes", h.Size)
	case h.Blocks > maxBlocks:
		return disk.Refuse(name, disk.ReasonTooLarge, "%d blocks", h.Blocks)
	case int64(h.Blocks) != (int64(h.Size)+int64(h.Block)-1)/int64(h.Block):
		return disk.Malform(name, "%d blocks of %d bytes for a disk of %d", h.Blocks, h.Block, h.Size)
	case h.Allocated > h.Blocks:
		return disk.Malform(name, "%d of %d blocks are allocated", h.Allocated, h.Blocks)
	case table < headerSize || table%sector != 0 || table+int64(h.Blocks)*4 > size:
		return disk.Malform(name, "the table of %d entries at %d reaches over the end", h.Blocks, table)
	case data < table+int64(h.Blocks)*4 || data%sector != 0 || h.Allocated > 0 && data > size:
		return disk.Malform(name, "the blocks are said to begin at %d", data)
	}
	return nil
}

// differs tells whether the disk has a parent.
func (h *header) differs() bool {
	none := [16]byte{}
	return h.Kind == kindDiff || h.Link != none || h.Parent != none
}
