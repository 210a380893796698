package images

import (
	"context"
	"errors"

	"kuva"
	"kuva/disk"
	"kuva/disk/formats"
	"kuva/internal/catalog"
	"kuva/internal/depot"
)

// An object of kind disk holds what a guest sees. Its image shows one file of
// it, the native view: size, MD5 and hash are those of that file, which is
// computed whenever it is read and has the same bytes for ever.

// Natives are the formats that an image may show of a disk, the default first.
var Natives = []string{"qcow2", "raw"}

// nativeOf is the format that an image shows of a disk whose file was of
// another one. A disc stays a disc.
func nativeOf(wanted, source string) string {
	switch {
	case source == "iso":
		return "iso"
	case wanted == "":
		return Natives[0]
	}
	return wanted
}

// layNative lays an object of kind disk out as its image shows it; nil where
// that is the object as it is.
func (s *Service) layNative(ctx context.Context, o *depot.Object, format string) (disk.View, error) {
	if plainFormat(format) {
		return nil, nil
	}
	f := formats.ByName(format)
	if f == nil || f.Layout == nil {
		return nil, errors.New("no native view is laid out as " + format)
	}
	d, err := s.surveys.of(ctx, o.Ref(), &objectDisk{Cached: o.Cached(ctx, viewChunks), o: o})
	if err != nil {
		return nil, err
	}
	v, err := f.Layout(ctx, d, disk.Settings{})
	return v, viewError(err)
}

// diskFill is content that becomes an object of kind disk.
type diskFill struct {
	native string // that the image shows
	// pour writes the disk.
	pour func(ctx context.Context, w *depot.Writer) error
	// properties are facts of what was sent.
	properties map[string]string
	// source is the upload whose bytes are to be hashed as they were sent, ""
	// where the disk's are.
	source string
	sent   bool // there is a file that was sent
}

// into makes the intake one of a disk.
func (d *diskFill) into(in *intake) {
	in.content, in.pour, in.blocks = nil, d.pour, false
	in.kind, in.layout = depot.KindDisk, uint32(versions[d.native]) //nolint:gosec // small numbers of ours
	in.algo, in.digests = "", nil
}

// seeDisk looks at a disk that was written.
func (s *Service) seeDisk(ctx context.Context, img *catalog.Image, o *depot.Object, native string, q kuva.Quota) (seen, error) {
	out := seen{virtual: o.Size(), size: o.Size()}
	if q.VirtualSize >= 0 && out.virtual > q.VirtualSize {
		return out, kuva.E(kuva.CodeTooLarge, "image.virtual_too_large", "size", out.virtual, "limit", q.VirtualSize)
	}
	v, err := s.layNative(ctx, o, native)
	if err != nil {
		return out, err
	}
	if v != nil {
		out.size = v.Size()
	}
	if q.ImageSize >= 0 && out.size > q.ImageSize {
		return out, kuva.E(kuva.CodeTooLarge, "image.too_large", "limit", q.ImageSize)
	}
	as := img.Copy()
	as.DiskFormat, as.ContainerFormat = native, containerBare
	return out, s.refuseFindings(ctx, as, o)
}

// showDisk makes the image show its disk, whose view may be larger than what
// was sent and reserved.
func (f *filling) showDisk(ctx context.Context, tx *catalog.Tx, now *catalog.Image, c committed) error {
	now.DiskFormat, now.ContainerFormat, now.Size = f.disk.native, containerBare, c.size
	for name, value := range f.disk.properties {
		setProperty(now, name, value)
	}
	if more := c.size - f.held; more > 0 {
		q, err := catalog.GetQuota(ctx, tx, now.Owner, f.s.cfg.DefaultQuota)
		if err != nil {
			return err
		}
		use, err := catalog.LockUse(ctx, tx, now.Owner)
		if err != nil {
			return err
		}
		if _, err := grant(q, use, more, 0); err != nil {
			return err
		}
	}
	return f.s.hashLater(ctx, tx, now, hashing{Sent: f.disk.sent, Upload: f.disk.source}, f.p.RequestID)
}

// appendAll refers to a whole object.
func appendAll(o *depot.Object) func(context.Context, *depot.Writer) error {
	return func(_ context.Context, w *depot.Writer) error { return w.Append(o, 0, o.Size()) }
}

// contentKey names an image's content, before its hash is known too.
func contentKey(img *catalog.Image) string {
	if img.HashValue != "" {
		return img.HashValue
	}
	return objectKey(img.Object)
}

// keepReport lets a report follow content that gets another key.
func keepReport(ctx context.Context, tx *catalog.Tx, was, now *catalog.Image) error {
	if contentKey(was) == contentKey(now) {
		return nil
	}
	r, ok, err := catalog.GetReport(ctx, tx, was.ID)
	if err != nil || !ok || r.Hash != contentKey(was) {
		return err
	}
	r.Hash = contentKey(now)
	return catalog.PutReport(ctx, tx, r)
}
