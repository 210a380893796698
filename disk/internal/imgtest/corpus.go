package imgtest

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kuva/disk"
)

// Row is a file of the corpus and what is known of it.
type Row struct {
	Path, Format, Expected string
	Oracle                 map[string]string
}

// Corpus runs the files of some format, by the corpus's name for it, that lie
// in testdata/corpus, and those of the folder that CORPUS names: accepted ones
// must have the size and the bytes that the oracle says. It gives the error of
// the others to refused.
func Corpus(t *testing.T, f *disk.Format, word string, refused func(t *testing.T, r Row, err error)) {
	folders := []string{filepath.Join("testdata", "corpus")}
	if dir := os.Getenv("CORPUS"); dir != "" {
		folders = append(folders, dir)
	} else {
		t.Log("not run: the rest of the corpus, since CORPUS is not set")
	}
	ran := 0
	for _, dir := range folders {
		for _, r := range rows(t, dir) {
			if r.Format != word {
				continue
			}
			ran++
			t.Run(r.Path, func(t *testing.T) {
				b := load(t, filepath.Join(dir, r.Path))
				d, err := f.Open(t.Context(), b, b.Size(), disk.OpenOptions{})
				if !strings.HasPrefix(r.Expected, "accept") && !strings.HasPrefix(r.Expected, "replay") {
					refused(t, r, err)
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if size, _ := strconv.ParseInt(r.Oracle["virtual_size"], 10, 64); d.Size() != size {
					t.Errorf("%d bytes, the oracle says %d", d.Size(), size)
				}
				want := r.Oracle["nz_sha256"]
				if want == "" {
					want = r.Oracle["after_replay_nz_sha256"]
				}
				if got := nonZero(t, d); got != want {
					t.Errorf("digest %s, the oracle says %s", got, want)
				}
				report, err := f.Check(t.Context(), b, b.Size(), disk.OpenOptions{})
				if err != nil || report.Errors != 0 {
					t.Errorf("check: %+v, %v", report, err)
				}
			})
		}
	}
	if ran == 0 {
		t.Error("no file of the corpus was run")
	}
}

func rows(t *testing.T, dir string) (all []Row) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "MANIFEST.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	var columns []string
	for lines.Scan() {
		fields := strings.Split(lines.Text(), "\t")
		switch {
		case strings.HasPrefix(lines.Text(), "#"):
			continue
		case columns == nil:
			columns = fields
			continue
		}
		get := func(column string) string { return fields[slices.Index(columns, column)] }
		if get("class") != "disk" {
			continue
		}
		r := Row{Path: get("file"), Format: get("format"), Expected: get("expected"), Oracle: map[string]string{}}
		for _, pair := range strings.Split(get("oracle"), "; ") {
			if key, value, ok := strings.Cut(pair, "="); ok {
				r.Oracle[key] = value
			}
		}
		all = append(all, r)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// load unpacks a file of the corpus.
func load(t *testing.T, path string) *bytes.Reader {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var r io.Reader = bytes.NewReader(b)
	switch filepath.Ext(path) {
	case ".gz":
		if r, err = gzip.NewReader(r); err != nil {
			t.Fatal(err)
		}
	case ".bz2":
		r = bzip2.NewReader(r)
	}
	if b, err = io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b)
}

// nonZero is the corpus's nz_sha256: over each 4096 bytes of the disk that are
// not all zero, behind their offset.
func nonZero(t *testing.T, d disk.Disk) string {
	t.Helper()
	const block = 4096
	h := sha256.New()
	buf := make([]byte, block)
	done := int64(0)
	for e, err := range d.Extents(t.Context(), 0, d.Size()) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind != disk.Data {
			continue
		}
		for off := max(done, e.Off/block*block); off < e.End(); off += block {
			n := min(block, d.Size()-off)
			clear(buf)
			if err := disk.ReadFull(d, buf[:n], off); err != nil {
				t.Fatal(err)
			}
			if !disk.IsZero(buf) {
				h.Write(binary.BigEndian.AppendUint64(nil, uint64(off)))
				h.Write(buf)
			}
			done = off + block
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
