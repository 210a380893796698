package wrap_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"kuva/disk"
	"kuva/disk/disktest"
	"kuva/disk/wrap"
	"kuva/internal/testkit"
)

// unwrap reads a stream to its end.
func unwrap(t testing.TB, name string, r io.Reader, l wrap.Limits) ([]byte, error) {
	t.Helper()
	z, err := wrap.NewReader(t.Context(), name, r, l)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return io.ReadAll(z)
}

func isMalformed(err error) bool {
	var m *disk.Malformed
	return errors.As(err, &m)
}

func isRefused(err error, reason disk.Reason) bool {
	var r *disk.Refused
	return errors.As(err, &r) && r.Reason == reason
}

// pack lets a program compress.
func pack(t testing.TB, b []byte, program string, args ...string) []byte {
	t.Helper()
	testkit.Need(t, program)
	cmd := exec.Command(testkit.Program(program), append(args, "-c")...)
	cmd.Stdin = bytes.NewReader(b)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(program, args, err)
	}
	return out
}

// ways are what Debian's programs make, in kinds that differ inside.
var ways = map[string][][]string{
	"gzip":  {{"-1"}, {"-9"}},
	"bzip2": {{"-1"}, {"-9"}},
	"xz": {
		{"-0"},
		{"-9e"},
		{"--check=none"},
		{"--check=crc32"},
		{"--check=sha256"},
		{"-1", "--block-size=65536"},
		{"-1", "-T2", "--block-size=100000"},
		{"--delta=dist=4", "--lzma2=preset=1"},
		{"--lzma2=preset=1,lc=0,lp=2,pb=0"},
	},
	"zstd": {{"-1"}, {"-19"}, {"--fast=5"}, {"--no-check"}, {"-T2"}},
}

// TestPrograms reads what the programs of the formats make: once, and two
// streams one behind the other.
func TestPrograms(t *testing.T) {
	full := disktest.ReadAll(t, disktest.NewSynthetic(300_001, 5, disk.Extent{Off: 100, Len: 150_000}))
	for name, list := range ways {
		for _, args := range list {
			t.Run(name+strings.Join(args, ""), func(t *testing.T) {
				for _, want := range [][]byte{full, {}, {7}} {
					b := pack(t, want, name, args...)
					if got := wrap.Detect(b[:min(len(b), wrap.HeadLen)]); got != name {
						t.Fatalf("detected as %q", got)
					}
					got, err := unwrap(t, name, bytes.NewReader(b), wrap.Limits{})
					if err != nil || !bytes.Equal(got, want) {
						t.Fatalf("%d bytes, want %d; %v", len(got), len(want), err)
					}
					got, err = unwrap(t, name, iotest.OneByteReader(bytes.NewReader(slices.Concat(b, b))), wrap.Limits{})
					if err != nil || !bytes.Equal(got, slices.Concat(want, want)) {
						t.Fatalf("twice: %d bytes, want %d; %v", len(got), 2*len(want), err)
					}
				}
			})
		}
	}
}

// TestBroken cuts streams, changes them and puts something behind them.
func TestBroken(t *testing.T) {
	body := disktest.ReadAll(t, disktest.NewSynthetic(20_000, 6, disk.Extent{Off: 0, Len: 9_000}))
	zeros := make([]byte, 8)
	for name, list := range ways {
		b := pack(t, body, name, list[0]...)
		for _, tt := range []struct {
			what string
			file []byte
			ok   bool
		}{
			{"cut", b[:len(b)-1], false},
			{"cut in the middle", b[:len(b)/2], false},
			{"cut at the start", b[:5], false},
			{"nothing", nil, name == "zstd"}, // no frame is none too few
			{"something behind", slices.Concat(b, []byte("garbage!")), false},
			{"another behind", slices.Concat(b, pack(t, body, "gzip")), name == "gzip"},
			{"zeros behind", slices.Concat(b, zeros), name == "gzip" || name == "xz"},
			{"odd zeros behind", slices.Concat(b, zeros[:7]), name == "gzip"},
			{"zeros and more behind", slices.Concat(b, zeros, []byte("more")), false},
			{"changed at the end", change(b, len(b)-3), false},
			{"changed at the start", change(b, 1), false},
		} {
			t.Run(name+" "+tt.what, func(t *testing.T) {
				_, err := unwrap(t, name, bytes.NewReader(tt.file), wrap.Limits{})
				if tt.ok && err != nil || !tt.ok && !isMalformed(err) {
					t.Errorf("%v", err)
				}
			})
		}
		// Wherever a byte is changed, the checksum at the latest tells.
		for at := 0; at < len(b); at += 1 + len(b)/97 {
			got, err := unwrap(t, name, bytes.NewReader(change(b, at)), wrap.Limits{})
			var refused *disk.Refused
			if err == nil && !bytes.Equal(got, body) {
				t.Errorf("%s: changed at %d, and nobody noticed", name, at)
			}
			if err != nil && !isMalformed(err) && !errors.As(err, &refused) {
				t.Errorf("%s: changed at %d: %v is no error of ours", name, at, err)
			}
		}
	}
	if _, err := unwrap(t, "lz4", bytes.NewReader(nil), wrap.Limits{}); !isRefused(err, disk.ReasonUnsupported) {
		t.Errorf("lz4: %v", err)
	}
}

func change(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 0x55
	return b
}

// TestLimits (S-138): output, expansion and memory.
func TestLimits(t *testing.T) {
	zeros := make([]byte, 66<<20)
	same := bytes.Repeat([]byte("a"), 66<<20)
	gzipped := pack(t, same, "gzip", "-1")
	// A disk with a little of everything and much of nothing.
	empty := make([]byte, 200<<20)
	for at := 0; at < len(empty); at += 1 << 20 {
		copy(empty[at:], same[:4096])
	}
	for _, tt := range []struct {
		name, what string
		file       []byte
		limits     wrap.Limits
		want       bool // taken
	}{
		{"gzip", "output", pack(t, zeros[:1000], "gzip"), wrap.Limits{Output: 999}, false},
		{"gzip", "just", pack(t, zeros[:1000], "gzip"), wrap.Limits{Output: 1000}, true},
		{"gzip", "ratio", gzipped, wrap.Limits{}, false},
		{"zstd", "ratio", pack(t, same, "zstd"), wrap.Limits{}, false},
		{"bzip2", "ratio", pack(t, same, "bzip2"), wrap.Limits{}, false},
		{"xz", "ratio", pack(t, same, "xz", "-0"), wrap.Limits{}, false},
		{"gzip", "zeros", pack(t, zeros, "gzip", "-1"), wrap.Limits{}, true},
		{"zstd", "zeros", pack(t, zeros, "zstd"), wrap.Limits{}, true},
		{"zstd", "a nearly empty disk", pack(t, empty, "zstd"), wrap.Limits{}, true},
		{"zstd", "too many zeros", pack(t, empty, "zstd"), wrap.Limits{Output: 200<<20 - 1}, false},
		{"gzip", "no ratio", gzipped, wrap.Limits{Ratio: -1}, true},
		{"gzip", "free", gzipped, wrap.Limits{Free: 66 << 20}, true},
		{"zstd", "window", pack(t, zeros[:1000], "zstd", "--long=27"), wrap.Limits{Ratio: -1}, false},
		{"zstd", "larger window", pack(t, zeros[:1000], "zstd", "--long=27"), wrap.Limits{Ratio: -1, Memory: 1 << 30}, true},
		{"xz", "dictionary", pack(t, zeros[:1000], "xz", "--lzma2=dict=65MiB"), wrap.Limits{}, false},
		{"xz", "larger dictionary", pack(t, zeros[:1000], "xz", "--lzma2=dict=65MiB"), wrap.Limits{Memory: 1 << 30}, true},
	} {
		t.Run(tt.name+" "+tt.what, func(t *testing.T) {
			z, err := wrap.NewReader(t.Context(), tt.name, bytes.NewReader(tt.file), tt.limits)
			if err == nil {
				_, err = io.Copy(io.Discard, z)
				z.Close()
			}
			if tt.want && err != nil || !tt.want && !isRefused(err, disk.ReasonLimit) {
				t.Errorf("%v", err)
			}
		})
	}
}

// xzOf makes an xz stream of many blocks whose headers ask for a large
// dictionary and hold nothing but the end of LZMA2.
func xzOf(blocks int, dict byte) []byte {
	crc := func(b []byte) []byte { return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b)) }
	out := []byte("\xfd7zXZ\x00\x00\x00")
	out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(out[6:8]))
	index := []byte{0}
	index = binary.AppendUvarint(index, uint64(blocks))
	for range blocks {
		out = append(out, crc([]byte{2, 0, 0x21, 1, dict, 0, 0, 0})...)
		out = append(out, 0, 0, 0, 0)
		index = append(index, 13, 0)
	}
	for len(index)%4 != 0 {
		index = append(index, 0)
	}
	index = crc(index)
	out = append(out, index...)
	foot := binary.LittleEndian.AppendUint32(nil, uint32(len(index)/4-1))
	foot = append(foot, 0, 0)
	out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(foot))
	return append(append(out, foot...), "YZ"...)
}

// TestManyBlocks (S-132): 100,000 blocks that ask for 64 MiB each, or 50,000
// streams of nothing, cost no more than their bytes.
func TestManyBlocks(t *testing.T) {
	cpu := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	b := xzOf(100_000, 28)
	for name, b := range map[string][]byte{
		"xz":    b,
		"gzip":  bytes.Repeat(pack(t, nil, "gzip", "-9"), 50_000),
		"bzip2": bytes.Repeat(pack(t, nil, "bzip2", "-9"), 50_000),
		"zstd":  bytes.Repeat(pack(t, nil, "zstd", "-19"), 50_000),
	} {
		start := cpu()
		if got, err := unwrap(t, name, bytes.NewReader(b), wrap.Limits{}); err != nil || len(got) > 0 {
			t.Error(name, len(got), err)
		}
		if used := cpu() - start; used > 2*time.Second {
			t.Errorf("%s took %s", name, used)
		}
	}
	if _, err := unwrap(t, "xz", bytes.NewReader(xzOf(1, 40)), wrap.Limits{}); !isRefused(err, disk.ReasonLimit) {
		t.Errorf("a dictionary of 4 GiB: %v", err)
	}
}

// TestErrors: those of the reader and of the context come as they are, and a
// decoder leaves no goroutine.
func TestErrors(t *testing.T) {
	body := disktest.ReadAll(t, disktest.NewSynthetic(5<<18, 8, disk.Extent{Off: 0, Len: 5 << 18}))
	before := runtime.NumGoroutine()
	for name := range ways {
		b := pack(t, body, name)
		mine := errors.New("mine")
		if _, err := unwrap(t, name, io.MultiReader(bytes.NewReader(b[:len(b)/2]), iotest.ErrReader(mine)), wrap.Limits{}); err != mine {
			t.Errorf("%s: %v", name, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		z, err := wrap.NewReader(ctx, name, bytes.NewReader(b), wrap.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := z.Read(make([]byte, 10)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
		if _, err := io.Copy(io.Discard, z); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
		z.Close()
		if _, err := z.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s: read after the end", name)
		}
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines became %d", before, runtime.NumGoroutine())
}

func FuzzReader(f *testing.F) {
	for i, name := range wrap.Names {
		if _, err := exec.LookPath(name); err != nil {
			continue
		}
		for _, args := range ways[name] {
			f.Add(i, pack(f, []byte("some text, some text, some text"), name, args...))
		}
	}
	f.Add(1, xzOf(2, 0))
	f.Fuzz(func(t *testing.T, which int, b []byte) {
		name := wrap.Names[uint(which)%uint(len(wrap.Names))]
		got, err := unwrap(t, name, bytes.NewReader(b), wrap.Limits{Output: 1 << 20, Memory: 1 << 20})
		var refused *disk.Refused
		if err != nil && !isMalformed(err) && !errors.As(err, &refused) {
			t.Errorf("%s: %v is no error of ours", name, err)
		}
		if len(got) > 1<<20 {
			t.Errorf("%s: %d bytes", name, len(got))
		}
	})
}
