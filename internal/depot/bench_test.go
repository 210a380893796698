package depot

import (
	"context"
	"errors"
	"io"
	mrand "math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kuva/internal/blob/dir"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
)

// benchWorld is a depot over real files with the production pack size.
func benchWorld(b testing.TB) *world {
	s, err := dir.Open(dir.Config{Dir: b.TempDir(), Reserve: -1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	w := &world{tb: b, db: catalogtest.SQLite(b), store: s, keys: newTestKeys()}
	w.open(Config{PackSize: 32 << 20})
	return w
}

func cpuSeconds() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// perGiB reports CPU seconds a GiB: they hold on a busy machine too.
func perGiB(b *testing.B, bytes int64, run func()) {
	b.SetBytes(bytes)
	before := cpuSeconds()
	b.ResetTimer()
	run()
	b.StopTimer()
	b.ReportMetric((cpuSeconds()-before)/(float64(bytes)*float64(b.N)/(1<<30)), "CPU-s/GiB")
}

const benchSize = 512 << 20

// BenchmarkWrite stores 512 MiB of new random bytes.
func BenchmarkWrite(b *testing.B) {
	w, p := benchWorld(b), randomBytes(benchSize, 1)
	perGiB(b, benchSize, func() {
		for range b.N {
			// New content each time, cheaply: every chunk begins with a counter.
			salt := mrand.Uint64()
			for i := 0; i < len(p); i += 4096 {
				p[i], p[i+1], p[i+2] = byte(salt), byte(salt>>8), byte(salt>>16)
			}
			w.put("p", p)
		}
	})
}

// BenchmarkWriteAgain stores bytes that are there already.
func BenchmarkWriteAgain(b *testing.B) {
	w, p := benchWorld(b), randomBytes(benchSize, 1)
	w.put("p", p)
	perGiB(b, benchSize, func() {
		for range b.N {
			w.put("p", p)
		}
	})
}

// BenchmarkRead reads 512 MiB of random bytes in order, verified.
func BenchmarkRead(b *testing.B) {
	w := benchWorld(b)
	o, err := w.OpenObject(context.Background(), w.put("p", randomBytes(benchSize, 1)).Ref)
	if err != nil {
		b.Fatal(err)
	}
	perGiB(b, benchSize, func() {
		for range b.N {
			r := o.Reader(context.Background(), 0, o.Size())
			if n, err := r.WriteTo(io.Discard); n != benchSize || err != nil {
				b.Fatal(n, err)
			}
			r.Close()
		}
	})
}

// BenchmarkReadAt4K reads 4 KiB at random places.
func BenchmarkReadAt4K(b *testing.B) {
	w := benchWorld(b)
	o, err := w.OpenObject(context.Background(), w.put("p", randomBytes(benchSize, 1)).Ref)
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		p := make([]byte, 4096)
		for pb.Next() {
			if _, err := o.ReadAt(p, mrand.Int64N(benchSize-4096)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkStoreDisk stores the disk and then the snapshot that the
// environment names (raw files): CPU seconds and bytes in the store of each,
// to be compared with a backup program's.
func BenchmarkStoreDisk(b *testing.B) {
	var paths []string
	for _, name := range []string{"KUVA_BENCH_DISK", "KUVA_BENCH_SNAPSHOT"} {
		path := os.Getenv(name)
		if path == "" {
			b.Skip("not run: " + name + " names no raw disk")
		}
		paths = append(paths, path)
	}
	for range b.N {
		w := benchWorld(b)
		for i, path := range paths {
			f, err := os.Open(path)
			if err != nil {
				b.Fatal(err)
			}
			cpu := cpuSeconds()
			wr, err := w.Create(context.Background(), CreateOptions{Project: "p", Kind: KindDisk})
			if err != nil {
				b.Fatal(err)
			}
			if err := storeSparse(wr, f); err != nil {
				b.Fatal(err)
			}
			o, err := wr.Commit(Digests{}, nil)
			if err != nil {
				b.Fatal(err)
			}
			_ = f.Close()
			what := []string{"disk", "snapshot"}[i]
			b.ReportMetric(cpuSeconds()-cpu, "CPU-s-"+what)
			b.ReportMetric(float64(o.Fresh)/(1<<20), "MiB-"+what)
		}
	}
}

// storeSparse writes a file and skips its holes, as every reader of raw disks
// does.
func storeSparse(wr *Writer, f *os.File) error {
	const seekData, seekHole = 3, 4 // lseek(2)
	info, err := f.Stat()
	if err != nil {
		return err
	}
	for at := int64(0); at < info.Size(); {
		data, err := f.Seek(at, seekData)
		if errors.Is(err, syscall.ENXIO) {
			data = info.Size() // no data behind at
		} else if err != nil {
			return err
		}
		if err := wr.Skip(data - at); err != nil || data == info.Size() {
			return err
		}
		if at, err = f.Seek(data, seekHole); err != nil {
			return err
		}
		if _, err := wr.ReadFrom(io.NewSectionReader(f, data, at-data)); err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkLedger says how many bytes of SQL a TiB of stored bytes costs.
func BenchmarkLedger(b *testing.B) {
	w, p := benchWorld(b), randomBytes(benchSize, 1)
	size := func() (n int64) {
		err := w.db.View(context.Background(), func(tx *catalog.Tx) error {
			return tx.QueryRow(context.Background(), `SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()`).Scan(&n)
		})
		if err != nil {
			b.Fatal(err)
		}
		return n
	}
	before := size()
	for range b.N {
		salt := mrand.Uint64()
		for i := 0; i < len(p); i += 4096 {
			p[i], p[i+1], p[i+2] = byte(salt), byte(salt>>8), byte(salt>>16)
		}
		w.put("p", p)
	}
	tib := float64(b.N) * benchSize / (1 << 40)
	b.ReportMetric(float64(size()-before)/tib/(1<<20), "MiB-of-SQL/TiB")
}

// TestMemoryOfWriters: 16 uploads at once hold at most 10 MiB each above the
// base, at any moment.
func TestMemoryOfWriters(t *testing.T) {
	w := benchWorld(t)
	const writers = 16
	live := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	live() // pools give up what was not used between two collections
	before := live()
	var wg sync.WaitGroup
	var samples atomic.Int64 // a quick machine writes on until there are enough
	for i := range writers {
		wg.Go(func() {
			wr, err := w.Create(context.Background(), CreateOptions{Project: "p", Kind: KindExact})
			if err != nil {
				t.Error(err)
				return
			}
			defer wr.Abort()
			src := mrand.NewChaCha8([32]byte{byte(i)})
			buf := make([]byte, 64<<10)
			for n := 0; n < 24<<20 || samples.Load() < 8 && n < 1<<30; n += len(buf) {
				_, _ = src.Read(buf)
				if _, err := wr.Write(buf); err != nil {
					t.Error(err)
					break
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	var most int64
	for {
		select {
		case <-done:
			each := (most - before) / writers
			t.Logf("at most %d KiB for each of %d writers, %d samples", each>>10, writers, samples.Load())
			if each > 10<<20 {
				t.Errorf("a writer holds %d bytes", each)
			}
			if samples.Load() < 8 {
				t.Error("too few samples to tell")
			}
			return
		case <-time.After(20 * time.Millisecond):
			most = max(most, live())
			samples.Add(1)
		}
	}
}
