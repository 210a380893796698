package upload

import (
	"context"
	"time"

	"github.com/google/uuid"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/images"
	"kuva/internal/policy"
)

// idLen is the length of an upload's id, which the service makes: a UUID.
const idLen = 36

// Begin is what a sender says of an upload that begins.
type Begin struct {
	Protocol string
	// Size is how many bytes are to come, below 0 where that is said later. Of
	// a disk it is the guest's disk's, of which only what comes takes space.
	Size int64
	// Disk says that the parts are what a guest sees.
	Disk bool
	// Partial makes one of several uploads that are joined later. It has no
	// image, and its metadata mean nothing.
	Partial  bool
	Metadata map[string]string
}

// Begin begins an upload. It makes the image that the metadata describe, or
// takes the queued one that they name; that is uploading from then on and holds
// the space that was announced. CodeInvalid for metadata that cannot be,
// CodeTooLarge for a size that no image may have, CodeQuota where there is no
// room, or where the project has too many uploads open.
func (s *Service) Begin(ctx context.Context, p kuva.Principal, b Begin) (*catalog.Upload, error) {
	u := s.record(p, b)
	if b.Partial {
		return s.beginPartial(ctx, p, u)
	}
	w, err := parse(b.Metadata)
	if err != nil {
		return nil, err
	}
	if w.options.Terms, err = s.accepted(p, b.Metadata[KeyTerms], u.CreatedAt); err != nil {
		return nil, err
	}
	u.Options, u.Made, u.Name = w.options, w.image == "", w.new.Name
	u.Options.Disk = b.Disk
	_, err = s.images.HoldImage(ctx, p, images.Hold{
		Image: w.image, New: w.new, Size: max(reserved(u), 0),
		First: func(tx *catalog.Tx, img *catalog.Image) error { return s.fits(ctx, tx, u, img) },
		Then: func(tx *catalog.Tx, img *catalog.Image) error {
			of(u, img)
			return s.insert(ctx, tx, u)
		},
	})
	if err != nil {
		return nil, err
	}
	if u.Size != 0 || b.Disk {
		return u, nil
	}
	return s.Receive(ctx, p, u.ID, Chunk{Length: -1}) // all of nothing is there
}

// Terms are those of the site, nil where it has none.
func (s *Service) Terms() *Terms { return s.cfg.Terms }

// accepted says who accepted which terms and when, "" where the site has none.
func (s *Service) accepted(p kuva.Principal, version string, at time.Time) (string, error) {
	t := s.cfg.Terms
	if t == nil {
		return "", nil
	}
	if version != t.Version {
		return "", kuva.E(kuva.CodeInvalid, "upload.terms", "version", t.Version)
	}
	return t.Version + " " + p.UserID + " " + at.UTC().Format(time.RFC3339), nil
}

// record is a new upload's row.
func (s *Service) record(p kuva.Principal, b Begin) *catalog.Upload {
	at := s.now()
	u := &catalog.Upload{
		ID: uuid.NewString(), Protocol: b.Protocol, Project: p.ProjectID, Principal: p, Size: max(b.Size, -1),
		State: catalog.UploadOpen, Metadata: b.Metadata, CreatedAt: at, UpdatedAt: at, ExpiresAt: at.Add(s.cfg.Expire),
	}
	if b.Partial {
		u.Concat = concatPartial
	}
	return u
}

// reserved is how many bytes an upload holds from its beginning on.
func reserved(u *catalog.Upload) int64 {
	if u.Options.Disk {
		return 0
	}
	return u.Size
}

// of ties an upload to its image.
func of(u *catalog.Upload, img *catalog.Image) {
	u.Image, u.Project, u.Name = img.ID, img.Owner, img.Name
	if !u.Made {
		u.Options.DiskFormat, u.Options.ContainerFormat = first(img.DiskFormat, u.Options.DiskFormat), first(img.ContainerFormat, u.Options.ContainerFormat)
	}
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// fits refuses sizes that the image's content may not have. img may be nil.
func (s *Service) fits(ctx context.Context, tx *catalog.Tx, u *catalog.Upload, img *catalog.Image) error {
	most, err := s.most(ctx, tx, u, img)
	if err == nil && most >= 0 && u.Size > most {
		err = kuva.E(kuva.CodeTooLarge, "image.too_large", "limit", most)
	}
	return err
}

// most is how many bytes an upload may have, below 0 any number.
func (s *Service) most(ctx context.Context, tx *catalog.Tx, u *catalog.Upload, img *catalog.Image) (int64, error) {
	project, format, container := u.Project, u.Options.DiskFormat, u.Options.ContainerFormat
	if img != nil {
		project, format, container = img.Owner, first(img.DiskFormat, format), first(img.ContainerFormat, container)
	}
	if u.Options.Disk {
		return s.images.MostOfDisk(ctx, tx, project)
	}
	return s.images.MostBytes(ctx, tx, project, format, container)
}

// insert adds an upload where the project may have one more. The row of its use
// is locked.
func (s *Service) insert(ctx context.Context, tx *catalog.Tx, u *catalog.Upload) error {
	n, err := catalog.CountUploads(ctx, tx, u.Project)
	if err != nil {
		return err
	}
	if n >= s.cfg.Open {
		return kuva.E(kuva.CodeQuota, "upload.too_many", "limit", s.cfg.Open)
	}
	return catalog.InsertUpload(ctx, tx, u)
}

func (s *Service) beginPartial(ctx context.Context, p kuva.Principal, u *catalog.Upload) (*catalog.Upload, error) {
	switch {
	case p.ProjectID == "":
		return nil, kuva.E(kuva.CodeForbidden, "image.no_project")
	case !s.cfg.Policy.Allows(p, policy.UploadImage, on(u)):
		return nil, kuva.E(kuva.CodeForbidden, "image.reader")
	}
	if err := bounded(u.Metadata); err != nil {
		return nil, err
	}
	if err := s.images.MayBegin(p, time.Now()); err != nil {
		return nil, err
	}
	err := s.db.Update(ctx, func(tx *catalog.Tx) error {
		if err := s.fits(ctx, tx, u, nil); err != nil {
			return err
		}
		if err := s.images.HoldFor(ctx, tx, u.Project, u.ID, max(u.Size, 0)); err != nil {
			return err
		}
		return s.insert(ctx, tx, u)
	})
	if err != nil {
		return nil, err
	}
	return u, nil
}
