package osinfo

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"
)

// Bounds in bytes: how much of an unpacked initrd is looked at, of all of a
// guest's together, and how many zeros may lie between two archives.
const (
	maxInitrd  = 1 << 30
	maxInitrds = 2 << 30
	maxPadding = 1 << 20
)

// initrd tells which of the drivers are modules in an initrd: cpio archives one
// behind the other, the first ones perhaps plain (microcode), the last one
// packed (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).
// It stops as soon as all are found.
func (g *Guest) initrd(name string, want []string) (map[string]bool, error) {
	found := map[string]bool{}
	if len(want) == 0 {
		return found, nil
	}
	f, err := g.FS.Open(name)
	if err != nil {
		return found, err
	}
	defer f.Close()
	missing := map[string]bool{}
	for _, w := range want {
		missing[w] = true
	}
	limited := &io.LimitedReader{R: f, N: min(maxInitrd, maxInitrds-g.unpacked)}
	defer func() { g.unpacked += maxInitrd - limited.N }()
	err = g.archives(bufio.NewReaderSize(limited, 64<<10), 0, func(file string) bool {
		if m := module(file); missing[m] {
			found[m] = true
			delete(missing, m)
		}
		return len(missing) > 0
	})
	if err != nil {
		return found, &fs.PathError{Op: "unpack", Path: name, Err: err}
	}
	return found, nil
}

var errEnough = errors.New("all is found")

// archives calls see with the names in archives that lie one behind the other
// until it returns false.
func (g *Guest) archives(r *bufio.Reader, depth int, see func(name string) bool) error {
	for {
		if err := skipZeros(r); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		head, err := r.Peek(6)
		if err != nil && len(head) < 4 {
			return nil // less than any archive's start: padding
		}
		if isCPIO(head) {
			switch err := g.cpio(r, see); {
			case err == errEnough:
				return nil
			case err != nil:
				return err
			}
			continue
		}
		if depth > 0 {
			return nil // what follows an archive inside a packed one is padding
		}
		packed, err := unpacker(head, r)
		if err != nil {
			return err
		}
		limited := &io.LimitedReader{R: packed, N: maxInitrd}
		return g.archives(bufio.NewReaderSize(limited, 64<<10), depth+1, see)
	}
}

// skipZeros skips what pads archives. More of it than anybody writes ends what
// is looked at: a file can be all hole.
func skipZeros(r *bufio.Reader) error {
	for n := 0; ; n++ {
		if n > maxPadding {
			return io.EOF
		}
		b, err := r.ReadByte()
		if err != nil {
			return err
		}
		if b != 0 {
			return r.UnreadByte()
		}
	}
}

func isCPIO(head []byte) bool {
	return bytes.HasPrefix(head, []byte("070701")) || bytes.HasPrefix(head, []byte("070702"))
}

// unpacker opens what an initrd is packed with.
func unpacker(head []byte, r io.Reader) (io.Reader, error) {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return gzip.NewReader(r)
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20), zstd.WithDecoderMaxMemory(128<<20))
		if err != nil {
			return nil, err
		}
		return z, nil
	case bytes.HasPrefix(head, []byte("\xfd7zXZ\x00")):
		return xz.ReaderConfig{DictCap: 64 << 20}.NewReader(r)
	case bytes.HasPrefix(head, []byte("BZh")):
		return bzip2.NewReader(r), nil
	case bytes.HasPrefix(head, []byte{0x02, 0x21, 0x4c, 0x18}):
		return newLegacyLZ4(r), nil
	case bytes.HasPrefix(head, []byte{0x5d, 0x00, 0x00}):
		return lzma.ReaderConfig{DictCap: 64 << 20}.NewReader(r)
	}
	return nil, fmt.Errorf("no archive and no packing that is known begins with %x", head)
}

// cpio reads one archive of the "newc" format: a header of 110 characters, the
// name, the content, the last two padded to 4 bytes.
func (g *Guest) cpio(r *bufio.Reader, see func(name string) bool) error {
	var read int64
	var head [110]byte
	for {
		if err := g.Budget.Step(1); err != nil {
			return err
		}
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return fmt.Errorf("cpio: %w", err)
		}
		if !isCPIO(head[:]) {
			return errors.New("cpio: an entry does not begin as one")
		}
		size, nameLen := hex8(head[54:62]), hex8(head[94:102])
		if size < 0 || nameLen < 1 || nameLen > 4096 {
			return fmt.Errorf("cpio: a name of %d bytes, a file of %d", nameLen, size)
		}
		name := make([]byte, nameLen)
		if _, err := io.ReadFull(r, name); err != nil {
			return fmt.Errorf("cpio: %w", err)
		}
		read += int64(len(head)) + nameLen
		text := string(bytes.TrimRight(name, "\x00"))
		if text == "TRAILER!!!" {
			return nil // what pads it are zeros
		}
		skip := pad4(read) + size
		if !see(text) {
			return errEnough
		}
		skip += pad4(read + skip)
		read += skip
		if _, err := io.CopyN(io.Discard, r, skip); err != nil {
			return fmt.Errorf("cpio: %w", err)
		}
		if err := g.Budget.Err(); err != nil {
			return err
		}
	}
}

func pad4(n int64) int64 { return -n & 3 }

// hex8 is a number of eight hexadecimal digits, -1 where it is none.
func hex8(b []byte) int64 {
	var n int64
	for _, c := range b {
		switch {
		case '0' <= c && c <= '9':
			n = n<<4 | int64(c-'0')
		case 'a' <= c && c <= 'f':
			n = n<<4 | int64(c-'a'+10)
		case 'A' <= c && c <= 'F':
			n = n<<4 | int64(c-'A'+10)
		default:
			return -1
		}
	}
	return n
}
