package qcow2_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"kuva/disk"
	"kuva/disk/disktest"
	"kuva/disk/qcow2"
	"kuva/disk/raw"
	"kuva/internal/testkit"
	"kuva/internal/testkit/diskimage"
)

// BenchmarkConvert converts the Debian disk (2 GiB, about 400 MiB of data)
// between raw and qcow2, each beside qemu-img doing the same:
//
//	go test -bench Convert -benchtime 1x ./disk/qcow2
//
// MB of out is what the new file takes.
func BenchmarkConvert(b *testing.B) {
	testkit.Need(b, "qemu-img")
	src := diskimage.Debian(b).Raw
	dir := b.TempDir()
	for _, c := range []struct {
		name    string
		options []string
		set     disk.Settings
	}{
		{"plain", nil, nil},
		{"zlib", []string{"-c"}, nil},
		{"zstd", []string{"-c", "-o", "compression_type=zstd"}, disk.Settings{"compression_type": "zstd"}},
	} {
		packed := filepath.Join(dir, c.name)
		run := func(args ...string) {
			out, err := exec.Command(testkit.Program("qemu-img"), args...).CombinedOutput()
			if err != nil {
				b.Fatalf("%v\n%s", err, out)
			}
		}
		size := func(b *testing.B, file string) {
			if info, err := os.Stat(file); err == nil {
				b.ReportMetric(float64(info.Size())/1e6, "MB-out")
			}
		}
		b.Run("to/"+c.name+"/qemu", func(b *testing.B) {
			for b.Loop() {
				run(append(append([]string{"convert", "-m", "2", "-W", "-f", "raw", "-O", "qcow2"}, c.options...), src, packed)...)
			}
			size(b, packed)
		})
		b.Run("to/"+c.name+"/kuva", func(b *testing.B) {
			out := filepath.Join(dir, "out")
			for b.Loop() {
				convert(b, out, src, c.options != nil, c.set)
			}
			size(b, out)
		})
		b.Run("from/"+c.name+"/qemu", func(b *testing.B) {
			for b.Loop() {
				run("convert", "-m", "2", "-W", "-f", "qcow2", "-O", "raw", packed, filepath.Join(dir, "raw"))
			}
		})
		b.Run("from/"+c.name+"/kuva", func(b *testing.B) {
			for b.Loop() {
				d, err := disktest.OpenFile(b, qcow2.Format, packed, disk.OpenOptions{})
				if err != nil {
					b.Fatal(err)
				}
				disktest.WriteFile(b, filepath.Join(dir, "raw"), d)
			}
		})
	}
}

func convert(b *testing.B, file, src string, packed bool, s disk.Settings) {
	d, err := disktest.OpenFile(b, raw.Format, src, disk.OpenOptions{})
	if err != nil {
		b.Fatal(err)
	}
	if !packed {
		view, err := qcow2.Layout(b.Context(), d, s)
		if err != nil {
			b.Fatal(err)
		}
		disktest.WriteFile(b, file, view)
		return
	}
	stream, err := qcow2.Stream(b.Context(), d, s)
	if err != nil {
		b.Fatal(err)
	}
	out, err := os.Create(file)
	if err != nil {
		b.Fatal(err)
	}
	defer out.Close()
	if _, err := stream.WriteTo(b.Context(), out); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkFirstByte lays out a disk of 1 TiB with a thousand extents and
// reads the first sector.
func BenchmarkFirstByte(b *testing.B) {
	var extents []disk.Extent
	for i := range int64(1000) {
		extents = append(extents, disk.Extent{Off: i << 30, Len: 1 << 20})
	}
	src := disktest.NewSynthetic(1<<40, 1, extents...)
	for b.Loop() {
		view, err := qcow2.Layout(b.Context(), src, nil)
		if err != nil {
			b.Fatal(err)
		}
		if err := disk.ReadFull(view, make([]byte, 512), 0); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkView reads a view of 64 MiB of data in memory from front to back.
func BenchmarkView(b *testing.B) {
	src := disktest.NewSynthetic(64<<20, 1, disk.Extent{Len: 64 << 20})
	data := bytes.NewReader(disktest.ReadAll(b, src))
	d, err := raw.Open(b.Context(), data, data.Size(), disk.OpenOptions{})
	if err != nil {
		b.Fatal(err)
	}
	view, err := qcow2.Layout(b.Context(), d, nil)
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 256<<10)
	b.SetBytes(view.Size())
	for b.Loop() {
		for off := int64(0); off < view.Size(); off += int64(len(buf)) {
			n := min(int64(len(buf)), view.Size()-off)
			if err := disk.ReadFull(view, buf[:n], off); err != nil {
				b.Fatal(err)
			}
		}
	}
}
