package depot

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"kuva/internal/catalog"
)

// sweep is step 6: it deletes the blobs of recipes and packs that were
// condemned in an earlier epoch. What is condemned never comes back, so a
// stale leader can only repeat a delete. Recipes go before packs.
func (c *collector) sweep(ctx context.Context) error {
	for _, table := range []string{"recipe", "pack"} {
		if err := c.sweepTable(ctx, table); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) sweepTable(ctx context.Context, table string) error {
	query := `SELECT id, key, bytes FROM ` + table + ` WHERE state = 'condemned' AND condemned_epoch < $1 AND id > $2 ORDER BY id LIMIT $3`
	for after := int64(0); ; {
		var doomed []rowKey
		err := c.view(ctx, func(tx *catalog.Tx) error {
			if c.dry == nil {
				if err := c.leads(ctx)(tx); err != nil {
					return err
				}
			}
			var err error
			doomed, err = queryKeys(ctx, tx, query, c.epoch, after, 4*batch)
			return err
		})
		if err != nil || len(doomed) == 0 {
			return err
		}
		after = doomed[len(doomed)-1].id
		gone, err := c.deleteBlobs(ctx, doomed)
		if err != nil {
			return err
		}
		err = c.update(ctx, func(tx *catalog.Tx) error {
			for _, k := range gone {
				_, err := tx.Exec(ctx, `UPDATE `+table+` SET state = 'deleted' WHERE id = $1 AND state = 'condemned'`, k.id)
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, k := range gone {
			c.rep.Deleted.add(k.bytes)
			c.rep.plan("delete %s, %s", k.key, byteSize(k.bytes))
		}
		if err := c.d.at("gc.swept"); err != nil {
			return err
		}
	}
}

// deleteBlobs deletes some at a time and returns those that went. A failure is
// kept for the end of the cycle: the next one tries those again.
func (c *collector) deleteBlobs(ctx context.Context, doomed []rowKey) ([]rowKey, error) {
	if c.opt.DryRun {
		return doomed, nil
	}
	const aside = 8
	failed := make([]error, len(doomed))
	for part := range slices.Chunk(indexes(len(doomed)), aside) {
		if err := c.d.at("gc.delete"); err != nil {
			return nil, err
		}
		var wg sync.WaitGroup
		for _, i := range part {
			wg.Go(func() { failed[i] = c.d.store.Delete(ctx, doomed[i].key) })
		}
		wg.Wait()
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var gone []rowKey
	for i, k := range doomed {
		if failed[i] == nil {
			gone = append(gone, k)
		} else if c.failed == nil {
			c.failed = fmt.Errorf("delete %s: %w", k.key, failed[i])
		}
	}
	return gone, nil
}

func indexes(n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = i
	}
	return s
}

func queryKeys(ctx context.Context, tx *catalog.Tx, query string, args ...any) ([]rowKey, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var keys []rowKey
	for rows.Next() {
		var k rowKey
		if err := rows.Scan(&k.id, &k.key, &k.bytes); err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, rows.Err()
}
