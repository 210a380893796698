package images_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/iotest"

	"kuva"
	"kuva/disk"
	"kuva/disk/disktest"
	"kuva/disk/formats"
	"kuva/internal/catalog/catalogtest"
	"kuva/internal/images"
	"kuva/message"
)

// fileOf makes a disk's file of a format in memory.
func fileOf(t testing.TB, d disk.Disk, format string, settings disk.Settings) []byte {
	t.Helper()
	return written(t, d, format, formats.WriteOptions{Settings: settings})
}

func written(t testing.TB, d disk.Disk, format string, o formats.WriteOptions) []byte {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), format)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := formats.Write(context.Background(), f, d, formats.ByName(format), o); err != nil {
		t.Fatalf("%s: %v", format, err)
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// someDisk has data, zeros and holes.
func someDisk() disk.Disk {
	return disktest.NewSynthetic(3<<20, 1, disk.Extent{Off: 4096, Len: 200 << 10}, disk.Extent{Off: 1 << 20, Len: 1<<20 + 512})
}

// corpus is a file of another maker.
func corpus(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "disk", "testdata", "corpus", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// send sends content that is said to be of a format, in a bare container.
func (w *world) send(format string, content []byte) (*kuva.Image, error) {
	w.t.Helper()
	img := w.create(alice, images.NewImage{DiskFormat: format, ContainerFormat: "bare"})
	got, err := w.Ingest(ctx, alice, img.ID, images.Source{Content: bytes.NewReader(content), Size: int64(len(content))})
	if err != nil {
		return w.show(alice, img.ID), err
	}
	return got, nil
}

// accepted sends content that must be taken, and come back.
func (w *world) accepted(format string, content []byte, virtual int64) *kuva.Image {
	w.t.Helper()
	img, err := w.send(format, content)
	if err != nil {
		w.t.Fatalf("%s is not taken: %v", format, err)
	}
	if img.VirtualSize != virtual || !bytes.Equal(w.read(alice, img.ID), content) {
		w.t.Fatalf("%s: a disk of %d bytes, want %d, or other bytes", format, img.VirtualSize, virtual)
	}
	return img
}

// refused sends content that must be refused for the reason of a sentence. The
// image is queued again, holds nothing and says why.
func (w *world) refused(what, format string, content []byte, keys ...string) {
	w.t.Helper()
	img, err := w.send(format, content)
	var e *kuva.Error
	if !errors.As(err, &e) || e.Code != kuva.CodeUnsupported || !slices.Contains(keys, e.Text.Key) {
		w.t.Errorf("%s: %v, want one of %v", what, err, keys)
		return
	}
	if sentence := e.Text.In(message.English); sentence == e.Text.Key {
		w.t.Errorf("%s has no sentence", sentence)
	}
	w.queuedAgain(what, img, kuva.CodeUnsupported)
}

// queuedAgain expects an image that can be filled again and says why it was not.
func (w *world) queuedAgain(what string, img *kuva.Image, code kuva.Code) {
	w.t.Helper()
	f := img.LastFailure
	if img.Status != kuva.StatusQueued || f == nil || f.Code != code || f.Sentence == "" || img.VirtualSize != -1 || img.Size != -1 {
		w.t.Errorf("%s: afterwards %s, %+v", what, img.Status, f)
	}
	if _, use, err := w.Quota(ctx, root, "a"); err != nil || use.Reserved != 0 || use.Uploads != 0 {
		w.t.Errorf("%s: space is not given back: %+v %v", what, use, err)
	}
}

// copyOf changes a copy of a file.
func copyOf(b []byte, change func(b []byte)) []byte {
	b = bytes.Clone(b)
	change(b)
	return b
}

var be, le = binary.BigEndian, binary.LittleEndian

const (
	malformed = "image.content_malformed"
	backing   = "image.content_backing"
	dataFile  = "image.content_data_file"
	feature   = "image.content_feature"
	mismatch  = "image.content_mismatch"
	unmarked  = "image.content_unmarked"
	ambiguous = "image.content_ambiguous"
)

func light(t *testing.T, change ...func(*images.Config)) *world {
	t.Helper()
	return newWorld(t, catalogtest.SQLite(t), change...)
}

// TestContentAccepted: each format, as it is written here and elsewhere, is
// taken under its own name, with the size of its disk, on both engines.
func TestContentAccepted(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d := someDisk()
		for _, format := range []string{"raw", "qcow2", "vmdk", "vhd", "vhdx", "vdi"} {
			w.accepted(format, fileOf(t, d, format, nil), d.Size())
		}
		w.accepted("vhd", fileOf(t, d, "vhd", disk.Settings{"subformat": "fixed"}), d.Size())
		w.accepted("qcow2", written(t, d, "qcow2", formats.WriteOptions{Compress: true}), d.Size())
		w.accepted("vmdk", written(t, d, "vmdk", formats.WriteOptions{Compress: true}), d.Size())
		w.accepted("raw", nil, 0)
		w.accepted("raw", []byte("x"), 1)
	})
}

// TestContentNotOpened: other containers, and formats that are not read, are
// kept as they are and never looked into.
func TestContentNotOpened(t *testing.T) {
	w := light(t)
	qcow2 := fileOf(t, someDisk(), "qcow2", nil)
	for _, c := range []struct{ disk, container string }{
		{"ami", "ami"}, {"aki", "aki"}, {"ari", "ari"}, {"qcow2", "ovf"}, {"vmdk", "ova"}, {"raw", "docker"}, {"raw", "compressed"}, {"ploop", "bare"}, {"aki", "bare"},
	} {
		for _, content := range [][]byte{qcow2, random(70_000, 1)} {
			img := w.filled(alice, images.NewImage{DiskFormat: c.disk, ContainerFormat: c.container}, content)
			if img.VirtualSize != -1 || !bytes.Equal(w.read(alice, img.ID), content) {
				t.Errorf("%v: a disk of %d bytes, or other bytes", c, img.VirtualSize)
			}
			views, err := w.Views(ctx, alice, img.ID)
			if err != nil || len(views.List) != 1 || !views.List[0].AsSent || views.Why == nil {
				t.Errorf("%v: views %+v, %v", c, views, err)
			}
			_, err = w.OpenView(ctx, alice, img.ID, "vdi", images.ViewOptions{})
			want(t, err, kuva.CodeConflict)
		}
	}
}

// TestS101Backing: a qcow2 that names a backing file is refused, whatever the
// name.
func TestS101Backing(t *testing.T) {
	w := light(t)
	for _, version := range []string{"v2", "v3"} {
		good := fileOf(t, someDisk(), "qcow2", disk.Settings{"compat": version})
		for _, name := range []string{"/etc/passwd", "../base.qcow2", "nbd:localhost:10809", "http://169.254.169.254/", `json:{"driver":"file","filename":"/etc/shadow"}`, string(bytes.Repeat([]byte{'a'}, 1023))} {
			w.refused("backing "+version+" "+name[:5], "qcow2", copyOf(good, func(b []byte) {
				be.PutUint64(b[8:], 1024)
				be.PutUint32(b[16:], uint32(len(name)))
				copy(b[1024:], name)
			}), backing)
		}
		for what, at := range map[string][2]uint64{"outside": {1 << 40, 9}, "no length": {1024, 0}, "no place": {0, 9}} {
			w.refused("backing "+version+" "+what, "qcow2", copyOf(good, func(b []byte) {
				be.PutUint64(b[8:], at[0])
				be.PutUint32(b[16:], uint32(at[1]))
			}), backing, malformed)
		}
	}
}

// TestS102DataFile: a qcow2 whose data lie in another file is refused.
func TestS102DataFile(t *testing.T) {
	w := light(t)
	good := fileOf(t, someDisk(), "qcow2", nil)
	extension := func(b []byte, kind uint32, text string) {
		at := be.Uint32(b[100:])
		be.PutUint32(b[at:], kind)
		be.PutUint32(b[at+4:], uint32(len(text)))
		copy(b[at+8:], text)
	}
	w.refused("bit alone", "qcow2", copyOf(good, func(b []byte) { be.PutUint64(b[72:], 4) }), dataFile)
	w.refused("bit and name", "qcow2", copyOf(good, func(b []byte) {
		be.PutUint64(b[72:], 4)
		extension(b, 0x44415441, `json:{"driver":"file"}`)
	}), dataFile)
	w.refused("name alone", "qcow2", copyOf(good, func(b []byte) { extension(b, 0x44415441, "/etc/passwd") }), dataFile, malformed)
	w.refused("raw external bit", "qcow2", copyOf(good, func(b []byte) { be.PutUint64(b[88:], 2) }), dataFile, malformed)
}

// TestS104VMDKDescriptor: a VMDK whose descriptor names extents is refused, in
// one file or beside it.
func TestS104VMDKDescriptor(t *testing.T) {
	w := light(t)
	for _, kind := range []string{"monolithicFlat", "twoGbMaxExtentFlat", "vmfs", "custom", "fullDevice"} {
		text := "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType=\"" + kind + "\"\nRW 2048 FLAT \"/etc/passwd\" 0\n"
		w.refused(kind, "vmdk", []byte(text), dataFile, feature, malformed)
		w.refused(kind+" said to be raw", "raw", []byte(text), mismatch)
		good := fileOf(t, someDisk(), "vmdk", nil)
		w.refused("embedded "+kind, "vmdk", copyOf(good, func(b []byte) {
			at, n := le.Uint64(b[28:])*512, le.Uint64(b[36:])*512
			clear(b[at : at+n])
			copy(b[at:at+n], text)
		}), dataFile, feature, malformed)
	}
}

// TestS105VMDKFooter: a footer that disagrees with its header, and a file cut
// off before its end, are refused.
func TestS105VMDKFooter(t *testing.T) {
	w := light(t)
	good := written(t, someDisk(), "vmdk", formats.WriteOptions{Compress: true})
	footer := len(good) - 1024
	for what, change := range map[string]func(b []byte){
		"version":    func(b []byte) { b[footer+4] = 9 },
		"descriptor": func(b []byte) { le.PutUint64(b[footer+28:], 77) },
		"capacity":   func(b []byte) { le.PutUint64(b[footer+12:], 1) },
		"again":      func(b []byte) { le.PutUint64(b[footer+56:], 1<<64-1) },
		"no end":     func(b []byte) { copy(b[len(b)-512:], "more and more") },
	} {
		w.refused(what, "vmdk", copyOf(good, change), malformed, feature)
	}
	w.refused("cut off", "vmdk", good[:len(good)-1024], malformed, feature)
}

// TestS106CapacityZero: a sparse VMDK that redirects to its descriptor.
func TestS106CapacityZero(t *testing.T) {
	w := light(t)
	w.refused("capacity 0", "vmdk", copyOf(fileOf(t, someDisk(), "vmdk", nil), func(b []byte) { le.PutUint64(b[12:], 0) }), malformed, dataFile, feature)
}

// TestS107Claims: content is what its image says that it is, or is refused.
func TestS107Claims(t *testing.T) {
	w := light(t)
	d := someDisk()
	all := []string{"qcow2", "vmdk", "vhd", "vhdx", "vdi"}
	for _, is := range all {
		file := fileOf(t, d, is, nil)
		for _, claim := range append([]string{"raw", "iso"}, all...) {
			if claim != is {
				w.refused(is+" said to be "+claim, claim, file, mismatch)
			}
		}
	}
	w.refused("fixed vhd said to be raw", "raw", fileOf(t, d, "vhd", disk.Settings{"subformat": "fixed"}), mismatch)
	for _, claim := range append([]string{"iso"}, all...) {
		for _, content := range [][]byte{random(300_000, 1), {}, []byte("x")} {
			w.refused("raw said to be "+claim, claim, content, unmarked)
		}
	}
	w.accepted("raw", random(300_000, 1), 300_000)
}

// TestS109Parents: disks that are changes to another disk are refused.
func TestS109Parents(t *testing.T) {
	w := light(t)
	w.refused("differencing VHD", "vhd", corpus(t, "fat-differential.vhd"), backing)
}

// TestS110Snapshots: a qcow2 with snapshots inside comes back byte for byte;
// views hold the disk alone.
func TestS110Snapshots(t *testing.T) {
	w := light(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "s.qcow2")
	if err := os.WriteFile(file, fileOf(t, someDisk(), "qcow2", nil), 0o600); err != nil {
		t.Fatal(err)
	}
	disktest.MustQEMU(t, "snapshot", "-c", "before", file)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	img := w.accepted("qcow2", content, someDisk().Size())
	view := w.view(alice, img.ID, "qcow2", images.ViewOptions{Settings: disk.Settings{"cluster_size": "64k"}})
	if be.Uint32(view[60:]) != 0 {
		t.Error("the view has snapshots")
	}
	if !bytes.Equal(w.view(alice, img.ID, "raw", images.ViewOptions{}), disktest.ReadAll(t, someDisk())) {
		t.Error("the view has other bytes")
	}
}

// TestS121Polyglots: what is of two formats at once is of none, however it is
// called; but a disc that is a disk as well is both.
func TestS121Polyglots(t *testing.T) {
	w := light(t)
	iso := make([]byte, 256<<10)
	copy(iso[32769:], "CD001")
	copy(iso[34817:], "CD001")
	iso[32768], iso[34816] = 1, 255
	hybrid := copyOf(iso, func(b []byte) {
		copy(b[446:], []byte{0x80, 0, 2, 0, 0x83, 0, 0, 0, 1, 0, 0, 0, 100, 0, 0, 0})
		b[510], b[511] = 0x55, 0xaa
	})
	w.accepted("iso", iso, int64(len(iso)))
	w.accepted("iso", hybrid, int64(len(iso)))
	w.accepted("raw", hybrid, int64(len(iso)))
	w.refused("a disc said to be raw", "raw", iso, mismatch)
	both := copyOf(fileOf(t, someDisk(), "qcow2", nil), func(b []byte) { copy(b[32769:], "CD001") })
	footer := append(fileOf(t, someDisk(), "qcow2", nil), fileOf(t, someDisk(), "vhd", nil)[:512]...)
	for _, claim := range []string{"raw", "qcow2", "iso", "vhd"} {
		w.refused("qcow2 and iso said to be "+claim, claim, both, ambiguous)
		w.refused("qcow2 and vhd said to be "+claim, claim, footer, ambiguous)
	}
}

// TestS122VHDFooter: a VHD whose copies of the footer disagree.
func TestS122VHDFooter(t *testing.T) {
	w := light(t)
	good := fileOf(t, someDisk(), "vhd", nil)
	end := len(good) - 512
	for what, change := range map[string]func(b []byte){
		"size":     func(b []byte) { be.PutUint64(b[end+48:], 1<<20) },
		"type":     func(b []byte) { be.PutUint32(b[end+60:], 2) },
		"checksum": func(b []byte) { b[end+64] ^= 1; b[64] ^= 1 },
	} {
		w.refused(what, "vhd", copyOf(good, change), malformed, feature)
	}
}

// TestS123Recognised: formats that are known and not read are never taken for
// one that is; declared raw they are bytes.
func TestS123Recognised(t *testing.T) {
	w := light(t)
	for name, mark := range map[string]string{"qed": "QED\x00", "parallels": "WithoutFreeSpace", "bochs": "Bochs Virtual HD Image", "luks": "LUKS\xba\xbe\x00\x01"} {
		content := append([]byte(mark), random(100_000, 3)...)
		for _, claim := range []string{"qcow2", "vmdk", "vhd", "vdi"} {
			w.refused(name+" said to be "+claim, claim, content, mismatch)
		}
		w.accepted("raw", content, int64(len(content)))
	}
	w.accepted("qcow2", corpus(t, "image.qcow"), 100<<10) // version 1
}

// TestS125LateContent: the verdict is of the whole content, however it came.
func TestS125LateContent(t *testing.T) {
	w := light(t)
	late := fileOf(t, disktest.NewSynthetic(100<<10, 1, disk.Extent{Off: 0, Len: 50 << 10}), "vhd", disk.Settings{"subformat": "fixed"})
	ways := map[string]func() io.Reader{
		"single bytes": func() io.Reader { return iotest.OneByteReader(bytes.NewReader(late)) },
		"halves":       func() io.Reader { return iotest.HalfReader(bytes.NewReader(late)) },
		"at once":      func() io.Reader { return bytes.NewReader(late) },
	}
	for what, way := range ways {
		for _, c := range []struct {
			claim string
			code  kuva.Code
		}{{"vhd", ""}, {"raw", kuva.CodeUnsupported}} {
			img := w.create(alice, images.NewImage{DiskFormat: c.claim, ContainerFormat: "bare"})
			_, err := w.Ingest(ctx, alice, img.ID, images.Source{Content: way(), Size: -1})
			if kuva.CodeOf(err) != c.code {
				t.Errorf("%s, said to be %s: %v", what, c.claim, err)
			}
		}
	}
}

// TestS131VirtualSize: the quota holds for the disk in the file too, and
// impossible sizes are refused.
func TestS131VirtualSize(t *testing.T) {
	w := light(t, func(c *images.Config) {
		c.DefaultQuota = kuva.DefaultQuota
		c.DefaultQuota.VirtualSize = 1 << 30
	})
	for _, format := range []string{"qcow2", "vmdk", "vhd", "vhdx", "vdi"} {
		w.accepted(format, fileOf(t, disktest.NewSynthetic(1<<30, 1), format, nil), 1<<30)
		img, err := w.send(format, fileOf(t, disktest.NewSynthetic(1<<30+512, 1), format, nil))
		want(t, err, kuva.CodeTooLarge)
		w.queuedAgain(format, img, kuva.CodeTooLarge)
	}
	good := fileOf(t, someDisk(), "qcow2", nil)
	for _, size := range []uint64{8 << 60, 64<<40 + 1, 1<<63 - 1, 1<<64 - 1} {
		if _, err := w.send("qcow2", copyOf(good, func(b []byte) { be.PutUint64(b[24:], size) })); kuva.CodeOf(err) != kuva.CodeUnsupported && kuva.CodeOf(err) != kuva.CodeTooLarge {
			t.Errorf("a disk of %d bytes: %v", size, err)
		}
	}
	vmdk := fileOf(t, someDisk(), "vmdk", nil)
	for _, sectors := range []uint64{1 << 55, 1<<63 - 1, 1<<64 - 1} {
		w.refused("sectors that overflow", "vmdk", copyOf(vmdk, func(b []byte) { le.PutUint64(b[12:], sectors) }), malformed, "image.content_disk_large")
	}
}

// TestS132Tables: tables that are far larger than the file are refused at once.
func TestS132Tables(t *testing.T) {
	w := light(t)
	good := fileOf(t, someDisk(), "qcow2", nil)
	w.refused("a huge L1", "qcow2", copyOf(good, func(b []byte) { be.PutUint32(b[36:], 1<<31) }), malformed, "image.content_costly", "image.content_disk_large")
	w.refused("a huge refcount table", "qcow2", copyOf(good, func(b []byte) { be.PutUint32(b[56:], 1<<30) }), malformed, "image.content_costly", "image.content_disk_large")
}

// TestS133Header: one of QEMU's own limits, through the service.
func TestS133Header(t *testing.T) {
	w := light(t)
	good := fileOf(t, someDisk(), "qcow2", nil)
	for what, change := range map[string]func(b []byte){
		"cluster bits":  func(b []byte) { be.PutUint32(b[20:], 30) },
		"header length": func(b []byte) { be.PutUint32(b[100:], 1<<30) },
		"L1 outside":    func(b []byte) { be.PutUint64(b[40:], 1<<50) },
		"snapshots":     func(b []byte) { be.PutUint32(b[60:], 1<<20); be.PutUint64(b[64:], 65536) },
	} {
		w.refused(what, "qcow2", copyOf(good, change), malformed, feature, "image.content_disk_large")
	}
}

// TestS134Amplification: a file whose tables name one cluster thousands of
// times claims more data than it can have.
func TestS134Amplification(t *testing.T) {
	w := light(t)
	d := disktest.NewSynthetic(512<<20, 1, disk.Extent{Off: 0, Len: 64 << 10})
	file := fileOf(t, d, "qcow2", nil)
	w.accepted("qcow2", file, d.Size())
	l1 := be.Uint64(file[40:])
	l2 := be.Uint64(file[l1:]) &^ (1 << 63)
	w.refused("one cluster for all", "qcow2", copyOf(file, func(b []byte) {
		for i := range 8192 {
			be.PutUint64(b[l2+uint64(i)*8:], 65536)
		}
	}), "image.content_expands", malformed)
}

// TestS135VHDX, TestS136Blocks: tables that point out of the file.
func TestS135VHDX(t *testing.T) {
	w := light(t)
	good := fileOf(t, someDisk(), "vhdx", nil)
	w.refused("no region tables", "vhdx", copyOf(good, func(b []byte) { clear(b[192<<10 : 320<<10]) }), malformed)
	w.refused("no headers", "vhdx", copyOf(good, func(b []byte) { clear(b[64<<10 : 192<<10]) }), malformed)
	w.refused("cut off", "vhdx", good[:1<<20], malformed)
}

func TestS136Blocks(t *testing.T) {
	w := light(t)
	vdi := fileOf(t, someDisk(), "vdi", nil)
	bmap := le.Uint32(vdi[340:])
	for what, change := range map[string]func(b []byte){
		"block size 0":  func(b []byte) { le.PutUint32(b[376:], 0) },
		"block size 3":  func(b []byte) { le.PutUint32(b[376:], 3<<20) },
		"block count":   func(b []byte) { le.PutUint32(b[384:], 1<<30) },
		"block outside": func(b []byte) { le.PutUint32(b[bmap:], 77) },
		"block twice":   func(b []byte) { le.PutUint32(b[bmap+4:], le.Uint32(b[bmap:])) },
	} {
		w.refused("vdi "+what, "vdi", copyOf(vdi, change), malformed, feature, "image.content_costly")
	}
	vhd := fileOf(t, someDisk(), "vhd", nil)
	w.refused("vhd block outside", "vhd", copyOf(vhd, func(b []byte) { be.PutUint32(b[1536:], 1<<30) }), malformed)
}

// TestS137VMDK: the tables of a VMDK, looked through grain by grain.
func TestS137VMDK(t *testing.T) {
	w := light(t)
	good := fileOf(t, someDisk(), "vmdk", nil)
	for what, change := range map[string]func(b []byte){
		"grain size 0": func(b []byte) { le.PutUint64(b[20:], 0) },
		"grain size 3": func(b []byte) { le.PutUint64(b[20:], 3) },
		"entries":      func(b []byte) { le.PutUint32(b[44:], 511) },
		"directory":    func(b []byte) { le.PutUint64(b[56:], 1<<40) },
	} {
		w.refused(what, "vmdk", copyOf(good, change), malformed, feature)
	}
	packed := written(t, someDisk(), "vmdk", formats.WriteOptions{Compress: true})
	first := int(le.Uint64(packed[64:])) * 512
	w.refused("the number of a grain", "vmdk", copyOf(packed, func(b []byte) { le.PutUint64(b[first:], 9999) }), malformed)
}

// TestAcceptedFormats: the lists of the documents, and a project's own, at
// create, at change and at the content.
func TestAcceptedFormats(t *testing.T) {
	for _, list := range [][]string{{"raw", "qcow2", "vmdk"}, {"raw", "qcow2"}} {
		each(t, func(t *testing.T, w *world) {
			for _, format := range images.DiskFormats {
				n := images.NewImage{DiskFormat: format, ContainerFormat: "bare"}
				_, err := w.Create(ctx, alice, n)
				if !slices.Contains(list, format) {
					want(t, err, kuva.CodeInvalid)
					img := w.create(alice, images.NewImage{Name: "later", DiskFormat: "raw", ContainerFormat: "bare"})
					_, err := w.Update(ctx, alice, img.ID, []images.Change{{Op: images.OpReplace, Name: "disk_format", Value: format}})
					want(t, err, kuva.CodeInvalid)
				} else if err != nil {
					t.Fatal(err)
				}
			}
			_, err := w.Create(ctx, alice, images.NewImage{DiskFormat: "raw", ContainerFormat: "ova"})
			want(t, err, kuva.CodeInvalid)
			if _, err := w.Create(ctx, bob, images.NewImage{DiskFormat: "vdi", ContainerFormat: "bare"}); err != nil {
				t.Errorf("the project's own list: %v", err)
			}
			_, err = w.Create(ctx, bob, images.NewImage{DiskFormat: "raw", ContainerFormat: "bare"})
			want(t, err, kuva.CodeInvalid)
			if disks, containers := w.Settings(); !slices.Contains(disks, "vdi") || slices.Contains(disks, "iso") || len(containers) != 1 {
				t.Errorf("told to clients: %v, %v", disks, containers)
			}
		}, func(c *images.Config) {
			c.Formats = images.Formats{Disk: list, Container: []string{"bare"}}
			c.ProjectFormats = map[string]images.Formats{"b": {Disk: []string{"vdi"}}}
		})
	}
}

// TestAcceptedLater: what is not accepted any more cannot be filled, but may
// be renamed, read and deleted.
func TestAcceptedLater(t *testing.T) {
	w := light(t)
	file := fileOf(t, someDisk(), "vdi", nil)
	queued := w.create(alice, images.NewImage{DiskFormat: "vdi", ContainerFormat: "bare"})
	full := w.accepted("vdi", file, someDisk().Size())
	w.shut()
	w.open(func(c *images.Config) { c.Formats.Disk = []string{"raw", "qcow2"} })
	_, err := w.Ingest(ctx, alice, queued.ID, images.Source{Content: bytes.NewReader(file), Size: -1})
	want(t, err, kuva.CodeUnsupported)
	w.set(alice, queued.ID, "name", "still")
	if !bytes.Equal(w.read(alice, full.ID), file) {
		t.Error("other bytes")
	}
	w.set(alice, queued.ID, "disk_format", "raw")
	if _, err := w.Ingest(ctx, alice, queued.ID, images.Source{Content: bytes.NewReader(random(1000, 1)), Size: -1}); err != nil {
		t.Error(err)
	}
}
