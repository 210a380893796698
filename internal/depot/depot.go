package depot

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"kuva/internal/blob"
	"kuva/internal/catalog"
)

// Errors of the depot. Those of blob and catalog come through wrapped.
var (
	// ErrNotFound means that no live object has the ref.
	ErrNotFound = errors.New("no such object")
	// ErrGone means that the object was deleted while it was read.
	ErrGone = errors.New("object was deleted")
	// ErrReadOnly means that the ledger is older than the store: reads go on,
	// writes wait for `kuva depot rebuild --merge`.
	ErrReadOnly = errors.New("depot is read-only")
	// ErrLeaseLost means that the collector took the writer for dead. Nothing
	// was stored; start over.
	ErrLeaseLost = errors.New("lease was lost")
)

// Config is what a Depot stands on. DB, Store, Keys and Node are needed.
type Config struct {
	DB    *catalog.DB
	Store blob.Store
	Keys  KeyService
	// Node names this node for its leases; it must be the same after a restart
	// and no two running processes may share it.
	Node string
	Log  *slog.Logger
	// Now is the wall clock. It only dates rows; nothing is decided by it.
	Now func() time.Time
	// Mono is the monotonic clock, for beats and margins. [time since start]
	Mono func() time.Duration

	PackSize   int64         // bytes after which a pack is closed [32 MiB]
	HookBits   int           // names ending in so many zero bits are hooks [4]
	LeaseAfter time.Duration // a lease whose beat stood still so long is expired [15 min]
	Beat       time.Duration // between two beats [1 min]

	// Failpoint is called at the named places where a crash is worth a test;
	// its error ends the operation there. nil in production.
	Failpoint func(point string) error
}

func (c *Config) fill() {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Mono == nil {
		start := time.Now()
		c.Mono = func() time.Duration { return time.Since(start) }
	}
	if c.PackSize == 0 {
		c.PackSize = 32 << 20
	}
	if c.HookBits == 0 {
		c.HookBits = 4
	}
	if c.LeaseAfter == 0 {
		c.LeaseAfter = 15 * time.Minute
	}
	if c.Beat == 0 {
		c.Beat = time.Minute
	}
}

// Depot keeps objects. All its methods may be called at the same time.
type Depot struct {
	cfg      Config
	db       *catalog.DB
	store    blob.Store
	keys     KeyService
	log      *slog.Logger
	realms   realms
	readOnly atomic.Pointer[string] // why, nil while writes are taken
	epoch    atomic.Int64           // greatest epoch seen in the ledger
	segments *segmentCache
	writers  atomic.Int64 // open writers: the heart beats only for them
	keep     keeper
	stop     context.CancelFunc
	done     sync.WaitGroup
}

// Open opens the depot: it makes the ledger's first row and the store's id at
// first start, expires what this node's former life left, and compares the
// ledger's age with the store's. A ledger older than the store opens
// read-only; a store of another ledger is an error.
func Open(ctx context.Context, cfg Config) (*Depot, error) {
	d := newDepot(cfg)
	if err := d.begin(ctx); err != nil {
		return nil, fmt.Errorf("open depot: %w", err)
	}
	if err := d.checkEpoch(ctx); err != nil {
		return nil, fmt.Errorf("open depot: %w", err)
	}
	if err := d.checkStoreAge(ctx); err != nil {
		return nil, fmt.Errorf("open depot: %w", err)
	}
	if d.ReadOnly() == nil {
		if err := d.expireOwn(ctx); err != nil {
			return nil, fmt.Errorf("open depot: %w", err)
		}
	}
	ctx, d.stop = context.WithCancel(context.WithoutCancel(ctx))
	d.done.Go(func() { d.beat(ctx) })
	return d, nil
}

func newDepot(cfg Config) *Depot {
	cfg.fill()
	return &Depot{
		cfg: cfg, db: cfg.DB, store: cfg.Store, keys: cfg.Keys, log: cfg.Log,
		realms:   realms{byProject: map[string]*realm{}, keys: map[[2]int64]*realmKeys{}},
		segments: newSegmentCache(128),
	}
}

// Close stops the heartbeat. Writers that are open lose their leases in time.
func (d *Depot) Close() error {
	d.stop()
	d.done.Wait()
	return nil
}

// ReadOnly returns nil while the depot takes writes, else an error that wraps
// ErrReadOnly and says why.
func (d *Depot) ReadOnly() error {
	if why := d.readOnly.Load(); why != nil {
		return fmt.Errorf("%w: %s", ErrReadOnly, *why)
	}
	return nil
}

func (d *Depot) setReadOnly(why string) {
	d.log.Error("depot turns read-only", "why", why)
	d.readOnly.Store(&why)
}

// begin makes or compares the store's id.
func (d *Depot) begin(ctx context.Context) error {
	var id string
	err := d.db.View(ctx, func(tx *catalog.Tx) error {
		return tx.QueryRow(ctx, `SELECT store_id FROM store WHERE id = 1`).Scan(&id)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return d.beginStore(ctx)
	}
	if err != nil {
		return err
	}
	b, err := blob.Get(ctx, d.store, "store", 4096)
	if isNotFound(err) {
		return d.finishStore(ctx, id)
	}
	if err != nil {
		return fmt.Errorf("the database knows a store, the store's own id: %w", err)
	}
	if string(b) != storeBlob(id) {
		return errors.New("the store belongs to another database; give each data directory its own")
	}
	return nil
}

// finishStore writes the id into a store that has none, where a crash came
// between beginStore's two steps. A database that has ever used its store has a
// realm: then the store is missing, or another folder is in its place, and a
// new id would hide it.
func (d *Depot) finishStore(ctx context.Context, id string) error {
	var realms int64
	err := d.db.View(ctx, func(tx *catalog.Tx) error {
		return tx.QueryRow(ctx, `SELECT COUNT(*) FROM realm`).Scan(&realms)
	})
	if err != nil {
		return err
	}
	if realms > 0 {
		return errors.New("the database knows a store, and none is here: mount it, or bring it back from its copy")
	}
	return blob.Put(ctx, d.store, "store", []byte(storeBlob(id)))
}

func storeBlob(id string) string { return "kuva store 1 " + id + "\n" }

// beginStore makes the ledger's row. A store that is not empty then means that
// the database was lost.
func (d *Depot) beginStore(ctx context.Context) error {
	_, err := d.store.Stat(ctx, "store")
	if err == nil {
		return errors.New("the store has content but the database knows nothing of it: bring both back with `kuva depot rebuild`")
	}
	if !errors.Is(err, blob.ErrNotFound) {
		return err
	}
	id := fmt.Sprintf("%016x%016x", catalog.NewID(), catalog.NewID())
	// The row first: a crash between the two must not look like a lost database.
	// The next start then finds the row alone (finishStore).
	err = d.db.Update(ctx, func(tx *catalog.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO store (id, store_id, epoch, cycle_token) VALUES (1, $1, 1, 0)`, id)
		return err
	})
	if err != nil {
		return err
	}
	return blob.Put(ctx, d.store, "store", []byte(storeBlob(id)))
}

// checkEpoch compares the ledger's epoch with the store's: a later epoch's
// blob means that the ledger was rolled back and may have forgotten deletes
// (DEPOT-PROTOCOL: losing or rolling back the ledger). It also watches for an
// epoch that falls while the node runs.
func (d *Depot) checkEpoch(ctx context.Context) error {
	for last := int64(0); ; {
		seen := d.epoch.Load() // before the look at the row: others look, too
		var epoch int64
		err := d.db.View(ctx, func(tx *catalog.Tx) error {
			return tx.QueryRow(ctx, `SELECT epoch FROM store WHERE id = 1`).Scan(&epoch)
		})
		if err != nil {
			return err
		}
		if epoch < seen {
			d.setReadOnly(fmt.Sprintf("the database fell back from cycle %d to %d; run `kuva depot rebuild --merge`", seen, epoch))
			return nil
		}
		for seen < epoch && !d.epoch.CompareAndSwap(seen, epoch) {
			seen = d.epoch.Load()
		}
		if epoch == last {
			d.setReadOnly(fmt.Sprintf("the database is at cycle %d, the store is later: it was restored from an older copy; run `kuva depot rebuild --merge`", epoch))
			return nil
		}
		_, err = d.store.Stat(ctx, epochKey(epoch+1))
		if errors.Is(err, blob.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		// Perhaps a cycle began between the two looks: its number is committed
		// before its blob is put, so the row tells if it is read once more.
		last = epoch
	}
}

// beat keeps the leases of open writers alive: one statement a minute, none
// while nobody writes.
func (d *Depot) beat(ctx context.Context) {
	t := time.NewTicker(d.cfg.Beat)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if d.writers.Load() == 0 || d.ReadOnly() != nil {
			continue
		}
		err := d.db.Update(ctx, func(tx *catalog.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE lease SET beat = beat + 1 WHERE node = $1 AND state = 'live'`, d.cfg.Node)
			return err
		})
		if err != nil && ctx.Err() == nil {
			d.log.Warn("heartbeat of leases", "error", err)
		}
		if err := d.checkEpoch(ctx); err != nil && ctx.Err() == nil {
			d.log.Warn("compare epochs", "error", err)
		}
	}
}

// at passes a failpoint.
func (d *Depot) at(point string) error {
	if d.cfg.Failpoint == nil {
		return nil
	}
	return d.cfg.Failpoint(point)
}

func isNotFound(err error) bool { return errors.Is(err, blob.ErrNotFound) }
