// Package budget bounds what looking into a disk may cost. One Budget goes
// along through everything that is opened for one inspection: volumes, file
// systems, databases inside files.
//
// Disks come from strangers. A reader asks before it takes: Step before it
// looks at entries, Read before it reads, Alloc before it makes, Depth before
// it goes further down. What is over the limit is a *Limit, which is another
// kind of error than *disk.Malformed: a file system may be sound and still too
// costly.
package budget

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"kuva/disk"
)

// Limits of one inspection. Zero fields take the default.
type Limits struct {
	Read   int64 // bytes read from the disk; default 8 GiB
	Steps  int64 // entries looked at; default 2^25
	Memory int64 // bytes held at a time; default 128 MiB
	Depth  int   // levels of folders, trees and layers; default 2,048
}

// Budget counts cost against Limits, and ends when its context does. It is
// safe for concurrent use. A nil *Budget has the default limits, no deadline,
// and counts nothing but single requests.
type Budget struct {
	ctx                 context.Context
	limits              Limits
	read, steps, memory atomic.Int64
}

// The names of what a Limit is about.
const (
	Bytes  = "bytes read"
	Steps  = "steps"
	Memory = "bytes of memory"
	Depth  = "levels"
	Time   = "time"
)

// Limit is the error for what would cost more than the budget allows. Ask with
// errors.As.
type Limit struct {
	What string // one of the names above
	Max  int64  // the limit; 0 for time
}

// Error implements error.
func (e *Limit) Error() string {
	if e.What == Time {
		return "over the limit: no time is left"
	}
	return fmt.Sprintf("over the limit: more than %d %s are needed", e.Max, e.What)
}

// Is makes a Limit of time a context.DeadlineExceeded too.
func (e *Limit) Is(target error) bool {
	return e.What == Time && target == context.DeadlineExceeded
}

// IsLimit tells whether an error is, or was caused by, a *Limit or the end of
// a context. A reader that goes on after errors in a file must not go on after
// these.
func IsLimit(err error) bool {
	var l *Limit
	return errors.As(err, &l) || errors.Is(err, context.Canceled)
}

// New starts a count. The end of ctx ends everything that uses the budget: a
// deadline with a *Limit of time, a cancellation with context.Canceled.
func New(ctx context.Context, l Limits) *Budget {
	return &Budget{ctx: ctx, limits: l.withDefaults()}
}

// Renew starts the count of what is read and looked at anew, under another
// context; what is held stays counted. Nothing may use b meanwhile.
func (b *Budget) Renew(ctx context.Context) {
	b.ctx = ctx
	b.read.Store(0)
	b.steps.Store(0)
}

func (l Limits) withDefaults() Limits {
	def := func(v *int64, d int64) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&l.Read, 8<<30)
	def(&l.Steps, 1<<25)
	def(&l.Memory, 128<<20)
	if l.Depth <= 0 {
		l.Depth = 2048
	}
	return l
}

func (b *Budget) lim() Limits {
	if b == nil || b.limits == (Limits{}) {
		return Limits{}.withDefaults()
	}
	return b.limits
}

// Context is the one that ends the budget, for callers of disks.
func (b *Budget) Context() context.Context {
	if b == nil || b.ctx == nil {
		return context.Background()
	}
	return b.ctx
}

// Err tells whether the context has ended.
func (b *Budget) Err() error {
	if b == nil || b.ctx == nil {
		return nil
	}
	err := b.ctx.Err()
	if err == nil {
		return nil // errors.Is costs more than a step
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &Limit{What: Time}
	}
	return err
}

// spend adds n to a counter. What was refused counts too, so that a reader that
// swallows errors ends as well.
func spend(counter *atomic.Int64, n, limit int64, what string) error {
	if n < 0 || counter.Load() > limit-n {
		counter.Store(limit)
		return &Limit{What: what, Max: limit}
	}
	counter.Add(n)
	return nil
}

// Step asks to look at n entries, records or blocks.
func (b *Budget) Step(n int64) error {
	if err := b.Err(); err != nil {
		return err
	}
	if b == nil {
		b = new(Budget)
	}
	return spend(&b.steps, n, b.lim().Steps, Steps)
}

// Read asks to read n bytes from the disk.
func (b *Budget) Read(n int64) error {
	if err := b.Err(); err != nil {
		return err
	}
	if b == nil {
		b = new(Budget)
	}
	return spend(&b.read, n, b.lim().Read, Bytes)
}

// Alloc asks for n bytes of memory; Free gives them back. Ask before making.
// What was refused need not be given back.
func (b *Budget) Alloc(n int64) error {
	limit := b.lim().Memory
	if n < 0 || n > limit {
		return &Limit{What: Memory, Max: limit}
	}
	if b == nil {
		return nil
	}
	if b.memory.Add(n) > limit {
		b.memory.Add(-n)
		return &Limit{What: Memory, Max: limit}
	}
	return nil
}

// Free gives back what Alloc granted.
func (b *Budget) Free(n int64) {
	if b != nil {
		b.memory.Add(-n)
	}
}

// Depth asks to be n levels deep: folders in folders, nodes of a tree, volumes
// in volumes.
func (b *Budget) Depth(n int) error {
	if limit := b.lim().Depth; n > limit {
		return &Limit{What: Depth, Max: int64(limit)}
	}
	return nil
}

// ReadFull reads exactly len(p) bytes at off and counts them, and a step. A
// reader that ends before gives io.ErrUnexpectedEOF.
func (b *Budget) ReadFull(r io.ReaderAt, p []byte, off int64) error {
	if off < 0 {
		return fmt.Errorf("negative offset %d", off)
	}
	if err := b.Read(int64(len(p))); err != nil {
		return err
	}
	if err := b.Step(1); err != nil {
		return err
	}
	return disk.ReadFull(r, p, off)
}

// Spent tells what was used so far: bytes read, steps, and bytes of memory
// held now.
func (b *Budget) Spent() (read, steps, memory int64) {
	if b == nil {
		return 0, 0, 0
	}
	return b.read.Load(), b.steps.Load(), b.memory.Load()
}
