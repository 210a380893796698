package qcow2_test

import (
	"bytes"
	"io"
	"testing"

	"kuva/disk"
	"kuva/disk/disktest"
	"kuva/disk/qcow2"
)

// FuzzOpen opens, walks, reads and checks anything. The corpus in testdata
// holds what was found before; small good files are added here.
func FuzzOpen(f *testing.F) {
	src := disktest.NewSynthetic(200<<10+512, 3, disk.Extent{Off: 1000, Len: 3000}, disk.Extent{Off: 100 << 10, Len: 512})
	for _, settings := range []disk.Settings{
		{"cluster_size": "512"},
		{"cluster_size": "4k", "compat": "0.10"},
		{"cluster_size": "1k", "compression_type": "zstd"},
	} {
		view, err := qcow2.Layout(f.Context(), src, settings)
		if err != nil {
			f.Fatal(err)
		}
		b, err := io.ReadAll(io.NewSectionReader(view, 0, view.Size()))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		s, err := qcow2.Stream(f.Context(), src, settings)
		if err != nil {
			f.Fatal(err)
		}
		var packed bytes.Buffer
		if _, err := s.WriteTo(f.Context(), &packed); err != nil {
			f.Fatal(err)
		}
		f.Add(packed.Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) { _ = visit(t, b) })
}
