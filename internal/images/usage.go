package images

import (
	"context"
	"time"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/job"
	"kuva/internal/policy"
)

// jobUsage notes once in a while what every project keeps; the last note of a
// day is the day's.
const (
	jobUsage   = "image.usage"
	usageEvery = time.Hour
)

const dayForm = "2006-01-02"

// maxUsageDays bounds one question.
const maxUsageDays = 3700

// Usage returns what a project keeps, one entry a day from first to last
// (2026-11-21, inclusive; "" is today), today's live. Days on which nobody
// counted are left out. A project sees its own, an admin all.
func (s *Service) Usage(ctx context.Context, p kuva.Principal, project, first, last string) ([]UsageDay, error) {
	if err := s.ofProject(p, policy.GetUsage, project); err != nil {
		return nil, err
	}
	today := s.now().Format(dayForm)
	for _, d := range []*string{&first, &last} {
		if *d == "" {
			*d = today
		}
	}
	from, err1 := time.Parse(dayForm, first)
	to, err2 := time.Parse(dayForm, last)
	if err1 != nil || err2 != nil || to.Before(from) || to.Sub(from) > maxUsageDays*24*time.Hour {
		return nil, kuva.E(kuva.CodeInvalid, "image.bad_days", "limit", maxUsageDays)
	}
	var days []UsageDay
	err := s.view(ctx, func(tx *catalog.Tx) (err error) {
		days, err = catalog.UsageDays(ctx, tx, project, first, last)
		return err
	})
	if err != nil || first > today || last < today {
		return days, err
	}
	live, err := s.usageNow(ctx, project)
	if err != nil {
		return nil, err
	}
	for i := range days {
		if days[i].Day == live.Day {
			days[i] = live
			return days, nil
		}
	}
	return append(days, live), nil
}

// usageNow counts a project.
func (s *Service) usageNow(ctx context.Context, project string) (UsageDay, error) {
	day := UsageDay{Day: s.now().Format(dayForm)}
	err := s.view(ctx, func(tx *catalog.Tx) error {
		use, err := catalog.GetUse(ctx, tx, project)
		day.Images, day.Shown = use.Images, use.Bytes
		return err
	})
	if err != nil {
		return day, err
	}
	u, err := s.depot.UsageOfProject(ctx, project)
	day.Stored, day.Unique = u.Stored, u.Unique
	return day, coded(ctx, err)
}

// countUsage is the job: a transaction a project, so that it holds nobody up.
func (s *Service) countUsage(ctx context.Context, run *job.Run) error {
	const batch = 500
	for after := ""; ; {
		var projects []string
		err := s.view(ctx, func(tx *catalog.Tx) (err error) {
			projects, err = catalog.ProjectsWithUse(ctx, tx, after, batch)
			return err
		})
		if err != nil {
			return err
		}
		for _, project := range projects {
			day, err := s.usageNow(ctx, project)
			if err != nil {
				return err
			}
			err = s.update(ctx, func(tx *catalog.Tx) error {
				if err := run.Fence(ctx, tx); err != nil {
					return err
				}
				return catalog.PutUsageDay(ctx, tx, project, day)
			})
			if err != nil {
				return err
			}
		}
		if len(projects) < batch {
			return nil
		}
		after = projects[len(projects)-1]
	}
}

// Cost is what one image costs in sealed bytes.
type Cost struct {
	Stored      int64 // all that it refers to, each chunk once
	Unique      int64 // what deleting it would give back, give or take UniqueError
	UniqueError int64
}

// Cost says what an image costs the store, zero where it has no content. Only
// its owner and admins may know: what is unique depends on what else is there.
func (s *Service) Cost(ctx context.Context, p kuva.Principal, id string) (Cost, error) {
	var img *catalog.Image
	err := s.view(ctx, func(tx *catalog.Tx) (err error) {
		if img, _, err = s.see(ctx, tx, catalog.GetImage, p, id); err == nil && !s.allows(p, policy.GetCost, img, nil) {
			err = notOwner(p, policy.GetCost, img)
		}
		return err
	})
	if err != nil || img.Object == 0 {
		return Cost{}, err
	}
	u, err := s.depot.Usage(ctx, img.Object)
	return Cost{u.Stored, u.Unique, u.UniqueError}, coded(ctx, err)
}
