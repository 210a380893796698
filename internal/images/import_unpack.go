package images

import (
	"bufio"
	"context"
	"errors"
	"io"

	"kuva"
	"kuva/disk"
	"kuva/disk/wrap"
	"kuva/internal/catalog"
)

// containerCompressed is what clients call an image whose file is compressed
// as a whole.
const containerCompressed = "compressed"

// unpack takes one layer of gzip, xz, bzip2 or zstd off what is imported, where
// the site wants that; other content stays as it is. An image whose container
// was compressed is bare from then on, as with the reference's plugin.
func (s *Service) unpack(ctx context.Context, f *filling, content io.Reader, img *catalog.Image) (io.Reader, func(), *catalog.Image, error) {
	nothing := func() {}
	if !s.cfg.Import.Unpack || f.src.Origin == kuva.OriginCopied {
		return content, nothing, img, nil
	}
	b := bufio.NewReaderSize(content, 64<<10)
	head, err := b.Peek(wrap.HeadLen)
	if err != nil && err != io.EOF {
		return nil, nothing, nil, err
	}
	name := wrap.Detect(head)
	if name == "" {
		return b, nothing, img, nil
	}
	q, err := s.quotaOf(ctx, img.Owner)
	if err != nil {
		return nil, nothing, nil, err
	}
	r, err := wrap.NewReader(ctx, name, b, wrap.Limits{Output: unlimited(q.ImageSize)})
	if err != nil {
		return nil, nothing, nil, contentError(kuva.CodeUnsupported, err)
	}
	if img.ContainerFormat == containerCompressed {
		if img, err = s.makeBare(ctx, f); err != nil {
			return nil, nothing, nil, err
		}
	}
	f.src.Size = -1
	return unpacking{r}, func() { _ = r.Close() }, img, nil
}

// unlimited is one byte more than an image may have, so that what is too large
// is told by the sink; below 0 there is no limit.
func unlimited(most int64) int64 {
	if most < 0 {
		return -1
	}
	return most + 1
}

func (s *Service) makeBare(ctx context.Context, f *filling) (img *catalog.Image, err error) {
	err = s.update(ctx, func(tx *catalog.Tx) error {
		was, err := f.claimed(ctx, tx, catalog.LockImage)
		if err != nil {
			return err
		}
		img = was.Copy()
		img.ContainerFormat, img.UpdatedAt = containerBare, s.now()
		img.Version++
		return catalog.UpdateImage(ctx, tx, was, img)
	})
	return img, err
}

// unpacking gives what is wrong with a stream its code.
type unpacking struct{ io.Reader }

func (u unpacking) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	var refused *disk.Refused
	var malformed *disk.Malformed
	if errors.As(err, &refused) || errors.As(err, &malformed) {
		err = contentError(kuva.CodeUnsupported, err)
	}
	return n, err
}
