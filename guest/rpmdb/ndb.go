package rpmdb

import (
	"encoding/binary"
	"io"

	"kuva/guest/budget"
)

// An NDB file begins with a header of 32 bytes, then slots of 16 bytes up to
// the end of the slot pages; a slot tells where a package's header lies, in
// blocks of 16 bytes. All numbers are little-endian.
const (
	ndbPage  = 4096
	ndbBlock = 16
)

func readNDB(r io.ReaderAt, size int64, b *budget.Budget, f func([]byte) error) error {
	var head [32]byte
	if err := b.ReadFull(r, head[:], 0); err != nil {
		return malformed("the header of NDB: %v", err)
	}
	pages := int64(binary.LittleEndian.Uint32(head[12:]))
	if pages == 0 || pages*ndbPage > size {
		return malformed("%d pages of slots in %d bytes", pages, size)
	}
	page := make([]byte, ndbPage)
	for n := range pages {
		if err := b.ReadFull(r, page, n*ndbPage); err != nil {
			return malformed("a page of slots: %v", err)
		}
		at := 0
		if n == 0 {
			at = len(head)
		}
		for ; at < ndbPage; at += 16 {
			s := page[at:][:16]
			if string(s[:4]) != "Slot" {
				return malformed("slot %d of page %d does not begin as one", at/16, n)
			}
			id, block := binary.LittleEndian.Uint32(s[4:]), int64(binary.LittleEndian.Uint32(s[8:]))
			if id == 0 || block == 0 {
				continue
			}
			if err := ndbBlob(r, block*ndbBlock, id, size, b, f); err != nil {
				return err
			}
		}
	}
	return nil
}

func ndbBlob(r io.ReaderAt, off int64, id uint32, size int64, b *budget.Budget, f func([]byte) error) error {
	var head [16]byte
	if err := b.ReadFull(r, head[:], off); err != nil {
		return malformed("package %d: %v", id, err)
	}
	length := int64(binary.LittleEndian.Uint32(head[12:]))
	if string(head[:4]) != "BlbS" || binary.LittleEndian.Uint32(head[4:]) != id || off+16+length > size {
		return malformed("package %d is not where its slot says", id)
	}
	return blob(b, length, func(p []byte) error {
		if err := b.ReadFull(r, p, off+16); err != nil {
			return err
		}
		return f(p)
	})
}
