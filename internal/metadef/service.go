package metadef

import (
	"context"
	"errors"
	"time"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
	"kuva/internal/policy"
)

// Config is what the use cases stand on. DB is needed.
type Config struct {
	DB *catalog.DB
	// Now dates records. Nothing is decided by it.
	Now func() time.Time
	// Policy says who may do what; nil is the table's defaults.
	Policy *policy.Policy
}

// Service is the use cases. Its methods may be called at the same time.
type Service struct {
	db     *catalog.DB
	now    func() time.Time
	policy *policy.Policy
}

// New makes the use cases; it touches only memory.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Service{
		db: cfg.DB, policy: cfg.Policy,
		now: func() time.Time { return cfg.Now().UTC().Truncate(time.Microsecond) },
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// notFound repeats no more of a name than could be one.
func notFound(name string) error {
	if checkName("", name) != nil {
		name = "?"
	}
	return kuva.E(kuva.CodeNotFound, "metadef.not_found", "name", name)
}

// coded gives errors of the catalogue their code. name is of what the call is
// about.
func coded(ctx context.Context, err error, name string) error {
	var e *kuva.Error
	switch {
	case err == nil, errors.As(err, &e):
		return err
	case errors.Is(err, catalog.ErrNoMetadef):
		return notFound(name)
	case errors.Is(err, catalog.ErrMetadefExists):
		return kuva.E(kuva.CodeConflict, "metadef.exists", "name", name)
	case errors.Is(err, catalog.ErrFull):
		return kuva.E(kuva.CodeStorageFull, "image.storage_full").Because(err)
	case errors.Is(err, catalog.ErrUnavailable):
		return kuva.E(kuva.CodeUnavailable, "image.unavailable").Because(err)
	case ctx.Err() != nil:
		return kuva.E(kuva.CodeCancelled, "image.cancelled").Because(err)
	}
	return err
}

func target(n *catalog.MetadefNamespace) policy.Target {
	return policy.Target{Project: n.Owner, Visibility: kuva.Visibility(n.Visibility), Protected: n.Protected}
}

// allow asks the policy about a namespace that the caller sees.
func (s *Service) allow(p kuva.Principal, on policy.Target, rules ...policy.Rule) error {
	for _, rule := range rules {
		if !s.policy.Allows(p, rule, on) {
			return kuva.E(kuva.CodeForbidden, "image.policy", "rule", string(rule))
		}
	}
	return nil
}

type getNamespace func(ctx context.Context, tx *catalog.Tx, name string) (*catalog.MetadefNamespace, error)

// see returns a namespace that p may see. The policy may hide more than its
// visibility does, and nothing less.
func (s *Service) see(ctx context.Context, tx *catalog.Tx, get getNamespace, p kuva.Principal, name string) (*catalog.MetadefNamespace, error) {
	if !plain(name) {
		return nil, notFound(name)
	}
	n, err := get(ctx, tx, name)
	if errors.Is(err, catalog.ErrNoMetadef) {
		return nil, notFound(name)
	}
	if err != nil {
		return nil, err
	}
	sees := p.Admin || n.Visibility == Public || p.ProjectID != "" && n.Owner == p.ProjectID
	if !sees || !s.policy.Allows(p, policy.GetMetadefNamespace, target(n)) {
		return nil, notFound(name)
	}
	return n, nil
}

// look runs fn on a namespace that p sees, once the rules allow it.
func (s *Service) look(ctx context.Context, p kuva.Principal, name string, rules []policy.Rule, fn func(tx *catalog.Tx, n *catalog.MetadefNamespace) error) error {
	return coded(ctx, s.db.View(ctx, func(tx *catalog.Tx) error {
		n, err := s.see(ctx, tx, catalog.GetMetadefNamespace, p, name)
		if err != nil {
			return err
		}
		if err := s.allow(p, target(n), rules...); err != nil {
			return err
		}
		return fn(tx, n)
	}), name)
}

// change is one change of a namespace: which it is, what it is called in the
// audit table, what it is about besides the namespace, and the rules for it.
type change struct {
	namespace, action, item string
	rules                   []policy.Rule
	deletes                 bool // nothing is deleted from a protected namespace
}

// change runs one change: the namespace is locked, the rules are asked, fn
// changes, the audit table gets its line. fn may run more than once.
func (s *Service) change(ctx context.Context, p kuva.Principal, c change, fn func(tx *catalog.Tx, n *catalog.MetadefNamespace) error) error {
	about := c.item
	if about == "" {
		about = c.namespace
	}
	return coded(ctx, s.db.Update(ctx, func(tx *catalog.Tx) error {
		n, err := s.see(ctx, tx, catalog.LockMetadefNamespace, p, c.namespace)
		if err != nil {
			return err
		}
		if err := s.allow(p, target(n), c.rules...); err != nil {
			return err
		}
		if c.deletes && n.Protected {
			return kuva.E(kuva.CodeForbidden, "metadef.protected", "name", c.namespace)
		}
		if err := fn(tx, n); err != nil {
			return err
		}
		return s.audit(ctx, tx, p, c)
	}), about)
}

func (s *Service) audit(ctx context.Context, tx *catalog.Tx, p kuva.Principal, c change) error {
	e := audit.By(p, s.now(), c.action, c.namespace)
	if c.item != "" {
		e.Detail = map[string]string{"name": c.item}
	}
	_, err := audit.Write(ctx, tx, e)
	return err
}
