package upload

import (
	"context"
	"errors"
	"slices"
	"strings"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/images"
)

// What Upload.Concat says: an upload that is to be joined with others, and one
// that others were joined to.
const (
	concatPartial = "partial"
	concatFinal   = "final"
)

// MaxPartials is how many uploads can be joined to one.
const MaxPartials = 256

// Join makes one upload of several partial ones, whose parts it takes over in
// this order, and begins to finish it. Only complete ones of the caller's own
// project can be joined, each once; for others it is as if they were not there.
// The same call again, as after a lost answer, returns what the first one made.
func (s *Service) Join(ctx context.Context, p kuva.Principal, ids []string, b Begin) (*catalog.Upload, error) {
	if err := joinable(ids); err != nil {
		return nil, err
	}
	if u, err := s.joined(ctx, p, ids); err != nil || u != nil {
		return u, err
	}
	w, err := parse(b.Metadata)
	if err != nil {
		return nil, err
	}
	u := s.record(p, b)
	u.Concat, u.Made, u.Name, u.Options = concatFinal, w.image == "", w.new.Name, w.options
	u.Options.Partials = ids
	var parts []*catalog.Upload
	_, err = s.images.HoldImage(ctx, p, images.Hold{
		Image: w.image, New: w.new,
		First: func(tx *catalog.Tx, img *catalog.Image) error {
			var err error
			if parts, err = s.complete(ctx, tx, p, ids); err != nil {
				return err
			}
			u.Size, u.Parts = 0, 0
			for _, x := range parts {
				u.Size += x.Size
				u.Parts += x.Parts
				if _, err := catalog.DropReservation(ctx, tx, x.ID); err != nil {
					return err
				}
			}
			if u.Parts > MaxParts {
				return kuva.E(kuva.CodeTooLarge, "upload.too_many_parts", "limit", MaxParts)
			}
			return s.fits(ctx, tx, u, img)
		},
		Then: func(tx *catalog.Tx, img *catalog.Image) error {
			of(u, img)
			u.State, u.Received, u.Job, u.Writer = catalog.UploadOpen, u.Size, "", 0
			if _, err := s.images.HoldBytes(ctx, tx, u.Image, u.Size, u.Size); err != nil {
				return err
			}
			if err := s.insert(ctx, tx, u); err != nil {
				return err
			}
			if err := s.take(ctx, tx, u, parts); err != nil {
				return err
			}
			_, err := s.images.FinishUpload(ctx, tx, p, u)
			return err
		},
	})
	if err != nil {
		return nil, err
	}
	return u, nil
}

func joinable(ids []string) error {
	if len(ids) == 0 || len(ids) > MaxPartials {
		return kuva.E(kuva.CodeInvalid, "upload.concat_count", "limit", MaxPartials)
	}
	seen := map[string]bool{}
	for _, id := range ids {
		if seen[id] {
			return kuva.E(kuva.CodeInvalid, "upload.concat_twice", "id", shown(id))
		}
		seen[id] = true
	}
	return nil
}

// joined finds the upload that the same call made before.
func (s *Service) joined(ctx context.Context, p kuva.Principal, ids []string) (u *catalog.Upload, err error) {
	err = s.db.View(ctx, func(tx *catalog.Tx) error {
		u = nil
		x, err := s.own(ctx, tx, catalog.GetUpload, p, ids[0])
		if err != nil || x.Options.Final == "" {
			return err
		}
		f, err := catalog.GetUpload(ctx, tx, x.Options.Final)
		if errors.Is(err, catalog.ErrNoUpload) {
			return nil
		}
		if err == nil && slices.Equal(f.Options.Partials, ids) {
			u = f
		}
		return err
	})
	return u, err
}

// own reads an upload of the caller's own project: an administrator joins no
// others' either.
func (s *Service) own(ctx context.Context, tx *catalog.Tx, get func(context.Context, *catalog.Tx, string) (*catalog.Upload, error), p kuva.Principal, id string) (*catalog.Upload, error) {
	u, err := s.see(ctx, tx, get, p, id)
	if err == nil && (u.Project != p.ProjectID || !s.mayReceive(p, u)) {
		err = notFound(shown(id))
	}
	return u, err
}

// complete locks the partial uploads, in the order of their ids, and refuses
// what cannot be joined.
func (s *Service) complete(ctx context.Context, tx *catalog.Tx, p kuva.Principal, ids []string) ([]*catalog.Upload, error) {
	found := map[string]*catalog.Upload{}
	for _, id := range slices.SortedFunc(slices.Values(ids), strings.Compare) {
		u, err := s.own(ctx, tx, catalog.LockUpload, p, id)
		if err != nil {
			return nil, err
		}
		switch {
		case u.Concat != concatPartial:
			return nil, kuva.E(kuva.CodeInvalid, "upload.not_partial", "id", id)
		case u.State == catalog.UploadDone:
			return nil, kuva.E(kuva.CodeConflict, "upload.joined", "id", id)
		case u.State != catalog.UploadOpen:
			return nil, errGone()
		case u.Size < 0 || u.Received != u.Size:
			return nil, kuva.E(kuva.CodeConflict, "upload.unfinished", "id", id)
		}
		found[id] = u
	}
	out := make([]*catalog.Upload, len(ids))
	for i, id := range ids {
		out[i] = found[id]
	}
	return out, nil
}

// take moves the parts of partial uploads into the final one.
func (s *Service) take(ctx context.Context, tx *catalog.Tx, u *catalog.Upload, partials []*catalog.Upload) error {
	at, off := s.now(), int64(0)
	for _, x := range partials {
		if err := catalog.MoveParts(ctx, tx, x.ID, u.ID, off); err != nil {
			return err
		}
		off += x.Size
		x.State, x.Options.Final, x.Writer = catalog.UploadDone, u.ID, 0
		x.UpdatedAt, x.ExpiresAt = at, at.Add(images.UploadKept)
		if err := catalog.UpdateUpload(ctx, tx, x); err != nil {
			return err
		}
	}
	return nil
}
