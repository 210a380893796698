package images

import (
	"context"
	"errors"
	"io"
	"sync"

	"kuva"
	"kuva/disk"
	"kuva/internal/catalog"
	"kuva/internal/depot"
	"kuva/internal/policy"
)

// Content is the content of one image, opened for reading. It holds nothing
// that needs closing but the readers that it gave.
type Content struct {
	// Image as it was when its content was opened: Size, MD5, HashAlgo and
	// HashValue are those of the bytes here.
	Image *kuva.Image

	object  *depot.Object
	native  disk.View // of an object of kind disk, nil where that is what is shown
	count   func()
	surveys *surveys
}

// Download opens the content of an image. Whoever sees an image may read it,
// a deactivated one only an admin (CodeForbidden). An image without content
// yields a Content without data.
func (s *Service) Download(ctx context.Context, p kuva.Principal, id string) (*Content, error) {
	// The content may move to another realm between the two look-ups.
	for attempt := 0; ; attempt++ {
		var img *catalog.Image
		var member *kuva.Member
		err := s.view(ctx, func(tx *catalog.Tx) (err error) {
			img, member, err = s.see(ctx, tx, catalog.GetImage, p, id)
			return err
		})
		if err != nil {
			return nil, err
		}
		if err := s.mayRead(p, img, member); err != nil {
			return nil, err
		}
		c := &Content{Image: &img.Image, count: sync.OnceFunc(func() { s.countRead(id) }), surveys: &s.surveys}
		if img.Object == 0 || !img.Status.HasContent() {
			return c, nil
		}
		if err = s.openContent(ctx, c, img.Object); err == nil {
			return c, nil
		}
		if !errors.Is(err, depot.ErrNotFound) || attempt == 2 {
			return nil, coded(ctx, err)
		}
	}
}

// openContent opens the object that the image of c has.
func (s *Service) openContent(ctx context.Context, c *Content, object int64) (err error) {
	c.object, err = s.depot.OpenObject(ctx, object)
	if err == nil && c.object.Kind() == depot.KindDisk {
		c.native, err = s.layNative(ctx, c.object, c.Image.DiskFormat)
	}
	return err
}

// mayRead refuses whoever sees an image and may not read its content.
func (s *Service) mayRead(p kuva.Principal, img *catalog.Image, member *kuva.Member) error {
	if !s.allows(p, policy.DownloadImage, img, member) {
		return refused(policy.DownloadImage)
	}
	if img.Status == kuva.StatusDeactivated && !s.allows(p, policy.DownloadDeactivated, img, member) {
		return kuva.E(kuva.CodeForbidden, "image.deactivated")
	}
	return nil
}

// HasData reports whether the image has content.
func (c *Content) HasData() bool { return c.object != nil }

// Size is the length of the content in bytes, 0 where there is none.
func (c *Content) Size() int64 {
	if c.object == nil {
		return 0
	}
	if c.native != nil {
		return c.native.Size()
	}
	return c.object.Size()
}

// key names the content in ETags. That of a disk must not change when its
// digests become known.
func (c *Content) key() string {
	if c.object.Kind() == depot.KindDisk {
		return objectKey(c.object.Ref())
	}
	return c.Image.HashValue
}

// open reads what the image shows.
func (c *Content) open(ctx context.Context, off, n int64) io.ReadCloser {
	if c.native != nil {
		return newViewReader(ctx, c.native, off, n)
	}
	return &contentReader{Reader: c.object.Reader(ctx, off, n), ctx: ctx}
}

// Reader reads n bytes from off, in order, every byte verified before it is
// handed out. Its errors are coded: CodeGone where the image was deleted
// meanwhile, CodeDamaged where stored bytes failed their check. The first
// Reader counts as a read of the image. CodeRange where the content has no
// such bytes. Close it.
func (c *Content) Reader(ctx context.Context, off, n int64) (io.ReadCloser, error) {
	if off < 0 || n < 0 || off > c.Size() || n > c.Size()-off || c.object == nil {
		return nil, kuva.E(kuva.CodeRange, "image.range", "size", c.Size())
	}
	c.count()
	return c.open(ctx, off, n), nil
}

// contentReader gives the errors of the depot their codes.
type contentReader struct {
	*depot.Reader
	ctx context.Context //nolint:containedctx // of the one download
}

func (r *contentReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = coded(r.ctx, err)
	}
	return n, err
}

// WriteTo implements io.WriterTo, by which nothing is copied.
func (r *contentReader) WriteTo(w io.Writer) (int64, error) {
	n, err := r.Reader.WriteTo(w)
	if err != nil {
		err = coded(r.ctx, err)
	}
	return n, err
}
