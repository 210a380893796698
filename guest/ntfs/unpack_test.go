package ntfs

import (
	"bytes"
	"errors"
	"testing"

	"kuva/disk"
)

// FuzzUnpack unpacks any bytes in all ways: into what there is room for, or
// with an error.
func FuzzUnpack(f *testing.F) {
	f.Add([]byte("\x05\xb0\x00abcd\x00\x00"))
	f.Add(append(bytes.Repeat([]byte{0x99}, 256), "some bits"...))
	f.Add([]byte("\x00\x30\x10\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00plain bytes"))
	f.Fuzz(func(t *testing.T, src []byte) {
		for name, unpack := range map[string]func(dst, src []byte) error{"lznt1": lznt1, "xpress": xpress, "lzx": lzx} {
			for _, n := range []int{1, 11, 4096, 32768} {
				room := bytes.Repeat([]byte{0x5a}, n+1)
				err := unpack(room[:n:n], src)
				var bad *disk.Malformed
				if err != nil && !errors.As(err, &bad) {
					t.Errorf("%s: %v", name, err)
				}
				if room[n] != 0x5a {
					t.Errorf("%s wrote behind the end", name)
				}
			}
		}
	})
}
