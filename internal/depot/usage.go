package depot

import (
	"context"
	"database/sql"
	"errors"

	"kuva/internal/catalog"
)

// Usage is what an object or a project costs, in sealed bytes.
type Usage struct {
	// Stored is all that it refers to, each chunk once.
	Stored int64
	// Unique is what the store would give back if it were deleted, give or
	// take UniqueError.
	Unique      int64
	UniqueError int64
}

// usageSegments is how many segments one Usage may read to tell bytes that
// are shared from those that only lie in a shared pack.
const (
	usageSegments = 256
	comparePacks  = 512
)

// Usage says what a live object costs. The edges of its packs give bounds;
// within a fixed budget of reading, segments are compared to narrow them.
// ErrNotFound if there is no such object.
func (d *Depot) Usage(ctx context.Context, ref int64) (Usage, error) {
	var u Usage
	var key string
	var edges []edge
	err := d.db.View(ctx, func(tx *catalog.Tx) error {
		var recipe int64
		err := tx.QueryRow(ctx, `SELECT o.stored, o.recipe, r.key FROM object o JOIN recipe r ON r.id = o.recipe
			WHERE o.ref = $1 AND o.state = 'live'`, ref).Scan(&u.Stored, &recipe, &key)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		edges, err = queryEdges(ctx, tx, recipe)
		return err
	})
	if err != nil {
		return Usage{}, err
	}
	c := comparison{d: d, left: usageSegments, known: map[int64]bounds{}}
	var low, high int64
	shared := map[int64]bool{} // at most comparePacks; the others keep the bounds of their edges
	for _, e := range edges {
		if e.others == 0 {
			low, high = low+e.bytes, high+e.bytes
		} else if len(shared) < comparePacks {
			shared[e.pack] = true
		}
	}
	if len(shared) > 0 {
		if err := c.run(ctx, ref, key, shared); err != nil {
			return Usage{}, err
		}
	}
	for _, e := range edges {
		if e.others == 0 {
			continue
		}
		b, ok := c.known[e.pack]
		if !ok {
			b = bounds{max(0, e.bytes-e.others), e.bytes}
		}
		low, high = low+b.low, high+b.high
	}
	u.Unique = (low + high) / 2
	u.UniqueError = (high - low + 1) / 2
	return u, nil
}

// UsageOfProject says what a project's objects cost. Chunks that only the
// project's own objects share are unique to it; projects share nothing but
// what the platform published.
func (d *Depot) UsageOfProject(ctx context.Context, project string) (Usage, error) {
	var u Usage
	err := d.db.View(ctx, func(tx *catalog.Tx) error {
		u = Usage{}
		var realm int64
		err := tx.QueryRow(ctx, `SELECT id FROM realm WHERE project = $1`, project).Scan(&realm)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		err = tx.QueryRow(ctx, `SELECT COALESCE(SUM(stored), 0) FROM object WHERE realm = $1 AND state = 'live'`, realm).Scan(&u.Stored)
		if err != nil {
			return err
		}
		var low, high int64
		err = tx.QueryRow(ctx, `SELECT COALESCE(SUM(most), 0), COALESCE(SUM(CASE WHEN total < bytes THEN total ELSE bytes END), 0)
			FROM (SELECT p.id, p.bytes AS bytes, MAX(e.bytes) AS most, SUM(e.bytes) AS total
				FROM pack p JOIN recipe_pack e ON e.pack = p.id WHERE p.realm = $1 GROUP BY p.id, p.bytes) t`, realm).Scan(&low, &high)
		u.Unique, u.UniqueError = (low+high)/2, (high-low+1)/2
		return err
	})
	return u, err
}

// edge is one recipe's edge to a pack.
type edge struct {
	pack   int64
	bytes  int64
	others int64 // bytes of all other recipes' edges to the pack
}

func queryEdges(ctx context.Context, tx *catalog.Tx, recipe int64) ([]edge, error) {
	rows, err := tx.Query(ctx, `SELECT e.pack, e.bytes, (SELECT COALESCE(SUM(x.bytes), 0) FROM recipe_pack x WHERE x.pack = e.pack AND x.recipe <> e.recipe)
		FROM recipe_pack e WHERE e.recipe = $1`, recipe)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var edges []edge
	for rows.Next() {
		var e edge
		if err := rows.Scan(&e.pack, &e.bytes, &e.others); err != nil {
			return nil, err
		}
		edges = append(edges, e)
	}
	return edges, rows.Err()
}

type bounds struct{ low, high int64 }

// comparison reads segments to narrow bounds.
type comparison struct {
	d     *Depot
	left  int // segments that may still be read
	known map[int64]bounds
}

// run compares an object with those that share packs with it, the largest
// edges first. Where all sharers of a pack fit the budget its bounds meet;
// where some do, what they share lowers the upper one.
func (c *comparison) run(ctx context.Context, ref int64, key string, shared map[int64]bool) error {
	own := map[Loc]struct{}{}
	if ok, err := c.read(ctx, key, shared, func(loc Loc) { own[loc] = struct{}{} }); !ok || err != nil {
		return err
	}
	size := map[int64]int64{}
	for loc := range own {
		size[loc.Pack.ID] += int64(loc.Sealed)
	}
	open := map[int64]bool{} // packs with a sharer that was not read
	others, err := c.sharers(ctx, ref, shared)
	if err != nil {
		return err
	}
	for _, o := range others {
		read := false
		if c.left > 0 {
			if read, err = c.read(ctx, o.key, shared, func(loc Loc) { delete(own, loc) }); err != nil {
				return err
			}
		}
		if !read {
			for _, p := range o.packs {
				open[p] = true
			}
		}
	}
	rest := map[int64]int64{}
	for loc := range own {
		rest[loc.Pack.ID] += int64(loc.Sealed)
	}
	for p := range shared {
		b := bounds{rest[p], rest[p]}
		if open[p] {
			b.low = 0
		}
		c.known[p] = b
	}
	return nil
}

// read calls f for each chunk of a recipe in the packs. It reports false where
// the budget did not last or the recipe is gone.
func (c *comparison) read(ctx context.Context, key string, packs map[int64]bool, f func(Loc)) (bool, error) {
	r, err := c.d.loadRoot(ctx, key)
	if isNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if len(r.Segments) > c.left {
		return false, nil
	}
	c.left -= len(r.Segments)
	for _, s := range r.Segments {
		if packs[s.Loc.Pack.ID] {
			f(s.Loc)
		}
		seg, err := c.d.loadSegment(ctx, s)
		if isNotFound(err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		for _, e := range seg.entries {
			if e.Hole == 0 && packs[e.Loc.Pack.ID] {
				f(e.Loc)
			}
		}
	}
	return true, nil
}

type sharer struct {
	recipe int64
	key    string
	packs  []int64
}

// sharers lists other recipes with edges to the packs, largest edges first.
func (c *comparison) sharers(ctx context.Context, ref int64, packs map[int64]bool) ([]*sharer, error) {
	args := []any{ref}
	for p := range packs {
		args = append(args, p)
	}
	var all []*sharer
	err := c.d.db.View(ctx, func(tx *catalog.Tx) error {
		all = nil
		rows, err := tx.Query(ctx, `SELECT r.id, r.key, e.pack FROM recipe_pack e JOIN recipe r ON r.id = e.recipe
			WHERE r.object <> $1 AND e.pack IN (`+placeholders(2, len(args)-1)+`) ORDER BY e.bytes DESC`, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		at := map[int64]*sharer{}
		for rows.Next() {
			var recipe, pack int64
			var key string
			if err := rows.Scan(&recipe, &key, &pack); err != nil {
				return err
			}
			if at[recipe] == nil {
				at[recipe] = &sharer{recipe: recipe, key: key}
				all = append(all, at[recipe])
			}
			at[recipe].packs = append(at[recipe].packs, pack)
		}
		return rows.Err()
	})
	return all, err
}
