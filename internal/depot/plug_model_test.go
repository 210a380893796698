package depot

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"modernc.org/sqlite"

	"kuva/internal/blob"
)

// A plug is what one simulated process hangs on. Everything that makes state
// durable passes it, before and after: a blob's commit or delete, a COMMIT of
// SQLite, a failpoint. Each passage is an event with a number; at a chosen one
// the power goes, and from then on no call reaches the store and no COMMIT
// succeeds, whatever goroutine tries. What SQLite has committed by then it
// keeps: a process that dies does not take the kernel's pages with it. (Power
// loss under SQLite is tested on a file system that forgets.)
type plug struct {
	mu     sync.Mutex
	n      int
	cutAt  int               // event at which the power goes; 0: it stays
	failAt int               // event whose call fails; of an event after it: it took effect
	during map[int]func()    // what others do at an event; put off past open transactions
	named  map[string]func() // the same, once, at an event of this name
	due    []func()
	aside  int  // others act: their COMMITs are not this process's
	done   bool // only what took effect counts: between two of those nothing lasting happens
	cut    bool
	where  string
	points map[string]int // how often each event came
}

var errCut = errors.New("power is cut")

// event passes the plug. An error means that the call does not happen, or,
// after it, that its answer is lost.
func (p *plug) event(what string, sql bool) error {
	p.mu.Lock()
	if p.cut {
		p.mu.Unlock()
		return errCut
	}
	if sql && p.aside > 0 {
		p.mu.Unlock()
		return nil
	}
	if p.done && !strings.HasSuffix(what, " done") {
		p.mu.Unlock()
		return nil
	}
	p.n++
	if p.points != nil {
		p.points[what]++
	}
	if p.n == p.cutAt {
		p.cut, p.where = true, what
		p.mu.Unlock()
		return errCut
	}
	fail := p.n == p.failAt
	if fail {
		p.where = what
	}
	if f := p.during[p.n]; f != nil {
		p.due = append(p.due, f)
	}
	if f := p.named[what]; f != nil && p.aside == 0 {
		delete(p.named, what)
		p.due = append(p.due, f)
	}
	var now []func()
	if !sql && p.aside == 0 {
		now, p.due = p.due, nil
	}
	if len(now) > 0 {
		p.aside++
	}
	p.mu.Unlock()
	for _, f := range now {
		f()
	}
	if len(now) > 0 {
		p.mu.Lock()
		p.aside--
		p.mu.Unlock()
	}
	if fail {
		return fmt.Errorf("%w: %s", errInjected, what)
	}
	return nil
}

var errInjected = errors.New("injected failure")

func (p *plug) failpoint(point string) error { return p.event(point, false) }

func (p *plug) isCut() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cut
}

// plugged is a store behind a plug.
type plugged struct {
	blob.Store
	p *plug
}

func (s *plugged) Unwrap() blob.Store { return s.Store }

// class is a key without what differs from run to run.
func class(key string) string {
	kind, _, _ := strings.Cut(key, "/")
	return kind
}

func (s *plugged) dead() error {
	if s.p.isCut() {
		return errCut
	}
	return nil
}

func (s *plugged) Create(ctx context.Context, key string) (blob.Writer, error) {
	if err := s.dead(); err != nil {
		return nil, err
	}
	w, err := s.Store.Create(ctx, key)
	if err != nil {
		return nil, err
	}
	return &pluggedWriter{w, s, key}, nil
}

type pluggedWriter struct {
	blob.Writer
	s   *plugged
	key string
}

func (w *pluggedWriter) Write(p []byte) (int, error) {
	if err := w.s.dead(); err != nil {
		return 0, err
	}
	return w.Writer.Write(p)
}

func (w *pluggedWriter) Commit() error {
	if err := w.s.p.event("put "+class(w.key), false); err != nil {
		return err
	}
	err := w.Writer.Commit()
	return errors.Join(err, w.s.p.event("put "+class(w.key)+" done", false))
}

func (s *plugged) Delete(ctx context.Context, key string) error {
	if err := s.p.event("delete "+class(key), false); err != nil {
		return err
	}
	err := s.Store.Delete(ctx, key)
	return errors.Join(err, s.p.event("delete "+class(key)+" done", false))
}

func (s *plugged) ReadAt(ctx context.Context, key string, p []byte, off int64) (int, error) {
	if err := s.dead(); err != nil {
		return 0, err
	}
	if s.p.waitsFor("read " + class(key)) {
		_ = s.p.event("read "+class(key), false)
	}
	return s.Store.ReadAt(ctx, key, p, off)
}

func (s *plugged) Stat(ctx context.Context, key string) (blob.Info, error) {
	if err := s.dead(); err != nil {
		return blob.Info{}, err
	}
	return s.Store.Stat(ctx, key)
}

func (s *plugged) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	if err := s.dead(); err != nil {
		return func(yield func(blob.Info, error) bool) { yield(blob.Info{}, err) }
	}
	return s.Store.List(ctx, prefix)
}

// sockets says which plug the COMMITs of a database hang on, by its path.
var sockets sync.Map // string → *atomic.Pointer[plug]

// wireSQLite has every new connection to a database in sockets ask its plug at
// COMMIT. SQLite rolls back what the hook refuses.
var wireSQLite = sync.OnceFunc(func() {
	sqlite.RegisterConnectionHook(func(c sqlite.ExecQuerierContext, dsn string) error {
		u, err := url.Parse(dsn)
		if err != nil {
			return nil // somebody else's
		}
		path, err := url.PathUnescape(u.Opaque)
		if err != nil || path == "" {
			path = u.Path
		}
		found, ok := sockets.Load(path)
		if !ok {
			return nil
		}
		at := found.(*atomic.Pointer[plug])
		c.(sqlite.HookRegisterer).RegisterCommitHook(func() int32 {
			p := at.Load()
			if p == nil {
				return 0
			}
			if p.event("commit", true) != nil {
				return 1
			}
			_ = p.event("commit done", true) // it cannot fail any more
			return 0
		})
		return nil
	})
})

// waitsFor says whether something is to happen at an event of this name. Reads
// are no events otherwise: nothing lasting happens in them.
func (p *plug) waitsFor(what string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.named[what] != nil && p.aside == 0
}
