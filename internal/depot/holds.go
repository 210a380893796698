package depot

import (
	"context"

	"kuva/internal/catalog"
)

// LeaseAlive reports whether the writer with this lease may still commit. A
// true answer holds until the transaction ends on SQLite; on PostgreSQL the
// lease may end meanwhile, a false answer holds for ever on both.
func (d *Depot) LeaseAlive(ctx context.Context, tx *catalog.Tx, lease int64) (bool, error) {
	var n int
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM lease WHERE id = $1 AND state = 'live'`, lease).Scan(&n)
	return n > 0, err
}

// Withhold takes an object's chunks out of what later writers find, in the
// transaction that withdraws its image from the public: what hooks of the
// platform offer must be readable by all (DEPOT-PROTOCOL: realms).
func (d *Depot) Withhold(ctx context.Context, tx *catalog.Tx, ref int64) error {
	_, err := tx.Exec(ctx, `DELETE FROM hook WHERE object = $1`, ref)
	return err
}
