package blockmap

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestMap compares a map with a plain list of booleans.
func TestMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		blocks := rapid.Int64Range(0, 3*partBlocks+100).Draw(t, "blocks")
		m, want := New(blocks), make([]bool, blocks)
		for range rapid.IntRange(0, 12).Draw(t, "runs") {
			if blocks == 0 {
				break
			}
			i := rapid.Int64Range(0, blocks-1).Draw(t, "first")
			end := min(blocks, i+rapid.OneOf(rapid.Int64Range(0, 200), rapid.Int64Range(0, 2*partBlocks)).Draw(t, "len"))
			m.Add(i, end)
			for ; i < end; i++ {
				want[i] = true
			}
		}
		m.Seal()
		var count int64
		for i, has := range want {
			if m.Has(int64(i)) != has {
				t.Fatalf("Has(%d) = %t", i, !has)
			}
			if i%997 == 0 || i < 130 {
				if got := m.Rank(int64(i)); got != count {
					t.Fatalf("Rank(%d) = %d, want %d", i, got, count)
				}
			}
			if has {
				if count%997 == 0 || count < 130 {
					if got := m.Select(count); got != int64(i) {
						t.Fatalf("Select(%d) = %d, want %d", count, got, i)
					}
				}
				count++
			}
		}
		if m.Count() != count || m.Rank(blocks) != count {
			t.Fatalf("Count = %d, Rank(end) = %d, want %d", m.Count(), m.Rank(blocks), count)
		}
		got := make([]bool, blocks)
		for i, end := range m.Runs() {
			for ; i < end; i++ {
				got[i] = true
			}
		}
		if !slices.Equal(got, want) {
			t.Fatal("Runs give other members")
		}
		group := rapid.Int64Range(1, 9000).Draw(t, "group")
		c := m.Coarse(group)
		for g := range c.Blocks() {
			has := slices.Contains(want[g*group:min(blocks, (g+1)*group)], true)
			if c.Has(g) != has {
				t.Fatalf("Coarse(%d).Has(%d) = %t", group, g, !has)
			}
		}
	})
}
