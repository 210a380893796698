package depot

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"kuva/internal/catalog"
)

// Lease kinds. A node's lease dies with its process; an upload's lease lives
// over restarts until its upload row is ended.
const (
	leaseNode       = "node"
	leaseUpload     = "upload"
	leaseCompaction = "compaction"
)

func (d *Depot) insertLease(ctx context.Context, tx *catalog.Tx, id int64, kind string) error {
	_, err := tx.Exec(ctx, `INSERT INTO lease (id, kind, node, beat, state, created) VALUES ($1, $2, $3, 0, 'live', $4)`,
		id, kind, d.cfg.Node, d.cfg.Now().UnixMicro())
	return err
}

// fence fails with ErrLeaseLost unless the lease lives. It also locks the
// lease's row until the transaction ends, so that nobody expires it meanwhile.
func fence(ctx context.Context, tx *catalog.Tx, lease int64) error {
	n, err := tx.Exec(ctx, `UPDATE lease SET beat = beat + 1 WHERE id = $1 AND state = 'live'`, lease)
	if err == nil && n != 1 {
		err = ErrLeaseLost
	}
	return err
}

// endLease moves a live lease to a final state, gives its packs up and puts
// them and its recipe before the collector. It reports false where the lease
// was not live any more.
func endLease(ctx context.Context, tx *catalog.Tx, lease int64, state string) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE lease SET state = $2 WHERE id = $1 AND state = 'live'`, lease, state)
	if err != nil || n == 0 {
		return false, err
	}
	return true, dropLeasePacks(ctx, tx, lease)
}

// EndUpload ends an upload's lease, whose beat means nothing: whoever keeps
// the upload calls it in the transaction that ends the upload's row.
func (d *Depot) EndUpload(ctx context.Context, tx *catalog.Tx, lease int64) error {
	_, err := endLease(ctx, tx, lease, "aborted")
	return err
}

func dropLeasePacks(ctx context.Context, tx *catalog.Tx, lease int64) error {
	_, err := tx.Exec(ctx, `INSERT INTO pack_check (pack) SELECT pack FROM lease_pack WHERE lease = $1
		ON CONFLICT (pack) DO UPDATE SET pack = excluded.pack`, lease) // not DO NOTHING: see condemnPack
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `DELETE FROM lease_pack WHERE lease = $1`, lease)
	return err
}

// expireOwn ends the leases that this node's former life left behind. They
// are fenced, so this is safe even if that life still breathes.
func (d *Depot) expireOwn(ctx context.Context) error {
	return d.db.Update(ctx, func(tx *catalog.Tx) error {
		ids, err := queryIDs(ctx, tx, `SELECT id FROM lease WHERE state = 'live' AND node = $1 AND kind <> 'upload' ORDER BY id`, d.cfg.Node)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if _, err := endLease(ctx, tx, id, "expired"); err != nil {
				return err
			}
		}
		return nil
	})
}

// lease1Pack is the guard rule: it raises the stamp of a sealed pack that is
// whole, and leases it. False means: store the chunk anew.
func lease1Pack(ctx context.Context, tx *catalog.Tx, lease, pack int64) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE pack SET stamp = stamp + 1 WHERE id = $1 AND state = 'sealed' AND NOT suspect`, pack)
	if err != nil || n == 0 {
		return false, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO lease_pack (lease, pack) VALUES ($1, $2) ON CONFLICT DO NOTHING`, lease, pack)
	return err == nil, err
}

// touch leases packs for a writer before it lets go of the plain bytes that
// they hold. It returns those that may be used. Packs go in id order, so that
// two writers never lock each other out.
func (d *Depot) touch(ctx context.Context, lease int64, packs []int64) (map[int64]bool, error) {
	slices.Sort(packs)
	var got map[int64]bool
	err := d.db.Update(ctx, func(tx *catalog.Tx) error {
		got = make(map[int64]bool, len(packs))
		if err := fence(ctx, tx, lease); err != nil {
			return err
		}
		for _, p := range packs {
			ok, err := lease1Pack(ctx, tx, lease, p)
			if err != nil {
				return err
			}
			if ok {
				got[p] = true
			}
		}
		return nil
	})
	return got, err
}

// announce makes the rows of packs that are about to be written, before the
// first byte of them goes to the store.
func (d *Depot) announce(ctx context.Context, lease int64, k *realmKeys, n int) ([]PackRef, error) {
	var refs []PackRef
	err := d.db.Update(ctx, func(tx *catalog.Tx) error {
		refs = refs[:0]
		if err := fence(ctx, tx, lease); err != nil {
			return err
		}
		var epoch int64
		if err := tx.QueryRow(ctx, `SELECT epoch FROM store WHERE id = 1`).Scan(&epoch); err != nil {
			return err
		}
		for range n {
			p := PackRef{Realm: k.realm, KeyID: k.keyID, Epoch: epoch, ID: catalog.NewID()}
			_, err := tx.Exec(ctx, `INSERT INTO pack (id, key, realm, key_id, state, stamp, epoch, condemned_epoch, bytes, chunks, lease, suspect)
				VALUES ($1, $2, $3, $4, 'open', 0, $5, 0, 0, 0, $6, $7)`, p.ID, p.Key(), p.Realm, p.KeyID, p.Epoch, lease, false)
			if err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `INSERT INTO lease_pack (lease, pack) VALUES ($1, $2)`, lease, p.ID); err != nil {
				return err
			}
			refs = append(refs, p)
		}
		return nil
	})
	return refs, err
}

// sealPack records that a pack is whole in the store.
func (d *Depot) sealPack(ctx context.Context, lease int64, p PackRef, bytes int64, chunks int) error {
	return d.db.Update(ctx, func(tx *catalog.Tx) error {
		if err := fence(ctx, tx, lease); err != nil {
			return err
		}
		n, err := tx.Exec(ctx, `UPDATE pack SET state = 'sealed', stamp = stamp + 1, bytes = $2, chunks = $3 WHERE id = $1 AND state = 'open'`,
			p.ID, bytes, chunks)
		if err == nil && n != 1 {
			err = ErrLeaseLost // condemned meanwhile
		}
		return err
	})
}

func queryIDs(ctx context.Context, tx *catalog.Tx, query string, args ...any) ([]int64, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// placeholders gives "$from, $from+1, …" for n arguments.
func placeholders(from, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "$%d", from+i)
	}
	return b.String()
}
