package testkit

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// SameTime holds that none of others takes another time than base: it calls all
// of them in turn, rounds times, and compares each with base by the rank-sum
// test of Mann, Whitney and Wilcoxon. It fails only where p < 1e-6 and the
// medians differ by more than 3 %, so that a busy machine fails nothing.
func SameTime(t testing.TB, rounds int, base func(), others map[string]func()) {
	t.Helper()
	names := make([]string, 0, len(others))
	for name := range others {
		names = append(names, name)
	}
	slices.Sort(names)
	took := func(f func()) float64 {
		began := time.Now()
		f()
		return float64(time.Since(began))
	}
	base() // what is done once only is no difference
	for _, name := range names {
		others[name]()
	}
	calls, order := []func(){base}, rand.New(rand.NewPCG(1, 1))
	for _, name := range names {
		calls = append(calls, others[name])
	}
	all := make([][]float64, len(calls))
	for range rounds {
		for _, i := range order.Perm(len(calls)) { // what a call leaves behind meets all
			all[i] = append(all[i], took(calls[i]))
		}
	}
	a, b := all[0], all[1:]
	for i, name := range names {
		p, x, y := RankSum(a, b[i]), median(a), median(b[i])
		t.Logf("%s: medians %v and %v, p = %.2g", name, time.Duration(x), time.Duration(y), p)
		if p < 1e-6 && math.Abs(x-y) > 0.03*min(x, y) {
			t.Errorf("%s takes %v, the other %v: p = %.2g", name, time.Duration(y), time.Duration(x), p)
		}
	}
}

// RankSum is the two-sided p of the test of Mann, Whitney and Wilcoxon for two
// samples of twenty or more, by its normal approximation: how probable it is
// that they differ so much by chance.
func RankSum(a, b []float64) float64 {
	type value struct {
		v     float64
		first bool
	}
	all := make([]value, 0, len(a)+len(b))
	for _, v := range a {
		all = append(all, value{v, true})
	}
	for _, v := range b {
		all = append(all, value{v, false})
	}
	slices.SortFunc(all, func(x, y value) int {
		switch {
		case x.v < y.v:
			return -1
		case x.v > y.v:
			return 1
		}
		return 0
	})
	var ranks, ties float64 // of a
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].v == all[i].v {
			j++
		}
		for k := i; k < j; k++ {
			if all[k].first {
				ranks += float64(i+j+1) / 2
			}
		}
		n := float64(j - i)
		ties += n * (n*n - 1)
		i = j
	}
	n, m := float64(len(a)), float64(len(b))
	u := ranks - n*(n+1)/2
	sigma := math.Sqrt(n * m / 12 * (n + m + 1 - ties/((n+m)*(n+m-1))))
	if sigma == 0 {
		return 1
	}
	return math.Erfc(math.Abs(u-n*m/2) / sigma / math.Sqrt2)
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}
