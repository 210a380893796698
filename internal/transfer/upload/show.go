package upload

import (
	"context"
	"slices"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/policy"
)

// MaxPage is how many uploads one page may have.
const MaxPage = 1000

// States lists the states that a list can be asked for.
var States = []catalog.UploadState{catalog.UploadOpen, catalog.UploadFinishing, catalog.UploadDone, catalog.UploadFailed}

// Query asks for a page of uploads, newest first. The zero value of each
// filter does not filter.
type Query struct {
	Project string // "" is the caller's, and all for an admin
	State   catalog.UploadState
	Marker  string // id of the last upload of the page before
	Limit   int    // at most MaxPage; 0 is 100
}

// Get returns an upload: its project sees it, and admins do; for others it is
// CodeNotFound.
func (s *Service) Get(ctx context.Context, p kuva.Principal, id string) (u *catalog.Upload, err error) {
	err = s.db.View(ctx, func(tx *catalog.Tx) error {
		u, err = s.see(ctx, tx, catalog.GetUpload, p, id)
		return err
	})
	return u, err
}

// List returns a page of uploads. CodeForbidden for those of other projects,
// CodeInvalid for a marker that p may not see and a state that there is not.
func (s *Service) List(ctx context.Context, p kuva.Principal, q Query) (out []*catalog.Upload, err error) {
	if q.Project == "" && !s.cfg.Policy.Allows(p, policy.ListUploads, policy.Target{}) {
		q.Project = p.ProjectID
	}
	if q.Project == "" && !p.Admin || !plain(q.Project) || !s.cfg.Policy.Allows(p, policy.ListUploads, policy.Target{Project: q.Project}) {
		return nil, kuva.E(kuva.CodeForbidden, "image.foreign_project")
	}
	if q.State != "" && !slices.Contains(States, q.State) {
		return nil, kuva.E(kuva.CodeInvalid, "upload.bad_state")
	}
	if q.Limit <= 0 {
		q.Limit = 100
	}
	err = s.db.View(ctx, func(tx *catalog.Tx) error {
		if q.Marker != "" {
			if _, err := s.see(ctx, tx, catalog.GetUpload, p, q.Marker); kuva.CodeOf(err) == kuva.CodeNotFound {
				return kuva.E(kuva.CodeInvalid, "upload.bad_marker")
			} else if err != nil {
				return err
			}
		}
		out, err = catalog.ListUploads(ctx, tx, q.Project, q.State, q.Marker, min(q.Limit, MaxPage))
		return err
	})
	return out, err
}

// MostBytes is how many bytes an upload of a project may have, below 0 any
// number; what it is an upload of may have a lower limit.
func (s *Service) MostBytes(ctx context.Context, project string) (most int64, err error) {
	err = s.db.View(ctx, func(tx *catalog.Tx) error {
		most, err = s.images.MostBytes(ctx, tx, project, "", "")
		return err
	})
	return most, err
}
