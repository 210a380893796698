package vmdk_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kuva/disk"
	"kuva/disk/disktest"
	"kuva/disk/internal/imgtest"
	"kuva/disk/vmdk"
)

var le = binary.LittleEndian

func layout(t testing.TB, d disk.Disk, s disk.Settings) disk.View {
	t.Helper()
	v, err := vmdk.Layout(t.Context(), d, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func stream(t testing.TB, d disk.Disk) imgtest.Image {
	t.Helper()
	s, err := vmdk.Stream(t.Context(), d, nil)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if n, err := s.WriteTo(t.Context(), &b); err != nil || n != int64(b.Len()) {
		t.Fatal(n, err)
	}
	return b.Bytes()
}

func open(t testing.TB, m imgtest.Image, o disk.OpenOptions) (disk.Disk, error) {
	return vmdk.Open(t.Context(), m.Reader(), m.Size(), o)
}

func TestConformance(t *testing.T) {
	disktest.Run(t, vmdk.Format,
		disktest.Variant{
			Name: "sparse", QEMU: "vmdk", QEMUOptions: "subformat=monolithicSparse", QEMUCheck: true, NoEmpty: true,
			MaxSize: 63 << 40,
		},
		disktest.Variant{
			Name: "stream", Stream: true, QEMU: "vmdk", QEMUOptions: "subformat=streamOptimized", QEMUCheck: true, NoEmpty: true,
		})
}

// TestZeroedGrain reads grains that are said to be zero.
func TestZeroedGrain(t *testing.T) {
	d := imgtest.Random(4, 5<<20, 300_000)
	path := imgtest.FromQemu(t, d, "vmdk", "subformat=monolithicSparse,zeroed_grain=on")
	imgtest.Same(t, imgtest.Open(t, vmdk.Format, path), d, d.Size())
	imgtest.Clean(t, vmdk.Format, path)
}

// TestLarge lets qemu-img judge a large disk, with tables that are holes.
func TestLarge(t *testing.T) {
	const size = 64 << 30
	d := imgtest.Sparse(size, [2]int64{0, 1000}, [2]int64{size / 2, 3 << 20}, [2]int64{size - 512, 512})
	path := imgtest.Save(t, layout(t, d, nil), "disk.vmdk")
	imgtest.Same(t, imgtest.Open(t, vmdk.Format, path), d, size)
	imgtest.Judge(t, "vmdk", path, d, size, true)

	path = imgtest.Save(t, layout(t, imgtest.Sparse(63<<40, [2]int64{62 << 40, 10}), nil), "disk.vmdk")
	if out := imgtest.Run(t, "info", "--output=json", path); !bytes.Contains(out, []byte("69269232549888")) {
		t.Errorf("qemu-img says of a disk of 63 TiB: %s", out)
	}
}

// TestLargeStream streams 63 TiB.
func TestLargeStream(t *testing.T) {
	const size = 63 << 40
	d := imgtest.Sparse(size, [2]int64{0, 1000}, [2]int64{size / 2, 3 << 20}, [2]int64{size - 512, 512})
	m := stream(t, d)
	got, err := open(t, m, disk.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	imgtest.Same(t, got, d, size)
}

// TestDeterministic holds the bytes of version 1 still.
func TestDeterministic(t *testing.T) {
	d := imgtest.Random(9, 9<<20+5, 3<<20)
	imgtest.Golden(t, "sparse", imgtest.Of(t, layout(t, d, nil)))
	imgtest.Golden(t, "stream", stream(t, d))
}

func TestSettings(t *testing.T) {
	d := imgtest.Sparse(512)
	for _, s := range []disk.Settings{
		{"subformat": "streamOptimized"},
		{"uuid": "x"},
		{"colour": "red"},
		{"adapter_type": "scsi"},
		{"hwversion": "4\"\n"},
	} {
		_, err := vmdk.Layout(t.Context(), d, s)
		imgtest.WantRefused(t, fmt.Sprint(s), err, disk.ReasonSetting)
	}
	m := imgtest.Of(t, layout(t, d, disk.Settings{"adapter_type": "lsilogic", "hwversion": "10"}))
	if !bytes.Contains(m, []byte("ddb.adapterType = \"lsilogic\"")) || !bytes.Contains(m, []byte("ddb.virtualHWVersion = \"10\"")) {
		t.Error("the settings are not in the descriptor")
	}
	_, err := vmdk.Layout(t.Context(), imgtest.Sparse(0), nil)
	imgtest.WantRefused(t, "no bytes", err, disk.ReasonFeature)
	_, err = vmdk.Layout(t.Context(), imgtest.Sparse(vmdk.MaxSize+1), nil)
	imgtest.WantRefused(t, "too large", err, disk.ReasonTooLarge)
	_, err = vmdk.Layout(t.Context(), imgtest.Sparse(3<<40, [2]int64{0, 3 << 40}), nil)
	imgtest.WantRefused(t, "too much data", err, disk.ReasonTooLarge)
}

// text makes a descriptor.
func text(lines ...string) []byte {
	return []byte("# Disk DescriptorFile\nversion=1\nCID=12345678\n" + strings.Join(lines, "\n") + "\n")
}

// embed puts another descriptor into a file.
func embed(m imgtest.Image, b []byte) imgtest.Image {
	clear(m[512 : 21*512])
	copy(m[512:21*512], b)
	return m
}

// TestDescriptors is S-104: nothing but one sparse extent is a disk.
func TestDescriptors(t *testing.T) {
	d := imgtest.Sparse(1<<20, [2]int64{0, 100_000})
	base := imgtest.Of(t, layout(t, d, nil))
	const (
		root   = "parentCID=ffffffff"
		sparse = `createType="monolithicSparse"`
		extent = `RW 2048 SPARSE "disk.vmdk"`
	)
	good := text(root, sparse, extent)
	if _, err := open(t, embed(base.Copy(), good), disk.OpenOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what   string
		text   []byte
		reason disk.Reason
	}{
		{"monolithicFlat", text(root, `createType="monolithicFlat"`, `RW 2048 FLAT "disk-flat.vmdk" 0`), disk.ReasonDataFile},
		{"twoGbMaxExtentFlat", text(root, `createType="twoGbMaxExtentFlat"`, `RW 2048 FLAT "/etc/passwd" 0`), disk.ReasonDataFile},
		{"vmfs", text(root, `createType="vmfs"`, `RW 2048 VMFS "disk-flat.vmdk"`), disk.ReasonDataFile},
		{"custom", text(root, `createType="custom"`, extent), disk.ReasonDataFile},
		{"fullDevice", text(root, `createType="fullDevice"`, `RW 2048 FLAT "/dev/sda" 0`), disk.ReasonDataFile},
		{"flat extent", text(root, sparse, `RW 2048 FLAT "disk.vmdk" 0`), disk.ReasonDataFile},
		{"two extents", text(root, sparse, extent, extent), disk.ReasonDataFile},
		{"slash", text(root, sparse, `RW 2048 SPARSE "a/disk.vmdk"`), disk.ReasonDataFile},
		{"absolute", text(root, sparse, `RW 2048 SPARSE "/etc/shadow"`), disk.ReasonDataFile},
		{"backslash", text(root, sparse, `RW 2048 SPARSE "a\disk.vmdk"`), disk.ReasonDataFile},
		{"device", text(root, sparse, `RW 2048 SPARSE "\\.\PhysicalDrive0"`), disk.ReasonDataFile},
		{"drive", text(root, sparse, `RW 2048 SPARSE "nbd:host"`), disk.ReasonDataFile},
		{"dots", text(root, sparse, `RW 2048 SPARSE ".."`), disk.ReasonDataFile},
		{"offset", text(root, sparse, `RW 2048 SPARSE "disk.vmdk" 128`), disk.ReasonDataFile},
		{"two kinds", text(root, sparse, `createType="monolithicFlat"`, extent), ""},
		{"kind twice, in another case", text(root, sparse, `CreateType = "monolithicFlat"`, extent), ""},
		{"kind in a comment", text(root, `# createType="monolithicSparse"`, extent), ""},
		{"no kind", text(root, extent), ""},
		{"no extent", text(root, sparse), ""},
		{"NUL and more", append(append(good[:len(good):len(good)], 0), text(root, `createType="vmfs"`)...), ""},
		{"parent", text("parentCID=11111111", `parentFileNameHint="/etc/passwd"`, sparse, extent), disk.ReasonBacking},
		{"parent's id only", text("parentCID=11111111", sparse, extent), disk.ReasonBacking},
		{"parent's name only", text(root, `parentFileNameHint="base.vmdk"`, sparse, extent), disk.ReasonBacking},
		{"parent twice", text(root, "parentCID=11111111", sparse, extent), ""},
		{"another size", text(root, sparse, `RW 4096 SPARSE "disk.vmdk"`), disk.ReasonDataFile},
		{"a smaller size", text(root, sparse, `RW 1920 SPARSE "disk.vmdk"`), disk.ReasonDataFile},
		{"extent of no sectors", text(root, sparse, `RW 0 SPARSE "disk.vmdk"`), ""},
		{"extent of 2⁶³ sectors", text(root, sparse, `RW 9223372036854775808 SPARSE "disk.vmdk"`), ""},
		{"extent without name", text(root, sparse, `RW 2048 SPARSE`), ""},
		{"quote that stays open", text(root, sparse, `RW 2048 SPARSE "disk.vmdk`), ""},
		{"no text", []byte{1, 2, 3}, ""},
	} {
		_, err := open(t, embed(base.Copy(), c.text), disk.OpenOptions{})
		embedded := c.reason
		if strings.HasSuffix(c.what, " size") {
			embedded = "" // it contradicts the header
		}
		imgtest.WantRefused(t, "embedded, "+c.what, err, embedded)
		if c.reason == "" || c.reason == disk.ReasonDataFile {
			_, err = open(t, c.text, disk.OpenOptions{})
			if c.what != "no text" && c.what != "NUL and more" {
				imgtest.WantRefused(t, "alone, "+c.what, err, c.reason)
			} else if err == nil {
				t.Errorf("alone, %s: opened", c.what)
			}
		}
	}
	behind := append([]byte(" # a comment\n\n #  more\n"), bytes.ToUpper(text(root, sparse, extent))...)
	if yes, err := vmdk.Probe(bytes.NewReader(behind), int64(len(behind))); !yes || err != nil {
		t.Error("a descriptor behind comments is not found", err)
	}
	_, err := open(t, behind, disk.OpenOptions{})
	imgtest.WantRefused(t, "behind comments", err, disk.ReasonDataFile)
	long := append(good, bytes.Repeat([]byte("# filler\n"), 1<<20/9)...)
	_, err = open(t, long, disk.OpenOptions{})
	imgtest.WantRefused(t, "1 MiB, alone", err, disk.ReasonLimit)
	m := append(base.Copy(), make([]byte, 1<<20)...)
	le.PutUint64(m[28:], uint64(len(base)/512))
	le.PutUint64(m[36:], 1<<20/512)
	_, err = open(t, m, disk.OpenOptions{})
	imgtest.WantRefused(t, "1 MiB, embedded", err, disk.ReasonLimit)
	_, err = open(t, text(root, sparse, strings.Repeat(extent+"\n", 5000)), disk.OpenOptions{})
	imgtest.WantRefused(t, "5000 extents", err, disk.ReasonLimit)
}

// TestHeaders is S-106, S-131 and S-137.
func TestHeaders(t *testing.T) {
	d := imgtest.Sparse(40<<20, [2]int64{0, 1 << 20}, [2]int64{39 << 20, 1 << 20})
	base := imgtest.Of(t, layout(t, d, nil))
	packed := stream(t, d)
	dir := int(le.Uint64(base[56:])) * 512
	table := int(le.Uint32(base[dir:])) * 512
	for _, c := range []struct {
		what   string
		base   imgtest.Image
		reason disk.Reason
		change func(m imgtest.Image) imgtest.Image
	}{
		{"S-106 capacity 0", base, disk.ReasonDataFile, func(m imgtest.Image) imgtest.Image { le.PutUint64(m[12:], 0); return m }},
		{"S-131 8 EiB", base, disk.ReasonTooLarge, func(m imgtest.Image) imgtest.Image { le.PutUint64(m[12:], 1<<54); return m }},
		{"S-131 sectors that overflow", base, disk.ReasonTooLarge, func(m imgtest.Image) imgtest.Image { le.PutUint64(m[12:], 1<<63+1); return m }},
		{"S-131 64 TiB and a sector", base, disk.ReasonTooLarge, func(m imgtest.Image) imgtest.Image { le.PutUint64(m[12:], 1<<37+1); return m }},
		{"S-131 64 TiB without tables", base, "", func(m imgtest.Image) imgtest.Image { le.PutUint64(m[12:], 1<<37); return m }},
		{"S-137 grain 0", base, "", func(m imgtest.Image) imgtest.Image { le.PutUint64(m[20:], 0); return m }},
		{"S-137 grain odd", base, "", func(m imgtest.Image) imgtest.Image { le.PutUint64(m[20:], 127); return m }},
		{"S-137 grain huge", base, "", func(m imgtest.Image) imgtest.Image { le.PutUint64(m[20:], 1<<40); return m }},
		{"S-137 entries of a table", base, "", func(m imgtest.Image) imgtest.Image { le.PutUint32(m[44:], 1024); return m }},
		{"S-137 no entries", base, "", func(m imgtest.Image) imgtest.Image { le.PutUint32(m[44:], 0); return m }},
		{"S-137 directory outside", base, "", func(m imgtest.Image) imgtest.Image { le.PutUint64(m[56:], 1<<40); return m }},
		{"S-137 directory at the end", base, "", func(m imgtest.Image) imgtest.Image { le.PutUint64(m[56:], uint64(len(m)/512)); return m }},
		{"S-137 directory at 0", base, "", func(m imgtest.Image) imgtest.Image { le.PutUint64(m[56:], 0); return m }},
		{"descriptor outside", base, "", func(m imgtest.Image) imgtest.Image { le.PutUint64(m[28:], 1<<40); return m }},
		{"descriptor too long", base, "", func(m imgtest.Image) imgtest.Image { le.PutUint64(m[36:], 1<<63); return m }},
		{"S-104 no descriptor", base, disk.ReasonDataFile, func(m imgtest.Image) imgtest.Image { le.PutUint64(m[28:], 0); return m }},
		{"version", base, disk.ReasonFeature, func(m imgtest.Image) imgtest.Image { m[4] = 4; return m }},
		{"flag", base, disk.ReasonFeature, func(m imgtest.Image) imgtest.Image { m[11] = 0x80; return m }},
		{"line ends", base, "", func(m imgtest.Image) imgtest.Image { m[75] = '\n'; return m }},
		{"compression method", packed, disk.ReasonFeature, func(m imgtest.Image) imgtest.Image { m[77] = 2; return m }},
		{"no markers", packed, disk.ReasonFeature, func(m imgtest.Image) imgtest.Image { m[10] = 1; return m }},
		{"COWD", base, disk.ReasonFeature, func(m imgtest.Image) imgtest.Image { copy(m, "COWD"); return m }},
		{"cut off in the header", base, "", func(m imgtest.Image) imgtest.Image { return m[:100] }},
		{"empty", base, "", func(m imgtest.Image) imgtest.Image { return m[:0] }},

		{"S-105 version", packed, "", func(m imgtest.Image) imgtest.Image { m[len(m)-1024+4] = 1; return m }},
		{"S-105 descriptor", packed, "", func(m imgtest.Image) imgtest.Image { m[len(m)-1024+28] = 2; return m }},
		{"S-105 descriptor's size", packed, "", func(m imgtest.Image) imgtest.Image { m[len(m)-1024+36]++; return m }},
		{"S-105 capacity", packed, "", func(m imgtest.Image) imgtest.Image { m[len(m)-1024+12]++; return m }},
		{"S-105 another footer", packed, "", func(m imgtest.Image) imgtest.Image {
			le.PutUint64(m[len(m)-1024+56:], 1<<64-1)
			return m
		}},
		{"S-105 no end", packed, "", func(m imgtest.Image) imgtest.Image { return m[:len(m)-512] }},
		{"S-105 another end", packed, "", func(m imgtest.Image) imgtest.Image { m[len(m)-512+12] = 3; return m }},
		{"S-105 no marker", packed, "", func(m imgtest.Image) imgtest.Image { m[len(m)-1536+12] = 2; return m }},
		{"S-105 no mark in the footer", packed, "", func(m imgtest.Image) imgtest.Image { m[len(m)-1024] = 0; return m }},
		{"cut off", packed, "", func(m imgtest.Image) imgtest.Image { return m[:len(m)/1024*512] }},
	} {
		m := c.change(c.base.Copy())
		_, err := open(t, m, disk.OpenOptions{})
		imgtest.WantRefused(t, c.what, err, c.reason)
	}

	// What tables say is found when it is read, and counted by Check.
	grain := int(le.Uint32(packed[le.Uint64(packed[len(packed)-1024+56:])*512:])) * 512
	for _, c := range []struct {
		what     string
		base     imgtest.Image
		overlaps int64
		reads    bool
		change   func(m imgtest.Image)
	}{
		{"S-137 table outside", base, 0, false, func(m imgtest.Image) { le.PutUint32(m[dir:], 1<<31) }},
		{"S-137 grain outside", base, 0, false, func(m imgtest.Image) { le.PutUint32(m[table:], 1<<31) }},
		{"S-137 grain twice", base, 1, true, func(m imgtest.Image) { copy(m[table:], m[table+4:table+8]) }},
		{"S-137 grains that overlap", base, 1, true, func(m imgtest.Image) { le.PutUint32(m[table:], le.Uint32(m[table+4:])+1) }},
		{"S-137 grain in a table", base, 1, true, func(m imgtest.Image) { le.PutUint32(m[table:], uint32(table/512)+1) }},
		{"S-137 grain in the header", base, 1, true, func(m imgtest.Image) { le.PutUint32(m[table:], 1) }},
		{"S-137 one table twice", base, 2, true, func(m imgtest.Image) { copy(m[dir+4:], m[dir:dir+4]) }},
		{"S-137 compressed grain of another place", packed, 0, false, func(m imgtest.Image) { copy(m[grain:], m[grain+4:grain+8]) }},
		{"S-137 compressed grain outside", packed, 0, false, func(m imgtest.Image) { le.PutUint32(m[grain:], 1<<31) }},
		{"S-137 compressed grain without length", packed, 0, false, func(m imgtest.Image) {
			le.PutUint32(m[le.Uint32(m[grain:])*512+8:], 0)
		}},
		{"S-137 compressed grain of 4 GiB", packed, 0, false, func(m imgtest.Image) {
			le.PutUint32(m[le.Uint32(m[grain:])*512+8:], 1<<32-1)
		}},
	} {
		m := c.base.Copy()
		c.change(m)
		d, err := open(t, m, disk.OpenOptions{})
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		err = disk.ReadFull(d, make([]byte, d.Size()), 0)
		if !c.reads {
			imgtest.WantRefused(t, c.what, err, "")
		} else if err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
		r, err := vmdk.Check(t.Context(), m.Reader(), m.Size(), disk.OpenOptions{})
		if err != nil || r.Errors == 0 || r.Overlaps < c.overlaps {
			t.Errorf("%s: check: %+v, %v", c.what, r, err)
		}
	}
	// A grain that no table knows is a leak, wherever the header says that
	// grains begin.
	leaky := base.Copy()
	clear(leaky[table : table+4])
	second := int(le.Uint32(base[le.Uint64(base[48:])*512:])) * 512
	clear(leaky[second : second+4])
	clear(leaky[64:72]) // the overhead
	r, err := vmdk.Check(t.Context(), leaky.Reader(), leaky.Size(), disk.OpenOptions{})
	if err != nil || r.Errors != 0 || r.Leaks != 1 {
		t.Errorf("leak: %+v, %v", r, err)
	}
	// A grain that unpacks to something longer, shorter or broken.
	at := int(le.Uint32(packed[grain:])) * 512
	m := packed.Copy()
	m[at+grainData+20] ^= 0xff
	d2, err := open(t, m, disk.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	imgtest.WantRefused(t, "broken grain", disk.ReadFull(d2, make([]byte, 200_000), 0), "")
	imgtest.WantRefused(t, "broken grain", disk.ReadFull(d2, make([]byte, 10), 0), "")
}

const grainData = 12

// TestParts reads flat and split disks as qemu-img writes them, with the files
// handed over and not without.
func TestParts(t *testing.T) {
	d := imgtest.Random(6, 7<<20, 900_000)
	for _, sub := range []string{"monolithicFlat", "twoGbMaxExtentFlat", "twoGbMaxExtentSparse"} {
		t.Run(sub, func(t *testing.T) {
			path := imgtest.FromQemu(t, d, "vmdk", "subformat="+sub)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = open(t, b, disk.OpenOptions{})
			imgtest.WantRefused(t, "no part", err, disk.ReasonDataFile)
			all, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
			if err != nil {
				t.Fatal(err)
			}
			var parts []disk.Part
			for _, p := range all {
				if p == path {
					continue
				}
				f, err := os.Open(p)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				st, err := f.Stat()
				if err != nil {
					t.Fatal(err)
				}
				parts = append(parts, disk.Part{R: f, Size: st.Size()})
				_, err = vmdk.Open(t.Context(), f, st.Size(), disk.OpenOptions{})
				if err == nil {
					t.Error("a part alone is opened")
				}
			}
			got, err := open(t, b, disk.OpenOptions{Parts: parts})
			if err != nil {
				t.Fatal(err)
			}
			imgtest.Same(t, got, d, d.Size())
			_, err = open(t, b, disk.OpenOptions{Parts: append(parts, parts[0])})
			imgtest.WantRefused(t, "a part too many", err, disk.ReasonDataFile)
			parts[0].Size /= 2
			got, err = open(t, b, disk.OpenOptions{Parts: parts})
			if err == nil { // tables are read when they are needed
				err = disk.ReadFull(got, make([]byte, got.Size()), 0)
			}
			imgtest.WantRefused(t, "a part too short", err, "")
		})
	}
	if _, err := open(t, imgtest.Of(t, layout(t, d, nil)), disk.OpenOptions{Parts: []disk.Part{{}}}); err == nil {
		t.Error("parts that are not named are taken")
	}
}

// TestParent reads a disk on the parent that it names.
func TestParent(t *testing.T) {
	top := imgtest.Sparse(1<<20, [2]int64{128 << 10, 64 << 10})
	base := imgtest.Sparse(1<<20, [2]int64{0, 1 << 20})
	m := embed(imgtest.Of(t, layout(t, top, nil)), text("parentCID=11111111", `parentFileNameHint="base.vmdk"`,
		`createType="monolithicSparse"`, `RW 2048 SPARSE "disk.vmdk"`))
	got, err := open(t, m, disk.OpenOptions{Parent: base})
	if err != nil {
		t.Fatal(err)
	}
	imgtest.Same(t, got, disk.Overlay(base, top), top.Size())
	_, err = open(t, imgtest.Of(t, layout(t, top, nil)), disk.OpenOptions{Parent: base})
	imgtest.WantRefused(t, "a parent that is not named", err, disk.ReasonBacking)
}

func FuzzOpen(f *testing.F) {
	d := imgtest.Sparse(300<<10, [2]int64{512, 100}, [2]int64{200 << 10, 70 << 10})
	f.Add([]byte(imgtest.Of(f, layout(f, imgtest.Sparse(300<<10, [2]int64{0, 10}), nil))))
	f.Add([]byte(stream(f, d)))
	f.Add(text("parentCID=ffffffff", `createType="twoGbMaxExtentSparse"`, `RW 2048 SPARSE "a.vmdk"`, `RW 10 ZERO`))
	f.Fuzz(func(t *testing.T, b []byte) {
		imgtest.Use(t, vmdk.Format, b)
		r := bytes.NewReader(b)
		part := disk.Part{R: r, Size: r.Size()}
		d, err := vmdk.Open(t.Context(), r, r.Size(), disk.OpenOptions{Parts: []disk.Part{part}})
		if err == nil {
			_, _ = io.CopyN(io.Discard, io.NewSectionReader(d, 0, d.Size()), 1<<20)
		}
	})
}
