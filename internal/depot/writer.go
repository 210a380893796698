package depot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"kuva/chunk"
	"kuva/internal/blob"
	"kuva/internal/catalog"
)

// CreateOptions say what object is to be written.
type CreateOptions struct {
	// Project owns the realm; "" is the platform.
	Project string
	Kind    Kind
	// Parent is an object that this one probably resembles (the image that a
	// snapshot was taken from). 0 if none; it need not exist.
	Parent int64
	// View is the version of the native view's layout, 0 for exact objects.
	View uint32
}

// ObjectInfo is what a commit made.
type ObjectInfo struct {
	Ref    int64
	Size   int64
	Stored int64 // sealed bytes that the object refers to, own and reused
	Fresh  int64 // sealed bytes of them that this writer added to the store
}

// Writer takes the bytes of one object. It holds at most two windows of
// windowChunks chunks in memory. It is used by one goroutine.
type Writer struct {
	d      *Depot
	ctx    context.Context
	cancel context.CancelFunc
	opt    CreateOptions
	lease  int64
	object int64
	recipe int64
	keys   *realmKeys
	common *realmKeys // of the platform, nil where that is the own realm

	cut    chunk.Cutter
	window []item
	held   int // chunks in window whose bytes it holds
	refs   int // and chunks that it refers to

	work   chan window   // for the pipeline
	idle   chan struct{} // closed when the pipeline ended
	failed error         // of the pipeline; read after idle is closed
	once   sync.Once
	ended  bool

	// What follows belongs to the pipeline.
	match    *matcher
	seg      segmenter
	segments []segRef
	live     map[PackRef]int64 // sealed bytes referred to, by pack
	counted  map[Loc]struct{}  // chunks counted in live, of the newest segments
	hooks    []hookRow
	packs    packQueue
	leased   map[int64]bool // packs that the lease holds
	refused  map[int64]bool // packs that the guard rule refused
	stored   int64
	fresh    int64
}

// item is a chunk or a run of holes on its way.
type item struct {
	hole  int64
	data  []byte // belongs to chunkBufs; nil where only the name is known
	plain int    // length of the chunk
	name  Name   // in the own realm
	other Name   // in the platform realm
	loc   Loc
	found bool
	named bool // data's names are known

	from *Object // whose chunk this is by reference, nil if nobody's
	off  int64   // of the chunk in from
}

// window is what goes to the pipeline at a time.
type window struct {
	items  []item
	answer chan<- []int // not nil: the items are names, see Named
	look   bool         // they are not added
}

type hookRow struct {
	name    Name
	segment int
}

// windowChunks is how many chunks a window holds. Two windows, one being filled
// and one being stored, are 4 MiB: sixteen uploads then fit into 200 MiB with
// everything else. A re-upload or a snapshot finds its like from the first
// window on all the same, because the first four chunks of each segment are
// hooks; what begins to resemble another object in the middle is found later
// by up to a window.
const windowChunks = 8

// chunkBufs are the buffers of chunks on their way, shared by all writers.
var chunkBufs = sync.Pool{New: func() any { b := make([]byte, chunk.Size); return &b }}

func getChunkBuf() []byte  { return *chunkBufs.Get().(*[]byte) }
func putChunkBuf(b []byte) { b = b[:chunk.Size]; chunkBufs.Put(&b) }

// Create begins an object: a live lease and an announced recipe. The context
// holds for the whole life of the writer.
func (d *Depot) Create(ctx context.Context, opt CreateOptions) (*Writer, error) {
	if err := d.ReadOnly(); err != nil {
		return nil, err
	}
	if err := d.roomToWrite(); err != nil {
		return nil, err
	}
	own, err := d.realmOf(ctx, opt.Project)
	if err != nil {
		return nil, err
	}
	w := &Writer{
		d: d, opt: opt, lease: catalog.NewID(), object: catalog.NewID(), recipe: catalog.NewID(), keys: own.current,
		live: map[PackRef]int64{}, counted: map[Loc]struct{}{}, leased: map[int64]bool{}, refused: map[int64]bool{},
		work: make(chan window), idle: make(chan struct{}),
	}
	if own.kind != realmPlatform {
		platform, err := d.realmOf(ctx, "")
		if err != nil {
			return nil, err
		}
		w.common = platform.current
	}
	err = d.db.Update(ctx, func(tx *catalog.Tx) error {
		if err := d.insertLease(ctx, tx, w.lease, leaseNode); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO recipe (id, object, gen, key, state, lease, condemned_epoch, bytes) VALUES ($1, $2, 1, $3, 'announced', $4, 0, 0)`,
			w.recipe, w.object, recipeKey(w.keys.realm, w.object, 1), w.lease)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("begin object: %w", err)
	}
	w.ctx, w.cancel = context.WithCancel(ctx)
	w.cut = chunk.Cutter{Emit: w.emit, Buffer: getChunkBuf}
	w.match = newMatcher(w)
	w.packs = packQueue{w: w}
	d.writers.Add(1)
	go w.pipeline()
	return w, nil
}

// Lease is the row that keeps the writer's packs. The image that is being
// filled names it.
func (w *Writer) Lease() int64 { return w.lease }

// Size is the number of bytes taken so far, holes included.
func (w *Writer) Size() int64 { return w.cut.Offset() }

// Write takes the next bytes. It blocks while the store is slower.
func (w *Writer) Write(p []byte) (int, error) { return w.cut.Write(p) }

// WriteChunk takes p as a chunk of its own, of 1 to chunk.Size bytes. h must be
// its hash, which the caller has compared: it is not made again. Zeros are a
// hole.
func (w *Writer) WriteChunk(p []byte, h chunk.Hash) error {
	if len(p) == 0 || len(p) > chunk.Size {
		return fmt.Errorf("chunk of %d bytes", len(p))
	}
	if chunk.IsZero(p) {
		return errors.Join(w.cut.Cut(), w.cut.Skip(int64(len(p))), w.cut.Cut())
	}
	if err := w.cut.Pass(int64(len(p))); err != nil {
		return err
	}
	it := item{data: append(getChunkBuf()[:0], p...), plain: len(p), named: true}
	w.label(&it, h)
	w.window = append(w.window, it)
	if w.held++; w.held == windowChunks {
		return w.send()
	}
	return nil
}

// ReadFrom implements io.ReaderFrom: it reads straight into the buffers of
// chunks.
func (w *Writer) ReadFrom(r io.Reader) (int64, error) { return w.cut.ReadFrom(r) }

// Skip takes n bytes of zeros.
func (w *Writer) Skip(n int64) error { return w.cut.Skip(n) }

// Cut ends the current chunk, so that the next byte begins a new one.
func (w *Writer) Cut() error { return w.cut.Cut() }

// emit takes a piece from the cutter.
func (w *Writer) emit(p chunk.Piece) error {
	if p.Data == nil {
		if n := len(w.window); n > 0 && w.window[n-1].hole > 0 {
			w.window[n-1].hole += p.Len
			return nil
		}
		w.window = append(w.window, item{hole: p.Len})
		return nil
	}
	w.window = append(w.window, item{data: p.Data, plain: len(p.Data)})
	if w.held++; w.held == windowChunks {
		return w.send()
	}
	return nil
}

// send hands the window to the pipeline.
func (w *Writer) send() error {
	if len(w.window) == 0 {
		return nil
	}
	if err := w.hand(window{items: w.window}); err != nil {
		return err
	}
	w.window, w.held, w.refs = nil, 0, 0
	return nil
}

func (w *Writer) hand(win window) error {
	select {
	case w.work <- win:
		return nil
	case <-w.idle:
		return w.whyIdle()
	}
}

// whyIdle is the error of a pipeline that ended too early.
func (w *Writer) whyIdle() error {
	if w.failed == nil {
		return errors.New("write to an ended object")
	}
	return w.failed
}

// pipeline stores window after window until the channel is closed or one
// fails.
func (w *Writer) pipeline() {
	defer close(w.idle)
	for win := range w.work {
		var err error
		if win.answer != nil {
			err = w.named(win)
		} else {
			err = w.take(win.items)
		}
		release(win.items)
		if err != nil {
			w.failed = err
			return
		}
	}
	w.failed = w.flush()
}

// release gives the buffers of chunks back.
func release(items []item) {
	for i := range items {
		if items[i].data != nil {
			putChunkBuf(items[i].data)
			items[i].data = nil
		}
	}
}

// end stops the pipeline and returns its error.
func (w *Writer) end() error {
	w.once.Do(func() { close(w.work) })
	<-w.idle
	return w.failed
}

// take stores a window, so much of it at a time that what must be read for it
// fills no more than windowChunks buffers.
func (w *Writer) take(win []item) error {
	if err := w.refer(win); err != nil {
		return err
	}
	for len(win) > 0 {
		n, held := 0, 0
		for n < len(win) && held < windowChunks {
			if win[n].hole == 0 && !win[n].found {
				held++
			}
			n++
		}
		if err := w.store(win[:n]); err != nil {
			return err
		}
		release(win[:n])
		win = win[n:]
	}
	return nil
}

// store finds or stores chunks, in order.
func (w *Writer) store(win []item) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if err := w.fetch(win); err != nil {
		return err
	}
	w.hash(win)
	if err := w.match.window(win); err != nil {
		return err
	}
	for i := 0; i < len(win); {
		if win[i].hole > 0 || win[i].found {
			// What is referred to gets hooks as if it were stored here: its
			// object, a part of an upload perhaps, may go at once.
			if err := w.add(win[i], win[i].from != nil); err != nil {
				return err
			}
			i++
			continue
		}
		n := 1
		for i+n < len(win) && n < sealAhead && win[i+n].hole == 0 && !win[i+n].found {
			n++
		}
		if err := w.append(win[i : i+n]); err != nil {
			return err
		}
		i += n
	}
	return nil
}

// hash names the chunks of a window.
func (w *Writer) hash(win []item) {
	parallel(len(win), func(i int) {
		if it := &win[i]; it.data != nil && !it.named {
			w.label(it, chunk.Sum(it.data))
		}
	})
}

// label gives a chunk its names.
func (w *Writer) label(it *item, h chunk.Hash) {
	it.name = w.keys.name(h)
	if w.common != nil {
		it.other = w.common.name(h)
	}
}

// sealAhead is how many chunks are sealed side by side.
const sealAhead = 4

// append seals new chunks and puts them into the pack. One that occurred
// before, in this window or an earlier one, is only referred to.
func (w *Writer) append(items []item) error {
	var sealed [sealAhead]*[]byte
	var errs [sealAhead]error
	defer func() {
		for _, b := range sealed {
			if b != nil {
				sealedBufs.Put(b)
			}
		}
	}()
	for i := range items {
		if !w.match.isOwn(items[:i], items[i].name) {
			sealed[i] = sealedBufs.Get().(*[]byte)
		}
	}
	parallel(len(items), func(i int) {
		if sealed[i] == nil {
			return
		}
		var out []byte
		out, errs[i] = w.keys.seal((*sealed[i])[:0], items[i].name, items[i].data)
		if errs[i] == nil && cap(out) == cap(*sealed[i]) {
			*sealed[i] = out
		} else if errs[i] == nil {
			sealed[i] = &out
		}
	})
	for i := range items {
		it := &items[i]
		if sealed[i] == nil {
			it.loc, _ = w.match.own(it.name)
			if err := w.add(*it, false); err != nil {
				return err
			}
			continue
		}
		if errs[i] != nil {
			return errs[i]
		}
		loc, err := w.packs.add(it.name, *sealed[i], len(it.data), false)
		if err != nil {
			return err
		}
		*sealed[i] = (*sealed[i])[:cap(*sealed[i])]
		it.loc = loc
		w.match.keepOwn(it.name, loc)
		w.fresh += int64(loc.Sealed)
		if err := w.add(*it, true); err != nil {
			return err
		}
	}
	return nil
}

// add puts an entry behind the others and closes the segment where it ends.
func (w *Writer) add(it item, fresh bool) error {
	e := Entry{Hole: it.hole}
	if it.hole == 0 {
		e = Entry{Name: it.name, Loc: it.loc}
		if it.found && it.loc.Pack.Realm != w.keys.realm {
			e.Name = it.other
		}
	}
	if w.seg.add(e, fresh) {
		return w.closeSegment()
	}
	return nil
}

// closeSegment stores the segment, or refers to an equal one.
func (w *Writer) closeSegment() error {
	entries, fresh, first := w.seg.take()
	if len(entries) == 0 {
		return nil
	}
	for _, e := range entries {
		if e.Hole == 0 {
			w.count(e.Loc)
		}
	}
	b, err := encodeSegment(entries)
	if err != nil {
		return err
	}
	ref := segRef{First: first, Name: w.keys.name(chunk.Sum(b))}
	loc, ok, err := w.match.segment(ref.Name)
	if err != nil {
		return err
	}
	if !ok {
		sealed, err := w.keys.seal(nil, ref.Name, b)
		if err != nil {
			return err
		}
		if loc, err = w.packs.add(ref.Name, sealed, len(b), true); err != nil {
			return err
		}
		w.fresh += int64(loc.Sealed)
	}
	ref.Loc = loc
	w.count(loc)
	for _, name := range hooksOf(entries, fresh, w.d.cfg.HookBits) {
		w.hooks = append(w.hooks, hookRow{name, len(w.segments)})
	}
	w.segments = append(w.segments, ref)
	return nil
}

// count adds a chunk to what the object needs of its pack, once for each place.
// Beyond countedMost places it begins anew: then a chunk that comes again far
// apart is counted twice, which only makes a pack look fuller.
func (w *Writer) count(loc Loc) {
	if _, ok := w.counted[loc]; ok {
		return
	}
	if len(w.counted) >= countedMost {
		clear(w.counted)
	}
	w.counted[loc] = struct{}{}
	w.live[loc.Pack] += int64(loc.Sealed)
	w.stored += int64(loc.Sealed)
}

const countedMost = 8192

// flush ends what is open: last segment, packs.
func (w *Writer) flush() error {
	if err := w.closeSegment(); err != nil {
		return err
	}
	return w.packs.close()
}

// Commit makes the object durable and visible: packs, then root, then one
// transaction that makes it exist together with whatever within adds to that
// transaction. within may be called more than once; its error undoes
// everything. After an error the writer is aborted.
func (w *Writer) Commit(digests Digests, within func(tx *catalog.Tx, o ObjectInfo) error) (ObjectInfo, error) {
	o, err := w.commit(digests, within)
	if err != nil {
		w.Abort()
		return ObjectInfo{}, fmt.Errorf("store object: %w", err)
	}
	w.ended = true
	w.cancel()
	w.d.writers.Add(-1)
	return o, nil
}

func (w *Writer) commit(digests Digests, within func(tx *catalog.Tx, o ObjectInfo) error) (ObjectInfo, error) {
	if err := w.cut.Cut(); err != nil {
		return ObjectInfo{}, err
	}
	if err := w.send(); err != nil {
		return ObjectInfo{}, err
	}
	if err := w.end(); err != nil {
		return ObjectInfo{}, err
	}
	r := &root{
		Object: w.object, Gen: 1, Kind: w.opt.Kind, Size: w.Size(), View: w.opt.View, Digests: digests,
		Stored: w.stored, Packs: sortedPacks(w.live), Segments: w.segments,
	}
	size, err := w.d.putRoot(w.ctx, w.keys, r)
	if err != nil {
		return ObjectInfo{}, err
	}
	if err := w.d.at("root.put"); err != nil {
		return ObjectInfo{}, err
	}
	o := ObjectInfo{Ref: w.object, Size: r.Size, Stored: r.Stored, Fresh: w.fresh}
	err = w.d.db.Update(w.ctx, func(tx *catalog.Tx) error { return w.commitTx(tx, r, size, o, within) })
	if err != nil && w.committed() {
		err = nil // the answer to COMMIT was lost, not the commit
	}
	return o, err
}

// putRoot stores a root at its key and returns its size.
func (d *Depot) putRoot(ctx context.Context, k *realmKeys, r *root) (int64, error) {
	body, err := encodeRoot(r)
	if err != nil {
		return 0, err
	}
	key := recipeKey(k.realm, r.Object, r.Gen)
	sealed, err := k.sealRecord(rootMagic, key, body)
	if err != nil {
		return 0, err
	}
	if err := blob.Put(ctx, d.store, key, sealed); err != nil {
		return 0, fmt.Errorf("recipe: %w", err)
	}
	return int64(len(sealed)), nil
}

// commitTx is the one transaction of a commit. The fence comes first.
func (w *Writer) commitTx(tx *catalog.Tx, r *root, size int64, o ObjectInfo, within func(tx *catalog.Tx, o ObjectInfo) error) error {
	ctx := w.ctx
	n, err := tx.Exec(ctx, `UPDATE lease SET state = 'committed' WHERE id = $1 AND state = 'live'`, w.lease)
	if err != nil {
		return err
	}
	if n != 1 {
		return ErrLeaseLost
	}
	n, err = tx.Exec(ctx, `UPDATE recipe SET state = 'current', lease = 0, bytes = $2 WHERE id = $1 AND state = 'announced'`, w.recipe, size)
	if err != nil {
		return err
	}
	if n != 1 {
		return ErrLeaseLost
	}
	if err := insertEdges(ctx, tx, w.recipe, r.Packs); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO object (ref, realm, kind, size, state, stamp, recipe, stored) VALUES ($1, $2, $3, $4, 'live', 0, $5, $6)`,
		w.object, w.keys.realm, string(r.Kind), r.Size, w.recipe, r.Stored)
	if err != nil {
		return err
	}
	if within != nil {
		if err := within(tx, o); err != nil {
			return err
		}
	}
	if err := w.d.insertHooks(ctx, tx, w.keys.realm, w.object, w.hooks); err != nil {
		return err
	}
	// Packs that were leased for nothing go before the collector.
	_, err = tx.Exec(ctx, `INSERT INTO pack_check (pack) SELECT l.pack FROM lease_pack l WHERE l.lease = $1
		AND NOT EXISTS (SELECT 1 FROM recipe_pack r WHERE r.recipe = $2 AND r.pack = l.pack)
		ON CONFLICT (pack) DO UPDATE SET pack = excluded.pack`, w.lease, w.recipe)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `DELETE FROM lease_pack WHERE lease = $1`, w.lease)
	return err
}

// insertEdges ties a recipe to its packs. The lease kept them: one that is
// neither sealed nor draining means that it was lost.
func insertEdges(ctx context.Context, tx *catalog.Tx, recipe int64, packs []rootPack) error {
	for _, p := range packs {
		n, err := tx.Exec(ctx, `UPDATE pack SET stamp = stamp + 1 WHERE id = $1 AND state IN ('sealed', 'draining')`, p.Ref.ID)
		if err != nil {
			return err
		}
		if n != 1 {
			return ErrLeaseLost
		}
		if _, err := tx.Exec(ctx, `INSERT INTO recipe_pack (recipe, pack, bytes) VALUES ($1, $2, $3)`, recipe, p.Ref.ID, p.Bytes); err != nil {
			return err
		}
	}
	return nil
}

// insertHooks adds rows and keeps the newest hooksName of each name.
func (d *Depot) insertHooks(ctx context.Context, tx *catalog.Tx, realm, object int64, hooks []hookRow) error {
	now := d.cfg.Now().UnixMicro()
	for _, h := range hooks {
		_, err := tx.Exec(ctx, `INSERT INTO hook (realm, name8, object, segment, at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
			realm, h.name.name8(), object, h.segment, now)
		if err != nil {
			return err
		}
		var rows int
		err = tx.QueryRow(ctx, `SELECT COUNT(*) FROM hook WHERE realm = $1 AND name8 = $2`, realm, h.name.name8()).Scan(&rows)
		if err != nil {
			return err
		}
		if rows <= hooksName {
			continue
		}
		// One row, the oldest: many may be of one moment, as after a rebuild.
		_, err = tx.Exec(ctx, `DELETE FROM hook WHERE realm = $1 AND name8 = $2 AND (at, object, segment) =
			(SELECT at, object, segment FROM hook WHERE realm = $1 AND name8 = $2 AND object <> $3 ORDER BY at, object, segment LIMIT 1)`,
			realm, h.name.name8(), object)
		if err != nil {
			return err
		}
	}
	return nil
}

// committed looks the lease's end up after a COMMIT with unknown outcome.
func (w *Writer) committed() bool {
	var state string
	ctx := context.WithoutCancel(w.ctx)
	err := w.d.db.View(ctx, func(tx *catalog.Tx) error {
		return tx.QueryRow(ctx, `SELECT state FROM lease WHERE id = $1`, w.lease).Scan(&state)
	})
	return err == nil && state == "committed"
}

// Abort gives up what was written. It is safe to defer: after Commit it does
// nothing.
func (w *Writer) Abort() {
	if w.ended {
		return
	}
	w.ended = true
	w.cancel()
	_ = w.end()
	w.packs.abort()
	release(w.window)
	w.window = nil
	w.d.writers.Add(-1)
	// If this fails the collector expires the lease in time.
	ctx := context.WithoutCancel(w.ctx)
	err := w.d.db.Update(ctx, func(tx *catalog.Tx) error {
		_, err := endLease(ctx, tx, w.lease, "aborted")
		return err
	})
	if err != nil {
		w.d.log.Warn("abort object", "error", err)
	}
}

// parallel runs f(0) … f(n-1) on as many goroutines as there are processors.
func parallel(n int, f func(i int)) {
	workers := min(n, runtime.GOMAXPROCS(0))
	if workers <= 1 {
		for i := range n {
			f(i)
		}
		return
	}
	var wg sync.WaitGroup
	for k := range workers {
		wg.Go(func() {
			for i := k; i < n; i += workers {
				f(i)
			}
		})
	}
	wg.Wait()
}
