// Package vmdk reads and writes VMDK, VMware's format: monolithicSparse (one
// file, changeable) and streamOptimized (one file, compressed, the one inside
// of OVA packages). Flat and split disks are read where the caller hands over
// the files that hold the data.
//
//	monolithicSparse   header | descriptor | directory, tables | directory, tables | grains
//	streamOptimized    header | descriptor | grains, table | grains, table | … | directory | footer | end
//
// A grain is 64 KiB as a rule, a grain table has 512 of them, and the grain
// directory says where the tables are. Numbers are little endian, places are
// sectors of 512 bytes. In a monolithicSparse file all is there twice but for
// the grains. In a streamOptimized one each grain has a marker with its number
// and length, and the header says where the directory is only in its copy near
// the end, the footer. QEMU writes such files with tables in front and without
// footer.
//
// Source: VMware, Virtual Disk Format 5.0; footer and zeroed grains also from
// what QEMU and VirtualBox write.
package vmdk

import (
	"bytes"
	"encoding/binary"

	"kuva/disk"
)

// LayoutVersion of the files that Layout and Stream make. The compressed bytes
// hold as long as the deflate library stays the same.
const LayoutVersion = 1

// MaxSize is the largest disk that is read and written.
const MaxSize = 64 << 40

const (
	name       = "vmdk"
	sector     = 512
	grainSize  = 64 << 10 // of the files that are written
	tableLen   = 512      // entries of a grain table
	tableBytes = tableLen * 4
	maxGrain   = 1 << 30 // QEMU's limit
	maxPacked  = 16 << 20
	atEnd      = 1<<64 - 1 // the place of the directory is in the footer

	flagNewline  = 1 << 0
	flagBackup   = 1 << 1 // there is a second directory
	flagZeroed   = 1 << 2 // an entry of 1 means a grain of zeros
	flagPacked   = 1 << 16
	flagMarkers  = 1 << 17
	deflate      = 1
	markerEnd    = 0
	markerTable  = 1
	markerDir    = 2
	markerFooter = 3
)

var (
	magic     = []byte("KDMV")
	newlines  = []byte("\n \r\n")
	textMagic = []byte("# disk descriptorfile")
	// Sparse files of VMware ESX, which are recognised and not read.
	cowdMagic = []byte("COWD")
	seMagic   = []byte{0xbe, 0xba, 0xfe, 0xca, 0, 0, 0, 0}
)

// header is the first sector of a sparse file.
type header struct {
	Version, Flags    uint32
	Capacity, Grain   uint64 // sectors
	DescOff, DescSize uint64
	TableLen          uint32
	BackupOff, DirOff uint64
	Overhead          uint64
	Unclean           byte
	Newlines          [4]byte
	Compress          uint16
}

func parseHeader(b []byte) (*header, error) {
	if !bytes.Equal(b[:4], magic) {
		return nil, disk.Malform(name, "the header has no mark")
	}
	le := binary.LittleEndian
	return &header{
		Version:   le.Uint32(b[4:]),
		Flags:     le.Uint32(b[8:]),
		Capacity:  le.Uint64(b[12:]),
		Grain:     le.Uint64(b[20:]),
		DescOff:   le.Uint64(b[28:]),
		DescSize:  le.Uint64(b[36:]),
		TableLen:  le.Uint32(b[44:]),
		BackupOff: le.Uint64(b[48:]),
		DirOff:    le.Uint64(b[56:]),
		Overhead:  le.Uint64(b[64:]),
		Unclean:   b[72],
		Newlines:  [4]byte(b[73:]),
		Compress:  le.Uint16(b[77:]),
	}, nil
}

func (h *header) bytes() []byte {
	le := binary.LittleEndian
	b := make([]byte, sector)
	copy(b, magic)
	le.PutUint32(b[4:], h.Version)
	le.PutUint32(b[8:], h.Flags)
	le.PutUint64(b[12:], h.Capacity)
	le.PutUint64(b[20:], h.Grain)
	le.PutUint64(b[28:], h.DescOff)
	le.PutUint64(b[36:], h.DescSize)
	le.PutUint32(b[44:], h.TableLen)
	le.PutUint64(b[48:], h.BackupOff)
	le.PutUint64(b[56:], h.DirOff)
	le.PutUint64(b[64:], h.Overhead)
	copy(b[73:], newlines)
	le.PutUint16(b[77:], h.Compress)
	return b
}

// check looks at what the header says by itself.
func (h *header) check() error {
	switch {
	case h.Version < 1 || h.Version > 3:
		return disk.Refuse(name, disk.ReasonFeature, "version %d", h.Version)
	case h.Flags&^(flagNewline|flagBackup|flagZeroed|flagPacked|flagMarkers) != 0:
		return disk.Refuse(name, disk.ReasonFeature, "flags %#x", h.Flags)
	case h.Flags&flagNewline != 0 && !bytes.Equal(h.Newlines[:], newlines):
		return disk.Malform(name, "the file was changed by a transfer as text")
	case h.Capacity == 0:
		// QEMU goes on to the descriptor then, and opens what it names.
		return disk.Refuse(name, disk.ReasonDataFile, "the header has no capacity and leaves all to the descriptor")
	case h.Capacity > MaxSize/sector:
		return disk.Refuse(name, disk.ReasonTooLarge, "%d sectors, the limit is 64 TiB", h.Capacity)
	case h.Grain == 0 || h.Grain > maxGrain/sector || h.Grain&(h.Grain-1) != 0:
		return disk.Malform(name, "grains of %d sectors", h.Grain)
	case h.TableLen != tableLen:
		return disk.Malform(name, "grain tables of %d entries", h.TableLen)
	case h.Flags&flagPacked == 0:
		if h.Flags&flagMarkers != 0 {
			return disk.Refuse(name, disk.ReasonFeature, "markers without compression")
		}
		return nil
	case h.Flags&flagMarkers == 0:
		return disk.Refuse(name, disk.ReasonFeature, "compression without markers")
	case h.Compress != deflate:
		return disk.Refuse(name, disk.ReasonFeature, "compression method %d", h.Compress)
	case h.Grain > maxPacked/sector:
		return disk.Malform(name, "compressed grains of %d sectors", h.Grain)
	}
	return nil
}

// tables is the number of grain tables.
func (h *header) tables() int64 {
	per := int64(h.Grain) * tableLen
	return (int64(h.Capacity) + per - 1) / per
}

// marker makes the sector before a table, directory, footer, or the end.
func marker(kind uint32, sectors int64) []byte {
	b := make([]byte, sector)
	binary.LittleEndian.PutUint64(b, uint64(sectors))
	binary.LittleEndian.PutUint32(b[12:], kind)
	return b
}
