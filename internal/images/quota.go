package images

import (
	"context"
	"slices"
	"strconv"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
	"kuva/internal/policy"
)

// An upload of unknown length reserves in steps that double from firstStep to
// lastStep: small images take little from others, large ones few transactions.
const (
	firstStep = 1 << 20
	lastStep  = 64 << 20
)

// grant says how many bytes an upload may reserve now: all of an announced
// size, or a step of an unknown one, or what is left of the quota where that
// is less. The project's row is locked.
func grant(q kuva.Quota, use catalog.QuotaUse, size, step int64) (int64, error) {
	full := kuva.E(kuva.CodeQuota, "image.quota_bytes", "limit", q.Bytes)
	if size >= 0 {
		if q.Bytes >= 0 && size > q.Bytes-use.Bytes-use.Reserved {
			return 0, full
		}
		return size, nil
	}
	if q.Bytes < 0 {
		return step, nil
	}
	left := q.Bytes - use.Bytes - use.Reserved
	if left <= 0 {
		return 0, full
	}
	return min(step, left), nil
}

func (s *Service) quotaOf(ctx context.Context, project string) (q kuva.Quota, err error) {
	err = s.view(ctx, func(tx *catalog.Tx) error {
		q, err = catalog.GetQuota(ctx, tx, project, s.cfg.DefaultQuota)
		return err
	})
	return q, err
}

// Quota returns the limits of a project and what it holds. A project sees its
// own, an admin all.
func (s *Service) Quota(ctx context.Context, p kuva.Principal, project string) (q kuva.Quota, use QuotaUse, err error) {
	if err := s.ofProject(p, policy.GetQuota, project); err != nil {
		return q, use, err
	}
	err = s.view(ctx, func(tx *catalog.Tx) error {
		if q, err = catalog.GetQuota(ctx, tx, project, s.cfg.DefaultQuota); err != nil {
			return err
		}
		use, err = catalog.GetUse(ctx, tx, project)
		return err
	})
	return q, use, err
}

// ofProject refuses whoever may not ask this of a project.
func (s *Service) ofProject(p kuva.Principal, rule policy.Rule, project string) error {
	if project == "" || len(project) > MaxName || !plainText(project) || !s.cfg.Policy.Allows(p, rule, policy.Target{Project: project}) {
		return kuva.E(kuva.CodeForbidden, "image.foreign_project")
	}
	return nil
}

// SetQuota sets limits of a project by name: images, bytes, image_size,
// virtual_size, members, tags, properties, uploads. Below 0 is unlimited, nil
// takes a limit back to the site's default. What a project holds already may
// be above a new limit: then it gets no more. Admins only.
func (s *Service) SetQuota(ctx context.Context, p kuva.Principal, project string, limits map[string]*int64) error {
	if !s.cfg.Policy.Allows(p, policy.SetQuota, policy.Target{Project: project}) {
		return kuva.E(kuva.CodeForbidden, "image.quota_admin")
	}
	if err := s.ofProject(p, policy.SetQuota, project); err != nil {
		return err
	}
	names := make([]string, 0, len(limits))
	for name := range limits {
		if !catalog.IsQuotaName(name) {
			return kuva.E(kuva.CodeInvalid, "image.bad_quota", "name", name)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return s.update(ctx, func(tx *catalog.Tx) error {
		d := detail{}
		for _, name := range names {
			if err := catalog.SetQuota(ctx, tx, project, name, limits[name]); err != nil {
				return err
			}
			d[name] = "default"
			if v := limits[name]; v != nil {
				d[name] = strconv.FormatInt(*v, 10)
			}
		}
		return s.audit(ctx, tx, p, "quota.update", project, audit.OK, d)
	})
}

// Drift is a project whose counters are not the sum of what it holds.
type Drift struct {
	Project string
	Counted QuotaUse // what the counters say
	Sum     QuotaUse // what images and reservations add up to
}

// CheckQuotas compares the counters of every project with what its images and
// uploads add up to. No drift is the invariant.
func (s *Service) CheckQuotas(ctx context.Context) ([]Drift, error) {
	const batch = 500
	var out []Drift
	for after := ""; ; {
		var projects []string
		var found []Drift
		err := s.view(ctx, func(tx *catalog.Tx) (err error) {
			found = nil
			if projects, err = catalog.ProjectsWithUse(ctx, tx, after, batch); err != nil {
				return err
			}
			for _, project := range projects {
				d := Drift{Project: project}
				if d.Counted, err = catalog.GetUse(ctx, tx, project); err != nil {
					return err
				}
				if d.Sum, err = catalog.SumUse(ctx, tx, project); err != nil {
					return err
				}
				if d.Counted != d.Sum {
					found = append(found, d)
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
		if len(projects) < batch {
			return out, nil
		}
		after = projects[len(projects)-1]
	}
}
