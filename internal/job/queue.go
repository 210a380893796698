package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"kuva/internal/catalog"
)

// Handler does the jobs of one kind.
type Handler struct {
	Kind string
	// Run does the work. Its context ends when the job is cancelled, taken
	// over by another node or the queue stops; context.Cause tells which
	// (ErrCancelled, ErrLost, ErrStopping). nil means done. An error that
	// Retry made, or that says the database or a part of the service is away,
	// is tried again; any other is final.
	Run func(ctx context.Context, run *Run) error
	// MaxAttempts bounds the failures, deaths of nodes included; 0 is 5.
	MaxAttempts int
	// Limit bounds how many of the kind this node runs at once; 0 is no limit.
	Limit int
	// Outlives tells that the end of its image is not the end of the job:
	// CancelImage leaves it alone.
	Outlives bool
	// Every enqueues the job (without arguments) that often, once for all
	// nodes; 0 never.
	Every time.Duration
}

// Config is what a queue works with.
type Config struct {
	DB       *catalog.DB
	Node     string // name of this process, stable across restarts, unique among nodes
	Handlers []Handler
	Log      *slog.Logger     // nil discards
	Now      func() time.Time // for what is stored and shown; nil is time.Now
	Workers  int              // jobs at once; 0 is twice the CPUs, at least 4
	// Poll is how often the table is looked at for jobs and cancellations of
	// other nodes; 0 is 1 s. Jobs enqueued by this process start at once.
	Poll time.Duration
	// Beat is how often a node with work says so; 0 is 3 s.
	Beat time.Duration
	// Keep is how many final jobs stay to be read; 0 is 10,000.
	Keep int
	// Pause is how long a job waits after its n-th failure, n from 1; nil
	// doubles from one second to five minutes. Jitter of a half is added.
	Pause func(failures int64) time.Duration
}

// Why a handler's context ended, by context.Cause.
var (
	ErrCancelled = errors.New("job was cancelled")
	ErrLost      = errors.New("job was taken over by another node")
	ErrStopping  = errors.New("node is stopping")
)

// Queue is one node's part of the queue. Its methods are safe for concurrent
// use. A queue that was not started enqueues, lists and cancels.
type Queue struct {
	cfg      Config
	db       *catalog.DB
	log      *slog.Logger
	handlers map[string]Handler
	wake     chan struct{} // there may be something to claim
	look     chan struct{} // a running job was cancelled by this process
	stir     chan struct{} // something changed that subscribers want to see

	mu      sync.Mutex
	running map[*Run]struct{}
	subs    map[*subscriber]struct{}
	stop    func() // nil unless started

	doubt []string // jobs of a claim whose outcome is unknown; dispatch's own

	loops   sync.WaitGroup
	workers sync.WaitGroup
}

// Open makes a queue. It touches nothing before Start.
func Open(cfg Config) (*Queue, error) {
	if cfg.DB == nil || cfg.Node == "" {
		return nil, errors.New("job queue needs a database and the node's name")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Workers <= 0 {
		cfg.Workers = max(4, 2*runtime.GOMAXPROCS(0))
	}
	if cfg.Poll <= 0 {
		cfg.Poll = time.Second
	}
	if cfg.Beat <= 0 {
		cfg.Beat = 3 * time.Second
	}
	if cfg.Keep <= 0 {
		cfg.Keep = 10_000
	}
	if cfg.Pause == nil {
		cfg.Pause = func(n int64) time.Duration { return min(time.Second<<min(n-1, 20), 5*time.Minute) }
	}
	q := &Queue{
		cfg: cfg, db: cfg.DB, log: cfg.Log.With("node", cfg.Node),
		handlers: map[string]Handler{},
		wake:     make(chan struct{}, 1), look: make(chan struct{}, 1), stir: make(chan struct{}, 1),
		running: map[*Run]struct{}{}, subs: map[*subscriber]struct{}{},
	}
	for _, h := range cfg.Handlers {
		if h.Kind == "" || h.Run == nil {
			return nil, errors.New("job handler needs a kind and a function")
		}
		if _, twice := q.handlers[h.Kind]; twice {
			return nil, fmt.Errorf("job kind %q has two handlers", h.Kind)
		}
		if h.MaxAttempts <= 0 {
			h.MaxAttempts = 5
		}
		q.handlers[h.Kind] = h
	}
	return q, nil
}

// Start puts the jobs of this node's earlier life back and begins to work. It
// returns when the first is done; ctx bounds only that.
func (q *Queue) Start(ctx context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stop != nil {
		return errors.New("job queue is started already")
	}
	if err := q.adopt(ctx); err != nil {
		return fmt.Errorf("start job queue: %w", err)
	}
	run, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	q.stop = func() { stop(ErrStopping) }
	q.loops.Go(func() { q.dispatch(run) })
	q.loops.Go(func() { q.keep(run) })
	q.loops.Go(func() { q.watch(run) })
	q.loops.Go(func() { q.tend(run) })
	q.loops.Go(func() { q.broadcast(run) })
	return nil
}

// Stop takes no more jobs, ends the contexts of those that run and waits for
// them; their jobs go back to the queue. A handler that does not return before
// ctx ends is left behind, its job too: this node's next Start, or another
// node, takes it.
func (q *Queue) Stop(ctx context.Context) error {
	q.mu.Lock()
	stop := q.stop
	q.mu.Unlock()
	if stop == nil {
		return nil
	}
	stop()
	done := make(chan struct{})
	go func() {
		q.loops.Wait()
		q.workers.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop job queue: %w", ctx.Err())
	}
}

// now is the wall clock in microseconds, for columns.
func (q *Queue) now() int64 { return q.cfg.Now().UnixMicro() }

// poke says that there may be work, and that subscribers should look.
func (q *Queue) poke() {
	signal(q.wake)
	signal(q.stir)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// sleep waits for d, a little more or less so that nodes do not march in
// step, and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d - d/10 + rand.N(d/5+1))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// trouble logs an error of one of the loops, which go on.
func (q *Queue) trouble(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		q.log.Warn("job queue: "+what, "err", err)
	}
}
