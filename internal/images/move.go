package images

import (
	"context"
	"errors"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
	"kuva/internal/policy"
)

// Offer is an image that its owner wants to give to another project, with what
// that project may know of it before it accepts.
type Offer struct {
	catalog.Offer
	Name                        string
	Size                        int64 // -1 where there is no content
	DiskFormat, ContainerFormat string
}

// OfferMove offers an image to another project, in the place of an offer that
// was made before. It belongs to its owner until that project accepts.
// CodeForbidden for public images, which are the platform's, and those that
// may not be given away; CodeConflict while the image is not active,
// deactivated or queued.
func (s *Service) OfferMove(ctx context.Context, p kuva.Principal, id, project string) (o Offer, err error) {
	if err := checkName("project", project); err != nil {
		return o, err
	}
	err = s.update(ctx, func(tx *catalog.Tx) error {
		img, _, err := s.see(ctx, tx, catalog.LockImage, p, id)
		if err != nil {
			return err
		}
		if err := s.allow(p, policy.OfferMove, img); err != nil {
			return err
		}
		if err := movable(img); err != nil {
			return err
		}
		if project == img.Owner {
			return kuva.E(kuva.CodeInvalid, "image.move_self")
		}
		o = offerOf(catalog.Offer{Image: img.ID, Owner: img.Owner, Project: project, CreatedAt: s.now()}, img)
		if err := catalog.PutOffer(ctx, tx, o.Offer); err != nil {
			return err
		}
		return s.audit(ctx, tx, p, "image.offer", id, audit.OK, detail{"project": project})
	})
	return o, err
}

func offerOf(o catalog.Offer, img *catalog.Image) Offer {
	return Offer{Offer: o, Name: img.Name, Size: img.Size, DiskFormat: img.DiskFormat, ContainerFormat: img.ContainerFormat}
}

// movable refuses images that cannot change hands now.
func movable(img *catalog.Image) error {
	switch {
	case restricted(img):
		return kuva.E(kuva.CodeForbidden, "image.restricted")
	case img.Visibility == kuva.VisibilityPublic:
		return kuva.E(kuva.CodeForbidden, "image.move_public")
	case img.Status != kuva.StatusActive && img.Status != kuva.StatusDeactivated && img.Status != kuva.StatusQueued:
		return kuva.E(kuva.CodeConflict, "image.not_normal", "status", img.Status)
	}
	return nil
}

// MoveOffer returns an image's offer to its owner and to the project that it is
// offered to; CodeNotFound for everybody else, and where there is none.
func (s *Service) MoveOffer(ctx context.Context, p kuva.Principal, id string) (o Offer, err error) {
	err = s.view(ctx, func(tx *catalog.Tx) error {
		o, _, err = s.offered(ctx, tx, catalog.GetImage, p, id)
		return err
	})
	return o, err
}

// MoveOffers lists at most limit offers by and to the caller's project, all of
// them for administrators, after the image given. next is the image to go on
// after, "" where there are no more.
func (s *Service) MoveOffers(ctx context.Context, p kuva.Principal, after string, limit int) (out []Offer, next string, err error) {
	if p.ProjectID == "" && !p.Admin {
		return nil, "", kuva.E(kuva.CodeForbidden, "image.foreign_project")
	}
	if !plainText(after) {
		return nil, "", kuva.E(kuva.CodeInvalid, "image.bad_marker")
	}
	project := p.ProjectID
	if p.Admin {
		project = ""
	}
	limit = min(max(limit, 1), MaxPage)
	err = s.view(ctx, func(tx *catalog.Tx) error {
		list, err := catalog.ListOffers(ctx, tx, project, after, limit)
		if err != nil {
			return err
		}
		out, next = make([]Offer, 0, len(list)), ""
		if len(list) == limit {
			next = list[limit-1].Image
		}
		for _, o := range list {
			img, err := catalog.GetImage(ctx, tx, o.Image)
			if err != nil {
				return err
			}
			if img.Owner == o.Owner && !img.Deleted() && s.toldOf(p, o, img) {
				out = append(out, offerOf(o, img))
			}
		}
		return nil
	})
	return out, next, err
}

// offered reads an offer that p made or may answer. One whose image changed
// hands since is none.
func (s *Service) offered(ctx context.Context, tx *catalog.Tx, get getImage, p kuva.Principal, id string) (Offer, *catalog.Image, error) {
	none := kuva.E(kuva.CodeNotFound, "image.no_offer", "id", id)
	if id == "" || len(id) > MaxName || !plainText(id) {
		return Offer{}, nil, none
	}
	img, err := get(ctx, tx, id)
	if errors.Is(err, catalog.ErrNoImage) {
		return Offer{}, nil, none
	}
	if err != nil {
		return Offer{}, nil, err
	}
	o, ok, err := catalog.GetOffer(ctx, tx, id)
	if err != nil {
		return Offer{}, nil, err
	}
	if !ok || img.Deleted() || img.Owner != o.Owner || !s.toldOf(p, o, img) {
		return Offer{}, nil, none
	}
	return offerOf(o, img), img, nil
}

// toldOf asks whether p may know of an offer. One without a project is told of
// nothing.
func (s *Service) toldOf(p kuva.Principal, o catalog.Offer, img *catalog.Image) bool {
	return s.allows(p, policy.GetMove, img, &kuva.Member{Project: o.Project})
}

// mayAnswer asks whether p may end an offer, for its owner or for the project
// that it was made to.
func (s *Service) mayAnswer(p kuva.Principal, rule policy.Rule, o Offer, img *catalog.Image) error {
	if s.allows(p, rule, img, &kuva.Member{Project: o.Project}) {
		return nil
	}
	if !p.CanWrite() {
		return kuva.E(kuva.CodeForbidden, "image.reader")
	}
	return kuva.E(kuva.CodeForbidden, "image.move_answer")
}

// EndMove takes an offer back, or refuses it.
func (s *Service) EndMove(ctx context.Context, p kuva.Principal, id string) error {
	return s.update(ctx, func(tx *catalog.Tx) error {
		o, img, err := s.offered(ctx, tx, catalog.LockImage, p, id)
		if err != nil {
			return err
		}
		if err := s.mayAnswer(p, policy.EndMove, o, img); err != nil {
			return err
		}
		if err := catalog.DropOffer(ctx, tx, id); err != nil {
			return err
		}
		return s.audit(ctx, tx, p, "image.offer_end", id, audit.OK, detail{"project": o.Project})
	})
}

// AcceptMove makes an image the accepting project's: it is charged to it from
// now on, what it was shared with is forgotten, and a job seals its content
// anew in the project's own realm. Until that is done it is read from where it
// was. CodeQuota where the project has no room for it.
func (s *Service) AcceptMove(ctx context.Context, p kuva.Principal, id string) (*kuva.Image, error) {
	var img *catalog.Image
	err := s.update(ctx, func(tx *catalog.Tx) error {
		o, was, err := s.offered(ctx, tx, catalog.LockImage, p, id)
		if err != nil {
			return err
		}
		if err := s.mayAnswer(p, policy.AcceptMove, o, was); err != nil {
			return err
		}
		if err := movable(was); err != nil {
			return err
		}
		now := was.Copy()
		now.Owner, now.UpdatedAt = o.Project, s.now()
		if now.Visibility == kuva.VisibilityCommunity {
			now.Visibility = kuva.VisibilityShared // the new owner never said that all may see it
		}
		now.Version++
		q, err := catalog.GetQuota(ctx, tx, now.Owner, s.cfg.DefaultQuota)
		if err != nil {
			return err
		}
		if err := s.handOver(ctx, tx, q, was, now); err != nil {
			return err
		}
		if err := s.settleRealm(ctx, tx, p, now); err != nil {
			return err
		}
		if err := catalog.DeleteMembers(ctx, tx, id); err != nil {
			return err
		}
		if err := catalog.DropOffer(ctx, tx, id); err != nil {
			return err
		}
		if err := catalog.SetLocation(ctx, tx, id, ""); err != nil { // the old owner's to know
			return err
		}
		if err := catalog.DropLinksOf(ctx, tx, id); err != nil { // the old owner's to give
			return err
		}
		if err := catalog.UpdateImage(ctx, tx, was, now); err != nil {
			return err
		}
		img = now
		return s.audit(ctx, tx, p, "image.accept", id, audit.OK, detail{"from": was.Owner, "to": now.Owner})
	})
	if err != nil {
		return nil, err
	}
	if err := s.putCard(ctx, id); err != nil {
		return nil, err
	}
	return &img.Image, nil
}
