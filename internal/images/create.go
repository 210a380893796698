package images

import (
	"context"
	"errors"
	"maps"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
	"kuva/internal/policy"
)

var uuidPattern = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)

// Create makes an image record without content. CodeConflict if the id is
// taken, by whomever and even by an image that was deleted; CodeQuota if the
// project has as many images as it may have. The record and its card are
// durable when nil returns.
func (s *Service) Create(ctx context.Context, p kuva.Principal, n NewImage) (*kuva.Image, error) {
	img, err := s.newImage(p, n)
	if err != nil {
		return nil, err
	}
	if !p.Admin {
		if err := s.creates.take(img.Owner, time.Now()); err != nil {
			return nil, err
		}
	}
	explicit := n.Visibility != ""
	err = s.update(ctx, func(tx *catalog.Tx) error {
		m := img.Copy() // the transaction may run again
		if err := s.insert(ctx, tx, p, m, explicit); err != nil {
			return err
		}
		img = m
		return s.audit(ctx, tx, p, "image.create", m.ID, audit.OK, detail{"name": m.Name})
	})
	if err != nil {
		return nil, err
	}
	if err := s.putCard(ctx, img.ID); err != nil {
		return nil, err
	}
	return &img.Image, nil
}

// newImage checks what can be checked without the database.
func (s *Service) newImage(p kuva.Principal, n NewImage) (*catalog.Image, error) {
	owner := n.Owner
	if owner == "" {
		owner = p.ProjectID
	}
	on := policy.Target{Project: owner, User: p.UserID, Visibility: n.Visibility, Status: kuva.StatusQueued, Protected: n.Protected}
	may := s.cfg.Policy.Allows(p, policy.AddImage, on)
	switch {
	case !may && !p.CanWrite():
		return nil, kuva.E(kuva.CodeForbidden, "image.reader")
	case owner == "":
		return nil, kuva.E(kuva.CodeForbidden, "image.no_project")
	case owner != p.ProjectID && !s.cfg.Policy.Allows(p, policy.ChangeOwner, on):
		return nil, kuva.E(kuva.CodeForbidden, "image.owner_admin")
	case !may:
		return nil, refused(policy.AddImage)
	}
	if err := s.mayShow(p, n.Visibility, on); err != nil {
		return nil, err
	}
	id := strings.ToLower(n.ID)
	if id == "" {
		id = uuid.NewString()
	} else if !uuidPattern.MatchString(id) {
		return nil, kuva.E(kuva.CodeInvalid, "image.bad_id")
	}
	visibility := n.Visibility
	if visibility == "" {
		visibility = kuva.VisibilityShared
	}
	now := s.now()
	img := &catalog.Image{Image: kuva.Image{
		ID: id, Name: n.Name, Owner: owner, Status: kuva.StatusQueued, Visibility: visibility,
		DiskFormat: n.DiskFormat, ContainerFormat: n.ContainerFormat, Protected: n.Protected, Hidden: n.Hidden,
		MinDisk: n.MinDisk, MinRAM: n.MinRAM, Tags: unique(n.Tags), Properties: maps.Clone(n.Properties),
		Size: -1, VirtualSize: -1, Version: 1, CreatedAt: now, UpdatedAt: now,
	}}
	if err := s.checkFormats(&catalog.Image{}, img); err != nil {
		return nil, err
	}
	return img, s.checkRecord(img)
}

func (s *Service) insert(ctx context.Context, tx *catalog.Tx, p kuva.Principal, m *catalog.Image, explicit bool) error {
	q, err := catalog.GetQuota(ctx, tx, m.Owner, s.cfg.DefaultQuota)
	if err != nil {
		return err
	}
	if err := checkCounts(q, &catalog.Image{}, m); err != nil {
		return err
	}
	if err := inherit(ctx, tx, m); err != nil {
		return err
	}
	if restricted(m) && !explicit {
		m.Visibility = kuva.VisibilityPrivate
	}
	if restricted(m) && m.Visibility != kuva.VisibilityPrivate {
		return kuva.E(kuva.CodeForbidden, "image.restricted")
	}
	err = catalog.InsertImage(ctx, tx, m)
	if errors.Is(err, catalog.ErrImageExists) {
		return kuva.E(kuva.CodeConflict, "image.id_taken", "id", m.ID)
	}
	if err != nil {
		return err
	}
	use, err := catalog.LockUse(ctx, tx, m.Owner)
	if err != nil {
		return err
	}
	if q.Images >= 0 && use.Images >= q.Images {
		return kuva.E(kuva.CodeQuota, "image.quota_images", "limit", q.Images)
	}
	return catalog.AddUse(ctx, tx, m.Owner, catalog.QuotaUse{Images: 1})
}

// inherit reads an image's lineage from its properties, and takes over from
// the image that it was made from whether what is made of it may be given
// away. The base is looked at with the eyes of the owner: what the owner
// cannot see tells it nothing. What a property said once about the lineage is
// kept when the property goes.
func inherit(ctx context.Context, tx *catalog.Tx, m *catalog.Image) error {
	if v := m.Properties[kuva.PropertyInstanceUUID]; v != "" && len(v) <= MaxName {
		m.InstanceUUID = v
	}
	base := m.Properties[kuva.PropertyBaseImageRef]
	if base == "" || len(base) > MaxName {
		return nil
	}
	m.BaseImage = base
	if m.Properties[kuva.CreateImageAllowed] == "false" {
		return nil
	}
	b, err := catalog.GetImage(ctx, tx, base)
	if errors.Is(err, catalog.ErrNoImage) {
		return nil
	}
	if err != nil || b.Properties[kuva.CreateImageAllowed] != "false" {
		return err
	}
	eyes := kuva.Principal{ProjectID: m.Owner}
	seen := kuva.CanSee(eyes, &b.Image, nil) // a deleted base still counts
	if !seen && b.Visibility == kuva.VisibilityShared {
		_, err := catalog.GetMember(ctx, tx, b.ID, m.Owner)
		if err != nil && !errors.Is(err, catalog.ErrNoMember) {
			return err
		}
		seen = err == nil
	}
	if seen {
		if m.Properties == nil {
			m.Properties = map[string]string{}
		}
		m.Properties[kuva.CreateImageAllowed] = "false"
	}
	return nil
}
