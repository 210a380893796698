package vmdk

import (
	"context"
	"encoding/binary"

	"kuva/disk"
	"kuva/disk/internal/blockmap"
	"kuva/disk/internal/blocks"
)

var settings = []disk.Setting{
	{Key: "subformat", Help: "monolithicSparse, or streamOptimized for compressed files; default: what fits"},
	{Key: "adapter_type", Help: "ide (default), lsilogic, buslogic or legacyESX: what the disk hangs on"},
	{Key: "hwversion", Help: "virtual hardware version; default 4"},
	blocks.UUIDSetting,
}

// descSectors is the room for the descriptor.
const descSectors = 20

// plan is what both kinds of file begin with.
type plan struct {
	d       disk.Disk
	m       *blockmap.Map // grains with data
	sectors int64
	text    []byte
}

func newPlan(ctx context.Context, d disk.Disk, s disk.Settings, kind string) (*plan, error) {
	if err := s.Known(name, settings); err != nil {
		return nil, err
	}
	if _, err := s.OneOf(name, "subformat", kind); err != nil {
		return nil, err
	}
	adapter, err := s.OneOf(name, "adapter_type", "ide", "lsilogic", "buslogic", "legacyESX")
	if err != nil {
		return nil, err
	}
	hw, ok := s["hwversion"]
	if !ok {
		hw = "4"
	}
	if len(hw) > 2 || len(hw) == 0 || hw[0] < '1' || hw[0] > '9' || hw[len(hw)-1] < '0' || hw[len(hw)-1] > '9' {
		return nil, disk.Refuse(name, disk.ReasonSetting, "hwversion=%q is none", hw)
	}
	switch {
	case d.Size() == 0:
		return nil, disk.Refuse(name, disk.ReasonFeature, "the format has no disk of no bytes")
	case d.Size() > MaxSize:
		return nil, disk.Refuse(name, disk.ReasonTooLarge, "the disk has %d bytes, the format %d", d.Size(), int64(MaxSize))
	}
	p := &plan{d: d, sectors: (d.Size() + sector - 1) / sector}
	if p.m, err = blockmap.Of(ctx, d, grainSize); err != nil {
		return nil, err
	}
	id, err := blocks.ID(name, s, p.sectors*sector, p.m)
	if err != nil {
		return nil, err
	}
	p.text = make([]byte, descSectors*sector)
	copy(p.text, text(kind, id, p.sectors, adapter, hw))
	return p, nil
}

func (p *plan) header() *header {
	return &header{
		Version: 1, Flags: flagNewline,
		Capacity: uint64(p.sectors), Grain: grainSize / sector, TableLen: tableLen,
		DescOff: 1, DescSize: descSectors,
	}
}

// Layout makes a monolithicSparse file. All tables are there, also those
// without grains, since not every reader expects otherwise; the empty ones are
// holes of the file. A size that is no multiple of 512 is rounded up. The
// places of grains have 32 bits, which ends the file at 2 TiB.
func Layout(ctx context.Context, d disk.Disk, s disk.Settings) (disk.View, error) {
	p, err := newPlan(ctx, d, s, "monolithicSparse")
	if err != nil {
		return nil, err
	}
	h := p.header()
	h.Flags |= flagBackup
	tables := h.tables()
	dir := (tables*4 + sector - 1) / sector // sectors
	const tab = tableBytes / sector
	h.BackupOff = 1 + descSectors
	h.DirOff = h.BackupOff + uint64(dir+tables*tab)
	end := int64(h.DirOff) + dir + tables*tab
	first := (end + grainSize/sector - 1) / (grainSize / sector) * (grainSize / sector)
	h.Overhead = uint64(first)
	if last := first + p.m.Count()*(grainSize/sector); last > 1<<32 {
		return nil, disk.Refuse(name, disk.ReasonTooLarge, "the file would have %d bytes, the format ends at 2 TiB of data", last*sector)
	}
	directory := func(at int64) disk.Disk {
		return blocks.Computed(dir*sector, func(b []byte, off int64) error {
			var e [4]byte
			for i, skip := off/4, off%4; len(b) > 0; i, skip = i+1, 0 {
				clear(e[:])
				if i < tables {
					binary.LittleEndian.PutUint32(e[:], uint32(at+i*tab))
				}
				b = b[copy(b, e[skip:]):]
			}
			return nil
		})
	}
	grains := blocks.SparseEntries(tables*tableLen, 4, p.m, func(e []byte, _, k int64) {
		binary.LittleEndian.PutUint32(e, uint32(first+k*(grainSize/sector)))
	})
	return disk.Concat(
		blocks.Bytes(h.bytes()), blocks.Bytes(p.text),
		directory(int64(h.BackupOff)+dir), grains,
		directory(int64(h.DirOff)+dir), grains,
		blocks.Zeros((first-end)*sector),
		blocks.Area(d, p.m, grainSize, nil),
	), nil
}
