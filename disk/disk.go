// Package disk is about virtual disks: bytes that a guest would see, readable
// anywhere, with holes; and about files of a format that hold them.
//
//	file of any format ──Open──▶ Disk ──Layout──▶ View: a file of another format
//	                              │ └──Stream──▶ io.Writer: a compressed one
//	                              └── Overlay, Concat, Section: disks of disks
//
// The packages below read and write one format each; disk/formats lists them
// and tells by a file's bytes which of them it is. disk/source finds the disk in
// compressed files and archives. A View is computed while it
// is read: its header and tables follow from the extents of the disk, its data
// are read through. Nothing is stored twice and no scratch space is needed.
//
// Files come from strangers. Every count in a file is bounded before memory is
// taken for it (see Budget), what is wrong in a file is an error (*Malformed)
// and never a panic, and nothing that a file names is ever opened: a backing
// file, an external data file, a parent or a flat extent is refused (*Refused)
// unless the caller hands it over in OpenOptions.
package disk

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
)

// Disk is what a guest sees: Size bytes, readable anywhere, with holes.
//
// All methods may be called at the same time from any goroutine. A Disk holds
// no resources of its own; the reader under it is closed by whoever opened it,
// after the last call.
type Disk interface {
	// ReadAt reads guest-visible bytes; holes read as zeros. It is
	// io.ReaderAt to the letter: fewer bytes than asked for come with an
	// error, io.EOF at the end. A file that turns out broken on the way gives
	// a *Malformed.
	io.ReaderAt

	// Size is the length in bytes. It need not be a multiple of a sector.
	Size() int64

	// Extents tells in ascending order what lies in the n bytes from off,
	// without a gap and cut off at Size. Neighbours may be of the same kind.
	// An error ends the sequence and comes with the zero Extent. Nothing is
	// read but tables, and those as the sequence goes on.
	Extents(ctx context.Context, off, n int64) iter.Seq2[Extent, error]
}

// View is a disk laid out as a file of some format, computed while it is
// read. It is itself a Disk, of the file's bytes: Size is the exact length of
// the file, Extents tells which parts of the file hold nothing. The same disk
// with the same settings gives the same bytes for ever; a format that changes
// its layout raises its LayoutVersion and keeps the old one.
type View interface{ Disk }

// Kind says what an extent holds.
type Kind uint8

const (
	// Data is stored and has to be read; it may still be all zeros.
	Data Kind = iota
	// Zero reads as zeros because the file says so. In an Overlay it hides
	// what lies below.
	Zero
	// Hole reads as zeros because nothing is stored. In an Overlay what lies
	// below shows through.
	Hole
)

// String gives the word for the kind: data, zero or hole.
func (k Kind) String() string {
	switch k {
	case Data:
		return "data"
	case Zero:
		return "zero"
	case Hole:
		return "hole"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Nowhere is the At of an extent whose bytes do not lie in the file as they
// are: compressed, computed, or not of this file.
const Nowhere = -1

// Extent is a stretch of a disk, Len bytes from Off. Len is greater than 0.
type Extent struct {
	Off, Len int64
	Kind     Kind
	// At is where the bytes of a Data extent lie, uncompressed and in one
	// piece, in the reader that the disk was opened from, or Nowhere. It means
	// nothing for other kinds.
	At int64
}

// End is the offset of the first byte behind the extent.
func (e Extent) End() int64 { return e.Off + e.Len }

// IsZero tells whether p holds only zeros; an empty p does. Comparing p with
// itself one byte on runs in vector instructions.
func IsZero(p []byte) bool {
	return len(p) == 0 || p[0] == 0 && bytes.Equal(p[:len(p)-1], p[1:])
}

// Clamp cuts the range of n bytes from off to a disk of size bytes, as Extents
// does. What lies outside gives n = 0.
func Clamp(off, n, size int64) (int64, int64) {
	if off < 0 || n <= 0 || off >= size {
		return 0, 0
	}
	return off, min(n, size-off)
}

// ReadAtFunc does the work around a ReadAt that every Disk would have to do:
// it refuses negative offsets, cuts p at size, calls read for what is left and
// adds io.EOF where p reaches over the end.
func ReadAtFunc(p []byte, off, size int64, read func(p []byte, off int64) error) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("negative offset %d", off)
	}
	if len(p) == 0 {
		return 0, nil
	}
	if off >= size {
		return 0, io.EOF
	}
	var end error
	if int64(len(p)) > size-off {
		p, end = p[:size-off], io.EOF
	}
	if err := read(p, off); err != nil {
		return 0, err
	}
	return len(p), end
}
