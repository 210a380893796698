package upload

import (
	"context"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/images"
	"kuva/internal/policy"
)

// OpenDisk reads an upload whose parts are stretches of a disk, in any order,
// for a call that brings one, and the project whose realm takes them. Errors are
// those of Receive before its first byte.
func (s *Service) OpenDisk(ctx context.Context, p kuva.Principal, id string) (u *catalog.Upload, realm string, err error) {
	err = s.db.View(ctx, func(tx *catalog.Tx) error {
		if u, err = s.see(ctx, tx, catalog.GetUpload, p, id); err != nil {
			return err
		}
		if err := s.takesDisk(p, u); err != nil {
			return err
		}
		img, err := catalog.GetImage(ctx, tx, u.Image)
		if err == nil {
			realm = images.RealmOf(img)
		}
		return err
	})
	return u, realm, err
}

// takesDisk refuses uploads that take no parts of a disk, or none of p's.
func (s *Service) takesDisk(p kuva.Principal, u *catalog.Upload) error {
	switch {
	case !s.cfg.Policy.Allows(p, policy.UploadImage, on(u)):
		return kuva.E(kuva.CodeForbidden, "image.reader")
	case !u.Options.Disk:
		return kuva.E(kuva.CodeConflict, "upload.protocol", "protocol", u.Protocol)
	}
	return waits(u)
}

// AddPart notes a part of a disk, in the transaction that makes its object
// exist, and makes the upload hold data bytes more. It reports false where that
// very stretch is there already. CodeConflict where a part of another extent is
// in its place.
func (s *Service) AddPart(ctx context.Context, tx *catalog.Tx, p kuva.Principal, id string, part catalog.UploadPart, data int64) (bool, error) {
	u, _, err := s.lock(ctx, tx, p, id)
	if err != nil {
		return false, err
	}
	if err := s.takesDisk(p, u); err != nil {
		return false, err
	}
	other, found, err := catalog.PartAround(ctx, tx, id, part.Off, part.Size)
	switch {
	case err != nil:
		return false, err
	case found && (other.Off != part.Off || other.Size != part.Size):
		return false, kuva.E(kuva.CodeConflict, "upload.part_overlaps", "offset", other.Off, "size", other.Size)
	case found:
		return false, nil
	case u.Parts >= MaxParts:
		return false, kuva.E(kuva.CodeTooLarge, "upload.too_many_parts", "limit", MaxParts)
	}
	_, held, _, err := catalog.HeldBytes(ctx, tx, holder(u))
	if err != nil {
		return false, err
	}
	if _, err := s.images.HoldBytes(ctx, tx, holder(u), held+data, held+data); err != nil {
		return false, err
	}
	if err := catalog.InsertPart(ctx, tx, id, part); err != nil {
		return false, err
	}
	u.Received, u.Parts, u.UpdatedAt = u.Received+part.Size, u.Parts+1, s.now()
	u.ExpiresAt = u.UpdatedAt.Add(s.cfg.Expire)
	return true, catalog.UpdateUpload(ctx, tx, u)
}

// FinishDisk begins the job that makes the image of an upload of a disk, where
// complete, which is asked in the transaction, finds nothing missing. One that
// is being finished, or is done, is returned as it is.
func (s *Service) FinishDisk(ctx context.Context, p kuva.Principal, id string, complete func(tx *catalog.Tx, u *catalog.Upload) error) (u *catalog.Upload, err error) {
	err = s.db.Update(ctx, func(tx *catalog.Tx) error {
		if u, _, err = s.lock(ctx, tx, p, id); err != nil {
			return err
		}
		if u.Options.Disk && (u.State == catalog.UploadFinishing || u.State == catalog.UploadDone) {
			return nil
		}
		if err := s.takesDisk(p, u); err != nil {
			return err
		}
		if err := complete(tx, u); err != nil {
			return err
		}
		_, err = s.images.FinishUpload(ctx, tx, p, u)
		return err
	})
	return u, err
}
