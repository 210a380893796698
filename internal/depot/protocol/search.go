package protocol

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Limits bounds a search. A zero field means no bound.
type Limits struct {
	States int // stop after so many different states
	Depth  int // look at runs of at most so many steps
}

// Result says what a search found.
type Result struct {
	States   int    // different states seen
	Depth    int    // steps of the longest shortest run looked at
	Complete bool   // every reachable state was seen
	Broken   string // the invariant that was broken, "" if none
	Trace    []Step // a shortest run to it
}

// String says the result in a few lines, the trace included.
func (r Result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d states, %d steps deep", r.States, r.Depth)
	if r.Complete {
		b.WriteString(", all")
	}
	if r.Broken == "" {
		b.WriteString(", no violation")
		return b.String()
	}
	fmt.Fprintf(&b, "; violated after %d steps: %s", len(r.Trace), r.Broken)
	for _, s := range r.Trace {
		fmt.Fprintf(&b, "\n    %s", s)
	}
	return b.String()
}

// seen is an open-addressed set of non-zero hashes.
type seen struct {
	slot []uint64
	n    int
}

func newSeen() *seen { return &seen{slot: make([]uint64, 1<<16)} }

// add puts h in and says whether it is new.
func (v *seen) add(h uint64) bool {
	if v.n*10 > len(v.slot)*7 {
		old := v.slot
		v.slot = make([]uint64, 2*len(old))
		for _, o := range old {
			if o != 0 {
				v.slot[v.free(o)] = o
			}
		}
	}
	i := v.free(h)
	if v.slot[i] == h {
		return false
	}
	v.slot[i] = h
	v.n++
	return true
}

// free gives the slot that holds h or could hold it.
func (v *seen) free(h uint64) uint64 {
	mask := uint64(len(v.slot) - 1)
	i := h & mask
	for v.slot[i] != 0 && v.slot[i] != h {
		i = (i + 1) & mask
	}
	return i
}

// Search looks at every reachable state breadth first and stops at the first
// that breaks an invariant, so its trace is a shortest one. It holds about 20
// bytes a state, and 80 for each state of two layers in a row. States are told
// apart by 64-bit hashes: the chance that any two of 50 million are taken for
// one is under 1 in 10,000.
func Search(c Config, lim Limits) Result {
	first := initial(&c)
	visited := newSeen()
	visited.add(first.hash())
	parent := []uint32{0} // of each state, in the order found
	choice := []uint8{0}  // which of its parent's successors it is
	layer, base := []state{first}, 0
	n := &steps{c: &c}
	res := Result{}

	// trace follows a state back to the first and runs forward again.
	trace := func(at int) []Step {
		var way []uint8
		for ; at != 0; at = int(parent[at]) {
			way = append(way, choice[at])
		}
		var run []Step
		s := first
		for i := len(way) - 1; i >= 0; i-- {
			n.next(&s)
			run = append(run, n.did[way[i]])
			s = n.states[way[i]]
		}
		return run
	}

	for len(layer) > 0 {
		var deeper []state
		for at := range layer {
			n.next(&layer[at])
			if why := broken(&layer[at], &c, n.system == 0); why != "" {
				res.States, res.Broken, res.Trace = len(parent), why, trace(base+at)
				return res
			}
			if lim.Depth != 0 && res.Depth >= lim.Depth {
				continue
			}
			for k := range n.states {
				if visited.add(n.states[k].hash()) {
					parent = append(parent, uint32(base+at))
					choice = append(choice, uint8(k))
					deeper = append(deeper, n.states[k])
				}
			}
			if lim.States != 0 && len(parent) > lim.States {
				res.States = len(parent)
				return res
			}
		}
		base += len(layer)
		if len(deeper) > 0 {
			res.Depth++
		}
		layer = deeper
	}
	res.States = len(parent)
	res.Complete = lim.Depth == 0 || res.Depth < lim.Depth
	return res
}

// Walk takes runs random runs, each to its end or to 400 steps, and stops at
// the first that breaks an invariant. Result.States counts steps.
func Walk(c Config, runs int, seed uint64) Result {
	rng := rand.New(rand.NewPCG(seed, 1))
	n := &steps{c: &c}
	res := Result{}
	for range runs {
		s := initial(&c)
		var run []Step
		for len(run) < 400 {
			n.next(&s)
			if why := broken(&s, &c, n.system == 0); why != "" {
				res.Broken, res.Trace = why, run
				return res
			}
			if len(n.states) == 0 {
				break
			}
			k := rng.IntN(len(n.states))
			run = append(run, n.did[k])
			s = n.states[k]
			res.States++
		}
		res.Depth = max(res.Depth, len(run))
	}
	return res
}
