package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"kuva/disk"
	"kuva/disk/disktest"
	"kuva/internal/testkit"
)

// condition knows [ci]: scripts that need a program skip where it is missing,
// but not there.
func condition(cond string) (bool, error) {
	if cond == "ci" {
		return testkit.CI(), nil
	}
	return false, fmt.Errorf("there is no condition %q", cond)
}

// sample FILE BYTES SEED writes a disk with data, zeros and holes.
func sample(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	seed, err := strconv.ParseUint(args[2], 10, 64)
	ts.Check(err)
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	_, err = disk.Copy(context.Background(), f, disktest.RandomDisk(n, seed), disk.CopyOptions{})
	ts.Check(errors.Join(err, f.Close()))
}

// kuva runs a command in this process and gives its exit code and output.
func kuva(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	err := root.ExecuteContext(t.Context())
	var e *exitError
	switch {
	case errors.As(err, &e):
		code, err = e.code, e.err
	case err != nil:
		code = exitFailed
	}
	if err != nil {
		fmt.Fprintln(&stderr, err)
	}
	return code, stdout.String(), stderr.String()
}

func mustKuva(t *testing.T, args ...string) string {
	t.Helper()
	code, out, errs := kuva(t, args...)
	if code != 0 {
		t.Fatalf("kuva %v: code %d\n%s", args, code, errs)
	}
	return out
}

func fromJSON(t *testing.T, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
}

// kinds are the files that both kuva and qemu-img write, by the arguments that
// both take.
var kinds = []struct {
	name, format string
	args         []string
	check        bool // qemu-img check knows the format
}{
	{"raw", "raw", nil, false},
	{"qcow2", "qcow2", nil, true},
	{"qcow2 zlib", "qcow2", []string{"-c"}, true},
	{"qcow2 zstd", "qcow2", []string{"-c", "-o", "compression_type=zstd"}, true},
	{"qcow2 v2", "qcow2", []string{"-o", "compat=0.10,cluster_size=4k"}, true},
	{"vmdk", "vmdk", nil, false},
	{"vmdk stream", "vmdk", []string{"-o", "subformat=streamOptimized"}, false},
	{"vpc", "vpc", nil, false},
	{"vpc fixed", "vpc", []string{"-o", "subformat=fixed"}, false},
	{"vhdx", "vhdx", nil, true},
	{"vhdx fixed", "vhdx", []string{"-o", "subformat=fixed"}, true},
	{"vdi", "vdi", nil, true},
	{"vdi static", "vdi", []string{"-o", "static=on"}, true},
}

// TestConvertWitnessed converts a disk to every kind of file and back, once by
// kuva and once by qemu-img, each of which judges what the other wrote.
func TestConvertWitnessed(t *testing.T) {
	testkit.Need(t, "qemu-img")
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain.raw")
	disktest.WriteFile(t, plain, disktest.RandomDisk(9<<20, 3))
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			ours, theirs, back := filepath.Join(dir, "ours"), filepath.Join(dir, "theirs"), filepath.Join(dir, "back")
			mustKuva(t, append([]string{"convert", "-q", "-O", k.format, plain, ours}, k.args...)...)
			args := append([]string{"convert", "-f", "raw", "-O", k.format}, k.args...)
			disktest.MustQEMU(t, append(args, plain, theirs)...)

			disktest.MustQEMU(t, "compare", "-f", "raw", "-F", k.format, plain, ours)
			if k.check {
				disktest.MustQEMU(t, "check", "-f", k.format, ours)
			}
			for _, file := range []string{ours, theirs} {
				mustKuva(t, "compare", "-q", "-f", "raw", plain, file)
				var info described
				var witness struct {
					Size    int64  `json:"virtual-size"`
					Format  string `json:"format"`
					Cluster int64  `json:"cluster-size"`
				}
				fromJSON(t, mustKuva(t, "info", "--json", file), &info)
				fromJSON(t, disktest.MustQEMU(t, "info", "--output=json", "-f", k.format, file), &witness)
				if info.VirtualSize == nil || *info.VirtualSize != witness.Size {
					t.Errorf("info: %v bytes, qemu-img says %d", info.VirtualSize, witness.Size)
				}
				if witness.Cluster > 0 && info.ClusterSize != nil && *info.ClusterSize != witness.Cluster {
					t.Errorf("info: clusters of %d bytes, qemu-img says %d", *info.ClusterSize, witness.Cluster)
				}
				if code, out, errs := kuva(t, "check", file); code != 0 && (k.format != "raw" || code != checkUnable) {
					t.Errorf("check: code %d\n%s%s", code, out, errs)
				}
				sameMap(t, file, k.format)
			}
			mustKuva(t, "convert", "-q", theirs, back, "-O", "raw")
			mustKuva(t, "compare", "-q", "-f", "raw", "-F", "raw", plain, back)
		})
	}
}

// sameMap compares kuva map with qemu-img map: all that QEMU calls data must be
// data, in the same place. The reverse need not hold, since QEMU also looks for
// holes in the file below the format.
func sameMap(t *testing.T, file, format string) {
	t.Helper()
	if format == "vhdx" {
		return // QEMU calls all of it data
	}
	var got, want []mapped
	fromJSON(t, mustKuva(t, "map", "--json", "-f", format, file), &got)
	fromJSON(t, disktest.MustQEMU(t, "map", "--output=json", "-f", format, file), &want)
	end := int64(0)
	for _, m := range got {
		if m.Start != end || m.Data == m.Zero {
			t.Fatalf("map of %s: %+v where %d comes", format, m, end)
		}
		end += m.Length
	}
	if last := want[len(want)-1]; end != last.Start+last.Length {
		t.Errorf("map of %s ends at %d, that of qemu-img at %d", format, end, last.Start+last.Length)
	}
	for _, w := range want {
		for _, g := range got {
			from, to := max(w.Start, g.Start), min(w.Start+w.Length, g.Start+g.Length)
			if from >= to || w.Zero {
				continue
			}
			if g.Zero {
				t.Errorf("map of %s: %d to %d are zero, qemu-img says data", format, from, to)
			}
			if w.Offset != nil && (g.Offset == nil || *w.Offset-w.Start != *g.Offset-g.Start) {
				t.Errorf("map of %s: %+v, qemu-img says %+v", format, g, w)
			}
		}
	}
}

// TestConvertOptions are the words that qemu-img's users type.
func TestConvertOptions(t *testing.T) {
	dir := t.TempDir()
	in := filepath.Join(dir, "in.img")
	disktest.WriteFile(t, in, disktest.RandomDisk(1<<20, 1))
	for _, c := range []struct {
		args []string
		code int
		want string // of the error
	}{
		{[]string{"-O", "vpc"}, 0, ""},
		{[]string{"-O", "QCOW2"}, 0, ""},
		{nil, exitUsage, "say -O FORMAT"},
		{[]string{"-O", "floppy"}, exitUsage, `there is no format "floppy" to write: choose one of raw, qcow2`},
		{[]string{"-O", "vdi", "-c"}, exitUsage, "there are no compressed vdi files"},
		{[]string{"-O", "qcow2", "-o", "cluster_size"}, exitUsage, "write it as KEY=VALUE\nThe options of qcow2:"},
		{[]string{"-O", "qcow2", "-o", "colour=red"}, exitUsage, `qcow2 has no option "colour"`},
		{[]string{"-O", "qcow2", "-o", "cluster_size=100"}, exitUsage, "cluster_size must be a power of 2"},
		{[]string{"-O", "raw", "-f", "qcow2"}, exitFailed, "in.img: qcow2: malformed"},
		{[]string{"-O", "raw", "-f", "floppy"}, exitUsage, `there is no format "floppy"`},
		{[]string{"-O", "raw", "--backing", "nowhere"}, exitFailed, "the backing file: open nowhere"},
		{[]string{"-O", "raw", "--backing", in}, exitFailed, "Leave --backing out"},
	} {
		code, _, errs := kuva(t, append([]string{"convert", "-q", in, filepath.Join(dir, "out")}, c.args...)...)
		if code != c.code || !bytes.Contains([]byte(errs), []byte(c.want)) || c.want == "" && errs != "" {
			t.Errorf("%v: code %d, want %d; %q, want %q", c.args, code, c.code, errs, c.want)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "*.part"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// randomFile writes bytes that nothing compresses.
func randomFile(t *testing.T, file string, n int) {
	t.Helper()
	b := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{1})
	_, _ = rng.Read(b)
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestConvertSparse: zeros take no space in what is written, even where they
// took some in what was read.
func TestConvertSparse(t *testing.T) {
	dir := t.TempDir()
	src, dst := filepath.Join(dir, "src.raw"), filepath.Join(dir, "dst")
	b := make([]byte, 32<<20)
	copy(b[20<<20:], "data")
	if err := os.WriteFile(src, b, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, k := range kinds {
		mustKuva(t, append([]string{"convert", "-q", "-O", k.format, src, dst}, k.args...)...)
		var info described
		fromJSON(t, mustKuva(t, "info", "--json", dst), &info)
		if info.ActualSize == nil || *info.ActualSize > 4<<20 {
			t.Errorf("%s: %v bytes on the disk for 4 bytes of data", k.name, *info.ActualSize)
		}
	}
}
