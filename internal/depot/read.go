package depot

import (
	"container/list"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"sort"
	"sync"

	"kuva/internal/blob"
	"kuva/internal/catalog"
)

// loadRoot reads and opens a recipe. blob.ErrNotFound comes through: the
// caller looks for a newer generation.
func (d *Depot) loadRoot(ctx context.Context, key string) (*root, error) {
	b, err := blob.Get(ctx, d.store, key, maxRecordLen)
	if err != nil {
		return nil, err
	}
	realmID, keyID, err := recordKeys(rootMagic, b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	keys, err := d.keysOf(ctx, realmID, keyID)
	if err != nil {
		if errors.Is(err, sql.ErrNoRows) || errors.Is(err, errNoKey) {
			err = fmt.Errorf("%s: %w: %w", key, ErrDamaged, err)
		}
		return nil, err
	}
	body, err := keys.openRecord(rootMagic, key, b)
	if err != nil {
		return nil, err
	}
	r, err := decodeRoot(body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return r, nil
}

const rootMagic = "KUVAROOT"

// readSealed reads the sealed bytes of a chunk into buf, grown if need be.
func (d *Depot) readSealed(ctx context.Context, loc Loc, buf []byte) ([]byte, error) {
	if cap(buf) < int(loc.Sealed) {
		buf = make([]byte, loc.Sealed)
	}
	buf = buf[:loc.Sealed]
	return buf, readFull(ctx, d.store, loc.Pack.Key(), buf, int64(loc.Offset))
}

// openChunk reads, opens and so verifies one chunk, appended to dst. buf is
// for the sealed bytes.
func (d *Depot) openChunk(ctx context.Context, name Name, loc Loc, dst, buf []byte) ([]byte, error) {
	keys, err := d.keysOf(ctx, loc.Pack.Realm, loc.Pack.KeyID)
	if err != nil {
		return nil, err
	}
	sealed, err := d.readSealed(ctx, loc, buf)
	if err != nil {
		return nil, err
	}
	out, err := keys.open(dst, name, sealed, int(loc.Plain))
	if err != nil {
		return nil, fmt.Errorf("%s at %d: %w", loc.Pack.Key(), loc.Offset, err)
	}
	return out, nil
}

// segment is one that was read: its entries and where each begins.
type segment struct {
	entries []Entry
	starts  []int64 // offsets inside the segment
	length  int64
}

func newSegment(entries []Entry) *segment {
	s := &segment{entries: entries, starts: make([]int64, len(entries))}
	for i, e := range entries {
		s.starts[i] = s.length
		s.length += e.Len()
	}
	return s
}

// find returns the index of the entry that holds the offset, which must be
// inside the segment.
func (s *segment) find(off int64) int {
	return sort.Search(len(s.starts), func(i int) bool { return s.starts[i] > off }) - 1
}

// loadSegment reads a segment through the cache.
func (d *Depot) loadSegment(ctx context.Context, r segRef) (*segment, error) {
	if s := d.segments.get(r.Name, r.Loc); s != nil {
		return s, nil
	}
	b, err := d.openChunk(ctx, r.Name, r.Loc, nil, nil)
	if err != nil {
		return nil, err
	}
	entries, err := decodeSegment(b)
	if err != nil {
		return nil, fmt.Errorf("segment %x: %w", r.Name[:8], err)
	}
	s := newSegment(entries)
	d.segments.put(r.Name, r.Loc, s)
	return s, nil
}

// segmentCache is a small LRU of decoded segments (about 100 KiB each), shared
// by readers and writers.
type segmentCache struct {
	mu    sync.Mutex
	limit int
	order *list.List // of *cachedSegment, newest first
	at    map[Loc]*list.Element
}

type cachedSegment struct {
	name Name
	loc  Loc
	seg  *segment
}

func newSegmentCache(limit int) *segmentCache {
	return &segmentCache{limit: limit, order: list.New(), at: map[Loc]*list.Element{}}
}

func (c *segmentCache) get(name Name, loc Loc) *segment {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.at[loc]
	if e == nil {
		return nil
	}
	s := e.Value.(*cachedSegment)
	if s.name != name {
		return nil
	}
	c.order.MoveToFront(e)
	return s.seg
}

func (c *segmentCache) put(name Name, loc Loc, s *segment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.at[loc]; e != nil {
		e.Value = &cachedSegment{name, loc, s}
		return
	}
	c.at[loc] = c.order.PushFront(&cachedSegment{name, loc, s})
	for c.order.Len() > c.limit {
		old := c.order.Back()
		delete(c.at, old.Value.(*cachedSegment).loc)
		c.order.Remove(old)
	}
}

// Object is an open object. Its methods may be called at the same time.
type Object struct {
	d   *Depot
	ref int64

	mu  sync.Mutex
	gen *root
}

// OpenObject opens a live object: ErrNotFound where there is none.
func (d *Depot) OpenObject(ctx context.Context, ref int64) (*Object, error) {
	r, err := d.resolve(ctx, ref, 0)
	if errors.Is(err, ErrGone) {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("object %016x: %w", ref, err)
	}
	return &Object{d: d, ref: ref, gen: r}, nil
}

// resolve reads the current generation of an object, which must be greater
// than after. ErrGone where the object does not live any more.
func (d *Depot) resolve(ctx context.Context, ref, after int64) (*root, error) {
	for {
		var key string
		var gen int64
		err := d.db.View(ctx, func(tx *catalog.Tx) error {
			return tx.QueryRow(ctx, `SELECT r.key, r.gen FROM object o JOIN recipe r ON r.id = o.recipe
				WHERE o.ref = $1 AND o.state = 'live' AND r.state = 'current'`, ref).Scan(&key, &gen)
		})
		if errors.Is(err, sql.ErrNoRows) {
			return nil, ErrGone
		}
		if err != nil {
			return nil, err
		}
		if gen <= after {
			return nil, fmt.Errorf("%w: generation %d lacks a part", ErrDamaged, gen)
		}
		r, err := d.loadRoot(ctx, key)
		if !isNotFound(err) {
			if err == nil && (r.Object != ref || r.Gen != gen) {
				err = fmt.Errorf("%w: root of another object", ErrDamaged)
			}
			return r, err
		}
		after = gen // each round needs a greater generation, so it ends
	}
}

// newer replaces a generation of which a part was not found. It returns the
// one to go on with.
func (o *Object) newer(ctx context.Context, old *root) (*root, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.gen != old {
		return o.gen, nil
	}
	r, err := o.d.resolve(ctx, o.ref, old.Gen)
	if err != nil {
		return nil, err
	}
	o.gen = r
	return r, nil
}

func (o *Object) current() *root {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.gen
}

// Ref is the object's ref.
func (o *Object) Ref() int64 { return o.ref }

// Size is the object's length in bytes.
func (o *Object) Size() int64 { return o.current().Size }

// Kind says whether the bytes are exact or a disk.
func (o *Object) Kind() Kind { return o.current().Kind }

// Digests are those given at commit.
func (o *Object) Digests() Digests { return o.current().Digests }

// piece is a stretch of an object that lies in one chunk or one hole.
type piece struct {
	off   int64 // in the object
	n     int64
	entry Entry
	skip  int64 // bytes of the entry before the stretch
}

// pieceAt finds the stretch that begins at off.
func (d *Depot) pieceAt(ctx context.Context, r *root, off int64) (piece, error) {
	i := sort.Search(len(r.Segments), func(i int) bool { return r.Segments[i].First > off }) - 1
	if i < 0 {
		return piece{}, fmt.Errorf("%w: no segment at %d", ErrDamaged, off)
	}
	seg, err := d.loadSegment(ctx, r.Segments[i])
	if err != nil {
		return piece{}, err
	}
	in := off - r.Segments[i].First
	end := r.Size
	if i+1 < len(r.Segments) {
		end = r.Segments[i+1].First
	}
	if r.Segments[i].First+seg.length != end {
		return piece{}, fmt.Errorf("%w: segment %d is %d bytes", ErrDamaged, i, seg.length)
	}
	j := seg.find(in)
	e := seg.entries[j]
	skip := in - seg.starts[j]
	return piece{off: off, n: e.Len() - skip, entry: e, skip: skip}, nil
}

// readPiece fills p with the stretch from its beginning.
func (d *Depot) readPiece(ctx context.Context, pc piece, p []byte) error {
	if pc.entry.Hole > 0 {
		clear(p)
		return nil
	}
	sealed := sealedBufs.Get().(*[]byte)
	defer sealedBufs.Put(sealed)
	if pc.skip == 0 && int64(len(p)) == int64(pc.entry.Loc.Plain) {
		out, err := d.openChunk(ctx, pc.entry.Name, pc.entry.Loc, p[:0:len(p)], *sealed)
		if err == nil && &out[0] != &p[0] {
			copy(p, out)
		}
		return err
	}
	plain := plainBufs.Get().(*[]byte)
	defer plainBufs.Put(plain)
	out, err := d.openChunk(ctx, pc.entry.Name, pc.entry.Loc, (*plain)[:0], *sealed)
	if err != nil {
		return err
	}
	copy(p, out[pc.skip:])
	return nil
}

// ReadAt implements io.ReaderAt. Every byte that it returns was verified. A
// generation that was collected meanwhile is followed by its successor;
// ErrGone means that the object was deleted, ErrDamaged that stored bytes
// failed.
func (o *Object) ReadAt(p []byte, off int64) (int, error) {
	return o.readAt(context.Background(), p, off)
}

func (o *Object) readAt(ctx context.Context, p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	r, done := o.current(), 0
	for done < len(p) {
		if off >= r.Size {
			return done, io.EOF
		}
		pc, err := o.d.pieceAt(ctx, r, off)
		n := 0
		if err == nil {
			n = int(min(pc.n, int64(len(p)-done)))
			err = o.d.readPiece(ctx, pc, p[done:done+n])
		}
		if isNotFound(err) {
			if r, err = o.newer(ctx, r); err == nil {
				continue
			}
		}
		if err != nil {
			o.d.noteDamage(ctx, pc.entry.Loc.Pack, err)
			return done, fmt.Errorf("object %016x at %d: %w", o.ref, off, err)
		}
		done, off = done+n, off+int64(n)
	}
	return done, nil
}

// noteDamage marks a pack that failed under a reader, so that writers store
// its chunks anew and verify finds it.
func (d *Depot) noteDamage(ctx context.Context, p PackRef, cause error) {
	if !errors.Is(cause, ErrDamaged) || p.ID == 0 {
		return
	}
	d.log.Error("stored bytes are damaged", "pack", p.Key(), "error", cause)
	if d.ReadOnly() != nil {
		return
	}
	err := d.db.Update(context.WithoutCancel(ctx), func(tx *catalog.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE pack SET suspect = $2 WHERE id = $1`, p.ID, true)
		return err
	})
	if err != nil {
		d.log.Error("mark damaged pack", "pack", p.Key(), "error", err)
	}
}

var (
	sealedBufs = sync.Pool{New: func() any { b := make([]byte, maxSealedLen); return &b }}
	plainBufs  = sync.Pool{New: func() any { b := make([]byte, maxSealedLen); return &b }}
)
