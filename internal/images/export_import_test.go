package images

import (
	"context"

	"kuva/internal/catalog"
)

// DropOutgrown is what the job of that name does.
func (s *Service) DropOutgrown(ctx context.Context) error {
	return s.letGo(ctx, func(context.Context, *catalog.Tx) error { return nil })
}
