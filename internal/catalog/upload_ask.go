package catalog

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"time"
)

// UploadAsk is what a part of an upload is made of, in the words of the ask that
// its sender made.
type UploadAsk struct {
	N       int64 // the sender's number of the part
	Off     int64
	Size    int64
	Digest  string // of the ask, in hexadecimal
	Ask     []byte // nil once durable
	Lacking []byte // a bit for each chunk that is to be sent
	Durable bool
}

// ErrNoAsk means that nothing was asked for a part, or so long ago that it was
// forgotten.
var ErrNoAsk = errors.New("no such ask")

const askColumns = `n, off, size, digest, ask, lacking, durable`

// PutAsk keeps an ask in the place of the part's former one, and of those of the
// upload whose parts are not durable the newest so many.
func PutAsk(ctx context.Context, tx *Tx, upload string, a *UploadAsk, at time.Time, newest int) error {
	_, err := tx.Exec(ctx, `INSERT INTO upload_ask (upload, n, off, size, digest, ask, lacking, durable, asked_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (upload, n) DO UPDATE SET off = excluded.off, size = excluded.size, digest = excluded.digest, ask = excluded.ask,
		lacking = excluded.lacking, durable = excluded.durable, asked_at = excluded.asked_at`,
		upload, a.N, a.Off, a.Size, a.Digest, base64.StdEncoding.EncodeToString(a.Ask), base64.StdEncoding.EncodeToString(a.Lacking), a.Durable, toMicro(at))
	if err != nil || a.Durable {
		return err
	}
	_, err = tx.Exec(ctx, `DELETE FROM upload_ask WHERE upload = $1 AND n IN
		(SELECT n FROM upload_ask WHERE upload = $1 AND NOT durable ORDER BY asked_at DESC, n DESC LIMIT 1000 OFFSET $2)`, upload, newest)
	return err
}

// GetAsk reads the ask of a part; ErrNoAsk.
func GetAsk(ctx context.Context, tx *Tx, upload string, n int64) (*UploadAsk, error) {
	all, err := manyAsks(ctx, tx, `SELECT `+askColumns+` FROM upload_ask WHERE upload = $1 AND n = $2`, upload, n)
	if err == nil && len(all) == 0 {
		err = ErrNoAsk
	}
	if err != nil {
		return nil, err
	}
	return &all[0], nil
}

// DurableAsks lists at most limit asks of an upload whose parts are durable and
// begin at off or behind it, in order.
func DurableAsks(ctx context.Context, tx *Tx, upload string, off int64, limit int) ([]UploadAsk, error) {
	return manyAsks(ctx, tx, `SELECT `+askColumns+` FROM upload_ask WHERE upload = $1 AND durable AND off >= $2 ORDER BY off LIMIT $3`, upload, off, limit)
}

func manyAsks(ctx context.Context, tx *Tx, query string, args ...any) ([]UploadAsk, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []UploadAsk
	for rows.Next() {
		var a UploadAsk
		var ask, lacking string
		if err := rows.Scan(&a.N, &a.Off, &a.Size, &a.Digest, &ask, &lacking, &a.Durable); err != nil {
			return nil, err
		}
		if a.Ask, err = base64.StdEncoding.DecodeString(ask); err != nil {
			return nil, err
		}
		if a.Lacking, err = base64.StdEncoding.DecodeString(lacking); err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, rows.Err()
}

// PartAround finds a part of an upload that holds any of the size bytes from
// off; false where there is none.
func PartAround(ctx context.Context, tx *Tx, upload string, off, size int64) (UploadPart, bool, error) {
	var p UploadPart
	err := tx.QueryRow(ctx, `SELECT off, size, object FROM upload_part WHERE upload = $1 AND off < $2 ORDER BY off DESC LIMIT 1`, upload, off+size).Scan(&p.Off, &p.Size, &p.Object)
	if errors.Is(err, sql.ErrNoRows) {
		return p, false, nil
	}
	return p, err == nil && p.Off+p.Size > off, err
}
