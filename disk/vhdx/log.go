package vhdx

import (
	"cmp"
	"container/heap"
	"context"
	"encoding/binary"
	"io"
	"slices"
	"sort"

	"kuva/disk"
)

// logEntry is one entry of the log that is whole.
type logEntry struct {
	at, length    int64 // in the log
	tail          int64 // where the oldest entry is that must be replayed
	sequence      uint64
	flushed, last int64 // what the file had at least, and has with this entry
	bytes         []byte
	descriptors   int
}

const (
	entryHeader    = 64
	descriptorSize = 32
	// workFactor bounds how often the log is read over: hostile entries may
	// all claim to be as long as the log.
	workFactor = 8
)

// replay finds the sequence of entries that is to be replayed, and puts what
// it writes over the file. The rules are those of [MS-VHDX] 2.3.3.
func replay(ctx context.Context, r io.ReaderAt, size int64, h *header, budget *disk.Budget) (*patched, error) {
	n := int64(h.logLen)
	if h.logAt < mib || h.logAt%mib != 0 || n == 0 || n%mib != 0 || h.logAt > uint64(size) || int64(h.logAt)+n > size {
		return nil, disk.Malform(name, "a log of %d bytes at %d", n, h.logAt)
	}
	if n > maxLog {
		return nil, disk.Refuse(name, disk.ReasonLimit, "a log of %d bytes", n)
	}
	if err := budget.Read(n); err != nil {
		return nil, err
	}
	if err := budget.Alloc(2 * n); err != nil {
		return nil, err
	}
	defer budget.Free(2 * n)
	// The log is a ring; twice behind itself every entry is in one piece.
	b := make([]byte, 2*n)
	if err := disk.ReadFull(r, b[:n], int64(h.logAt)); err != nil {
		return nil, err
	}
	copy(b[n:], b[:n])
	l := &logRing{bytes: b, n: n, id: h.log, seen: map[int64]*logEntry{}, work: workFactor * n}
	sequence, err := l.active(ctx, budget)
	if err != nil {
		return nil, err
	}
	if len(sequence) == 0 {
		return nil, disk.Malform(name, "the file was not closed, and its log has nothing that is whole")
	}
	head := sequence[len(sequence)-1]
	if head.flushed > size {
		return nil, disk.Malform(name, "cut off: the log knows of %d bytes", head.flushed)
	}
	if head.last > MaxSize+MaxSize/64 {
		return nil, disk.Malform(name, "the log knows of %d bytes", head.last)
	}
	p := &patched{r: r, size: size, length: max(size, head.last)}
	var writes []patch
	for _, e := range sequence {
		if err := budget.Steps(ctx, int64(e.descriptors)); err != nil {
			return nil, err
		}
		if err := budget.Alloc(int64(e.descriptors)*patchSize + e.length); err != nil {
			return nil, err
		}
		if err := e.each(func(w patch) error {
			if w.at < regionsAt || w.end() > p.length || w.at < int64(h.logAt)+n && int64(h.logAt) < w.end() {
				return disk.Malform(name, "the log writes %d bytes at %d", w.n, w.at)
			}
			writes = append(writes, w)
			return nil
		}); err != nil {
			return nil, err
		}
	}
	p.patches = flatten(writes)
	return p, nil
}

type logRing struct {
	bytes []byte // twice
	n     int64
	id    guid
	seen  map[int64]*logEntry // nil: there is none that is whole
	work  int64
}

// active is the newest sequence of entries whose numbers follow each other and
// that reaches back to the tail that its last entry names. It begins there.
func (l *logRing) active(ctx context.Context, budget *disk.Budget) (best []*logEntry, err error) {
	for tail := int64(0); tail < l.n; {
		var seq []*logEntry
		total := int64(0)
		for {
			e, err := l.entry((tail + total) % l.n)
			if err != nil {
				return nil, err
			}
			if e == nil || total+e.length > l.n || len(seq) > 0 && e.sequence != seq[len(seq)-1].sequence+1 {
				break
			}
			seq = append(seq, e)
			total += e.length
		}
		if err := budget.Steps(ctx, int64(len(seq))+1); err != nil {
			return nil, err
		}
		begins := -1
		if len(seq) > 0 {
			head := seq[len(seq)-1]
			for i, e := range seq {
				if e.at == head.tail {
					begins = i
				}
			}
			if begins >= 0 && (best == nil || head.sequence > best[len(best)-1].sequence) {
				best = seq[begins:]
			}
		}
		if begins < 0 {
			tail += page
		} else {
			tail += total
		}
	}
	return best, nil
}

// entry reads the entry at some place of the log; nil if there is none that is
// whole.
func (l *logRing) entry(at int64) (*logEntry, error) {
	if e, ok := l.seen[at]; ok {
		return e, nil
	}
	e, err := l.parse(at)
	l.seen[at] = e
	return e, err
}

func (l *logRing) parse(at int64) (*logEntry, error) {
	le := binary.LittleEndian
	b := l.bytes[at:]
	if string(b[:4]) != "loge" || guid(b[32:]) != l.id {
		return nil, nil
	}
	e := &logEntry{
		at:          at,
		length:      int64(le.Uint32(b[8:])),
		tail:        int64(le.Uint32(b[12:])),
		sequence:    le.Uint64(b[16:]),
		descriptors: int(le.Uint32(b[24:])),
	}
	flushed, last := le.Uint64(b[48:]), le.Uint64(b[56:])
	if e.length < page || e.length%page != 0 || e.length > l.n || e.tail%page != 0 || e.tail >= l.n ||
		e.sequence == 0 || flushed > 1<<62 || last > 1<<62 ||
		e.descriptors > int(e.length/descriptorSize) {
		return nil, nil
	}
	e.flushed, e.last = int64(flushed), int64(last)
	if l.work -= e.length; l.work < 0 {
		return nil, disk.Malform(name, "the entries of the log lie over each other")
	}
	e.bytes = b[:e.length]
	if le.Uint32(b[4:]) != checksum(e.bytes) {
		return nil, nil
	}
	// All of it must make sense, else it counts as torn.
	if e.each(func(patch) error { return nil }) != nil {
		return nil, nil
	}
	return e, nil
}

// each gives what the entry writes.
func (e *logEntry) each(f func(patch) error) error {
	le := binary.LittleEndian
	wrong := disk.Malform(name, "an entry of the log makes no sense")
	// Descriptors fill whole pages, the pages of data follow.
	data := int64(entryHeader+e.descriptors*descriptorSize+page-1) / page * page
	for i := range e.descriptors {
		d := e.bytes[entryHeader+i*descriptorSize:][:descriptorSize]
		at := le.Uint64(d[16:])
		if le.Uint64(d[24:]) != e.sequence || at%page != 0 || at > 1<<62 {
			return wrong
		}
		switch string(d[:4]) {
		case "zero":
			n := le.Uint64(d[8:])
			if n == 0 || n%page != 0 || n > 1<<62-at {
				return wrong
			}
			if err := f(patch{at: int64(at), n: int64(n)}); err != nil {
				return err
			}
		case "desc":
			if data+page > e.length {
				return wrong
			}
			s := e.bytes[data:][:page]
			data += page
			if string(s[:4]) != "data" || le.Uint32(s[4:]) != uint32(e.sequence>>32) || le.Uint32(s[page-4:]) != uint32(e.sequence) {
				return wrong
			}
			// The page's own mark and numbers stand where bytes of it were,
			// and those in the descriptor.
			p := make([]byte, page)
			copy(p, d[8:16])
			copy(p[8:], s[8:page-4])
			copy(p[page-4:], d[4:8])
			if err := f(patch{int64(at), page, p}); err != nil {
				return err
			}
		default:
			return wrong
		}
	}
	return nil
}

// patched is a file with something over it.
type patched struct {
	r            io.ReaderAt
	size, length int64   // of the file, and with what was put behind its end
	patches      []patch // in order, not over each other
}

type patch struct {
	at, n int64
	data  []byte // nil: zeros
}

// patchSize is what a patch takes in memory beside its data, with what
// flatten makes of it.
const patchSize = 256

func (p patch) end() int64 { return p.at + p.n }

// flatten makes patches that do not lie over each other of those that do: the
// later one in the list counts.
func flatten(writes []patch) (flat []patch) {
	order := make([]int, len(writes))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(writes[a].at, writes[b].at) })
	var open newest // those that began before at
	at := int64(0)
	for len(order) > 0 || len(open) > 0 {
		for len(open) > 0 && writes[open[0]].end() <= at {
			heap.Pop(&open)
		}
		if len(open) == 0 {
			if len(order) == 0 {
				break
			}
			at = writes[order[0]].at
		}
		for len(order) > 0 && writes[order[0]].at <= at {
			heap.Push(&open, order[0])
			order = order[1:]
		}
		if len(open) == 0 || writes[open[0]].end() <= at {
			continue
		}
		w := writes[open[0]]
		end := w.end()
		if len(order) > 0 {
			end = min(end, writes[order[0]].at)
		}
		cut := patch{at: at, n: end - at}
		if w.data != nil {
			cut.data = w.data[at-w.at:][:cut.n]
		}
		flat = append(flat, cut)
		at = end
	}
	return flat
}

// newest is a heap of indices, the largest first.
type newest []int

func (n newest) Len() int           { return len(n) }
func (n newest) Less(i, j int) bool { return n[i] > n[j] }
func (n newest) Swap(i, j int)      { n[i], n[j] = n[j], n[i] }
func (n *newest) Push(v any)        { *n = append(*n, v.(int)) }

func (n *newest) Pop() any {
	last := (*n)[len(*n)-1]
	*n = (*n)[:len(*n)-1]
	return last
}

// ReadAt implements io.ReaderAt.
func (p *patched) ReadAt(b []byte, off int64) (int, error) {
	return disk.ReadAtFunc(b, off, p.length, func(b []byte, off int64) error {
		_, inside := disk.Clamp(off, int64(len(b)), p.size)
		if err := disk.ReadFull(p.r, b[:inside], off); err != nil {
			return err
		}
		clear(b[inside:])
		i := sort.Search(len(p.patches), func(i int) bool { return p.patches[i].at+p.patches[i].n > off })
		for ; i < len(p.patches) && p.patches[i].at < off+int64(len(b)); i++ {
			c := p.patches[i]
			lo, hi := max(off, c.at), min(off+int64(len(b)), c.at+c.n)
			if c.data == nil {
				clear(b[lo-off : hi-off])
			} else {
				copy(b[lo-off:hi-off], c.data[lo-c.at:])
			}
		}
		return nil
	})
}
