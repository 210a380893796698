package protocol

import (
	"fmt"
	"os"
	"testing"
)

// name says who acts, in a few words.
func (c Config) name() string {
	s := fmt.Sprintf("%dw%dc%dd", c.Writers, c.Collectors, c.Deleters)
	for _, f := range []struct {
		on  bool
		tag string
	}{
		{c.Compactor, "+compactor"},
		{c.Reader, "+reader"},
		{c.LatePut, "+lateput"},
		{c.LateDelete, "+latedelete"},
		{c.Crashes, "+crashes"},
		{c.Rollback, "+rollback"},
	} {
		if f.on {
			s += f.tag
		}
	}
	return s
}

// run searches a configuration of the correct protocol. A search that is meant
// to be exhaustive (no limit) must be.
func run(t *testing.T, c Config, lim Limits) {
	t.Run(c.name(), func(t *testing.T) {
		t.Parallel()
		r := Search(c, lim)
		t.Log(r)
		if r.Broken != "" {
			t.Error("the protocol is wrong")
		}
		if lim == (Limits{}) && !r.Complete {
			t.Error("the search did not end")
		}
	})
}

// Every reachable state of the configurations that fit a minute, and the first
// layers of those that do not.
func TestCorrectProtocol(t *testing.T) {
	for _, c := range []Config{
		{Writers: 1, Collectors: 2, Deleters: 2},
		{Writers: 1, Collectors: 1, Deleters: 1, Reader: true, LatePut: true, LateDelete: true, Crashes: true},
		{Compactor: true, Collectors: 1, Deleters: 2, Reader: true, LatePut: true, Crashes: true},
		{Collectors: 2, Deleters: 1, Compactor: true, Reader: true, LateDelete: true},
		{Collectors: 1, Deleters: 2, Rollback: true, Crashes: true},
	} {
		run(t, c, Limits{})
	}
	for _, c := range []Config{
		{Writers: 2, Collectors: 1, Deleters: 2, Reader: true, LatePut: true, Crashes: true},
		{Writers: 1, Compactor: true, Collectors: 1, Deleters: 2, LatePut: true, Crashes: true},
		{Writers: 2, Compactor: true, Collectors: 1, Deleters: 1, Crashes: true},
		{Writers: 2, Collectors: 1, Deleters: 1, Rollback: true},
		{Writers: 1, Compactor: true, Collectors: 1, Deleters: 1, Crashes: true, Rollback: true},
	} {
		run(t, c, Limits{States: 1_000_000})
	}
}

// Random runs to their end, everything together: the depth that the bounded
// searches do not reach.
func TestRandomRuns(t *testing.T) {
	runs := 20_000
	if os.Getenv("KUVA_SOAK") != "" {
		runs = 2_400_000
	}
	for _, c := range []Config{
		{Writers: 2, Compactor: true, Collectors: 2, Deleters: 2, Reader: true, LatePut: true, LateDelete: true, Crashes: true},
		{Writers: 2, Compactor: true, Collectors: 2, Deleters: 2, Reader: true, LatePut: true, LateDelete: true, Crashes: true, Rollback: true},
	} {
		t.Run(c.name(), func(t *testing.T) {
			t.Parallel()
			r := Walk(c, runs, 1)
			t.Logf("%d runs, %d steps, the longest %d", runs, r.States, r.Depth)
			if r.Broken != "" {
				t.Errorf("the protocol is wrong: %s", r)
			}
		})
	}
}

// The large configurations, for make soak: some 20 bytes a state and 100 for
// each state of the widest layers, so up to 12 GiB one after the other.
func TestSoak(t *testing.T) {
	if os.Getenv("KUVA_SOAK") == "" {
		t.Skip("not run: KUVA_SOAK is not set")
	}
	const most = 50_000_000
	for _, c := range []Config{
		{Writers: 1, Collectors: 2, Deleters: 1, Reader: true, LatePut: true, LateDelete: true, Crashes: true},
		{Writers: 1, Collectors: 2, Deleters: 2, Reader: true, LatePut: true, Crashes: true},
		{Writers: 1, Compactor: true, Collectors: 1, Deleters: 1},
		{Writers: 1, Compactor: true, Collectors: 1, Deleters: 2, LatePut: true, Crashes: true},
		{Writers: 1, Compactor: true, Collectors: 1, Deleters: 1, Reader: true, Crashes: true},
		{Writers: 2, Collectors: 1, Deleters: 2, Reader: true, LatePut: true, Crashes: true},
		{Writers: 2, Compactor: true, Collectors: 1, Deleters: 1, Crashes: true},
		{Writers: 1, Collectors: 1, Deleters: 1, Rollback: true},
		{Writers: 2, Collectors: 1, Deleters: 1, Rollback: true},
		{Writers: 2, Collectors: 1, Deleters: 2, Crashes: true, Rollback: true},
		{Writers: 1, Compactor: true, Collectors: 1, Deleters: 1, Crashes: true, Rollback: true},
	} {
		t.Run(c.name(), func(t *testing.T) {
			r := Search(c, Limits{States: most})
			t.Log(r)
			if r.Broken != "" {
				t.Error("the protocol is wrong")
			}
		})
	}
}

// A state's encoding must tell all states apart, or the search prunes runs that
// it never looked at: the same search by whole states finds as many.
func TestEncoding(t *testing.T) {
	for _, c := range []Config{
		{Writers: 1, Collectors: 1, Deleters: 1},
		{Compactor: true, Collectors: 1, Reader: true},
		{Collectors: 1, Deleters: 1, Rollback: true},
	} {
		n := &steps{c: &c}
		first := initial(&c)
		seen := map[state]bool{first: true}
		for todo := []state{first}; len(todo) > 0; {
			s := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			n.next(&s)
			for _, t := range n.states {
				if !seen[t] {
					seen[t] = true
					todo = append(todo, t)
				}
			}
		}
		if r := Search(c, Limits{}); r.States != len(seen) || !r.Complete {
			t.Errorf("%s: %d states by hash, %d by value", c.name(), r.States, len(seen))
		}
	}
}
