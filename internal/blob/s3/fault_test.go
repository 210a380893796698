package s3

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"kuva/internal/blob"
	"kuva/internal/blob/blobtest"
	"kuva/internal/blob/mem"
	"kuva/internal/testkit/faultys3"
)

// storms are bad lines; the last has everything.
var storms = map[string]faultys3.Storm{
	"refuses": {Refuse: .3},
	"loses":   {Lose: .3},
	"cuts":    {Cut: .3},
	"pages":   {Page: .3},
	"store": {Store: mem.Faults{
		CommitLost: .1, CommitStored: .1, CommitLate: .1, DeleteLost: .1, DeleteDone: .1, ListLag: .1, Read: .1, Stat: .1, List: .1, Create: .1, Short: .1, MaxDelay: 5,
	}},
	"all": {
		Refuse: .06, Lose: .06, Cut: .06, Page: .06, Slow: 2 * time.Millisecond,
		Store: mem.Faults{CommitLost: .05, CommitStored: .05, CommitLate: .05, DeleteLost: .05, DeleteDone: .05, ListLag: .1, Read: .05, Stat: .05, List: .05, Short: .05, MaxDelay: 5},
	},
}

func faultyConfig(srv *faultys3.Server) Config {
	return Config{Bucket: srv.Bucket, Endpoint: srv.Endpoint, PathStyle: true, AccessKey: "a", SecretKey: "s", PartSize: 4000, Stall: 5 * time.Second}
}

// TestStoreOverFaults holds the store to the suite over a service that fails
// at every third request: with patience nobody notices. What lists late and
// deletes late is part of the contract, and not of this test.
func TestStoreOverFaults(t *testing.T) {
	srv := faultys3.Start(t, 1)
	seed := uint64(0)
	blobtest.Run(t, func(t *testing.T) blob.Store {
		seed++
		srv.Empty(seed)
		cfg := faultyConfig(srv)
		cfg.PartSize = 1 << 20
		storm := storms["all"]
		storm.Slow = 0
		storm.Store.ListLag, storm.Store.CommitLate, storm.Store.DeleteLost = 0, 0, 0
		srv.SetStorm(storm)
		store := open(t, cfg)
		store.pause = time.Millisecond
		return store
	})
	t.Log(srv.Faults())
}

// TestHistories runs random histories over each storm, with no patience at
// all and with some: what was acknowledged is there and whole, what is there
// is somebody's whole blob, and nothing that was not there is called lost.
func TestHistories(t *testing.T) {
	srv := faultys3.Start(t, 1)
	for name, storm := range storms {
		for _, patience := range []time.Duration{-1, 10 * time.Second} {
			t.Run(fmt.Sprintf("%s/%v", name, patience > 0), func(t *testing.T) {
				for seed := range uint64(3) {
					srv.Empty(seed)
					cfg := faultyConfig(srv)
					cfg.Patience = patience
					store := open(t, cfg)
					store.pause = time.Millisecond
					h := &history{
						t: t, s: store, srv: srv, storm: storm, dice: rand.New(rand.NewPCG(seed, 9)),
						acked: map[string]bool{}, tried: map[string]bool{}, deleted: map[string]bool{},
					}
					h.run()
				}
			})
		}
	}
	for _, fate := range []string{"refuse", "lose", "cut", "page", "store"} {
		if n := srv.Faults()[fate]; n < 50 {
			t.Errorf("only %d requests met the fate %q", n, fate)
		}
	}
}

// history is one random history and its model.
type history struct {
	t     *testing.T
	s     *Store
	srv   *faultys3.Server
	storm faultys3.Storm
	dice  *rand.Rand

	keys    []string
	acked   map[string]bool // must be there
	tried   map[string]bool // may be there, or come
	deleted map[string]bool // may be there still, or again
}

func historySize(key string) int { return len(key) * 997 % 9000 }

func (h *history) run() {
	h.srv.SetStorm(h.storm)
	for step := range 60 {
		switch h.dice.IntN(6) {
		case 0, 1:
			h.put(fmt.Sprintf("f%d/%0*d", h.dice.IntN(3), 1+h.dice.IntN(9), step))
		case 2: // once more
			if key := h.pick(); key != "" && !h.deleted[key] {
				h.put(key)
			}
		case 3, 4:
			h.read(h.pick())
		case 5:
			if key := h.pick(); key != "" && h.dice.IntN(2) == 0 {
				delete(h.acked, key)
				h.deleted[key] = true
				_ = h.s.Delete(ctx, key)
			}
		}
	}
	h.srv.SetStorm(faultys3.Storm{})
	h.srv.Settle()
	seen := map[string]bool{}
	for info, err := range h.s.List(ctx, "") {
		if err != nil {
			h.t.Fatal(err)
		}
		if !h.tried[info.Key] {
			h.t.Fatalf("%s came from nowhere", info.Key)
		}
		seen[info.Key] = true
		h.read(info.Key)
	}
	for key := range h.acked {
		if !seen[key] {
			h.t.Fatalf("%s was acknowledged and is lost", key)
		}
	}
	if _, err := h.s.Sweep(ctx, time.Now().Add(time.Hour)); err != nil || h.srv.Uploads() != 0 {
		h.t.Fatalf("%d uploads are left, %v", h.srv.Uploads(), err)
	}
}

func (h *history) pick() string {
	if len(h.keys) == 0 {
		return ""
	}
	return h.keys[h.dice.IntN(len(h.keys))]
}

func (h *history) put(key string) {
	if !h.tried[key] {
		h.keys = append(h.keys, key)
	}
	was := h.acked[key]
	h.tried[key] = true
	switch err := blob.Put(ctx, h.s, key, blobtest.Bytes(key, historySize(key))); {
	case err == nil && was:
		h.t.Fatalf("%s was stored twice", key)
	case err == nil, errors.Is(err, blob.ErrExists):
		h.acked[key] = true
	case errors.Is(err, blob.ErrNotFound), errors.Is(err, blob.ErrKey), errors.Is(err, blob.ErrFull):
		h.t.Fatalf("put %s: %v", key, err)
	}
}

func (h *history) read(key string) {
	if key == "" {
		return
	}
	got, err := blob.Get(ctx, h.s, key, 1<<20)
	switch {
	case err == nil && !bytes.Equal(got, blobtest.Bytes(key, historySize(key))):
		h.t.Fatalf("%s has other bytes", key)
	case errors.Is(err, blob.ErrNotFound) && h.acked[key]:
		h.t.Fatalf("%s is called lost: %v", key, err)
	}
}
