package volume_test

import (
	"os"
	"strings"
	"testing"

	"kuva/guest/budget"
	"kuva/guest/guesttest"
	"kuva/guest/volume"
	"kuva/internal/testkit"
)

// TestIdentify compares with blkid what native tools made, and what is made
// here of single fields where no tool works without a driver.
func TestIdentify(t *testing.T) {
	testkit.Need(t, "blkid", "mke2fs", "mkfs.xfs", "mkfs.vfat", "mkswap", "mkfs.btrfs")
	const uuid = "01234567-89ab-cdef-0123-456789abcdef"
	raid := func(b []byte, off, super int) {
		p := b[off:]
		copy(p, "\xfc\x4e\x2b\xa9\x01\x00\x00\x00")
		copy(p[16:], "unique-unique-un")
		copy(p[32:], "host:array")
		le.PutUint64(p[144:], uint64(super)) // super_offset, in sectors
	}
	for _, tt := range []struct {
		name string
		args []string // of a tool; the file comes last
		make func(b []byte)
		want string
	}{
		{"ext2", []string{"mke2fs", "-q", "-F", "-t", "ext2", "-L", "a label", "-U", uuid}, nil, "ext2"},
		{"ext3", []string{"mke2fs", "-q", "-F", "-t", "ext3", "-L", "a label", "-U", uuid}, nil, "ext3"},
		{"ext4", []string{"mke2fs", "-q", "-F", "-t", "ext4", "-L", "a label", "-U", uuid}, nil, "ext4"},
		{"journal", []string{"mke2fs", "-q", "-F", "-O", "journal_dev", "-b", "4096"}, nil, "jbd"},
		{"xfs", []string{"mkfs.xfs", "-q", "-f", "-L", "label", "-m", "uuid=" + uuid}, nil, "xfs"},
		{"btrfs", []string{"mkfs.btrfs", "-q", "-f", "-L", "a label", "-U", uuid}, nil, "btrfs"},
		{"fat", []string{"mkfs.vfat", "-n", "LABEL", "-i", "1234abcd"}, nil, "vfat"},
		{"fat32", []string{"mkfs.vfat", "-F", "32", "-n", "LABEL", "-i", "1234abcd"}, nil, "vfat"},
		{"swap", []string{"mkswap", "-q", "-L", "label", "-U", uuid}, nil, "swap"},
		{"RAID 1.0", nil, func(b []byte) { raid(b, len(b)-8192, len(b)/512-16) }, "linux_raid_member"},
		{"RAID 1.1", nil, func(b []byte) { raid(b, 0, 0) }, "linux_raid_member"},
		{"RAID 1.2", nil, func(b []byte) { raid(b, 4096, 8) }, "linux_raid_member"},
		{"RAID 0.90", nil, func(b []byte) {
			p := b[len(b)-65536:]
			copy(p, "\xfc\x4e\x2b\xa9")
			le.PutUint32(p[8:], 90)
			copy(p[20:], "uniq")
			copy(p[52:], "ue-unique-un")
		}, "linux_raid_member"},
		{"BitLocker", nil, func(b []byte) {
			copy(b, "\xeb\x58\x90-FVE-FS-\x00\x02\x08")
			copy(b[160:], "\x3b\xd6\x67\x49\x29\x2e\xd8\x4a\x83\x99\xf6\xa3\x39\xe3\xd0\x01")
			le.PutUint64(b[176:], 4096)
			copy(b[4096:], "-FVE-FS-\x00\x00\x02\x00")
		}, "BitLocker"},
		{"squashfs", nil, func(b []byte) { copy(b, "hsqs"); b[28] = 4 }, "squashfs"},
		{"zeros", nil, nil, ""},
		{"an MBR", nil, func(b []byte) { mbrSector(b[:512], [3]uint32{0x83, 100, 100}) }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name := image(t, 320<<20)
			if tt.args != nil {
				run(t, "", tt.args[0], append(tt.args[1:], name)...)
			}
			if tt.make != nil {
				b := make([]byte, 4<<20) // in less blkid looks for no RAID
				tt.make(b)
				must(t, os.WriteFile(name, b, 0o600))
			}
			c, err := volume.Identify(guesttest.RawFile(t, name), budget.New(t.Context(), budget.Limits{}))
			must(t, err)
			if c.Type != tt.want {
				t.Errorf("%+v, want %s", c, tt.want)
			}
			if tt.want == "" {
				return
			}
			for line := range strings.Lines(run(t, "", "blkid", "-p", "-o", "export", name)) {
				key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
				value = strings.ReplaceAll(value, `\ `, " ")
				got, known := map[string]string{"TYPE": c.Type, "UUID": c.UUID, "LABEL": c.Label}[key]
				if key == "UUID" && got == "" && (c.Type == "jbd" || c.Type == "BitLocker") {
					continue
				}
				if known && got != value {
					t.Errorf("%s is %q, blkid says %q", key, got, value)
				}
			}
		})
	}
}
