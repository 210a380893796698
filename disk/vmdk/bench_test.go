package vmdk_test

import (
	"bytes"
	"io"
	"testing"

	"kuva/disk"
	"kuva/disk/internal/imgtest"
	"kuva/disk/vmdk"
)

// Half of the bytes compress well, half not at all.
const benchSize = 64 << 20

func benchDisk(b *testing.B) disk.Disk {
	d := imgtest.Sparse(benchSize, [2]int64{0, benchSize})
	p := make([]byte, benchSize)
	if err := disk.ReadFull(d, p, 0); err != nil {
		b.Fatal(err)
	}
	return imgtest.Memory(p)
}

func BenchmarkStream(b *testing.B) {
	d := benchDisk(b)
	b.SetBytes(benchSize)
	for b.Loop() {
		s, err := vmdk.Stream(b.Context(), d, nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.WriteTo(b.Context(), io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReadStream reads front to back in pieces as a hash or a pipe does,
// and as disk.Copy does.
func BenchmarkReadStream(b *testing.B) {
	m := stream(b, benchDisk(b))
	for name, piece := range map[string]int{"32K": 32 << 10, "1M": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(benchSize)
			p := make([]byte, piece)
			for b.Loop() {
				d, err := vmdk.Open(b.Context(), bytes.NewReader(m), m.Size(), disk.OpenOptions{})
				if err != nil {
					b.Fatal(err)
				}
				for off := int64(0); off < benchSize; off += int64(piece) {
					if err := disk.ReadFull(d, p, off); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// BenchmarkView reads the layout of a disk that is full.
func BenchmarkView(b *testing.B) {
	v := layout(b, benchDisk(b), nil)
	b.SetBytes(v.Size())
	p := make([]byte, 1<<20)
	for b.Loop() {
		for off := int64(0); off < v.Size(); off += int64(len(p)) {
			if err := disk.ReadFull(v, p[:min(int64(len(p)), v.Size()-off)], off); err != nil {
				b.Fatal(err)
			}
		}
	}
}
