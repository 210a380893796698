package disk

import (
	"context"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Format is one way to keep a disk in a file: a row of the list in
// disk/formats. Functions that a format does not have are nil.
type Format struct {
	// Name is the word for the format everywhere: raw, qcow2, vmdk, vhd, …
	Name string
	// Aliases are other names that users type, such as vpc for vhd.
	Aliases []string

	// Probe tells whether a file of size bytes is of this format, by its
	// magic numbers only. It must not say so of files of other formats. The
	// error is one of reading. Nil for raw, which has no marks.
	Probe func(r io.ReaderAt, size int64) (bool, error)

	// Open reads header and tables of a file of size bytes and gives the disk
	// in it. r must stay open while the disk is used. It returns *Refused or
	// *Malformed, or an error of r.
	Open func(ctx context.Context, r io.ReaderAt, size int64, o OpenOptions) (Disk, error)

	// Layout lays a disk out as an uncompressed file. It walks the disk's
	// extents, keeps about a bit a block of the parts that have data, and
	// reads no data.
	Layout func(ctx context.Context, d Disk, s Settings) (View, error)

	// Stream lays a disk out as a compressed file.
	Stream func(ctx context.Context, d Disk, s Settings) (Stream, error)

	// Check looks for what is wrong inside a file, as qemu-img check does. The
	// error is for files that cannot be looked at.
	Check func(ctx context.Context, r io.ReaderAt, size int64, o OpenOptions) (*Report, error)

	// Settings are the keys that Layout and Stream understand.
	Settings []Setting
}

// Is tells whether name is the format's name or an alias; case does not count.
func (f *Format) Is(name string) bool {
	name = strings.ToLower(name)
	return f.Name == name || slices.Contains(f.Aliases, name)
}

// OpenOptions are what a caller hands over with a file. The zero value opens
// files that stand alone, under the default limits.
type OpenOptions struct {
	// Parent is the disk below this one: the backing file or parent that the
	// file names, opened by the caller. Without it such a file is refused;
	// with it a file that stands alone is refused as well.
	Parent Disk
	// Parts are the files that hold the data, in the order in which the file
	// names them (flat and split VMDK). Without them such a file is refused.
	Parts []Part
	// Budget bounds the cost; nil means the default limits.
	Budget *Budget
}

// Part is one file of a disk that lies in several.
type Part struct {
	R    io.ReaderAt
	Size int64
}

// Stream is a disk as a compressed file, made from front to back by several
// workers. Its bytes do not depend on their number nor on the target.
type Stream interface {
	// WriteTo writes the whole file and returns its length. If w is a Target,
	// one pass over the disk is enough for every format; else a format whose
	// header depends on what follows takes two.
	WriteTo(ctx context.Context, w io.Writer) (int64, error)
}

// Target is a file to write a disk or a stream to, such as an *os.File. What
// is not written reads as zeros.
type Target interface {
	io.WriterAt
	Truncate(size int64) error
}

// Settings are choices for a new file, by the names that qemu-img's -o takes.
// Keys that a format does not list are refused.
type Settings map[string]string

// Setting is a key that a format understands.
type Setting struct {
	Key  string
	Help string // values, default and meaning in one line
}

// Known refuses settings that are not in the list.
func (s Settings) Known(format string, list []Setting) error {
	for key := range s {
		if !slices.ContainsFunc(list, func(l Setting) bool { return l.Key == key }) {
			return Refuse(format, ReasonSetting, "there is no setting %q", key)
		}
	}
	return nil
}

// Bytes reads a number of bytes with an optional suffix k, M, G or T (powers
// of 1024), or gives def where the key is missing.
func (s Settings) Bytes(format, key string, def int64) (int64, error) {
	text, ok := s[key]
	if !ok {
		return def, nil
	}
	digits, shift := text, 0
	if n := len(text); n > 0 {
		if i := strings.IndexByte("kmgt", text[n-1]|0x20); i >= 0 {
			digits, shift = text[:n-1], 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > (1<<63-1)>>shift {
		return 0, Refuse(format, ReasonSetting, "%s=%q is not a number of bytes", key, text)
	}
	return n << shift, nil
}

// OneOf reads a word from a list, the first being the default.
func (s Settings) OneOf(format, key string, words ...string) (string, error) {
	text, ok := s[key]
	if !ok {
		return words[0], nil
	}
	if !slices.Contains(words, text) {
		return "", Refuse(format, ReasonSetting, "%s=%q is none of %s", key, text, strings.Join(words, ", "))
	}
	return text, nil
}

// Report is what Check found.
type Report struct {
	Format string
	// Blocks of the disk: all, those with data of their own in the file, and
	// of these the compressed ones.
	Blocks, Allocated, Compressed int64
	// Errors are references that are wrong and may lose or leak data: out of
	// the file, unaligned, not counted. Overlaps, counted among them too, are
	// places in the file that are used twice.
	Errors, Overlaps int64
	// Leaks are places in the file that are marked as used and are not. They
	// waste space and do no harm.
	Leaks int64
	// Snapshots that the file holds beside the disk.
	Snapshots int
	// End is the offset behind the last byte in use.
	End int64
	// Problems are the first findings in words, at most MaxProblems.
	Problems []string
}

// MaxProblems is how many findings a Report spells out.
const MaxProblems = 100

// Clean tells that neither errors nor leaks were found.
func (r *Report) Clean() bool { return r.Errors == 0 && r.Leaks == 0 }

// Detail is a fact about a file beside what a Disk says, for people: version,
// cluster size, compression, the name of a backing file.
type Detail struct{ Key, Value string }

// Detailer is a Disk that has details to tell.
type Detailer interface{ Details() []Detail }
