package depot

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kuva/internal/blob"
	"kuva/internal/blob/mem"
)

// TestModel runs random histories of everything that a depot can do, with its
// power cut at random events, over a store that fails in every way it may, and
// compares with the model after every step. A failure says
// its seed: rerun with -run and -rapid.seed. The seed draws the history; ids of
// rows and the order of goroutines are not drawn, so it may take several runs.
func TestModel(t *testing.T) {
	crashes := int64(20_000)
	if os.Getenv("KUVA_SOAK") != "" {
		crashes = 1_000_000
	} else if testing.Short() {
		crashes = 1_000
	}
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		if err := flag.Set("rapid.checks", "10"); err != nil { // a Check; there are as many as it takes
			t.Fatal(err)
		}
	}
	var total modelTotals
	defer debug.SetGCPercent(debug.SetGCPercent(800)) // little lives long here
	start := time.Now()
	t.Run("histories", func(t *testing.T) {
		for i := range 2 {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				y := newYard(t)
				m := &machine{y: y, total: &total}
				for first := true; first || total.crashes.Load() < crashes && !seeded(); first = false {
					rapid.Check(t, m.history)
				}
			})
		}
	})
	spent := time.Since(start)
	n := total.crashes.Load()
	t.Logf("%d histories, %d operations, %d crashes, %d in recovery, %d injected failures, %d interleaved operations, %d rebuilds, %d merges in %.1f s: %.0f crashes a second",
		total.histories.Load(), total.ops.Load(), n, total.again.Load(), total.failures.Load(), total.aside.Load(), total.rebuilds.Load(), total.merges.Load(), spent.Seconds(), float64(n)/spent.Seconds())
	if n < crashes && !seeded() {
		t.Errorf("only %d crashes", n)
	}
}

type modelTotals struct {
	histories, ops, crashes, again, failures, aside, rebuilds, merges atomic.Int64
}

// machine draws a history and carries it out.
type machine struct {
	y      *yard
	total  *modelTotals
	stormy bool
}

func (m *machine) history(t *rapid.T) {
	y := m.y
	y.reset(t, rapid.Uint64().Draw(t, "store"))
	y.pack = rapid.SampledFrom([]int64{600, 3000, 20_000}).Draw(t, "packs")
	y.open(nil)
	m.total.histories.Add(1)
	m.stormy = rapid.IntRange(0, 2).Draw(t, "weather") == 0
	steps := rapid.IntRange(60, 160).Draw(t, "steps")
	for range steps {
		m.step(t)
	}
	y.quiesce(rapid.IntRange(0, 3).Draw(t, "end") > 0)
}

// operation is one thing that somebody does; d is the node that he asks.
type operation struct {
	name  string
	do    func(d *Depot) error
	reach int         // about as many events as it has
	image *modelImage // whose row it changes
}

// draw draws an operation that makes sense now.
func (m *machine) draw(t *rapid.T, label string) operation {
	y := m.y
	var live []*modelImage
	for _, im := range y.images {
		if im.live() && im.pending == 0 {
			live = append(live, im)
		}
	}
	kinds := []string{"put", "put", "collect", "collect", "abandon", "compact", "audit", "expire"}
	if len(live) > 0 {
		kinds = append(kinds, "again", "again", "delete", "delete", "rename", "share", "pin", "snapshot", "compose", "compose")
	}
	if len(live) > 6 {
		kinds = append(kinds, "delete", "delete", "delete", "delete", "delete", "delete", "delete", "delete")
	}
	kind := rapid.SampledFrom(kinds).Draw(t, label)
	pick := func() *modelImage { return live[rapid.IntRange(0, len(live)-1).Draw(t, "image")] }
	project := func() string { return rapid.SampledFrom([]string{"p", "p", "p", "q", ""}).Draw(t, "project") }
	content := func() []int {
		return rapid.SliceOfN(rapid.OneOf(rapid.IntRange(0, len(blockPool())-1), rapid.IntRange(0, len(blockPool())-1), rapid.IntRange(-3000, -1)), 0, 12).Draw(t, "content")
	}
	name := fmt.Sprintf("n%d", rapid.IntRange(0, 9).Draw(t, "name"))
	collect := func(opt CollectOptions) func(d *Depot) error {
		return func(d *Depot) error {
			_, err := d.Collect(context.Background(), opt)
			return err
		}
	}
	switch kind {
	case "put":
		p, c := project(), content()
		return operation{fmt.Sprintf("put %q %v", p, c), func(d *Depot) error { return y.put(d, p, name, c, 0) }, 20, nil}
	case "again":
		im := pick()
		return operation{"put again " + im.id, func(d *Depot) error { return y.put(d, im.project, name, im.content, 0) }, 18, nil}
	case "snapshot":
		im, c := pick(), content()
		c = append(append([]int{}, im.content...), c...)
		if len(c) > 20 {
			c = c[len(c)-20:]
		}
		return operation{fmt.Sprintf("snapshot of %s %v", im.id, c), func(d *Depot) error { return y.put(d, im.project, name, c, im.ref) }, 20, nil}
	case "compose":
		p, of := project(), []*modelImage{pick(), pick()}
		less := rapid.SampledFrom([]int{0, 0, 1, 700}).Draw(t, "less")
		blocks := func(label string) []int {
			return rapid.SliceOfN(rapid.IntRange(0, len(blockPool())-1), 0, 3).Draw(t, label)
		}
		named, written := blocks("named"), blocks("written")
		return operation{fmt.Sprintf("compose %q of %s, %s, less %d, named %v, written %v", p, of[0].id, of[1].id, less, named, written), func(d *Depot) error {
			return y.compose(d, p, name, of, less, named, written)
		}, 20, nil}
	case "abandon":
		p, c := project(), content()
		return operation{fmt.Sprintf("abandon %q %v", p, c), func(d *Depot) error { return y.abandon(d, p, c) }, 4, nil}
	case "share":
		im := pick()
		return operation{"share object of " + im.id, func(d *Depot) error { return y.share(d, im, name) }, 7, nil}
	case "delete":
		im := pick()
		return operation{"delete " + im.id, func(d *Depot) error { return y.change(d, im, modelState{deleted: true}) }, 7, im}
	case "rename":
		im := pick()
		return operation{"rename " + im.id, func(d *Depot) error { return y.change(d, im, modelState{name: name}) }, 7, im}
	case "pin":
		im := pick()
		on := !y.pins[im.ref]
		return operation{fmt.Sprintf("pin %s %t", im.id, on), func(d *Depot) error {
			err := y.pin(d, im.ref, on)
			if err == nil && !y.plug.isCut() {
				y.pins[im.ref] = on
			}
			return err
		}, 2, nil}
	case "expire":
		step := rapid.SampledFrom([]time.Duration{0, 16 * time.Minute, 300 * time.Hour}).Draw(t, "time")
		jump := rapid.SampledFrom([]time.Duration{0, time.Hour, -time.Hour, 87600 * time.Hour, -87600 * time.Hour}).Draw(t, "clock")
		return operation{fmt.Sprintf("clock %s, wall clock %s, collect", step, jump), func(d *Depot) error {
			y.clock.at += step
			y.wall = y.wall.Add(jump)
			return collect(CollectOptions{})(d)
		}, 24, nil}
	case "audit":
		return operation{"collect and audit", collect(CollectOptions{Audit: true}), 30, nil}
	case "compact":
		return operation{"collect and compact", collect(CollectOptions{Compact: true}), 60, nil}
	}
	return operation{"collect", collect(CollectOptions{}), 26, nil}
}

var storm = mem.Faults{
	CommitLost: .04, CommitStored: .04, CommitLate: .04, DeleteLost: .05, DeleteDone: .05, DeleteLate: .1,
	ListLag: .1, Read: .01, Stat: .01, List: .02, Create: .01, Write: .01, MaxDelay: 5,
}

// step does one operation, with whatever happens to it, and looks.
func (m *machine) step(t *rapid.T) {
	y := m.y
	m.total.ops.Add(1)
	if m.stormy {
		if rapid.IntRange(0, 3).Draw(t, "storm") == 0 {
			y.weather(storm)
		} else {
			y.weather(mem.Faults{})
		}
	}
	// Values that rapid is not fond of: it prefers the ends.
	switch rapid.IntRange(0, 99).Draw(t, "rare") {
	case 57:
		m.total.rebuilds.Add(1)
		y.checkRebuild()
	case 61:
		y.takeCopy()
	case 43, 29:
		if y.copy != "" {
			m.total.merges.Add(1)
			y.rollBack(rapid.Bool().Draw(t, "merge dies"))
		}
	case 38:
		y.note("reopen")
		y.calmly(func() { y.open(nil) })
	}
	op := m.draw(t, "op")
	cut, fail, aside := 0, 0, 0
	switch how := rapid.IntRange(0, 9).Draw(t, "fate"); {
	case how < 7:
		cut = rapid.IntRange(1, op.reach).Draw(t, "cut")
	case how == 7:
		fail = rapid.IntRange(1, op.reach).Draw(t, "fail")
	}
	var other operation
	if rapid.IntRange(0, 4).Draw(t, "interleave") == 0 {
		aside = rapid.IntRange(1, op.reach).Draw(t, "aside")
		if other = m.draw(t, "other"); op.image != nil && other.image == op.image {
			aside = 0 // whoever changes a row has it to himself
		}
	}
	m.do(t, op, cut, fail, aside, other)
}

// do carries an operation out. When the power went the node starts again, and
// then everything is read; otherwise the ledger is looked at.
func (m *machine) do(t *rapid.T, op operation, cut, fail, aside int, other operation) {
	y := m.y
	line := len(y.trace)
	y.note("%s", op.name)
	var node *Depot
	if aside > 0 {
		y.calmly(func() { node = y.other() })
	}
	y.plug.arm(cut, fail)
	if aside > 0 {
		y.plug.meanwhile(aside, func() {
			m.total.aside.Add(1)
			err := other.do(node)
			y.note("  meanwhile at %d, second node: %s: %v", aside, other.name, err)
		})
	}
	err := op.do(y.Depot)
	wentDark, where := y.plug.isCut(), y.plug.where
	y.plug.disarm()
	y.trace[line] = fmt.Sprintf("%s: %v", op.name, err)
	if wentDark {
		y.trace[line] += fmt.Sprintf("; cut at event %d, %s", cut, where)
		m.total.crashes.Add(1)
		again := 0
		if rapid.IntRange(0, 4).Draw(t, "again") == 0 {
			again = rapid.IntRange(1, 8).Draw(t, "cut again")
		}
		y.settleRows()
		if y.recover(again) {
			m.total.again.Add(1)
			m.total.crashes.Add(1)
		}
		m.check(true)
		return
	}
	if where != "" {
		m.total.failures.Add(1)
		y.trace[line] += fmt.Sprintf("; failed at event %d, %s", fail, where)
	}
	if err != nil && !m.mayFail(err, where != "", aside > 0) {
		y.fatalf("%s: %v", op.name, err)
	}
	m.check(false)
	if err := y.outbox(y.Depot); err != nil && !m.mayFail(err, false, false) {
		y.fatalf("write cards: %v", err)
	}
}

func (m *machine) check(whole bool) {
	m.y.check()
	if whole {
		m.y.checkBytes(m.y.Depot)
	}
}

// mayFail says whether an error is one that the circumstances explain.
func (m *machine) mayFail(err error, injected, interleaved bool) bool {
	switch {
	case errors.Is(err, ErrReadOnly):
		return false
	case injected:
		return true
	case interleaved && (errors.Is(err, ErrStale) || errors.Is(err, ErrLeaseLost) || errors.Is(err, ErrNotFound) || errors.Is(err, ErrGone) || errors.Is(err, errCardDiffers) || errors.Is(err, blob.ErrNotFound)):
		return true
	}
	return m.stormy && errors.Is(err, mem.ErrFault)
}
