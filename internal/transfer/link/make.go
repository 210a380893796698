package link

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"kuva"
	"kuva/disk"
	"kuva/internal/audit"
	"kuva/internal/catalog"
	"kuva/internal/images"
	"kuva/internal/policy"
)

// Wish is what a caller says of a link that it makes.
type Wish struct {
	Image string
	// Read makes it good for downloads, Write for an upload into an image that
	// is queued.
	Read, Write bool
	// Format of the file, and more about it; "" is what was sent.
	Format   string
	Compress bool
	Settings disk.Settings
	// Age is how long it is good for; 0 is DefaultAge, or the site's longest
	// time where that is less.
	Age time.Duration
	// Uses is how many uses it is good for; 0 is any number.
	Uses int64
}

// Made is a link that was just made: the only time that its secret is known.
type Made struct {
	catalog.Link
	Secret Secret
	Name   string // that the file may be called
}

func (w *Wish) options() images.ViewOptions {
	return images.ViewOptions{Compress: w.Compress, Settings: w.Settings}
}

// Make makes a link. CodeInvalid for a wish that makes no sense, CodeForbidden
// where the caller may not do by itself what the link is to be good for,
// CodeConflict where the image is in another state, or not to be had in the
// format, CodeQuota where the project has MaxLinks.
func (s *Service) Make(ctx context.Context, p kuva.Principal, w Wish) (*Made, error) {
	if s.cfg.Off {
		return nil, kuva.E(kuva.CodeForbidden, "link.off")
	}
	if w.Age == 0 {
		w.Age = min(DefaultAge, s.cfg.MaxAge)
	}
	switch {
	case !w.Read && !w.Write:
		return nil, kuva.E(kuva.CodeInvalid, "link.nothing")
	case w.Age < time.Second || w.Age > s.cfg.MaxAge:
		return nil, kuva.E(kuva.CodeInvalid, "link.age", "most", int64(s.cfg.MaxAge/time.Second))
	case w.Uses < 0 || w.Uses > MaxUses:
		return nil, kuva.E(kuva.CodeInvalid, "link.uses", "most", MaxUses)
	case !w.Read && w.Format != "":
		return nil, kuva.E(kuva.CodeInvalid, "link.format_write")
	case w.Format == "" && (w.Compress || len(w.Settings) > 0):
		return nil, kuva.E(kuva.CodeInvalid, "rest.view_format")
	case p.ProjectID == "":
		return nil, kuva.E(kuva.CodeForbidden, "link.project")
	}
	if err := s.possible(ctx, p, &w); err != nil {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	secret, now := newSecret(), s.now()
	out := &Made{Secret: secret, Link: catalog.Link{
		ID: id.String(), Digest: secret.digest(), Project: p.ProjectID, Maker: p, Read: w.Read, Write: w.Write,
		Format: w.Format, Options: catalog.LinkOptions{Compress: w.Compress, Settings: w.Settings},
		Most: w.Uses, CreatedAt: now, ExpiresAt: now.Add(w.Age),
	}}
	err = s.db.Update(ctx, func(tx *catalog.Tx) error {
		img, err := s.cfg.Images.MayLink(ctx, tx, p, w.Image, w.Read, w.Write)
		if err != nil {
			return err
		}
		n, err := catalog.CountLinks(ctx, tx, p.ProjectID, now)
		if err != nil {
			return err
		}
		if n >= MaxLinks {
			return kuva.E(kuva.CodeQuota, "link.too_many", "limit", MaxLinks)
		}
		out.Image, out.Name = img.ID, FileName(&img.Image, w.ending(img))
		if err := catalog.AddLink(ctx, tx, &out.Link); err != nil {
			return err
		}
		e := audit.By(p, now, "link.create", img.ID)
		e.Detail = map[string]string{"link": out.ID, "address": p.Address, "for": out.purpose(), "expires": out.ExpiresAt.Format(time.RFC3339)}
		_, err = audit.Write(ctx, tx, e)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// possible refuses a file that the image cannot be had as.
func (s *Service) possible(ctx context.Context, p kuva.Principal, w *Wish) error {
	if !w.Read || w.Format == "" {
		return nil
	}
	v, err := s.cfg.Images.OpenView(ctx, p, w.Image, w.Format, w.options())
	if err != nil {
		return err
	}
	if !v.HasData() {
		return images.CheckView(w.Format, w.options())
	}
	w.Format = v.Format
	if v.AsSent() {
		w.Format = ""
	}
	return nil
}

// ending is that of the file's name.
func (w *Wish) ending(img *catalog.Image) string {
	if w.Format != "" {
		return w.Format
	}
	return img.DiskFormat
}

func (m *Made) purpose() string {
	switch {
	case m.Read && m.Write:
		return "reading and writing"
	case m.Write:
		return "writing"
	}
	return "reading"
}

// none is said of links that are not there, or not the caller's to know.
func none(id string) error { return kuva.E(kuva.CodeNotFound, "link.not_found", "id", id) }

// may asks the policy about a link: for the project that made it, and for the
// one that owns the image.
func (s *Service) may(ctx context.Context, tx *catalog.Tx, p kuva.Principal, rule policy.Rule, l *catalog.Link) (bool, error) {
	if s.cfg.Policy.Allows(p, rule, policy.Target{Project: l.Project}) {
		return true, nil
	}
	img, err := s.cfg.Images.Find(ctx, tx, p, l.Image)
	if kuva.CodeOf(err) == kuva.CodeNotFound {
		return false, nil
	}
	return err == nil && s.cfg.Policy.Allows(p, rule, policy.Target{Project: img.Owner}), err
}

// find reads a link that p may know of.
func (s *Service) find(ctx context.Context, tx *catalog.Tx, p kuva.Principal, id string) (*catalog.Link, error) {
	if uuid.Validate(id) != nil {
		return nil, none(id)
	}
	l, err := catalog.GetLink(ctx, tx, id)
	if errors.Is(err, catalog.ErrNoLink) {
		return nil, none(id)
	}
	if err != nil {
		return nil, err
	}
	ok, err := s.may(ctx, tx, p, policy.ListLinks, l)
	if err == nil && !ok {
		err = none(id)
	}
	return l, err
}

// Show returns a link, for the project that made it and for the owner of its
// image. To others it is not there.
func (s *Service) Show(ctx context.Context, p kuva.Principal, id string) (l *catalog.Link, err error) {
	err = s.db.View(ctx, func(tx *catalog.Tx) error {
		l, err = s.find(ctx, tx, p, id)
		return err
	})
	return l, err
}

// Query asks for a page of links. "" is any image, or the caller's own project
// (for an administrator any).
type Query struct {
	Image, Project string
	Before         string // id of the last link of the page before
	Limit          int
}

// List returns links, newest first, and the marker of the next page, "" where
// there is none. Links of an image are shown to its owner, and to a project
// those that it made.
func (s *Service) List(ctx context.Context, p kuva.Principal, q Query) (out []catalog.Link, next string, err error) {
	if q.Before != "" && uuid.Validate(q.Before) != nil {
		return nil, "", kuva.E(kuva.CodeInvalid, "link.marker")
	}
	if q.Project == "" && !p.Admin {
		q.Project = p.ProjectID
	}
	limit := min(max(q.Limit, 1), MaxPage)
	err = s.db.View(ctx, func(tx *catalog.Tx) error {
		project := q.Project
		if q.Image != "" {
			img, err := s.cfg.Images.Find(ctx, tx, p, q.Image)
			if err != nil {
				return err
			}
			if s.cfg.Policy.Allows(p, policy.ListLinks, policy.Target{Project: img.Owner}) && (project == p.ProjectID || p.Admin) {
				project = "" // the owner sees all of them
			}
		}
		if project != "" || q.Image == "" {
			if !s.cfg.Policy.Allows(p, policy.ListLinks, policy.Target{Project: project}) {
				return kuva.E(kuva.CodeForbidden, "image.foreign_project")
			}
		}
		out, err = catalog.ListLinks(ctx, tx, q.Image, project, q.Before, limit)
		return err
	})
	if err == nil && len(out) == limit {
		next = out[limit-1].ID
	}
	return out, next, err
}

// Revoke ends a link at once. A download that runs goes on to its end, an
// upload fails.
func (s *Service) Revoke(ctx context.Context, p kuva.Principal, id string) error {
	return s.db.Update(ctx, func(tx *catalog.Tx) error {
		l, err := s.find(ctx, tx, p, id)
		if err != nil {
			return err
		}
		ok, err := s.may(ctx, tx, p, policy.RevokeLink, l)
		if err == nil && !ok {
			err = kuva.E(kuva.CodeForbidden, "link.revoke")
		}
		if err != nil {
			return err
		}
		if err := catalog.DropLink(ctx, tx, id); err != nil {
			return err
		}
		e := audit.By(p, s.now(), "link.revoke", l.Image)
		e.Detail = map[string]string{"link": id}
		_, err = audit.Write(ctx, tx, e)
		return err
	})
}

// State says whether a link is good: live, expired or used_up.
func (s *Service) State(l *catalog.Link) string {
	switch {
	case !s.now().Before(l.ExpiresAt):
		return "expired"
	case l.Most > 0 && l.Uses >= l.Most:
		return "used_up"
	}
	return "live"
}
