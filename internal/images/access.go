package images

import (
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"kuva"
	"kuva/internal/blob"
	"kuva/internal/catalog"
	"kuva/internal/depot"
)

// view and update run fn in a transaction; errors come back coded.
func (s *Service) view(ctx context.Context, fn func(tx *catalog.Tx) error) error {
	return coded(ctx, s.db.View(ctx, fn))
}

func (s *Service) update(ctx context.Context, fn func(tx *catalog.Tx) error) error {
	return coded(ctx, s.db.Update(ctx, fn))
}

// coded gives errors of the floors below their code. What has none stays
// internal.
func coded(ctx context.Context, err error) error {
	var e *kuva.Error
	switch {
	case err == nil, errors.As(err, &e):
		return err
	case errors.Is(err, catalog.ErrFull), errors.Is(err, blob.ErrFull):
		return kuva.E(kuva.CodeStorageFull, "image.storage_full").Because(err)
	case errors.Is(err, depot.ErrReadOnly):
		return kuva.E(kuva.CodeReadOnly, "image.read_only").Because(err)
	case errors.Is(err, depot.ErrDamaged), errors.Is(err, catalog.ErrDamaged):
		return kuva.E(kuva.CodeDamaged, "image.damaged").Because(err)
	case errors.Is(err, depot.ErrGone), errors.Is(err, depot.ErrNotFound):
		return kuva.E(kuva.CodeGone, "image.gone").Because(err)
	case errors.Is(err, depot.ErrLeaseLost):
		return kuva.E(kuva.CodeUnavailable, "image.lease_lost").Because(err)
	case errors.Is(err, catalog.ErrUnavailable):
		return kuva.E(kuva.CodeUnavailable, "image.unavailable").Because(err)
	case ctx.Err() != nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return kuva.E(kuva.CodeCancelled, "image.cancelled").Because(err)
	}
	return err
}

func notFound(id string) error { return kuva.E(kuva.CodeNotFound, "image.not_found", "id", id) }

// plainText reports whether s can be stored as it is on both engines.
func plainText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

type getImage func(ctx context.Context, tx *catalog.Tx, id string) (*catalog.Image, error)

// see returns an image that p may see, with p's membership where sight comes
// from it. get is catalog.GetImage or catalog.LockImage.
func see(ctx context.Context, tx *catalog.Tx, get getImage, p kuva.Principal, id string) (*catalog.Image, *kuva.Member, error) {
	if id == "" || len(id) > MaxName || !plainText(id) {
		return nil, nil, notFound(id)
	}
	img, err := get(ctx, tx, id)
	if errors.Is(err, catalog.ErrNoImage) || err == nil && img.Deleted() {
		return nil, nil, notFound(id)
	}
	if err != nil {
		return nil, nil, err
	}
	if kuva.CanSee(p, &img.Image, nil) {
		return img, nil, nil
	}
	if p.ProjectID == "" || img.Visibility != kuva.VisibilityShared {
		return nil, nil, notFound(id)
	}
	member, err := catalog.GetMember(ctx, tx, id, p.ProjectID)
	if errors.Is(err, catalog.ErrNoMember) || err == nil && !kuva.CanSee(p, &img.Image, member) {
		return nil, nil, notFound(id)
	}
	return img, member, err
}

// owns reports whether p acts for the project that owns img.
func owns(p kuva.Principal, img *catalog.Image) bool {
	return p.Admin || p.ProjectID != "" && p.ProjectID == img.Owner
}

// mayChange refuses whoever may see an image but not change it.
func mayChange(p kuva.Principal, img *catalog.Image) error {
	switch {
	case !owns(p, img) && img.Visibility == kuva.VisibilityPublic:
		return kuva.E(kuva.CodeForbidden, "image.platform_read_only")
	case !owns(p, img):
		return kuva.E(kuva.CodeForbidden, "image.not_owner")
	case !p.CanWrite():
		return kuva.E(kuva.CodeForbidden, "image.reader")
	}
	return nil
}

// restricted reports whether img was made from an image that forbids to
// share, export or copy what is made from it.
func restricted(img *catalog.Image) bool {
	return img.Properties[kuva.CreateImageAllowed] == "false" && (img.BaseImage != "" || img.InstanceUUID != "")
}
