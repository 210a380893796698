package rpmdb_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kuva/disk"
	"kuva/guest/budget"
	"kuva/guest/rpmdb"
	"kuva/internal/testkit"
)

// install puts packages into a new SQLite database, the one kind that Debian's
// rpm writes, and returns its file.
func install(t *testing.T, rpms []string) string {
	t.Helper()
	dir := t.TempDir()
	args := []string{"--dbpath", dir, "--define", "_db_backend sqlite"}
	run(t, exec.Command("rpm", append(args, "--initdb")...))
	run(t, exec.Command("rpm", append(append(args, "-i", "--justdb", "--nodeps", "--force", "--nosignature", "--nodigest"), rpms...)...))
	return filepath.Join(dir, "rpmdb.sqlite")
}

func run(t *testing.T, c *exec.Cmd) []byte {
	t.Helper()
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", c.Args, err, stderr.Bytes())
	}
	return out
}

// build makes n packages.
func build(t *testing.T, n int) (files []string) {
	t.Helper()
	dir := t.TempDir()
	for i := range n {
		epoch, provides := "", ""
		if i%3 == 0 {
			epoch = fmt.Sprintf("Epoch: %d\n", i+1)
		}
		for j := range i * 40 { // some headers take more than a page
			provides += fmt.Sprintf("Provides: thing(%d-%d)\n", i, j)
		}
		spec := filepath.Join(dir, fmt.Sprintf("p%d.spec", i))
		text := fmt.Sprintf("Name: pack%d\nVersion: 1.%d\nRelease: %d.el9\n%sSummary: s\nLicense: GPLv2+ and MIT\nVendor: Rocky\nBuildArch: noarch\n%s%%description\nd\n%%files\n", i, i, i, epoch, provides)
		if err := os.WriteFile(spec, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		run(t, exec.Command("rpmbuild", "-bb", "--quiet", "--define", "_topdir "+dir, "--define", "_build_id_links none", spec))
	}
	files, err := filepath.Glob(filepath.Join(dir, "RPMS", "noarch", "*.rpm"))
	if err != nil || len(files) != n {
		t.Fatalf("%d packages, %v", len(files), err)
	}
	return files
}

func read(t *testing.T, file string, wal string) []string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var log []byte
	if wal != "" {
		if log, err = os.ReadFile(wal); err != nil {
			t.Fatal(err)
		}
	}
	got, err := parse(b, log, nil)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func parse(b, wal []byte, bud *budget.Budget) ([]string, error) {
	var out []string
	err := rpmdb.Read(bytes.NewReader(b), int64(len(b)), bytes.NewReader(wal), int64(len(wal)), bud, func(p rpmdb.Package) error {
		out = append(out, fmt.Sprintf("%s %s %s %s %s %s", p.Name, p.EVR(), p.Arch, p.License, p.Vendor, p.Source))
		return nil
	})
	slices.Sort(out)
	return out, err
}

// headers are the packages' headers, as SQLite itself reads them.
func headers(t *testing.T, file string) (blobs [][]byte) {
	t.Helper()
	out := run(t, exec.Command("sqlite3", file, "SELECT hex(blob) FROM Packages"))
	for _, line := range strings.Fields(string(out)) {
		b, err := hex.DecodeString(line)
		if err != nil {
			t.Fatal(err)
		}
		blobs = append(blobs, b)
	}
	return blobs
}

// ndb lays headers out as rpm's lib/backend/ndb does. Nothing in Debian writes
// this form, so it is made by hand.
func ndb(blobs [][]byte) []byte {
	le := binary.LittleEndian
	b := make([]byte, 4096)
	copy(b, "RpmP")
	le.PutUint32(b[12:], 1)
	for at := 32; at < 4096; at += 16 {
		copy(b[at:], "Slot")
	}
	for i, blob := range blobs {
		slot := b[32+16*(i+1):]
		le.PutUint32(slot[4:], uint32(i+1))
		le.PutUint32(slot[8:], uint32(len(b)/16))
		head := make([]byte, 16)
		copy(head, "BlbS")
		le.PutUint32(head[4:], uint32(i+1))
		le.PutUint32(head[12:], uint32(len(blob)))
		b = append(append(b, head...), blob...)
		b = append(b, make([]byte, -len(b)&15)...)
	}
	return b
}

// hash has Berkeley DB write a database, which rpm cannot any more.
func hash(t *testing.T, blobs [][]byte) []byte {
	t.Helper()
	var text strings.Builder
	text.WriteString("VERSION=3\nformat=bytevalue\ntype=hash\ndb_pagesize=4096\nHEADER=END\n 00000000\n 0c000000\n")
	for i, blob := range blobs {
		fmt.Fprintf(&text, " %08x\n %s\n", (i+1)<<24, hex.EncodeToString(blob))
	}
	text.WriteString("DATA=END\n")
	file := filepath.Join(t.TempDir(), "Packages")
	c := exec.Command("db5.3_load", "-h", filepath.Dir(file), "Packages")
	c.Stdin = strings.NewReader(text.String())
	run(t, c)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Databases in all three forms, against what rpm says.
func TestDatabases(t *testing.T) {
	testkit.Need(t, "rpm", "rpmbuild", "sqlite3", "db5.3_load")
	file := install(t, build(t, 12))
	out := run(t, exec.Command("rpm", "--dbpath", filepath.Dir(file), "--define", "_db_backend sqlite", "-qa", "--qf",
		`%{NAME} %|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE} %{ARCH} %{LICENSE} %{VENDOR} %{SOURCERPM}\n`))
	want := strings.Split(strings.TrimSpace(string(out)), "\n")
	slices.Sort(want)
	if got := read(t, file, ""); !slices.Equal(got, want) {
		t.Errorf("sqlite\n got %q\nwant %q", got, want)
	}
	blobs := headers(t, file)
	for form, b := range map[string][]byte{"ndb": ndb(blobs), "hash": hash(t, blobs)} {
		if got, err := parse(b, nil, nil); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v\n got %q\nwant %q", form, err, got, want)
		}
	}
}

// What is only in the write-ahead log counts, as it does for SQLite.
func TestWriteAheadLog(t *testing.T) {
	testkit.Need(t, "rpm", "rpmbuild", "sqlite3")
	rpms := build(t, 3)
	file := install(t, rpms)
	script := fmt.Sprintf("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; DELETE FROM Packages WHERE hnum=2;\n.shell cp %[1]s %[1]s.copy; cp %[1]s-wal %[1]s.copy-wal\n", file)
	c := exec.Command("sqlite3", file)
	c.Stdin = strings.NewReader(script)
	run(t, c)
	if got := read(t, file+".copy", ""); len(got) != 3 {
		t.Errorf("without the log: %q", got)
	}
	if got := read(t, file+".copy", file+".copy-wal"); len(got) != 2 {
		t.Errorf("with the log: %q", got)
	}
}

// Cut off or changed anywhere, a database is an error or fewer packages.
func TestDamage(t *testing.T) {
	testkit.Need(t, "rpm", "rpmbuild", "sqlite3", "db5.3_load")
	file := install(t, build(t, 2))
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	blobs := headers(t, file)
	for form, b := range map[string][]byte{"sqlite": b, "ndb": ndb(blobs), "hash": hash(t, blobs)} {
		for _, n := range []int{0, 10, 31, 99, 4096, len(b) / 2} {
			_, err := parse(b[:n], nil, nil)
			var m *disk.Malformed
			if err != nil && !errors.As(err, &m) {
				t.Errorf("%s of %d bytes: %v", form, n, err)
			}
		}
		for i := 0; i < len(b); i += 37 {
			c := slices.Clone(b)
			c[i] ^= 0xff
			_, _ = parse(c, nil, budget.New(t.Context(), budget.Limits{Steps: 100_000}))
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("SQLite format 3\x00\x10\x00"), []byte{})
	f.Add(append([]byte("RpmP\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00"), make([]byte, 4096)...), []byte{})
	f.Add(append(append(make([]byte, 12), 0x61, 0x15, 0x06, 0), make([]byte, 2048)...), []byte{})
	f.Fuzz(func(t *testing.T, b, wal []byte) {
		_, _ = parse(b, wal, budget.New(t.Context(), budget.Limits{Steps: 100_000, Read: 64 << 20, Memory: 32 << 20}))
	})
}
