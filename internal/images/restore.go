package images

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
	"kuva/internal/depot"
)

// CompareCard says how the newest card of an image differs from its row, which
// has the card's version; nil where they agree. For depot.Verify.
func (s *Service) CompareCard(ctx context.Context, tx *catalog.Tx, c depot.Card) error {
	m, err := catalog.GetImage(ctx, tx, c.Image)
	if err != nil {
		return err
	}
	members, err := catalog.ListMembers(ctx, tx, c.Image)
	if err != nil {
		return err
	}
	row, err := cardOf(m, members)
	if err != nil {
		return err
	}
	var a, b map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(row.Record, &a), json.Unmarshal(c.Record, &b)); err != nil {
		return err
	}
	for name, value := range a {
		if string(b[name]) != string(value) {
			return fmt.Errorf("%s differs between database and card", name)
		}
		delete(b, name)
	}
	for name := range b {
		return fmt.Errorf("%s is on the card and not in the database", name)
	}
	return nil
}

// RestoreCard makes the row of an image as its newest card says, or takes the
// card's where the row is older; a row that is newer stays. obj is nil where
// the content was not found whole: then the image comes back queued, and can
// be filled again. It is the depot.Restore of a rebuild and may be called
// again for the same card.
func (s *Service) RestoreCard(ctx context.Context, tx *catalog.Tx, c depot.Card, obj *depot.ObjectInfo) error {
	was, err := catalog.LockImage(ctx, tx, c.Image)
	known := err == nil
	switch {
	case err != nil && !errors.Is(err, catalog.ErrNoImage):
		return err
	case known && was.Version >= c.Version, !known && c.Deleted:
		return nil
	case c.Deleted:
		return s.restoreDeleted(ctx, tx, was, c)
	}
	now, members, err := imageOf(c, obj != nil)
	if err != nil {
		return err
	}
	if known {
		err = s.replace(ctx, tx, was, now)
	} else {
		err = catalog.InsertImage(ctx, tx, now)
	}
	if err != nil {
		return err
	}
	for i := range members {
		if err := catalog.PutMember(ctx, tx, now, &members[i]); err != nil {
			return err
		}
	}
	if err := catalog.AddUse(ctx, tx, now.Owner, held(now)); err != nil {
		return err
	}
	if err := catalog.SetCardVersion(ctx, tx, now.ID, c.Version); err != nil {
		return err
	}
	return s.audit(ctx, tx, kuva.Principal{ProjectID: now.Owner}, "image.recover", now.ID, audit.OK, nil)
}

// restoreDeleted carries out a deletion that the database has forgotten. The
// card may be one that the depot made up, where only its remains are left; so
// the row goes on from what it was.
func (s *Service) restoreDeleted(ctx context.Context, tx *catalog.Tx, was *catalog.Image, c depot.Card) error {
	now := was.Copy()
	now.Version = c.Version
	if !was.Deleted() {
		if err := s.erase(ctx, tx, now); err != nil {
			return err
		}
	}
	now.WasObject = c.Object
	if err := catalog.UpdateImage(ctx, tx, was, now); err != nil {
		return err
	}
	if err := catalog.SetCardVersion(ctx, tx, now.ID, c.Version); err != nil {
		return err
	}
	return s.audit(ctx, tx, kuva.Principal{ProjectID: now.Owner}, "image.delete", now.ID, audit.OK, detail{"recovered": "true"})
}

// replace puts a card's state in the place of an older row.
func (s *Service) replace(ctx context.Context, tx *catalog.Tx, was, now *catalog.Image) error {
	if _, err := catalog.DropReservation(ctx, tx, was.ID); err != nil {
		return err
	}
	if err := s.dropAside(ctx, tx, was.ID); err != nil {
		return err
	}
	if !was.Deleted() {
		u := held(was)
		if err := catalog.AddUse(ctx, tx, was.Owner, catalog.QuotaUse{Images: -u.Images, Bytes: -u.Bytes}); err != nil {
			return err
		}
	}
	if err := catalog.DeleteMembers(ctx, tx, was.ID); err != nil {
		return err
	}
	return catalog.UpdateImage(ctx, tx, was, now)
}

// held is what an image takes of its owner's quota.
func held(m *catalog.Image) catalog.QuotaUse {
	u := catalog.QuotaUse{Images: 1}
	if m.Object != 0 {
		u.Bytes = m.Size
	}
	return u
}

// imageOf reads a card. What the card says of the past of a row that is lost
// (uploads under way, reads, failures) is nothing.
func imageOf(c depot.Card, whole bool) (*catalog.Image, []kuva.Member, error) {
	var r record
	if err := json.Unmarshal(c.Record, &r); err != nil {
		return nil, nil, fmt.Errorf("card %d of image %s: %w", c.Version, c.Image, err)
	}
	if r.ID != c.Image || r.Owner != c.Project {
		return nil, nil, fmt.Errorf("card %d of image %s is of image %s", c.Version, c.Image, r.ID)
	}
	m := &catalog.Image{Image: kuva.Image{
		ID: r.ID, Name: r.Name, Owner: r.Owner, Status: r.Status, Visibility: r.Visibility, DiskFormat: r.DiskFormat,
		ContainerFormat: r.ContainerFormat, Protected: r.Protected, Hidden: r.Hidden, MinDisk: r.MinDisk, MinRAM: r.MinRAM,
		Tags: r.Tags, Properties: r.Properties, Size: r.Size, VirtualSize: r.VirtualSize, MD5: r.MD5, HashAlgo: r.HashAlgo,
		HashValue: r.HashValue, Object: c.Object, Origin: r.Origin, BaseImage: r.BaseImage, InstanceUUID: r.InstanceUUID,
		Version: c.Version, CreatedAt: fromMicro(r.CreatedAt), UpdatedAt: fromMicro(r.UpdatedAt), Recovered: true,
	}, Realm: r.Realm}
	if m.Object != 0 && !whole {
		m.Object, m.Realm, m.Status = 0, "", kuva.StatusQueued
		m.Size, m.VirtualSize, m.MD5, m.HashAlgo, m.HashValue = -1, -1, "", "", ""
		m.LastFailure = failure(kuva.E(kuva.CodeDamaged, "image.content_lost"), m.UpdatedAt, 0)
	}
	// Marked as recovered it is a new version, whose card the sweeper writes:
	// the card that it came from is never written again.
	m.Version++
	var members []kuva.Member
	for _, x := range r.Members {
		members = append(members, kuva.Member{
			Image: r.ID, Project: x.Project, Status: x.Status, CreatedAt: fromMicro(x.CreatedAt), UpdatedAt: fromMicro(x.UpdatedAt),
		})
	}
	return m, members, nil
}
