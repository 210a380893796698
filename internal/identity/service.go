package identity

import (
	"context"
	"encoding/hex"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
)

// The fixed words of the service, on which scripts rely.
const (
	DefaultDomainID   = "default"
	DefaultDomainName = "Default"
	RoleAdmin         = "admin"
	RoleMember        = "member"
	RoleReader        = "reader"
)

// The defaults of Config.
const (
	DefaultTokenTTL = time.Hour // as Keystone's
	maxTokenTTL     = 30 * 24 * time.Hour
)

// Config says how identities behave. Its zero value is useful.
type Config struct {
	// TokenTTL is how long a token lives; 0 means DefaultTokenTTL, and more
	// than 30 days is cut to that.
	TokenTTL time.Duration
	// Params are the costs of password hashes; zero means DefaultParams. A
	// log-in renews a hash that was made with others.
	Params Params
	// Hashes is how many passwords are hashed at one time, each taking
	// Params.Memory; 0 means one for every processor, at most 4.
	Hashes int
	// MinPassword is the shortest password that may be set, in bytes; 0
	// means 1, as Keystone has it.
	MinPassword int
	Throttle    Throttle
	// Now is the wall clock, which may jump; nil means time.Now.
	Now func() time.Time
	// Mono is time since some moment of this process, by a clock that does
	// not jump; nil means the runtime's.
	Mono func() time.Duration
	// Log takes failed log-ins (never what was typed); nil drops them.
	Log *slog.Logger
}

// Service holds the use cases. All methods may be called by many goroutines.
type Service struct {
	cfg      Config
	db       *catalog.DB
	hasher   *hasher
	throttle *throttle
	cache    cache
	loads    singleflight.Group
	changes  atomic.Uint64 // bumped by every change of a user, project or role
}

// New makes the service over a database. It does no I/O; see Bootstrap.
func New(db *catalog.DB, cfg Config) *Service {
	if cfg.TokenTTL <= 0 {
		cfg.TokenTTL = DefaultTokenTTL
	}
	cfg.TokenTTL = min(cfg.TokenTTL, maxTokenTTL)
	if cfg.Params == (Params{}) {
		cfg.Params = DefaultParams
	}
	if cfg.Hashes <= 0 {
		cfg.Hashes = min(runtime.GOMAXPROCS(0), 4)
	}
	cfg.MinPassword = max(cfg.MinPassword, 1)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Mono == nil {
		began := time.Now()
		cfg.Mono = func() time.Duration { return time.Since(began) }
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{
		cfg: cfg, db: db,
		hasher:   newHasher(cfg.Params, cfg.Hashes),
		throttle: newThrottle(cfg.Throttle, cfg.Mono),
	}
}

// Run forgets expired tokens from time to time until ctx ends.
func (s *Service) Run(ctx context.Context) {
	tick := time.NewTicker(10 * time.Minute)
	defer tick.Stop()
	for {
		if err := s.Purge(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Log.Warn("purge of expired tokens", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// change runs one change by an administrator: the check of who asks, the
// change, its audit entry, and the guard that somebody can still log in as
// administrator afterwards. When it returns, no token check of this process
// uses what was known before.
func (s *Service) change(ctx context.Context, p kuva.Principal, action string, fn func(tx *catalog.Tx) (object string, err error)) error {
	if !p.Admin {
		return forbidden(action)
	}
	defer s.changes.Add(1) // also where the outcome of the commit is not known
	return s.db.Update(ctx, func(tx *catalog.Tx) error {
		// One change at a time: two that each leave the other's administrator
		// must not both pass the guard.
		var role string
		if err := tx.QueryRow(ctx, `SELECT id FROM role WHERE name = $1`+tx.Dialect().ForUpdate(), RoleAdmin).Scan(&role); err != nil {
			return err
		}
		object, err := fn(tx)
		if err != nil {
			return err
		}
		if err := adminLeft(ctx, tx); err != nil {
			return err
		}
		_, err = audit.Write(ctx, tx, audit.By(p, s.cfg.Now(), action, object))
		return err
	})
}

func adminLeft(ctx context.Context, tx *catalog.Tx) error {
	var n int
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM assignment x
		JOIN role r ON r.id = x.role AND r.name = $1
		JOIN account a ON a.id = x.account AND a.enabled AND a.password <> ''
		JOIN project p ON p.id = x.project AND p.enabled`, RoleAdmin).Scan(&n)
	if err != nil {
		return err
	}
	if n == 0 {
		return kuva.E(kuva.CodeConflict, "identity.last_admin")
	}
	return nil
}

// forbidden is the same for things that exist and things that do not.
func forbidden(action string) error {
	return kuva.E(kuva.CodeForbidden, "identity.forbidden", "action", action)
}

func unauthenticated() *kuva.Error {
	return kuva.E(kuva.CodeUnauthenticated, "identity.unauthenticated")
}

// notFound is also the answer about what the caller may not know of.
func notFound(kind, id string) error {
	return kuva.E(kuva.CodeNotFound, "identity."+kind+"_not_found", "id", short(id))
}

// short keeps an id of any length out of sentences.
func short(s string) string {
	if len(s) > 255 {
		return s[:255]
	}
	return s
}

func newID() string { return hex.EncodeToString(randomBytes(16)) }

func micros(t time.Time) int64 { return t.UnixMicro() }

func fromMicros(us int64) time.Time { return time.UnixMicro(us).UTC() }
