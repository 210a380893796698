package images

import (
	"context"
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/policy"
)

// Update applies all changes or none, in their order, and returns the image as
// it is then. CodeForbidden for what is not the caller's to change (read-only
// and reserved attributes, the owner and public visibility without admin);
// CodeConflict for an operation that does not meet what is there; CodeInvalid
// for values of the wrong kind. Changes of owner and visibility return when
// their card is durable.
func (s *Service) Update(ctx context.Context, p kuva.Principal, id string, changes []Change) (*kuva.Image, error) {
	var weighty bool
	img, changed, err := s.change(ctx, p, id, "image.update", func(tx *catalog.Tx, now *catalog.Image, _ *kuva.Member) (detail, error) {
		if err := s.allow(p, policy.ModifyImage, now); err != nil {
			return nil, err
		}
		was := now.Copy()
		for _, c := range changes {
			if err := s.apply(p, now, c); err != nil {
				return nil, err
			}
		}
		if reflect.DeepEqual(was, now.Copy()) {
			return nil, errUnchanged
		}
		weighty = was.Owner != now.Owner || was.Visibility != now.Visibility
		now.UpdatedAt = s.now()
		return s.changed(was, now), s.checkUpdate(ctx, tx, p, was, now)
	})
	if err != nil {
		return nil, err
	}
	if changed && weighty {
		if err := s.putCard(ctx, id); err != nil {
			return nil, err
		}
	}
	return &img.Image, nil
}

// changed names what is different, for the audit table.
func (s *Service) changed(was, now *catalog.Image) detail {
	d := detail{}
	if was.Owner != now.Owner {
		d["owner"] = now.Owner
	}
	if was.Visibility != now.Visibility {
		d["visibility"] = string(now.Visibility)
	}
	if was.Name != now.Name {
		d["name"] = now.Name
	}
	if was.Protected != now.Protected {
		d["protected"] = map[bool]string{true: "true", false: "false"}[now.Protected]
	}
	return d
}

// apply does one change on now.
func (s *Service) apply(p kuva.Principal, now *catalog.Image, c Change) error {
	if slices.Contains(baseNames, c.Name) {
		switch c.Op {
		case OpRemove:
			return kuva.E(kuva.CodeForbidden, "image.base_remove", "name", c.Name)
		case OpCreate:
			return kuva.E(kuva.CodeConflict, "image.property_exists", "name", c.Name)
		}
		return s.setBase(p, now, c.Name, c.Value)
	}
	if err := checkPropertyName(c.Name); err != nil {
		return err
	}
	_, there := now.Properties[c.Name]
	switch {
	case there && c.Op == OpCreate:
		return kuva.E(kuva.CodeConflict, "image.property_exists", "name", c.Name)
	case !there && (c.Op == OpReplace || c.Op == OpRemove):
		return kuva.E(kuva.CodeConflict, "image.property_missing", "name", c.Name)
	case c.Op == OpRemove:
		delete(now.Properties, c.Name)
		return nil
	}
	value, ok := c.Value.(string)
	if !ok {
		return kuva.E(kuva.CodeInvalid, "image.property_not_text", "name", c.Name)
	}
	if err := checkPropertyValue(c.Name, value); err != nil {
		return err
	}
	now.Properties[c.Name] = value
	return nil
}

func (s *Service) setBase(p kuva.Principal, now *catalog.Image, name string, value any) error {
	wrong := kuva.E(kuva.CodeInvalid, "image.bad_value", "name", name)
	switch name {
	case "name", "disk_format", "container_format", "owner", "visibility":
		text, ok := value.(string)
		if !ok && (value != nil || name == "owner" || name == "visibility") {
			return wrong
		}
		return s.setText(p, now, name, text)
	case "protected", "os_hidden":
		v, ok := value.(bool)
		if !ok {
			return wrong
		}
		if name == "protected" {
			now.Protected = v
		} else {
			now.Hidden = v
		}
	case "min_disk", "min_ram":
		v, ok := integer(value)
		if !ok {
			return wrong
		}
		if name == "min_disk" {
			now.MinDisk = v
		} else {
			now.MinRAM = v
		}
	case "tags":
		tags, ok := texts(value)
		if !ok {
			return wrong
		}
		now.Tags = unique(tags)
	}
	return nil
}

func (s *Service) setText(p kuva.Principal, now *catalog.Image, name, text string) error {
	switch name {
	case "name":
		now.Name = text
	case "disk_format", "container_format":
		field := &now.DiskFormat
		if name == "container_format" {
			field = &now.ContainerFormat
		}
		if text != *field && now.Status != kuva.StatusQueued {
			return kuva.E(kuva.CodeForbidden, "image.format_queued", "name", name)
		}
		*field = text
	case "owner":
		if text != now.Owner && !s.allows(p, policy.ChangeOwner, now, nil) {
			return kuva.E(kuva.CodeForbidden, "image.owner_admin")
		}
		now.Owner = text
	case "visibility":
		v := kuva.Visibility(text)
		if v != now.Visibility {
			if err := s.mayShow(p, v, target(now, nil)); err != nil {
				return err
			}
		}
		now.Visibility = v
	}
	return nil
}

// integer takes what JSON calls a whole number.
func integer(value any) (int64, bool) {
	switch v := value.(type) {
	case json.Number:
		n, err := v.Int64()
		return n, err == nil
	case float64:
		return int64(v), v == math.Trunc(v) && math.Abs(v) < 1<<53
	case int64:
		return v, true
	case int:
		return int64(v), true
	}
	return 0, false
}

func texts(value any) ([]string, bool) {
	switch v := value.(type) {
	case []string:
		return v, true
	case []any:
		out := make([]string, len(v))
		for i := range v {
			text, ok := v[i].(string)
			if !ok {
				return nil, false
			}
			out[i] = text
		}
		return out, true
	}
	return nil, false
}

// checkUpdate holds the rules about the record as a whole and moves what hangs
// on it: lineage, space of a new owner, the realm that the content lies in.
func (s *Service) checkUpdate(ctx context.Context, tx *catalog.Tx, p kuva.Principal, was, now *catalog.Image) error {
	if err := s.checkRecord(now); err != nil {
		return err
	}
	if err := s.checkFormats(was, now); err != nil {
		return err
	}
	q, err := catalog.GetQuota(ctx, tx, now.Owner, s.cfg.DefaultQuota)
	if err != nil {
		return err
	}
	if err := checkCounts(q, was, now); err != nil {
		return err
	}
	if was.Properties[kuva.CreateImageAllowed] == "false" && now.Properties[kuva.CreateImageAllowed] != "false" &&
		!s.allows(p, policy.LiftRestriction, was, nil) {
		return kuva.E(kuva.CodeForbidden, "image.restriction_admin", "name", kuva.CreateImageAllowed)
	}
	if now.Properties[kuva.PropertyBaseImageRef] != was.Properties[kuva.PropertyBaseImageRef] ||
		now.Properties[kuva.PropertyInstanceUUID] != was.Properties[kuva.PropertyInstanceUUID] {
		if err := inherit(ctx, tx, now); err != nil {
			return err
		}
	}
	if restricted(now) && now.Visibility != was.Visibility && now.Visibility != kuva.VisibilityPrivate {
		return kuva.E(kuva.CodeForbidden, "image.restricted")
	}
	if wider(was.Visibility, now.Visibility) {
		if err := s.held(ctx, tx, now); err != nil {
			return err
		}
	}
	if now.Owner != was.Owner {
		if err := s.handOver(ctx, tx, q, was, now); err != nil {
			return err
		}
	}
	return s.settleRealm(ctx, tx, p, now)
}

// handOver charges an image to its new owner.
func (s *Service) handOver(ctx context.Context, tx *catalog.Tx, q kuva.Quota, was, now *catalog.Image) error {
	owners := []string{was.Owner, now.Owner}
	slices.SortFunc(owners, strings.Compare) // two that go opposite ways must not wait for each other
	uses := map[string]catalog.QuotaUse{}
	for _, o := range owners {
		use, err := catalog.LockUse(ctx, tx, o)
		if err != nil {
			return err
		}
		uses[o] = use
	}
	moved := catalog.QuotaUse{Images: 1}
	if now.Object != 0 {
		moved.Bytes = now.Size
	}
	to := uses[now.Owner]
	if q.Images >= 0 && to.Images+1 > q.Images {
		return kuva.E(kuva.CodeQuota, "image.quota_images", "limit", q.Images)
	}
	if q.Bytes >= 0 && to.Bytes+to.Reserved+moved.Bytes > q.Bytes {
		return kuva.E(kuva.CodeQuota, "image.quota_bytes", "limit", q.Bytes)
	}
	if err := catalog.AddUse(ctx, tx, now.Owner, moved); err != nil {
		return err
	}
	if err := catalog.AddUse(ctx, tx, was.Owner, catalog.QuotaUse{Images: -1, Bytes: -moved.Bytes}); err != nil {
		return err
	}
	return catalog.MoveReservation(ctx, tx, now.ID, now.Owner)
}
