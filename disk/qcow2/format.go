package qcow2

import (
	"encoding/binary"
	"io"

	"kuva/disk"
)

// Format is qcow2's row in the list.
var Format = &disk.Format{
	Name:     name,
	Aliases:  []string{"qcow"},
	Probe:    probe,
	Open:     Open,
	Check:    Check,
	Stream:   Stream,
	Layout:   Layout,
	Settings: settingList,
}

func probe(r io.ReaderAt, size int64) (bool, error) {
	var b [8]byte
	if size < int64(len(b)) {
		return false, nil
	}
	if err := disk.ReadFull(r, b[:], 0); err != nil {
		return false, err
	}
	return binary.BigEndian.Uint32(b[:]) == magic, nil
}
