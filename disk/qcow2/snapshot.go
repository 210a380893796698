package qcow2

import (
	"context"
	"encoding/binary"
	"io"

	"kuva/disk"
)

// snapshotBytes is the fixed part of an entry of the snapshot table.
const snapshotBytes = 40

// snapshot is an internal snapshot. The disk it holds is never read.
type snapshot struct {
	l1Off, l1Entries int64
	id, name         string
	end              int64 // of its entry
}

// readSnapshots reads the snapshot table under QEMU's bounds. The L1 tables
// that it names are looked at by Check.
func readSnapshots(ctx context.Context, r io.ReaderAt, size int64, h *header, b *disk.Budget) ([]snapshot, error) {
	if h.snapshots == 0 {
		return nil, nil
	}
	if err := b.Steps(ctx, int64(h.snapshots)); err != nil {
		return nil, err
	}
	list := make([]snapshot, 0, min(h.snapshots, 1024))
	off, be := h.snapshotsOff, binary.BigEndian
	for range h.snapshots {
		var fixed [snapshotBytes]byte
		if err := disk.ReadFull(r, fixed[:], off); err != nil {
			return nil, &disk.Malformed{Format: name, Detail: "the snapshot table", Err: err}
		}
		s := snapshot{l1Off: int64(be.Uint64(fixed[0:])), l1Entries: int64(be.Uint32(fixed[8:]))}
		idLen, nameLen := int64(be.Uint16(fixed[12:])), int64(be.Uint16(fixed[14:]))
		extra := int64(be.Uint32(fixed[36:]))
		switch {
		case extra > maxSnapshotExtra:
			return nil, disk.Refuse(name, disk.ReasonTooLarge, "a snapshot with %d extra bytes", extra)
		case s.l1Entries*8 > maxL1Bytes:
			return nil, disk.Refuse(name, disk.ReasonTooLarge, "a snapshot with an L1 table of %d entries", s.l1Entries)
		case s.l1Entries > 0 && !h.inFile(s.l1Off, s.l1Entries*8, size):
			return nil, disk.Malform(name, "a snapshot's L1 table lies at %#x, unaligned or out of the file", s.l1Off)
		}
		if err := b.Alloc(idLen + nameLen + 64); err != nil {
			return nil, err
		}
		text := make([]byte, idLen+nameLen)
		if err := disk.ReadFull(r, text, off+snapshotBytes+extra); err != nil {
			return nil, &disk.Malformed{Format: name, Detail: "the snapshot table", Err: err}
		}
		s.id, s.name = string(text[:idLen]), string(text[idLen:])
		off += (snapshotBytes + extra + idLen + nameLen + 7) &^ 7
		s.end = off
		list = append(list, s)
		if off-h.snapshotsOff > maxSnapshotTable {
			return nil, disk.Refuse(name, disk.ReasonTooLarge, "a snapshot table of more than %d bytes", maxSnapshotTable)
		}
	}
	return list, nil
}
