// Package qcow2 reads versions 1, 2 and 3 of QEMU's copy-on-write format, and
// writes and checks versions 2 and 3.
//
//	header ─┬─▶ L1 table ──▶ L2 tables ──▶ clusters of data, plain or compressed
//	        └─▶ refcount table ──▶ refcount blocks: users of each cluster of the file
//
// Everything lies on a grid of clusters of 2⁹ to 2²¹ bytes, usually 64 KiB. An
// L2 table is one cluster of entries; an entry says where a cluster of the
// disk lies, or that it is zero or not there. With extended L2 entries each
// cluster has 32 subclusters that can be there or not. Version 1 has no
// refcounts, and tables of a size of their own. Internal snapshots are further
// L1 tables; they are looked at by Check and never are part of a disk or view.
//
// Source of the layout: docs/interop/qcow2.txt of QEMU; the bounds of counts
// are those of QEMU's driver.
package qcow2

import (
	"encoding/binary"
	"io"

	"kuva/disk"
)

const name = "qcow2"

const (
	magic = 0x514649fb // "QFI\xfb"

	minClusterBits, maxClusterBits = 9, 21

	// Bounds of QEMU's driver.
	maxL1Bytes       = 32 << 20
	maxRefTableBytes = 8 << 20
	maxSnapshots     = 65536
	maxSnapshotTable = 64 << 20
	maxSnapshotExtra = 1024
	maxBackingName   = 1023

	headerBytes1, headerBytes2, headerBytes3 = 48, 72, 104
)

// Incompatible and autoclear features of version 3.
const (
	incompatDirty = 1 << iota
	incompatCorrupt
	incompatDataFile
	incompatCompression
	incompatExtendedL2
	incompatKnown = 1<<iota - 1

	autoclearRawExternal = 1 << 1
)

// Header extensions.
const (
	extEnd      = 0
	extBacking  = 0xe2792aca
	extFeatures = 0x6803f857
	extBitmaps  = 0x23852875
	extLUKS     = 0x0537be77
	extDataFile = 0x44415441
)

// Bits of table entries.
const (
	copied     = 1 << 63 // the refcount is exactly one
	compressed = 1 << 62 // of an L2 entry
	zeroFlag   = 1       // of an L2 entry of version 3
	hostMask   = 0x00fffffffffffe00
	l1Reserved = ^uint64(copied | hostMask)
	l2Reserved = ^uint64(copied | hostMask | zeroFlag)

	compressed1 = 1 << 63 // of an L2 entry of version 1
)

const (
	zlib = iota
	zstandard
)

// header is what the first cluster says.
type header struct {
	version              int
	size                 int64
	clusterBits          int
	crypt                uint32
	l1Entries            int64
	l1Off                int64
	l2Bits               int // entries of an L2 table, as a power of 2
	extendedL2           bool
	refTableOff          int64
	refTableClusters     int64
	refcountOrder        int // a refcount has 2^order bits
	snapshots            int
	snapshotsOff         int64
	incompat, autoclear  uint64
	compression          int
	backingOff           uint64
	backingLen           int
	backing              []byte
	dataFile             bool
	bitmaps, bitmapBytes int64 // directory of dirty bitmaps
	bitmapsOff           int64
}

func (h *header) cluster() int64 { return 1 << h.clusterBits }

// entryBytes is the length of an L2 entry.
func (h *header) entryBytes() int64 {
	if h.extendedL2 {
		return 16
	}
	return 8
}

// covers is how much of the disk one L2 table describes.
func (h *header) covers() int64 { return 1 << (h.clusterBits + h.l2Bits) }

// l1Needed is how many entries of the L1 table the disk takes.
func (h *header) l1Needed() int64 {
	if h.size == 0 {
		return 0
	}
	return (h.size-1)/h.covers() + 1
}

// readHeader reads and bounds everything that the first cluster says. It does
// not judge: see (*header).refuse.
func readHeader(r io.ReaderAt, size int64) (*header, error) {
	var buf [112]byte
	n := min(size, int64(len(buf)))
	if n < 8 {
		return nil, disk.Malform(name, "%d bytes are too short for a header", size)
	}
	if err := disk.ReadFull(r, buf[:n], 0); err != nil {
		return nil, err
	}
	be := binary.BigEndian
	if be.Uint32(buf[0:]) != magic {
		return nil, disk.Malform(name, "wrong magic number")
	}
	version := be.Uint32(buf[4:])
	min := map[uint32]int64{1: headerBytes1, 2: headerBytes2, 3: headerBytes3}[version]
	switch {
	case min == 0:
		return nil, disk.Refuse(name, disk.ReasonFeature, "version %d is not known", version)
	case n < min:
		return nil, disk.Malform(name, "%d bytes are too short for a header", size)
	case version == 1:
		return parseHeader1(r, buf[:n])
	}
	h := &header{
		version:          int(version),
		backingOff:       be.Uint64(buf[8:]),
		backingLen:       int(be.Uint32(buf[16:])),
		clusterBits:      int(be.Uint32(buf[20:])),
		size:             int64(be.Uint64(buf[24:])),
		crypt:            be.Uint32(buf[32:]),
		l1Entries:        int64(be.Uint32(buf[36:])),
		l1Off:            int64(be.Uint64(buf[40:])),
		refTableOff:      int64(be.Uint64(buf[48:])),
		refTableClusters: int64(be.Uint32(buf[56:])),
		refcountOrder:    4,
		snapshots:        int(be.Uint32(buf[60:])),
		snapshotsOff:     int64(be.Uint64(buf[64:])),
	}
	length := int64(headerBytes2)
	if version == 3 {
		h.incompat = be.Uint64(buf[72:])
		h.autoclear = be.Uint64(buf[88:])
		h.refcountOrder = int(be.Uint32(buf[96:]))
		length = int64(be.Uint32(buf[100:]))
		if length > headerBytes3 && n > headerBytes3 {
			h.compression = int(buf[headerBytes3])
		}
	}
	if h.clusterBits < minClusterBits || h.clusterBits > maxClusterBits {
		return nil, disk.Malform(name, "clusters of 2^%d bytes", h.clusterBits)
	}
	h.extendedL2 = h.incompat&incompatExtendedL2 != 0
	h.l2Bits = h.clusterBits - 3
	if h.extendedL2 {
		h.l2Bits--
	}
	if err := h.bound(size, length); err != nil {
		return nil, err
	}
	return h, h.extensions(r, size, length)
}

// bound checks every number against what the format and the file allow.
func (h *header) bound(size, length int64) error {
	cluster := h.cluster()
	switch {
	case length < headerBytes2 || h.version == 3 && length < headerBytes3 || length > cluster:
		return disk.Malform(name, "a header of %d bytes", length)
	case h.size < 0:
		return disk.Malform(name, "the size of the disk is 2^63 or more")
	case h.refcountOrder > 6:
		return disk.Malform(name, "refcounts of 2^%d bits", h.refcountOrder)
	case h.extendedL2 && h.clusterBits < 14:
		return disk.Malform(name, "extended L2 entries need clusters of 16 KiB")
	case h.incompat&incompatCompression != 0 != (h.compression != zlib):
		return disk.Malform(name, "compression type %d does not fit the feature bit", h.compression)
	case h.l1Entries*8 > maxL1Bytes:
		return disk.Refuse(name, disk.ReasonTooLarge, "an L1 table of %d entries", h.l1Entries)
	case h.l1Needed() > h.l1Entries:
		return disk.Malform(name, "%d L1 entries are too few for %d bytes", h.l1Entries, h.size)
	case h.l1Entries > 0 && !h.inFile(h.l1Off, h.l1Entries*8, size):
		return disk.Malform(name, "the L1 table lies at %#x, unaligned or out of the file", h.l1Off)
	case h.refTableClusters == 0:
		return disk.Malform(name, "there is no refcount table")
	case h.refTableClusters > maxRefTableBytes/cluster:
		return disk.Refuse(name, disk.ReasonTooLarge, "a refcount table of %d clusters", h.refTableClusters)
	case !h.inFile(h.refTableOff, h.refTableClusters*cluster, (size+cluster-1)&^(cluster-1)):
		return disk.Malform(name, "the refcount table lies at %#x, unaligned or out of the file", h.refTableOff)
	case h.snapshots > maxSnapshots:
		return disk.Refuse(name, disk.ReasonTooLarge, "%d snapshots", h.snapshots)
	case h.snapshots > 0 && !h.inFile(h.snapshotsOff, int64(h.snapshots)*snapshotBytes, size):
		return disk.Malform(name, "the snapshot table lies at %#x, unaligned or out of the file", h.snapshotsOff)
	}
	return nil
}

// inFile tells whether n bytes at a cluster's start lie behind the header and
// before size.
func (h *header) inFile(off, n, size int64) bool {
	return off >= h.cluster() && off&(h.cluster()-1) == 0 && off <= size && n <= size-off
}

// extensions reads what follows the header, and the backing file's name.
func (h *header) extensions(r io.ReaderAt, size, off int64) error {
	end := min(h.cluster(), size)
	first := make([]byte, end)
	if err := disk.ReadFull(r, first, 0); err != nil {
		return err
	}
	if h.backingOff != 0 && h.backingLen != 0 {
		if h.backingLen > maxBackingName {
			return disk.Malform(name, "the backing file's name has %d bytes", h.backingLen)
		}
		if h.backingOff > uint64(end) || int64(h.backingLen) > end-int64(h.backingOff) {
			return disk.Malform(name, "the backing file's name lies at %#x, out of the first cluster", h.backingOff)
		}
		h.backing = first[h.backingOff:][:h.backingLen]
		end = int64(h.backingOff)
	}
	for be := binary.BigEndian; end-off >= 8; {
		kind, n := be.Uint32(first[off:]), int64(be.Uint32(first[off+4:]))
		off += 8
		if kind == extEnd {
			break
		}
		if n > end-off {
			return disk.Malform(name, "header extension %#x of %d bytes is too long", kind, n)
		}
		body := first[off : off+n]
		off += (n + 7) &^ 7
		switch kind {
		case extDataFile:
			h.dataFile = true
		case extBitmaps:
			if n < 24 {
				return disk.Malform(name, "a bitmap extension of %d bytes", n)
			}
			h.bitmaps = int64(be.Uint32(body))
			h.bitmapBytes = int64(be.Uint64(body[8:]))
			h.bitmapsOff = int64(be.Uint64(body[16:]))
		}
	}
	return nil
}

// refuse says why a file must not be opened, given what the caller hands over.
func (h *header) refuse(o disk.OpenOptions) error {
	switch {
	case h.incompat&incompatDataFile != 0 || h.dataFile || h.autoclear&autoclearRawExternal != 0:
		return disk.Refuse(name, disk.ReasonDataFile, "the data lie in another file")
	case h.incompat&^incompatKnown != 0:
		return disk.Refuse(name, disk.ReasonFeature, "unknown features %#x are needed", h.incompat&^incompatKnown)
	case h.compression > zstandard:
		return disk.Refuse(name, disk.ReasonFeature, "compression type %d is not known", h.compression)
	case h.crypt != 0:
		return disk.Refuse(name, disk.ReasonEncrypted, "encryption method %d", h.crypt)
	}
	// An offset without a length and a length without an offset mean nothing
	// to QEMU; whoever made such a file wanted something else.
	if h.backingOff == 0 && h.backingLen == 0 {
		if o.Parent != nil {
			return disk.Refuse(name, disk.ReasonBacking, "a parent is given, the file names none")
		}
		return o.Budget.CheckSize(name, h.size)
	}
	if o.Parent == nil || len(h.backing) == 0 {
		return disk.Refuse(name, disk.ReasonBacking, "the file is the difference to another file, %s", disk.Quote(h.backing))
	}
	return o.Budget.CheckSize(name, h.size)
}

// parseHeader1 reads a header of version 1.
func parseHeader1(r io.ReaderAt, buf []byte) (*header, error) {
	be := binary.BigEndian
	h := &header{
		version:     1,
		backingOff:  be.Uint64(buf[8:]),
		backingLen:  int(be.Uint32(buf[16:])),
		size:        int64(be.Uint64(buf[24:])),
		clusterBits: int(buf[32]),
		l2Bits:      int(buf[33]),
		crypt:       be.Uint32(buf[36:]),
		l1Off:       int64(be.Uint64(buf[40:])),
	}
	switch {
	case h.clusterBits < 9 || h.clusterBits > 16:
		return nil, disk.Malform(name, "version 1: clusters of 2^%d bytes", h.clusterBits)
	case h.l2Bits < 6 || h.l2Bits > 13:
		return nil, disk.Malform(name, "version 1: L2 tables of 2^%d entries", h.l2Bits)
	case h.size < 0:
		return nil, disk.Malform(name, "the size of the disk is 2^63 or more")
	case h.backingLen > maxBackingName:
		return nil, disk.Malform(name, "the backing file's name has %d bytes", h.backingLen)
	}
	h.l1Entries = h.l1Needed()
	if h.l1Entries*8 > maxL1Bytes {
		return nil, disk.Refuse(name, disk.ReasonTooLarge, "version 1: %d bytes need an L1 table of %d entries", h.size, h.l1Entries)
	}
	if h.backingOff != 0 && h.backingLen != 0 {
		if h.backingOff > 1<<32 {
			return nil, disk.Malform(name, "the backing file's name lies at %#x", h.backingOff)
		}
		h.backing = make([]byte, h.backingLen)
		if err := disk.ReadFull(r, h.backing, int64(h.backingOff)); err != nil {
			return nil, &disk.Malformed{Format: name, Detail: "the backing file's name", Err: err}
		}
	}
	return h, nil
}
