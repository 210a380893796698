package protocol

import (
	"strings"
	"testing"
)

// stored is a good history: image I has object 10 with recipe 100 on pack 1;
// lease 1 made it.
func stored() []Event {
	return []Event{
		{Kind: Update, Image: "I", Version: 1},
		{Kind: PutCard, Image: "I", Version: 1},
		{Kind: Ack, Image: "I", Version: 1},
		{Kind: Begin, Lease: 1, Recipe: 100, Object: 10},
		{Kind: Announce, Lease: 1, Pack: 1},
		{Kind: PutPack, Pack: 1, Sum: "x"},
		{Kind: PutPack, Pack: 1, Sum: "x"}, // a retry of the same bytes
		{Kind: Seal, Lease: 1, Pack: 1},
		{Kind: PutRoot, Recipe: 100, Packs: []int64{1}},
		{Kind: Commit, Lease: 1, Recipe: 100, Image: "I", Version: 2},
		{Kind: PutCard, Image: "I", Version: 2},
		{Kind: Ack, Image: "I", Version: 2},
	}
}

// removed goes on until nothing of it is stored.
func removed() []Event {
	return append(stored(),
		Event{Kind: Delete, Image: "I", Version: 3},
		Event{Kind: PutCard, Image: "I", Version: 3, Deleted: true},
		Event{Kind: Ack, Image: "I", Version: 3},
		Event{Kind: ObjectDead, Object: 10},
		Event{Kind: Condemn, Pack: 1, Epoch: 1},
		Event{Kind: Cycle, Epoch: 2},
		Event{Kind: PutEpoch, Epoch: 2},
		Event{Kind: Compared, Epoch: 2},
		Event{Kind: DeleteRoot, Recipe: 100, Epoch: 2},
		Event{Kind: Deleted, Recipe: 100},
		Event{Kind: DeletePack, Pack: 1, Epoch: 2},
		Event{Kind: Deleted, Pack: 1},
		Event{Kind: DropCards, Image: "I", Epoch: 2},
		Event{Kind: PutPack, Pack: 1, Sum: "x"}, // lands late
		Event{Kind: DeletePack, Pack: 1, Epoch: 2},
	)
}

func record(t *testing.T, good []Event) *Checker {
	t.Helper()
	k := NewChecker()
	for _, e := range good {
		if err := k.Record(e); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

func TestCheckerFinal(t *testing.T) {
	if err := record(t, stored()).Final([]int64{1}, []int64{100}); err != nil {
		t.Error(err)
	}
	if err := record(t, removed()).Final(nil, nil); err != nil {
		t.Error(err)
	}
	k := record(t, append(stored(), Event{Kind: Begin, Lease: 2}, Event{Kind: Delete, Image: "I", Version: 3}))
	err := k.Final([]int64{2}, []int64{101})
	for _, want := range []string{
		"pack 2 is still stored", "pack 1 is not stored", "recipe 101 is still stored", "recipe 100 is not stored",
		"lease 2 is still live", "image I is deleted",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Final does not say %q: %v", want, err)
		}
	}
}

// One wrong step after a good history is flagged for its own reason, and the
// history stays wrong.
func TestCheckerFlags(t *testing.T) {
	second := append(stored(), Event{Kind: Begin, Lease: 2, Recipe: 101, Object: 11}, Event{Kind: Update, Image: "J", Version: 1})
	touched := append(second[:len(second):len(second)], Event{Kind: Touch, Lease: 2, Pack: 1})
	rooted := append(touched[:len(touched):len(touched)], Event{Kind: PutRoot, Recipe: 101, Packs: []int64{1}})
	cycle := func(h []Event, n int64) []Event {
		return append(h[:len(h):len(h)], Event{Kind: Cycle, Epoch: n}, Event{Kind: PutEpoch, Epoch: n}, Event{Kind: Compared, Epoch: n})
	}
	with := func(h []Event, e ...Event) []Event { return append(h[:len(h):len(h)], e...) }
	dead := removed()[:17] // pack condemned
	for _, c := range []struct {
		name string
		good []Event
		bad  Event
		want string
	}{
		{"lease again", second, Event{Kind: Begin, Lease: 2}, "begins again"},
		{"no lease", nil, Event{Kind: Touch, Lease: 9, Pack: 1}, "never began"},
		{"touch condemned", with(dead, Event{Kind: Begin, Lease: 2}), Event{Kind: Touch, Lease: 2, Pack: 1}, "only sealed"},
		{"touch draining", with(second, Event{Kind: Drain, Pack: 1}), Event{Kind: Touch, Lease: 2, Pack: 1}, "only sealed"},
		{"drain twice", with(second, Event{Kind: Drain, Pack: 1}), Event{Kind: Drain, Pack: 1}, "may drain"},
		{"pack id again", second, Event{Kind: Announce, Lease: 2, Pack: 1}, "used again"},
		{"recipe id again", second, Event{Kind: AnnounceRecipe, Lease: 2, Recipe: 100}, "used again"},
		{"put without row", nil, Event{Kind: PutPack, Pack: 7, Sum: "x"}, "before their row"},
		{"other bytes", stored(), Event{Kind: PutPack, Pack: 1, Sum: "y"}, "other bytes"},
		{"seal before put", with(second, Event{Kind: Announce, Lease: 2, Pack: 2}), Event{Kind: Seal, Lease: 2, Pack: 2}, "only open ones"},
		{"seal after the lease", with(second, Event{Kind: Announce, Lease: 2, Pack: 2}, Event{Kind: PutPack, Pack: 2, Sum: "x"}, Event{Kind: Expire, Lease: 2}), Event{Kind: Seal, Lease: 2, Pack: 2}, "fence"},
		{"root without row", nil, Event{Kind: PutRoot, Recipe: 7}, "before its row"},
		{"root on what it does not hold", second, Event{Kind: PutRoot, Recipe: 101, Packs: []int64{1}}, "does not hold"},
		{"root on open pack", with(second, Event{Kind: Announce, Lease: 2, Pack: 2}), Event{Kind: PutRoot, Recipe: 101, Packs: []int64{2}}, "is open"},
		{"other root", rooted, Event{Kind: PutRoot, Recipe: 101}, "other bytes"},
		{"commit before root", touched, Event{Kind: Commit, Lease: 2, Recipe: 101, Image: "J", Version: 2}, "only an announced one"},
		{"commit after expiry", with(rooted, Event{Kind: Expire, Lease: 2}), Event{Kind: Commit, Lease: 2, Recipe: 101, Image: "J", Version: 2}, "fence"},
		{"commit to no image", rooted, Event{Kind: Commit, Lease: 2, Recipe: 101, Image: "N", Version: 2}, "no row"},
		{"commit to a deleted image", with(rooted, Event{Kind: Delete, Image: "J", Version: 2}), Event{Kind: Commit, Lease: 2, Recipe: 101, Image: "J", Version: 3}, "deleted"},
		{"version stays", rooted, Event{Kind: Commit, Lease: 2, Recipe: 101, Image: "J", Version: 1}, "stays at version"},
		{"swap of an old generation", with(second, Event{Kind: AnnounceRecipe, Lease: 2, Recipe: 102, Object: 10}, Event{Kind: Touch, Lease: 2, Pack: 1}, Event{Kind: PutRoot, Recipe: 102, Packs: []int64{1}}), Event{Kind: Swap, Lease: 2, Old: 99, Recipe: 102}, "not the current one"},
		{"expire twice", with(second, Event{Kind: Expire, Lease: 2}), Event{Kind: Expire, Lease: 2}, "fence"},
		{"2xx before card", second, Event{Kind: Ack, Image: "J", Version: 1}, "2xx before the card"},
		{"card before row", second, Event{Kind: PutCard, Image: "J", Version: 2}, "precedes its row"},
		{"delete card of the living", second, Event{Kind: PutCard, Image: "J", Version: 1, Deleted: true}, "that lives"},
		{"delete without delete card", with(second, Event{Kind: Delete, Image: "J", Version: 2}, Event{Kind: PutCard, Image: "J", Version: 2}), Event{Kind: Ack, Image: "J", Version: 2}, "without a delete card"},
		{"read fails", stored(), Event{Kind: ReadFailed, Image: "I"}, "a read failed"},
		{"object of a living image", stored(), Event{Kind: ObjectDead, Object: 10}, "an image or a pin"},
		{"object with a pin", with(stored(), Event{Kind: Pin, Object: 10}, Event{Kind: Delete, Image: "I", Version: 3}), Event{Kind: ObjectDead, Object: 10}, "an image or a pin"},
		{"object of a copy", with(second, Event{Kind: Reuse, Image: "J", Version: 2, Object: 10}, Event{Kind: Delete, Image: "I", Version: 3}), Event{Kind: ObjectDead, Object: 10}, "an image or a pin"},
		{"reuse of the dead", with(dead, Event{Kind: Update, Image: "J", Version: 1}), Event{Kind: Reuse, Image: "J", Version: 2, Object: 10}, "not live"},
		{"pin of the dead", dead, Event{Kind: Pin, Object: 10}, "not live"},
		{"condemn with edges", stored(), Event{Kind: Condemn, Pack: 1, Epoch: 1}, "live objects refer"},
		{"condemn with lease", with(second, Event{Kind: Announce, Lease: 2, Pack: 2}), Event{Kind: Condemn, Pack: 2, Epoch: 1}, "live lease"},
		{"condemn the current", stored(), Event{Kind: Condemn, Recipe: 100, Epoch: 1}, "current one"},
		{"condemn the announced", second, Event{Kind: Condemn, Recipe: 101, Epoch: 1}, "lease is live"},
		{"condemn twice", dead, Event{Kind: Condemn, Pack: 1, Epoch: 1}, "is condemned"},
		{"delete what is sealed", cycle(stored(), 2), Event{Kind: DeletePack, Pack: 1, Epoch: 2}, "while its row is sealed"},
		{"delete in the same epoch", dead, Event{Kind: DeletePack, Pack: 1, Epoch: 1}, "deleted in epoch 1"},
		{"delete before comparing", with(dead, Event{Kind: Cycle, Epoch: 2}, Event{Kind: PutEpoch, Epoch: 2}), Event{Kind: DeletePack, Pack: 1, Epoch: 2}, "cards compared"},
		{"delete before the blob", with(dead, Event{Kind: Cycle, Epoch: 2}), Event{Kind: DeleteRoot, Recipe: 100, Epoch: 2}, "before its blob"},
		{"delete of the unknown", nil, Event{Kind: DeletePack, Pack: 7, Epoch: 1}, "no row"},
		{"deleted, not condemned", stored(), Event{Kind: Deleted, Pack: 1}, "only what is condemned"},
		{"epoch gap", with(nil, Event{Kind: Cycle, Epoch: 2}, Event{Kind: Cycle, Epoch: 3}), Event{Kind: PutEpoch, Epoch: 3}, "is missing"},
		{"epoch falls", with(nil, Event{Kind: Cycle, Epoch: 2}), Event{Kind: Cycle, Epoch: 2}, "goes from 2 to 2"},
		{"compared too early", with(nil, Event{Kind: Cycle, Epoch: 2}), Event{Kind: Compared, Epoch: 2}, "before the blob"},
		{"cards of the living", cycle(stored(), 2), Event{Kind: DropCards, Image: "I", Epoch: 2}, "dropped"},
		{"cards before the roots", cycle(dead, 2), Event{Kind: DropCards, Image: "I", Epoch: 2}, "is condemned"},
		{"unknown kind", nil, Event{Kind: "nonsense"}, "unknown kind"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := record(t, c.good)
			err := k.Record(c.bad)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("want %q, got %v", c.want, err)
			}
			if k.Err() == nil || k.Record(Event{Kind: Cycle, Epoch: 9}) == nil || k.Final(nil, nil) == nil {
				t.Error("the history is forgiven")
			}
		})
	}
}
