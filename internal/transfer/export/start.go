package export

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"regexp"
	"time"

	"github.com/google/uuid"

	"kuva"
	"kuva/disk"
	"kuva/internal/audit"
	"kuva/internal/catalog"
	"kuva/internal/images"
	"kuva/internal/job"
	"kuva/internal/policy"
	"kuva/internal/transfer/bucket"
)

// Start begins an export and returns it. Before that the image must have the
// file that is asked for, and a configured bucket is asked whether it is there,
// whether the keys may write the object, and whether there is none yet; the
// job asks buckets of users first of all. CodeConflict where something of this
// is not so, CodeInvalid for what cannot be meant, CodeQuota for too many at a
// time.
func (s *Service) Start(ctx context.Context, p kuva.Principal, w Wanted) (*Export, error) {
	sp, err := s.check(p, &w)
	if err != nil {
		return nil, err
	}
	if err := s.cfg.Images.MayHold(ctx, p, w.Image); err != nil {
		return nil, err
	}
	v, err := s.cfg.Images.OpenView(ctx, p, w.Image, w.Format, w.View)
	if err != nil {
		return nil, err
	}
	if !v.HasData() {
		return nil, kuva.E(kuva.CodeConflict, "image.not_normal", "status", v.Image.Status)
	}
	sp.Format = v.Format
	if sp.Bucket != nil && sp.Bucket.Name != "" {
		b, err := s.cfg.Buckets.Bucket(p.ProjectID, *w.Bucket, w.Keys, true)
		if err != nil {
			return nil, err
		}
		defer b.Close()
		if err := b.MayWrite(ctx, w.Bucket.Object, sp.write("")); err != nil {
			return nil, err
		}
	}
	e, err := s.enqueue(ctx, p, &w, sp, v.Size)
	if err != nil {
		return nil, err
	}
	return s.Show(ctx, p, e)
}

func (s *Service) enqueue(ctx context.Context, p kuva.Principal, w *Wanted, sp *spec, size int64) (id string, err error) {
	secret := ""
	if w.Signed != nil || w.Keys != (images.BucketKeys{}) {
		text, err := json.Marshal(secrets{w.Keys, w.Signed})
		if err != nil {
			return "", err
		}
		// The purpose cannot be the job's id, which is not known before the
		// transaction; the image and a number of its own will do.
		sp.Seal = uuid.NewString()
		if secret, err = s.cfg.Depot.SealSecret(ctx, p.ProjectID, sealFor(sp.Seal), string(text)); err != nil {
			return "", images.Coded(ctx, err)
		}
	}
	text, err := json.Marshal(sp)
	if err != nil {
		return "", err
	}
	err = s.cfg.DB.Update(ctx, func(tx *catalog.Tx) error {
		n, err := catalog.CountOpenExports(ctx, tx, p.ProjectID)
		if err != nil {
			return err
		}
		if n >= MaxOpen {
			return kuva.E(kuva.CodeQuota, "export.too_many", "limit", MaxOpen)
		}
		if id, err = s.jobs.Enqueue(ctx, tx, job.New{Kind: Kind, Image: w.Image, Project: p.ProjectID, RequestID: p.RequestID}); err != nil {
			return err
		}
		img, err := s.cfg.Images.Hold(ctx, tx, p, w.Image, holder(id))
		if err != nil {
			return err
		}
		record, err := json.Marshal(img)
		if err != nil {
			return err
		}
		e := &catalog.Export{
			ID: id, Image: img.ID, Project: p.ProjectID, User: p.UserID, Object: img.Object, Record: string(record), Spec: string(text), Secret: secret,
			Size: size, CreatedAt: s.now(),
		}
		if err := catalog.AddExport(ctx, tx, e); err != nil {
			return err
		}
		return s.audit(ctx, tx, p, "image.export", img.ID, audit.OK, map[string]string{"job": id, "format": sp.Format, "to": sp.where()})
	})
	return id, images.Coded(ctx, err)
}

// check refuses what cannot be meant.
func (s *Service) check(p kuva.Principal, w *Wanted) (*spec, error) {
	sp := &spec{
		Format: w.Format, Compress: w.View.Compress, Settings: w.View.Settings, Bucket: w.Bucket, Overwrite: w.Overwrite,
		Sealed: w.Sealed, KeyID: w.KeyID, By: p,
	}
	switch {
	case p.ProjectID == "":
		return nil, kuva.E(kuva.CodeForbidden, "image.no_project")
	case (w.Bucket == nil) == (w.Signed == nil):
		return nil, kuva.E(kuva.CodeInvalid, "export.one_target")
	case w.Signed != nil:
		if w.Overwrite || w.Sealed != "" || w.KeyID != "" || w.Keys != (images.BucketKeys{}) {
			return nil, kuva.E(kuva.CodeInvalid, "export.signed_only")
		}
		host, err := s.checkSigned(w.Signed)
		sp.Host, sp.Parts = host, len(w.Signed.Parts)
		return sp, err
	case s.cfg.Buckets == nil:
		return nil, kuva.E(kuva.CodeForbidden, "bucket.off")
	case w.Sealed != "" && w.Sealed != "AES256" && w.Sealed != "aws:kms" || w.KeyID != "" && w.Sealed != "aws:kms" || !keyID.MatchString(w.KeyID):
		return nil, kuva.E(kuva.CodeInvalid, "export.encryption")
	}
	return sp, s.cfg.Buckets.CheckWrite(p.ProjectID, *w.Bucket, w.Keys)
}

var keyID = regexp.MustCompile(`^[A-Za-z0-9:/_.-]{0,255}$`)

// checkSigned refuses addresses that would not be asked, and those that do not
// lead to one place. It returns the host.
func (s *Service) checkSigned(g *Signed) (string, error) {
	if s.cfg.Web == nil {
		return "", kuva.E(kuva.CodeForbidden, "export.urls_off")
	}
	all := append([]string{}, g.Parts...)
	switch {
	case g.Put != "" && (len(g.Parts) > 0 || g.Complete != "" || g.Abort != ""), g.Put == "" && (len(g.Parts) == 0 || g.Complete == ""):
		return "", kuva.E(kuva.CodeInvalid, "export.put_or_parts")
	case g.Put != "":
		all = append(all, g.Put)
	default:
		all = append(all, g.Complete)
		if g.Abort != "" {
			all = append(all, g.Abort)
		}
	}
	total, first := 0, ""
	for _, address := range all {
		total += len(address)
		if len(g.Parts) > MaxURLs || len(address) > MaxURL || total > MaxAll {
			return "", kuva.E(kuva.CodeTooLarge, "export.many_urls", "urls", MaxURLs, "bytes", MaxAll)
		}
		if err := s.cfg.Web.Check(address); err != nil {
			return "", err
		}
		u, err := url.Parse(address)
		if err != nil {
			return "", kuva.E(kuva.CodeInvalid, "export.put_or_parts")
		}
		if origin := u.Scheme + "://" + u.Host; first == "" {
			first = origin
		} else if origin != first {
			return "", kuva.E(kuva.CodeInvalid, "export.one_origin")
		}
	}
	u, err := url.Parse(first)
	return u.Hostname(), err
}

// where is the target for logs.
func (sp *spec) where() string {
	if sp.Bucket == nil {
		return sp.Host
	}
	if sp.Bucket.Name != "" {
		return "bucket:" + sp.Bucket.Name + "/" + sp.Bucket.Object
	}
	return "s3://" + sp.Bucket.Bucket + "/" + sp.Bucket.Object
}

func (sp *spec) write(media string) bucket.WriteOptions {
	return bucket.WriteOptions{ContentType: media, Overwrite: sp.Overwrite, Sealed: sp.Sealed, KeyID: sp.KeyID}
}

func (sp *spec) view() images.ViewOptions {
	return images.ViewOptions{Compress: sp.Compress, Settings: disk.Settings(sp.Settings)}
}

// Show returns one export. One that p may not see is CodeNotFound.
func (s *Service) Show(ctx context.Context, p kuva.Principal, id string) (out *Export, err error) {
	err = s.cfg.DB.View(ctx, func(tx *catalog.Tx) error {
		row, err := s.see(ctx, tx, p, id)
		if err == nil {
			out, err = s.export(ctx, tx, row)
		}
		return err
	})
	return out, images.Coded(ctx, err)
}

func (s *Service) see(ctx context.Context, tx *catalog.Tx, p kuva.Principal, id string) (*catalog.Export, error) {
	hidden := kuva.E(kuva.CodeNotFound, "export.not_found", "id", id)
	if uuid.Validate(id) != nil || len(id) != 36 {
		return nil, hidden
	}
	row, err := catalog.GetExport(ctx, tx, id)
	if errors.Is(err, catalog.ErrNoExport) || err == nil && !s.cfg.Policy.Allows(p, policy.GetExport, policy.Target{Project: row.Project}) {
		return nil, hidden
	}
	return row, err
}

// Query asks for a page of exports, newest first.
type Query struct {
	Image   string // "" is all
	Project string // "" is the caller's, and all for an admin
	Marker  string // id of the last one of the page before
	Limit   int    // 0 is 100, at most MaxPage
}

// List returns a page of exports: a project sees its own, an admin all.
func (s *Service) List(ctx context.Context, p kuva.Principal, q Query) (out []*Export, err error) {
	project := q.Project
	all := project == "" && s.cfg.Policy.Allows(p, policy.GetExport, policy.Target{})
	if project == "" && !all {
		if project = p.ProjectID; project == "" {
			return nil, kuva.E(kuva.CodeForbidden, "image.no_project")
		}
	}
	if !all && !s.cfg.Policy.Allows(p, policy.GetExport, policy.Target{Project: project}) {
		return nil, kuva.E(kuva.CodeForbidden, "image.policy", "rule", string(policy.GetExport))
	}
	if q.Limit <= 0 {
		q.Limit = 100
	}
	err = s.cfg.DB.View(ctx, func(tx *catalog.Tx) error {
		out = nil
		var before *catalog.Export
		if q.Marker != "" {
			var err error
			before, err = s.see(ctx, tx, p, q.Marker)
			if kuva.CodeOf(err) == kuva.CodeNotFound {
				return kuva.E(kuva.CodeInvalid, "export.marker")
			}
			if err != nil {
				return err
			}
		}
		rows, err := catalog.ListExports(ctx, tx, q.Image, project, before, min(q.Limit, MaxPage))
		if err != nil {
			return err
		}
		for _, row := range rows {
			e, err := s.export(ctx, tx, row)
			if err != nil {
				return err
			}
			out = append(out, e)
		}
		return nil
	})
	return out, images.Coded(ctx, err)
}

// export joins a row with its job.
func (s *Service) export(ctx context.Context, tx *catalog.Tx, row *catalog.Export) (*Export, error) {
	var sp spec
	if err := json.Unmarshal([]byte(row.Spec), &sp); err != nil {
		return nil, err
	}
	e := &Export{
		ID: row.ID, Image: row.Image, Project: row.Project, User: row.User, Format: sp.Format, Compressed: sp.Compress, Settings: sp.Settings,
		Target: Target{sp.Bucket, sp.Host, sp.Parts}, State: row.State, Size: row.Size, Sent: row.Sent,
		Code: kuva.Code(row.Code), Sentence: row.Sentence, CreatedAt: row.CreatedAt, EndedAt: row.EndedAt,
	}
	if row.Result != "" {
		e.Manifest = images.ParseManifest([]byte(row.Result))
	}
	if row.State == catalog.ExportDone {
		e.Done = row.Size
	}
	j, err := s.jobs.Get(ctx, tx, row.ID)
	if kuva.CodeOf(err) == kuva.CodeNotFound {
		return e, nil
	}
	if err != nil {
		return nil, err
	}
	e.Attempt, e.StartedAt, e.Message = j.Attempt, j.StartedAt, j.Message
	if row.State != catalog.ExportOpen {
		return e, nil
	}
	e.Done, e.Cancelling = j.Done, j.Cancel
	e.Code, e.Sentence = j.Code, j.Sentence
	if e.State = string(job.Pending); j.State != job.Pending {
		e.State = string(job.Running) // its last words are being written
	}
	return e, nil
}

// Cancel asks for the end of an export: what was sent is given up within
// seconds. CodeConflict for one that has ended.
func (s *Service) Cancel(ctx context.Context, p kuva.Principal, id string) (out *Export, err error) {
	err = s.cfg.DB.Update(ctx, func(tx *catalog.Tx) error {
		row, err := s.see(ctx, tx, p, id)
		if err != nil {
			return err
		}
		switch {
		case !s.cfg.Policy.Allows(p, policy.EndExport, policy.Target{Project: row.Project}):
			if !p.CanWrite() {
				return kuva.E(kuva.CodeForbidden, "image.reader")
			}
			return kuva.E(kuva.CodeForbidden, "image.policy", "rule", string(policy.EndExport))
		case row.State != catalog.ExportOpen:
			return kuva.E(kuva.CodeConflict, "export.ended", "state", row.State)
		}
		if err := s.jobs.Cancel(ctx, tx, id); err != nil {
			return err
		}
		if err := s.audit(ctx, tx, p, "image.export.cancel", row.Image, audit.OK, map[string]string{"job": id}); err != nil {
			return err
		}
		out, err = s.export(ctx, tx, row)
		return err
	})
	return out, images.Coded(ctx, err)
}

// Bucket lists.

// Buckets lists the configured buckets of the caller's project.
func (s *Service) Buckets(p kuva.Principal) ([]bucket.Info, error) {
	if err := s.mayBrowse(p); err != nil {
		return nil, err
	}
	return s.cfg.Buckets.List(p.ProjectID), nil
}

// Objects lists objects of a configured bucket, and whether there are more.
func (s *Service) Objects(ctx context.Context, p kuva.Principal, name, prefix, marker string, limit int) ([]bucket.Object, bool, error) {
	if err := s.mayBrowse(p); err != nil {
		return nil, false, err
	}
	return s.cfg.Buckets.Objects(ctx, p.ProjectID, name, prefix, marker, limit)
}

func (s *Service) mayBrowse(p kuva.Principal) error {
	if s.cfg.Buckets == nil {
		return kuva.E(kuva.CodeForbidden, "bucket.off")
	}
	if p.ProjectID == "" {
		return kuva.E(kuva.CodeForbidden, "image.no_project")
	}
	if !s.cfg.Policy.Allows(p, policy.GetBuckets, policy.Target{Project: p.ProjectID}) {
		return kuva.E(kuva.CodeForbidden, "image.policy", "rule", string(policy.GetBuckets))
	}
	return nil
}

func (s *Service) audit(ctx context.Context, tx *catalog.Tx, p kuva.Principal, action, image, result string, detail map[string]string) error {
	e := audit.By(p, s.now(), action, image)
	e.Result, e.Detail = result, detail
	_, err := audit.Write(ctx, tx, e)
	return err
}

func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }
