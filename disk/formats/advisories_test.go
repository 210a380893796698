package formats_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"
	"time"

	"kuva/disk"
	"kuva/disk/disktest"
	"kuva/disk/formats"
	"kuva/disk/qcow2"
	"kuva/disk/raw"
)

// These are rows of the list of known attacks that concern formats together;
// docs/testing.md says where the others are.

// samples are small files of every format that is written, with their disk.
func samples(t *testing.T) (src disk.Disk, files map[string][]byte) {
	t.Helper()
	src = disktest.RandomDisk(3<<20, 5)
	files = map[string][]byte{}
	for _, w := range ways() {
		var b []byte
		if w.packed {
			s, err := w.f.Stream(t.Context(), src, nil)
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if _, err := s.WriteTo(t.Context(), &out); err != nil {
				t.Fatal(err)
			}
			b = out.Bytes()
		} else {
			view, err := w.f.Layout(t.Context(), src, nil)
			if err != nil {
				t.Fatal(err)
			}
			b = disktest.ReadAll(t, view)
		}
		files[w.String()] = b
	}
	return src, files
}

// TestS107DeclaredRaw: bytes that are said to be raw are the disk, whatever
// they look like, and what is said to be something else must be that.
func TestS107DeclaredRaw(t *testing.T) {
	_, files := samples(t)
	for name, b := range files {
		d, err := raw.Open(t.Context(), bytes.NewReader(b), int64(len(b)), disk.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		disktest.Sound(t, d, b)
		verdict, err := formats.Detect(t.Context(), bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range formats.All {
			if f == raw.Format || f.Name == verdict.Name {
				continue
			}
			if _, err := f.Open(t.Context(), bytes.NewReader(b), int64(len(b)), disk.OpenOptions{}); err == nil {
				t.Errorf("%s is opened as %s", name, f.Name)
			}
		}
	}
}

// TestS108HeaderOnADisk: a guest writes the head of a file of some format, with
// a name in it, onto its disk. In every format that the disk is then kept in it
// stays data, and the format is that of the file.
func TestS108HeaderOnADisk(t *testing.T) {
	guest := bytes.Clone(disktest.ReadAll(t, disktest.RandomDisk(2<<20, 9)))
	head := qcow2Naming(t, "/etc/passwd")
	copy(guest, head)
	src, err := raw.Open(t.Context(), bytes.NewReader(guest), int64(len(guest)), disk.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range formats.All {
		if f.Layout == nil || f == raw.Format {
			continue
		}
		view, err := f.Layout(t.Context(), src, nil)
		if err != nil {
			t.Fatal(err)
		}
		d, verdict, err := formats.Open(t.Context(), view, view.Size(), disk.OpenOptions{})
		if err != nil || verdict.Name != f.Name {
			t.Fatalf("%s: %+v, %v", f.Name, verdict, err)
		}
		if got := disktest.ReadAll(t, d)[:len(guest)]; !bytes.Equal(got, guest) {
			t.Errorf("%s: the guest's bytes are changed", f.Name)
		}
	}
	// Whoever looks at the raw bytes anew is told of the file and refused.
	var refused *disk.Refused
	if _, _, err := formats.Open(t.Context(), bytes.NewReader(guest), int64(len(guest)), disk.OpenOptions{}); !errors.As(err, &refused) {
		t.Errorf("%v, want a refusal", err)
	}
}

// qcow2Naming is the beginning of an empty file with a backing file.
func qcow2Naming(t *testing.T, name string) []byte {
	t.Helper()
	view, err := qcow2.Format.Layout(t.Context(), disktest.NewSynthetic(1<<20, 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	b := disktest.ReadAll(t, view)
	binary.BigEndian.PutUint64(b[8:], 512)
	binary.BigEndian.PutUint32(b[16:], uint32(len(name)))
	copy(b[512:], name)
	return b
}

// TestS123Unread: formats without a reader are named, refused, and never taken
// for raw.
func TestS123Unread(t *testing.T) {
	for _, name := range []string{"qed", "luks", "dmg"} {
		b := make([]byte, fileBytes)
		writers[name](b)
		_, verdict, err := formats.Open(t.Context(), bytes.NewReader(b), fileBytes, disk.OpenOptions{})
		var refused *disk.Refused
		if verdict.Name != name || !errors.As(err, &refused) || refused.Reason != disk.ReasonUnsupported || refused.Format != name {
			t.Errorf("%s: %+v, %v", name, verdict, err)
		}
	}
	if len(formats.Recognised()) < 10 {
		t.Errorf("only %v are recognised", formats.Recognised())
	}
}

// TestS125LateContent: the verdict is on the whole file. A head that says one
// thing and a tail that says another are two, in whatever order they came, and
// nothing is decided by a beginning.
func TestS125LateContent(t *testing.T) {
	_, files := samples(t)
	for name, b := range files {
		whole, err := formats.Detect(t.Context(), bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		// The same bytes by a reader that knows no more than ReadAt.
		same, err := formats.Detect(t.Context(), onlyReadAt{b}, int64(len(b)))
		if err != nil || same.Name != whole.Name {
			t.Errorf("%s: %s, and then %s, %v", name, whole.Name, same.Name, err)
		}
		// A footer that comes last changes the verdict.
		tail := bytes.Clone(b)
		if whole.Name == "vhd" {
			continue
		}
		tail = append(tail, make([]byte, 512-len(tail)%512)...)
		copy(tail[len(tail)-512:], "conectix")
		late, err := formats.Detect(t.Context(), bytes.NewReader(tail), int64(len(tail)))
		var refused *disk.Refused
		switch {
		case whole.Name == "raw" && (err != nil || late.Name != "vhd"):
			t.Errorf("raw with a footer: %+v, %v", late, err)
		case whole.Name != "raw" && (!errors.As(err, &refused) || refused.Reason != disk.ReasonAmbiguous):
			t.Errorf("%s with a footer of VHD: %+v, %v", name, late, err)
		}
	}
}

type onlyReadAt struct{ b []byte }

func (r onlyReadAt) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > int64(len(r.b)) {
		return 0, io.EOF
	}
	n := copy(p, r.b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// TestS132HugeTables: a file of the largest disk of each format is opened,
// listed and checked within 2 s of CPU and 10 ns for every byte of its tables,
// and the memory of the budget.
func TestS132HugeTables(t *testing.T) {
	for _, f := range formats.All {
		if f.Layout == nil || f == raw.Format {
			continue
		}
		size := int64(63 << 40)
		if f.Name == "vhd" {
			size = 2040 << 30
		}
		src := disktest.NewSynthetic(size, 3, disk.Extent{Off: size / 2, Len: 1 << 20})
		view, err := f.Layout(t.Context(), src, nil)
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		before := cpu(t)
		budget := disk.NewBudget(disk.Limits{Memory: disktest.RowMemory})
		d, err := f.Open(t.Context(), view, view.Size(), disk.OpenOptions{Budget: budget})
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		if n, err := disk.Allocated(t.Context(), d); err != nil || n < 1<<20 || n > 64<<20 {
			t.Errorf("%s: %d bytes, %v", f.Name, n, err)
		}
		limit := disktest.RowCPU + time.Duration(view.Size()*10)
		if took := cpu(t) - before; took > limit {
			t.Errorf("%s: %v of CPU for a file of %d bytes, the limit is %v", f.Name, took, view.Size(), limit)
		}
	}
}

func cpu(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestS156DiscAndTable: a disc with a partition table in front is a disc that
// boots from a stick too; with anything else in front it is ambiguous.
func TestS156DiscAndTable(t *testing.T) {
	for _, c := range []struct {
		with string
		want string // "" is ambiguous
	}{{"gpt", "iso"}, {"mbr", "iso"}, {"qcow2", ""}, {"vhd", ""}, {"vhd footer", ""}, {"tar", ""}} {
		b := make([]byte, fileBytes)
		writers["iso"](b)
		writers[c.with](b)
		v, err := formats.Detect(t.Context(), bytes.NewReader(b), fileBytes)
		var refused *disk.Refused
		if c.want == "" && (!errors.As(err, &refused) || refused.Reason != disk.ReasonAmbiguous) || c.want != "" && (err != nil || v.Name != c.want || fmt.Sprint(v.Partitions) != "["+c.with+"]") {
			t.Errorf("iso and %s: %+v, %v", c.with, v, err)
		}
	}
}
