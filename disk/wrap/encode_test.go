package wrap_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"kuva/disk"
	"kuva/disk/disktest"
	"kuva/disk/wrap"
	"kuva/internal/testkit"
)

// TestWrite packs disks, to files and to pipes, and lets the programs of the
// formats unpack them.
func TestWrite(t *testing.T) {
	testkit.Need(t, "gzip", "zstd")
	samples := disktest.Samples()
	samples["blocks"] = disktest.NewSynthetic(9<<20, 77, disk.Extent{Off: 1 << 20, Len: 1 << 20}, disk.Extent{Off: 8<<20 - 5, Len: 10})
	for _, f := range []*disk.Format{wrap.Gzip, wrap.Zstd} {
		for name, src := range samples {
			for _, level := range []string{"", "1", "9"} {
				if level != "" && name != "odd" {
					continue
				}
				settings := disk.Settings{}
				if level != "" {
					settings["level"] = level
				}
				t.Run(f.Name+" "+name+level, func(t *testing.T) { testWrite(t, f, src, settings) })
			}
		}
		for _, bad := range []disk.Settings{{"level": "0"}, {"level": "20"}, {"level": "x"}, {"x": "1"}} {
			var refused *disk.Refused
			if _, err := f.Stream(t.Context(), samples["odd"], bad); !errors.As(err, &refused) || refused.Reason != disk.ReasonSetting {
				t.Errorf("%s %v: %v", f.Name, bad, err)
			}
		}
	}
}

// TestGolden holds the bytes: a change of layout, level or library shows here.
func TestGolden(t *testing.T) {
	src := disktest.NewSynthetic(3<<20+5, 4, disk.Extent{Off: 1 << 20, Len: 500_000})
	for f, want := range map[*disk.Format]string{
		wrap.Gzip: "a0bf3755ba6eb23222adcba919d140432964c618665b63d51bd8496b6ac96260",
		wrap.Zstd: "c9ef0707665c6d071cdd50c1e022179780b712d088c9e516d3d9a41173926a85",
	} {
		s, err := f.Stream(t.Context(), src, nil)
		if err != nil {
			t.Fatal(err)
		}
		h := sha256.New()
		if _, err := s.WriteTo(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != want {
			t.Errorf("%s: %s, want %s", f.Name, got, want)
		}
	}
}

func testWrite(t *testing.T, f *disk.Format, src disk.Disk, settings disk.Settings) {
	s, err := f.Stream(t.Context(), src, settings)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), f.Name)
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := s.WriteTo(t.Context(), out); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(5)) // workers follow it
	var pipe bytes.Buffer
	if n, err := s.WriteTo(t.Context(), struct{ io.Writer }{&pipe}); err != nil || n != int64(pipe.Len()) || !bytes.Equal(pipe.Bytes(), file) {
		t.Fatalf("a pipe gets %d bytes, %v, or others than a file", n, err)
	}
	want := disktest.ReadAll(t, src)
	program := map[string]string{"raw.gz": "gzip", "raw.zst": "zstd"}[f.Name]
	cmd := exec.Command(testkit.Program(program), "-dc")
	cmd.Stdin = bytes.NewReader(file)
	if got, err := cmd.Output(); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: %v, or other bytes", program, err)
	}
	wrapper := wrap.Detect(file)
	if wrapper != program {
		t.Fatalf("detected as %q", wrapper)
	}
	r, err := wrap.NewReader(t.Context(), wrapper, bytes.NewReader(file), wrap.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read back: %v, or other bytes", err)
	}
}
