package depot

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"kuva/internal/blob"
	"kuva/internal/catalog"
)

// listKeys reads the wrapped keys. Of several wrappings of one key the newest
// counts.
func (r *rebuilder) listKeys(ctx context.Context) error {
	for info, err := range r.d.store.List(ctx, "key/") {
		if err != nil {
			return fmt.Errorf("list keys: %w", err)
		}
		b, err := blob.Get(ctx, r.d.store, info.Key, 64<<10)
		if err != nil {
			return fmt.Errorf("%s: %w", info.Key, err)
		}
		var k keyBlob
		if err := json.Unmarshal(b, &k); err != nil || keyKey(k.Realm, k.KeyID, k.WrapNo) != info.Key {
			r.rep.Damaged = append(r.rep.Damaged, fmt.Sprintf("%s: %v", info.Key, ErrDamaged))
			continue
		}
		id := [2]int64{k.Realm, k.KeyID}
		if was, ok := r.keyBlobs[id]; ok && was.WrapNo > k.WrapNo {
			continue
		}
		r.keyBlobs[id] = k
	}
	return nil
}

// keysOf opens a key that a record names. What fails is remembered: needKeys
// says so once, by the name of the wrapping key.
func (r *rebuilder) keysOf(ctx context.Context, realm, keyID int64) (*realmKeys, error) {
	id := [2]int64{realm, keyID}
	r.keyMu.Lock()
	defer r.keyMu.Unlock()
	if k := r.d.realms.keys[id]; k != nil {
		return k, nil
	}
	if err := r.keyErrors[id]; err != nil {
		return nil, err
	}
	b, ok := r.keyBlobs[id]
	if !ok {
		return nil, fmt.Errorf("%w: the store has no key %d of realm %016x", ErrDamaged, keyID, realm)
	}
	k, err := r.d.unwrap(ctx, &b)
	if err != nil {
		if ctx.Err() == nil {
			err = fmt.Errorf("wrapping key %s of project %q: %w; put the key back and start over", b.WrappingKey, b.Project, err)
			r.keyErrors[id] = err
		}
		return nil, err
	}
	r.d.realms.keys[id] = k
	return k, nil
}

// needKeys fails where a key that sealed something cannot be opened: only
// keys that a blob names are asked for. Others are what a crash, or a race
// between two nodes, left behind.
func (r *rebuilder) needKeys() error {
	ids := slices.SortedFunc(maps.Keys(r.keyErrors), func(a, b [2]int64) int { return slices.Compare(a[:], b[:]) })
	if len(ids) > 0 {
		return r.keyErrors[ids[0]]
	}
	return nil
}

// insertRealms makes the rows of realms and keys. Of two realms for one
// project, which two nodes made at once, the one that sealed something stands.
func (r *rebuilder) insertRealms(ctx context.Context) error {
	stands := map[string]int64{}
	for id, k := range r.keyBlobs {
		if was, ok := stands[k.Project]; !ok || !r.used[was] && (r.used[id[0]] || id[0] < was) {
			stands[k.Project] = id[0]
		}
	}
	return r.d.db.Update(ctx, func(tx *catalog.Tx) error {
		r.rep.Realms = 0
		for id, k := range r.keyBlobs {
			if stands[k.Project] != id[0] {
				if r.used[id[0]] {
					return fmt.Errorf("project %q has two realms, %016x and %016x, and both sealed something", k.Project, id[0], stands[k.Project])
				}
				continue
			}
			if err := r.insertRealm(ctx, tx, k); err != nil {
				return err
			}
		}
		return nil
	})
}

func (r *rebuilder) insertRealm(ctx context.Context, tx *catalog.Tx, k keyBlob) error {
	n, err := tx.Exec(ctx, `INSERT INTO realm (id, kind, project, state, wrapping_key) VALUES ($1, $2, $3, 'active', $4) ON CONFLICT DO NOTHING`,
		k.Realm, k.Kind, k.Project, k.WrappingKey)
	if err != nil {
		return err
	}
	r.rep.Realms += n
	var known int64
	if err := tx.QueryRow(ctx, `SELECT id FROM realm WHERE project = $1`, k.Project).Scan(&known); err != nil {
		return err
	}
	if known != k.Realm {
		return errors.New("the database knows another realm of project " + k.Project)
	}
	_, err = tx.Exec(ctx, `INSERT INTO realm_key (realm, key_id, wrapped, wrap_no, state) VALUES ($1, $2, $3, $4, 'current')
		ON CONFLICT (realm, key_id) DO UPDATE SET wrapped = excluded.wrapped, wrap_no = excluded.wrap_no
		WHERE realm_key.wrap_no < excluded.wrap_no`, k.Realm, k.KeyID, base64.StdEncoding.EncodeToString(k.Wrapped), k.WrapNo)
	return err
}
