package qcow2_test

import (
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kuva/disk"
	"kuva/disk/disktest"
	"kuva/disk/qcow2"
	"kuva/disk/raw"
	"kuva/internal/testkit"
)

// qemuIO runs commands of qemu-io on a file.
func qemuIO(t *testing.T, file string, commands ...string) {
	t.Helper()
	testkit.Need(t, "qemu-io")
	args := []string{"-f", "qcow2"}
	for _, c := range commands {
		args = append(args, "-c", c)
	}
	out, err := exec.Command(testkit.Program("qemu-io"), append(args, file)...).CombinedOutput()
	if err != nil || strings.Contains(string(out), "failed") {
		t.Fatalf("qemu-io %q: %v\n%s", commands, err, out)
	}
}

// agree compares what we read with what qemu-img reads, byte for byte, and our
// check with QEMU's.
func agree(t *testing.T, file string, o disk.OpenOptions) disk.Disk {
	t.Helper()
	plain := filepath.Join(t.TempDir(), "raw")
	disktest.MustQEMU(t, "convert", "-f", "qcow2", "-O", "raw", file, plain)
	want, err := disktest.OpenFile(t, raw.Format, plain, disk.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := disktest.OpenFile(t, qcow2.Format, file, o)
	if err != nil {
		t.Fatal(err)
	}
	if got.Size() != want.Size() {
		t.Errorf("%d bytes, qemu-img says %d", got.Size(), want.Size())
	}
	if off, err := disk.Compare(t.Context(), got, want); off >= 0 || err != nil {
		t.Errorf("differs from qemu-img's reading at %d, %v", off, err)
	}
	r, size := disktest.File(t, file)
	report, err := qcow2.Check(t.Context(), r, size, disk.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	code, out := disktest.QEMU(t, "check", "-f", "qcow2", file)
	if mine := map[bool]int{true: 0, false: 3}[report.Leaks == 0]; report.Errors > 0 && code != 2 || report.Errors == 0 && code != mine {
		t.Errorf("check: qemu-img ends with %d, we find %+v\n%s", code, report, out)
	}
	return got
}

// TestFeatures reads files with every feature that qemu-img can make.
func TestFeatures(t *testing.T) {
	for _, options := range []string{
		"extended_l2=on,cluster_size=128k", "extended_l2=on,cluster_size=16k", "extended_l2=on,cluster_size=2M",
		"refcount_bits=1", "refcount_bits=2", "refcount_bits=4", "refcount_bits=8", "refcount_bits=32", "refcount_bits=64",
		"preallocation=metadata", "preallocation=falloc", "preallocation=full", "lazy_refcounts=on", "cluster_size=1k,refcount_bits=64",
	} {
		t.Run(options, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "image")
			disktest.MustQEMU(t, "create", "-f", "qcow2", "-o", options, file, "9000448")
			qemuIO(t, file,
				"write -P 1 0 1", "write -P 2 70000 5", "write -P 3 128k 300k", "write -z 200k 10k", "write -z -u 300k 64k",
				"discard 384k 16k", "write -P 4 5M 4k", "write -z 5123k 1k", "write -P 5 9000000 448", "write -z 6M 1M")
			agree(t, file, disk.OpenOptions{})
		})
	}
	for _, options := range []string{"extended_l2=on", "extended_l2=on,compression_type=zstd"} {
		t.Run("packed "+options, func(t *testing.T) {
			dir := t.TempDir()
			disktest.WriteFile(t, dir+"/raw", disktest.Samples()["spots"])
			disktest.MustQEMU(t, "convert", "-c", "-f", "raw", "-O", "qcow2", "-o", options, dir+"/raw", dir+"/image")
			qemuIO(t, dir+"/image", "write -P 9 3146000 100")
			agree(t, dir+"/image", disk.OpenOptions{})
		})
	}
}

// TestBitmaps: dirty bitmaps are no leaks.
func TestBitmaps(t *testing.T) {
	file := filepath.Join(t.TempDir(), "image")
	disktest.MustQEMU(t, "create", "-f", "qcow2", file, "20M")
	disktest.MustQEMU(t, "bitmap", "--add", "-g", "64k", file, "monday")
	disktest.MustQEMU(t, "bitmap", "--add", file, "a longer name")
	qemuIO(t, file, "write -P 7 3M 2M")
	agree(t, file, disk.OpenOptions{})
}

// TestVersion1 reads what qemu-img writes as qcow.
func TestVersion1(t *testing.T) {
	for _, name := range []string{"odd", "spots", "full"} {
		dir := t.TempDir()
		src := disktest.Samples()[name]
		disktest.WriteFile(t, dir+"/raw", src)
		disktest.MustQEMU(t, "convert", "-f", "raw", "-O", "qcow", dir+"/raw", dir+"/image")
		d, err := disktest.OpenFile(t, qcow2.Format, dir+"/image", disk.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if off, err := disk.Compare(t.Context(), d, src); off >= 0 || err != nil {
			t.Errorf("%s: differs at %d, %v", name, off, err)
		}
	}
}

// TestVersion1Packed reads a packed cluster. qemu-img 7.2 ends with an error
// when asked for one, so the file is made here.
func TestVersion1Packed(t *testing.T) {
	text := bytes.Repeat([]byte("kuva"), 1024) // one cluster of 4 KiB
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, 9)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(text)
	_ = w.Close()
	const l1, l2, data = 48, 4096, 8192 + 100
	b := make([]byte, data)
	b = append(b, packed.Bytes()...)
	put32(b, 0, 0x514649fb)
	put32(b, 4, 1)
	put64(b, 24, 3*4096)
	b[32], b[33] = 12, 9
	put64(b, 40, l1)
	put64(b, l1, l2)
	put64(b, l2+8, 1<<63|uint64(packed.Len())<<(63-12)|data)
	d, err := qcow2.Open(t.Context(), bytes.NewReader(b), int64(len(b)), disk.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	disktest.Sound(t, d, slices.Concat(make([]byte, 4096), text, make([]byte, 4096)))
	put64(b, l2+8, 1<<63|data) // no length
	if d, err = qcow2.Open(t.Context(), bytes.NewReader(b), int64(len(b)), disk.OpenOptions{}); err != nil {
		t.Fatal(err)
	}
	var malformed *disk.Malformed
	if _, err := d.ReadAt(make([]byte, 1), 5000); !errors.As(err, &malformed) {
		t.Errorf("without a length: %v", err)
	}
}

// TestBacking reads an overlay with its backing file handed over, deeper and
// shallower than it is long.
func TestBacking(t *testing.T) {
	for _, base := range []string{"1M", "8M"} {
		dir := t.TempDir()
		disktest.MustQEMU(t, "create", "-f", "qcow2", dir+"/base", base)
		qemuIO(t, dir+"/base", "write -P 1 0 1M", "write -P 2 512k 100k")
		disktest.MustQEMU(t, "create", "-f", "qcow2", "-b", dir+"/base", "-F", "qcow2", dir+"/top", "4M")
		qemuIO(t, dir+"/top", "write -P 3 100k 4k", "write -z 600k 64k", "write -P 4 3M 64k")
		parent, err := disktest.OpenFile(t, qcow2.Format, dir+"/base", disk.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		agree(t, dir+"/top", disk.OpenOptions{Parent: parent})

		var refused *disk.Refused
		if _, err := disktest.OpenFile(t, qcow2.Format, dir+"/top", disk.OpenOptions{}); !errors.As(err, &refused) || refused.Reason != disk.ReasonBacking {
			t.Errorf("alone: %v", err)
		}
		if _, err := disktest.OpenFile(t, qcow2.Format, dir+"/base", disk.OpenOptions{Parent: parent}); !errors.As(err, &refused) || refused.Reason != disk.ReasonBacking {
			t.Errorf("a parent that is not asked for: %v", err)
		}
	}
}

// TestSnapshots (S-110): what only an internal snapshot or an unused cluster
// holds is in no view.
func TestSnapshots(t *testing.T) {
	file := filepath.Join(t.TempDir(), "image")
	disktest.MustQEMU(t, "create", "-f", "qcow2", file, "8M")
	secret := bytes.Repeat([]byte{0xa5}, 512)
	qemuIO(t, file, "write -P 0xa5 1M 128k", "write -P 1 4M 64k")
	disktest.MustQEMU(t, "snapshot", "-c", "before", file)
	qemuIO(t, file, "write -P 2 1M 128k", "discard 4M 64k")
	d := agree(t, file, disk.OpenOptions{})

	if b, err := os.ReadFile(file); err != nil || !bytes.Contains(b, secret) {
		t.Fatalf("the file has no secret to lose, %v", err)
	}
	view, err := qcow2.Layout(t.Context(), d, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(io.NewSectionReader(view, 0, view.Size()))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b, secret) {
		t.Error("the view holds the snapshot's data")
	}
	report, err := qcow2.Check(t.Context(), view, view.Size(), disk.OpenOptions{})
	if err != nil || !report.Clean() || report.Snapshots != 0 {
		t.Errorf("the view: %+v, %v", report, err)
	}
	found := false
	for _, detail := range d.(disk.Detailer).Details() {
		found = found || detail == disk.Detail{Key: "snapshot", Value: "before"}
	}
	if !found {
		t.Error("the snapshot is not told of")
	}
}

// TestLeaksAndErrors makes files wrong in ways that qemu-img check counts.
func TestLeaksAndErrors(t *testing.T) {
	src := disktest.Samples()["spots"]
	view, err := qcow2.Layout(t.Context(), src, nil)
	if err != nil {
		t.Fatal(err)
	}
	good, err := io.ReadAll(io.NewSectionReader(view, 0, view.Size()))
	if err != nil {
		t.Fatal(err)
	}
	at := where(good)
	for _, tt := range []struct {
		name             string
		errors, overlaps int64
		leaks            int64
		change           func(b []byte)
	}{
		{"leak", 0, 0, 1, func(b []byte) { clear(b[at.l2 : at.l2+8]) }},
		{"refcount too high", 1, 0, 1, func(b []byte) { put16(b, at.refBlock+2, 2) }},
		{"refcount too low", 2, 0, 0, func(b []byte) { put16(b, at.refBlock+2, 0) }},
		{"copied flag missing", 1, 0, 0, func(b []byte) { b[at.l2] &= 0x7f }},
		// Two of the disk in one: an overlap, a refcount too low, and the other
		// cluster leaked.
		{"one cluster twice", 2, 1, 1, func(b []byte) { copy(b[at.l2:at.l2+8], b[at.l2+8:at.l2+16]) }},
		{"data in the L1 table", 2, 1, 1, func(b []byte) { put64(b, at.l2, 1<<63|uint64(at.l1)) }},
		{"marked corrupt", 1, 0, 0, func(b []byte) { put64(b, 72, 2) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := bytes.Clone(good)
			tt.change(b)
			report, err := qcow2.Check(t.Context(), bytes.NewReader(b), int64(len(b)), disk.OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if report.Errors != tt.errors || report.Overlaps != tt.overlaps || report.Leaks != tt.leaks {
				t.Errorf("%d errors, %d overlaps, %d leaks; want %d, %d, %d\n%s", report.Errors, report.Overlaps, report.Leaks,
					tt.errors, tt.overlaps, tt.leaks, strings.Join(report.Problems, "\n"))
			}
			file := filepath.Join(t.TempDir(), "image")
			if err := os.WriteFile(file, b, 0o600); err != nil {
				t.Fatal(err)
			}
			code, out := disktest.QEMU(t, "check", "-f", "qcow2", file)
			if tt.name == "marked corrupt" {
				return // QEMU looks only for what made it so
			}
			if bad := tt.errors > 0; bad && code != 2 || !bad && code != 3 {
				t.Errorf("qemu-img check: code %d\n%s", code, out)
			}
		})
	}
}

// TestCancel: a walk ends with its context.
func TestCancel(t *testing.T) {
	view, err := qcow2.Layout(t.Context(), disktest.Samples()["spots"], nil)
	if err != nil {
		t.Fatal(err)
	}
	d, err := qcow2.Open(t.Context(), view, view.Size(), disk.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range d.Extents(ctx, 0, d.Size()) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("extents: %v", err)
		}
	}
	if _, err := qcow2.Check(ctx, view, view.Size(), disk.OpenOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("check: %v", err)
	}
	s, err := qcow2.Stream(t.Context(), d, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.WriteTo(ctx, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("stream: %v", err)
	}
}
