// Package mem is a blob.Store in memory that behaves as badly as an object store
// may: a Put that says no has perhaps stored, or stores much later; a Delete takes
// effect late; a listing lags; a body comes back short or wrong. Which of it
// happens is drawn from a seed, or asked for one call at a time.
//
// It is for tests, and stricter than it must be: what package blob forbids fails.
// The time of "later" is counted in calls, so that a history of calls in one
// goroutine always comes out the same.
package mem

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"kuva/internal/blob"
)

// Errors that the faults give.
var (
	// ErrFault means that a call was made to fail.
	ErrFault = errors.New("injected fault")
	// ErrCrashed means that the caller's process has died: see Crash.
	ErrCrashed = errors.New("the process has crashed")
)

// Op names a call.
type Op string

// The calls that a Hook sees and that Next makes fail.
const (
	OpCreate Op = "create"
	OpWrite  Op = "write"
	OpCommit Op = "commit"
	OpRead   Op = "read"
	OpStat   Op = "stat"
	OpList   Op = "list"
	OpDelete Op = "delete"
)

// Store is a blob.Store. Every process of a test opens its own handle by New or
// Crash or Open; what is stored is one.
type Store struct {
	st   *state
	dead bool // guarded by st.mu
	hook func(op Op, key string, after bool)
}

// state is what outlives a process.
type state struct {
	mu      sync.Mutex
	blobs   map[string][]byte // a value is never changed in place
	listed  map[string]int64  // what a listing shows: key and size
	later   []effect
	calls   int64 // the clock
	used    int64
	limit   int64 // 0: none
	reserve int64
	held    bool // the reserve is part of used
	faults  Faults
	rnd     *rand.Rand
	next    []Fate
}

// effect is something that happens when the clock comes to due.
type effect struct {
	due  int64
	what func(*state)
	list bool // the store's own doing: no process that dies keeps it from coming
}

// New gives an empty store without faults. seed decides all that is drawn.
func New(seed uint64) *Store {
	return &Store{st: &state{
		blobs: map[string][]byte{}, listed: map[string]int64{},
		rnd: rand.New(rand.NewPCG(seed, 0x6b757661)),
	}}
}

// Open gives another handle to the same store: another process, which dies alone.
func (s *Store) Open() *Store { return &Store{st: s.st} }

// Crash ends the process that uses this handle: its calls and writers fail with
// ErrCrashed from now on. It gives a handle for the next one. What was to
// happen later is dropped or stays to come, as the seed decides for each: a
// request may be under way in the network or not have left.
func (s *Store) Crash() *Store {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	s.dead = true
	s.st.later = slices.DeleteFunc(s.st.later, func(e effect) bool { return !e.list && s.st.rnd.IntN(2) == 0 })
	s.st.next = nil
	return &Store{st: s.st}
}

// SetHook has f called before and after each call on this handle, outside of any
// lock, so that f may call the store, crash it, or panic. Set it before use.
func (s *Store) SetHook(f func(op Op, key string, after bool)) { s.hook = f }

// begin begins a call: it counts, lets happen what is due, and says the call's fate.
// Without an error the lock is held.
func (s *Store) begin(ctx context.Context, op Op, key string) (Fate, error) {
	if s.hook != nil {
		s.hook(op, key, false)
	}
	st := s.st
	st.mu.Lock()
	err := ctx.Err()
	if s.dead {
		err = ErrCrashed
	}
	if err == nil {
		err = blob.CheckKey(key)
		if op == OpList {
			err = blob.CheckPrefix(key)
		}
	}
	if err != nil {
		st.mu.Unlock()
		return Fate{}, fmt.Errorf("%s %s: %w", op, key, err)
	}
	st.calls++
	st.settle(st.calls)
	return st.fate(op), nil
}

// end ends a call that began without an error.
func (s *Store) end(op Op, key string) {
	s.st.mu.Unlock()
	if s.hook != nil {
		s.hook(op, key, true)
	}
}

// settle lets everything happen that is due at now, in order.
func (st *state) settle(now int64) {
	for {
		due := -1
		for i, e := range st.later {
			if e.due <= now && (due < 0 || e.due < st.later[due].due) {
				due = i
			}
		}
		if due < 0 {
			return
		}
		e := st.later[due]
		st.later = slices.Delete(st.later, due, due+1)
		e.what(st)
	}
}

func (st *state) at(delay int, what func(*state)) {
	st.later = append(st.later, effect{due: st.calls + int64(delay), what: what})
}

// show changes what listings show, at once or later.
func (st *state) show(delay int, what func(*state)) {
	if delay <= 0 {
		what(st)
		return
	}
	st.later = append(st.later, effect{due: st.calls + int64(delay), what: what, list: true})
}

// store is what a Put does when it gets there: it never replaces.
func (st *state) store(key string, b []byte, listLag int) error {
	if _, ok := st.blobs[key]; ok {
		return blob.ErrExists
	}
	for i := range key {
		if key[i] == '/' {
			if _, ok := st.blobs[key[:i]]; ok {
				return fmt.Errorf("%w: %s is a blob", blob.ErrKey, key[:i])
			}
		}
	}
	for other := range st.blobs {
		if strings.HasPrefix(other, key+"/") {
			return fmt.Errorf("%w: %s is a folder", blob.ErrKey, key)
		}
	}
	if st.limit > 0 && st.used+int64(len(b)) > st.limit {
		return blob.ErrFull
	}
	st.used += int64(len(b))
	st.blobs[key] = b
	st.show(listLag, func(st *state) {
		if _, ok := st.blobs[key]; ok {
			st.listed[key] = int64(len(b))
		}
	})
	return nil
}

func (st *state) remove(key string, listLag int) {
	b, ok := st.blobs[key]
	if !ok {
		return
	}
	st.used -= int64(len(b))
	delete(st.blobs, key)
	st.show(listLag, func(st *state) {
		if _, ok := st.blobs[key]; !ok {
			delete(st.listed, key)
		}
	})
}

// Create implements blob.Store.
func (s *Store) Create(ctx context.Context, key string) (blob.Writer, error) {
	fate, err := s.begin(ctx, OpCreate, key)
	if err != nil {
		return nil, err
	}
	defer s.end(OpCreate, key)
	if fate.failed() {
		return nil, fmt.Errorf("create %s: %w", key, fate.Err)
	}
	return &writer{s: s, ctx: ctx, key: key}, nil
}

type writer struct {
	s    *Store
	ctx  context.Context
	key  string
	b    []byte
	bad  error
	done bool
}

func (w *writer) Write(p []byte) (int, error) {
	if w.done || w.bad != nil {
		return 0, fmt.Errorf("write %s: %w", w.key, cmpErr(w.bad))
	}
	fate, err := w.s.begin(w.ctx, OpWrite, w.key)
	if err != nil {
		return 0, err
	}
	defer w.s.end(OpWrite, w.key)
	st := w.s.st
	switch {
	case fate.failed():
		w.bad = fate.Err
	case st.limit > 0 && st.used+int64(len(w.b)+len(p)) > st.limit:
		w.bad = blob.ErrFull
	}
	if w.bad != nil {
		return 0, fmt.Errorf("write %s: %w", w.key, w.bad)
	}
	w.b = append(w.b, p...)
	return len(p), nil
}

var errDone = errors.New("writer is done")

func cmpErr(err error) error {
	if err == nil {
		return errDone
	}
	return err
}

// Commit implements blob.Writer.
func (w *writer) Commit() error {
	if w.done || w.bad != nil {
		w.done = true
		return fmt.Errorf("commit %s: %w", w.key, cmpErr(w.bad))
	}
	w.done = true
	fate, err := w.s.begin(w.ctx, OpCommit, w.key)
	if err != nil {
		return err
	}
	defer w.s.end(OpCommit, w.key)
	st := w.s.st
	switch {
	case fate.Done:
		// An answer that got lost says nothing of what it was.
		err = st.store(w.key, w.b, fate.ListLag)
		if fate.Err != nil {
			err = fate.Err
		}
	case fate.Later > 0:
		key, b, lag := w.key, w.b, fate.ListLag
		st.at(fate.Later, func(st *state) { _ = st.store(key, b, lag) })
		err = fate.Err
	default:
		err = fate.Err
	}
	if err != nil {
		return fmt.Errorf("commit %s: %w", w.key, err)
	}
	return nil
}

// Abort implements blob.Writer.
func (w *writer) Abort() { w.done = true }

// ReadAt implements blob.Store.
func (s *Store) ReadAt(ctx context.Context, key string, p []byte, off int64) (int, error) {
	fate, err := s.begin(ctx, OpRead, key)
	if err != nil {
		return 0, err
	}
	defer s.end(OpRead, key)
	b, ok := s.st.blobs[key]
	switch {
	case off < 0:
		return 0, fmt.Errorf("read %s: offset %d", key, off)
	case !ok:
		return 0, fmt.Errorf("read %s: %w", key, blob.ErrNotFound)
	case fate.failed():
		return 0, fmt.Errorf("read %s: %w", key, fate.Err)
	case off >= int64(len(b)):
		if len(p) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	n := copy(p, b[off:])
	if fate.Short && n > 0 {
		n = s.st.rnd.IntN(n)
		return n, io.EOF
	}
	if fate.Flip && n > 0 {
		p[s.st.rnd.IntN(n)] ^= 1 << s.st.rnd.IntN(8)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Stat implements blob.Store.
func (s *Store) Stat(ctx context.Context, key string) (blob.Info, error) {
	fate, err := s.begin(ctx, OpStat, key)
	if err != nil {
		return blob.Info{}, err
	}
	defer s.end(OpStat, key)
	b, ok := s.st.blobs[key]
	switch {
	case fate.failed():
		return blob.Info{}, fmt.Errorf("stat %s: %w", key, fate.Err)
	case !ok:
		return blob.Info{}, fmt.Errorf("stat %s: %w", key, blob.ErrNotFound)
	}
	return blob.Info{Key: key, Size: int64(len(b))}, nil
}

// List implements blob.Store. It shows one moment, which may lie back.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		list, err := s.list(ctx, prefix)
		for i, info := range list {
			if err != nil && i == len(list)/2 {
				break // half of it came, then the connection broke
			}
			if !yield(info, nil) {
				return
			}
		}
		if err != nil {
			yield(blob.Info{}, err)
		}
	}
}

func (s *Store) list(ctx context.Context, prefix string) ([]blob.Info, error) {
	fate, err := s.begin(ctx, OpList, prefix)
	if err != nil {
		return nil, err
	}
	defer s.end(OpList, prefix)
	var list []blob.Info
	for _, key := range slices.Sorted(maps.Keys(s.st.listed)) {
		if strings.HasPrefix(key, prefix) {
			list = append(list, blob.Info{Key: key, Size: s.st.listed[key]})
		}
	}
	if fate.failed() {
		err = fmt.Errorf("list %q: %w", prefix, fate.Err)
	}
	return list, err
}

// Delete implements blob.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	fate, err := s.begin(ctx, OpDelete, key)
	if err != nil {
		return err
	}
	defer s.end(OpDelete, key)
	switch st := s.st; {
	case fate.Done:
		st.remove(key, fate.ListLag)
	case fate.Later > 0:
		st.at(fate.Later, func(st *state) { st.remove(key, fate.ListLag) })
	}
	if fate.Err != nil {
		return fmt.Errorf("delete %s: %w", key, fate.Err)
	}
	return nil
}
