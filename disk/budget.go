package disk

import (
	"context"
	"sync/atomic"
)

// Limits bound what opening or checking one file may cost and how large the
// disk in it may be. Zero fields take the default.
type Limits struct {
	Size   int64 // largest virtual size in bytes; default: what the format allows
	Memory int64 // bytes of tables held at a time; default 256 MiB
	Read   int64 // bytes of tables read; default 64 GiB
	Steps  int64 // table entries looked at; default 2^33
}

// Budget counts a file's cost against Limits. One Budget goes along through
// everything that is opened for one file, layers inside layers included. It is
// safe for concurrent use. A nil *Budget has the default limits and counts
// nothing but single requests.
//
// It covers Open and Check. Reading an open disk is bounded by the disk: it
// takes steps in proportion to what is read, and caches of fixed size.
type Budget struct {
	limits              Limits
	memory, read, steps atomic.Int64
}

// NewBudget starts a count.
func NewBudget(l Limits) *Budget { return &Budget{limits: l.withDefaults()} }

func (l Limits) withDefaults() Limits {
	def := func(v *int64, d int64) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&l.Size, 1<<63-1)
	def(&l.Memory, 256<<20)
	def(&l.Read, 64<<30)
	def(&l.Steps, 1<<33)
	return l
}

func (b *Budget) lim() Limits {
	if b == nil {
		return Limits{}.withDefaults()
	}
	return b.limits
}

func (b *Budget) spend(counter func(*Budget) *atomic.Int64, n, limit int64, what string) error {
	sum := n
	if b != nil && n >= 0 && n <= limit {
		sum = counter(b).Add(n)
	}
	if sum < 0 || sum > limit {
		return Refuse("", ReasonLimit, "more than %d %s are needed", limit, what)
	}
	return nil
}

// CheckSize refuses a virtual size above the limit.
func (b *Budget) CheckSize(format string, size int64) error {
	if limit := b.lim().Size; size > limit {
		return Refuse(format, ReasonTooLarge, "the disk has %d bytes, the limit is %d", size, limit)
	}
	return nil
}

// Alloc asks for n bytes of memory; Free gives them back. Ask before making.
func (b *Budget) Alloc(n int64) error {
	return b.spend(func(b *Budget) *atomic.Int64 { return &b.memory }, n, b.lim().Memory, "bytes of memory")
}

// Free gives back what Alloc granted.
func (b *Budget) Free(n int64) {
	if b != nil {
		b.memory.Add(-n)
	}
}

// Read asks to read n bytes of tables.
func (b *Budget) Read(n int64) error {
	return b.spend(func(b *Budget) *atomic.Int64 { return &b.read }, n, b.lim().Read, "bytes of tables")
}

// Steps asks to look at n entries, and ends when ctx does.
func (b *Budget) Steps(ctx context.Context, n int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return b.spend(func(b *Budget) *atomic.Int64 { return &b.steps }, n, b.lim().Steps, "steps")
}
