package volume

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"

	"kuva/disk"
	"kuva/guest/budget"
)

// Content is what lies in a volume, as its magic numbers say. Nothing is
// checked beyond them: opening may still find it broken.
type Content struct {
	// Type in the words of blkid: ext4, xfs, btrfs, vfat, ntfs, swap,
	// LVM2_member, crypto_LUKS, BitLocker, linux_raid_member, …; empty where
	// nothing is recognised.
	Type    string
	Version string // of LUKS, of a RAID's metadata, of swap
	Label   string // where it lies at a fixed place
	UUID    string // as blkid prints it and fstab names it
}

// Encrypted tells whether the content can be read only with a key.
func (c Content) Encrypted() bool { return c.Type == "crypto_LUKS" || c.Type == "BitLocker" }

// headSize holds all marks near the beginning, btrfs's and UFS2's last.
const headSize = 68 << 10

// Identify tells what lies in a volume. b may be nil. Errors are those of the
// disk and of the budget.
func Identify(d disk.Disk, b *budget.Budget) (Content, error) {
	head := make([]byte, headSize)
	n := min(int64(len(head)), d.Size())
	if err := b.ReadFull(d, head[:n], 0); err != nil {
		return Content{}, err
	}
	// What is wrapped around a file system comes first: an array's metadata at
	// the end leaves the file system in it visible.
	if c, err := identifyEnd(d, b); err != nil || c.Type != "" {
		return c, err
	}
	for _, m := range marks {
		if m.at+len(m.magic) <= int(n) && string(head[m.at:m.at+len(m.magic)]) == m.magic {
			c := Content{Type: m.typ}
			if m.more != nil {
				m.more(head, &c)
			}
			if c.Type != "" {
				return c, nil
			}
		}
	}
	if kind := bootSectorOf(head[:512]); kind != "" {
		return bootSector(kind, head), nil
	}
	return Content{}, nil
}

// mark is a magic number at a fixed place, with what else is told there.
// more may clear the type again.
type mark struct {
	at         int
	magic, typ string
	more       func(head []byte, c *Content)
}

var marks = []mark{
	{0, "LUKS\xba\xbe", "crypto_LUKS", func(h []byte, c *Content) {
		c.Version = fmt.Sprint(be.Uint16(h[6:]))
		c.UUID = text(h[168:208])
		if c.Version == "2" {
			c.Label = text(h[24:72])
		}
	}},
	{0x4000, "SKUL\xba\xbe", "crypto_LUKS", func(h []byte, c *Content) { c.Version, c.UUID = "2", text(h[0x4000+168:0x4000+208]) }},
	{3, "-FVE-FS-", "BitLocker", nil},
	{0x200 + 24, "LVM2 001", "LVM2_member", lvmContent(1)},
	{24, "LVM2 001", "LVM2_member", lvmContent(0)},
	{0x400 + 24, "LVM2 001", "LVM2_member", lvmContent(2)},
	{0x600 + 24, "LVM2 001", "LVM2_member", lvmContent(3)},
	{0, "\xfc\x4e\x2b\xa9", "linux_raid_member", mdContent(0)},
	{4096, "\xfc\x4e\x2b\xa9", "linux_raid_member", mdContent(4096)},
	{0x1018, "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81", "bcache", func(h []byte, c *Content) { c.UUID = uuid(h[0x1028:]) }},
	{0, "XFSB", "xfs", func(h []byte, c *Content) { c.UUID, c.Label = uuid(h[32:]), text(h[108:120]) }},
	{0x10040, "_BHRfS_M", "btrfs", func(h []byte, c *Content) { c.UUID, c.Label = uuid(h[0x10020:]), text(h[0x1012b:0x1022b]) }},
	{0x438, "\x53\xef", "ext4", extContent},
	{4096 - 10, "SWAPSPACE2", "swap", swapContent},
	{4096 - 10, "SWAP-SPACE", "swap", func(_ []byte, c *Content) { c.Version = "0" }},
	{8192 - 10, "SWAPSPACE2", "swap", swapContent},
	{16384 - 10, "SWAPSPACE2", "swap", swapContent},
	{65536 - 10, "SWAPSPACE2", "swap", swapContent},
	{4096 - 10, "S1SUSPEND\x00", "swsuspend", nil},
	{1024, "\x10\x20\xf5\xf2", "f2fs", func(h []byte, c *Content) { c.UUID = uuid(h[1024+108:]) }},
	{1024, "\xe2\xe1\xf5\xe0", "erofs", func(h []byte, c *Content) { c.UUID, c.Label = uuid(h[1024+48:]), text(h[1024+64:1024+80]) }},
	{0, "hsqs", "squashfs", nil},
	{0, "-rom1fs-", "romfs", func(h []byte, c *Content) { c.Label = text(h[16:32]) }},
	{0, "\x31\x18\x10\x06", "ubifs", nil},
	{0, "UBI#", "ubi", nil},
	{0x220, "1SFB", "befs", func(h []byte, c *Content) { c.Label = text(h[0x200:0x220]) }},
	{0x220, "BFS1", "befs", func(h []byte, c *Content) { c.Label = text(h[0x200:0x220]) }},
	{0x8000, "JFS1", "jfs", nil},
	{0x10034, "ReIsErFs", "reiserfs", nil},
	{0x10034, "ReIsEr2Fs", "reiserfs", func(h []byte, c *Content) { c.UUID, c.Label = uuid(h[0x10054:]), text(h[0x10064:0x10074]) }},
	{0x10034, "ReIsEr3Fs", "reiserfs", func(h []byte, c *Content) { c.UUID, c.Label = uuid(h[0x10054:]), text(h[0x10064:0x10074]) }},
	{0x2034, "ReIsErFs", "reiserfs", nil},
	{0x1055c, "\x19\x01\x54\x19", "ufs", nil},
	{0x1055c, "\x19\x54\x01\x19", "ufs", nil},
	{1024, "H+", "hfsplus", nil},
	{1024, "HX", "hfsplus", nil},
	{32, "NXSB", "apfs", nil},
	{0x2000, "\x49\xe8\x95\xf9", "hpfs", nil},
	{0x8001, "CD001", "iso9660", isoContent},
	{0x8001, "BEA01", "udf", udfContent},
}

func extContent(h []byte, c *Content) {
	s := h[1024:]
	if le.Uint32(s[24:]) > 6 {
		c.Type = ""
		return
	}
	c.UUID, c.Label = uuid(s[104:]), text(s[120:136])
	const ext3Incompat, ext3RO = 0x2 | 0x4 | 0x10, 7
	incompat := le.Uint32(s[96:])
	switch {
	case incompat&8 != 0:
		c.Type = "jbd"
	case incompat&^ext3Incompat != 0 || le.Uint32(s[100:])&^ext3RO != 0:
	case le.Uint32(s[92:])&4 != 0:
		c.Type = "ext3"
	default:
		c.Type = "ext2"
	}
}

func swapContent(h []byte, c *Content) {
	c.Version = fmt.Sprint(le.Uint32(h[1024:]))
	c.UUID, c.Label = uuid(h[1036:]), text(h[1052:1068])
}

func lvmContent(sector int) func([]byte, *Content) {
	return func(h []byte, c *Content) {
		label := h[512*sector:]
		at := le.Uint32(label[20:])
		if string(label[:8]) != "LABELONE" || at > 512-32 {
			c.Type = ""
			return
		}
		c.UUID = lvmID(string(label[at : at+32]))
	}
}

// lvmID puts the dashes that LVM prints.
func lvmID(s string) string {
	if len(s) != 32 {
		return ""
	}
	for _, r := range s {
		if r > 'z' || r < '!' {
			return ""
		}
	}
	return strings.Join([]string{s[:6], s[6:10], s[10:14], s[14:18], s[18:22], s[22:26], s[26:]}, "-")
}

func mdContent(at int) func([]byte, *Content) {
	return func(h []byte, c *Content) {
		minor := map[int]string{0: "1.1", 4096: "1.2"}[at]
		if le.Uint32(h[at+4:]) != 1 {
			c.Type = ""
			return
		}
		c.Version, c.UUID, c.Label = minor, uuid(h[at+16:]), text(h[at+32:at+64])
	}
}

func isoContent(h []byte, c *Content) {
	p := h[0x8000:]
	c.Label = strings.TrimRight(text(p[40:72]), " ")
	// A descriptor of UDF may follow those of ISO 9660.
	if d := text(p[813:829]); len(d) == 16 {
		c.UUID = fmt.Sprintf("%s-%s-%s-%s-%s-%s-%s", d[:4], d[4:6], d[6:8], d[8:10], d[10:12], d[12:14], d[14:16])
	}
}

func udfContent(h []byte, c *Content) {
	for at := 0x8000; at+2048 <= headSize; at += 2048 {
		if id := string(h[at+1 : at+6]); id == "NSR02" || id == "NSR03" {
			return
		}
	}
	c.Type = ""
}

// bootSectorOf tells file systems that begin with a PC's boot sector, by that
// sector: ntfs, exfat, vfat, or "".
func bootSectorOf(p []byte) string {
	switch {
	case string(p[3:11]) == "NTFS    ":
		return "ntfs"
	case string(p[3:11]) == "EXFAT   ":
		return "exfat"
	}
	power := func(n int) bool { return n > 0 && n&(n-1) == 0 }
	sector, cluster := int(le.Uint16(p[11:])), int(p[13])
	jump := p[0] == 0xeb || p[0] == 0xe9
	named := string(p[54:57]) == "FAT" || string(p[82:87]) == "FAT32"
	if sector < 512 || sector > 4096 || !power(sector) || !power(cluster) || le.Uint16(p[14:]) == 0 || p[16] == 0 || p[16] > 4 ||
		p[21] < 0xf0 || !jump && !named {
		return ""
	}
	if le.Uint16(p[19:]) == 0 && le.Uint32(p[32:]) == 0 {
		return ""
	}
	return "vfat"
}

func bootSector(kind string, h []byte) Content {
	c := Content{Type: kind}
	switch kind {
	case "ntfs":
		c.UUID = fmt.Sprintf("%016X", le.Uint64(h[0x48:]))
	case "exfat":
		c.UUID = fmt.Sprintf("%04X-%04X", le.Uint16(h[0x66:]), le.Uint16(h[0x64:]))
	case "vfat":
		at, version := 39, "FAT16"
		if le.Uint16(h[22:]) == 0 {
			at, version = 67, "FAT32"
		}
		c.Version = version
		if h[at-1] == 0x29 || h[at-1] == 0x28 {
			c.UUID = fmt.Sprintf("%04X-%04X", le.Uint16(h[at+2:]), le.Uint16(h[at:]))
			if label := strings.TrimRight(text(h[at+4:at+15]), " "); label != "NO NAME" {
				c.Label = label
			}
		}
	}
	return c
}

// identifyEnd finds what has its metadata at the end of a volume.
func identifyEnd(d disk.Disk, b *budget.Budget) (Content, error) {
	size := d.Size()
	at := func(off int64, n int) ([]byte, error) {
		p := make([]byte, n)
		if off < 0 || off+int64(n) > size {
			return p, nil
		}
		return p, b.ReadFull(d, p, off)
	}
	p, err := at(size&^65535-65536, 128)
	if err != nil {
		return Content{}, err
	}
	if m := p[:4]; bytes.Equal(m, []byte{0xfc, 0x4e, 0x2b, 0xa9}) || bytes.Equal(m, []byte{0xa9, 0x2b, 0x4e, 0xfc}) {
		id := make([]byte, 0, 16)
		for _, o := range []int{20, 52, 56, 60} {
			w := bytes.Clone(p[o : o+4])
			if m[0] == 0xfc {
				w[0], w[1], w[2], w[3] = w[3], w[2], w[1], w[0]
			}
			id = append(id, w...)
		}
		return Content{Type: "linux_raid_member", Version: "0.90", UUID: uuid(id)}, nil
	}
	if p, err = at((size/512-16)&^7*512, 128); err != nil {
		return Content{}, err
	}
	if bytes.Equal(p[:4], []byte{0xfc, 0x4e, 0x2b, 0xa9}) && le.Uint32(p[4:]) == 1 {
		return Content{Type: "linux_raid_member", Version: "1.0", UUID: uuid(p[16:]), Label: text(p[32:64])}, nil
	}
	if p, err = at(size/512*512-1024, 1024); err != nil {
		return Content{}, err
	}
	if string(p[:23]) == "Intel Raid ISM Cfg Sig." {
		return Content{Type: "isw_raid_member", Version: text(p[24:30])}, nil
	}
	if be.Uint32(p[512:]) == 0xde11de11 {
		return Content{Type: "ddf_raid_member"}, nil
	}
	return Content{}, nil
}

// text is what stands before the first NUL.
func text(p []byte) string {
	p, _, _ = bytes.Cut(p, []byte{0})
	return strings.ToValidUTF8(string(p), "\ufffd")
}

func uuid(p []byte) string {
	if disk.IsZero(p[:16]) {
		return ""
	}
	h := hex.EncodeToString(p[:16])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
