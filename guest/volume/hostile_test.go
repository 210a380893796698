package volume_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"

	"kuva/disk"
	"kuva/guest/budget"
	"kuva/guest/guesttest"
	"kuva/guest/volume"
)

var le = binary.LittleEndian

// mbrSector writes a table: type, start and size of up to four entries.
func mbrSector(p []byte, entries ...[3]uint32) {
	for i, e := range entries {
		q := p[446+16*i:]
		q[4] = byte(e[0])
		le.PutUint32(q[8:], e[1])
		le.PutUint32(q[12:], e[2])
	}
	p[510], p[511] = 0x55, 0xaa
}

// gptDisk makes a disk of 1 MiB with both copies, after change had its way
// with each header; the sums are right afterwards.
func gptDisk(change func(h []byte)) []byte {
	b := make([]byte, 1<<20)
	mbrSector(b, [3]uint32{0xee, 1, 2047})
	entries := make([]byte, 128*128)
	copy(entries, "\xaf\x3d\xc6\x0f\x83\x84\x72\x47\x8e\x79\x3d\x69\xd8\x47\x7d\xe4unique-unique-un")
	le.PutUint64(entries[32:], 40)
	le.PutUint64(entries[40:], 99)
	for _, c := range []struct{ my, alt, first uint64 }{{1, 2047, 2}, {2047, 1, 2015}} {
		h := b[c.my*512:][:512]
		copy(h, "EFI PART\x00\x00\x01\x00\x5c\x00\x00\x00")
		le.PutUint64(h[24:], c.my)
		le.PutUint64(h[32:], c.alt)
		le.PutUint64(h[72:], c.first)
		le.PutUint32(h[80:], 128)
		le.PutUint32(h[84:], 128)
		le.PutUint32(h[88:], crc32.ChecksumIEEE(entries))
		copy(b[c.first*512:], entries)
		if change != nil {
			change(h)
		}
		le.PutUint32(h[16:], 0)
		le.PutUint32(h[16:], crc32.ChecksumIEEE(h[:92]))
	}
	return b
}

// TestTables (S-167): tables that lie. Each ends within the budget, with what
// can be believed and a note.
func TestTables(t *testing.T) {
	sector := func(n int) func(b []byte, entries ...[3]uint32) {
		return func(b []byte, entries ...[3]uint32) { mbrSector(b[512*n:512*n+512], entries...) }
	}
	mbr := func(f func(b []byte)) []byte {
		b := make([]byte, 1<<20)
		f(b)
		return b
	}
	for _, tt := range []struct {
		name string
		disk []byte
		want string
	}{
		{"GPT untouched", gptDisk(nil), "p1 40+60 linux\n"},
		{"GPT entries of 0 bytes", gptDisk(func(h []byte) { le.PutUint32(h[84:], 0) }), "note gpt-broken\n"},
		{"GPT entries of 2^31 bytes", gptDisk(func(h []byte) { le.PutUint32(h[84:], 1<<31) }), "note gpt-broken\n"},
		{"GPT 2^32-1 entries", gptDisk(func(h []byte) { le.PutUint32(h[80:], 1<<32-1) }), "note gpt-broken\n"},
		{"GPT entries at 2^64-1", gptDisk(func(h []byte) { le.PutUint64(h[72:], 1<<64-1) }), "note gpt-broken\n"},
		{"GPT header of 0 bytes", gptDisk(func(h []byte) { le.PutUint32(h[12:], 0) }), "note gpt-broken\n"},
		{"GPT header of 2^32-1 bytes", gptDisk(func(h []byte) { le.PutUint32(h[12:], 1<<32-1) }), "note gpt-broken\n"},
		{"GPT whose other copy is at 2^64-1", gptDisk(func(h []byte) { le.PutUint64(h[32:], 1<<64-1) }), "p1 40+60 linux\n"},
		{"extended chain back to its start", mbr(func(b []byte) {
			sector(0)(b, [3]uint32{5, 10, 1000})
			sector(10)(b, [3]uint32{0x83, 1, 5}, [3]uint32{5, 20, 100})
			sector(30)(b, [3]uint32{0x83, 1, 5}, [3]uint32{5, 0, 100})
		}), "p1 10+1000 extended\np5 11+5 linux\np6 31+5 linux\nnote extended-chain-broken\n"},
		{"extended chain behind the end", mbr(func(b []byte) {
			sector(0)(b, [3]uint32{5, 10, 1000})
			sector(10)(b, [3]uint32{0x83, 1, 5}, [3]uint32{5, 1<<32 - 1, 100})
		}), "p1 10+1000 extended\np5 11+5 linux\nnote extended-chain-broken\n"},
		{"partition behind the end", mbr(func(b []byte) { sector(0)(b, [3]uint32{0x83, 1 << 31, 5}) }), "p1 2147483648+5 linux\nnote partition-outside-disk\n"},
		{"partition over the end", mbr(func(b []byte) { sector(0)(b, [3]uint32{0x83, 100, 1<<32 - 1}) }), "p1 100+4294967295 linux\nnote partition-outside-disk\n"},
		{"partitions over each other", mbr(func(b []byte) { sector(0)(b, [3]uint32{0x83, 100, 100}, [3]uint32{0x83, 150, 100}) }), "p1 100+100 linux\np2 150+100 linux\nnote partitions-overlap\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			guesttest.Bounded(t, func(*budget.Budget) { compare(t, scan(t, guesttest.RawBytes(t, tt.disk)), tt.want) })
		})
	}
	// 300 logical partitions: 256 are read.
	b := make([]byte, 1<<20)
	sector(0)(b, [3]uint32{5, 2, 2000})
	for i := range 300 {
		sector(2+2*i)(b, [3]uint32{0x83, 1, 1}, [3]uint32{5, uint32(2 * (i + 1)), 2})
	}
	l := scan(t, guesttest.RawBytes(t, b))
	if len(l.Volumes) != 257 || l.Notes[0].ID != volume.NoteExtended {
		t.Errorf("%d volumes, %v", len(l.Volumes), l.Notes)
	}
}

// lvmSum is LVM's, as in its lib/misc/crc.c.
func lvmSum(p []byte) uint32 {
	crc := uint32(0xf597a6cf)
	for _, b := range p {
		crc ^= uint32(b)
		for range 8 {
			if crc&1 != 0 {
				crc = crc>>1 ^ 0xedb88320
			} else {
				crc >>= 1
			}
		}
	}
	return crc
}

const pvID = "abcdefghijklmnopqrstuvwxyz012345"

// lvmDisk makes a physical volume of 4 MiB with this text, whose place and
// length the header gives as said.
func lvmDisk(text string, off, n uint64) []byte {
	b := make([]byte, 4<<20)
	label := b[512:1024]
	copy(label, "LABELONE")
	le.PutUint64(label[8:], 1)
	le.PutUint32(label[20:], 32)
	copy(label[24:], "LVM2 001")
	copy(label[32:], pvID)
	le.PutUint64(label[64:], uint64(len(b)))
	le.PutUint64(label[72:], 1<<20) // data
	le.PutUint64(label[104:], 4096) // metadata
	le.PutUint64(label[112:], 1<<20-4096)
	le.PutUint32(label[16:], lvmSum(label[20:]))
	h := b[4096 : 4096+512]
	copy(h[4:], " LVM2 x[5A%r0N*>\x01\x00\x00\x00")
	le.PutUint64(h[24:], 4096)
	le.PutUint64(h[32:], 1<<20-4096)
	le.PutUint64(h[40:], off)
	le.PutUint64(h[48:], n)
	le.PutUint32(h[56:], lvmSum([]byte(text)))
	le.PutUint32(h, lvmSum(h[4:]))
	ring := b[4096 : 1<<20]
	if off < uint64(len(ring)) {
		if k := copy(ring[off:], text); k < len(text) {
			copy(ring[512:], text[k:])
		}
	}
	for k := range 3 << 20 / 4096 {
		copy(b[1<<20+4096*k:], fmt.Sprintf("extent %d", k))
	}
	return b
}

// group is the metadata of a group with one volume of these segments.
func group(segments string) string {
	return `g {
id = "group1-0000-0000-0000-0000-0000-000000"
seqno = 3
extent_size = 8 # sectors
physical_volumes {
	pv0 { id = "abcdef-ghij-klmn-opqr-stuv-wxyz-012345" pe_start = 2048 pe_count = 768 }
	pv1 { id = "gone00-0000-0000-0000-0000-0000-000000" pe_start = 2048 pe_count = 768 }
}
logical_volumes {
	v { id = "volume-0000-0000-0000-0000-0000-000000" status = ["READ", "WRITE", "VISIBLE"] flags = []
` + segments + `
	}
	hidden { status = ["READ"] }
}
}
contents = "Text Format Volume Group"
description = "a \"quoted\" word"
`
}

func linear(start, count int64, pv string, at int64) string {
	return fmt.Sprintf("segment%d { start_extent = %d extent_count = %d type = \"striped\" stripe_count = 1 stripes = [\"%s\", %d] }\n", start, start, count, pv, at)
}

// TestMetadata (S-167): LVM's metadata that lies, or asks for what is only
// named.
func TestMetadata(t *testing.T) {
	const odd = "lvm"
	for _, tt := range []struct {
		name, text string
		off, n     uint64 // 0: where and as long as it is
		// data is what the volume's extents hold, by their numbers on the
		// physical volume; err a part of the reason why there are none. Both
		// empty: there is no such volume.
		data []int
		err  string
	}{
		{"two segments", group(linear(2, 1, "pv0", 7) + linear(0, 2, "pv0", 3)), 0, 0, []int{3, 4, 7}, ""},
		{"around the end of the ring", group(linear(0, 2, "pv0", 3)), 1<<20 - 4096 - 100, 0, []int{3, 4}, ""},
		{"two stripes", group(`segment1 { start_extent = 0 extent_count = 4 type = "striped" stripe_size = 8 stripes = ["pv0", 0, "pv0", 10] }`), 0, 0, []int{0, 10, 1, 11}, ""},
		{"a gap between segments", group(linear(0, 2, "pv0", 3) + linear(3, 1, "pv0", 7)), 0, 0, nil, "where 2 comes"},
		{"segments over each other", group(linear(0, 2, "pv0", 3) + linear(1, 1, "pv0", 7)), 0, 0, nil, "where 2 comes"},
		{"2^62 extents", group(linear(0, 1<<47, "pv0", 0)), 0, 0, nil, "stripe of"},
		{"a negative count", group(linear(0, -1, "pv0", 0)), 0, 0, nil, "segment of"},
		{"an extent behind the end", group(linear(0, 1, "pv0", 1<<40)), 0, 0, nil, "stripe of"},
		{"a physical volume without name", group(linear(0, 1, "none", 0)), 0, 0, nil, "stripe on"},
		{"a physical volume that is elsewhere", group(linear(0, 1, "pv1", 0)), 0, 0, nil, "not on this disk"},
		{"a thin volume", group(`segment1 { start_extent = 0 extent_count = 4 type = "thin" thin_pool = "p" }`), 0, 0, nil, `type "thin"`},
		{"a mirror", group(`segment1 { start_extent = 0 extent_count = 4 type = "raid1" raids = ["a", "b"] }`), 0, 0, nil, `type "raid1"`},
		{"a volume of itself", group(linear(0, 1, "v", 0)), 0, 0, nil, "stripe on"},
		{"no segments", group(""), 0, 0, nil, "0 segments"},
		{"stripes of 0 bytes", group(`segment1 { start_extent = 0 extent_count = 4 type = "striped" stripe_size = 0 stripes = ["pv0", 0, "pv0", 10] }`), 0, 0, nil, "stripes of"},
		{"text outside", group(linear(0, 1, "pv0", 0)), 1 << 40, 0, nil, ""},
		{"text of 1 GiB", group(linear(0, 1, "pv0", 0)), 0, 1 << 30, nil, ""},
		{"braces without end", strings.Repeat("a {", 100_000), 0, 0, nil, ""},
		{"lists without end", "g { a = [" + strings.Repeat("1,", 100_000), 0, 0, nil, ""},
		{"a string without end", `g { a = "`, 0, 0, nil, ""},
		{"no values", "g { a = }", 0, 0, nil, ""},
		{"extents of 2^40 bytes", strings.Replace(group(linear(0, 1, "pv0", 0)), "extent_size = 8", "extent_size = 8796093022208", 1), 0, 0, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			off, n := tt.off, tt.n
			if off == 0 {
				off = 512
			}
			if n == 0 {
				n = uint64(len(tt.text))
			}
			guesttest.Bounded(t, func(*budget.Budget) {
				l := scan(t, guesttest.RawBytes(t, lvmDisk(tt.text, off, n)))
				if l.Whole.Content.Type != "LVM2_member" || l.Whole.Content.UUID != "abcdef-ghij-klmn-opqr-stuv-wxyz-012345" {
					t.Fatalf("%+v", l.Whole)
				}
				if tt.data == nil && tt.err == "" {
					if len(l.Volumes) != 1 || len(l.Notes) == 0 || l.Notes[0].ID != odd {
						t.Errorf("%+v, %v", l.Volumes, l.Notes)
					}
					return
				}
				if len(l.Volumes) != 2 || l.Volumes[1].Name != "g/v" {
					t.Fatalf("%+v, %v", l.Volumes, l.Notes)
				}
				v := l.Volumes[1]
				if tt.err != "" {
					if v.Disk != nil || v.Err == nil || !strings.Contains(v.Err.Error(), tt.err) {
						t.Errorf("%v, %v", v.Disk, v.Err)
					}
					return
				}
				if v.Err != nil || v.Size != int64(len(tt.data))*4096 {
					t.Fatalf("%+v", v)
				}
				for i, k := range tt.data {
					p := make([]byte, 4096)
					must(t, disk.ReadFull(v.Disk, p, int64(i)*4096))
					if want := fmt.Sprintf("extent %d\x00", k); !bytes.HasPrefix(p, []byte(want)) {
						t.Errorf("extent %d is %.12q, want %q", i, p, want)
					}
				}
			})
		})
	}
}

// TestKeysAreNotDerived (S-167): a LUKS header that asks for a day of
// computing is named at once.
func TestKeysAreNotDerived(t *testing.T) {
	b := make([]byte, 1<<20)
	copy(b, "LUKS\xba\xbe\x00\x01aes")
	for i := range 8 { // key slots, in use, with 2^32-1 iterations
		binary.BigEndian.PutUint32(b[208+48*i:], 0x00ac71f3)
		binary.BigEndian.PutUint32(b[212+48*i:], 1<<32-1)
	}
	guesttest.Bounded(t, func(b2 *budget.Budget) {
		c, err := volume.Identify(guesttest.RawBytes(t, b), b2)
		if err != nil || c.Type != "crypto_LUKS" {
			t.Errorf("%+v, %v", c, err)
		}
	})
}

func FuzzScan(f *testing.F) {
	mbr := make([]byte, 1<<20)
	mbrSector(mbr, [3]uint32{5, 10, 1000}, [3]uint32{0x83, 1100, 10})
	mbrSector(mbr[10*512:11*512], [3]uint32{0x83, 1, 5}, [3]uint32{5, 20, 100})
	mbrSector(mbr[30*512:31*512], [3]uint32{0x83, 1, 5})
	seeds := []*guesttest.Image{
		guesttest.NewImage(f, mbr), guesttest.NewImage(f, gptDisk(nil)),
		guesttest.NewImage(f, lvmDisk(group(linear(0, 2, "pv0", 3)), 512, uint64(len(group(linear(0, 2, "pv0", 3)))))),
	}
	f.Add(uint8(0), []byte{})
	f.Add(uint8(1), []byte{0, 0, 0, 2, 2, 1, 1, 1})
	f.Add(uint8(2), []byte{0, 0, 40, 2, 2, 1, 1, 1})
	f.Fuzz(func(t *testing.T, n uint8, input []byte) {
		l, err := volume.Scan(seeds[int(n)%len(seeds)].Mutate(input), guesttest.FuzzBudget(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range l.Volumes {
			if (v.Disk == nil) == (v.Err == nil) {
				t.Fatalf("%+v", v)
			}
		}
	})
}
