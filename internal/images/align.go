package images

import (
	"encoding/binary"

	"kuva/chunk"
)

// headNeeded is how many of a file's first bytes tell where its blocks lie.
const headNeeded = 2048

// latticeFor says where the blocks of a disk lie in a file that begins with
// head, so that it is cut as the same disk in other formats is. It is a guess
// from a few fields of the header that nothing depends on but how much is
// shared: files whose blocks lie elsewhere are cut all the same and come back
// byte for byte. Only what the format does not put on multiples of chunk.Block
// has to be found; qcow2 and VHDX put their blocks there.
func latticeFor(head []byte, to chunk.Sink) *chunk.Lattice {
	l := &chunk.Lattice{To: to}
	be, le := binary.BigEndian, binary.LittleEndian
	switch {
	case len(head) < headNeeded:
	case string(head[:8]) == "conectix" && string(head[512:520]) == "cxsparse": // dynamic VHD, its header where all put it
		table, entries, block := be.Uint64(head[512+16:]), uint64(be.Uint32(head[512+28:])), uint64(be.Uint32(head[512+32:]))
		if bitmap := sectors(block / 512 / 8); block%chunk.Block == 0 && block > 0 {
			place(l, table+sectors(entries*4), bitmap+block, bitmap)
		}
	case le.Uint32(head[64:]) == 0xbeda107f: // VDI
		start, block, extra := uint64(le.Uint32(head[344:])), uint64(le.Uint32(head[376:])), uint64(le.Uint32(head[380:]))
		if extra == 0 {
			place(l, start, 0, 0)
		} else if block > 0 && block%chunk.Block == 0 {
			place(l, start, extra+block, extra)
		}
	case string(head[:4]) == "KDMV": // VMDK
		place(l, le.Uint64(head[64:])*512, 0, 0)
	}
	return l
}

// place sets where blocks lie, if that can be.
func place(l *chunk.Lattice, start, stride, prefix uint64) {
	const most = 1 << 40
	if start < most && stride < most {
		l.Start, l.Stride, l.Prefix = int64(start), int64(stride), int64(prefix)
	}
}

// sectors rounds n up to whole sectors.
func sectors(n uint64) uint64 { return (n + 511) / 512 * 512 }
