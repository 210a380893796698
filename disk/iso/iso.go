// Package iso is about images of optical discs (ISO 9660, UDF): files that are
// discs as they stand, known by the descriptors in them. An image that boots
// from a stick as well (isohybrid) is one too.
package iso

import (
	"context"
	"io"

	"kuva/disk"
	"kuva/disk/raw"
)

const (
	name   = "iso"
	sector = 2048
	// first is the sector of the first volume descriptor, behind the system
	// area (ECMA-119 §6.2.1, ECMA-167 part 2 §8.1).
	first = 16
	// most is how many descriptors are looked at. ECMA-167 sets no limit;
	// discs have three to six.
	most = 32
)

// Format is ISO's row in the list. There is no writer: what is not a disc yet
// does not become one by another layout.
var Format = &disk.Format{Name: name, Probe: Probe, Open: Open}

// Probe looks for the volume descriptors of ISO 9660, or of UDF where it
// stands alone: an NSR descriptor behind the one that begins an extended area.
func Probe(r io.ReaderAt, size int64) (bool, error) {
	extended := false
	for i := range int64(most) {
		off := (first + i) * sector
		if size-off < sector {
			return false, nil
		}
		var b [6]byte
		if err := disk.ReadFull(r, b[:], off); err != nil {
			return false, err
		}
		switch id := string(b[1:]); {
		case id == "CD001" && i == 0:
			return true, nil
		case id == "BEA01":
			extended = true
		case extended && (id == "NSR02" || id == "NSR03"):
			return true, nil
		case id != "CD001" && id != "BOOT2" && id != "TEA01":
			return false, nil
		}
	}
	return false, nil
}

// Open gives the file's bytes as the disk's.
func Open(ctx context.Context, r io.ReaderAt, size int64, o disk.OpenOptions) (disk.Disk, error) {
	switch ok, err := Probe(r, size); {
	case err != nil:
		return nil, err
	case !ok:
		return nil, disk.Malform(name, "there is no volume descriptor")
	case o.Parent != nil:
		return nil, disk.Refuse(name, disk.ReasonBacking, "a disc has no parent")
	}
	return raw.Open(ctx, r, size, o)
}
