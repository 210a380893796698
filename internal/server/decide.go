package server

import (
	"context"
	"slices"
	"time"

	"kuva/internal/depot"
	"kuva/internal/identity"
	"kuva/internal/images"
	"kuva/internal/job"
	"kuva/internal/rest"
	"kuva/internal/transfer/region"
)

// decide makes the use cases and puts right what a crash left behind.
func (s *Server) decide(ctx context.Context, node string, opt Options) (err error) {
	s.metrics = rest.NewMetrics(s.registry)
	foreign, err := s.cfg.Identity.external(opt)
	if err != nil {
		return err
	}
	if foreign != nil {
		s.auth = foreign
	} else {
		s.identity = identity.New(s.db, identity.Config{TokenTTL: time.Duration(s.cfg.TokenTTL), Now: opt.Now, Log: s.log, Keys: s.keys})
		s.auth = s.identity
	}
	site, projects, err := s.cfg.Formats.formats()
	if err != nil {
		return err
	}
	imports, err := s.cfg.Import.imports(s.log)
	if err != nil {
		return err
	}
	if s.buckets, err = s.cfg.buckets(imports.Web, s.log); err != nil {
		return err
	}
	imports.Buckets = s.buckets
	inspect, err := s.cfg.Inspect.inspection()
	if err != nil {
		return err
	}
	if s.policy, err = s.cfg.policy(); err != nil {
		return err
	}
	s.images = images.New(images.Config{
		Policy: s.policy, Inspect: inspect,
		Import: imports, Formats: site, ProjectFormats: projects,
		DB: s.db, Depot: s.depot, Log: s.log, Now: opt.Now, HashAlgo: s.cfg.HashAlgo, DefaultQuota: s.cfg.Quota.quota(),
	})
	s.links = s.makeLinks(opt)
	if err := s.openCatalogue(); err != nil {
		return err
	}
	terms, err := s.cfg.terms()
	if err != nil {
		return err
	}
	s.uploads = s.receive(opt, terms)
	s.asks = s.askFirst(opt)
	s.exports = s.makeExports(imports.Web, opt)
	peers, err := s.cfg.peers()
	if err != nil {
		return err
	}
	s.regions = region.New(region.Config{DB: s.db, Images: s.images, Peers: peers, Log: s.log})
	if err := s.defineMetadata(ctx, opt); err != nil {
		return err
	}
	s.jobs, err = job.Open(job.Config{DB: s.db, Node: node, Handlers: slices.Concat(s.images.Handlers(), s.uploads.Handlers(), s.exports.Handlers(), s.regions.Handlers()), Log: s.log, Now: opt.Now, Workers: workers})
	if err != nil {
		return err
	}
	s.exports.Open(ctx, s.jobs)
	s.regions.Open(s.jobs)
	return s.images.Start(ctx, s.jobs)
}

// workers is how many jobs run at once: more than one kind of job may take, so
// that imports, which wait for other sites, keep no job from being done.
const workers = 48

// auditEvery is the time between two comparisons of the whole store with the
// ledger. The second cycle of a process makes one, too.
const auditEvery = 7 * 24 * time.Hour

// collect runs the collector from time to time. Its first cycle waits a
// little, so that a start is not slowed by it.
func (s *Server) collect(ctx context.Context) {
	wait := time.NewTimer(min(time.Minute, time.Duration(s.cfg.CollectEvery)))
	defer wait.Stop()
	var last time.Time // of the last audit, by the monotonic clock
	for cycles := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		began := time.Now()
		audit := last.IsZero() && cycles > 0 || began.Sub(last) >= auditEvery
		report, err := s.depot.Collect(ctx, depot.CollectOptions{Compact: true, Audit: audit})
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.log.Error("collector", "error", err)
		default:
			s.log.Info("collector", "report", report, "seconds", time.Since(began).Seconds())
			s.sweep(ctx)
			if cycles++; audit {
				last = began
			}
		}
		wait.Reset(time.Duration(s.cfg.CollectEvery))
	}
}
