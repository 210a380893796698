package depot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kuva/chunk"
	"kuva/internal/blob"
	"kuva/internal/blob/mem"
	"kuva/internal/catalog"
)

// A yard is where depots are wrecked: one database, one store, a depot on a
// plug, a second one beside it, and a model of plain values that says what must
// be true of them. It plays the part of internal/images: an image is a row with
// an object, its card's record is its name, and a sweeper writes the cards that
// rows lack.
//
// Contents are lists of small blocks, each cut into a chunk of its own, so that
// sharing is heavy and packs are many while bytes are few.
type yard struct {
	tb     judge
	folder string
	db     *catalog.DB
	socket *atomic.Pointer[plug]
	mem    *mem.Store // nil where another store is below
	raw    blob.Store
	keys   *testKeys
	clock  *handClock
	wall   time.Time
	pack   int64

	*Depot        // the node that may die
	plug   *plug  // what it hangs on
	second *Depot // another node, opened when it is needed
	lives  int    // of the first node

	images   []*modelImage
	byID     map[string]*modelImage
	pins     map[int64]bool
	trace    []string
	faults   mem.Faults
	copy     string // of the ledger, "" if there is none
	restored func() // looks at the depot over a restored ledger, before the merge

	base    *mem.Store // store and ledger as a first start leaves them
	seed    uint64
	filling int // histories for which nothing is given back
}

// judge is what *testing.T and *rapid.T have in common.
type judge interface {
	Helper()
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// modelImage is what the model knows of an image. A version of the row counts
// from 1; states[v-1] is what the row says at version v.
type modelImage struct {
	id, project string
	content     []int
	raw         []byte // instead of content
	ref         int64
	states      []modelState
	row         int64 // version that the ledger has, 0: no row
	acked       int64 // greatest version whose card was answered for
	pending     int64 // version that an operation of unknown outcome may have made
}

type modelState struct {
	name    string
	deleted bool
}

func (m *modelImage) now() modelState { return m.states[m.row-1] }
func (m *modelImage) live() bool      { return m.row > 0 && !m.now().deleted }

func (m *modelImage) bytes() []byte {
	if m.raw != nil {
		return m.raw
	}
	return contentBytes(m.content)
}

// blockPool are the contents that images are made of: negative numbers are
// holes of so many bytes.
var blockPool = sync.OnceValue(func() [][]byte {
	var pool [][]byte
	for i, n := range []int{1, 40, 300, 700, 1200, 60, 500, 2500, 90, 1000, 333, 4000} {
		if i%3 == 2 {
			pool = append(pool, textBytes(n, uint64(i)))
		} else {
			pool = append(pool, randomBytes(n, uint64(i)+77))
		}
	}
	return pool
})

func contentBytes(content []int) []byte {
	var b []byte
	for _, c := range content {
		if c < 0 {
			b = append(b, make([]byte, -c)...)
		} else {
			b = append(b, blockPool()[c]...)
		}
	}
	return b
}

// newYard makes a yard over a store in memory, on the fastest file system that
// there is: SQLite does not sync here.
func newYard(tb testing.TB) *yard {
	return newYardOver(tb, yardFolder(tb), nil)
}

func yardFolder(tb testing.TB) string {
	folder, err := os.MkdirTemp("/dev/shm", "depot-yard-")
	if err != nil {
		return tb.TempDir()
	}
	tb.Cleanup(func() { os.RemoveAll(folder) })
	return folder
}

// newYardOver makes a yard over any store, nil for one in memory.
func newYardOver(tb testing.TB, folder string, store blob.Store) *yard {
	tb.Helper()
	wireSQLite()
	y := &yard{
		tb: tb, folder: folder, keys: newTestKeys(), pack: 6000, raw: store,
		socket: &atomic.Pointer[plug]{}, clock: &handClock{}, wall: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	sockets.Store(y.path(), y.socket)
	tb.Cleanup(func() { sockets.Delete(y.path()) })
	y.openDB()
	tb.Cleanup(func() {
		y.close()
		_ = y.db.Close()
	})
	if store == nil {
		y.mem = mem.New(1)
		y.raw = y.mem
	}
	y.clear()
	y.open(nil)
	for _, project := range []string{"", "p", "q"} {
		if _, err := y.realmOf(context.Background(), project); err != nil {
			tb.Fatal(err)
		}
	}
	y.close()
	if y.mem != nil {
		y.base = y.mem.Clone(1)
	}
	return y
}

func (y *yard) path() string { return filepath.Join(y.folder, "catalog.db") }

func (y *yard) openDB() {
	db, err := catalog.Open(context.Background(), catalog.Config{DSN: "sqlite:" + y.path(), NoSync: true, Patience: -1, Conns: 4})
	if err != nil {
		y.tb.Fatalf("open catalog: %v", err)
	}
	y.db = db
}

func (y *yard) clear() {
	y.images, y.byID, y.trace, y.pins = nil, map[string]*modelImage{}, nil, map[int64]bool{}
	y.faults, y.copy, y.lives, y.restored = mem.Faults{}, "", 0, nil
}

// reset brings a yard in memory back to its first start, for the next history.
func (y *yard) reset(tb judge, seed uint64) {
	y.close()
	y.tb, y.seed = tb, seed
	y.mem = y.base.Clone(seed)
	y.raw = y.mem
	err := y.db.Update(context.Background(), func(tx *catalog.Tx) error {
		ctx := context.Background()
		for _, table := range []string{"image", "lease", "pack", "object", "recipe", "recipe_pack", "lease_pack", "hook", "pin", "pack_check"} {
			if _, err := tx.Exec(ctx, "DELETE FROM "+table); err != nil {
				return err
			}
		}
		for _, q := range []string{
			`DELETE FROM realm_key WHERE realm IN (SELECT id FROM realm WHERE project NOT IN ('', 'p', 'q'))`,
			`DELETE FROM realm WHERE project NOT IN ('', 'p', 'q')`,
		} {
			if _, err := tx.Exec(ctx, q); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `UPDATE store SET epoch = 1, cycle_token = 0`)
		return err
	})
	if err != nil {
		tb.Fatalf("reset: %v", err)
	}
	y.clear()
	y.open(nil)
}

// close ends the nodes, as a process ends.
func (y *yard) close() {
	if y.Depot != nil {
		_ = y.Depot.Close()
		y.Depot = nil
	}
	if y.second != nil {
		_ = y.second.Close()
		y.second = nil
	}
	y.socket.Store(nil)
}

func (y *yard) config(store blob.Store, node string) Config {
	return Config{
		DB: y.db, Store: store, Keys: y.keys, Node: node, PackSize: y.pack,
		Mono: y.clock.now, Now: func() time.Time { return y.wall }, Beat: time.Hour, LeaseAfter: 15 * time.Minute,
	}
}

// tryOpen starts the first node on a plug, nil for one that nothing happens to.
// Its older self is closed, as a process that died.
func (y *yard) tryOpen(p *plug) error {
	if y.Depot != nil {
		_ = y.Depot.Close()
		y.Depot = nil
	}
	if p == nil {
		p = &plug{}
	}
	y.plug = p
	y.socket.Store(p)
	cfg := y.config(&plugged{y.raw, p}, "first")
	cfg.Failpoint = func(point string) error { return y.plug.failpoint(point) }
	d, err := Open(context.Background(), cfg)
	if err != nil {
		return err
	}
	y.Depot = d
	y.lives++
	return nil
}

func (y *yard) open(p *plug) {
	y.tb.Helper()
	if err := y.tryOpen(p); err != nil {
		y.fatalf("open: %v", err)
	}
}

// other is the second node; nothing happens to it.
func (y *yard) other() *Depot {
	if y.second == nil {
		d, err := Open(context.Background(), y.config(y.raw, "second"))
		if err != nil {
			y.fatalf("open second node: %v", err)
		}
		y.second = d
	}
	return y.second
}

func (y *yard) fatalf(format string, args ...any) {
	y.tb.Helper()
	y.tb.Fatalf("%s\nhistory:\n  %s", fmt.Sprintf(format, args...), strings.Join(y.trace, "\n  "))
}

func (y *yard) note(format string, args ...any) {
	y.trace = append(y.trace, fmt.Sprintf(format, args...))
}

// weather sets the store's faults; it is calm while the model looks.
func (y *yard) weather(f mem.Faults) {
	y.faults = f
	if y.mem != nil {
		y.mem.SetFaults(f)
	}
}

func (y *yard) calmly(f func()) {
	if y.mem != nil {
		y.mem.SetFaults(mem.Faults{})
		defer func() { y.mem.SetFaults(y.faults) }()
	}
	f()
}

// imageSQL is the statement that insertImage makes anew for every row.
var imageSQL = sync.OnceValue(func() func(ctx context.Context, tx *catalog.Tx, id, project, name string, object int64) error {
	var text string
	var fixed []any
	var at map[string]int
	var mu sync.Mutex
	prepare := func(ctx context.Context, tx *catalog.Tx) error {
		mu.Lock()
		defer mu.Unlock()
		if text != "" {
			return nil
		}
		rows, err := tx.Query(ctx, `SELECT * FROM image WHERE 1 = 0`)
		if err != nil {
			return err
		}
		defer rows.Close()
		types, err := rows.ColumnTypes()
		if err != nil {
			return err
		}
		var columns []string
		at = map[string]int{}
		for i, c := range types {
			columns, at[c.Name()] = append(columns, c.Name()), i
			switch kind := strings.ToUpper(c.DatabaseTypeName()); {
			case strings.HasPrefix(kind, "BOOL"):
				fixed = append(fixed, false)
			case kind == "TEXT":
				fixed = append(fixed, "")
			default:
				fixed = append(fixed, int64(0))
			}
		}
		text = `INSERT INTO image (` + strings.Join(columns, ", ") + `) VALUES (` + placeholders(1, len(columns)) + `)`
		return nil
	}
	return func(ctx context.Context, tx *catalog.Tx, id, project, name string, object int64) error {
		if err := prepare(ctx, tx); err != nil {
			return err
		}
		args := slices.Clone(fixed)
		for column, v := range map[string]any{"id": id, "name": name, "owner": project, "realm": project, "object": object, "version": int64(1)} {
			args[at[column]] = v
		}
		_, err := tx.Exec(ctx, text, args...)
		return err
	}
})

// The operations. Each returns nil only when a client would have had its 2xx.

// putBytes writes a content.
func putBytes(wr *Writer, content []int) error {
	for _, c := range content {
		if c < 0 {
			if err := wr.Skip(int64(-c)); err != nil {
				return err
			}
			continue
		}
		if _, err := wr.Write(blockPool()[c]); err != nil {
			return err
		}
		if err := wr.Cut(); err != nil {
			return err
		}
	}
	return nil
}

func (y *yard) newImage(project, name string, content []int) *modelImage {
	hex := fmt.Sprintf("%016x", catalog.NewID())
	m := &modelImage{id: fmt.Sprintf("img%03d-%s", len(y.images), hex[:8]), project: project, content: content, pending: 1, states: []modelState{{name, false}}}
	y.images, y.byID[m.id] = append(y.images, m), m
	return m
}

func (y *yard) put(d *Depot, project, name string, content []int, parent int64) error {
	return y.fill(d, y.newImage(project, name, content), name, parent, func(wr *Writer) error { return putBytes(wr, content) })
}

// fill makes an image of what pour writes.
func (y *yard) fill(d *Depot, m *modelImage, name string, parent int64, pour func(wr *Writer) error) error {
	ctx := context.Background()
	wr, err := d.Create(ctx, CreateOptions{Project: m.project, Kind: KindDisk, Parent: parent})
	if err != nil {
		return err
	}
	defer wr.Abort()
	if err := pour(wr); err != nil {
		return err
	}
	_, err = wr.Commit(Digests{}, func(tx *catalog.Tx, o ObjectInfo) error {
		m.ref = o.Ref
		return imageSQL()(ctx, tx, m.id, m.project, name, o.Ref)
	})
	if err != nil {
		return err
	}
	return y.card(d, m, 1)
}

// compose makes an image of others by reference, less so many bytes at both
// ends of each, of blocks by name, where they are stored, and of blocks that are
// written.
func (y *yard) compose(d *Depot, project, name string, of []*modelImage, less int, named, written []int) error {
	m := y.newImage(project, name, nil)
	m.raw = []byte{}
	total := 0
	of = slices.DeleteFunc(slices.Clone(of), func(im *modelImage) bool { // histories stay quick
		total += len(im.bytes())
		return total > 64<<10
	})
	for _, im := range of {
		if b := im.bytes(); len(b) > 2*less {
			m.raw = append(m.raw, b[less:len(b)-less]...)
		}
	}
	m.raw = append(append(m.raw, contentBytes(named)...), contentBytes(written)...)
	return y.fill(d, m, name, 0, func(wr *Writer) error {
		for _, im := range of {
			o, err := d.OpenObject(context.Background(), im.ref)
			if err != nil {
				return err
			}
			if o.Size() > int64(2*less) {
				if err := wr.Append(o, int64(less), o.Size()-int64(2*less)); err != nil {
					return err
				}
			}
		}
		names := make([]Named, len(named))
		for i, c := range named {
			b := blockPool()[c]
			names[i] = Named{chunk.Sum(b), len(b)}
		}
		missing, err := wr.Named(names)
		if err != nil {
			return err
		}
		if len(missing) > 0 {
			written = append(slices.Clone(named), written...)
		}
		return putBytes(wr, written)
	})
}

// share makes another image of an object that is there.
func (y *yard) share(d *Depot, of *modelImage, name string) error {
	ctx := context.Background()
	m := y.newImage(of.project, name, of.content)
	m.ref, m.raw = of.ref, of.raw
	err := d.db.Update(ctx, func(tx *catalog.Tx) error {
		if err := d.UseObject(ctx, tx, of.ref); err != nil {
			return err
		}
		return imageSQL()(ctx, tx, m.id, m.project, name, m.ref)
	})
	if err != nil {
		return err
	}
	return y.card(d, m, 1)
}

// card writes the card of a version and answers.
func (y *yard) card(d *Depot, m *modelImage, version int64) error {
	s := m.states[version-1]
	name := s.name
	if s.deleted {
		name = ""
	}
	if err := d.PutCard(context.Background(), testCard(m.id, m.project, name, m.ref, version, s.deleted)); err != nil {
		return err
	}
	if d == y.Depot && y.plug.isCut() {
		return errCut // nobody heard the answer
	}
	m.acked = max(m.acked, version)
	return d.db.Update(context.Background(), func(tx *catalog.Tx) error {
		_, err := tx.Exec(context.Background(), `UPDATE image SET card_version = $2 WHERE id = $1 AND card_version < $2`, m.id, version)
		return err
	})
}

// change gives an image its next version: another name, or deleted.
func (y *yard) change(d *Depot, m *modelImage, to modelState) error {
	ctx := context.Background()
	was, version := m.row, m.row+1
	m.states, m.pending = append(m.states[:m.row:m.row], to), version
	err := d.db.Update(ctx, func(tx *catalog.Tx) error {
		var n int64
		var err error
		if to.deleted {
			n, err = tx.Exec(ctx, `UPDATE image SET deleted_at = 1, object = 0, was_object = $3, version = $2 WHERE id = $1 AND version = $4`, m.id, version, m.ref, was)
		} else {
			n, err = tx.Exec(ctx, `UPDATE image SET name = $3, version = $2 WHERE id = $1 AND version = $4`, m.id, version, to.name, was)
		}
		if err == nil && n != 1 {
			err = fmt.Errorf("image %s is not at version %d", m.id, was)
		}
		return err
	})
	if err != nil {
		return err
	}
	return y.card(d, m, version)
}

// abandon begins an object and gives it up.
func (y *yard) abandon(d *Depot, project string, content []int) error {
	wr, err := d.Create(context.Background(), CreateOptions{Project: project, Kind: KindDisk})
	if err != nil {
		return err
	}
	defer wr.Abort()
	return putBytes(wr, content)
}

func (y *yard) pin(d *Depot, ref int64, on bool) error {
	ctx := context.Background()
	err := d.db.Update(ctx, func(tx *catalog.Tx) error {
		if !on {
			return d.Unpin(ctx, tx, ref, "instance")
		}
		return d.Pin(ctx, tx, ref, "instance")
	})
	return err
}

// settleRows reads the rows: where an operation's outcome was unknown it is
// known now, everywhere else they say what the model says.
func (y *yard) settleRows() {
	y.tb.Helper()
	ctx := context.Background()
	type row struct {
		name                          string
		version, card, object, wasRef int64
		deleted                       bool
	}
	rows := map[string]row{}
	err := y.db.View(ctx, func(tx *catalog.Tx) error {
		clear(rows)
		found, err := tx.Query(ctx, `SELECT id, name, version, card_version, object, was_object, deleted_at <> 0 FROM image`)
		if err != nil {
			return err
		}
		defer found.Close()
		for found.Next() {
			var id string
			var r row
			if err := found.Scan(&id, &r.name, &r.version, &r.card, &r.object, &r.wasRef, &r.deleted); err != nil {
				return err
			}
			rows[id] = r
		}
		return found.Err()
	})
	if err != nil {
		y.fatalf("read rows: %v", err)
	}
	for id := range rows {
		if y.byID[id] == nil {
			y.fatalf("image %s came from nowhere", id)
		}
	}
	for _, m := range y.images {
		r := rows[m.id]
		if r.version != m.row && (m.pending == 0 || r.version != m.pending) {
			y.fatalf("image %s is at version %d, the model says %d or %d", m.id, r.version, m.row, m.pending)
		}
		m.row, m.pending = r.version, 0
		m.states = m.states[:m.row]
		if m.row == 0 {
			if m.acked > 0 {
				y.fatalf("image %s was acknowledged at version %d and has no row", m.id, m.acked)
			}
			continue
		}
		if m.acked > m.row {
			y.fatalf("image %s was acknowledged at version %d, its row is at %d", m.id, m.acked, m.row)
		}
		s := m.now()
		if s.deleted != r.deleted || !s.deleted && (s.name != r.name || r.object != m.ref) {
			y.fatalf("image %s has row %+v, the model says %+v, object %016x", m.id, r, s, m.ref)
		}
		if r.card > m.row {
			y.fatalf("image %s has a card of version %d", m.id, r.card)
		}
	}
	// Images that never came to be are forgotten.
	y.images = slices.DeleteFunc(y.images, func(m *modelImage) bool {
		if m.row == 0 {
			delete(y.byID, m.id)
		}
		return m.row == 0
	})
}

// outbox writes the cards that rows lack, as the sweeper does.
func (y *yard) outbox(d *Depot) error {
	for _, m := range y.images {
		if m.acked < m.row {
			if err := y.card(d, m, m.row); err != nil {
				return err
			}
		}
	}
	return nil
}

// stored asks for a blob behind everybody's back.
func (y *yard) stored() func(key string) bool {
	if y.mem != nil {
		all := y.mem.Stored()
		return func(key string) bool { _, ok := all[key]; return ok }
	}
	return func(key string) bool {
		_, err := y.raw.Stat(context.Background(), key)
		return err == nil
	}
}

// checkLedger is invariant 1: image row ⇒ object live ⇒ recipe current ⇒ its
// root is in the store, its packs are sealed or draining and in the store. The
// same for pinned objects.
func (y *yard) checkLedger() {
	y.tb.Helper()
	ctx, there := context.Background(), y.stored()
	type line struct{ who, object, recipe, root, state, pack string }
	var lines []line
	err := y.db.View(ctx, func(tx *catalog.Tx) error {
		lines = lines[:0]
		rows, err := tx.Query(ctx, `SELECT i.who, COALESCE(o.state, ''), COALESCE(r.state, ''), COALESCE(r.key, ''), COALESCE(p.state, ''), COALESCE(p.key, '')
			FROM (SELECT id AS who, object FROM image WHERE deleted_at = 0 UNION SELECT 'pin', object FROM pin) i
			LEFT JOIN object o ON o.ref = i.object LEFT JOIN recipe r ON r.id = o.recipe
			LEFT JOIN recipe_pack e ON e.recipe = r.id LEFT JOIN pack p ON p.id = e.pack`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var l line
			if err := rows.Scan(&l.who, &l.object, &l.recipe, &l.root, &l.state, &l.pack); err != nil {
				return err
			}
			lines = append(lines, l)
		}
		return rows.Err()
	})
	if err != nil {
		y.fatalf("read ledger: %v", err)
	}
	for _, l := range lines {
		switch {
		case l.object != "live":
			y.fatalf("%s: its object is %q", l.who, l.object)
		case l.recipe != "current":
			y.fatalf("%s: its recipe is %q", l.who, l.recipe)
		case !there(l.root):
			y.fatalf("%s: its root %s is not stored", l.who, l.root)
		case l.pack == "": // only holes
		case l.state != "sealed" && l.state != "draining":
			y.fatalf("%s: its pack %s is %q", l.who, l.pack, l.state)
		case !there(l.pack):
			y.fatalf("%s: its pack %s is not stored", l.who, l.pack)
		}
	}
}

// checkBytes reads every image that has a row, acknowledged or not: what is
// visible is whole.
func (y *yard) checkBytes(d *Depot) {
	y.tb.Helper()
	y.calmly(func() {
		for i, m := range y.images {
			if !m.live() {
				continue
			}
			if err := y.readsBack(d, m.ref, m.bytes(), i%4 == 3); err != nil {
				y.fatalf("image %s, version %d (acknowledged %d): %v", m.id, m.row, m.acked, err)
			}
		}
	})
}

func (y *yard) readsBack(d *Depot, ref int64, want []byte, stream bool) error {
	o, err := d.OpenObject(context.Background(), ref)
	if err != nil {
		return err
	}
	if o.Size() != int64(len(want)) {
		return fmt.Errorf("size %d instead of %d", o.Size(), len(want))
	}
	got := make([]byte, len(want))
	if stream {
		r := o.Reader(context.Background(), 0, o.Size())
		_, err = io.ReadFull(r, got)
		r.Close()
	} else if len(got) > 0 {
		_, err = o.ReadAt(got, 0)
		if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return errors.New("other bytes came back")
	}
	return nil
}

// check is what must hold after every step.
func (y *yard) check() {
	y.tb.Helper()
	y.settleRows()
	if err := y.ReadOnly(); err != nil {
		y.fatalf("false alarm: %v", err)
	}
	y.checkLedger()
}

// recover starts the first node again after its power went, or when it failed
// to start, until it has written the cards that rows lack. Cut says at which
// event the power goes again meanwhile, 0: not; the answer is whether it did.
func (y *yard) recover(cut int) bool {
	y.tb.Helper()
	if y.mem != nil {
		// Requests that were under way may come late or never.
		y.mem = y.mem.Crash()
		y.raw = y.mem
		if y.second != nil { // its handle is of the same store
			_ = y.second.Close()
			y.second = nil
		}
	}
	again := false
	for try := 0; ; try++ {
		err := y.tryOpen(&plug{cutAt: cut})
		if err == nil {
			y.settleRows()
			err = y.outbox(y.Depot)
		}
		if err == nil && !y.plug.isCut() {
			y.plug.disarm()
			return again
		}
		again = again || y.plug.isCut()
		if try > 50 || cut == 0 && y.faults == (mem.Faults{}) {
			y.fatalf("does not come up again: %v", err)
		}
		y.settleRows()
		cut = 0
	}
}

// swing arms the plug with the next n-th event from now.
func (p *plug) arm(cutIn, failIn int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutAt, p.failAt, p.where = 0, 0, ""
	if cutIn > 0 {
		p.cutAt = p.n + cutIn
	}
	if failIn > 0 {
		p.failAt = p.n + failIn
	}
}

// meanwhile has f run at the n-th event from now.
func (p *plug) meanwhile(in int, f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.during == nil {
		p.during = map[int]func(){}
	}
	p.during[p.n+in] = f
}

// disarm forgets what was to come and says how many events there were.
func (p *plug) disarm() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutAt, p.failAt, p.during, p.due = 0, 0, nil, nil
	return p.n
}

// quiesce brings the yard to rest and asks for invariants 5 and 7: stored is
// what live objects need and garbage that the ledger knows; and when every
// image is deleted, two cycles later nothing is stored.
func (y *yard) quiesce(deleteAll bool) {
	y.tb.Helper()
	y.weather(mem.Faults{})
	if y.mem != nil {
		y.mem.Settle()
	}
	y.outboxNow()
	for _, ref := range y.ids(`SELECT object FROM pin`) { // a crash may have kept one that nobody knows
		if err := y.pin(y.Depot, ref, false); err != nil {
			y.fatalf("unpin: %v", err)
		}
	}
	clear(y.pins)
	// Leases of the dead end by nobody's clock but ours.
	for range 2 {
		y.mustCollect(CollectOptions{})
		y.clock.at += 20 * time.Minute
	}
	for cycle := 1; ; cycle++ {
		rep := y.mustCollect(CollectOptions{Audit: true, Compact: true})
		if rep.Compacted == (Compacted{}) {
			break
		}
		if cycle == 8 {
			y.fatalf("compaction does not come to rest: %+v in cycle %d", rep.Compacted, cycle)
		}
	}
	for range 2 {
		y.mustCollect(CollectOptions{Audit: true})
	}
	y.check()
	y.checkBytes(y.Depot)
	rep := y.mustCollect(CollectOptions{Audit: true})
	y.checkStored(rep)
	y.mustVerify()
	if !deleteAll {
		return
	}
	for _, m := range y.images {
		if m.live() {
			if err := y.change(y.Depot, m, modelState{deleted: true}); err != nil {
				y.fatalf("delete: %v", err)
			}
			y.settleRows()
		}
	}
	for range 2 {
		y.mustCollect(CollectOptions{})
	}
	if n := y.count("pack/"); n != 0 {
		y.fatalf("%d packs are left two cycles after the last image went", n)
	}
	for range 2 {
		y.mustCollect(CollectOptions{})
	}
	if r, c := y.count("recipe/"), y.count("card/"); r+c != 0 {
		y.fatalf("%d roots and %d cards are left four cycles after the last image went: %v", r, c, y.keysUnder("card/"))
	}
}

func (y *yard) outboxNow() {
	y.tb.Helper()
	y.settleRows()
	if err := y.outbox(y.Depot); err != nil {
		y.fatalf("write cards: %v", err)
	}
}

func (y *yard) mustCollect(opt CollectOptions) Report {
	y.tb.Helper()
	rep, err := y.Collect(context.Background(), opt)
	if err != nil {
		y.fatalf("collect: %v", err)
	}
	return rep
}

func (y *yard) mustVerify() {
	y.tb.Helper()
	_, err := y.Verify(context.Background(), VerifyOptions{Card: compareName}, func(f Finding) { y.fatalf("finding: %v", f) })
	if err != nil {
		y.fatalf("verify: %v", err)
	}
}

func (y *yard) keysUnder(prefix string) []string {
	var keys []string
	for info, err := range y.raw.List(context.Background(), prefix) {
		if err != nil {
			y.fatalf("list: %v", err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

func (y *yard) count(prefix string) int { return len(y.keysUnder(prefix)) }

// checkStored compares the store with the ledger at rest.
func (y *yard) checkStored(rep Report) {
	y.tb.Helper()
	ctx := context.Background()
	var bytes int64
	var packs, roots []string
	for info, err := range y.raw.List(ctx, "pack/") {
		if err != nil {
			y.fatalf("list: %v", err)
		}
		packs, bytes = append(packs, info.Key), bytes+info.Size
	}
	roots = y.keysUnder("recipe/")
	if bytes != rep.Live.Bytes+rep.Garbage || rep.Open.Count+rep.Waiting.Count != 0 {
		y.fatalf("the store holds %d bytes in packs, the ledger says\n%s", bytes, rep)
	}
	var needPacks, needRoots []string
	err := y.db.View(ctx, func(tx *catalog.Tx) error {
		needPacks, needRoots = nil, nil
		rows, err := tx.Query(ctx, `SELECT DISTINCT p.key FROM object o JOIN recipe_pack e ON e.recipe = o.recipe JOIN pack p ON p.id = e.pack WHERE o.state = 'live'`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var k string
			if err := rows.Scan(&k); err != nil {
				return err
			}
			needPacks = append(needPacks, k)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		more, err := tx.Query(ctx, `SELECT r.key FROM object o JOIN recipe r ON r.id = o.recipe WHERE o.state = 'live'`)
		if err != nil {
			return err
		}
		defer more.Close()
		for more.Next() {
			var k string
			if err := more.Scan(&k); err != nil {
				return err
			}
			needRoots = append(needRoots, k)
		}
		return more.Err()
	})
	if err != nil {
		y.fatalf("read ledger: %v", err)
	}
	slices.Sort(needPacks)
	slices.Sort(needRoots)
	for what, keys := range map[string][2][]string{"pack": {packs, needPacks}, "recipe": {roots, needRoots}} {
		for _, k := range keys[0] {
			if !slices.Contains(keys[1], k) {
				root, err := y.loadRoot(ctx, k)
				y.fatalf("%s is stored and nothing needs it; its row: %s; read as a root: %+v, %v\n%s", k, y.row(what, k), root, err, rep)
			}
		}
		for _, k := range keys[1] {
			if !slices.Contains(keys[0], k) {
				y.fatalf("%s is needed and not stored; its row: %s", k, y.row(what, k))
			}
		}
	}
}

// row says for people what the ledger has under a key.
func (y *yard) row(table, key string) string {
	text := "none"
	err := y.db.View(context.Background(), func(tx *catalog.Tx) error {
		var state string
		var lease, epoch int64
		err := tx.QueryRow(context.Background(), `SELECT state, lease, condemned_epoch FROM `+table+` WHERE key = $1`, key).Scan(&state, &lease, &epoch)
		if err == nil {
			text = fmt.Sprintf("%s, lease %016x, condemned in %d", state, lease, epoch)
		}
		return nil
	})
	if err != nil {
		return err.Error()
	}
	return text
}

func (y *yard) ids(query string) []int64 {
	var ids []int64
	err := y.db.View(context.Background(), func(tx *catalog.Tx) error {
		var err error
		ids, err = queryIDs(context.Background(), tx, query)
		return err
	})
	if err != nil {
		y.fatalf("%s: %v", query, err)
	}
	return ids
}
