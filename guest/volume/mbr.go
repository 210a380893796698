package volume

import (
	"encoding/binary"
	"fmt"

	"kuva/disk"
	"kuva/guest/budget"
)

var le, be = binary.LittleEndian, binary.BigEndian

// mbrEntry is a line of an MBR's table, in sectors.
type mbrEntry struct {
	boot        bool
	typ         byte
	start, size uint32
}

func (e mbrEntry) extended() bool { return e.typ == 0x05 || e.typ == 0x0f || e.typ == 0x85 }

const protective = 0xee

// mbrTable reads the four entries of a sector; ok is false where it is no
// table: no signature, or a flag that is neither 0 nor 0x80.
func mbrTable(p []byte) (list [4]mbrEntry, ok bool) {
	if p[510] != 0x55 || p[511] != 0xaa {
		return list, false
	}
	for i := range list {
		e := p[446+16*i:]
		if e[0]&0x7f != 0 {
			return list, false
		}
		list[i] = mbrEntry{e[0] == 0x80, e[4], le.Uint32(e[8:]), le.Uint32(e[12:])}
	}
	return list, true
}

// partitions reads MBR and GPT, and decides which of them rules.
func (l *Layout) partitions(d disk.Disk, b *budget.Budget) error {
	if d.Size() < 512 {
		return nil
	}
	first := make([]byte, 512)
	if err := b.ReadFull(d, first, 0); err != nil {
		return err
	}
	table, isMBR := mbrTable(first)
	boots := !disk.IsZero(first[:440]) && first[510] == 0x55 && first[511] == 0xaa
	if isMBR && bootSectorOf(first) != "" {
		isMBR = false // a file system's boot sector has the same signature
	}
	guard, own := false, 0
	for _, e := range table {
		switch {
		case !isMBR || e.typ == 0 || e.size == 0:
		case e.typ == protective:
			guard = true
		default:
			own++
		}
	}
	l.BootCode = boots
	found, err := l.gpt(d, b, guard)
	if err != nil {
		return err
	}
	switch {
	case found != nil && (guard || own == 0):
		if !guard {
			l.note(NoteNoProtective, "GPT %s", found.id)
		} else if own > 0 {
			l.note(NoteHybrid, "%d partitions", own)
		}
		l.Scheme, l.ID, l.SectorSize = GPT, found.id, found.sector
		return l.gptVolumes(d, b, found)
	case found != nil:
		l.note(NoteNoProtective, "GPT %s", found.id)
	case guard:
		l.Scheme = GPT
		if own == 0 {
			return nil // both copies are broken, which is noted
		}
	}
	if own == 0 {
		return nil
	}
	l.Scheme, l.ID = MBR, fmt.Sprintf("%08x", le.Uint32(first[440:]))
	for i, e := range table {
		if e.typ == 0 || e.size == 0 || e.typ == protective {
			continue
		}
		l.addMBR(d, i+1, e, 0)
	}
	number := 5
	for _, e := range table {
		if e.extended() && e.size != 0 {
			if err := l.extended(d, b, e, &number); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *Layout) addMBR(d disk.Disk, number int, e mbrEntry, base int64) {
	v := Volume{
		Number: number, Off: (base + int64(e.start)) * 512, Size: int64(e.size) * 512,
		Type: fmt.Sprintf("0x%02x", e.typ), Role: mbrRoles[e.typ], Boot: e.boot, Container: e.extended() && number < 5,
	}
	if l.ID != "00000000" {
		v.UUID = fmt.Sprintf("%s-%02x", l.ID, number)
	}
	l.add(d, v)
}

// maxLogical is how many logical partitions are read; Linux shows at most 256
// partitions of a disk.
const maxLogical = 256

// extended follows the chain of logical partitions: each sector of it has one
// partition, counted from itself, and the next link, counted from the first.
func (l *Layout) extended(d disk.Disk, b *budget.Budget, outer mbrEntry, number *int) error {
	base := int64(outer.start)
	seen := map[int64]bool{}
	for at := base; ; {
		if seen[at] {
			l.note(NoteExtended, "the chain leads back to sector %d", at)
			return nil
		}
		if len(seen) >= maxLogical {
			l.note(NoteExtended, "more than %d logical partitions", maxLogical)
			return nil
		}
		seen[at] = true
		if at*512+512 > d.Size() {
			l.note(NoteExtended, "the chain leads to sector %d, behind the end of the disk", at)
			return nil
		}
		p := make([]byte, 512)
		if err := b.ReadFull(d, p, at*512); err != nil {
			return err
		}
		table, ok := mbrTable(p)
		if !ok {
			l.note(NoteExtended, "sector %d holds no table", at)
			return nil
		}
		next := int64(-1)
		for _, e := range table {
			switch {
			case e.typ == 0 || e.size == 0:
			case e.extended():
				if next < 0 {
					next = base + int64(e.start)
				}
			default:
				l.addMBR(d, *number, e, at)
				*number++
			}
		}
		if next < 0 {
			return nil
		}
		at = next
	}
}

// mbrRoles are the types that matter to a guest's images.
var mbrRoles = map[byte]string{
	0x01: "fat", 0x04: "fat", 0x06: "fat", 0x0b: "fat", 0x0c: "fat", 0x0e: "fat",
	0x05: "extended", 0x0f: "extended", 0x85: "extended",
	0x07: "microsoft-basic", 0x27: "microsoft-recovery", 0x42: "microsoft-ldm",
	0x82: "linux-swap", 0x83: "linux", 0x8e: "linux-lvm", 0xfd: "linux-raid", 0xe8: "linux-luks",
	0xa5: "freebsd", 0xa6: "openbsd", 0xa9: "netbsd", 0xbf: "solaris", 0xaf: "apple-hfs", 0xfb: "vmfs",
	0x41: "prep-boot", 0xef: "efi-system", protective: "gpt-protective",
}
