package blocks

import (
	"bytes"
	"context"
	"io"
	"sync"

	"kuva/disk"
)

const (
	pageSize  = 32 << 10
	pageCount = 32 // kept; 1 MiB in all
)

// Table is an array of numbers in a file, read page by page. At most 1 MiB of
// it is kept. It is safe for concurrent use.
type Table struct {
	R     io.ReaderAt
	Off   int64 // of the first entry
	Count int64 // of entries
	Width int64 // bytes of an entry: a power of two up to 8

	mu    sync.Mutex
	pages map[int64]*page
	clock int64
}

type page struct {
	bytes []byte
	used  int64
}

// Page gives the bytes of the entries from i to the end of i's page. They must
// not be changed.
func (t *Table) Page(i int64) ([]byte, error) {
	no, within := i*t.Width/pageSize, i*t.Width%pageSize
	t.mu.Lock()
	t.clock++
	if p := t.pages[no]; p != nil {
		p.used = t.clock
		t.mu.Unlock()
		return p.bytes[within:], nil
	}
	t.mu.Unlock()
	// Two that miss the same page both read it: rare, and harmless.
	b := make([]byte, min(pageSize, t.Count*t.Width-no*pageSize))
	if err := disk.ReadFull(t.R, b, t.Off+no*pageSize); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pages == nil {
		t.pages = make(map[int64]*page, pageCount)
	}
	if len(t.pages) >= pageCount {
		oldest := int64(-1)
		for no, p := range t.pages {
			if oldest < 0 || p.used < t.pages[oldest].used {
				oldest = no
			}
		}
		delete(t.pages, oldest)
	}
	t.pages[no] = &page{b, t.clock}
	return b[within:], nil
}

// Decode tells what the raw entry of block i says.
type Decode func(entry []byte, i int64) (kind disk.Kind, at int64, err error)

// Run does the work of Look for a table with one entry a block.
func (t *Table) Run(i, limit, block int64, decode Decode) (kind disk.Kind, at, n int64, err error) {
	p, err := t.Page(i)
	if err != nil {
		return 0, 0, 0, err
	}
	return RunIn(p, t.Width, i, limit, block, decode)
}

// RunIn does it for entries that have been read: p begins with block i's.
func RunIn(p []byte, width, i, limit, block int64, decode Decode) (kind disk.Kind, at, n int64, err error) {
	limit = min(limit, int64(len(p))/width)
	p = p[:limit*width]
	if kind, at, err = decode(p[:width], i); err != nil {
		return 0, 0, 0, err
	}
	if kind != disk.Data && bytes.Equal(p[width:], p[:len(p)-int(width)]) {
		return kind, at, limit, nil // all entries are the same
	}
	for n = 1; n < limit; n++ {
		k, a, err := decode(p[n*width:(n+1)*width], i+n)
		if err != nil || k != kind || k == disk.Data && (at == disk.Nowhere || a != at+n*block) {
			break // an error is found again by whoever looks at that block
		}
	}
	return kind, at, n, nil
}

// Scan calls f for all entries, a page at a time and without keeping them. p
// begins with entry first.
func (t *Table) Scan(ctx context.Context, b *disk.Budget, f func(p []byte, first int64) error) error {
	if err := b.Read(t.Count * t.Width); err != nil {
		return err
	}
	buf := make([]byte, min(256<<10, t.Count*t.Width))
	for i := int64(0); i < t.Count; {
		n := min(t.Count-i, int64(len(buf))/t.Width)
		if err := b.Steps(ctx, n); err != nil {
			return err
		}
		p := buf[:n*t.Width]
		if err := disk.ReadFull(t.R, p, t.Off+i*t.Width); err != nil {
			return err
		}
		if err := f(p, i); err != nil {
			return err
		}
		i += n
	}
	return nil
}

// Same tells that all entries in p are the same.
func Same(p []byte, width int64) bool {
	return int64(len(p)) >= width && bytes.Equal(p[width:], p[:int64(len(p))-width])
}
