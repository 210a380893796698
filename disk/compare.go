package disk

import (
	"bytes"
	"context"
)

// Compare finds the first byte in which two disks differ, or says -1. Holes
// and zeros of both are not read. Behind the end of the shorter one zeros are
// taken to follow, as qemu-img compare does; whoever minds compares the sizes.
func Compare(ctx context.Context, a, b Disk) (int64, error) {
	if a.Size() < b.Size() {
		a, b = b, a
	}
	pa, pb := make([]byte, piece), make([]byte, piece)
	for e, err := range a.Extents(ctx, 0, a.Size()) {
		if err != nil {
			return 0, err
		}
		at := e.Off
		for f, err := range b.Extents(ctx, e.Off, e.Len) {
			if err != nil {
				return 0, err
			}
			at = f.End()
			if e.Kind != Data && f.Kind != Data {
				continue
			}
			if off, err := compare(ctx, a, b, f.Off, f.Len, pa, pb); err != nil || off >= 0 {
				return off, err
			}
		}
		if at < e.End() && e.Kind == Data {
			if off, err := compare(ctx, a, b, at, e.End()-at, pa, pb); err != nil || off >= 0 {
				return off, err
			}
		}
	}
	return -1, nil
}

func compare(ctx context.Context, a, b Disk, off, n int64, pa, pb []byte) (int64, error) {
	for n > 0 {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		size := min(n, piece)
		pa, pb := pa[:size], pb[:size]
		if err := ReadFull(a, pa, off); err != nil {
			return 0, err
		}
		if err := readOrZero(b, pb, off); err != nil {
			return 0, err
		}
		if !bytes.Equal(pa, pb) {
			i := 0
			for pa[i] == pb[i] {
				i++
			}
			return off + int64(i), nil
		}
		off, n = off+size, n-size
	}
	return -1, nil
}
