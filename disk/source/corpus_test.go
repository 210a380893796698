package source_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"kuva/disk"
	"kuva/disk/archive"
	"kuva/disk/disktest"
	"kuva/disk/formats"
	"kuva/disk/ovf"
	"kuva/disk/source"
	"kuva/disk/wrap"
)

var update = flag.Bool("update", false, "write docs/corpus.md anew")

// TestCorpus runs the archives, streams, descriptors and discs of the corpora:
// that of the project and, where CORPUS names one, the larger one beside it.
// docs/corpus.md is held to what comes of them.
func TestCorpus(t *testing.T) {
	rows := disktest.Corpus(t, "../testdata/corpus")
	if dir := os.Getenv("CORPUS"); dir != "" {
		rows = append(rows, disktest.Corpus(t, dir)...)
	} else {
		t.Run("CORPUS", func(t *testing.T) { t.Skip("not run: CORPUS is not set") })
	}
	var ledger disktest.Ledger
	for _, row := range rows {
		var run func(*testing.T, disktest.Row) string
		switch {
		case row.Class == "archive":
			run = archiveRow
		case row.Format == "zip-of-cases":
			run = casesRow
		case row.Class == "compress":
			run = compressRow
		case row.Class == "ovf":
			run = ovfRow
		case row.Format == "iso":
			run = isoRow
		default:
			continue
		}
		ledger.Run(t, row, run)
	}
	ledger.Check(t, "../../docs/corpus.md", "sources", *update)
}

// kind is the kind of one of our errors; all else fails the test.
func kind(t *testing.T, err error) string {
	t.Helper()
	var refused *disk.Refused
	var malformed *disk.Malformed
	switch {
	case err == nil:
		return "accepted"
	case errors.As(err, &malformed):
		return "malformed"
	case errors.As(err, &refused):
		return "refused " + string(refused.Reason)
	}
	t.Errorf("%v is no error of ours", err)
	return "error"
}

func number(t *testing.T, row disktest.Row, key string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(row.Oracle[key], 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return n
}

// stricter are archives that Python lists and we do not, and why.
var stricter = map[string]string{
	"go_tar_gnu-sparse-many-zeros.tar.bz2":                     "a map of 10 million pieces is over the limit of headers",
	"go_zip_readme.zip":                                        "a line feed follows the archive",
	"go_zip_comment-truncated.zip":                             "the comment is cut off",
	"test_option_stdout_size_exceeds_declared_stored.zip.uu":   "a stored member has two lengths",
	"test_read_format_zip_size_exceeds_declared_stored.zip.uu": "a stored member has two lengths",
	"test_read_format_zip_padded2.zip.uu":                      "something follows the archive",
	"test_read_format_zip_padded3.zip.uu":                      "something follows the archive",
}

func archiveRow(t *testing.T, row disktest.Row) string {
	r, size, ok := row.Open(t)
	if !ok {
		t.Fatalf("unknown wrapping %q", row.Outer)
	}
	format := row.Format
	if format == "ova" {
		format = "tar"
	}
	a, err := archive.Read(t.Context(), format, r, size, disk.NewBudget(disk.Limits{Memory: disktest.RowMemory}))
	outcome := kind(t, err)
	base := row.File[strings.LastIndexByte(row.File, '/')+1:]
	if want, listed := row.Oracle["py_members"]; listed {
		switch {
		case err != nil && stricter[base] == "":
			t.Errorf("%v; Python lists %s members", err, want)
		case err == nil && strconv.Itoa(len(a.Members)) != want:
			t.Errorf("%d members, Python lists %s", len(a.Members), want)
		}
	}
	if err != nil {
		return outcome
	}
	read, links := 0, 0
	var packed int64
	for i := range a.Members {
		m := &a.Members[i]
		packed += m.Packed
		if m.Kind == archive.Link {
			links++
		}
		body, err := a.Unpack(m)
		if err == nil && m.Size <= 64<<20 {
			var n int64
			if n, err = io.Copy(io.Discard, body); err == nil && n != m.Size {
				t.Errorf("%s has %d bytes, %d were read", m.Name, m.Size, n)
			}
		}
		if kind(t, err) == "accepted" {
			read++
		}
	}
	if packed > size {
		t.Errorf("members of %d bytes in %d", packed, size)
	}
	// As a source it is opened, or refused in so many words.
	s, err := source.Open(t.Context(), r, size, source.Options{Spool: spool(t)})
	if kind(t, err) == "accepted" {
		outcome += " with a disk"
		if row.Format == "ova" {
			if n, err := s.Verify(t.Context()); err != nil || n != 2 {
				t.Errorf("%d files were compared with the manifest, %v", n, err)
			}
		}
	}
	return outcome
}

func compressRow(t *testing.T, row disktest.Row) string {
	f, _ := disktest.File(t, row.Path)
	r := io.Reader(f)
	if strings.HasSuffix(row.File, ".base64") {
		row.Outer = "base64"
		plain, size, ok := row.Open(t)
		if !ok {
			t.Fatal(row.File)
		}
		r = io.NewSectionReader(plain, 0, size)
	}
	n, sum, err := unwrap(t, row.Format, r)
	outcome := kind(t, err)
	if strings.HasPrefix(row.Expected, "decode") {
		if want := number(t, row, "out_size"); err != nil || n != want || sum != row.Oracle["out_sha256"] {
			t.Errorf("%d bytes, want %d; %v, or other bytes", n, want, err)
		}
	} else if err == nil {
		t.Errorf("a broken stream of %d bytes is taken for whole", n)
	}
	return outcome
}

func unwrap(t *testing.T, name string, r io.Reader) (int64, string, error) {
	t.Helper()
	z, err := wrap.NewReader(t.Context(), name, r, wrap.Limits{})
	if err != nil {
		return 0, "", err
	}
	defer z.Close()
	h := sha256.New()
	n, err := io.Copy(h, z)
	return n, hex.EncodeToString(h.Sum(nil)), err
}

// casesRow runs the inputs in a zip through every decoder.
func casesRow(t *testing.T, row disktest.Row) string {
	r, size := disktest.File(t, row.Path)
	a, err := archive.Read(t.Context(), "zip", r, size, nil)
	if err != nil {
		t.Fatal(err)
	}
	outcomes := map[string]int{}
	files := int64(0)
	for i := range a.Members {
		m := &a.Members[i]
		if m.Kind != archive.File {
			continue
		}
		files++
		body, err := a.Unpack(m)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		if text, ok := strings.CutPrefix(string(b), "go test fuzz v1\n[]byte("); ok { // as Go keeps inputs of fuzzing
			input, err := strconv.Unquote(strings.TrimSuffix(strings.TrimSpace(text), ")"))
			if err != nil {
				t.Fatal(err)
			}
			b = []byte(input)
		}
		names := []string{wrap.Detect(b)}
		if names[0] == "" {
			names = wrap.Names
		}
		for _, name := range names {
			_, _, err := unwrap(t, name, strings.NewReader(string(b)))
			outcomes[kind(t, err)]++
		}
	}
	if want := number(t, row, "cases"); files != want {
		t.Errorf("%d cases, want %d", files, want)
	}
	return fmt.Sprint(outcomes)
}

func ovfRow(t *testing.T, row disktest.Row) string {
	text, err := os.ReadFile(row.Path)
	if err != nil {
		t.Fatal(err)
	}
	d, err := ovf.Parse(text)
	outcome := kind(t, err)
	if !strings.HasPrefix(row.Expected, "parse") {
		if err == nil && len(d.Warnings) == 0 {
			t.Error("neither refused nor warned about")
		}
		if err == nil {
			outcome = "warned about"
		}
		return outcome
	}
	if err != nil {
		t.Fatal(err)
	}
	var capacities []string
	for _, k := range d.Disks {
		capacities = append(capacities, strconv.FormatInt(k.Capacity/k.Units, 10))
	}
	if int64(len(d.Files)) != number(t, row, "files") || int64(len(d.Disks)) != number(t, row, "disks") ||
		strings.Join(capacities, ",") != row.Oracle["capacities"] {
		t.Errorf("%d files, %d disks of %v; want %v", len(d.Files), len(d.Disks), capacities, row.Oracle)
	}
	// In 0.9 a machine is no VirtualSystem by name, which is what was counted.
	if systems := number(t, row, "systems"); d.Version != "0.9" && int64(len(d.Systems)) != systems {
		t.Errorf("%d machines, want %d", len(d.Systems), systems)
	}
	return outcome
}

func isoRow(t *testing.T, row disktest.Row) string {
	r, size, ok := row.Open(t)
	if !ok {
		t.Fatalf("unknown wrapping %q", row.Outer)
	}
	d, v, err := formats.Open(t.Context(), r, size, disk.OpenOptions{})
	if err != nil || v.Name != "iso" {
		t.Fatal(v, err)
	}
	if d.Size() != number(t, row, "inner_size") || size >= math.MaxInt32 {
		t.Errorf("%d bytes", d.Size())
	}
	row.Digest(t, d, "")
	return kind(t, err)
}
