package mem

import (
	"fmt"

	"kuva/internal/blob"
)

// Fate is what becomes of one call.
type Fate struct {
	Op   Op    // which call meets it
	Err  error // what the call says; nil: that all went well
	Done bool  // the call takes effect at once. Commit, Delete
	// Later, if Done is false, is after how many calls it takes effect; 0 means
	// never. What lands later lands even after a Delete of the key. Commit, Delete
	Later   int
	ListLag int  // for how many calls listings do not show it. Commit, Delete
	Short   bool // the body ends early, with io.EOF. Read
	Flip    bool // one bit of the body is wrong. Read
}

// failed tells whether a call that changes nothing fails.
func (f Fate) failed() bool { return f.Err != nil }

// The fates that test an unknown outcome, in pairs.
var (
	CommitLost   = Fate{Op: OpCommit, Err: ErrFault}             // failed and not stored
	CommitStored = Fate{Op: OpCommit, Err: ErrFault, Done: true} // failed but stored
	DeleteLost   = Fate{Op: OpDelete, Err: ErrFault}
	DeleteDone   = Fate{Op: OpDelete, Err: ErrFault, Done: true}
)

// CommitLate is a commit that fails, and stores after so many more calls.
func CommitLate(calls int) Fate { return Fate{Op: OpCommit, Err: ErrFault, Later: calls} }

// DeleteLate is a delete that says yes, and deletes after so many more calls.
func DeleteLate(calls int) Fate { return Fate{Op: OpDelete, Later: calls} }

// Faults are the chances, 0 to 1, that a call meets a bad fate. They do not add up:
// the first that is drawn holds.
type Faults struct {
	CommitLost, CommitStored, CommitLate float64
	DeleteLost, DeleteDone, DeleteLate   float64
	ListLag                              float64 // of a commit or delete
	Read, Stat, List, Create, Write      float64 // fail
	Short, Flip                          float64 // of a read
	MaxDelay                             int     // the most calls that "later" takes; 0 means 20
}

// SetFaults sets the chances from now on.
func (s *Store) SetFaults(f Faults) {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	s.st.faults = f
}

// Next makes the next call of f.Op meet f. Several wait in line.
func (s *Store) Next(f Fate) {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	s.st.next = append(s.st.next, f)
}

// fate says what becomes of a call now.
func (st *state) fate(op Op) Fate {
	for i, f := range st.next {
		if f.Op == op {
			st.next = append(st.next[:i:i], st.next[i+1:]...)
			return f
		}
	}
	f := st.faults
	happens := func(chance float64) bool { return chance > 0 && st.rnd.Float64() < chance }
	delay := func() int {
		if f.MaxDelay <= 0 {
			return 1 + st.rnd.IntN(20)
		}
		return 1 + st.rnd.IntN(f.MaxDelay)
	}
	fate := Fate{Op: op, Done: true}
	switch op {
	case OpCommit:
		switch {
		case happens(f.CommitLost):
			fate = CommitLost
		case happens(f.CommitStored):
			fate = CommitStored
		case happens(f.CommitLate):
			fate = CommitLate(delay())
		}
	case OpDelete:
		switch {
		case happens(f.DeleteLost):
			fate = DeleteLost
		case happens(f.DeleteDone):
			fate = DeleteDone
		case happens(f.DeleteLate):
			fate = DeleteLate(delay())
		}
	case OpRead:
		switch {
		case happens(f.Read):
			fate.Err = ErrFault
		case happens(f.Short):
			fate.Short = true
		case happens(f.Flip):
			fate.Flip = true
		}
	default:
		chance := f.Stat
		switch op {
		case OpList:
			chance = f.List
		case OpCreate:
			chance = f.Create
		case OpWrite:
			chance = f.Write
		}
		if happens(chance) {
			fate.Err = ErrFault
		}
	}
	if (op == OpCommit || op == OpDelete) && happens(f.ListLag) {
		fate.ListLag = delay()
	}
	return fate
}

// Settle lets everything happen that was to happen later.
func (s *Store) Settle() {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	for len(s.st.later) > 0 { // an effect may bring another: a listing that lags
		last := s.st.later[0].due
		for _, e := range s.st.later {
			last = max(last, e.due)
		}
		s.st.calls = max(s.st.calls, last)
		s.st.settle(s.st.calls)
	}
}

// Pending is how many things are to happen later.
func (s *Store) Pending() int {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	return len(s.st.later)
}

// SetLimit lets the blobs and the reserve take n bytes together; what goes beyond
// fails with blob.ErrFull. 0 means no limit.
func (s *Store) SetLimit(n int64) {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	s.st.limit = n
}

// Used is how many bytes the blobs and the reserve take.
func (s *Store) Used() int64 {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	return s.st.used
}

// SetReserve says how big the reserve is, and releases the present one. RefillReserve
// takes it.
func (s *Store) SetReserve(n int64) {
	_ = s.ReleaseReserve()
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	s.st.reserve = n
}

// ReleaseReserve gives the reserve's room back.
func (s *Store) ReleaseReserve() error {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	if s.st.held {
		s.st.used -= s.st.reserve
		s.st.held = false
	}
	return nil
}

// RefillReserve takes the reserve's room. blob.ErrFull if there is not enough.
func (s *Store) RefillReserve() error {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	if s.st.held {
		return nil
	}
	if s.st.limit > 0 && s.st.used+s.st.reserve > s.st.limit {
		return fmt.Errorf("refill reserve: %w", blob.ErrFull)
	}
	s.st.used += s.st.reserve
	s.st.held = true
	return nil
}

// Flip inverts the bits of mask in byte off of a blob, for good.
func (s *Store) Flip(key string, off int64, mask byte) error {
	return s.change(key, func(b []byte) ([]byte, error) {
		if off < 0 || off >= int64(len(b)) {
			return nil, fmt.Errorf("flip %s: offset %d of %d", key, off, len(b))
		}
		b[off] ^= mask
		return b, nil
	})
}

// Truncate cuts a blob down to n bytes, for good.
func (s *Store) Truncate(key string, n int64) error {
	return s.change(key, func(b []byte) ([]byte, error) {
		if n < 0 || n > int64(len(b)) {
			return nil, fmt.Errorf("truncate %s: to %d of %d", key, n, len(b))
		}
		return b[:n:n], nil
	})
}

func (s *Store) change(key string, how func(copy []byte) ([]byte, error)) error {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	old, ok := s.st.blobs[key]
	if !ok {
		return fmt.Errorf("change %s: %w", key, blob.ErrNotFound)
	}
	b, err := how(append([]byte(nil), old...))
	if err != nil {
		return err
	}
	s.st.used += int64(len(b) - len(old))
	s.st.blobs[key] = b
	if _, ok := s.st.listed[key]; ok {
		s.st.listed[key] = int64(len(b))
	}
	return nil
}

// Stored is what the store holds at this moment, by key, with its size: no call, so
// nothing fails, lags or settles by it.
func (s *Store) Stored() map[string]int64 {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	sizes := make(map[string]int64, len(s.st.blobs))
	for key, b := range s.st.blobs {
		sizes[key] = int64(len(b))
	}
	return sizes
}

// Clone gives a store of its own with the same blobs, all of them listed, and without
// faults or anything to come: what a copy of the bucket would hold.
func (s *Store) Clone(seed uint64) *Store {
	c := New(seed)
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	for key, b := range s.st.blobs {
		c.st.blobs[key] = b
		c.st.listed[key] = int64(len(b))
		c.st.used += int64(len(b))
	}
	return c
}
