package rpmdb

import (
	"encoding/binary"
	"io"
	"math"

	"kuva/guest/budget"
)

// database is a SQLite file with its write-ahead log, page by page.
type database struct {
	r      io.ReaderAt
	b      *budget.Budget
	page   int64
	usable int64 // bytes of a page that are not reserved
	pages  int64
	wal    io.ReaderAt
	newer  map[uint32]int64 // pages that the log has, and where
}

const (
	maxTreeDepth = 20
	leafTable    = 0x0d
	innerTable   = 0x05
)

func readSQLite(r io.ReaderAt, size int64, wal io.ReaderAt, walSize int64, b *budget.Budget, f func([]byte) error) error {
	var head [100]byte
	if err := b.ReadFull(r, head[:], 0); err != nil {
		return malformed("SQLite's header: %v", err)
	}
	d := &database{r: r, b: b, page: int64(binary.BigEndian.Uint16(head[16:])), newer: map[uint32]int64{}}
	if d.page == 1 {
		d.page = 65536
	}
	if d.page < 512 || d.page&(d.page-1) != 0 {
		return malformed("SQLite's pages have %d bytes", d.page)
	}
	d.usable = d.page - int64(head[20])
	d.pages = size / d.page
	if d.usable < 480 {
		return malformed("SQLite's pages have %d usable bytes", d.usable)
	}
	if wal != nil {
		if err := d.readLog(wal, walSize); err != nil {
			return err
		}
	}
	root := uint32(0)
	err := d.table(1, 0, func(rec []byte) error {
		v, err := columns(rec, 4)
		if err != nil {
			return err
		}
		if len(v) == 4 && string(v[0].data) == "table" && string(v[1].data) == "Packages" {
			root = uint32(v[3].number)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if root == 0 {
		return malformed("there is no table of packages")
	}
	return d.table(root, 0, func(rec []byte) error {
		v, err := columns(rec, 2) // hnum, blob
		if err != nil {
			return err
		}
		if len(v) < 2 {
			return malformed("a row of %d columns", len(v))
		}
		return f(v[1].data)
	})
}

// readLog finds the pages of a write-ahead log that count: those of committed
// transactions, the newest of each. Checksums chain the frames.
func (d *database) readLog(wal io.ReaderAt, size int64) error {
	var head [32]byte
	if size < int64(len(head)) {
		return nil
	}
	if err := d.b.ReadFull(wal, head[:], 0); err != nil {
		return err
	}
	magic := binary.BigEndian.Uint32(head[:])
	if magic&^1 != 0x377f0682 || int64(binary.BigEndian.Uint32(head[8:])) != d.page {
		return nil // of another life of the file: SQLite does not use it either
	}
	var order binary.ByteOrder = binary.LittleEndian
	if magic&1 == 1 {
		order = binary.BigEndian
	}
	s0, s1 := walSum(order, head[:24], 0, 0)
	if s0 != binary.BigEndian.Uint32(head[24:]) || s1 != binary.BigEndian.Uint32(head[28:]) {
		return nil
	}
	pending := map[uint32]int64{}
	frame := make([]byte, 24+d.page)
	for off := int64(32); off+int64(len(frame)) <= size; off += int64(len(frame)) {
		if err := d.b.ReadFull(wal, frame, off); err != nil {
			return err
		}
		s0, s1 = walSum(order, frame[:8], s0, s1)
		s0, s1 = walSum(order, frame[24:], s0, s1)
		if string(frame[8:16]) != string(head[16:24]) || s0 != binary.BigEndian.Uint32(frame[16:]) || s1 != binary.BigEndian.Uint32(frame[20:]) {
			break
		}
		if err := d.b.Step(1); err != nil {
			return err
		}
		pending[binary.BigEndian.Uint32(frame)] = off + 24
		if n := binary.BigEndian.Uint32(frame[4:]); n != 0 { // a commit
			for page, at := range pending {
				d.newer[page] = at
			}
			clear(pending)
			d.pages = max(d.pages, int64(n))
		}
	}
	d.wal = wal
	return nil
}

func walSum(order binary.ByteOrder, p []byte, s0, s1 uint32) (uint32, uint32) {
	for i := 0; i+8 <= len(p); i += 8 {
		s0 += order.Uint32(p[i:]) + s1
		s1 += order.Uint32(p[i+4:]) + s0
	}
	return s0, s1
}

func (d *database) read(page uint32, p []byte) error {
	if at, ok := d.newer[page]; ok {
		return d.b.ReadFull(d.wal, p, at)
	}
	if page == 0 || int64(page) > d.pages {
		return malformed("page %d of %d", page, d.pages)
	}
	return d.b.ReadFull(d.r, p, int64(page-1)*d.page)
}

// table calls f for the rows of the table tree under a page.
func (d *database) table(page uint32, depth int, f func(rec []byte) error) error {
	if depth > maxTreeDepth {
		return malformed("a table is more than %d levels deep", maxTreeDepth)
	}
	p := make([]byte, d.page)
	if err := d.read(page, p); err != nil {
		return err
	}
	at := 0
	if page == 1 {
		at = 100
	}
	kind, cells := p[at], int(binary.BigEndian.Uint16(p[at+3:]))
	head := at + 8
	if kind == innerTable {
		head = at + 12
	}
	if kind != leafTable && kind != innerTable || head+2*cells > len(p) {
		return malformed("page %d has type %d and %d cells", page, kind, cells)
	}
	for i := range cells {
		c := int(binary.BigEndian.Uint16(p[head+2*i:]))
		if c+4 > len(p) {
			return malformed("a cell of page %d lies outside it", page)
		}
		var err error
		if kind == innerTable {
			err = d.table(binary.BigEndian.Uint32(p[c:]), depth+1, f)
		} else {
			err = d.cell(p, c, f)
		}
		if err != nil {
			return err
		}
	}
	if kind == innerTable {
		return d.table(binary.BigEndian.Uint32(p[at+8:]), depth+1, f)
	}
	return nil
}

// cell reads one row, with its overflow pages.
func (d *database) cell(p []byte, c int, f func(rec []byte) error) error {
	length, n := varint(p[c:])
	_, m := varint(p[min(c+n, len(p)):])
	if n == 0 || m == 0 {
		return malformed("a cell is cut off")
	}
	start := c + n + m
	u := d.usable
	local := length
	if most := u - 35; length > most {
		least := (u-12)*32/255 - 23
		if local = least + (length-least)%(u-4); local > most {
			local = least
		}
	}
	if local < 0 || int64(start)+local > int64(len(p)) {
		return malformed("a row of %d bytes lies outside its page", length)
	}
	if local == length {
		return f(p[start : int64(start)+length])
	}
	if int64(start)+local+4 > int64(len(p)) {
		return malformed("a row's overflow lies outside its page")
	}
	return blob(d.b, length, func(rec []byte) error {
		got := int64(copy(rec, p[start:int64(start)+local]))
		next := binary.BigEndian.Uint32(p[int64(start)+local:])
		q := make([]byte, d.page)
		for got < length {
			if err := d.read(next, q); err != nil {
				return err
			}
			got += int64(copy(rec[got:], q[4:u]))
			next = binary.BigEndian.Uint32(q)
		}
		return f(rec)
	})
}

// value is one column of a record.
type value struct {
	number int64
	data   []byte
}

// columns reads the first columns of a record.
func columns(rec []byte, most int) ([]value, error) {
	size, n := varint(rec)
	if n == 0 || size > int64(len(rec)) || size < int64(n) {
		return nil, malformed("a record's header of %d bytes in %d", size, len(rec))
	}
	head, body := rec[n:size], rec[size:]
	var out []value
	for len(head) > 0 && len(out) < most {
		kind, n := varint(head)
		if n == 0 {
			return nil, malformed("a record's header is cut off")
		}
		head = head[n:]
		var v value
		length := int64(0)
		switch {
		case kind >= 1 && kind <= 4:
			length = kind
		case kind == 5:
			length = 6
		case kind == 6 || kind == 7:
			length = 8
		case kind == 9:
			v.number = 1
		case kind >= 12:
			length = (kind - 12) / 2
		}
		if length > int64(len(body)) {
			return nil, malformed("a column of %d bytes in %d", length, len(body))
		}
		v.data, body = body[:length], body[length:]
		if kind >= 1 && kind <= 6 {
			for _, c := range v.data {
				v.number = v.number<<8 | int64(c)
			}
		}
		out = append(out, v)
	}
	return out, nil
}

// varint is SQLite's: up to nine bytes, the most significant first. n is 0
// where it is cut off or above what a length can be.
func varint(p []byte) (v int64, n int) {
	for i, c := range p {
		if i == 8 {
			if v > math.MaxInt64>>8 {
				return 0, 0
			}
			return v<<8 | int64(c), 9
		}
		v = v<<7 | int64(c&0x7f)
		if c < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}
