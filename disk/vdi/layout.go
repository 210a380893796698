package vdi

import (
	"context"
	"encoding/binary"

	"kuva/disk"
	"kuva/disk/internal/blockmap"
	"kuva/disk/internal/blocks"
)

var settings = []disk.Setting{
	{Key: "static", Help: "on: all blocks are there, also empty ones; default off"},
	blocks.UUIDSetting,
}

// Layout makes a disk with the blocks that have data, in their order. Table and
// blocks begin at multiples of 1 MiB, as in VirtualBox's own files, so that
// the same data lie in the same way in a VDI and in a raw file. A size that is
// no multiple of 512 is rounded up.
func Layout(ctx context.Context, d disk.Disk, s disk.Settings) (disk.View, error) {
	if err := s.Known(name, settings); err != nil {
		return nil, err
	}
	static, err := s.OneOf(name, "static", "off", "on")
	if err != nil {
		return nil, err
	}
	if d.Size() > MaxSize {
		return nil, disk.Refuse(name, disk.ReasonTooLarge, "the disk has %d bytes, the format %d", d.Size(), int64(MaxSize))
	}
	m, err := blockmap.Of(ctx, d, blockSize)
	if err != nil {
		return nil, err
	}
	h := &header{Kind: kindDynamic, Table: align, Block: blockSize, Size: uint64((d.Size() + sector - 1) / sector * sector)}
	if h.ID, err = blocks.ID(name, s, int64(h.Size), m); err != nil {
		return nil, err
	}
	h.ID = blocks.Mixed(h.ID)
	h.Snapshot = h.ID // that of the last change; it may not be empty
	if static == "on" {
		h.Kind = kindStatic
		m.Add(0, m.Blocks())
		m.Seal()
	}
	table := m.Blocks() * 4
	room := (table + align - 1) / align * align
	h.Data = uint32(align + room)
	h.Blocks, h.Allocated = uint32(m.Blocks()), uint32(m.Count())
	return disk.Concat(
		blocks.Bytes(h.bytes()), blocks.Zeros(align-headerSize),
		blocks.Entries(m.Blocks(), 4, m, free, func(e []byte, _, k int64) {
			binary.LittleEndian.PutUint32(e, uint32(k))
		}),
		blocks.Zeros(room-table),
		blocks.Area(d, m, blockSize, nil),
	), nil
}
