package depot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"kuva/internal/blob"
	"kuva/internal/catalog"
)

// RebuildOptions say what a rebuild starts from.
type RebuildOptions struct {
	// Merge keeps the ledger that there is and adopts what it lacks: after a
	// restore of the database from an older copy, or of the store. Without it
	// the ledger must be empty.
	Merge bool
}

// Restore brings an image's row back, or up to date, or marks it deleted if
// the card says so: whatever the card says is true. The row's version and card
// version become at least the card's. obj is nil where the card names no
// object, and where the object is not whole in the store (then it is in
// RebuildReport.Missing). It may be called more than once for the same card.
type Restore func(ctx context.Context, tx *catalog.Tx, c Card, obj *ObjectInfo) error

// RebuildReport says what came back.
type RebuildReport struct {
	Realms   int64
	Images   int64 // restored or brought up to date
	Deleted  int64 // cards that say deleted, carried out in the database
	Objects  int64
	Packs    int64
	Hooks    int64
	Revived  int64    // packs that were condemned and are needed
	Missing  []string // images whose content is not whole in the store
	Vanished []string // merge: images of the older database that were deleted since
	Damaged  []string // blobs that could not be opened, with what is wrong
	Epoch    int64
}

// rebuilder is one run.
type rebuilder struct {
	d       *Depot
	opt     RebuildOptions
	restore Restore
	rep     *RebuildReport

	keyBlobs  map[[2]int64]keyBlob // newest wrapping of each key
	keyErrors map[[2]int64]error
	keyMu     sync.Mutex     // for keys and packs
	used      map[int64]bool // realms that sealed something

	packs   map[int64]foundPack
	roots   map[int64][]foundRoot // by object, any order
	chosen  map[int64]*chosenRoot
	behind  bool             // the ledger is older than the store
	ledger  map[string]int64 // merge: versions of image rows
	orphans map[string]bool  // merge: live rows that once had a card
	gone    map[int64]bool   // merge: packs that were deleted
	unread  map[string]bool  // images whose card is damaged
}

type foundPack struct {
	ref   PackRef // without key id
	bytes int64
}

type foundRoot struct {
	realm, gen, bytes int64
}

// chosenRoot is the generation that an object comes back with.
type chosenRoot struct {
	root  *root
	realm int64
	bytes int64
}

// Rebuild brings ledger and images back from the store and the key service
// alone (DEPOT-PROTOCOL: losing or rolling back the ledger). Nothing else may
// use database or store meanwhile: no depot is open on them. A wrapping key
// that something in the store needs and that is not there, or is damaged, is
// an error that names it; anything else that is damaged is reported.
//
// It may be run again after it failed: what is there already stays.
func Rebuild(ctx context.Context, cfg Config, opt RebuildOptions, restore Restore) (RebuildReport, error) {
	var rep RebuildReport
	r := &rebuilder{
		d: newDepot(cfg), opt: opt, restore: restore, rep: &rep,
		keyBlobs: map[[2]int64]keyBlob{}, keyErrors: map[[2]int64]error{}, used: map[int64]bool{},
		packs: map[int64]foundPack{}, roots: map[int64][]foundRoot{}, chosen: map[int64]*chosenRoot{},
		gone: map[int64]bool{}, unread: map[string]bool{},
	}
	if err := r.run(ctx); err != nil {
		return rep, fmt.Errorf("rebuild: %w", err)
	}
	slices.Sort(rep.Missing)
	slices.Sort(rep.Vanished)
	slices.Sort(rep.Damaged)
	return rep, nil
}

func (r *rebuilder) run(ctx context.Context) error {
	storeID, err := r.readStore(ctx)
	if err != nil {
		return err
	}
	epoch, err := r.readEpochs(ctx)
	if err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{r.listKeys, r.listGone, r.listPacks, r.listRoots} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	cards, err := r.readCards(ctx)
	if err != nil {
		return err
	}
	if err := r.chooseRoots(ctx); err != nil {
		return err
	}
	if err := r.needKeys(); err != nil {
		return err
	}
	if err := r.insertRealms(ctx); err != nil {
		return err
	}
	if err := r.d.at("rebuild.realms"); err != nil {
		return err
	}
	if r.opt.Merge {
		if err := r.expireAll(ctx); err != nil {
			return err
		}
	}
	if err := r.insertObjects(ctx); err != nil {
		return err
	}
	if err := r.d.at("rebuild.objects"); err != nil {
		return err
	}
	if err := r.insertImages(ctx, cards); err != nil {
		return err
	}
	if r.opt.Merge {
		if err := r.settle(ctx, epoch+2); err != nil {
			return err
		}
	}
	if err := r.insertHooks(ctx); err != nil {
		return err
	}
	if err := r.d.at("rebuild.images"); err != nil {
		return err
	}
	return r.finish(ctx, storeID, epoch)
}

// readStore reads the store's id and compares it with the ledger's.
func (r *rebuilder) readStore(ctx context.Context) (string, error) {
	b, err := blob.Get(ctx, r.d.store, "store", 4096)
	if err != nil {
		return "", fmt.Errorf("the store's id: %w", err)
	}
	var known string
	err = r.d.db.View(ctx, func(tx *catalog.Tx) error {
		known = ""
		rows, err := tx.Query(ctx, `SELECT store_id, epoch FROM store WHERE id = 1`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var epoch int64
			if err := rows.Scan(&known, &epoch); err != nil {
				return err
			}
			r.d.epoch.Store(epoch)
		}
		return rows.Err()
	})
	if err != nil {
		return "", err
	}
	f := strings.Fields(string(b))
	if len(f) != 4 || storeBlob(f[3]) != string(b) {
		return "", fmt.Errorf("the store's id: %w", ErrDamaged)
	}
	switch {
	case known == "" && r.opt.Merge:
		return "", errors.New("the database knows no store: rebuild without --merge")
	case known != "" && !r.opt.Merge:
		return "", errors.New("the database knows a store already: rebuild with --merge, or begin with an empty database")
	case known != "" && known != f[3]:
		return "", errors.New("the store belongs to another database")
	}
	return f[3], nil
}

// readEpochs finds the highest cycle that the store has seen.
func (r *rebuilder) readEpochs(ctx context.Context) (int64, error) {
	highest := int64(1)
	for info, err := range r.d.store.List(ctx, "epoch/") {
		if err != nil {
			return 0, fmt.Errorf("list epochs: %w", err)
		}
		if n, err := strconv.ParseInt(strings.TrimPrefix(info.Key, "epoch/"), 10, 64); err == nil && epochKey(n) == info.Key {
			highest = max(highest, n)
		}
	}
	known := r.d.epoch.Load()
	r.behind = highest > known
	return max(highest, known), nil
}

// listPacks reads no pack: that one is listed means that it is whole.
func (r *rebuilder) listPacks(ctx context.Context) error {
	for info, err := range r.d.store.List(ctx, "pack/") {
		if err != nil {
			return fmt.Errorf("list packs: %w", err)
		}
		if p, ok := parsePackKey(info.Key); ok {
			r.packs[p.ID] = foundPack{p, info.Size}
			r.used[p.Realm] = true
		}
	}
	return nil
}

func (r *rebuilder) listRoots(ctx context.Context) error {
	for info, err := range r.d.store.List(ctx, "recipe/") {
		if err != nil {
			return fmt.Errorf("list recipes: %w", err)
		}
		if realm, object, gen, ok := parseRecipeKey(info.Key); ok {
			r.roots[object] = append(r.roots[object], foundRoot{realm, gen, info.Size})
			r.used[realm] = true
		}
	}
	return nil
}

// readers is how many blobs are read side by side.
const readers = 16

// each calls f for the numbers below n from several goroutines and returns the
// first error.
func each(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(n, readers) {
		wg.Go(func() {
			for i := range next {
				if err := f(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
feed:
	for i := range n {
		select {
		case next <- i:
		case <-ctx.Done():
			break feed
		}
	}
	close(next)
	wg.Wait()
	return context.Cause(ctx)
}

// readCards opens the newest card of every image. One that is damaged is
// reported and brings nothing back: an older one might be of before a delete.
func (r *rebuilder) readCards(ctx context.Context) ([]Card, error) {
	var images []imageCards
	for ic, err := range listCards(ctx, r.d.store) {
		if err != nil {
			return nil, err
		}
		images = append(images, ic)
	}
	cards := make([]Card, len(images))
	var mu sync.Mutex
	err := each(ctx, len(images), func(ctx context.Context, i int) error {
		key := cardKey(images[i].image, images[i].newest)
		realm, c, err := readCardWith(ctx, r.d.store, key, r.keysOf)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			r.unread[images[i].image] = true
			return r.damaged(key, err)
		}
		r.used[realm] = true
		cards[i] = c
		return nil
	})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(cards, func(c Card) bool { return c.Image == "" }), nil
}

// damaged notes a blob that cannot be opened; what is no damage ends the run.
func (r *rebuilder) damaged(key string, err error) error {
	if !isDamage(err) || errors.Is(err, ErrKeyGone) {
		return err
	}
	r.rep.Damaged = append(r.rep.Damaged, fmt.Sprintf("%s: %v", key, err))
	return nil
}

// chooseRoots finds for every object the highest generation whose packs are
// all there. Objects whose image was deleted come back, too: without an image
// they are garbage that the collector knows, unless an instance pins them.
func (r *rebuilder) chooseRoots(ctx context.Context) error {
	objects := make([]int64, 0, len(r.roots))
	for o := range r.roots {
		objects = append(objects, o)
	}
	slices.Sort(objects)
	var mu sync.Mutex
	return each(ctx, len(objects), func(ctx context.Context, i int) error {
		found := r.roots[objects[i]]
		slices.SortFunc(found, func(a, b foundRoot) int { return int(b.gen - a.gen) })
		for _, f := range found {
			key := recipeKey(f.realm, objects[i], f.gen)
			root, err := r.loadRoot(ctx, key)
			if err == nil && (root.Object != objects[i] || root.Gen != f.gen) {
				err = fmt.Errorf("%w: root of another object", ErrDamaged)
			}
			var whole bool
			if err == nil {
				whole, err = r.whole(ctx, root)
			}
			mu.Lock()
			switch {
			case err != nil:
				err = r.damaged(key, err)
			case whole:
				r.chosen[objects[i]] = &chosenRoot{root, f.realm, f.bytes}
			}
			mu.Unlock()
			if err != nil || whole {
				return err
			}
		}
		return nil
	})
}

// whole reports whether all packs of a root are in the store. LIST may lag, so
// one that it did not show is asked for.
func (r *rebuilder) whole(ctx context.Context, root *root) (bool, error) {
	for _, p := range root.Packs {
		if r.gone[p.Ref.ID] {
			return false, nil
		}
		r.keyMu.Lock()
		_, ok := r.packs[p.Ref.ID]
		r.keyMu.Unlock()
		if ok {
			continue
		}
		info, err := r.d.store.Stat(ctx, p.Ref.Key())
		if isNotFound(err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		r.keyMu.Lock()
		r.packs[p.Ref.ID] = foundPack{p.Ref, info.Size}
		r.keyMu.Unlock()
	}
	return true, nil
}

func (r *rebuilder) loadRoot(ctx context.Context, key string) (*root, error) {
	b, err := blob.Get(ctx, r.d.store, key, maxRecordLen)
	if err != nil {
		return nil, err
	}
	realm, keyID, err := recordKeys(rootMagic, b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	keys, err := r.keysOf(ctx, realm, keyID)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	body, err := keys.openRecord(rootMagic, key, b)
	if err != nil {
		return nil, err
	}
	return decodeRoot(body)
}
