package vhdx

import (
	"context"
	"encoding/binary"

	"kuva/disk"
	"kuva/disk/internal/blockmap"
	"kuva/disk/internal/blocks"
)

var settings = []disk.Setting{
	{Key: "subformat", Help: "dynamic (default) or fixed"},
	{Key: "block_size", Help: "1M to 256M, a power of two; default 1M, and more for disks of more than 4 TiB"},
	blocks.UUIDSetting,
}

// mostBlocks is how many blocks a disk has at most where nobody chooses their
// size: 32 MiB of table.
const mostBlocks = 1 << 22

// Layout makes a dynamic disk with the blocks that have data, in their order,
// or a fixed one with all. Blocks are small, as Microsoft recommends for
// Linux: little is stored that is not there. A size that is no multiple of 512
// is rounded up.
func Layout(ctx context.Context, d disk.Disk, s disk.Settings) (disk.View, error) {
	if err := s.Known(name, settings); err != nil {
		return nil, err
	}
	sub, err := s.OneOf(name, "subformat", "dynamic", "fixed")
	if err != nil {
		return nil, err
	}
	switch {
	case d.Size() == 0:
		return nil, disk.Refuse(name, disk.ReasonFeature, "the format has no disk of no bytes")
	case d.Size() > MaxSize:
		return nil, disk.Refuse(name, disk.ReasonTooLarge, "the disk has %d bytes, the format %d", d.Size(), int64(MaxSize))
	}
	block := int64(mib)
	for d.Size()/block >= mostBlocks {
		block *= 2
	}
	if block, err = s.Bytes(name, "block_size", block); err != nil {
		return nil, err
	}
	if block < mib || block > maxBlock || block&(block-1) != 0 {
		return nil, disk.Refuse(name, disk.ReasonSetting, "block_size=%q is no power of two from 1M to 256M", s["block_size"])
	}
	m, err := blockmap.Of(ctx, d, block)
	if err != nil {
		return nil, err
	}
	meta := &metadata{
		block: block, fixed: sub == "fixed",
		size: (d.Size() + 511) / 512 * 512, logical: 512, physical: 4096,
	}
	id, err := blocks.ID(name, s, meta.size, m)
	if err != nil {
		return nil, err
	}
	mixed := guid(blocks.Mixed(id))
	if meta.fixed {
		m.Add(0, m.Blocks())
		m.Seal()
	}
	// Log, metadata and table follow the headers, each at a whole MiB. The
	// log is empty, and since the header names none it is not looked at.
	metaAt := region{2 * mib, mib}
	table := meta.entries() * bytesPerEntry
	bat := region{3 * mib, max(1, (table+mib-1)/mib) * mib}
	first := bat.at + bat.length
	regions := regionsBytes(bat, metaAt)
	ident := identifier()
	return disk.Concat(
		blocks.Bytes(ident), blocks.Zeros(headersAt-int64(len(ident))),
		blocks.Bytes(headerBytes(1, mixed)), blocks.Zeros(headersAt-page),
		blocks.Bytes(headerBytes(2, mixed)), blocks.Zeros(headersAt-page),
		blocks.Bytes(regions), blocks.Bytes(regions),
		blocks.Zeros(mib-regionsAt-2*regionSize), blocks.Zeros(mib),
		blocks.Bytes(meta.bytes(mixed)),
		entries(meta, m, first), blocks.Zeros(bat.length-table),
		blocks.Area(d, m, block, nil),
	), nil
}

// entries makes the block table: the entries of blocks, and after each ratio
// of them an empty one for the bitmap that there is not.
func entries(meta *metadata, m *blockmap.Map, first int64) disk.Disk {
	every := meta.ratio() + 1
	return blocks.Computed(meta.entries()*bytesPerEntry, func(p []byte, off int64) error {
		var e [bytesPerEntry]byte
		i := off / bytesPerEntry
		k := m.Rank(i - i/every) // of the next block of the map
		for skip := off % bytesPerEntry; len(p) > 0; i, skip = i+1, 0 {
			clear(e[:])
			if block := i - i/every; i%every != every-1 && m.Has(block) {
				binary.LittleEndian.PutUint64(e[:], uint64(first+k*meta.block)|present)
				k++
			}
			p = p[copy(p, e[skip:]):]
		}
		return nil
	})
}
