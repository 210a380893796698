package images

import (
	"context"
	"errors"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
	"kuva/internal/depot"
	"kuva/internal/policy"
)

// Copy makes a new image of the caller's project with the content and the
// attributes of one that it may read; name "" is the source's. Where both lie
// in one realm nothing is read or written but the record, and the copy is
// active at once. Else a job seals the content anew: the copy is importing
// until then. CodeConflict for a source that is not active.
func (s *Service) Copy(ctx context.Context, p kuva.Principal, id, name string) (*kuva.Image, error) {
	var img *catalog.Image
	err := s.update(ctx, func(tx *catalog.Tx) error {
		src, err := s.copyable(ctx, tx, p, id)
		if err != nil {
			return err
		}
		n := NewImage{
			Name: name, DiskFormat: src.DiskFormat, ContainerFormat: src.ContainerFormat, MinDisk: src.MinDisk, MinRAM: src.MinRAM,
			Tags: src.Tags, Properties: src.Properties,
		}
		if name == "" {
			n.Name = src.Name
		}
		m, err := s.newImage(p, n)
		if err != nil {
			return err
		}
		m.BaseImage = src.ID
		img = m
		return s.copyInto(ctx, tx, p, src, m)
	})
	if err != nil {
		return nil, err
	}
	if err := s.putCard(ctx, img.ID); err != nil {
		return nil, err
	}
	return &img.Image, nil
}

// copyable reads an image whose content p may take over.
func (s *Service) copyable(ctx context.Context, tx *catalog.Tx, p kuva.Principal, id string) (*catalog.Image, error) {
	src, member, err := s.see(ctx, tx, catalog.LockImage, p, id)
	if err != nil {
		return nil, err
	}
	switch {
	case !s.allows(p, policy.DownloadImage, src, member):
		return nil, refused(policy.DownloadImage)
	case src.Status != kuva.StatusActive || src.Object == 0:
		return nil, kuva.E(kuva.CodeConflict, "image.not_normal", "status", src.Status)
	case restricted(src):
		return nil, kuva.E(kuva.CodeForbidden, "image.restricted")
	}
	return src, nil
}

func (s *Service) copyInto(ctx context.Context, tx *catalog.Tx, p kuva.Principal, src, m *catalog.Image) error {
	q, err := catalog.GetQuota(ctx, tx, m.Owner, s.cfg.DefaultQuota)
	if err != nil {
		return err
	}
	if q.ImageSize >= 0 && src.Size > q.ImageSize {
		return kuva.E(kuva.CodeTooLarge, "image.too_large", "limit", q.ImageSize)
	}
	here := src.Realm == realmFor(m)
	if here {
		err = s.depot.UseObject(ctx, tx, src.Object)
		if errors.Is(err, depot.ErrNotFound) {
			err = kuva.E(kuva.CodeGone, "image.gone")
		}
		if err != nil {
			return err
		}
		m.Status, m.Origin = kuva.StatusActive, kuva.OriginCopied
		m.Object, m.Realm, m.Size, m.VirtualSize = src.Object, src.Realm, src.Size, src.VirtualSize
		m.MD5, m.HashAlgo, m.HashValue = src.MD5, src.HashAlgo, src.HashValue
	} else {
		m.Status = kuva.StatusImporting
	}
	if err := s.insert(ctx, tx, p, m, false); err != nil {
		return err
	}
	if here {
		use, err := catalog.LockUse(ctx, tx, m.Owner)
		if err != nil {
			return err
		}
		if _, err := grant(q, use, m.Size, 0); err != nil {
			return err
		}
		if err := catalog.AddUse(ctx, tx, m.Owner, catalog.QuotaUse{Bytes: m.Size}); err != nil {
			return err
		}
		if m.HashValue == "" { // a disk's that are not known yet
			if err := s.hashLater(ctx, tx, m, hashing{}, p.RequestID); err != nil {
				return err
			}
		}
		if err := s.copyReport(ctx, tx, src, m, p.RequestID); err != nil {
			return err
		}
	} else if err := s.copyLater(ctx, tx, p, src, m); err != nil {
		return err
	}
	return s.audit(ctx, tx, p, "image.copy", m.ID, audit.OK, detail{"source": src.ID, "name": m.Name})
}

// copyLater stages the source's object for an import of its own.
func (s *Service) copyLater(ctx context.Context, tx *catalog.Tx, p kuva.Principal, src, m *catalog.Image) error {
	if err := s.holdUpload(ctx, tx, m, src.Size); err != nil {
		return err
	}
	if err := s.keepStaged(ctx, tx, m.ID, src.Object, src.Size); err != nil {
		return err
	}
	var hash []Digest
	if src.HashValue != "" {
		var err error
		if hash, err = hexDigest(src.HashAlgo, src.HashValue); err != nil {
			return err
		}
	}
	_, err := s.enqueueImport(ctx, tx, m, jobImport, plan{Method: methodCopy, Principal: p, Digests: hash})
	return err
}
