// Package vhdx reads and writes VHDX, the format of Hyper-V: fixed and dynamic
// disks, also those whose log must be replayed. Of differencing disks the parent
// must be handed over.
//
//	0        identifier
//	64 KiB   header, and at 128 KiB another; the newer one counts
//	192 KiB  region table, and at 256 KiB its copy
//	1 MiB …  in any order: log, metadata, block table (BAT), blocks
//
// All regions and blocks begin at multiples of 1 MiB. The block table has 8
// bytes for each block, and after those of each 4 GiB (with sectors of 512
// bytes) one for a bitmap that only differencing disks have. Numbers are little
// endian.
//
// A file whose header names a log was not closed. The log is replayed in
// memory: what it would write lies over the file, which is not changed.
//
// Source: Microsoft, [MS-VHDX] Virtual Hard Disk v2 File Format.
package vhdx

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"unicode/utf16"

	"kuva/disk"
	"kuva/disk/internal/blocks"
)

// LayoutVersion of the files that Layout makes.
const LayoutVersion = 1

// MaxSize is the largest disk (64 TiB).
const MaxSize = 64 << 40

const (
	name       = "vhdx"
	mib        = 1 << 20
	page       = 4 << 10 // the unit of the log and of headers
	headersAt  = 64 << 10
	regionsAt  = 192 << 10
	regionSize = 64 << 10
	maxEntries = 2047 // of the region table and of metadata
	maxItem    = 1 << 20
	maxBlock   = 256 << 20
	maxLog     = 64 << 20
)

var magic = []byte("vhdxfile")

// guid is in the order of bytes of the file.
type guid [16]byte

func mustGUID(hi uint64, lo uint64) guid {
	var g [16]byte
	binary.BigEndian.PutUint64(g[:], hi)
	binary.BigEndian.PutUint64(g[8:], lo)
	return blocks.Mixed(g)
}

var (
	regionBAT      = mustGUID(0x2DC27766F6234200, 0x9D64115E9BFD4A08)
	regionMetadata = mustGUID(0x8B7CA20647904B9A, 0xB8FE575F050F886E)

	itemFile     = mustGUID(0xCAA16737FA364D43, 0xB3B633F0AA44E76B)
	itemSize     = mustGUID(0x2FA54224CD1B4876, 0xB2115DBED83BF4B8)
	itemPage83   = mustGUID(0xBECA12ABB2E64523, 0x93EFC309E000C746)
	itemLogical  = mustGUID(0x8141BF1DA96F4709, 0xBA47F233A8FAAB5F)
	itemPhysical = mustGUID(0xCDA348C7445D4471, 0x9CC9E9885251C556)
	itemParent   = mustGUID(0xA8D35F2DB30B454D, 0xABF7D3D84834AB0C)
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is CRC-32C with the four bytes at offset 4 taken as zeros.
func checksum(b []byte) uint32 {
	c := crc32.Update(0, castagnoli, b[:4])
	c = crc32.Update(c, castagnoli, make([]byte, 4))
	return crc32.Update(c, castagnoli, b[8:])
}

func sealed(b []byte, mark string) bool {
	return string(b[:4]) == mark && binary.LittleEndian.Uint32(b[4:]) == checksum(b)
}

func seal(b []byte, mark string) []byte {
	copy(b, mark)
	binary.LittleEndian.PutUint32(b[4:], checksum(b))
	return b
}

// header is the newer one of the two.
type header struct {
	sequence            uint64
	log                 guid // zero: there is nothing to replay
	version, logVersion uint16
	logLen              uint32
	logAt               uint64
}

// readHeader chooses the header that counts.
func readHeader(r io.ReaderAt) (*header, error) {
	var best *header
	var raw []byte
	for _, at := range []int64{headersAt, 2 * headersAt} {
		b := make([]byte, page)
		if err := disk.ReadFull(r, b, at); err != nil {
			return nil, err
		}
		if !sealed(b, "head") {
			continue
		}
		h := &header{
			sequence:   binary.LittleEndian.Uint64(b[8:]),
			log:        guid(b[48:]),
			logVersion: binary.LittleEndian.Uint16(b[64:]),
			version:    binary.LittleEndian.Uint16(b[66:]),
			logLen:     binary.LittleEndian.Uint32(b[68:]),
			logAt:      binary.LittleEndian.Uint64(b[72:]),
		}
		if best != nil && best.sequence == h.sequence && !bytes.Equal(raw, b) {
			return nil, disk.Malform(name, "the two headers are of the same age and differ")
		}
		if best == nil || h.sequence > best.sequence {
			best, raw = h, b
		}
	}
	switch {
	case best == nil:
		return nil, disk.Malform(name, "no header is whole")
	case best.version != 1:
		return nil, disk.Refuse(name, disk.ReasonFeature, "version %d", best.version)
	case best.log != guid{} && best.logVersion != 0:
		return nil, disk.Refuse(name, disk.ReasonFeature, "version %d of the log", best.logVersion)
	}
	return best, nil
}

func headerBytes(sequence uint64, id guid) []byte {
	b := make([]byte, page)
	binary.LittleEndian.PutUint64(b[8:], sequence)
	copy(b[16:], id[:])
	copy(b[32:], id[:])
	binary.LittleEndian.PutUint16(b[66:], 1)
	binary.LittleEndian.PutUint32(b[68:], mib)
	binary.LittleEndian.PutUint64(b[72:], mib)
	return seal(b, "head")
}

// region is a stretch of the file.
type region struct {
	at, length int64
}

func (r region) hits(s region) bool { return r.at < s.at+s.length && s.at < r.at+r.length }

// readRegions reads the region table.
func readRegions(r io.ReaderAt, size int64) (map[guid]region, error) {
	var b []byte
	for _, at := range []int64{regionsAt, regionsAt + regionSize} {
		c := make([]byte, regionSize)
		if err := disk.ReadFull(r, c, at); err != nil {
			return nil, err
		}
		if !sealed(c, "regi") {
			continue
		}
		if b != nil && !bytes.Equal(b, c) {
			return nil, disk.Malform(name, "the two region tables differ")
		}
		b = c
	}
	if b == nil {
		return nil, disk.Malform(name, "no region table is whole")
	}
	n := binary.LittleEndian.Uint32(b[8:])
	if n > maxEntries {
		return nil, disk.Malform(name, "%d regions", n)
	}
	regions := map[guid]region{}
	var all []region
	for e := b[16:]; n > 0; n, e = n-1, e[32:] {
		id := guid(e)
		at, length := binary.LittleEndian.Uint64(e[16:]), binary.LittleEndian.Uint32(e[24:])
		reg := region{int64(at), int64(length)}
		if at < mib || at%mib != 0 || length == 0 || length%mib != 0 || at > uint64(size) || reg.at+reg.length > size {
			return nil, disk.Malform(name, "a region of %d bytes at %d", length, at)
		}
		for _, other := range all {
			if reg.hits(other) {
				return nil, disk.Malform(name, "two regions overlap at %d", at)
			}
		}
		all = append(all, reg)
		if id != regionBAT && id != regionMetadata {
			if binary.LittleEndian.Uint32(e[28:])&1 != 0 {
				return nil, disk.Refuse(name, disk.ReasonFeature, "a required region %x", id)
			}
			continue
		}
		if _, twice := regions[id]; twice {
			return nil, disk.Malform(name, "a region is there twice")
		}
		regions[id] = reg
	}
	if len(regions) != 2 {
		return nil, disk.Malform(name, "metadata or block table is missing")
	}
	return regions, nil
}

func regionsBytes(bat, metadata region) []byte {
	b := make([]byte, regionSize)
	binary.LittleEndian.PutUint32(b[8:], 2)
	for i, r := range []struct {
		id guid
		region
	}{{regionBAT, bat}, {regionMetadata, metadata}} {
		e := b[16+32*i:]
		copy(e, r.id[:])
		binary.LittleEndian.PutUint64(e[16:], uint64(r.at))
		binary.LittleEndian.PutUint32(e[24:], uint32(r.length))
		binary.LittleEndian.PutUint32(e[28:], 1)
	}
	return seal(b, "regi")
}

func identifier() []byte {
	b := make([]byte, 8+512)
	copy(b, magic)
	for i, c := range utf16.Encode([]rune("kuva")) {
		binary.LittleEndian.PutUint16(b[8+2*i:], c)
	}
	return b
}
