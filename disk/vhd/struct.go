// Package vhd reads and writes VHD, the format of Virtual PC and Azure that
// qemu-img calls vpc: fixed and dynamic disks. Of differencing disks the parent
// must be handed over.
//
//	fixed     data | footer
//	dynamic   footer | header | table | bitmap block | bitmap block … | footer
//
// All numbers are big endian. The table has the sector of each block, or all
// ones; before each block lies a bitmap of its sectors, one sector for blocks
// of 2 MiB. It tells which sectors of a differencing disk are its own; in
// dynamic disks it is not looked at, as in QEMU: writers fill the block with
// zeros first.
//
// # Size
//
// Two fields of the footer tell the size of the disk, and they may disagree.
// The number of bytes ("current size") counts, but for files whose creator is
// one of those that show the guest the product of the geometry: Virtual PC
// ("vpc "), Virtual Server ("vs  ") and QEMU without force_size ("qemu"). There
// the geometry counts, unless it is the largest that can be written (65,535 ×
// 16 × 255), which says nothing about larger disks. Newer versions of QEMU have
// the same rule.
//
// Of a fixed disk nothing else may be in the file: its length is the current
// size and the footer. Footers of 511 bytes (Virtual PC before 2004) are read.
//
// Source: Microsoft, Virtual Hard Disk Image Format Specification, 1.0, 2006.
package vhd

import (
	"bytes"
	"encoding/binary"

	"kuva/disk"
)

// LayoutVersion of the files that Layout makes.
const LayoutVersion = 1

// MaxSize is the largest disk that is written: what Microsoft and QEMU accept
// (2040 GiB). Up to 2 TiB is read.
const MaxSize = 0xff000000 * sector

const (
	name       = "vhd"
	sector     = 512
	footerSize = 512
	headerSize = 1024
	blockSize  = 2 << 20
	unused     = 0xffffffff
	maxRead    = 1 << 32 * sector
	maxBlock   = 256 << 20

	typeFixed        = 2
	typeDynamic      = 3
	typeDifferencing = 4
)

var (
	cookie       = []byte("conectix")
	headerCookie = []byte("cxsparse")
)

// footer is the structure at the end of every file, and at the start of all
// but fixed ones.
type footer struct {
	DataOffset    uint64
	Creator       [4]byte
	Size          uint64
	Cylinders     uint16
	Heads, Spt    uint8
	Type          uint32
	ID            [16]byte
	savedState    bool
	version, feat uint32
}

// parseFooter reads 512 bytes.
func parseFooter(b []byte) (*footer, error) {
	if !bytes.Equal(b[:8], cookie) {
		return nil, disk.Malform(name, "the footer has no mark")
	}
	if sum := checksum(b, 64); binary.BigEndian.Uint32(b[64:]) != sum {
		return nil, disk.Malform(name, "the checksum of the footer is wrong")
	}
	f := &footer{
		feat:       binary.BigEndian.Uint32(b[8:]),
		version:    binary.BigEndian.Uint32(b[12:]),
		DataOffset: binary.BigEndian.Uint64(b[16:]),
		Creator:    [4]byte(b[28:]),
		Size:       binary.BigEndian.Uint64(b[48:]),
		Cylinders:  binary.BigEndian.Uint16(b[56:]),
		Heads:      b[58],
		Spt:        b[59],
		Type:       binary.BigEndian.Uint32(b[60:]),
		ID:         [16]byte(b[68:]),
		savedState: b[84] != 0,
	}
	if f.version>>16 != 1 {
		return nil, disk.Refuse(name, disk.ReasonFeature, "version %#x", f.version)
	}
	return f, nil
}

func (f *footer) bytes() []byte {
	b := make([]byte, footerSize)
	copy(b, cookie)
	binary.BigEndian.PutUint32(b[8:], 2) // reserved bit, always set
	binary.BigEndian.PutUint32(b[12:], 1<<16)
	binary.BigEndian.PutUint64(b[16:], f.DataOffset)
	// The time of making stays 0, 2000-01-01: the same disk, the same bytes.
	copy(b[28:], f.Creator[:])
	binary.BigEndian.PutUint32(b[32:], 10<<16)
	copy(b[36:], "Wi2k")
	binary.BigEndian.PutUint64(b[40:], f.Size)
	binary.BigEndian.PutUint64(b[48:], f.Size)
	binary.BigEndian.PutUint16(b[56:], f.Cylinders)
	b[58], b[59] = f.Heads, f.Spt
	binary.BigEndian.PutUint32(b[60:], f.Type)
	copy(b[68:], f.ID[:])
	binary.BigEndian.PutUint32(b[64:], checksum(b, 64))
	return b
}

// diskSize follows the rule of the package comment.
func (f *footer) diskSize() (int64, error) {
	if f.Size > maxRead {
		return 0, disk.Refuse(name, disk.ReasonTooLarge, "%d bytes, the format ends at 2 TiB", f.Size)
	}
	if f.Size%sector != 0 {
		return 0, disk.Malform(name, "the size %d is no multiple of a sector", f.Size)
	}
	size := int64(f.Size)
	chs := int64(f.Cylinders) * int64(f.Heads) * int64(f.Spt) * sector
	switch string(f.Creator[:]) {
	case "vpc ", "vs  ", "qemu":
		if chs == maxCHS*sector {
			break
		}
		if chs > size {
			return 0, disk.Malform(name, "the geometry has %d bytes, the size field %d", chs, size)
		}
		size = chs
	}
	return size, nil
}

// header describes the table of a dynamic disk.
type header struct {
	Table   uint64
	Entries uint32
	Block   uint32
}

func parseHeader(b []byte) (*header, error) {
	if !bytes.Equal(b[:8], headerCookie) {
		return nil, disk.Malform(name, "the header has no mark")
	}
	if binary.BigEndian.Uint32(b[36:]) != checksum(b, 36) {
		return nil, disk.Malform(name, "the checksum of the header is wrong")
	}
	if v := binary.BigEndian.Uint32(b[24:]); v>>16 != 1 {
		return nil, disk.Refuse(name, disk.ReasonFeature, "version %#x of the header", v)
	}
	return &header{
		Table:   binary.BigEndian.Uint64(b[16:]),
		Entries: binary.BigEndian.Uint32(b[28:]),
		Block:   binary.BigEndian.Uint32(b[32:]),
	}, nil
}

func (h *header) bytes() []byte {
	b := make([]byte, headerSize)
	copy(b, headerCookie)
	binary.BigEndian.PutUint64(b[8:], 1<<64-1)
	binary.BigEndian.PutUint64(b[16:], h.Table)
	binary.BigEndian.PutUint32(b[24:], 1<<16)
	binary.BigEndian.PutUint32(b[28:], h.Entries)
	binary.BigEndian.PutUint32(b[32:], h.Block)
	binary.BigEndian.PutUint32(b[36:], checksum(b, 36))
	return b
}

// checksum is the complement of the sum of all bytes but those of itself.
func checksum(b []byte, at int) uint32 {
	var sum uint32
	for i, v := range b {
		if i < at || i >= at+4 {
			sum += uint32(v)
		}
	}
	return ^sum
}

// bitmapSize is the length of the bitmap before a block, in whole sectors.
func bitmapSize(block int64) int64 {
	bits := block / sector
	return ((bits+7)/8 + sector - 1) / sector * sector
}

// maxCHS is the number of sectors of the largest geometry.
const maxCHS = 65535 * 16 * 255

// geometry is the specification's (appendix): at most sectors in all, often
// fewer.
func geometry(sectors int64) (cylinders uint16, heads, spt uint8) {
	sectors = min(sectors, maxCHS)
	var s, h, cth int64 // sectors a track, heads, cylinders times heads
	if sectors >= 65535*16*63 {
		s, h = 255, 16
		cth = sectors / s
	} else {
		s = 17
		cth = sectors / s
		h = max(4, (cth+1023)/1024)
		if cth >= h*1024 || h > 16 {
			s, h = 31, 16
			cth = sectors / s
		}
		if cth >= h*1024 {
			s, h = 63, 16
			cth = sectors / s
		}
	}
	return uint16(cth / h), uint8(h), uint8(s)
}
