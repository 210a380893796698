package images

import (
	"context"

	"kuva"
	"kuva/internal/catalog"
)

// Show returns one image. An image that p may not see is CodeNotFound, as one
// that does not exist.
func (s *Service) Show(ctx context.Context, p kuva.Principal, id string) (*kuva.Image, error) {
	var img *catalog.Image
	err := s.view(ctx, func(tx *catalog.Tx) (err error) {
		img, _, err = s.see(ctx, tx, catalog.GetImage, p, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &img.Image, nil
}
