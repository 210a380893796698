package images

import (
	"bytes"
	"errors"
	"testing"

	"kuva/chunk"
)

// FuzzLatticeFor: whatever a header says, the file is cut without a byte lost.
func FuzzLatticeFor(f *testing.F) {
	for _, mark := range []struct {
		at   int
		text string
	}{{0, "conectix"}, {64, "\x7f\x10\xda\xbe"}, {0, "KDMV"}, {0, "QFI\xfb"}} {
		b := bytes.Repeat([]byte{1, 0, 0, 0, 0, 0, 1, 0}, headNeeded/8)
		copy(b[mark.at:], mark.text)
		copy(b[512:], "cxsparse")
		f.Add(b, 3)
	}
	f.Fuzz(func(t *testing.T, head []byte, times int) {
		if len(head) > 1<<16 || times < 0 || times > 20 {
			return
		}
		file := append(bytes.Clone(head), bytes.Repeat([]byte{7, 0, 9}, times*chunk.Block/3)...)
		var out []byte
		c := &chunk.Cutter{Emit: func(p chunk.Piece) error {
			if p.Data == nil {
				out = append(out, make([]byte, p.Len)...)
			}
			out = append(out, p.Data...)
			return nil
		}}
		l := latticeFor(file, c)
		if l.Start < 0 || l.Stride < 0 || l.Prefix < 0 || l.Stride > 0 && l.Prefix >= l.Stride {
			t.Fatalf("%+v", l)
		}
		_, err := l.Write(file)
		if err := errors.Join(err, l.Flush(), c.Cut()); err != nil || !bytes.Equal(out, file) {
			t.Fatalf("%d bytes became %d, %v", len(file), len(out), err)
		}
	})
}
