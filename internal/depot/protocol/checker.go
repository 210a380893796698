package protocol

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Checker judges a history of the real depot by the protocol. It keeps its own
// small copy of ledger and store, made of nothing but the events, and says which
// event broke a rule or an invariant.
//
// Record must see the events in the order in which they happened, from the
// first one of an empty depot. A test records a transaction's event after its
// commit and before the next transaction may begin: with one goroutine at a
// time, or under a lock that all of its depots share. A transaction or Put of
// unknown outcome is recorded when it is known to have happened, a late Put when
// it lands. A Delete counts from the moment it is sent, since it may take effect
// at any time after. A history ends where the ledger is restored; after a merge a
// new one would have to begin.
//
// A Checker may be used by many goroutines. Its memory grows with the history.
type Checker struct {
	mu      sync.Mutex
	history []Event
	err     error

	leases   map[int64]*lease
	packs    map[int64]*packRow
	recipes  map[int64]*recipeRow
	objects  map[int64]int64 // live objects: current recipe
	pins     map[int64]int
	images   map[string]*imageRow
	epoch    int64 // of the ledger
	stored   int64 // greatest epoch blob
	compared int64 // greatest epoch whose step 3 passed
}

type lease struct {
	live  bool
	packs map[int64]bool
}

type packRow struct {
	state string
	epoch int64 // condemned in
	sum   string
	put   bool // stored, as far as is known
	edges int  // live objects that refer to it
}

type recipeRow struct {
	object, lease int64
	state         string
	epoch         int64
	packs         []int64
	put           bool
}

type imageRow struct {
	version, object  int64
	deleted          bool
	deletedIn        int64 // epoch
	card, deleteCard int64 // greatest versions stored, 0 for none
}

// NewChecker makes a Checker of an empty depot, whose ledger is at epoch 1.
func NewChecker() *Checker {
	return &Checker{
		leases: map[int64]*lease{}, packs: map[int64]*packRow{}, recipes: map[int64]*recipeRow{},
		objects: map[int64]int64{}, pins: map[int64]int{}, images: map[string]*imageRow{}, epoch: 1, stored: 1,
	}
}

// Record takes one step into account. Its error is the first violation of the
// history, with the last 40 events before it, and stays.
func (k *Checker) Record(e Event) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		return k.err
	}
	e.Packs = slices.Clone(e.Packs)
	k.history = append(k.history, e)
	if err := k.step(e); err != nil {
		var b strings.Builder
		from := max(0, len(k.history)-40)
		for i, h := range k.history[from:] {
			fmt.Fprintf(&b, "\n    %d %s", from+i+1, h)
		}
		k.err = fmt.Errorf("protocol violated by event %d, %s: %w%s", len(k.history), e, err, b.String())
	}
	return k.err
}

// Err gives the first violation, or nil.
func (k *Checker) Err() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.err
}

// Final asks what must hold when all writers have ended and the collector has
// run until it finds nothing to do. packs and recipes are the ids of what the
// store holds (by LIST): exactly what live objects need. No lease is live, no
// deleted image's object either, unless it is pinned.
func (k *Checker) Final(packs, recipes []int64) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		return k.err
	}
	var all []error
	bad := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	for _, id := range packs {
		if p := k.packs[id]; p == nil || p.edges == 0 {
			bad("pack %d is still stored, %s, and no live object needs it", id, p.name())
		}
	}
	for id, p := range k.packs {
		if p.edges > 0 && !slices.Contains(packs, id) {
			bad("pack %d is not stored, and %d live objects need it", id, p.edges)
		}
	}
	for _, id := range recipes {
		if r := k.recipes[id]; r == nil || k.objects[r.object] != id {
			bad("root of recipe %d is still stored, %s, and no live object needs it", id, r.name())
		}
	}
	for object, id := range k.objects {
		if !slices.Contains(recipes, id) {
			bad("root of recipe %d is not stored, and object %d is live", id, object)
		}
	}
	for id, l := range k.leases {
		if l.live {
			bad("lease %d is still live", id)
		}
	}
	for name, i := range k.images {
		if _, live := k.objects[i.object]; i.deleted && live && k.pins[i.object] == 0 && !k.used(i.object) {
			bad("image %s is deleted, and its object still live", name)
		}
	}
	return errors.Join(all...)
}

// used says whether an image that lives has the object.
func (k *Checker) used(object int64) bool {
	for _, i := range k.images {
		if i.object == object && !i.deleted {
			return true
		}
	}
	return false
}

// step applies an event, or says what it breaks.
func (k *Checker) step(e Event) error {
	switch e.Kind {
	case Begin, AnnounceRecipe, Touch, Announce, PutPack, Seal, PutRoot, Commit, Swap, Abort, Expire:
		return k.writing(e)
	case Update, Reuse, PutCard, Ack, Delete, ReadFailed, DropCards:
		return k.image(e)
	case ObjectDead, Cycle, PutEpoch, Compared, Condemn, DeletePack, DeleteRoot, Deleted, Drain, Pin, Unpin:
		return k.collecting(e)
	}
	return fmt.Errorf("unknown kind %q", e.Kind)
}

// live says whether a lease is live.
func (k *Checker) live(id int64) error {
	l := k.leases[id]
	if l == nil {
		return fmt.Errorf("lease %d never began", id)
	}
	if !l.live {
		return fmt.Errorf("lease %d has ended (the fence)", id)
	}
	return nil
}

// held says whether a live lease holds a pack.
func (k *Checker) held(pack int64) bool {
	for _, l := range k.leases {
		if l.live && l.packs[pack] {
			return true
		}
	}
	return false
}

// refer adds n edges to every pack of a recipe.
func (k *Checker) refer(r *recipeRow, n int) {
	for _, p := range r.packs {
		if row := k.packs[p]; row != nil {
			row.edges += n
		}
	}
}
