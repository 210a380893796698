package depot

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"kuva/internal/blob"
	"kuva/internal/blob/dir"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
	"kuva/internal/testkit/loopfs"
)

// TestSixteenWriters is R-10 with real concurrency: sixteen writers of
// duplicates on two nodes, every second image deleted, collection and
// compaction in a loop. Every acknowledged image reads back, and two cycles
// after the last deletion its space is back.
func TestSixteenWriters(t *testing.T) {
	last := 3 * time.Second
	if os.Getenv("KUVA_SOAK") != "" {
		last = 8 * time.Hour
	}
	w := newWorld(t, catalogtest.SQLite(t))
	w.open(Config{PackSize: 64 << 10})
	nodes := []*Depot{w.Depot, w.second(Config{})}
	type kept struct {
		id      string
		ref     int64
		content []int
	}
	var mu sync.Mutex
	var live []kept
	puts, deletes, cycles := 0, 0, 0
	deadline := time.Now().Add(last)
	var writers, keepers sync.WaitGroup
	for i := range 16 {
		writers.Go(func() {
			r, node := rand.New(rand.NewPCG(uint64(i), 5)), &world{Depot: nodes[i%2], tb: t, db: w.db, store: w.store, keys: w.keys}
			for time.Now().Before(deadline) {
				content := make([]int, 1+r.IntN(6))
				for j := range content {
					content[j] = r.IntN(len(blockPool()))
				}
				id, ref, err := node.putImage("p", "x", contentBytes(content))
				if err != nil {
					t.Errorf("put: %v", err)
					return
				}
				mu.Lock()
				puts++
				live = append(live, kept{id, ref, content})
				var gone *kept
				if r.IntN(2) == 0 || len(live) > 200 {
					j := r.IntN(len(live))
					k := live[j]
					gone, live[j] = &k, live[len(live)-1]
					live = live[:len(live)-1]
					deletes++
				}
				mu.Unlock()
				if gone != nil {
					if err := node.deleteImage(gone.id); err != nil {
						t.Errorf("delete: %v", err)
					}
				}
			}
		})
	}
	stop := make(chan struct{})
	keepers.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := nodes[cycles%2].Collect(context.Background(), CollectOptions{Audit: cycles%3 == 0, Compact: true}); err != nil {
				t.Errorf("collect: %v", err)
				return
			}
			cycles++
		}
	})
	writers.Wait()
	close(stop)
	keepers.Wait()
	for _, k := range live {
		if err := w.readsBack(k.ref, contentBytes(k.content)); err != nil {
			t.Errorf("image %s: %v", k.id, err)
		}
		w.mustDelete(k.id)
	}
	for range 2 {
		w.mustCollect(CollectOptions{})
	}
	if n := w.blobs("pack/"); n.Count != 0 {
		t.Errorf("%v are left two cycles after the last image went", n)
	}
	t.Logf("%d puts, %d deletes, %d cycles, %d images read back", puts, deletes, cycles, len(live))
}

// TestHistoriesOnAFullDisk runs 300 short histories over blob/dir on an ext4 of
// a few megabytes, with crashes, until it is full: reads go on, the collector
// frees space with no byte free, and then writes work again.
func TestHistoriesOnAFullDisk(t *testing.T) {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		t.Setenv("TMPDIR", "/dev/shm") // below the loop device: every fsync counts here
	}
	mount := loopfs.Ext4(t, 5<<20)
	s, err := dir.Open(dir.Config{Dir: mount, Reserve: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	y := newYardOver(t, yardFolder(t), s)
	y.pack = 64 << 10
	y.open(nil)
	r := rand.New(rand.NewPCG(1, 2))
	var full, crashes int
	ballast := func() error { return y.ballast(r.Uint64()) }
	for i := range 300 {
		y.trace = nil
		y.filling = max(0, y.filling-1)
		if i%10 == 0 {
			y.filling = 8 // nothing is given back until it is full
		}
		for step := range 5 {
			cut := 0
			if r.IntN(3) == 0 {
				cut = 1 + r.IntN(20)
			}
			y.plug.arm(cut, 0)
			var err error
			switch m := newestLive(y); {
			case step == 0, step < 4 && y.filling > 0:
				y.note("ballast")
				err = ballast()
			case r.IntN(3) == 0 && m != nil && len(y.images) > 3 && y.filling == 0:
				y.note("delete %s", m.id)
				err = y.InReserve(func() error { return y.change(y.Depot, m, modelState{deleted: true}) })
			case r.IntN(3) == 0 && y.filling == 0:
				y.note("collect")
				_, err = y.Collect(context.Background(), CollectOptions{Compact: r.IntN(2) == 0})
			default:
				y.note("put")
				err = y.put(y.Depot, "p", "x", []int{r.IntN(12), r.IntN(12), -500, r.IntN(12)}, 0)
			}
			switch {
			case y.plug.isCut():
				crashes++
				y.settleRows()
				y.recoverWithRoom()
			case errors.Is(err, blob.ErrFull):
				y.plug.disarm()
				full++
				y.filling = 0
				y.settleRows()
				y.checkBytes(y.Depot) // reads go on
				y.makeRoom()
				y.must(y.put(y.Depot, "p", "after", []int{1, 2}, 0))
			case err != nil:
				y.fatalf("%v", err)
			}
			y.plug.disarm()
			y.outboxNow()
			y.check()
		}
		y.checkBytes(y.Depot)
		for y.filling == 0 && len(y.images) > 12 { // the model's list, not the store's
			if m := y.images[0]; m.live() {
				y.must(y.InReserve(func() error { return y.change(y.Depot, m, modelState{deleted: true}) }))
				y.settleRows()
			}
			delete(y.byID, y.images[0].id)
			y.must(y.forget(y.images[0].id))
			y.images = y.images[1:]
		}
	}
	t.Logf("%d crashes, full %d times", crashes, full)
	if full < 3 {
		t.Errorf("the disk was full only %d times", full)
	}
}

// ballast stores 200 KB that nothing shares, as one image.
func (y *yard) ballast(seed uint64) error {
	m := y.newImage("p", "ballast", nil)
	m.raw = randomBytes(200_000, seed)
	return y.fill(y.Depot, m, "ballast", 0, func(wr *Writer) error { return write(wr, m.raw) })
}

// makeRoom deletes all but two images on a disk that is full and collects.
func (y *yard) makeRoom() {
	y.tb.Helper()
	for i, m := range y.images {
		if m.live() && i%6 != 0 {
			err := y.InReserve(func() error { return y.change(y.Depot, m, modelState{deleted: true}) })
			if err != nil {
				y.fatalf("delete on a full disk: %v", err)
			}
		}
	}
	y.settleRows()
	for range 3 {
		y.mustCollect(CollectOptions{})
	}
	y.outboxNow()
}

// recoverWithRoom starts again on a disk that may be full: cards that wait
// then wait for room.
func (y *yard) recoverWithRoom() {
	y.tb.Helper()
	y.open(nil)
	y.settleRows()
	if err := y.outbox(y.Depot); errors.Is(err, blob.ErrFull) {
		y.makeRoom()
	} else if err != nil {
		y.fatalf("write cards: %v", err)
	}
}

func (y *yard) forget(id string) error {
	return y.db.Update(context.Background(), func(tx *catalog.Tx) error {
		_, err := tx.Exec(context.Background(), `DELETE FROM image WHERE id = $1`, id)
		return err
	})
}
