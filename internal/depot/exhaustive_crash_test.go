package depot

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// kind is one of the nine things that short histories are made of. Each finds
// its own image by what the sequence did before; where there is none it does
// nothing, which is a case too.
type kind struct {
	name string
	do   func(y *yard) error
}

var (
	newContent  = []int{0, 3, 8}
	sameContent = []int{1, -700, 4, 6}
)

func newestLive(y *yard) *modelImage {
	for _, m := range slices.Backward(y.images) {
		if m.live() && m.pending == 0 {
			return m
		}
	}
	return nil
}

var kinds = []kind{
	{"put new", func(y *yard) error {
		c := append(slices.Clone(newContent), len(y.images)%len(blockPool()))
		return y.put(y.Depot, "p", "new", c, 0)
	}},
	{"put same", func(y *yard) error { return y.put(y.Depot, "p", "same", sameContent, 0) }},
	{"share", func(y *yard) error {
		if m := newestLive(y); m != nil {
			return y.share(y.Depot, m, "shared")
		}
		return nil
	}},
	{"delete", func(y *yard) error {
		if m := newestLive(y); m != nil {
			return y.change(y.Depot, m, modelState{deleted: true})
		}
		return nil
	}},
	{"rename", func(y *yard) error {
		if m := newestLive(y); m != nil {
			return y.change(y.Depot, m, modelState{name: m.now().name + "'"})
		}
		return nil
	}},
	{"compose", func(y *yard) error {
		if m := newestLive(y); m != nil {
			return y.compose(y.Depot, "p", "composed", []*modelImage{m}, 1, []int{4, 6}, []int{5})
		}
		return nil
	}},
	{"collect", func(y *yard) error {
		_, err := y.Collect(context.Background(), CollectOptions{Audit: true})
		return err
	}},
	{"compact", func(y *yard) error {
		_, err := y.Compact(context.Background())
		return err
	}},
	{"reopen", func(y *yard) error { return y.tryOpen(y.plug) }},
}

// begin gives a short history something to work on: three images that share,
// one of which is gone, so that packs are half dead and compaction has work.
func (y *yard) begin() {
	y.tb.Helper()
	y.must(y.put(y.Depot, "p", "base", []int{1, 4, 2, 9, 11}, 0))
	y.settleRows()
	y.must(y.put(y.Depot, "p", "same", sameContent, 0))
	y.settleRows()
	y.must(y.change(y.Depot, y.images[0], modelState{deleted: true}))
	y.settleRows()
	y.mustCollect(CollectOptions{})
}

func (y *yard) must(err error) {
	y.tb.Helper()
	if err != nil {
		y.fatalf("%v", err)
	}
}

// sequences yields all sequences of up to n kinds.
func sequences(n int) [][]kind {
	all := [][]kind{}
	last := [][]kind{nil}
	for range n {
		var next [][]kind
		for _, s := range last {
			for _, k := range kinds {
				next = append(next, append(slices.Clone(s), k))
			}
		}
		all, last = append(all, next...), next
	}
	return all
}

func names(s []kind) string {
	var n []string
	for _, k := range s {
		n = append(n, k.name)
	}
	return strings.Join(n, ", ")
}

// TestShortHistories runs all sequences of up to three operations of nine
// kinds, and cuts the power in the last one after each blob that was stored or
// deleted and each COMMIT (before one is after the one before it); then the
// depot starts again, and everything must be as the model says. A cut in
// an earlier operation is the same as one at the end of a shorter sequence, and
// those are there, too.
func TestShortHistories(t *testing.T) {
	all := sequences(3)
	if testing.Short() {
		all = sequences(2)
	}
	var counts [2][2]int
	start := time.Now()
	t.Run("all", func(t *testing.T) {
		for part := range 2 {
			t.Run(fmt.Sprint(part), func(t *testing.T) {
				t.Parallel()
				y := newYard(t)
				for i, s := range all {
					if i%2 == part {
						counts[part][0]++
						counts[part][1] += y.cutEverywhere(t, s)
					}
				}
			})
		}
	})
	t.Logf("%d sequences, %d crashes in %.1f s", counts[0][0]+counts[1][0], counts[0][1]+counts[1][1], time.Since(start).Seconds())
}

// cutEverywhere carries a sequence out again and again, until the last
// operation ends before the power does.
func (y *yard) cutEverywhere(t *testing.T, s []kind) int {
	before, last := s[:len(s)-1], s[len(s)-1]
	for cut := 1; ; cut++ {
		y.reset(t, uint64(cut))
		y.note("%s; cut at event %d of the last", names(s), cut)
		y.begin()
		for _, k := range before {
			if err := k.do(y); err != nil {
				y.fatalf("%s: %v", k.name, err)
			}
			y.settleRows()
		}
		y.plug.done = true
		y.plug.arm(cut, 0)
		err := last.do(y)
		if !y.plug.isCut() {
			y.plug.disarm()
			if err != nil {
				y.fatalf("%s: %v", last.name, err)
			}
			y.check()
			y.checkBytes(y.Depot)
			return cut - 1
		}
		y.note("that was %q: %v", y.plug.where, err)
		y.settleRows()
		y.recover(0)
		y.check()
		y.checkBytes(y.Depot)
		if cut%12 == 4*len(s)-1 { // what is left is known and goes
			y.quiesce(true)
		}
		if cut > 1000 {
			y.fatalf("the operation never ends")
		}
	}
}

// TestNthCallFails lets the n-th call of an operation fail, for n from 1 until
// it passes: puts and deletes of the store, before they took effect or after,
// commits of the database, failpoints. Nothing panics, what was is whole, what
// was to be is there wholly or not at all, and the next try works (R-06, and
// with every failpoint reached R-04).
func TestNthCallFails(t *testing.T) {
	hit := map[string]int{}
	y := newYard(t)
	failures := 0
	for _, k := range append(slices.Clone(kinds), kind{"verify", func(y *yard) error {
		_, err := y.Verify(context.Background(), VerifyOptions{Card: compareName}, func(f Finding) { y.fatalf("%v", f) })
		return err
	}}, kind{"abandon", func(y *yard) error { return y.abandon(y.Depot, "p", newContent) }}, kind{"new project", func(y *yard) error {
		return y.put(y.Depot, fmt.Sprintf("p%d", y.lives), "first", newContent, 0)
	}}, kind{"collect all", func(y *yard) error {
		_, err := y.Collect(context.Background(), CollectOptions{Audit: true, Compact: true})
		return err
	}}) {
		for n := 1; ; n++ {
			y.reset(t, uint64(n))
			y.note("%s; event %d fails", k.name, n)
			y.begin()
			y.plug.points = hit
			y.plug.arm(0, n)
			err := k.do(y)
			y.plug.mu.Lock()
			where := y.plug.where
			y.plug.mu.Unlock()
			y.plug.disarm()
			if where == "" {
				if err != nil {
					y.fatalf("%s: %v", k.name, err)
				}
				break
			}
			failures++
			y.note("that was %q: %v", where, err)
			if y.Depot == nil {
				y.open(nil)
			}
			y.check()
			y.checkBytes(y.Depot)
			y.outboxNow()
			if err := k.do(y); err != nil {
				y.fatalf("%s after a failure at %s: %v", k.name, where, err)
			}
			y.settleRows()
			y.quiesce(n%2 == 0)
			if n > 1000 {
				y.fatalf("the operation never ends")
			}
		}
	}
	t.Logf("%d failures", failures)
	for _, point := range failpoints(t) {
		if hit[point] == 0 && !strings.HasPrefix(point, "rebuild.") { // those: TestRebuildCrash
			t.Errorf("failpoint %s was never passed", point)
		}
	}
}

// failpoints reads the names of all failpoints from the source.
func failpoints(t *testing.T) []string {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`\.at\("([a-z.]+)"\)|\{"(gc\.[a-z]+)", `)
	var all []string
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllStringSubmatch(string(b), -1) {
			all = append(all, m[1]+m[2])
		}
	}
	if len(all) < 20 {
		t.Fatalf("only %q", all)
	}
	return all
}
