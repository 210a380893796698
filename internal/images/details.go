package images

import (
	"context"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/policy"
)

// maxLineage bounds how far back Details follows what an image was made from.
const maxLineage = 32

// Details is what is known of an image beyond its record.
type Details struct {
	Image *kuva.Image
	// Owned tells whether the caller acts for the owner. Only then is what
	// follows told: it says something about the owner, or about what else
	// lies in the store.
	Owned bool
	// Lineage is what the image was made from, what that was made from, and so
	// on, as far as the images still exist and the caller may see them.
	Lineage []*kuva.Image
	// Cost is nil where the image has no content, or none that can be read.
	Cost *Cost
}

// Details returns all that p may know of an image; CodeNotFound as Show.
func (s *Service) Details(ctx context.Context, p kuva.Principal, id string) (*Details, error) {
	var d *Details
	err := s.view(ctx, func(tx *catalog.Tx) error {
		img, _, err := s.see(ctx, tx, catalog.GetImage, p, id)
		if err != nil {
			return err
		}
		d = &Details{Image: &img.Image, Owned: s.allows(p, policy.GetCost, img, nil)}
		if !d.Owned {
			return nil
		}
		once := map[string]bool{img.ID: true}
		for at := img; at.BaseImage != "" && !once[at.BaseImage] && len(d.Lineage) < maxLineage; {
			once[at.BaseImage] = true
			if at, _, err = s.see(ctx, tx, catalog.GetImage, p, at.BaseImage); err != nil {
				break
			}
			d.Lineage = append(d.Lineage, &at.Image)
		}
		if kuva.CodeOf(err) == kuva.CodeNotFound {
			return nil
		}
		return err
	})
	if err != nil || !d.Owned || d.Image.Object == 0 {
		return d, err
	}
	cost, err := s.Cost(ctx, p, id)
	switch kuva.CodeOf(err) {
	case "":
		d.Cost = &cost
	case kuva.CodeDamaged, kuva.CodeGone: // the rest is worth telling all the more
	default:
		return nil, err
	}
	return d, nil
}
