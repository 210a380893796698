package dir

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"kuva/internal/blob"
	"kuva/internal/blob/blobtest"
)

const packSize, pieceSize = 32 << 20, 256 << 10

func benchStore(b *testing.B) *Store {
	s, err := Open(Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

func writePack(b *testing.B, s *Store, key string, piece []byte) {
	w, err := s.Create(ctx, key)
	if err != nil {
		b.Fatal(err)
	}
	defer w.Abort()
	for n := 0; n < packSize; n += len(piece) {
		if _, err := w.Write(piece); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkWritePack writes packs of 32 MiB in pieces of 256 KiB, each durable when
// it is done, and deletes all but the last 8.
func BenchmarkWritePack(b *testing.B) {
	for _, writers := range []int{1, 4} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			s, piece := benchStore(b), blobtest.Bytes("piece", pieceSize)
			b.SetBytes(packSize)
			b.SetParallelism(writers)
			next := make(chan int, 1)
			next <- 0
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := <-next
					next <- i + 1
					writePack(b, s, fmt.Sprintf("pack/r/%d/%d", i/100, i), piece)
					if old := i - 8; old >= 0 {
						s.Delete(ctx, fmt.Sprintf("pack/r/%d/%d", old/100, old))
					}
				}
			})
		})
	}
}

// BenchmarkPutCard writes small blobs: the price of durability alone.
func BenchmarkPutCard(b *testing.B) {
	for _, writers := range []int{1, 16} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			s, card := benchStore(b), blobtest.Bytes("card", 1000)
			next := make(chan int, 1)
			next <- 0
			b.SetParallelism(writers)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := <-next
					next <- i + 1
					if err := blob.Put(ctx, s, fmt.Sprintf("card/%d/%d", i%8, i), card); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// BenchmarkReadAt reads pieces at random from 16 packs that the kernel has cached.
func BenchmarkReadAt(b *testing.B) {
	for _, size := range []int{4 << 10, pieceSize} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s, piece := benchStore(b), blobtest.Bytes("piece", pieceSize)
			for i := range 16 {
				writePack(b, s, fmt.Sprintf("pack/r/0/%d", i), piece)
			}
			p := make([]byte, size)
			b.SetBytes(int64(size))
			for b.Loop() {
				key, off := fmt.Sprintf("pack/r/0/%d", rand.IntN(16)), rand.Int64N(packSize/int64(size))*int64(size)
				if _, err := s.ReadAt(ctx, key, p, off); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
