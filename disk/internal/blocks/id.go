package blocks

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"

	"kuva/disk"
	"kuva/disk/internal/blockmap"
)

// ID is the identifier of a new file: the setting "uuid" where there is one,
// else one that follows from the size and the places of data, so that the same
// disk gets the same. VirtualBox refuses a second medium with the same one;
// whoever writes many disks with equal maps gives the setting. The bytes are
// in the order in which they are written out.
func ID(format string, s disk.Settings, size int64, m *blockmap.Map) ([16]byte, error) {
	var id [16]byte
	if text, ok := s["uuid"]; ok {
		b, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
		if err != nil || len(b) != len(id) {
			return id, disk.Refuse(format, disk.ReasonSetting, "uuid=%q is no UUID", text)
		}
		copy(id[:], b)
		return id, nil
	}
	h := sha256.New()
	put := func(n int64) {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], uint64(n))
		h.Write(b[:])
	}
	h.Write([]byte("kuva " + format))
	put(size)
	for first, end := range m.Runs() {
		put(first)
		put(end)
	}
	copy(id[:], h.Sum(nil))
	id[6] = id[6]&0x0f | 0x80 // version 8: of the maker's own making
	id[8] = id[8]&0x3f | 0x80
	return id, nil
}

// UUIDSetting describes the setting that ID reads.
var UUIDSetting = disk.Setting{Key: "uuid", Help: "identifier of the file; default: made from size and places of data"}

// Mixed is an identifier in the order in which Microsoft keeps it: the first
// three fields little endian.
func Mixed(id [16]byte) [16]byte {
	id[0], id[1], id[2], id[3] = id[3], id[2], id[1], id[0]
	id[4], id[5] = id[5], id[4]
	id[6], id[7] = id[7], id[6]
	return id
}

// Find records a finding in a report.
func Find(r *disk.Report, counter *int64, problem string) {
	*counter++
	if len(r.Problems) < disk.MaxProblems {
		r.Problems = append(r.Problems, problem)
	}
}
