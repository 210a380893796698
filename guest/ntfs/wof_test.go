package ntfs_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"kuva/guest/guesttest"
	"kuva/guest/tree"
	"kuva/internal/testkit"
)

// packed gives a file's content as wimlib compresses it: the chunks of a WIM
// archive are those of a file that Windows compressed.
func packed(t *testing.T, content []byte, kind string, chunk int) []byte {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "archive.wim")
	run(t, "wimlib-imagex", "capture", dir, archive, "--compress="+kind, fmt.Sprint("--chunk-size=", chunk))
	b, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	table := b[le.Uint64(b[0x38:]):][:le.Uint64(b[0x30:])&(1<<56-1)]
	for ; len(table) >= 50; table = table[50:] {
		n, at := le.Uint64(table)&(1<<56-1), le.Uint64(table[8:])
		if le.Uint64(table[16:]) == uint64(len(content)) && table[7]&4 != 0 {
			return b[at:][:n]
		}
	}
	t.Fatal("the content is not in the archive, or not compressed")
	return nil
}

// TestWOF reads files that are compressed as Windows compresses its own.
func TestWOF(t *testing.T) {
	testkit.Need(t, "wimlib-imagex")
	program, err := os.ReadFile(testkit.Program("wimlib-imagex"))
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	for i := range 20_000 {
		fmt.Fprintln(&text, i, strings.Repeat("line", i%7))
	}
	rng := rand.New(rand.NewPCG(1, 1))
	mixed := bytes.Repeat([]byte("\xe8\x01\x02\x03\x00x"), 20_000)
	for range 3000 {
		mixed[rng.IntN(len(mixed))] = byte(rng.UintN(256))
	}
	for i := range 40_000 {
		mixed[20_000+i] = byte(rng.UintN(256)) // some chunks do not shrink
	}
	contents := map[string][]byte{
		"program": program, "text": text.Bytes(), "mixed": mixed, "zeros": make([]byte, 100_001), "short": []byte(strings.Repeat("short", 900)),
	}
	image := makeImage(t, 60<<20, "streams_interface=windows", func(dir string) {
		for i, kind := range []struct {
			name  string
			chunk int
		}{{"xpress", 4096}, {"lzx", 32768}, {"xpress", 8192}, {"xpress", 16384}} {
			for name, content := range contents {
				file := filepath.Join(dir, fmt.Sprint(name, i))
				must := func(err error) {
					t.Helper()
					if err != nil {
						t.Fatal(err)
					}
				}
				must(os.WriteFile(file, nil, 0o644))
				must(os.WriteFile(file+":WofCompressedData", packed(t, content, kind.name, kind.chunk), 0o644))
				must(os.Truncate(file, int64(len(content))))
				point := []byte("\x17\x00\x00\x80\x10\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x01\x00\x00\x00")
				point = binary.LittleEndian.AppendUint32(point, uint32(i))
				must(syscall.Setxattr(file, "system.ntfs_reparse_data", point, 0))
			}
		}
	})
	_, files := open(t, guesttest.RawFile(t, image))
	for i := range 4 {
		for name, want := range contents {
			name = fmt.Sprint(name, i)
			got, err := files.ReadFile(name)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: %d bytes of %d, %v", name, len(got), len(want), err)
				continue
			}
			file, err := files.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			p := make([]byte, 5000)
			off := int64(max(len(want)-7000, 0))
			if n, _ := file.(tree.File).ReadAt(p, off); !bytes.Equal(p[:n], want[off:][:n]) || n < 4500 {
				t.Errorf("%s: %d bytes at %d are others", name, n, off)
			}
		}
	}
}
