package regf

import (
	"encoding/binary"
	"errors"
	"io"
	"math/bits"
	"slices"

	"kuva/disk"
	"kuva/guest/budget"
)

// overlay is what transaction logs put in place of bytes of the file.
type overlay struct {
	sectors map[int64]place // by number of the sector in the file
	end     int64           // of the hive
	budget  *budget.Budget
}

// place is where the bytes of a sector lie.
type place struct {
	log *io.SectionReader
	off int64
}

const sector = 512

// entrySeed is the key of the hashes in the logs of Windows 8.1 and later.
const entrySeed = 0x82EF4D887A4E55C5

func (o *overlay) apply(page []byte, off int64) error {
	if len(o.sectors) == 0 {
		return nil
	}
	for i := 0; i < len(page); i += sector {
		p, ok := o.sectors[(off+int64(i))/sector]
		if !ok {
			continue
		}
		if err := readLog(p.log, page[i:i+sector], p.off, o.budget); err != nil {
			return err
		}
	}
	return nil
}

// put says that size bytes of the hive from off lie in a log at at. All three
// are multiples of a sector.
func (o *overlay) put(log *io.SectionReader, off, size, at int64) error {
	if err := o.budget.Alloc(size / sector * 48); err != nil {
		return err
	}
	if err := o.budget.Step(size / sector); err != nil {
		return err
	}
	for n := int64(0); n < size; n += sector {
		o.sectors[(off+n)/sector] = place{log, at + n}
	}
	return nil
}

// replay applies what the logs hold that the file lacks. head is the file's
// header, whose checksum is good or not; it is changed to the one of the log
// if that is the better one.
func (h *Hive) replay(head []byte, good bool, logs []*io.SectionReader) error {
	h.log = overlay{sectors: map[int64]place{}, budget: h.src.budget}
	var entries []logEntry
	for _, log := range logs {
		var lh [sector]byte
		if log.Size() < 2*sector || readLog(log, lh[:], 0, h.src.budget) != nil {
			continue
		}
		if string(lh[:4]) != "regf" || checksum(lh[:508]) != le32(lh[508:]) {
			continue
		}
		var err error
		switch kind := le32(lh[28:]); kind {
		case 1, 2:
			err = h.replayOld(head, good, lh[:], log)
		case 6:
			var found []logEntry
			found, err = h.logEntries(log)
			entries = append(entries, found...)
			if !good && len(found) > 0 {
				h.header(head, lh[:])
				good = true
			}
		}
		if err != nil {
			return err
		}
	}
	return h.replayEntries(head, entries)
}

// header takes the header of a log for the file's, which is broken.
func (h *Hive) header(head, log []byte) {
	copy(head, log)
	clear(head[28:32])
	dirty := h.info.Dirty
	h.info = header(head)
	h.info.Dirty = dirty
}

// replayOld applies a log of Windows before 8.1: a header, a map with a bit for
// each sector of the hive, and the sectors.
func (h *Hive) replayOld(head []byte, good bool, lh []byte, log *io.SectionReader) error {
	bins := int64(le32(lh[40:]))
	if le32(lh[4:]) != le32(lh[8:]) || bins%pageSize != 0 || bins > 1<<31 {
		return nil
	}
	if good && (string(lh[12:20]) != string(head[12:20]) || le32(lh[4:]) != le32(head[4:])) {
		return nil // of another time
	}
	bitmap := make([]byte, 4+bins/pageSize)
	if int64(len(bitmap)) > log.Size() || readLog(log, bitmap, sector, h.src.budget) != nil || string(bitmap[:4]) != "DIRT" {
		return nil
	}
	at := (sector + int64(len(bitmap)) + sector - 1) &^ (sector - 1)
	// All or nothing: half of the sectors would make a hive that never was.
	want := int64(0)
	for _, b := range bitmap[4:] {
		want += int64(bits.OnesCount8(b)) * sector
	}
	if want == 0 || want > log.Size()-at {
		return nil
	}
	h.info.Logs = true
	for i := range bins / sector {
		if bitmap[4+i/8]>>(i%8)&1 == 0 {
			continue
		}
		if err := h.log.put(log, base+i*sector, sector, at); err != nil {
			return err
		}
		at += sector
	}
	if !good {
		h.header(head, lh)
	}
	h.info.Replayed++
	h.log.end = max(h.log.end, base+bins)
	return nil
}

// logEntry is an entry of a log of Windows 8.1 and later: pages of one change.
type logEntry struct {
	log      *io.SectionReader
	sequence uint32
	bins     int64
	refs     []byte // offset and size of each page
	at       int64  // where the pages lie
}

// logEntries reads the entries of a log up to the first that is not sound.
func (h *Hive) logEntries(log *io.SectionReader) ([]logEntry, error) {
	var all []logEntry
	for off := int64(sector); off <= log.Size()-sector; {
		var head [40]byte
		if err := readLog(log, head[:], off, h.src.budget); err != nil {
			return all, ended(err)
		}
		size := int64(le32(head[4:]))
		pages := int64(le32(head[20:]))
		bins := int64(le32(head[16:]))
		if string(head[:4]) != "HvLE" || size < sector || size%sector != 0 || size > log.Size()-off || size > MaxValue ||
			pages > (size-40)/8 || bins%pageSize != 0 || bins > 1<<31 {
			return all, nil
		}
		if err := h.src.budget.Alloc(size); err != nil {
			return all, err
		}
		body := make([]byte, size)
		err := readLog(log, body, off, h.src.budget)
		h.src.budget.Free(size)
		if err != nil {
			return all, ended(err)
		}
		if marvin32(entrySeed, body[40:]) != binary.LittleEndian.Uint64(head[24:]) ||
			marvin32(entrySeed, body[:32]) != binary.LittleEndian.Uint64(head[32:]) {
			return all, nil
		}
		if n := len(all); n > 0 && le32(head[12:]) != all[n-1].sequence+1 {
			return all, nil
		}
		refs := slices.Clone(body[40 : 40+8*pages])
		at, data := off+40+8*pages, off+40+8*pages
		for r := refs; len(r) > 0; r = r[8:] {
			o, n := int64(le32(r)), int64(le32(r[4:]))
			if o%sector != 0 || n%sector != 0 || o+n > bins || data+n > off+size {
				return all, nil
			}
			data += n
		}
		if err := h.src.budget.Alloc(int64(len(refs)) + 64); err != nil {
			return all, err
		}
		all = append(all, logEntry{log: log, sequence: le32(head[12:]), bins: bins, refs: refs, at: at})
		off += size
	}
	return all, nil
}

// replayEntries applies entries in the order of their sequence, from the first
// that the file does not have, as long as none is missing.
func (h *Hive) replayEntries(head []byte, entries []logEntry) error {
	slices.SortStableFunc(entries, func(a, b logEntry) int { return int(int32(a.sequence - b.sequence)) })
	have := le32(head[8:])
	var last uint32
	applied := false
	for _, e := range entries {
		if int32(e.sequence-have) < 0 {
			continue // the file has it
		}
		h.info.Logs = true
		if applied && e.sequence != last+1 {
			if e.sequence == last {
				continue
			}
			break
		}
		at := e.at
		for r := e.refs; len(r) > 0; r = r[8:] {
			o, n := int64(le32(r)), int64(le32(r[4:]))
			if err := h.log.put(e.log, base+o, n, at); err != nil {
				return err
			}
			at += n
		}
		h.log.end = base + e.bins
		h.info.Replayed++
		last, applied = e.sequence, true
	}
	return nil
}

func readLog(log *io.SectionReader, p []byte, off int64, b *budget.Budget) error {
	if off < 0 || off > log.Size()-int64(len(p)) {
		return disk.Malform(format, "a transaction log ends before %d", off+int64(len(p)))
	}
	if err := b.Read(int64(len(p))); err != nil {
		return err
	}
	if n, err := log.ReadAt(p, off); n != len(p) {
		if err == nil || errors.Is(err, io.EOF) {
			err = disk.Malform(format, "a transaction log ends before %d", off+int64(len(p)))
		}
		return err
	}
	return nil
}

// ended makes nil of a log that is cut off: its entries so far count.
func ended(err error) error {
	if bad := (*disk.Malformed)(nil); errors.As(err, &bad) {
		return nil
	}
	return err
}

// marvin32 is Microsoft's Marvin hash of 64 bits.
func marvin32(seed uint64, b []byte) uint64 {
	lo, hi := uint32(seed), uint32(seed>>32)
	mix := func(v uint32) {
		lo += v
		hi ^= lo
		lo = bits.RotateLeft32(lo, 20) + hi
		hi = bits.RotateLeft32(hi, 9) ^ lo
		lo = bits.RotateLeft32(lo, 27) + hi
		hi = bits.RotateLeft32(hi, 19)
	}
	for ; len(b) >= 4; b = b[4:] {
		mix(le32(b))
	}
	tail := uint32(0x80) << (8 * len(b))
	for i, c := range b {
		tail |= uint32(c) << (8 * i)
	}
	mix(tail)
	mix(0)
	return uint64(hi)<<32 | uint64(lo)
}
