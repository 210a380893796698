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
	// RoleService lets other services look at their users' tokens. It is not
	// made at the first start.
	RoleService = "service"
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
	// SessionIdle and SessionLife bound the sessions of browsers; 0 means
	// DefaultSessionIdle and DefaultSessionLife.
	SessionIdle, SessionLife time.Duration
	// Keys wraps the secrets that kuva keeps for others (EC2 keys); nil
	// refuses to keep any.
	Keys Keys
	// Now is the wall clock, which may jump; nil means time.Now.
	Now func() time.Time
	// Mono is time since some moment of this process, by a clock that does
	// not jump; nil means the runtime's.
	Mono func() time.Duration
	// Log takes failed log-ins (never what was typed); nil drops them.
	Log *slog.Logger
}

// Keys wraps small secrets with keys that the database does not have. The
// local key folder is one.
type Keys interface {
	// Create makes a wrapping key and returns its name.
	Create(ctx context.Context) (name string, err error)
	// Wrap seals plain bound to ad, Unwrap opens it.
	Wrap(ctx context.Context, name string, plain, ad []byte) ([]byte, error)
	Unwrap(ctx context.Context, name string, wrapped, ad []byte) ([]byte, error)
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
	cfg.sessionLives()
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

// change runs one change that the caller was allowed: the change, its audit
// entry, and the guard that somebody can still log in as administrator
// afterwards. When it returns, no token check of this process uses what was
// known before.
func (s *Service) change(ctx context.Context, p kuva.Principal, action string, fn func(tx *catalog.Tx) (object string, err error)) error {
	return s.changeWith(ctx, p, func(tx *catalog.Tx) (audit.Entry, error) {
		object, err := fn(tx)
		return audit.By(p, s.cfg.Now(), action, object), err
	})
}

// changeWith is change for those who write an audit entry of their own.
func (s *Service) changeWith(ctx context.Context, p kuva.Principal, fn func(tx *catalog.Tx) (audit.Entry, error)) error {
	defer s.changes.Add(1) // also where the outcome of the commit is not known
	return s.db.Update(ctx, func(tx *catalog.Tx) error {
		// One change at a time: two that each leave the other's administrator
		// must not both pass the guard.
		var role string
		if err := tx.QueryRow(ctx, `SELECT id FROM role WHERE id = $1`+tx.Dialect().ForUpdate(), RoleID(RoleAdmin)).Scan(&role); err != nil {
			return err
		}
		entry, err := fn(tx)
		if err != nil {
			return err
		}
		if err := adminLeft(ctx, tx); err != nil {
			return err
		}
		_, err = audit.Write(ctx, tx, entry)
		return err
	})
}

// adminLeft holds that an enabled user with a password has the role admin, by
// itself or by a group or by a role that implies it, in an enabled project. A
// role on the system alone does not count: few clients can ask for that.
func adminLeft(ctx context.Context, tx *catalog.Tx) error {
	there, err := exists(ctx, tx, `WITH RECURSIVE up(role) AS (
			SELECT id FROM role WHERE id = $1
			UNION SELECT i.prior FROM role_implied i JOIN up ON up.role = i.implied)
		SELECT 1 FROM assignment x
		JOIN account a ON a.id = x.actor OR a.id IN (SELECT m.account FROM team_member m WHERE m.team = x.actor)
		JOIN domain d ON d.id = a.domain AND d.enabled
		WHERE x.role IN (SELECT role FROM up) AND a.enabled AND a.password <> '' AND x.scope_kind = 'project' AND EXISTS
			(SELECT 1 FROM project p JOIN domain pd ON pd.id = p.domain WHERE p.id = x.scope AND p.enabled AND pd.enabled)`, RoleID(RoleAdmin))
	if err == nil && !there {
		err = kuva.E(kuva.CodeConflict, "identity.last_admin")
	}
	return err
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
