package ntfs

import (
	"encoding/binary"

	"kuva/disk"
	"kuva/guest/tree"
)

// wofStream holds the content of files that Windows compressed as a whole:
// those of the system since Windows 10, where that saves enough.
const wofStream = "WofCompressedData"

// wofKinds are the ways of compression, by their number.
var wofKinds = [...]string{"XPRESS4K", "LZX", "XPRESS8K", "XPRESS16K"}

// openWOF names the compression, which is not read.
func (f *FS) openWOF(_ *node, data []byte) (tree.File, error) {
	le := binary.LittleEndian
	if len(data) < 8 || le.Uint32(data) != 1 {
		return nil, disk.Malform(format, "an overlay's reparse point of %d bytes", len(data))
	}
	if provider := le.Uint32(data[4:]); provider == 1 {
		return nil, disk.Refuse(format, disk.ReasonFeature, "the file's content is in a WIM archive (WIMBoot)")
	}
	kind := "an unknown kind"
	if len(data) >= 16 && int(le.Uint32(data[12:])) < len(wofKinds) {
		kind = wofKinds[le.Uint32(data[12:])]
	}
	return nil, disk.Refuse(format, disk.ReasonFeature, "the file is compressed by Windows (WOF, %s)", kind)
}
