package job

import (
	"context"
	"time"

	"kuva/internal/catalog"
)

type subscriber struct {
	ch chan Job
}

// Subscribe gives every change of a job that this node notices, of its own
// jobs and of other nodes', from now on: a job may skip states in between,
// its final state comes unless more than a hundred others ended within one
// look. A subscriber that does not read does not hold the queue up: its
// channel is closed, and a door asks its client to start anew. end closes it
// too.
//
// Subscriptions need a started queue; without any, nothing is read for them.
func (q *Queue) Subscribe() (changes <-chan Job, end func()) {
	s := &subscriber{ch: make(chan Job, 256)}
	q.mu.Lock()
	q.subs[s] = struct{}{}
	q.mu.Unlock()
	signal(q.stir)
	return s.ch, func() { q.drop(s) }
}

// drop closes a subscription, once.
func (q *Queue) drop(s *subscriber) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, in := q.subs[s]; in {
		delete(q.subs, s)
		close(s.ch)
	}
}

// what subscribers can tell apart.
type face struct {
	state                   State
	attempt, done, total    int64
	message, code, sentence string
	cancel                  bool
}

func faceOf(j Job) face {
	return face{j.State, j.Attempt, j.Done, j.Total, j.Message, string(j.Code), j.Sentence, j.Cancel}
}

// Bounds of what one look reads.
const (
	lookActive = 1000
	lookFinal  = 100
)

// broadcast compares what it reads with what it read before and sends the
// differences. One way for the changes of all nodes; the own ones ring a bell.
func (q *Queue) broadcast(ctx context.Context) {
	var known map[string]face // nil: nobody listened
	const gap = 100 * time.Millisecond
	for {
		q.mu.Lock()
		listening := len(q.subs) > 0
		q.mu.Unlock()
		if !listening {
			known = nil
			select {
			case <-ctx.Done():
				return
			case <-q.stir:
			}
			continue
		}
		jobs, err := q.recent(ctx)
		if err == nil {
			now := make(map[string]face, len(jobs))
			for _, j := range jobs {
				f := faceOf(j)
				now[j.ID] = f
				if old, ok := known[j.ID]; known != nil && (!ok || old != f) {
					q.send(j)
				}
			}
			known = now
		}
		q.trouble(ctx, "look for changes", err)
		if !sleep(ctx, gap) {
			return
		}
		t := time.NewTimer(q.cfg.Poll)
		select {
		case <-ctx.Done():
		case <-q.stir:
		case <-t.C:
		}
		t.Stop()
	}
}

func (q *Queue) recent(ctx context.Context) (jobs []Job, err error) {
	err = q.db.View(ctx, func(tx *catalog.Tx) error {
		active, err := all(ctx, tx, "SELECT "+columns+" FROM job WHERE state = 'running' OR state = 'pending' ORDER BY created_at, id LIMIT $1", lookActive)
		if err != nil {
			return err
		}
		final, err := all(ctx, tx, "SELECT "+columns+" FROM job WHERE finished_at > 0 ORDER BY finished_at DESC LIMIT $1", lookFinal)
		jobs = append(active, final...)
		return err
	})
	return jobs, err
}

func (q *Queue) send(j Job) {
	q.mu.Lock()
	var slow []*subscriber
	for s := range q.subs {
		select {
		case s.ch <- j:
		default:
			slow = append(slow, s)
		}
	}
	q.mu.Unlock()
	for _, s := range slow {
		q.drop(s)
	}
}
