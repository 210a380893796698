package depot

import (
	"context"

	"kuva/internal/catalog"
)

// Totals is what the depot holds, by its ledger.
type Totals struct {
	Epoch   int64 // cycles of the collector, from 1
	Objects Tally // live objects, and the bytes that readers see
	Live    Tally // packs sealed or draining; bytes that objects refer to
	Garbage int64 // bytes in those packs that no object refers to
	Open    Tally // packs being written
	Waiting Tally // packs condemned, to be deleted in a later cycle
}

// Totals counts the ledger. It reads every pack's row: for people who look at
// a page, not for each call of a client.
func (d *Depot) Totals(ctx context.Context) (Totals, error) {
	var rep Report
	if err := (&collector{d: d, rep: &rep}).count(ctx); err != nil {
		return Totals{}, err
	}
	t := Totals{Live: rep.Live, Garbage: rep.Garbage, Open: rep.Open, Waiting: rep.Waiting}
	err := d.db.View(ctx, func(tx *catalog.Tx) error {
		if err := tx.QueryRow(ctx, `SELECT epoch FROM store WHERE id = 1`).Scan(&t.Epoch); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT COUNT(*), COALESCE(SUM(size), 0) FROM object WHERE state = 'live'`).Scan(&t.Objects.Count, &t.Objects.Bytes)
	})
	return t, err
}
