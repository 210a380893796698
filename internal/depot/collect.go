package depot

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"kuva/internal/blob"
	"kuva/internal/catalog"
)

// ErrStale means that another collector has begun a cycle: this one stops.
// What it did until then harms nothing.
var ErrStale = errors.New("another collector has begun a cycle")

// CollectOptions say how far a cycle goes.
type CollectOptions struct {
	// DryRun changes nothing and fills Report.Plan.
	DryRun bool
	// Audit compares the store's packs and recipes with the ledger, too: once
	// a week, or when asked. It costs one LIST of the store.
	Audit bool
	// Compact rewrites mostly dead and tiny packs at the end.
	Compact bool
}

// keeper is what the collector remembers from cycle to cycle.
type keeper struct {
	mu     sync.Mutex
	beats  map[int64]beatSeen
	spent  atomic.Bool      // the store's reserve was given up
	tombs  map[string]int64 // delete cards of images without content, by the epoch that saw them first
	packed map[int64]int64  // packs that compaction found full enough, with their stamp then
}

type beatSeen struct {
	beat  int64
	since time.Duration // on our own monotonic clock
}

// collector is one cycle.
type collector struct {
	d      *Depot
	opt    CollectOptions
	rep    *Report
	epoch  int64
	token  int64
	dry    *catalog.Tx // a dry run is one transaction that is rolled back
	failed error       // first failure to delete a blob; the cycle goes on
}

// Collect runs one cycle of the collector (DEPOT-PROTOCOL: deleting,
// collecting, compacting). One node leads at a time; a second one makes the
// first stop with ErrStale, and harms nothing. It refuses with ErrReadOnly, and
// turns the depot read-only, where the store knows more than the ledger.
//
// It works with no free space: where database or store are full it goes on in
// the room of the store's reserve, which it takes back at its end. The report is right even beside an error.
func (d *Depot) Collect(ctx context.Context, opt CollectOptions) (Report, error) {
	rep := Report{DryRun: opt.DryRun}
	c := &collector{d: d, opt: opt, rep: &rep}
	err := c.run(ctx)
	if err == nil && opt.Compact && !opt.DryRun {
		err = d.InReserve(func() error {
			did, err := d.Compact(ctx)
			rep.Compacted.add(did)
			return err
		})
	}
	if !opt.DryRun {
		d.refillReserve()
	}
	if err != nil {
		err = fmt.Errorf("collect: %w", err)
	}
	return rep, err
}

func (c *collector) run(ctx context.Context) error {
	d := c.d
	if err := d.checkEpoch(ctx); err != nil {
		return err
	}
	if err := d.checkStoreAge(ctx); err != nil {
		return err
	}
	if err := d.ReadOnly(); err != nil {
		return err
	}
	if err := c.begin(ctx); err != nil {
		return err
	}
	cards, err := c.compareCards(ctx)
	if err != nil {
		return err
	}
	if c.opt.DryRun {
		err = c.rehearse(ctx, cards)
	} else {
		err = c.execute(ctx, cards)
	}
	if err == nil && c.opt.Audit {
		err = c.audit(ctx)
	}
	return errors.Join(err, c.failed, c.count(ctx))
}

// execute is steps 4 to 6. The order matters: what step 5 condemns carries
// this epoch, so step 6 leaves it to a later cycle.
func (c *collector) execute(ctx context.Context, cards []string) error {
	steps := []struct {
		point string
		do    func(context.Context) error
	}{
		{"gc.leases", c.expireLeases},
		{"gc.objects", c.dropObjects},
		{"gc.recipes", c.condemnRecipes},
		{"gc.packs", c.condemnPacks},
		{"gc.sweep", c.sweep},
		{"gc.cards", func(ctx context.Context) error { return c.dropCards(ctx, cards) }},
	}
	for _, s := range steps {
		if err := c.d.at(s.point); err != nil {
			return err
		}
		if err := s.do(ctx); err != nil {
			return err
		}
	}
	return c.d.at("gc.end")
}

var errRehearsed = errors.New("dry run ends")

// rehearse does the same inside one transaction that never commits: the plan
// is what the steps really would do, not a second opinion.
func (c *collector) rehearse(ctx context.Context, cards []string) error {
	before := *c.rep
	err := c.d.db.Update(ctx, func(tx *catalog.Tx) error {
		*c.rep = before // of an earlier try
		c.dry = tx
		defer func() { c.dry = nil }()
		if err := c.execute(ctx, cards); err != nil {
			return err
		}
		return errRehearsed
	})
	if errors.Is(err, errRehearsed) {
		return nil
	}
	return err
}

// begin is steps 1 and 2: a new epoch and token, then the epoch's blob.
func (c *collector) begin(ctx context.Context) error {
	d := c.d
	if c.opt.DryRun {
		err := d.db.View(ctx, func(tx *catalog.Tx) error {
			return tx.QueryRow(ctx, `SELECT epoch, cycle_token FROM store WHERE id = 1`).Scan(&c.epoch, &c.token)
		})
		c.epoch++ // the cycle that would be
		c.rep.Epoch = c.epoch
		return err
	}
	for begun := false; !begun; {
		var err error
		if begun, err = c.take(ctx); err != nil {
			return err
		}
	}
	c.rep.Epoch = c.epoch
	if err := d.at("gc.begun"); err != nil {
		return err
	}
	// The cycle before may have died between the two steps. Its own number is
	// filled in only now: as long as it led, a blob there meant a rollback.
	err := d.InReserve(func() error { return d.fillEpochs(ctx, c.epoch-1) })
	if err != nil {
		return err
	}
	err = c.d.InReserve(func() error { return blob.Put(ctx, d.store, epochKey(c.epoch), nil) })
	if errors.Is(err, blob.ErrExists) {
		return c.epochTaken(ctx)
	}
	if err != nil {
		return fmt.Errorf("begin cycle %d: %w", c.epoch, err)
	}
	return d.at("gc.epoch")
}

// take commits the next epoch and a new token. The blobs of all epochs but the
// newest are there before, and the UPDATE tests that it still is the newest: so
// never more than two lack theirs. False means that another collector was
// faster.
func (c *collector) take(ctx context.Context) (bool, error) {
	d := c.d
	var seen int64
	err := d.db.View(ctx, func(tx *catalog.Tx) error {
		return tx.QueryRow(ctx, `SELECT epoch FROM store WHERE id = 1`).Scan(&seen)
	})
	if err != nil {
		return false, err
	}
	if err := d.InReserve(func() error { return d.fillEpochs(ctx, seen-1) }); err != nil {
		return false, err
	}
	c.token, c.epoch = catalog.NewID(), seen+1
	var n int64
	err = d.InReserve(func() error {
		return d.db.Update(ctx, func(tx *catalog.Tx) error {
			var err error
			n, err = tx.Exec(ctx, `UPDATE store SET epoch = $1, cycle_token = $2 WHERE id = 1 AND epoch = $3`, c.epoch, c.token, seen)
			return err
		})
	})
	return n == 1, err
}

// epochTaken decides what it means that the new epoch's blob was there: a
// later leader filled it in, or the ledger was rolled back and has counted to
// this epoch before.
func (c *collector) epochTaken(ctx context.Context) error {
	if err := c.d.db.View(ctx, c.leads(ctx)); err != nil {
		return err
	}
	c.d.setReadOnly(fmt.Sprintf("the store has seen cycle %d before: the database was restored from an older copy; run `kuva depot rebuild --merge`", c.epoch))
	return c.d.ReadOnly()
}

// leads tests that no other collector has begun since.
func (c *collector) leads(ctx context.Context) func(tx *catalog.Tx) error {
	return func(tx *catalog.Tx) error {
		var token int64
		err := tx.QueryRow(ctx, `SELECT cycle_token FROM store WHERE id = 1`).Scan(&token)
		if err == nil && token != c.token {
			err = ErrStale
		}
		return err
	}
}

// epochsMissing is how many of the newest epochs must lack their blob before
// the store is taken for an older copy: see collector.take.
const epochsMissing = 3

// checkStoreAge finds a store that is older than the ledger, as after a
// restore of the store from a copy. A store that is younger by fewer cycles is
// found out by Verify and by reads.
func (d *Depot) checkStoreAge(ctx context.Context) error {
	epoch := d.epoch.Load()
	for n := epoch; n > epoch-epochsMissing; n-- {
		if n < 2 {
			return nil
		}
		if _, err := d.store.Stat(ctx, epochKey(n)); !isNotFound(err) {
			return err
		}
	}
	d.setReadOnly(fmt.Sprintf("the database is at cycle %d, the store has not seen the last %d: it was restored from an older copy; run `kuva depot rebuild --merge`", epoch, epochsMissing))
	return nil
}

// fillEpochs sees to it that the blobs of epochs up to last are there without
// a gap: a cycle may have died between its transaction and its blob, and at
// start only the next epoch's blob is asked for.
func (d *Depot) fillEpochs(ctx context.Context, last int64) error {
	var missing []int64
	for n := last; n > 1; n-- {
		_, err := d.store.Stat(ctx, epochKey(n))
		if err == nil {
			break
		}
		if !isNotFound(err) {
			return err
		}
		missing = append(missing, n)
	}
	for i := len(missing) - 1; i >= 0; i-- {
		if err := blob.Put(ctx, d.store, epochKey(missing[i]), nil); err != nil && !errors.Is(err, blob.ErrExists) {
			return fmt.Errorf("begin cycle %d: %w", missing[i], err)
		}
	}
	return nil
}

// update runs fn in a transaction that only commits while this cycle leads.
// The test is an UPDATE: it locks the row, so that no later cycle begins
// between it and the commit.
func (c *collector) update(ctx context.Context, fn func(tx *catalog.Tx) error) error {
	if c.dry != nil {
		return fn(c.dry)
	}
	return c.d.InReserve(func() error {
		return c.d.db.Update(ctx, func(tx *catalog.Tx) error {
			n, err := tx.Exec(ctx, `UPDATE store SET cycle_token = $1 WHERE id = 1 AND cycle_token = $1`, c.token)
			if err != nil {
				return err
			}
			if n != 1 {
				return ErrStale
			}
			return fn(tx)
		})
	})
}

// view reads what the steps before have left.
func (c *collector) view(ctx context.Context, fn func(tx *catalog.Tx) error) error {
	if c.dry != nil {
		return fn(c.dry)
	}
	return c.d.db.View(ctx, fn)
}

// count fills in what the store holds now, by the ledger.
func (c *collector) count(ctx context.Context) error {
	r := c.rep
	return c.d.db.View(ctx, func(tx *catalog.Tx) error {
		r.Live, r.Garbage, r.Open, r.Waiting = Tally{}, 0, Tally{}, Tally{}
		var all int64
		// An edge is what one object needs of a pack. Several objects may need
		// the same chunks, so their sum is what may live, at most.
		err := tx.QueryRow(ctx, `SELECT COUNT(*), COALESCE(SUM(p.bytes), 0), COALESCE(SUM(CASE WHEN e.s < p.bytes THEN e.s ELSE p.bytes END), 0)
			FROM pack p LEFT JOIN (SELECT pack, SUM(bytes) AS s FROM recipe_pack GROUP BY pack) e ON e.pack = p.id
			WHERE p.state IN ('sealed', 'draining')`).Scan(&r.Live.Count, &all, &r.Live.Bytes)
		if err != nil {
			return err
		}
		r.Garbage = all - r.Live.Bytes
		for state, t := range map[string]*Tally{"open": &r.Open, "condemned": &r.Waiting} {
			err := tx.QueryRow(ctx, `SELECT COUNT(*), COALESCE(SUM(bytes), 0) FROM pack WHERE state = $1`, state).Scan(&t.Count, &t.Bytes)
			if err != nil {
				return err
			}
		}
		return nil
	})
}
