package images

import (
	"context"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
	"kuva/internal/job"
	"kuva/internal/policy"
)

// JobQuery asks for a page of jobs, newest first. The zero value of each
// filter does not filter.
type JobQuery struct {
	Project string // "" is the caller's, and all for an admin
	Kind    string
	Image   string
	States  []job.State
	Marker  string // id of the last job of the page before
	Limit   int    // 0 is 100, at most 1000
}

// mayAsk says whose jobs p is told of when it asks for those of project; ""
// stands for all.
func (s *Service) mayAsk(p kuva.Principal, rule policy.Rule, project string) (string, error) {
	if project == "" && s.cfg.Policy.Allows(p, rule, policy.Target{}) {
		return "", nil
	}
	if project == "" {
		project = p.ProjectID
	}
	return project, s.ofProject(p, rule, project)
}

// MayFollow says whose events p is told of when it asks for those of project:
// "" stands for all, which only admins get. CodeForbidden for other projects.
func (s *Service) MayFollow(p kuva.Principal, project string) (string, error) {
	return s.mayAsk(p, policy.WatchEvents, project)
}

// Jobs returns a page of jobs: a project sees its own, an admin all.
// CodeInvalid for a marker that is not a job that p may see.
func (s *Service) Jobs(ctx context.Context, p kuva.Principal, q JobQuery) ([]job.Job, error) {
	project, err := s.mayAsk(p, policy.ListJobs, q.Project)
	if err != nil {
		return nil, err
	}
	for _, text := range []string{q.Kind, q.Image, q.Marker} {
		if !plainText(text) {
			return nil, kuva.E(kuva.CodeInvalid, "image.bad_filter")
		}
	}
	var out []job.Job
	err = s.view(ctx, func(tx *catalog.Tx) error {
		f := job.Filter{Project: project, Kind: q.Kind, Image: q.Image, States: q.States, Limit: q.Limit}
		if q.Marker != "" {
			marker, err := s.seeJob(ctx, tx, p, q.Marker)
			if kuva.CodeOf(err) == kuva.CodeNotFound {
				return kuva.E(kuva.CodeInvalid, "job.bad_marker")
			}
			if err != nil {
				return err
			}
			f.Before = &marker
		}
		out, err = s.jobs.List(ctx, tx, f)
		return err
	})
	return out, err
}

// Job returns one job. One that p may not see is CodeNotFound, as one that
// does not exist.
func (s *Service) Job(ctx context.Context, p kuva.Principal, id string) (j job.Job, err error) {
	err = s.view(ctx, func(tx *catalog.Tx) error {
		j, err = s.seeJob(ctx, tx, p, id)
		return err
	})
	return j, err
}

// CancelJob asks for the end of a job that p sees and returns the job as it is
// then: cancelled, if it waited, or running with Cancel set. A job that has
// ended is CodeConflict.
func (s *Service) CancelJob(ctx context.Context, p kuva.Principal, id string) (j job.Job, err error) {
	err = s.update(ctx, func(tx *catalog.Tx) error {
		was, err := s.seeJob(ctx, tx, p, id)
		if err != nil {
			return err
		}
		if !s.cfg.Policy.Allows(p, policy.CancelJob, policy.Target{Project: was.Project}) {
			if p.CanWrite() {
				return refused(policy.CancelJob)
			}
			return kuva.E(kuva.CodeForbidden, "job.reader")
		}
		if err := s.jobs.Cancel(ctx, tx, id); err != nil {
			return err
		}
		if j, err = s.jobs.Get(ctx, tx, id); err != nil {
			return err
		}
		return s.audit(ctx, tx, p, "job.cancel", id, audit.OK, detail{"kind": was.Kind, "image": was.Image})
	})
	return j, err
}

func (s *Service) seeJob(ctx context.Context, tx *catalog.Tx, p kuva.Principal, id string) (job.Job, error) {
	hidden := kuva.E(kuva.CodeNotFound, "job.not_found", "id", id)
	if !uuidPattern.MatchString(id) {
		return job.Job{}, hidden
	}
	j, err := s.jobs.Get(ctx, tx, id)
	if err != nil {
		return job.Job{}, err
	}
	if !s.cfg.Policy.Allows(p, policy.GetJob, policy.Target{Project: j.Project}) {
		return job.Job{}, hidden
	}
	return j, nil
}
