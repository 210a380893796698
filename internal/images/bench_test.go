package images_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"runtime"
	"testing"

	"kuva/internal/blob/dir"
	"kuva/internal/catalog/catalogtest"
	"kuva/internal/depot"
	"kuva/internal/depot/keyfile"
	"kuva/internal/images"
)

// BenchmarkUpload takes 64 MiB of random data through the sink, into a
// directory, by one and by four senders.
func BenchmarkUpload(b *testing.B) {
	for name, senders := range map[string]int{"one": 1, "four": 4} {
		b.Run(name, func(b *testing.B) {
			db := catalogtest.SQLite(b)
			store, err := dir.Open(dir.Config{Dir: b.TempDir(), Reserve: -1})
			if err != nil {
				b.Fatal(err)
			}
			defer store.Close()
			keys, err := keyfile.Open(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			d, err := depot.Open(context.Background(), depot.Config{DB: db, Store: store, Keys: keys, Node: "bench", Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				b.Fatal(err)
			}
			defer d.Close()
			s := images.New(images.Config{DB: db, Depot: d})
			const size = 64 << 20
			contents := make([][]byte, senders)
			for i := range contents {
				contents[i] = make([]byte, size)
			}
			b.SetBytes(int64(senders) * size)
			seed := uint64(0)
			for b.Loop() {
				b.StopTimer()
				for i := range contents {
					seed++
					copy(contents[i], random(size, seed))
				}
				runtime.GC()
				b.StartTimer()
				done := make(chan error, senders)
				for _, content := range contents {
					go func() {
						img, err := s.Create(ctx, alice, images.NewImage{DiskFormat: "raw", ContainerFormat: "bare"})
						if err == nil {
							_, err = s.Ingest(ctx, alice, img.ID, images.Source{Content: io.MultiReader(bytes.NewReader(content)), Size: size})
						}
						done <- err
					}()
				}
				for range contents {
					if err := <-done; err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
