package images

import (
	"context"
	"errors"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
)

// errUnchanged ends a change that has nothing to do; nothing is written.
var errUnchanged = errors.New("unchanged")

// detail is what the audit table keeps of a change besides who and what.
type detail = map[string]string

// change runs one change of an image in a transaction: the row is locked, fn
// checks and changes now, the version goes up, the audit table gets its line.
// fn may run more than once. It returns the image as it is afterwards; changed
// is false where fn returned errUnchanged.
func (s *Service) change(ctx context.Context, p kuva.Principal, id, action string,
	fn func(tx *catalog.Tx, now *catalog.Image, member *kuva.Member) (detail, error),
) (img *catalog.Image, changed bool, err error) {
	err = s.update(ctx, func(tx *catalog.Tx) error {
		was, member, err := s.see(ctx, tx, catalog.LockImage, p, id)
		if err != nil {
			return err
		}
		img, changed = was.Copy(), false
		d, err := fn(tx, img, member)
		if errors.Is(err, errUnchanged) {
			img = was
			return nil
		}
		if err != nil {
			return err
		}
		changed = true
		img.Version++
		if err := catalog.UpdateImage(ctx, tx, was, img); err != nil {
			return err
		}
		return s.audit(ctx, tx, p, action, id, audit.OK, d)
	})
	return img, changed, err
}

// audit writes one line of the audit table.
func (s *Service) audit(ctx context.Context, tx *catalog.Tx, p kuva.Principal, action, object, result string, d detail) error {
	e := audit.By(p, s.now(), action, object)
	e.Result, e.Detail = result, d
	_, err := audit.Write(ctx, tx, e)
	return err
}
