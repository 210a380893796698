package depot

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"kuva/internal/catalog"
)

// VerifyOptions say how to scrub.
type VerifyOptions struct {
	// Rate limits reading. [bytes a second; 0 is as fast as it goes]
	Rate int64
	// Card compares the newest card of an image with its row and returns what
	// differs. The card has the row's version, so any difference is damage of
	// the database or of whoever wrote the row. nil leaves it out.
	Card func(ctx context.Context, tx *catalog.Tx, c Card) error
}

// Finding is one thing that is not as it should be.
type Finding struct {
	Key    string   // of the blob, or "image <id>", "object <ref>"
	Object int64    // the object that is affected, 0 if none is known
	Images []string // its images
	Err    error
}

func (f Finding) String() string {
	if len(f.Images) > 0 {
		return fmt.Sprintf("%s: %v; affects images %v", f.Key, f.Err, f.Images)
	}
	return fmt.Sprintf("%s: %v", f.Key, f.Err)
}

// VerifyReport says what was read and what is affected.
type VerifyReport struct {
	Keys, Packs, Chunks, Objects, Segments, Cards int64

	Bytes    int64    // sealed bytes read
	Findings int64    // handed to found
	Suspect  int64    // packs marked suspect by this run
	Healed   int64    // packs that were suspect and are whole
	Lost     []int64  // objects that cannot be read whole, in order
	Images   []string // their images, in order
}

// verifier is one run.
type verifier struct {
	d     *Depot
	opt   VerifyOptions
	found func(Finding)
	rep   *VerifyReport
	start time.Duration

	mu      sync.Mutex
	bad     map[int64]map[uint32]bool // damaged chunks by pack and offset; nil is the whole pack
	indexes map[int64]map[uint32]packEntry
	checked map[Loc]*checkedSegment
}

// Verify reads everything and compares it: the wrapped keys, every chunk of
// every pack, the roots and segments of every live object against the packs'
// indexes and the ledger, the cards against the image rows. Each finding goes
// to found, which one goroutine calls at a time. Damaged packs are marked
// suspect: writers store their chunks anew and compaction leaves them.
//
// It may run beside everything else; what is deleted meanwhile is no finding.
// The database's own pages come first, by catalog.DB.Check.
func (d *Depot) Verify(ctx context.Context, opt VerifyOptions, found func(Finding)) (VerifyReport, error) {
	v := newVerifier(d, opt, found)
	err := v.verifyDatabase(ctx)
	if err == nil {
		err = v.run(ctx)
	}
	if err != nil {
		err = fmt.Errorf("verify: %w", err)
	}
	return *v.rep, err
}

func newVerifier(d *Depot, opt VerifyOptions, found func(Finding)) *verifier {
	return &verifier{
		d: d, opt: opt, found: found, rep: &VerifyReport{}, start: d.cfg.Mono(),
		bad: map[int64]map[uint32]bool{}, indexes: map[int64]map[uint32]packEntry{}, checked: map[Loc]*checkedSegment{},
	}
}

func (v *verifier) run(ctx context.Context) error {
	for _, pass := range []func(context.Context) error{v.verifyKeys, v.verifyPacks, v.verifyObjects, v.verifyCards} {
		if err := v.d.at("verify.pass"); err != nil {
			return err
		}
		if err := pass(ctx); err != nil {
			return err
		}
	}
	slices.Sort(v.rep.Lost)
	slices.Sort(v.rep.Images)
	v.rep.Images = slices.Compact(v.rep.Images)
	return nil
}

func (v *verifier) verifyDatabase(ctx context.Context) error {
	problems, err := v.d.db.Check(ctx)
	for _, p := range problems {
		v.report(Finding{Key: "database", Err: errors.New(p)})
	}
	return err
}

func (v *verifier) report(f Finding) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.rep.Findings++
	if v.found != nil {
		v.found(f)
	}
}

// pace holds the rate.
func (v *verifier) pace(ctx context.Context, n int64) error {
	v.mu.Lock()
	v.rep.Bytes += n
	read := v.rep.Bytes
	v.mu.Unlock()
	if v.opt.Rate <= 0 {
		return ctx.Err()
	}
	due := time.Duration(float64(read) / float64(v.opt.Rate) * float64(time.Second))
	wait := due - (v.d.cfg.Mono() - v.start)
	if wait <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(min(wait, time.Minute))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// verifyPacks reads every pack that is sealed or draining.
func (v *verifier) verifyPacks(ctx context.Context) error {
	work := make(chan packRow)
	var wg sync.WaitGroup
	var failed error
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for range min(4, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for p := range work {
				if err := v.verifyPack(ctx, p); err != nil {
					v.mu.Lock()
					if failed == nil {
						failed = err
					}
					v.mu.Unlock()
					cancel()
				}
			}
		})
	}
	err := v.eachPack(ctx, func(p packRow) error {
		select {
		case work <- p:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	close(work)
	wg.Wait()
	if failed != nil {
		return failed
	}
	return err
}

// packRow is a pack as the ledger knows it.
type packRow struct {
	ref     PackRef
	bytes   int64
	chunks  int64
	suspect bool
}

func (v *verifier) eachPack(ctx context.Context, f func(packRow) error) error {
	for after := int64(0); ; {
		var part []packRow
		err := v.d.db.View(ctx, func(tx *catalog.Tx) error {
			part = part[:0]
			rows, err := tx.Query(ctx, `SELECT id, realm, key_id, epoch, bytes, chunks, suspect FROM pack
				WHERE state IN ('sealed', 'draining') AND id > $1 ORDER BY id LIMIT 256`, after)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var p packRow
				if err := rows.Scan(&p.ref.ID, &p.ref.Realm, &p.ref.KeyID, &p.ref.Epoch, &p.bytes, &p.chunks, &p.suspect); err != nil {
					return err
				}
				part = append(part, p)
			}
			return rows.Err()
		})
		if err != nil || len(part) == 0 {
			return err
		}
		after = part[len(part)-1].ref.ID
		for _, p := range part {
			if err := f(p); err != nil {
				return err
			}
		}
	}
}

// stillThere tells a pack that was collected meanwhile from one that is lost.
func (d *Depot) stillThere(ctx context.Context, pack int64) (bool, error) {
	var n int64
	err := d.db.View(ctx, func(tx *catalog.Tx) error {
		return tx.QueryRow(ctx, `SELECT COUNT(*) FROM pack WHERE id = $1 AND state IN ('sealed', 'draining')`, pack).Scan(&n)
	})
	return n > 0, err
}

// damaged notes a pack, or one chunk of it, and marks the pack suspect.
func (v *verifier) damaged(ctx context.Context, p packRow, at int64, err error) {
	v.mu.Lock()
	if at < 0 {
		v.bad[p.ref.ID] = nil
	} else if m, whole := v.bad[p.ref.ID]; !whole || m != nil {
		if m == nil {
			m = map[uint32]bool{}
			v.bad[p.ref.ID] = m
		}
		m[uint32(at)] = true
	}
	if !p.suspect {
		v.rep.Suspect++
	}
	v.mu.Unlock()
	v.d.markSuspect(ctx, p.ref, err)
	v.report(Finding{Key: p.ref.Key(), Err: err})
}

// isBad reports whether a chunk was found damaged.
func (v *verifier) isBad(loc Loc) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	m, ok := v.bad[loc.Pack.ID]
	return ok && (m == nil || m[loc.Offset])
}

// lost notes an object that cannot be read whole.
func (v *verifier) lost(ctx context.Context, ref int64, key string, cause error) error {
	images, err := v.d.imagesOf(ctx, ref)
	if err != nil {
		return err
	}
	v.rep.Lost = append(v.rep.Lost, ref)
	v.rep.Images = append(v.rep.Images, images...)
	v.report(Finding{Key: key, Object: ref, Images: images, Err: cause})
	return nil
}

func (d *Depot) imagesOf(ctx context.Context, ref int64) ([]string, error) {
	var ids []string
	err := d.db.View(ctx, func(tx *catalog.Tx) error {
		ids = nil
		rows, err := tx.Query(ctx, `SELECT id FROM image WHERE object = $1 AND object <> 0 ORDER BY id`, ref)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return rows.Err()
	})
	return ids, err
}

// isDamage tells damage from a store or database that does not answer.
func isDamage(err error) bool {
	return errors.Is(err, ErrDamaged) || errors.Is(err, ErrFormat) || isNotFound(err)
}
