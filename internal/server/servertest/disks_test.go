package servertest_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"kuva/api"
	"kuva/internal/server/servertest"
	"kuva/internal/testkit"
	"kuva/internal/testkit/diskimage"
)

// disks is a running service that real disks go into.
type disks struct {
	*servertest.Client
	data string
}

func startDisks(t *testing.T) disks {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	return disks{servertest.Start(t, servertest.Config{Data: data}).Login(t, servertest.Admin), data}
}

// stored is what lies in the store: packs, recipes and all.
func (d disks) stored(t *testing.T) int64 {
	t.Helper()
	n, _, err := servertest.Size(filepath.Join(d.data, "store", "blobs"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// put uploads a file and returns what it added to the store.
func (d disks) put(t *testing.T, name, format, path string, f servertest.Fields) (id string, added int64) {
	t.Helper()
	before := d.stored(t)
	fields := servertest.Fields{"name": name, "disk_format": format}
	for k, v := range f {
		fields[k] = v
	}
	id = d.MustCreate(t, fields)
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := d.Upload(id, file); err != nil {
		t.Fatalf("upload %s: %v", path, err)
	}
	took := time.Since(began)
	added = d.stored(t) - before
	t.Logf("%-22s %-5s %11d bytes, %11d added to the store, %6.0f MB/s", name, format, info.Size(), added, float64(info.Size())/1e6/took.Seconds())
	return id, added
}

// same downloads an image and compares it with the file.
func (d disks) same(t *testing.T, id, path string) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := d.Download(id, file); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// A small real disk, as qcow2 and raw, by curl and by a Go client.
func TestTinyDisk(t *testing.T) {
	testkit.Need(t, "curl", "cmp")
	d := startDisks(t)
	disk := diskimage.Tiny(t)
	for _, f := range []struct{ format, path string }{{"raw", disk.Raw}, {"qcow2", disk.QCOW2}} {
		id, _ := d.put(t, "tiny", f.format, f.path, nil)
		d.same(t, id, f.path)

		id = d.MustCreate(t, servertest.Fields{"name": "by curl", "disk_format": f.format})
		back := filepath.Join(t.TempDir(), "back")
		for _, args := range [][]string{
			{"curl", "-sS", "--fail", "-X", "PUT", "-H", "X-Auth-Token: " + d.Token, "-H", "Content-Type: application/octet-stream", "-T", f.path, d.URL + "/v2/images/" + id + "/file"},
			{"curl", "-sS", "--fail", "-H", "X-Auth-Token: " + d.Token, "-o", back, d.URL + "/v2/images/" + id + "/file"},
			{"cmp", f.path, back},
		} {
			if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %v\n%s", args[0], err, out)
			}
		}
	}
	d.snapshots(t, "tiny", disk)
}

// A Debian cloud disk of 2 GiB: as raw and as qcow2 it comes back identical,
// the same file again costs next to nothing, and so do snapshots.
func TestDebianDisk(t *testing.T) {
	t.Parallel() // beside tests that mostly wait
	d := startDisks(t)
	disk := diskimage.Debian(t)
	base, added := d.put(t, "debian", "raw", disk.Raw, nil)
	d.same(t, base, disk.Raw)
	if _, again := d.put(t, "debian again", "raw", disk.Raw, nil); again > added/100 {
		t.Errorf("the same file again added %d bytes, more than 1 %% of %d", again, added)
	}
	id, _ := d.put(t, "debian", "qcow2", disk.QCOW2, nil)
	d.same(t, id, disk.QCOW2)
	d.snapshotsOf(t, base, disk)
}

func (d disks) snapshots(t *testing.T, name string, base diskimage.Disk) {
	t.Helper()
	id, _ := d.put(t, name+" again", "raw", base.Raw, nil)
	d.snapshotsOf(t, id, base)
}

// snapshotsOf: each of two snapshots costs at most 1.1 times its changed
// chunks, compressed.
func (d disks) snapshotsOf(t *testing.T, base string, disk diskimage.Disk) {
	t.Helper()
	first, second := diskimage.Snapshots(t, disk)
	for _, s := range []struct{ name, path, before string }{{"first snapshot", first.Raw, disk.Raw}, {"second snapshot", second.Raw, first.Raw}} {
		id, added := d.put(t, s.name, "raw", s.path, servertest.Fields{"base_image_ref": base})
		changed, compressed := changes(t, s.before, s.path)
		t.Logf("%s: %d chunks changed, %d bytes compressed; %.3f of that was stored", s.name, changed, compressed, float64(added)/float64(compressed))
		if float64(added) > 1.1*float64(compressed) {
			t.Errorf("%s added %d bytes; its changed chunks are %d compressed", s.name, added, compressed)
		}
		base = id
	}
	d.same(t, base, second.Raw)
}

// changes counts the pieces of 256 KiB that differ between two disks and are
// not all zero, and their bytes after zstd at its fastest.
func changes(t *testing.T, before, after string) (chunks int, compressed int64) {
	t.Helper()
	var files [2]*os.File
	for i, path := range []string{before, after} {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[i] = f
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	a, b := make([]byte, 256<<10), make([]byte, 256<<10)
	zero := string(make([]byte, 256<<10))
	for {
		n, _ := io.ReadFull(files[0], a)
		m, err := io.ReadFull(files[1], b)
		if m > 0 && string(a[:n]) != string(b[:m]) && string(b[:m]) != zero[:m] {
			chunks++
			compressed += int64(min(len(z.EncodeAll(b[:m], nil)), m))
		}
		if err != nil {
			return chunks, compressed
		}
	}
}

// The same file again costs at most 1 % more beyond the records that every
// image has, at each size; two projects share nothing of their private files.
func TestSameFileAgain(t *testing.T) {
	d := startDisks(t)
	blue, green := d.MustMember(t, "blue"), d.MustMember(t, "green")
	packs := func() int64 {
		n, _, err := servertest.Size(filepath.Join(d.data, "store", "blobs", "pack"), nil)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return n
	}
	put := func(c *servertest.Client, content []byte) int64 {
		before := packs()
		c.MustUpload(t, c.MustCreate(t, servertest.Fields{"name": "again"}), content)
		return packs() - before
	}
	for n, size := range []int{1, 4 << 10, 256 << 10, 1 << 20, 40 << 20} {
		content := servertest.Random(uint64(n), size)
		first, again, foreign := put(blue, content), put(blue, content), put(green, content)
		t.Logf("%9d bytes: %d in packs, %d again, %d in another project", size, first, again, foreign)
		if again > int64(size)/100 {
			t.Errorf("%d bytes again added %d to the packs", size, again)
		}
		if foreign < int64(size) {
			t.Errorf("another project paid %d for %d bytes: it shares what it may not know of", foreign, size)
		}
	}
	if err := d.Collect(api.Collect{Audit: true}); err != nil {
		t.Fatal(fmt.Errorf("afterwards: %w", err))
	}
}
