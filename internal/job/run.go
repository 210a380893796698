package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"kuva"
	"kuva/internal/catalog"
	"kuva/message"
)

// Run is one attempt at a job, in the hands of its handler. Its methods are
// safe for concurrent use.
type Run struct {
	Job // as it was claimed

	q      *Queue
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	progress progress
	dirty    bool
}

type progress struct {
	done, total   int64
	unit, message string
	rate          rate
}

// Decode reads the job's arguments.
func (r *Run) Decode(args any) error {
	if err := json.Unmarshal(r.Args, args); err != nil {
		return fmt.Errorf("arguments of job %s: %w", r.ID, err)
	}
	return nil
}

// Progress says how far the work is, in bytes or whatever Unit named; total 0
// is unknown. It is cheap: the row follows within 2 × Poll.
func (r *Run) Progress(done, total int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dirty = r.dirty || r.progress.done != done || r.progress.total != total
	r.progress.done, r.progress.total = done, total
	r.progress.rate.take(done, time.Now())
}

// Say tells people what is being done and in which unit progress counts.
func (r *Run) Say(message, unit string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.progress.message, r.progress.unit, r.progress.rate, r.dirty = message, unit, rate{}, true
}

// Fence makes tx fail with ErrLost unless this attempt still owns the job. A
// handler that writes starts its transactions with it, so that a worker that
// overslept a take-over changes nothing: the job's row stays locked until tx
// ends, and a take-over waits for it.
func (r *Run) Fence(ctx context.Context, tx *catalog.Tx) error {
	n, err := tx.Exec(ctx, "UPDATE job SET node = node WHERE id = $1 AND attempt = $2 AND state = 'running'", r.ID, r.Attempt)
	if err != nil {
		return err
	}
	if n != 1 {
		return ErrLost
	}
	return nil
}

// Advanced is Fence for work that is done in durable steps, in the transaction of
// a step: failures before it, deaths of nodes included, do not count any more.
// What gets on is not what they are counted for.
func (r *Run) Advanced(ctx context.Context, tx *catalog.Tx) error {
	n, err := tx.Exec(ctx, "UPDATE job SET failures = 0 WHERE id = $1 AND attempt = $2 AND state = 'running'", r.ID, r.Attempt)
	if err != nil {
		return err
	}
	if n != 1 {
		return ErrLost
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Failures = 0
	return nil
}

// Retry marks an error of a handler as one that may go away by itself.
func Retry(err error) error {
	if err == nil {
		return nil
	}
	return &retry{err}
}

type retry struct{ error }

func (r *retry) Unwrap() error { return r.error }

// mayHelp reports whether to try again after err.
func mayHelp(err error) bool {
	var r *retry
	if errors.As(err, &r) || errors.Is(err, catalog.ErrUnavailable) || errors.Is(err, catalog.ErrFull) {
		return true
	}
	switch kuva.CodeOf(err) {
	case kuva.CodeUnavailable, kuva.CodeStorageFull, kuva.CodeThrottled:
		return true
	}
	return false
}

// begin runs a claimed job in a goroutine of its own.
func (q *Queue) begin(ctx context.Context, j Job) {
	runCtx, cancel := context.WithCancelCause(ctx)
	r := &Run{Job: j, q: q, cancel: cancel}
	q.mu.Lock()
	q.running[r] = struct{}{}
	q.mu.Unlock()
	signal(q.stir)
	q.workers.Go(func() {
		start := time.Now()
		err := q.call(runCtx, r)
		cause := context.Cause(runCtx)
		state := q.finish(ctx, r, err, cause)
		cancel(nil)
		q.mu.Lock()
		delete(q.running, r)
		q.mu.Unlock()
		q.log.Info("job ended", "job", j.ID, "kind", j.Kind, "image", j.Image, "attempt", j.Attempt, "state", string(state),
			"seconds", time.Since(start).Seconds(), "request_id", j.RequestID, "err", err)
		q.poke()
	})
}

// call runs the handler; a panic is its error.
func (q *Queue) call(ctx context.Context, r *Run) (err error) {
	defer func() {
		if p := recover(); p != nil {
			q.log.Error("job handler panicked", "job", r.ID, "kind", r.Kind, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return q.handlers[r.Kind].Run(ctx, r)
}

// finish writes what became of the attempt, where the row is still this
// attempt's, and returns the state. While the database is away it tries until
// the queue stops; then the job is taken over like that of a dead node.
func (q *Queue) finish(ctx context.Context, r *Run, err, cause error) State {
	unsure := false
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		state, ferr := q.record(context.WithoutCancel(ctx), r, err, cause)
		if ferr == nil {
			return state
		}
		if errors.Is(ferr, ErrLost) {
			if !unsure { // else the first try may have been the one that ended it
				q.log.Warn("job was taken over; this attempt's outcome is dropped", "job", r.ID, "kind", r.Kind, "attempt", r.Attempt)
			}
			return ""
		}
		unsure = unsure || errors.Is(ferr, catalog.ErrOutcomeUnknown)
		q.log.Warn("job's outcome cannot be written yet", "job", r.ID, "kind", r.Kind, "err", ferr)
		if !sleep(ctx, pause) {
			return ""
		}
	}
}

// record is one attempt to write the outcome.
func (q *Queue) record(ctx context.Context, r *Run, err, cause error) (state State, rerr error) {
	rerr = q.db.Update(ctx, func(tx *catalog.Tx) error {
		if err := r.Fence(ctx, tx); err != nil {
			return err
		}
		now, err2 := scan(tx.QueryRow(ctx, "SELECT "+columns+" FROM job WHERE id = $1", r.ID))
		if err2 != nil {
			return err2
		}
		failures, retryAt, code, sentence, node := now.Failures, int64(0), now.Code, now.Sentence, q.cfg.Node
		state = Succeeded
		switch {
		case err == nil:
			code, sentence = "", ""
		case now.Cancel || errors.Is(cause, ErrCancelled):
			state = Cancelled
			code, sentence = kuva.CodeCancelled, message.New("job.cancelled").In(message.English)
		case errors.Is(cause, ErrStopping):
			state = Pending // not its fault
		default:
			failures++
			code, sentence = kuva.CodeOf(err), sentenceOf(err)
			state = Failed
			if mayHelp(err) && failures < int64(q.handlers[r.Kind].MaxAttempts) {
				state = Pending
				pause := min(q.cfg.Pause(failures), longest/2)
				retryAt = q.now() + (pause + rand.N(pause/2+1)).Microseconds()
			}
		}
		finished := q.now()
		if state == Pending {
			finished, node = 0, ""
		}
		p := r.snapshot()
		_, uerr := tx.Exec(ctx, `UPDATE job SET state = $2, failures = $3, retry_at = $4, code = $5, sentence = $6, finished_at = $7,
				node = $8, done = $9, total = $10, unit = $11, message = $12, rate = 0 WHERE id = $1`,
			r.ID, string(state), failures, retryAt, string(code), sentence, finished, node, p.done, p.total, p.unit, p.message)
		return uerr
	})
	return state, rerr
}

// sentenceOf is what the owner of a job reads. Errors without a sentence are
// ours, and the log has them.
func sentenceOf(err error) string {
	var e *kuva.Error
	if errors.As(err, &e) {
		return e.Text.In(message.English)
	}
	return message.New("job.internal").In(message.English)
}

func (r *Run) snapshot() progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.progress
}

// news returns the progress if it changed since the last call.
func (r *Run) news() (progress, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now, was := time.Now(), r.progress.rate.tell; r.progress.rate.stale(now) {
		r.progress.rate.take(r.progress.done, now)
		r.dirty = r.dirty || r.progress.rate.tell != was
	}
	changed := r.dirty
	r.dirty = false
	return r.progress, changed
}
