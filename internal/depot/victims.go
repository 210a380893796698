package depot

import (
	"context"
	"math/bits"

	"kuva/internal/catalog"
)

// victim is a pack to be rewritten.
type victim struct {
	ref   PackRef
	bytes int64 // of its chunks
	state string
	most  int64 // of one edge: so much lives, as far as edges tell
	sum   int64 // of all edges: so much may live
	maybe bool  // the edges overlap, so only reading tells
}

// Compaction takes packs of which less than half lives and that hold garbage
// worth the work (a 128th of a full pack: one chunk), those that it left half
// way, and tiny ones: mergeLeast of about the same size (within a factor
// of mergeTier) become one, so that each byte is copied a few times at most
// while small uploads pile up. Without the least amount it would never rest:
// rewriting one pack moves segments that name its chunks out of others, and
// where those are tiny that alone makes them sparse.
const (
	mergeLeast = 8
	mergeBits  = 3 // tiers of a factor of eight
	roundPacks = 16
)

// pickVictims chooses what one round rewrites: packs of one realm and key.
// Packs in tried have had their turn, and packs that a lease holds wait: the
// lease would keep the victim.
func (d *Depot) pickVictims(ctx context.Context, tried map[int64]bool) ([]victim, error) {
	var all []victim
	err := d.db.View(ctx, func(tx *catalog.Tx) error {
		all = all[:0]
		// What frames the chunks (header, index, trailer) is no garbage: the pack
		// of a tiny object is mostly frame, and would be rewritten for ever.
		rows, err := tx.Query(ctx, `SELECT p.id, p.realm, p.key_id, p.epoch, p.state, p.bytes - $2 - $3 * p.chunks, MAX(e.bytes), SUM(e.bytes)
			FROM pack p JOIN recipe_pack e ON e.pack = p.id JOIN realm m ON m.id = p.realm AND m.state = 'active'
			WHERE (p.state = 'draining' OR p.state = 'sealed' AND NOT EXISTS (SELECT 1 FROM lease_pack l WHERE l.pack = p.id)) AND NOT p.suspect
			GROUP BY p.id, p.realm, p.key_id, p.epoch, p.state, p.bytes, p.chunks
			HAVING p.state = 'draining' OR 2 * MAX(e.bytes) < p.bytes - $2 - $3 * p.chunks OR p.bytes < $1
			ORDER BY p.realm, p.key_id, p.epoch, p.id`, d.cfg.PackSize/4, packHeaderLen+trailerLen, packEntryLen)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var v victim
			if err := rows.Scan(&v.ref.ID, &v.ref.Realm, &v.ref.KeyID, &v.ref.Epoch, &v.state, &v.bytes, &v.most, &v.sum); err != nil {
				return err
			}
			if !tried[v.ref.ID] {
				all = append(all, v)
			}
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].ref.Realm == all[0].ref.Realm && all[n].ref.KeyID == all[0].ref.KeyID {
			n++
		}
		if chosen := d.choose(all[:n]); len(chosen) > 0 {
			return chosen, nil
		}
		all = all[n:]
	}
	return nil, nil
}

// choose takes the victims of one realm and key: the sparse ones, else a tier
// of tiny ones that is full.
func (d *Depot) choose(packs []victim) []victim {
	var sparse []victim
	tiers := map[int][]victim{}
	least := d.cfg.PackSize / 128
	for _, v := range packs {
		switch {
		case v.state == "draining", 2*v.sum < v.bytes && v.bytes-v.sum >= least:
			sparse = append(sparse, v)
		case 2*v.most < v.bytes && v.bytes-v.most >= least && !d.foundFull(v):
			v.maybe = true
			sparse = append(sparse, v)
		case v.bytes < d.cfg.PackSize/4:
			t := bits.Len64(uint64(v.bytes)) / mergeBits
			tiers[t] = append(tiers[t], v)
		}
		if len(sparse) == roundPacks {
			return sparse
		}
	}
	if len(sparse) > 0 {
		return sparse
	}
	for _, tier := range tiers {
		if len(tier) >= mergeLeast {
			return tier[:min(len(tier), 8*roundPacks)]
		}
	}
	return nil
}

// foundFull reports whether an earlier round read the pack's objects and found
// that more than half of it lives; the edges tell if that has changed.
func (d *Depot) foundFull(v victim) bool {
	d.keep.mu.Lock()
	defer d.keep.mu.Unlock()
	sum, ok := d.keep.packed[v.ref.ID]
	return ok && sum == v.sum
}

func (d *Depot) noteFull(v victim) {
	d.keep.mu.Lock()
	defer d.keep.mu.Unlock()
	if d.keep.packed == nil || len(d.keep.packed) > 1<<16 {
		d.keep.packed = map[int64]int64{}
	}
	d.keep.packed[v.ref.ID] = v.sum
}
