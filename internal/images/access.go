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
	"kuva/internal/policy"
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
// from it. get is catalog.GetImage or catalog.LockImage. The policy may hide
// more than kuva.CanSee does, and nothing less.
func (s *Service) see(ctx context.Context, tx *catalog.Tx, get getImage, p kuva.Principal, id string) (*catalog.Image, *kuva.Member, error) {
	img, member, err := sight(ctx, tx, get, p, id)
	if err == nil && !s.allows(p, policy.GetImage, img, member) {
		return nil, nil, notFound(id)
	}
	return img, member, err
}

func sight(ctx context.Context, tx *catalog.Tx, get getImage, p kuva.Principal, id string) (*catalog.Image, *kuva.Member, error) {
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

// target is an image as the policy is asked about it. member is the project
// that the question is about, nil where it is about none.
func target(img *catalog.Image, member *kuva.Member) policy.Target {
	t := policy.Target{Project: img.Owner, Visibility: img.Visibility, Status: img.Status, Protected: img.Protected}
	if member != nil {
		t.Member, t.MemberStatus = member.Project, member.Status
	}
	return t
}

// allows asks the policy.
func (s *Service) allows(p kuva.Principal, rule policy.Rule, img *catalog.Image, member *kuva.Member) bool {
	return s.cfg.Policy.Allows(p, rule, target(img, member))
}

// allow refuses whoever may see an image but not do this with it, in the words
// of the commonest reasons.
func (s *Service) allow(p kuva.Principal, rule policy.Rule, img *catalog.Image) error {
	switch {
	case s.allows(p, rule, img, nil):
		return nil
	case !owns(p, img) && img.Visibility == kuva.VisibilityPublic:
		return kuva.E(kuva.CodeForbidden, "image.platform_read_only")
	case !owns(p, img):
		return kuva.E(kuva.CodeForbidden, "image.not_owner")
	case !p.CanWrite():
		return kuva.E(kuva.CodeForbidden, "image.reader")
	}
	return refused(rule)
}

// mayShow refuses visibilities that p may not give an image.
func (s *Service) mayShow(p kuva.Principal, v kuva.Visibility, on policy.Target) error {
	switch {
	case v == kuva.VisibilityPublic && !s.cfg.Policy.Allows(p, policy.PublicizeImage, on):
		return kuva.E(kuva.CodeForbidden, "image.public_admin")
	case v == kuva.VisibilityCommunity && !s.cfg.Policy.Allows(p, policy.CommunitizeImage, on):
		return refused(policy.CommunitizeImage)
	}
	return nil
}

// refused says that the site's own rule is in the way.
func refused(rule policy.Rule) error {
	return kuva.E(kuva.CodeForbidden, "image.policy", "rule", string(rule))
}

// notOwner refuses what is the owner's to know.
func notOwner(p kuva.Principal, rule policy.Rule, img *catalog.Image) error {
	if owns(p, img) {
		return refused(rule)
	}
	return kuva.E(kuva.CodeForbidden, "image.not_owner")
}

// restricted reports whether img was made from an image that forbids to
// share, export or copy what is made from it.
func restricted(img *catalog.Image) bool {
	return img.Properties[kuva.CreateImageAllowed] == "false" && (img.BaseImage != "" || img.InstanceUUID != "")
}
