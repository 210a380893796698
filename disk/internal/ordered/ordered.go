// Package ordered runs work side by side and hands the results on in order:
// what a compressed file needs, whose pieces are made by many workers and
// written by one.
package ordered

import (
	"context"
	"iter"
	"runtime"
	"sync"
)

// Workers is the number of workers for a wish: the wish, or for 0 one for
// every processor, at most 16.
func Workers(wish int) int {
	if wish > 0 {
		return wish
	}
	return min(16, runtime.GOMAXPROCS(0))
}

// Map takes jobs from a sequence, calls work on workers goroutines and then
// emit for each result, in the order of the jobs and from the goroutine that
// called Map. At most 2·workers results exist at a time. The first error of
// jobs, work or emit, or the end of ctx, ends everything; when Map returns no
// goroutine is left.
func Map[J, R any](ctx context.Context, workers int, jobs iter.Seq2[J, error],
	work func(ctx context.Context, job J) (R, error), emit func(R) error,
) error {
	ctx, cancel := context.WithCancel(ctx)
	type result struct {
		r   R
		err error
	}
	type task struct {
		job  J
		done chan result
	}
	tasks := make(chan task)                     // to the workers
	order := make(chan chan result, 2*workers-1) // to the caller, in order
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()

	wg.Go(func() {
		defer close(order)
		defer close(tasks)
		for job, err := range jobs {
			t := task{job: job, done: make(chan result, 1)}
			select {
			case order <- t.done:
			case <-ctx.Done():
				return
			}
			if err != nil {
				t.done <- result{err: err}
				return
			}
			select {
			case tasks <- t:
			case <-ctx.Done():
				return
			}
		}
	})
	for range workers {
		wg.Go(func() {
			for t := range tasks {
				r, err := work(ctx, t.job)
				t.done <- result{r, err}
			}
		})
	}
	for done := range order {
		select {
		case res := <-done:
			if res.err != nil {
				return res.err
			}
			if err := emit(res.r); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}
