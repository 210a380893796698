package ask

import (
	"context"
	"crypto/subtle"
	"encoding/hex"

	"kuva"
	"kuva/api"
	"kuva/chunk"
	"kuva/internal/catalog"
)

// MostPage is how many parts one page may have.
const MostPage = 1000

// Parts lists at most limit durable parts of an upload that begin at off or
// behind it, in order, with the digests of their asks.
func (s *Service) Parts(ctx context.Context, p kuva.Principal, id string, off int64, limit int) (out []catalog.UploadAsk, err error) {
	if _, err := s.cfg.Uploads.Get(ctx, p, id); err != nil {
		return nil, err
	}
	err = s.cfg.DB.View(ctx, func(tx *catalog.Tx) error {
		out, err = catalog.DurableAsks(ctx, tx, id, off, min(limit, MostPage))
		return err
	})
	return out, err
}

// Finish begins the job that makes the image, where all of the disk is there and
// digest is api.FinishDigest of its parts. CodeConflict where a part is missing,
// CodeDigest where they are others than the sender thinks. It may be called
// again.
func (s *Service) Finish(ctx context.Context, p kuva.Principal, id, digest string) (*catalog.Upload, error) {
	want, err := hex.DecodeString(digest)
	if err != nil || len(want) != len(chunk.Hash{}) {
		return nil, kuva.E(kuva.CodeInvalid, "upload.finish_digest")
	}
	return s.cfg.Uploads.FinishDisk(ctx, p, id, func(tx *catalog.Tx, u *catalog.Upload) error {
		var sums []chunk.Hash
		next := int64(0)
		for next < u.Size {
			parts, err := catalog.DurableAsks(ctx, tx, id, next, MostPage)
			if err != nil {
				return err
			}
			if len(parts) == 0 || parts[0].Off != next {
				return kuva.E(kuva.CodeConflict, "upload.part_missing", "offset", next)
			}
			for _, a := range parts {
				if a.Off != next {
					break
				}
				sum, err := hex.DecodeString(a.Digest)
				if err != nil {
					return err
				}
				sums, next = append(sums, chunk.Hash(sum)), next+a.Size
			}
		}
		if got := api.FinishDigest(sums); subtle.ConstantTimeCompare(got[:], want) != 1 {
			return kuva.E(kuva.CodeDigest, "upload.finish_differs", "digest", got.String())
		}
		return nil
	})
}
