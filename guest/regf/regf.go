// Package regf reads the registry of Windows: hive files (SYSTEM, SOFTWARE,
// NTUSER.DAT and the like), without changing them.
//
//	h, err := regf.Open(f, size, regf.Options{})
//	key, err := h.Key(`ControlSet001\Services\viostor`)
//	start, err := key.Uint("Start")
//
// Hives of versions 1.2 to 1.6 are read. A hive whose last changes were not
// written to it yet says so in Info.Dirty; given its transaction logs, Open
// applies them in memory as Windows does at its next start.
//
// Hives come from strangers: every offset is checked, every count is bounded by
// the size of the file, loops are found, and all work is counted against the
// budget. What is wrong in a file is an error (*disk.Malformed), never a panic;
// what would cost too much is a *budget.Limit.
//
// The format is described in Maxim Suhanov's "Windows registry file format
// specification".
package regf

import (
	"encoding/binary"
	"io"
	"math/bits"
	"strings"
	"time"

	"kuva/disk"
	"kuva/guest/budget"
	"kuva/guest/internal/names"
)

const (
	format = "regf"
	// base is where the cells begin; their offsets count from here.
	base = 4096
	// maxDepth is how deep keys are: Windows makes no key below level 512.
	maxDepth = 512
	// MaxValue is how many bytes of data a value may have to be read, and how
	// large any other record is at most: 16 MiB. Windows advises 1 MiB.
	MaxValue = 16 << 20
)

// Options say how to open a hive. The zero value does for a clean one.
type Options struct {
	// Budget counts what reading costs; nil counts nothing.
	Budget *budget.Budget
	// Logs are the transaction logs that lie beside the hive (NAME.LOG, .LOG1,
	// .LOG2) in any order. They are looked at only if the hive is dirty.
	Logs []*io.SectionReader
}

// Info is what the header of a hive tells.
type Info struct {
	Version string    // "1.3", "1.5"
	Name    string    // the end of the path that the hive was stored under
	Written time.Time // last written
	// Dirty: the file was not closed; the last changes may be missing in it,
	// or half of them written. Windows mends that by the transaction logs.
	Dirty bool
	// Replayed tells how many entries of transaction logs were applied. With
	// any, the hive reads as it will be after the next start.
	Replayed int
	// Logs tells that a transaction log was given that holds changes newer
	// than the file, applied or not.
	Logs bool
}

// Hive is an open hive. Its methods may be called from any goroutine.
type Hive struct {
	src  source
	info Info
	root uint32
	log  overlay
}

// Open reads the header of a hive of size bytes. The reader must stay open
// until the last use of the hive.
func Open(r io.ReaderAt, size int64, o Options) (*Hive, error) {
	h := &Hive{src: source{r: r, size: min(size, 1<<32), budget: o.Budget}}
	var head [512]byte
	if err := h.src.readFile(head[:], 0); err != nil {
		return nil, err
	}
	if string(head[:4]) != "regf" {
		return nil, disk.Malform(format, "begins with %s", disk.Quote(head[:4]))
	}
	good := checksum(head[:508]) == le32(head[508:])
	primary, secondary := le32(head[4:]), le32(head[8:])
	h.info = header(head[:])
	h.info.Dirty = !good || primary != secondary
	if h.info.Dirty {
		if err := h.replay(head[:], good, o.Logs); err != nil {
			return nil, err
		}
	}
	if major, minor := le32(head[20:]), le32(head[24:]); major != 1 || minor < 2 {
		return nil, disk.Refuse(format, disk.ReasonFeature, "version %d.%d is not known", major, minor)
	}
	if kind := le32(head[28:]); kind != 0 {
		return nil, disk.Refuse(format, disk.ReasonUnsupported, "this is a transaction log, no hive")
	}
	h.root = le32(head[36:])
	return h, nil
}

// Info tells what the header says.
func (h *Hive) Info() Info { return h.info }

// Root is the key that all others are below.
func (h *Hive) Root() (*Key, error) { return h.key(h.root, nil) }

// Key finds a key by its path from the root, names separated by backslashes,
// in whatever case. An empty path is the root. The error of a key that is not
// there is fs.ErrNotExist. CurrentControlSet is no key of a file: the value
// Current of the key Select tells which ControlSet00N it stands for.
func (h *Hive) Key(path string) (*Key, error) {
	root, err := h.Root()
	if err != nil {
		return nil, err
	}
	return root.Key(path)
}

func header(head []byte) Info {
	version := le32(head[20:])
	minor := le32(head[24:])
	return Info{
		Version: decimal(version) + "." + decimal(minor),
		Name:    strings.TrimRight(names.UntilNUL(names.LE(head[48:112])), " "),
		Written: fileTime(binary.LittleEndian.Uint64(head[12:])),
	}
}

// checksum is the XOR of the header's words, with the values that would look
// like "none" replaced.
func checksum(b []byte) uint32 {
	var x uint32
	for i := 0; i < len(b); i += 4 {
		x ^= le32(b[i:])
	}
	switch x {
	case 0xffffffff:
		return 0xfffffffe
	case 0:
		return 1
	}
	return x
}

// fileTime turns units of 100 ns since 1601 into a time; the zero of either is
// the zero of the other.
func fileTime(t uint64) time.Time {
	if t == 0 {
		return time.Time{}
	}
	const toUnix = 11_644_473_600 // seconds
	hi, lo := bits.Div64(0, t, 10_000_000)
	return time.Unix(int64(hi)-toUnix, int64(lo)*100).UTC()
}

func le16(b []byte) uint16 { return binary.LittleEndian.Uint16(b) }
func le32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
