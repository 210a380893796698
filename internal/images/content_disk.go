package images

import (
	"context"

	"kuva"
	"kuva/disk"
	"kuva/internal/depot"
)

// Whole gives an image's content as one disk: what a guest sees of an object
// of kind disk, else the bytes as they were sent, with their holes; exact tells
// which. CodeConflict where there is no content.
func (c *Content) Whole(ctx context.Context) (d disk.Disk, exact bool, err error) {
	if c.object == nil {
		return nil, false, kuva.E(kuva.CodeConflict, "image.not_normal", "status", c.Image.Status)
	}
	return &objectDisk{Cached: c.object.Cached(ctx, viewChunks), o: c.object}, c.object.Kind() != depot.KindDisk, nil
}
