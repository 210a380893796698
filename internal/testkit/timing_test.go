package testkit

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestRankSum: samples of one kind are told from each other as rarely as p
// says, and a shifted one is always told.
func TestRankSum(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	sample := func(shift float64) (out []float64) {
		for range 100 {
			out = append(out, math.Round(1000*(r.NormFloat64()+shift))/1000)
		}
		return out
	}
	const runs = 2000
	var below int
	for range runs {
		if RankSum(sample(0), sample(0)) < 0.05 {
			below++
		}
	}
	if below < runs*3/100 || below > runs*7/100 {
		t.Errorf("%d of %d below 0.05", below, runs)
	}
	for range 20 {
		if p := RankSum(sample(0), sample(1.5)); p > 1e-6 {
			t.Errorf("a shift has p = %g", p)
		}
	}
	if p := RankSum([]float64{1, 1, 1}, []float64{1, 1, 1}); p != 1 {
		t.Errorf("equal values have p = %g", p)
	}
}
