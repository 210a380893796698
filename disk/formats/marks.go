package formats

import (
	"encoding/binary"
	"io"

	"kuva/disk"
)

// mark is how a format, or a partition table, is known.
type mark struct {
	name       string
	partitions bool
	probe      func(r io.ReaderAt, size int64) (bool, error)
}

// marks are those of All and, behind them, of what is only recognised.
func marks() []mark {
	var list []mark
	for _, f := range All {
		if f.Probe != nil {
			list = append(list, mark{name: f.Name, probe: f.Probe})
		}
	}
	for _, m := range recognised {
		if ByName(m.name) == nil {
			list = append(list, m)
		}
	}
	return list
}

// Recognised are the formats that Detect knows by name and All does not read.
func Recognised() []string {
	var list []string
	for _, m := range recognised {
		if !m.partitions && ByName(m.name) == nil && (len(list) == 0 || list[len(list)-1] != m.name) {
			list = append(list, m.name)
		}
	}
	return list
}

// recognised are marks of formats that have no package, by the name of the
// package that they would have. A format that gets one disappears from here.
var recognised = []mark{
	{name: "qed", probe: at(0, "QED\x00")},
	{name: "parallels", probe: at(0, "WithoutFreeSpace")},
	{name: "parallels", probe: at(0, "WithouFreSpacExt")},
	{name: "luks", probe: at(0, "LUKS\xba\xbe")},
	{name: "bochs", probe: at(0, "Bochs Virtual HD Image")},
	{name: "cloop", probe: at(0, "#!/bin/sh\n#V2.0 Format\nmodprobe cloop")},
	{name: "dmg", probe: atEnd(512, "koly")},
	{name: "wim", probe: at(0, "MSWIM\x00\x00\x00")},
	{name: "ewf", probe: at(0, "EVF\x09\x0d\x0a\xff\x00")},
	{name: "aff", probe: at(0, "AFF10\x0d\x0a\x00")},
	{name: "asif", probe: at(0, "shdw")},
	{name: "tar", probe: at(257, "ustar")},
	{name: "gzip", probe: at(0, "\x1f\x8b\x08")},
	{name: "bzip2", probe: bzip2},
	{name: "xz", probe: at(0, "\xfd7zXZ\x00")},
	{name: "zstd", probe: at(0, "\x28\xb5\x2f\xfd")},
	{name: "lz4", probe: at(0, "\x04\x22\x4d\x18")},
	{name: "zip", probe: at(0, "PK\x03\x04")},
	{name: "7z", probe: at(0, "7z\xbc\xaf\x27\x1c")},
	{name: "mbr", partitions: true, probe: mbr},
	{name: "gpt", partitions: true, probe: at(512, "EFI PART")},
	{name: "gpt", partitions: true, probe: at(4096, "EFI PART")},
}

// at looks for a text at an offset, atEnd at so many bytes before the end.
func at(off int64, text string) func(io.ReaderAt, int64) (bool, error) {
	return func(r io.ReaderAt, size int64) (bool, error) { return has(r, size, off, text) }
}

func atEnd(n int64, text string) func(io.ReaderAt, int64) (bool, error) {
	return func(r io.ReaderAt, size int64) (bool, error) { return has(r, size, size-n, text) }
}

func has(r io.ReaderAt, size, off int64, text string) (bool, error) {
	if off < 0 || int64(len(text)) > size-off {
		return false, nil
	}
	b := make([]byte, len(text))
	if err := disk.ReadFull(r, b, off); err != nil {
		return false, err
	}
	return string(b) == text, nil
}

// bzip2 needs more than its three letters: the magic of a block or of the end.
func bzip2(r io.ReaderAt, size int64) (bool, error) {
	var b [10]byte
	if size < int64(len(b)) {
		return false, nil
	}
	if err := disk.ReadFull(r, b[:], 0); err != nil {
		return false, err
	}
	return string(b[:3]) == "BZh" && b[3] >= '1' && b[3] <= '9' &&
		(string(b[4:]) == "1AY&SY" || string(b[4:]) == "\x17\x72\x45\x38\x50\x90"), nil
}

// mbr finds a partition table and not merely the two bytes that boot sectors
// of file systems share with it: every entry is empty or has a boot flag of 0
// or 0x80, a type and a length, and one is not empty.
func mbr(r io.ReaderAt, size int64) (bool, error) {
	var b [512]byte
	if size < int64(len(b)) {
		return false, nil
	}
	if err := disk.ReadFull(r, b[:], 0); err != nil {
		return false, err
	}
	if b[510] != 0x55 || b[511] != 0xaa {
		return false, nil
	}
	used := false
	for i := range 4 {
		e := b[446+16*i:][:16]
		if disk.IsZero(e) {
			continue
		}
		if e[0]&0x7f != 0 || e[4] == 0 || binary.LittleEndian.Uint32(e[12:]) == 0 {
			return false, nil
		}
		used = true
	}
	return used, nil
}
