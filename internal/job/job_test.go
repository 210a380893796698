package job_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
	"kuva/internal/job"
)

const poll = 20 * time.Millisecond

// start opens a queue with short intervals and stops it with the test.
func start(t *testing.T, db *catalog.DB, node string, change func(*job.Config), handlers ...job.Handler) *job.Queue {
	t.Helper()
	q := open(t, db, node, change, handlers...)
	if err := q.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, q) })
	return q
}

func open(t *testing.T, db *catalog.DB, node string, change func(*job.Config), handlers ...job.Handler) *job.Queue {
	t.Helper()
	cfg := job.Config{
		DB: db, Node: node, Handlers: handlers, Workers: 8, Poll: poll,
		Pause: func(int64) time.Duration { return time.Millisecond },
		Log:   slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	if change != nil {
		change(&cfg)
	}
	q, err := job.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func stop(t *testing.T, q *job.Queue) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := q.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func enqueue(t *testing.T, db *catalog.DB, q *job.Queue, n job.New) (id string) {
	t.Helper()
	err := db.Update(t.Context(), func(tx *catalog.Tx) (err error) {
		id, err = q.Enqueue(t.Context(), tx, n)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func get(t *testing.T, db *catalog.DB, q *job.Queue, id string) (j job.Job) {
	t.Helper()
	err := db.View(t.Context(), func(tx *catalog.Tx) (err error) {
		j, err = q.Get(t.Context(), tx, id)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// until waits for the job to be as ok wants it.
func until(t *testing.T, db *catalog.DB, q *job.Queue, id string, ok func(job.Job) bool) job.Job {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(poll / 4) {
		j := get(t, db, q, id)
		if ok(j) {
			return j
		}
		if time.Now().After(deadline) {
			t.Fatalf("job stays at %+v", j)
		}
	}
}

func in(s job.State) func(job.Job) bool { return func(j job.Job) bool { return j.State == s } }

func TestEnqueueAndRun(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		var ran atomic.Int64
		q := start(t, db, "a", nil, job.Handler{Kind: "add", Run: func(_ context.Context, r *job.Run) error {
			var args struct{ N int64 }
			if err := r.Decode(&args); err != nil {
				return err
			}
			ran.Add(args.N)
			r.Progress(3, 7)
			r.Say("adding", "numbers")
			return nil
		}})
		type args struct{ N int64 }
		rolledBack := errors.New("no")
		err := db.Update(t.Context(), func(tx *catalog.Tx) error {
			if _, err := q.Enqueue(t.Context(), tx, job.New{Kind: "add", Args: args{1000}}); err != nil {
				return err
			}
			return rolledBack
		})
		if !errors.Is(err, rolledBack) {
			t.Fatal(err)
		}
		begin := time.Now()
		id := enqueue(t, db, q, job.New{Kind: "add", Args: args{5}, Image: "i", Project: "p", RequestID: "req-1"})
		j := until(t, db, q, id, in(job.Succeeded))
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("an enqueued job took %v", took)
		}
		if ran.Load() != 5 {
			t.Errorf("ran %d", ran.Load())
		}
		if j.Image != "i" || j.Project != "p" || j.RequestID != "req-1" || j.Done != 3 || j.Total != 7 || j.Message != "adding" ||
			j.Unit != "numbers" || j.Node != "a" || j.Attempt != 1 || j.Failures != 0 || j.FinishedAt.Before(j.CreatedAt) || string(j.Args) != `{"N":5}` {
			t.Errorf("%+v", j)
		}
		err = db.View(t.Context(), func(tx *catalog.Tx) error {
			_, err := q.Get(t.Context(), tx, "nothing")
			return err
		})
		if kuva.CodeOf(err) != kuva.CodeNotFound {
			t.Errorf("unknown job: %v", err)
		}
		err = db.Update(t.Context(), func(tx *catalog.Tx) error {
			_, err := q.Enqueue(t.Context(), tx, job.New{Kind: "unheard of"})
			return err
		})
		if err == nil {
			t.Error("a kind without handler was taken")
		}
	})
}

func TestRetryAndFailure(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		var tries atomic.Int64
		q := start(t, db, "a", nil,
			job.Handler{Kind: "thirdtime", Run: func(context.Context, *job.Run) error {
				if tries.Add(1) < 3 {
					return job.Retry(errors.New("not yet"))
				}
				return nil
			}},
			job.Handler{Kind: "away", MaxAttempts: 2, Run: func(context.Context, *job.Run) error {
				return fmt.Errorf("fetch: %w", kuva.E(kuva.CodeUnavailable, "job.internal"))
			}},
			job.Handler{Kind: "broken", Run: func(context.Context, *job.Run) error {
				return kuva.E(kuva.CodeUnsupported, "job.not_found", "id", "x").Because(errors.New("secret"))
			}},
			job.Handler{Kind: "panics", Run: func(context.Context, *job.Run) error { panic("ouch") }},
		)
		if j := until(t, db, q, enqueue(t, db, q, job.New{Kind: "thirdtime"}), in(job.Succeeded)); j.Attempt != 3 || j.Failures != 2 || j.Code != "" {
			t.Errorf("retried: %+v", j)
		}
		if j := until(t, db, q, enqueue(t, db, q, job.New{Kind: "away"}), in(job.Failed)); j.Attempt != 2 || j.Code != kuva.CodeUnavailable {
			t.Errorf("away: %+v", j)
		}
		if j := until(t, db, q, enqueue(t, db, q, job.New{Kind: "broken"}), in(job.Failed)); j.Attempt != 1 || j.Code != kuva.CodeUnsupported ||
			j.Sentence != "There is no job x." {
			t.Errorf("broken: %+v", j)
		}
		if j := until(t, db, q, enqueue(t, db, q, job.New{Kind: "panics"}), in(job.Failed)); j.Code != kuva.CodeInternal || strings.Contains(j.Sentence, "ouch") {
			t.Errorf("panics: %+v", j)
		}
	})
}

func TestUniqueKey(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		release := make(chan struct{})
		var now, most, runs atomic.Int64
		q := start(t, db, "a", nil, job.Handler{Kind: "inspect", Run: func(context.Context, *job.Run) error {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			runs.Add(1)
			<-release
			return nil
		}}, job.Handler{Kind: "other", Run: func(context.Context, *job.Run) error { return nil }})
		first := enqueue(t, db, q, job.New{Kind: "inspect", UniqueKey: "i"})
		until(t, db, q, first, in(job.Running))
		second := enqueue(t, db, q, job.New{Kind: "inspect", UniqueKey: "i"})
		third := enqueue(t, db, q, job.New{Kind: "inspect", UniqueKey: "i"})
		other := enqueue(t, db, q, job.New{Kind: "other", UniqueKey: "i"})
		if second == first || third != second || other == second {
			t.Fatalf("ids %s %s %s %s", first, second, third, other)
		}
		until(t, db, q, other, in(job.Succeeded))
		time.Sleep(3 * poll)
		if j := get(t, db, q, second); j.State != job.Pending {
			t.Fatalf("the twin is %s while the first runs", j.State)
		}
		close(release)
		until(t, db, q, second, in(job.Succeeded))
		if most.Load() != 1 || runs.Load() != 2 {
			t.Errorf("%d at once, %d runs", most.Load(), runs.Load())
		}
	})
}

func TestCancel(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		waits := job.Handler{Kind: "wait", Run: func(ctx context.Context, _ *job.Run) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}}
		a := start(t, db, "a", nil, waits)
		b := open(t, db, "b", nil, waits) // another node, which works not
		cancel := func(q *job.Queue, id string) error {
			return db.Update(t.Context(), func(tx *catalog.Tx) error { return q.Cancel(t.Context(), tx, id) })
		}
		for name, q := range map[string]*job.Queue{"own": a, "other": b} {
			id := enqueue(t, db, a, job.New{Kind: "wait"})
			until(t, db, a, id, in(job.Running))
			begin := time.Now()
			if err := cancel(q, id); err != nil {
				t.Fatal(err)
			}
			j := until(t, db, a, id, in(job.Cancelled))
			if took := time.Since(begin); took > 2*time.Second || j.Code != kuva.CodeCancelled || !j.Cancel {
				t.Errorf("cancelled by %s node after %v: %+v", name, took, j)
			}
			if err := cancel(q, id); kuva.CodeOf(err) != kuva.CodeConflict {
				t.Errorf("cancelled again: %v", err)
			}
		}
		if err := cancel(a, "nothing"); kuva.CodeOf(err) != kuva.CodeNotFound {
			t.Errorf("unknown: %v", err)
		}

		ids := []string{enqueue(t, db, a, job.New{Kind: "wait", Image: "i"}), enqueue(t, db, a, job.New{Kind: "wait", Image: "i"})}
		bystander := enqueue(t, db, a, job.New{Kind: "wait", Image: "k"})
		var n int64
		err := db.Update(t.Context(), func(tx *catalog.Tx) (err error) {
			n, err = b.CancelImage(t.Context(), tx, "i")
			return err
		})
		if err != nil || n != 2 {
			t.Fatalf("%d cancelled, %v", n, err)
		}
		for _, id := range ids {
			until(t, db, a, id, in(job.Cancelled))
		}
		if j := get(t, db, a, bystander); j.State.Final() {
			t.Errorf("another image's job is %s", j.State)
		}
	})
}

func TestProgressIsVisible(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		seen := make(chan struct{})
		q := start(t, db, "a", nil, job.Handler{Kind: "slow", Run: func(ctx context.Context, r *job.Run) error {
			r.Progress(10, 100)
			r.Say("reading", "bytes")
			select {
			case <-seen:
			case <-ctx.Done():
			}
			return ctx.Err()
		}})
		changes, end := q.Subscribe()
		defer end()
		id := enqueue(t, db, q, job.New{Kind: "slow"})
		until(t, db, q, id, func(j job.Job) bool {
			return j.State == job.Running && j.Done == 10 && j.Total == 100 && j.Message == "reading"
		})
		close(seen)
		until(t, db, q, id, in(job.Succeeded))
		var told []string
		for deadline := time.After(10 * time.Second); ; {
			select {
			case j := <-changes:
				told = append(told, string(j.State))
				if j.ID != id {
					t.Fatalf("told about %s", j.ID)
				}
				if j.State == job.Succeeded {
					return
				}
			case <-deadline:
				t.Fatalf("subscriber was told %v", told)
			}
		}
	})
}

// A subscriber of one node hears of another node's jobs.
func TestSubscribeAcrossNodes(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		quick := job.Handler{Kind: "quick", Run: func(context.Context, *job.Run) error { return nil }}
		a := start(t, db, "a", nil, quick)
		b := start(t, db, "b", nil, job.Handler{Kind: "none", Run: quick.Run})
		changes, end := b.Subscribe()
		defer end()
		time.Sleep(10 * poll) // b's first look
		id := enqueue(t, db, a, job.New{Kind: "quick"})
		for deadline := time.After(10 * time.Second); ; {
			select {
			case j := <-changes:
				if j.ID == id && j.State == job.Succeeded {
					return
				}
			case <-deadline:
				t.Fatal("not told")
			}
		}
	})
}

// cut is a database connection that the node loses: its context ends, but
// handlers do not notice.
func TestTakeOver(t *testing.T) {
	catalogtest.EachDSN(t, func(t *testing.T, dsn string) {
		ctx := t.Context()
		dbA, err := catalog.Open(ctx, catalog.Config{DSN: dsn, NoSync: true, Patience: -1})
		if err != nil {
			t.Fatal(err)
		}
		dbB := catalogtest.Open(t, dsn)
		quick := func(c *job.Config) { c.Beat = 10 * poll } // dead after a second
		asleep := make(chan struct{})
		fenced := make(chan error, 1)
		a := open(t, dbA, "a", quick, job.Handler{Kind: "long", Run: func(ctx context.Context, r *job.Run) error {
			<-asleep // deaf to its context, like a stopped process
			// It wakes after the take-over and wants to write.
			fenced <- dbB.Update(context.WithoutCancel(ctx), func(tx *catalog.Tx) error { return r.Fence(context.WithoutCancel(ctx), tx) })
			return nil
		}})
		if err := a.Start(ctx); err != nil {
			t.Fatal(err)
		}
		release := make(chan struct{})
		b := open(t, dbB, "b", quick, job.Handler{Kind: "long", Run: func(ctx context.Context, r *job.Run) error {
			r.Progress(1, 2)
			<-release
			return nil
		}})
		id := enqueue(t, dbB, b, job.New{Kind: "long", UniqueKey: "k"})
		until(t, dbB, b, id, func(j job.Job) bool { return j.State == job.Running && j.Node == "a" })
		if err := b.Start(ctx); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stop(t, b) })
		time.Sleep(100 * poll) // twice what a dead node is given
		if j := get(t, dbB, b, id); j.Node != "a" {
			t.Fatalf("a beating node lost its job: %+v", j)
		}

		_ = dbA.Close() // node a is cut off: no beat reaches the table
		j := until(t, dbB, b, id, func(j job.Job) bool { return j.State == job.Running && j.Node == "b" })
		if j.Attempt != 2 || j.Failures != 1 {
			t.Errorf("taken over: %+v", j)
		}
		close(asleep)
		if err := <-fenced; !errors.Is(err, job.ErrLost) {
			t.Errorf("stale worker passed the fence: %v", err)
		}
		time.Sleep(5 * poll)
		if j := get(t, dbB, b, id); j.State != job.Running || j.Node != "b" || j.Attempt != 2 {
			t.Errorf("stale worker changed the row: %+v", j)
		}
		close(release)
		if j := until(t, dbB, b, id, in(job.Succeeded)); j.Node != "b" || j.Done != 1 {
			t.Errorf("ended: %+v", j)
		}
		short, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = a.Stop(short) // cannot write any more
	})
}

// A worker whose job another node has now: its context ends, its outcome is
// dropped, although its own database works.
func TestStaleWorker(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		cause := make(chan error, 1)
		q := start(t, db, "a", nil, job.Handler{Kind: "long", Run: func(ctx context.Context, r *job.Run) error {
			<-ctx.Done()
			cause <- context.Cause(ctx)
			return nil // claims success all the same
		}})
		id := enqueue(t, db, q, job.New{Kind: "long"})
		until(t, db, q, id, in(job.Running))
		err := db.Update(t.Context(), func(tx *catalog.Tx) error { // what a take-over and a claim leave
			_, err := tx.Exec(t.Context(), "UPDATE job SET node = 'b', attempt = attempt + 1 WHERE id = $1", id)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-cause:
			if !errors.Is(err, job.ErrLost) {
				t.Errorf("cause %v", err)
			}
		case <-time.After(2 * time.Second):
			t.Fatal("context of a stale worker lives on")
		}
		time.Sleep(5 * poll)
		if j := get(t, db, q, id); j.Node != "b" {
			t.Errorf("stale worker wrote: %+v", j)
		}
	})
}

// Jobs of an earlier life are run again at the start, at once; cancelled ones
// end. After too many deaths a job is given up.
func TestOrphans(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		h := job.Handler{Kind: "x", Run: func(context.Context, *job.Run) error { return nil }}
		q := open(t, db, "a", func(c *job.Config) { c.Beat = time.Hour }, h)
		orphan, cancelled, poison := enqueue(t, db, q, job.New{Kind: "x"}), enqueue(t, db, q, job.New{Kind: "x"}), enqueue(t, db, q, job.New{Kind: "x"})
		for id, set := range map[string]string{orphan: "attempt = 1", cancelled: "cancel = true", poison: "failures = 10"} {
			err := db.Update(t.Context(), func(tx *catalog.Tx) error {
				_, err := tx.Exec(t.Context(), "UPDATE job SET state = 'running', node = 'a', "+set+" WHERE id = $1", id)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := q.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stop(t, q) })
		if j := until(t, db, q, orphan, in(job.Succeeded)); j.Attempt != 2 {
			t.Errorf("%+v", j)
		}
		if j := get(t, db, q, cancelled); j.State != job.Cancelled || j.FinishedAt.IsZero() {
			t.Errorf("%+v", j)
		}
		if j := get(t, db, q, poison); j.State != job.Failed || j.Code != kuva.CodeInternal {
			t.Errorf("%+v", j)
		}
	})
}

func TestStopGivesBack(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		h := job.Handler{Kind: "x", Run: func(ctx context.Context, _ *job.Run) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		q := start(t, db, "a", nil, h)
		id := enqueue(t, db, q, job.New{Kind: "x"})
		until(t, db, q, id, in(job.Running))
		stop(t, q)
		if j := get(t, db, q, id); j.State != job.Pending || j.Failures != 0 || j.Node != "" {
			t.Errorf("%+v", j)
		}
	})
}

// Every job runs exactly once while no node dies, however many nodes and
// workers there are.
func TestExactlyOnce(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		const jobs = 500
		var mu sync.Mutex
		ran := map[string]int{}
		h := job.Handler{Kind: "x", Run: func(_ context.Context, r *job.Run) error {
			mu.Lock()
			defer mu.Unlock()
			ran[r.ID]++
			return nil
		}}
		a := start(t, db, "a", nil, h)
		start(t, db, "b", nil, h)
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				for range jobs / 5 / 20 {
					err := db.Update(t.Context(), func(tx *catalog.Tx) error {
						for range 20 {
							if _, err := a.Enqueue(t.Context(), tx, job.New{Kind: "x"}); err != nil {
								return err
							}
						}
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		begin := time.Now()
		for {
			var pending, running int64
			err := db.View(t.Context(), func(tx *catalog.Tx) (err error) {
				pending, running, _, err = a.Counts(t.Context(), tx)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if pending+running == 0 {
				break
			}
			if time.Since(begin) > time.Minute {
				t.Fatalf("%d pending, %d running", pending, running)
			}
			time.Sleep(poll)
		}
		mu.Lock()
		defer mu.Unlock()
		for id, n := range ran {
			if n != 1 {
				t.Errorf("job %s ran %d times", id, n)
			}
		}
		if len(ran) != jobs {
			t.Errorf("%d jobs ran", len(ran))
		}
	})
}

// The wall clock jumps by ten years, back and forth, while jobs wait, run and
// are to be retried.
func TestClockJumps(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		var offset atomic.Int64
		const decade = 10 * 365 * 24 * time.Hour
		var failed sync.Map
		var running atomic.Int64
		var every atomic.Int64
		clock := func(c *job.Config) {
			c.Now = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
			c.Pause = func(int64) time.Duration { return 50 * time.Millisecond }
		}
		handlers := []job.Handler{
			{Kind: "x", Run: func(_ context.Context, r *job.Run) error {
				if _, again := failed.LoadOrStore(r.ID, true); !again {
					return job.Retry(errors.New("once"))
				}
				return nil
			}},
			{Kind: "long", Run: func(ctx context.Context, _ *job.Run) error {
				running.Add(1)
				<-ctx.Done()
				return ctx.Err()
			}},
			{Kind: "every", Every: 10 * poll, Run: func(context.Context, *job.Run) error { every.Add(1); return nil }},
		}
		a := start(t, db, "a", clock, handlers...)
		start(t, db, "b", clock, handlers...)
		long := enqueue(t, db, a, job.New{Kind: "long"})
		until(t, db, a, long, in(job.Running))
		for _, jump := range []time.Duration{decade, -decade, decade, 0} {
			id := enqueue(t, db, a, job.New{Kind: "x"})
			until(t, db, a, id, func(j job.Job) bool { return j.Failures > 0 })
			offset.Store(int64(jump))
			if j := until(t, db, a, id, in(job.Succeeded)); j.Attempt != 2 {
				t.Errorf("%+v", j)
			}
		}
		before := every.Load()
		time.Sleep(15 * poll)
		if every.Load() == before {
			t.Error("the periodic job stands still")
		}
		if j := get(t, db, a, long); j.State != job.Running || j.Attempt != 1 || running.Load() != 1 {
			t.Errorf("a running job was touched: %+v", j)
		}
	})
}

func TestList(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		tick := time.Unix(1_700_000_000, 0)
		q := open(t, db, "a", func(c *job.Config) { c.Now = func() time.Time { tick = tick.Add(time.Second); return tick } })
		var ids []string
		for i := range 7 {
			ids = append(ids, enqueue(t, db, q, job.New{Kind: "k", Image: fmt.Sprint("i", i%2), Project: "p", RequestID: fmt.Sprint("r", i)}))
		}
		list := func(f job.Filter) (got []job.Job) {
			t.Helper()
			err := db.View(t.Context(), func(tx *catalog.Tx) (err error) {
				got, err = q.List(t.Context(), tx, f)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		var paged []job.Job
		for f := (job.Filter{Project: "p", Limit: 3}); ; {
			page := list(f)
			if len(page) == 0 {
				break
			}
			paged = append(paged, page...)
			f.Before = &page[len(page)-1]
		}
		if len(paged) != 7 || paged[0].ID != ids[6] || paged[6].ID != ids[0] {
			t.Errorf("pages %v", paged)
		}
		if got := list(job.Filter{Image: "i1", States: []job.State{job.Pending, job.Running}}); len(got) != 3 {
			t.Errorf("%d jobs of an image", len(got))
		}
		if got := list(job.Filter{RequestID: "r2", Kind: "k"}); len(got) != 1 || got[0].ID != ids[2] {
			t.Errorf("of a request: %v", got)
		}
		if got := list(job.Filter{States: []job.State{job.Failed}}); len(got) != 0 {
			t.Errorf("failed: %v", got)
		}
	})
}
