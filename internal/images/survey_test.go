package images

import (
	"testing"

	"kuva/disk"
	"kuva/disk/disktest"
)

// TestSurvey compares gathered extents with those of the disk, in every part.
func TestSurvey(t *testing.T) {
	var all surveys
	for seed := range uint64(50) {
		src := disktest.RandomDisk(int64(seed)*777, seed)
		d, err := all.of(t.Context(), int64(seed), src)
		if err != nil {
			t.Fatal(err)
		}
		kinds := func(d disk.Disk, off, n int64) string {
			var b []byte
			for e, err := range d.Extents(t.Context(), off, n) {
				if err != nil || e.Off != off+int64(len(b)) {
					t.Fatal(e, err)
				}
				for range e.Len {
					b = append(b, map[bool]byte{true: 'd', false: '-'}[e.Kind == disk.Data])
				}
			}
			return string(b)
		}
		for _, part := range [][2]int64{{0, src.Size()}, {src.Size() / 3, src.Size() / 3}, {src.Size() / 2, 1 << 40}, {5, 1}} {
			if got, want := kinds(d, part[0], part[1]), kinds(src, part[0], part[1]); got != want {
				t.Fatalf("seed %d, part %v: %s, want %s", seed, part, got, want)
			}
		}
		again, err := all.of(t.Context(), int64(seed), src)
		if err != nil || len(again.(*surveyed).data) != len(d.(*surveyed).data) {
			t.Fatalf("seed %d: another the second time, %v", seed, err)
		}
	}
	if len(all.kept) > surveysMost {
		t.Errorf("%d are kept", len(all.kept))
	}
}
