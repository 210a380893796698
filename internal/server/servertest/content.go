package servertest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// Content makes size bytes from a seed, in pieces as disks have them: data
// that cannot be compressed, text, zeros, and pieces that many contents share.
func Content(seed uint64, size int) []byte {
	out := make([]byte, size)
	dice := rand.New(rand.NewPCG(seed, 1))
	const piece = 64 << 10
	for at := 0; at < size; at += piece {
		b := out[at:min(at+piece, size)]
		switch dice.IntN(8) {
		case 0: // zeros
		case 1:
			fill(b, dice.Uint64N(16)) // one of sixteen that all contents share
		case 2:
			line := fmt.Appendf(nil, "Nov 21 22:%02d:%02d host kernel: event %d\n", dice.IntN(60), dice.IntN(60), dice.Uint64())
			for i := 0; i < len(b); i += len(line) {
				copy(b[i:], line)
			}
		default:
			fill(b, dice.Uint64())
		}
	}
	return out
}

// Random makes size bytes that can neither be compressed nor found elsewhere.
func Random(seed uint64, size int) []byte {
	b := make([]byte, size)
	fill(b, seed|1<<63)
	return b
}

func fill(b []byte, seed uint64) {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	_, _ = rand.NewChaCha8(key).Read(b)
}

// SameBytes compares a stream with what it should be and says where they
// differ first.
func SameBytes(got io.Reader, want io.Reader) error {
	a, b := make([]byte, 1<<20), make([]byte, 1<<20)
	for at := int64(0); ; {
		n, errA := io.ReadFull(got, a)
		m, errB := io.ReadFull(want, b)
		if !bytes.Equal(a[:n], b[:m]) {
			i := 0
			for i < min(n, m) && a[i] == b[i] {
				i++
			}
			return fmt.Errorf("the bytes differ from byte %d on (%d and %d were compared)", at+int64(i), at+int64(n), at+int64(m))
		}
		at += int64(n)
		for _, err := range []error{errA, errB} {
			if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
				return fmt.Errorf("after %d bytes: %w", at, err)
			}
		}
		if errA != nil || errB != nil {
			return nil
		}
	}
}

// Size sums the bytes of all files below a folder whose path, relative to it,
// the filter takes (nil takes all).
func Size(dir string, filter func(path string) bool) (bytes int64, files int, err error) {
	err = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil || filter != nil && !filter(filepath.ToSlash(rel)) {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		bytes += info.Size()
		files++
		return nil
	})
	return bytes, files, err
}
