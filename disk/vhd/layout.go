package vhd

import (
	"bytes"
	"context"
	"encoding/binary"

	"kuva/disk"
	"kuva/disk/internal/blockmap"
	"kuva/disk/internal/blocks"
)

var settings = []disk.Setting{
	{Key: "subformat", Help: "dynamic (default) or fixed"},
	blocks.UUIDSetting,
}

// Layout makes a dynamic disk with the blocks that have data, in their order,
// or a fixed one. A size that is no multiple of 512 is rounded up.
//
// The creator is given as "win ", Hyper-V's word: it tells every reader that
// the number of bytes counts. Under a name of our own QEMU before version 10
// would cut the disk to its geometry.
func Layout(ctx context.Context, d disk.Disk, s disk.Settings) (disk.View, error) {
	if err := s.Known(name, settings); err != nil {
		return nil, err
	}
	sub, err := s.OneOf(name, "subformat", "dynamic", "fixed")
	if err != nil {
		return nil, err
	}
	if d.Size() > MaxSize {
		return nil, disk.Refuse(name, disk.ReasonTooLarge, "the disk has %d bytes, the format %d", d.Size(), int64(MaxSize))
	}
	size := (d.Size() + sector - 1) / sector * sector
	m, err := blockmap.Of(ctx, d, blockSize)
	if err != nil {
		return nil, err
	}
	f := &footer{Creator: [4]byte([]byte("win ")), Size: uint64(size)}
	f.Cylinders, f.Heads, f.Spt = geometry(size / sector)
	if f.ID, err = blocks.ID(name, s, size, m); err != nil {
		return nil, err
	}
	if sub == "fixed" {
		f.Type, f.DataOffset = typeFixed, 1<<64-1
		return disk.Concat(d, blocks.Zeros(size-d.Size()), blocks.Bytes(f.bytes())), nil
	}
	f.Type, f.DataOffset = typeDynamic, footerSize
	h := &header{Table: footerSize + headerSize, Entries: uint32(m.Blocks()), Block: blockSize}
	// The table is filled up to whole sectors with unused entries.
	entries := (m.Blocks()*4 + sector - 1) / sector * sector / 4
	bitmap := bytes.Repeat([]byte{0xff}, int(bitmapSize(blockSize)))
	first := int64(h.Table) + entries*4
	table := blocks.Entries(entries, 4, m, unused, func(e []byte, _, k int64) {
		binary.BigEndian.PutUint32(e, uint32((first+k*(blockSize+int64(len(bitmap))))/sector))
	})
	return disk.Concat(
		blocks.Bytes(f.bytes()), blocks.Bytes(h.bytes()), table,
		blocks.Area(d, m, blockSize, bitmap),
		blocks.Bytes(f.bytes()),
	), nil
}
