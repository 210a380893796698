// Package ova writes virtual machines of one disk as OVA packages: a tar with a
// descriptor (OVF 1.0), a streamOptimized VMDK and a manifest, in the order and
// with the names that VirtualBox gives them. disk/source reads them.
package ova

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"kuva/disk"
	"kuva/disk/internal/keep"
	"kuva/disk/vmdk"
)

const (
	name  = "ova"
	block = 512 // of a tar
)

// Format is OVA's row in the list of what is written.
var Format = &disk.Format{Name: name, Open: open, Stream: Stream, Settings: settings}

func open(context.Context, io.ReaderAt, int64, disk.OpenOptions) (disk.Disk, error) {
	return nil, disk.Refuse(name, disk.ReasonUnsupported, "a package holds files of which one must be chosen")
}

// Stream makes a package. Layout version 1:
//
//	NAME.ovf │ NAME-disk001.vmdk │ NAME.mf
//
// The tar header in front of the VMDK and the descriptor tell its length. A
// file gets them when it is known. For a pipe the VMDK is kept in memory up to
// 64 MiB; a longer one is packed twice, to measure it and to send it, which
// gives the same bytes both times and needs no scratch space.
func Stream(ctx context.Context, d disk.Disk, s disk.Settings) (disk.Stream, error) {
	m, err := parseSettings(s)
	if err != nil {
		return nil, err
	}
	set := disk.Settings{"adapter_type": controllers[m.controller].adapter}
	if id, ok := s["uuid"]; ok {
		set["uuid"] = id
	}
	v, err := vmdk.Stream(ctx, d, set)
	if err != nil {
		return nil, err
	}
	m.capacity = (d.Size() + 511) &^ 511
	return &stream{machine: m, vmdk: v, keep: keep.DefaultMax}, nil
}

type stream struct {
	machine *machine
	vmdk    disk.Stream
	keep    int // keep.DefaultMax, less in tests
}

// WriteTo implements disk.Stream.
func (s *stream) WriteTo(ctx context.Context, w io.Writer) (int64, error) {
	if f, ok := w.(disk.Target); ok {
		return s.writeFile(ctx, f)
	}
	return s.writePipe(ctx, w)
}

// front is all that comes before the VMDK: two tar headers and the descriptor.
// Its length does not depend on the VMDK's.
func (s *stream) front(size int64) (front, descriptor []byte, err error) {
	descriptor = s.machine.descriptor(size)
	var b bytes.Buffer
	if err := add(&b, s.machine.base+".ovf", descriptor); err != nil {
		return nil, nil, err
	}
	err = header(&b, s.machine.base+diskSuffix, size)
	return b.Bytes(), descriptor, err
}

// back is all that comes behind the VMDK.
func (s *stream) back(size int64, descriptor []byte, sum hash.Hash) ([]byte, error) {
	of := sha256.Sum256(descriptor)
	manifest := fmt.Sprintf("SHA256 (%s.ovf) = %s\nSHA256 (%s%s) = %s\n",
		s.machine.base, hex.EncodeToString(of[:]), s.machine.base, diskSuffix, hex.EncodeToString(sum.Sum(nil)))
	var b bytes.Buffer
	b.Write(make([]byte, -size&(block-1)))
	if err := add(&b, s.machine.base+".mf", []byte(manifest)); err != nil {
		return nil, err
	}
	b.Write(make([]byte, 2*block)) // the end
	return b.Bytes(), nil
}

// header writes a tar header. Above 8 GiB the size is binary, as GNU tar and
// VirtualBox write it: ustar has no room for it, and one header stays one block.
func header(w io.Writer, file string, size int64) error {
	h := &tar.Header{
		Typeflag: tar.TypeReg, Name: file, Size: size, Mode: 0o644,
		Uname: "root", Gname: "root", Format: tar.FormatUSTAR,
	}
	if size >= 1<<33 {
		h.Format = tar.FormatGNU
	}
	return tar.NewWriter(w).WriteHeader(h)
}

// add writes a short member.
func add(b *bytes.Buffer, file string, text []byte) error {
	if err := header(b, file, int64(len(text))); err != nil {
		return err
	}
	b.Write(text)
	b.Write(make([]byte, -len(text)&(block-1)))
	return nil
}

func (s *stream) writeFile(ctx context.Context, f disk.Target) (int64, error) {
	if err := f.Truncate(0); err != nil {
		return 0, err
	}
	front, _, err := s.front(0)
	if err != nil {
		return 0, err
	}
	sum := sha256.New()
	out := io.NewOffsetWriter(f, int64(len(front)))
	size, err := s.vmdk.WriteTo(ctx, io.MultiWriter(out, sum))
	if err != nil {
		return 0, err
	}
	front, descriptor, err := s.front(size)
	if err != nil {
		return 0, err
	}
	back, err := s.back(size, descriptor, sum)
	if err != nil {
		return 0, err
	}
	if _, err := out.Write(back); err != nil {
		return 0, err
	}
	_, err = f.WriteAt(front, 0)
	return int64(len(front)) + size + int64(len(back)), err
}

func (s *stream) writePipe(ctx context.Context, w io.Writer) (int64, error) {
	sum := sha256.New()
	kept := keep.Buffer{Max: s.keep}
	size, err := s.vmdk.WriteTo(ctx, io.MultiWriter(&kept, sum))
	if err != nil {
		return 0, err
	}
	front, descriptor, err := s.front(size)
	if err != nil {
		return 0, err
	}
	if _, err := w.Write(front); err != nil {
		return 0, err
	}
	var again int64
	if !kept.Full() {
		again, err = kept.WriteTo(w)
	} else {
		again, err = s.vmdk.WriteTo(ctx, onlyWriter{w})
	}
	if err != nil {
		return 0, err
	}
	if again != size {
		return 0, fmt.Errorf("ova: the disk changed on the way: %d bytes and then %d", size, again)
	}
	back, err := s.back(size, descriptor, sum)
	if err != nil {
		return 0, err
	}
	_, err = w.Write(back)
	return int64(len(front)) + size + int64(len(back)), err
}

// onlyWriter hides what else a writer can.
type onlyWriter struct{ io.Writer }
