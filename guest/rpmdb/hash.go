package rpmdb

import (
	"encoding/binary"
	"io"

	"kuva/guest/budget"
)

// Berkeley DB's hash: pages of keys and values in turn, large values on chains
// of overflow pages. The byte order is that of the machine that wrote it.
const (
	hashMagic = 0x061561

	pageHashUnsorted = 2
	pageOverflow     = 7
	pageHash         = 13

	itemInline  = 1 // H_KEYDATA
	itemOffPage = 3 // H_OFFPAGE

	pageHeader = 26
)

type hash struct {
	r     io.ReaderAt
	b     *budget.Budget
	order binary.ByteOrder
	page  int64
	pages int64
}

func readHash(r io.ReaderAt, size int64, b *budget.Budget, f func([]byte) error) error {
	var meta [72]byte
	if err := b.ReadFull(r, meta[:], 0); err != nil {
		return malformed("the first page: %v", err)
	}
	h := hash{r: r, b: b, order: binary.LittleEndian}
	if h.order.Uint32(meta[12:]) != hashMagic {
		h.order = binary.BigEndian
	}
	h.page = int64(h.order.Uint32(meta[20:]))
	if h.page < 512 || h.page > 64<<10 || h.page&(h.page-1) != 0 {
		return malformed("pages of %d bytes", h.page)
	}
	if meta[24] != 0 {
		return malformed("the database is encrypted")
	}
	h.pages = size / h.page
	p := make([]byte, h.page)
	for n := int64(1); n < h.pages; n++ {
		if err := b.ReadFull(r, p, n*h.page); err != nil {
			return err
		}
		if t := p[25]; t != pageHashUnsorted && t != pageHash {
			continue
		}
		if err := h.items(p, f); err != nil {
			return err
		}
	}
	return nil
}

// items reads the values of one page: every second item, the others are keys.
// The item with the key 0 counts the packages and is no header.
func (h *hash) items(p []byte, f func([]byte) error) error {
	n := int(h.order.Uint16(p[20:]))
	if pageHeader+2*n > len(p) {
		return malformed("%d items on a page of %d bytes", n, len(p))
	}
	at := func(i int) int { return int(h.order.Uint16(p[pageHeader+2*i:])) }
	for i := 1; i < n; i += 2 {
		key, off := at(i-1), at(i)
		if off >= len(p) || key >= len(p) {
			return malformed("an item at %d of a page of %d bytes", off, len(p))
		}
		end := key // items grow from the end of the page
		switch p[off] {
		case itemInline:
			if end <= off || end-off-1 < 16 {
				continue // the counter, or too short for a header
			}
			if err := f(p[off+1 : end]); err != nil {
				return err
			}
		case itemOffPage:
			if off+12 > len(p) {
				return malformed("an item at the end of a page")
			}
			if err := h.offPage(int64(h.order.Uint32(p[off+4:])), int64(h.order.Uint32(p[off+8:])), f); err != nil {
				return err
			}
		}
	}
	return nil
}

// offPage puts a value together from its chain of pages.
func (h *hash) offPage(page, length int64, f func([]byte) error) error {
	return blob(h.b, length, func(value []byte) error {
		got := int64(0)
		p := make([]byte, h.page)
		for got < length {
			if page <= 0 || page >= h.pages {
				return malformed("a value goes on on page %d of %d", page, h.pages)
			}
			if err := h.b.ReadFull(h.r, p, page*h.page); err != nil {
				return err
			}
			n := int64(h.order.Uint16(p[22:])) // bytes on this page
			if p[25] != pageOverflow || n == 0 || pageHeader+n > h.page {
				return malformed("page %d is no part of a value", page)
			}
			got += int64(copy(value[got:], p[pageHeader:pageHeader+n]))
			page = int64(h.order.Uint32(p[16:]))
		}
		return f(value)
	})
}
