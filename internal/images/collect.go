package images

import (
	"context"
	"errors"
	"fmt"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
	"kuva/internal/depot"
	"kuva/internal/job"
	"kuva/internal/policy"
)

// jobCollect runs a cycle of the depot's collector that an operator asked for,
// beside those that run by themselves.
const jobCollect = "depot.collect"

// CollectOptions say how far an operator's cycle goes.
type CollectOptions struct {
	Audit   bool `json:"audit"`   // compare the store with the ledger, too
	Compact bool `json:"compact"` // rewrite mostly dead and tiny packs
}

// Depot says what the depot holds, and why it takes no writes, nil while it
// does. Admins only.
func (s *Service) Depot(ctx context.Context, p kuva.Principal) (t depot.Totals, readOnly error, err error) {
	if !s.cfg.Policy.Allows(p, policy.GetDepot, policy.Target{}) {
		return t, nil, kuva.E(kuva.CodeForbidden, "depot.admin")
	}
	t, err = s.depot.Totals(ctx)
	return t, s.depot.ReadOnly(), coded(ctx, err)
}

// PlanCollect says what a cycle of the collector would do now. Nothing is
// changed; writers wait meanwhile. Admins only.
func (s *Service) PlanCollect(ctx context.Context, p kuva.Principal, opt CollectOptions) (depot.Report, error) {
	if !s.cfg.Policy.Allows(p, policy.Collect, policy.Target{}) {
		return depot.Report{}, kuva.E(kuva.CodeForbidden, "depot.admin")
	}
	rep, err := s.depot.Collect(ctx, depot.CollectOptions{DryRun: true, Audit: opt.Audit})
	return rep, s.collectError(ctx, err)
}

// StartCollect begins a cycle as a job, or answers the job that waits for one
// already. Admins only.
func (s *Service) StartCollect(ctx context.Context, p kuva.Principal, opt CollectOptions) (j job.Job, err error) {
	if !s.cfg.Policy.Allows(p, policy.Collect, policy.Target{}) {
		return j, kuva.E(kuva.CodeForbidden, "depot.admin")
	}
	if err := s.depot.ReadOnly(); err != nil {
		return j, coded(ctx, err)
	}
	err = s.update(ctx, func(tx *catalog.Tx) error {
		id, err := s.jobs.Enqueue(ctx, tx, job.New{
			Kind: jobCollect, Args: opt, RequestID: p.RequestID, UniqueKey: fmt.Sprintf("audit=%t compact=%t", opt.Audit, opt.Compact),
		})
		if err != nil {
			return err
		}
		if j, err = s.jobs.Get(ctx, tx, id); err != nil {
			return err
		}
		return s.audit(ctx, tx, p, jobCollect, "depot", audit.OK, detail{"job": id})
	})
	return j, err
}

func (s *Service) collectError(ctx context.Context, err error) error {
	if errors.Is(err, depot.ErrStale) {
		return kuva.E(kuva.CodeConflict, "depot.collector_busy").Because(err)
	}
	return coded(ctx, err)
}

// collect is the job.
func (s *Service) collect(ctx context.Context, run *job.Run) error {
	var opt CollectOptions
	if err := run.Decode(&opt); err != nil {
		return err
	}
	rep, err := s.depot.Collect(ctx, depot.CollectOptions{Audit: opt.Audit, Compact: opt.Compact})
	if err = s.collectError(ctx, err); err != nil {
		if kuva.CodeOf(err) == kuva.CodeConflict { // the other cycle may have begun before what this one is for
			return job.Retry(err)
		}
		return err
	}
	run.Say(fmt.Sprintf("deleted %s, condemned %s, garbage left %d bytes", rep.Deleted, rep.Condemned, rep.Garbage), "")
	return nil
}
