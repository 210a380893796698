package policy

import (
	"maps"
	"slices"
)

func keys[K ~string, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// nearest finds the name that fewest changed letters make of s.
func nearest(s string, names []string) string {
	const most = 64
	best, bestCost := "", 1<<30
	for _, name := range names {
		if c := distance(s[:min(len(s), most)], name); c < bestCost {
			best, bestCost = name, c
		}
	}
	return best
}

// distance is the one of Levenshtein, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := before
			if a[i] != b[j] {
				change++
			}
			before = row[j+1]
			row[j+1] = min(change, row[j]+1, before+1)
		}
	}
	return row[len(b)]
}
