package disktest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kuva/disk"
)

// Row is one file of a corpus: its MANIFEST.tsv says what is expected of a
// reader, and what reference tools said of it.
type Row struct {
	Path                                          string // to open it
	File, Class, Format, Special, Expected, Outer string
	Oracle                                        map[string]string
}

// Corpus reads the manifest of a folder.
func Corpus(t testing.TB, dir string) []Row {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "MANIFEST.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []Row
	var columns []string
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") {
			continue
		}
		cells := strings.Split(line, "\t")
		if columns == nil {
			columns = cells
			continue
		}
		if len(cells) != len(columns) {
			t.Fatalf("%s: %d cells in %q", dir, len(cells), line)
		}
		cell := map[string]string{}
		for i, c := range columns {
			cell[c] = cells[i]
		}
		row := Row{
			File: cell["file"], Class: cell["class"], Format: cell["format"], Special: cell["special"],
			Expected: cell["expected"], Path: filepath.Join(dir, cell["file"]), Oracle: map[string]string{},
		}
		for pair := range strings.SplitSeq(cell["oracle"], "; ") {
			if k, v, ok := strings.Cut(pair, "="); ok {
				row.Oracle[k] = v
			}
		}
		row.Outer = row.Oracle["outer"]
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		t.Fatalf("%s: no rows", dir)
	}
	return rows
}

// Open opens the row's file without its wrappings, until the end of the test.
// ok is false where a wrapping is not known here.
func (row Row) Open(t testing.TB) (f *os.File, size int64, ok bool) {
	t.Helper()
	f, size = File(t, row.Path)
	if row.Outer == "" {
		return f, size, true
	}
	var r io.Reader = bufio.NewReader(f)
	for outer := range strings.SplitSeq(row.Outer, "+") {
		if r, ok = unwrap(t, r, outer); !ok {
			return nil, 0, false
		}
	}
	plain, err := os.Create(filepath.Join(t.TempDir(), "plain"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { plain.Close() })
	// With holes: some of these are 100 MiB of zeros.
	size = 0
	buf := make([]byte, 1<<20)
	for {
		n, err := io.ReadFull(r, buf)
		if !disk.IsZero(buf[:n]) {
			if _, err := plain.WriteAt(buf[:n], size); err != nil {
				t.Fatal(err)
			}
		}
		size += int64(n)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := plain.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return plain, size, true
}

// RawSum is the SHA-256 of a disk's bytes.
func RawSum(t testing.TB, d disk.Disk) string {
	t.Helper()
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(d, 0, d.Size())); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// NonZeroSum is the SHA-256 over the blocks of 4,096 bytes that are not all
// zero, each behind its offset as 8 bytes: cheap for disks with large holes.
func NonZeroSum(t testing.TB, d disk.Disk) string {
	t.Helper()
	const block = 4096
	h := sha256.New()
	next := int64(0) // the first block that has not been looked at
	buf := make([]byte, block)
	for e, err := range d.Extents(context.Background(), 0, d.Size()) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind != disk.Data {
			continue
		}
		for off := max(next, e.Off&^(block-1)); off < e.End(); off += block {
			next = off + block
			clear(buf)
			n := min(block, d.Size()-off)
			if err := disk.ReadFull(d, buf[:n], off); err != nil {
				t.Fatal(err)
			}
			if !disk.IsZero(buf) {
				h.Write(binary.BigEndian.AppendUint64(nil, uint64(off)))
				h.Write(buf)
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Digest compares a disk with what a row's reference tool made of it, by the
// keys with this prefix ("" or "after_replay_").
func (row Row) Digest(t testing.TB, d disk.Disk, prefix string) {
	t.Helper()
	compared := 0
	for key, sum := range map[string]func(testing.TB, disk.Disk) string{"nz_sha256": NonZeroSum, "raw_sha256": RawSum} {
		want := row.Oracle[prefix+key]
		if want == "" || key == "raw_sha256" && d.Size() > 256<<20 {
			continue
		}
		compared++
		if got := sum(t, d); got != want {
			t.Errorf("%s%s = %s, want %s", prefix, key, got, want)
		}
	}
	if compared == 0 {
		t.Errorf("the manifest has no digest that begins with %q: %v", prefix, row.Oracle)
	}
}

// ReadAll reads all bytes of a disk of test size.
func ReadAll(t testing.TB, d disk.Disk) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := io.Copy(&b, io.NewSectionReader(d, 0, d.Size())); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
