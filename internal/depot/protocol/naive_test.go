package protocol

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// row is one naive variant, the actors that suffice to fail, and the essence
// of the run that the search must find: steps in this order, others between.
type row struct {
	naive   Naive
	actors  Config
	broken  string // what the violation's text must hold
	essence []string
}

// rows is the protocol's table of naive variants, and two that it did not know
// of.
func rows() []row {
	one := Config{Writers: 1, Collectors: 1, Deleters: 1}
	with := func(c Config, change func(*Config)) Config {
		change(&c)
		return c
	}
	rollback := func(check Invariant) Config {
		return with(one, func(c *Config) { c.Rollback = true; c.Check = check })
	}
	crashes := with(one, func(c *Config) { c.Crashes = true })
	compaction := with(one, func(c *Config) { c.Compactor = true })
	return []row{
		{LeaseBlind, one, "neither sealed", []string{
			"hook finds pA", "delete image A", "object A dead", "pA seen free", "pA condemned", "lease pA", "root", "commit",
		}},
		{NoStamp, one, "neither sealed", []string{
			"delete image A", "object A dead", "pA seen free", "lease pA", "root", "commit", "pA condemned",
		}},
		{NoFence, one, "1:", []string{
			"lease pA", "root", "lease B expired", "condemned", "commit",
		}},
		{NoFence, Config{Compactor: true, Collectors: 1, Deleters: 1}, "1:", []string{
			"lease K expired", "condemned", "compactor: swap",
		}},
		{Revive, one, "not stored", []string{
			"pA condemned", "delete of pA decided", "lease pA", "root", "commit",
		}},
		{CompactorCondemns, compaction, "neither sealed", []string{
			"lease pA", "victim draining", "recipes listed", "commit", "compactor: end of lease",
		}},
		{RowAfterPut, crashes, "nobody knows", []string{"put its pack"}},
		{RowAfterPutAudit, with(one, func(c *Config) { c.Check = Readable }), "not stored", []string{
			"put its pack", "pB deleted", "announce", "root", "commit",
		}},
		{ResealRetry, with(one, func(c *Config) { c.LatePut = true }), "other bytes", []string{
			"put, outcome unknown", "put its pack", "commit",
		}},
		{AckBeforeCard, one, "rebuild does not bring it back", []string{"commit"}},
		{CardBeforeTx, crashes, "a rebuild", []string{"delete card A"}},
		{DeleteCardsOnly, one, "brings it back", []string{"delete image A"}},
		{ReaderSticks, Config{Compactor: true, Collectors: 1, Deleters: 1, Reader: true}, "4:", []string{
			"resolve A", "swap A", "root A/1 deleted", "not found",
		}},
		{NoEpoch, rollback(Rebuildable | RolledBack), "image B", []string{
			"backup", "restore", "condemned", "deleted",
		}},
		{RootsOneStep, with(compaction, func(c *Config) { c.Writers = 0; c.Rollback = true; c.Check = RolledBack }), "6:", []string{
			"backup", "swap A", "root A/1 deleted", "restore",
		}},
		{NoCardCheck, rollback(Rebuildable), "image B was acknowledged", []string{
			"backup", "lease pA", "commit", "card B", "restore", "epoch+1", "root B/1 deleted",
		}},
		{EpochGap, with(rollback(0), func(c *Config) { c.Writers = 0 }), "1:", []string{
			"backup", "epoch+1", "epoch+1", "epoch blob put", "deleted", "restore",
		}},
		{TombAtOnce, rollback(0), "3:", []string{
			"backup", "delete image B", "cards B dropped", "restore", "commit",
		}},
	}
}

// has says whether the run holds the essence in order.
func has(run []Step, essence []string) error {
	at := 0
	for _, s := range run {
		if at < len(essence) && strings.Contains(s.String(), essence[at]) {
			at++
		}
	}
	if at < len(essence) {
		return fmt.Errorf("no step %q after %q", essence[at], essence[:at])
	}
	return nil
}

// Every naive variant must be caught, by a run that shows the row's essence;
// and the correct protocol with the same actors must survive every run of the
// same length.
func TestNaiveVariants(t *testing.T) {
	for _, r := range rows() {
		t.Run(r.naive.String(), func(t *testing.T) {
			t.Parallel()
			c := r.actors
			c.Naive = r.naive
			got := Search(c, Limits{})
			if got.Broken == "" {
				t.Fatalf("not caught: %s", got)
			}
			t.Log(got)
			if !strings.Contains(got.Broken, r.broken) {
				t.Errorf("violation is not about %q", r.broken)
			}
			if err := has(got.Trace, r.essence); err != nil {
				t.Error(err)
			}
			c.Naive, c.Check = Correct, All
			right := Search(c, Limits{Depth: len(got.Trace)})
			if right.Broken != "" {
				t.Fatalf("the correct protocol fails: %s", right)
			}
			t.Logf("correct: %s", right)
		})
	}
}

// told is a run of the protocol's table, step by step.
type told struct {
	naive  Naive
	actors Config
	run    []string
}

// tableRuns are the table's runs that are not the shortest ones here.
func tableRuns() []told {
	begun := []string{"writer B: begin", "hook finds pA", "writer B: lease pA", "writer B: root", "writer B: commit", "card B, 2xx"}
	return []told{
		{NoFence, Config{Writers: 1, Collectors: 1, Deleters: 1}, []string{
			"writer B: begin", "hook finds pA", "writer B: lease pA", "writer B: root", "lease B expired",
			"recipe B/1 condemned", "epoch+1", "delete of root B/1 decided", "root B/1 deleted", "writer B: commit",
		}},
		{NoFence, Config{Compactor: true, Collectors: 1, Deleters: 1}, []string{
			"victim draining", "recipes listed", "compactor: announce", "put new pack", "compactor: seal", "root of A",
			"lease K expired", "recipe A/2 condemned", "epoch+1", "delete of root A/2 decided", "root A/2 deleted", "swap A",
		}},
		{Revive, Config{Writers: 1, Collectors: 1, Deleters: 1}, []string{
			"writer B: begin", "hook finds pA", "delete image A", "object A dead", "pA seen free", "pA condemned", "epoch+1",
			"delete of pA decided", "writer B: lease pA", "writer B: root", "writer B: commit", "pA deleted",
		}},
		{ResealRetry, Config{Writers: 1, LatePut: true}, []string{
			"writer B: begin", "no candidate", "announce its pack", "put, outcome unknown", "put its pack",
			"late put of pB lands", "writer B: seal", "writer B: root", "writer B: commit",
		}},
		{NoEpoch, Config{Writers: 1, Collectors: 1, Deleters: 1, Rollback: true, Check: Rebuildable | RolledBack}, append([]string{
			"user: delete image A", "delete card A", "object A dead", "ledger: backup", "pA seen free", "pA condemned",
			"delete of pA decided", "store: pA deleted", "ledger: restore",
		}, begun[:5]...)},
		{NoCardCheck, Config{Writers: 1, Collectors: 1, Deleters: 1, Rollback: true, Check: Rebuildable}, append(append([]string{
			"ledger: backup",
		}, begun...),
			"ledger: restore", "user: delete image A", "object A dead", "pA seen free", "pA condemned", "epoch+1", "epoch blob put",
			"cards compared", "delete of pA decided", "store: pA deleted",
		)},
	}
}

// With the mistake a run of the table ends in a violation, without it a step is
// refused.
func TestTableRuns(t *testing.T) {
	for _, r := range tableRuns() {
		t.Run(r.naive.String(), func(t *testing.T) {
			c := r.actors
			c.Naive = r.naive
			why, taken := follow(c, r.run)
			if len(taken) < len(r.run) || why == "" {
				t.Errorf("with the mistake: stopped at step %d of %q: %q", len(taken), r.run, why)
			}
			t.Log(why)
			c.Naive, c.Check = Correct, All
			why, taken = follow(c, r.run)
			switch {
			case r.naive == ResealRetry: // the same run, and the same bytes
				if why != "" {
					t.Error(why)
				}
			case len(taken) == len(r.run) || why != "":
				t.Errorf("without the mistake the run goes to step %d: %q", len(taken), why)
			}
		})
	}
}

// follow takes the steps that the texts name, as far as the model allows.
func follow(c Config, run []string) (why string, taken []Step) {
	n := &steps{c: &c}
	s := initial(&c)
	for _, text := range run {
		n.next(&s)
		if why = broken(&s, &c, n.system == 0); why != "" {
			return why, taken
		}
		k := slices.IndexFunc(n.did, func(d Step) bool { return strings.Contains(d.String(), text) })
		if k < 0 {
			return "", taken
		}
		taken = append(taken, n.did[k])
		s = n.states[k]
	}
	n.next(&s)
	return broken(&s, &c, n.system == 0), taken
}
