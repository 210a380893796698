package regf

import (
	"errors"
	"io"
	"sync"

	"kuva/disk"
	"kuva/guest/budget"
)

// source reads the bytes of a hive by pages, of which it keeps the latest.
// Cells are small and scattered, and the reader below may be a compressed file
// of a filesystem.
type source struct {
	r      io.ReaderAt
	size   int64
	budget *budget.Budget

	mu    sync.Mutex
	pages map[int64]*[pageSize]byte
	order []int64 // the pages in the order they came, as a ring
	next  int
}

const (
	pageSize = 4096
	maxPages = 256
)

// readFile fills p from the file, without the logs.
func (s *source) readFile(p []byte, off int64) error {
	if off < 0 || off > s.size-int64(len(p)) {
		return disk.Malform(format, "needs %d bytes at %d of a file of %d", len(p), off, s.size)
	}
	if err := s.budget.Read(int64(len(p))); err != nil {
		return err
	}
	n, err := s.r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return disk.Malform(format, "ends before %d", off+int64(len(p)))
	}
	return err
}

// read fills p with the bytes of the hive from off of the file, changed as the
// logs say.
func (h *Hive) read(p []byte, off int64) error {
	if end := h.end(); off < 0 || off > end-int64(len(p)) {
		return disk.Malform(format, "needs %d bytes at %d of a hive of %d", len(p), off, end)
	}
	if err := h.src.budget.Step(1 + int64(len(p))/pageSize); err != nil {
		return err
	}
	h.src.mu.Lock()
	defer h.src.mu.Unlock()
	for len(p) > 0 {
		page, err := h.page(off / pageSize)
		if err != nil {
			return err
		}
		n := copy(p, page[off%pageSize:])
		p, off = p[n:], off+int64(n)
	}
	return nil
}

// end is where the hive ends: a log may have made it longer.
func (h *Hive) end() int64 { return max(h.src.size, h.log.end) }

func (h *Hive) page(n int64) (*[pageSize]byte, error) {
	s := &h.src
	if page := s.pages[n]; page != nil {
		return page, nil
	}
	page := new([pageSize]byte)
	off := n * pageSize
	if in := min(s.size-off, pageSize); in > 0 {
		if err := s.readFile(page[:in], off); err != nil {
			return nil, err
		}
	}
	if err := h.log.apply(page[:], off); err != nil {
		return nil, err
	}
	if s.pages == nil {
		s.pages = map[int64]*[pageSize]byte{}
	}
	if len(s.order) < maxPages {
		s.order = append(s.order, n)
	} else {
		delete(s.pages, s.order[s.next])
		s.order[s.next] = n
		s.next = (s.next + 1) % maxPages
	}
	s.pages[n] = page
	return page, nil
}

// cellHead reads the first bytes of the cell at off, at most n and not more than
// it has, and tells how many bytes it has.
func (h *Hive) cellHead(off uint32, n int) (head []byte, size int64, err error) {
	if off%8 != 0 {
		return nil, 0, disk.Malform(format, "a cell at %#x, which is no multiple of 8", off)
	}
	var b [4]byte
	at := base + int64(off)
	if err := h.read(b[:], at); err != nil {
		return nil, 0, err
	}
	length := int32(le32(b[:]))
	if length >= 0 {
		return nil, 0, disk.Malform(format, "the cell at %#x is free", off)
	}
	size = -int64(length) - 4
	if size < 0 || size > h.end()-at-4 {
		return nil, 0, disk.Malform(format, "the cell at %#x has %d bytes", off, size)
	}
	head = make([]byte, min(int64(n), size))
	return head, size, h.read(head, at+4)
}

// cell reads the n bytes from the beginning of a cell, which must have them.
func (h *Hive) cell(off uint32, n int64) ([]byte, error) {
	if n > MaxValue {
		return nil, disk.Refuse(format, disk.ReasonLimit, "a record of %d bytes, the limit is %d", n, MaxValue)
	}
	if n > h.end() { // before memory is taken
		return nil, disk.Malform(format, "a record of %d bytes in a file of %d", n, h.end())
	}
	if err := h.src.budget.Alloc(n); err != nil {
		return nil, err
	}
	defer h.src.budget.Free(n)
	p, size, err := h.cellHead(off, int(n))
	if err != nil {
		return nil, err
	}
	if size < n {
		return nil, disk.Malform(format, "the cell at %#x has %d bytes of %d", off, size, n)
	}
	return p, nil
}
