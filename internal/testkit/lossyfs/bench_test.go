package lossyfs

import (
	"os"
	"testing"
)

// How long a test waits for a crash: unmount, drop, mount.
func BenchmarkCrash(b *testing.B) {
	f := Test(b, Config{})
	for b.Loop() {
		if err := os.WriteFile(f.Dir()+"/a", make([]byte, 100_000), 0o600); err != nil {
			b.Fatal(err)
		}
		if err := f.Crash(0); err != nil {
			b.Fatal(err)
		}
	}
}

// A small write and its fsync, as a database does them.
func BenchmarkWriteSync(b *testing.B) {
	f := Test(b, Config{})
	g, err := os.Create(f.Dir() + "/a")
	if err != nil {
		b.Fatal(err)
	}
	defer g.Close()
	block := make([]byte, 4096)
	for b.Loop() {
		if _, err := g.WriteAt(block, 0); err != nil {
			b.Fatal(err)
		}
		if err := g.Sync(); err != nil {
			b.Fatal(err)
		}
	}
}

// A stream, as a store writes its packs.
func BenchmarkWriteStream(b *testing.B) {
	f := Test(b, Config{})
	g, err := os.Create(f.Dir() + "/a")
	if err != nil {
		b.Fatal(err)
	}
	defer g.Close()
	block := make([]byte, 1<<20)
	b.SetBytes(int64(len(block)))
	for b.Loop() {
		if _, err := g.WriteAt(block, 0); err != nil {
			b.Fatal(err)
		}
	}
}
