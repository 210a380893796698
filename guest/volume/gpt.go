package volume

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"unicode/utf16"

	"kuva/disk"
	"kuva/guest/budget"
)

// gpt is a copy of a GUID partition table (UEFI 2.10, chapter 5.3) that holds.
type gptTable struct {
	id      string
	sector  int64
	my, alt uint64 // where this copy and the other lie, in sectors
	size    int    // of an entry
	entries []byte
}

// maxEntries is how many bytes of entries are read; 16 KiB are usual.
const maxEntries = 1 << 20

// gpt finds the table, or nil. guard says that the MBR promises one.
func (l *Layout) gpt(d disk.Disk, b *budget.Budget, guard bool) (*gptTable, error) {
	var primary, backup *gptTable
	var cause error
	for _, sector := range []int64{512, 4096} {
		last := d.Size()/sector - 1
		if last < 2 {
			continue
		}
		p, err := readGPT(d, b, sector, 1)
		if budget.IsLimit(err) {
			return nil, err
		}
		if cause == nil {
			cause = err
		}
		q, err := readGPT(d, b, sector, uint64(last))
		if budget.IsLimit(err) {
			return nil, err
		}
		if q == nil && p != nil && p.alt != uint64(last) {
			if q, err = readGPT(d, b, sector, p.alt); budget.IsLimit(err) {
				return nil, err
			}
			if q != nil {
				l.note(NoteGPTGrown, "it lies at sector %d of %d", p.alt, last+1)
			}
		}
		if p != nil || q != nil {
			primary, backup = p, q
			break
		}
	}
	switch {
	case primary == nil && backup == nil:
		if guard {
			l.note(NoteGPTBroken, "%v", cause)
		}
		return nil, nil
	case primary == nil:
		l.note(NoteGPTPrimary, "%v", cause)
		return backup, nil
	case backup == nil:
		l.note(NoteGPTBackup, "no table at sector %d", primary.alt)
	case primary.id != backup.id || primary.size != backup.size || !bytes.Equal(primary.entries, backup.entries):
		l.note(NoteGPTDiffers, "%s and %s", primary.id, backup.id)
	}
	return primary, nil
}

// readGPT reads a copy and checks both sums.
func readGPT(d disk.Disk, b *budget.Budget, sector int64, at uint64) (*gptTable, error) {
	if at > uint64(d.Size()/sector)-1 {
		return nil, disk.Malform(GPT, "a table at sector %d", at)
	}
	h := make([]byte, sector)
	if err := b.ReadFull(d, h, int64(at)*sector); err != nil {
		return nil, err
	}
	if string(h[:8]) != "EFI PART" {
		return nil, disk.Malform(GPT, "sector %d holds no table", at)
	}
	size, sum := le.Uint32(h[12:]), le.Uint32(h[16:])
	if size < 92 || int64(size) > sector {
		return nil, disk.Malform(GPT, "a header of %d bytes", size)
	}
	clear(h[16:20])
	if crc32.ChecksumIEEE(h[:size]) != sum {
		return nil, disk.Malform(GPT, "the sum of the header at sector %d is wrong", at)
	}
	t := &gptTable{id: guid(h[56:]), sector: sector, my: le.Uint64(h[24:]), alt: le.Uint64(h[32:])}
	if t.my != at {
		return nil, disk.Malform(GPT, "the header at sector %d belongs to sector %d", at, t.my)
	}
	first, count, entry := le.Uint64(h[72:]), uint64(le.Uint32(h[80:])), uint64(le.Uint32(h[84:]))
	if entry < 128 || entry%8 != 0 || entry > 4096 || count*entry > maxEntries {
		return nil, disk.Malform(GPT, "%d entries of %d bytes", count, entry)
	}
	if first > uint64(d.Size()/sector) || int64(first)*sector > d.Size()-int64(count*entry) {
		return nil, disk.Malform(GPT, "%d entries at sector %d", count, first)
	}
	t.size = int(entry)
	t.entries = make([]byte, count*entry)
	if err := b.ReadFull(d, t.entries, int64(first)*sector); err != nil {
		return nil, err
	}
	if crc32.ChecksumIEEE(t.entries) != le.Uint32(h[88:]) {
		return nil, disk.Malform(GPT, "the sum of the entries at sector %d is wrong", first)
	}
	return t, nil
}

// gptVolumes adds the partitions of a table.
func (l *Layout) gptVolumes(d disk.Disk, b *budget.Budget, t *gptTable) error {
	for i := 0; (i+1)*t.size <= len(t.entries); i++ {
		if err := b.Step(1); err != nil {
			return err
		}
		e := t.entries[i*t.size:][:t.size]
		typ := guid(e)
		if typ == "00000000-0000-0000-0000-000000000000" {
			continue
		}
		name := make([]uint16, 36)
		for k := range name {
			name[k] = le.Uint16(e[56+2*k:])
		}
		for k, c := range name {
			if c == 0 {
				name = name[:k]
				break
			}
		}
		first, last := le.Uint64(e[32:]), le.Uint64(e[40:])
		v := Volume{
			Number: i + 1, Off: -1, Type: typ, Role: gptRoles[typ], UUID: guid(e[16:]), Label: string(utf16.Decode(name)),
			Boot: le.Uint64(e[48:])&4 != 0,
		}
		if most := uint64(1<<62) / uint64(t.sector); first <= last && last < most {
			v.Off, v.Size = int64(first)*t.sector, int64(last-first+1)*t.sector
		}
		l.add(d, v)
	}
	return nil
}

// guid prints one as Microsoft stores it: the first three fields little-endian.
func guid(p []byte) string {
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", le.Uint32(p), le.Uint16(p[4:]), le.Uint16(p[6:]), p[8:10], p[10:16])
}

// gptRoles are the types that matter to a guest's images.
var gptRoles = map[string]string{
	"c12a7328-f81f-11d2-ba4b-00a0c93ec93b": "efi-system",
	"21686148-6449-6e6f-744e-656564454649": "bios-boot",
	"9e1a2d38-c612-4316-aa26-8b49521e5a8b": "prep-boot",
	"0fc63daf-8483-4772-8e79-3d69d8477de4": "linux",
	"0657fd6d-a4ab-43c4-84e5-0933c84b4f4f": "linux-swap",
	"e6d6d379-f507-44c2-a23c-238f2a3df928": "linux-lvm",
	"a19d880f-05fc-4d3b-a006-743f0f84911e": "linux-raid",
	"ca7d7ccb-63ed-4c53-861c-1742536059cc": "linux-luks",
	"bc13c2ff-59e6-4262-a352-b275fd6f7172": "linux-extended-boot",
	"933ac7e1-2eb4-4f13-b844-0e14e2aef915": "linux-home",
	"3b8f8425-20e0-4f3b-907f-1a25a76f98e8": "linux-srv",
	"4d21b016-b534-45c2-a9fb-5c16e091fd2d": "linux-var",
	"7ec6f557-3bc5-4aca-b293-16ef5df639d1": "linux-tmp",
	"44479540-f297-41b2-9af7-d131d5f0458a": "linux-root-x86",
	"4f68bce3-e8cd-4db1-96e7-fbcaf984b709": "linux-root-x86-64",
	"b921b045-1df0-41c3-af44-4c6f280d3fae": "linux-root-arm64",
	"72ec70a6-cf74-40e6-bd49-4bda08e8f224": "linux-root-riscv64",
	"8484680c-9521-48c6-9c11-b0720656f69e": "linux-usr-x86-64",
	"e3c9e316-0b5c-4db8-817d-f92df00215ae": "microsoft-reserved",
	"ebd0a0a2-b9e5-4433-87c0-68b6b72699c7": "microsoft-basic",
	"de94bba4-06d1-4d40-a16a-bfd50179d6ac": "microsoft-recovery",
	"5808c8aa-7e8f-42e0-85d2-e1e90434cfb3": "microsoft-ldm-metadata",
	"af9b60a0-1431-4f62-bc68-3311714a69ad": "microsoft-ldm",
	"e75caf8f-f680-4cee-afa3-b001e56efc2d": "microsoft-storage-spaces",
	"516e7cb4-6ecf-11d6-8ff8-00022d09712b": "freebsd",
	"83bd6b9d-7f41-11dc-be0b-001560b84f0f": "freebsd-boot",
	"516e7cb6-6ecf-11d6-8ff8-00022d09712b": "freebsd-ufs",
	"516e7cba-6ecf-11d6-8ff8-00022d09712b": "freebsd-zfs",
	"516e7cb5-6ecf-11d6-8ff8-00022d09712b": "freebsd-swap",
	"48465300-0000-11aa-aa11-00306543ecac": "apple-hfs",
	"7c3457ef-0000-11aa-aa11-00306543ecac": "apple-apfs",
	"aa31e02a-400f-11db-9590-000c2911d1b8": "vmfs",
	"6a898cc3-1dd2-11b2-99a6-080020736631": "zfs",
}
