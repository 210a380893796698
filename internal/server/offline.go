package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"github.com/google/uuid"

	"kuva/internal/blob"
	"kuva/internal/catalog"
	"kuva/internal/depot"
	"kuva/internal/depot/keyfile"
	"kuva/internal/identity"
	"kuva/internal/images"
)

// Tools are a service's floors without its doors, for commands that tend the
// store. They may be used beside a running service: database and store are
// shared, and the tools have a node's name of their own, so that they never
// take the service's leases for their own remains.
type Tools struct {
	DB    *catalog.DB
	Store blob.Store
	Depot *depot.Depot

	store  store
	images *images.Service
}

// OpenTools opens what a service has made; it makes nothing itself.
func OpenTools(ctx context.Context, cfg Config, log *slog.Logger) (_ *Tools, err error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	if err := cfg.made(ctx); err != nil {
		return nil, err
	}
	t := &Tools{}
	defer func() {
		if err != nil {
			_ = t.Close()
		}
	}()
	if t.DB, err = catalog.Open(ctx, catalog.Config{DSN: cfg.Database, Log: log, NoMigrate: true}); err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	if t.store, err = cfg.openStore(ctx, storeTend, log); err != nil {
		return nil, err
	}
	t.Store = t.store
	keys, err := keyfile.Open(cfg.keyDir())
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	t.Depot, err = depot.Open(ctx, depot.Config{DB: t.DB, Store: t.Store, Keys: keys, Node: "cli-" + uuid.NewString(), Log: log})
	if err != nil {
		return nil, err
	}
	t.images = images.New(images.Config{DB: t.DB, Depot: t.Depot, Log: log})
	return t, nil
}

// Verify scrubs database and store, the cards against the image rows
// included; see depot.Verify.
func (t *Tools) Verify(ctx context.Context, rate int64, found func(depot.Finding)) (depot.VerifyReport, error) {
	return t.Depot.Verify(ctx, depot.VerifyOptions{Rate: rate, Card: t.images.CompareCard}, found)
}

// Close gives everything back.
func (t *Tools) Close() error {
	var errs []error
	if t.Depot != nil {
		errs = append(errs, t.Depot.Close())
	}
	if t.store != nil {
		errs = append(errs, t.store.Close())
	}
	if t.DB != nil {
		errs = append(errs, t.DB.Close())
	}
	return errors.Join(errs...)
}

// made tells a data folder from one that a typing error named.
func (c *Config) made(ctx context.Context) error {
	if err := c.storeMade(ctx); err != nil {
		return err
	}
	path, ok := c.databaseFile()
	if !ok {
		return nil
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no database %s: if it was lost, make it anew with `kuva depot rebuild`", path)
	} else if err != nil {
		return err
	}
	return nil
}

// databaseFile is the file of the embedded database, false for another one.
func (c *Config) databaseFile() (string, bool) {
	return strings.CutPrefix(c.Database, "sqlite:")
}

// RebuildOptions say what a rebuild starts from.
type RebuildOptions struct {
	// Merge adds to the database what only the store knows, instead of making
	// it anew.
	Merge bool
	// Identity is the JSON of identities of a backup, read into the new
	// database; nil leaves them to the next start, which makes an
	// administrator.
	Identity *os.File
}

// Rebuild brings database rows back from the store; see depot.Rebuild. The
// service must be stopped: its lock is taken meanwhile.
func Rebuild(ctx context.Context, cfg Config, opt RebuildOptions, log *slog.Logger) (rep depot.RebuildReport, err error) {
	if err := cfg.fill(); err != nil {
		return rep, err
	}
	if err := cfg.storeMade(ctx); err != nil {
		return rep, err
	}
	if _, err := os.Stat(cfg.keyDir()); err != nil {
		return rep, fmt.Errorf("nothing can be read without the keys: put their copy back into %s: %w", cfg.keyDir(), err)
	}
	lock, err := lockFile(cfg.lockFile())
	if err != nil {
		return rep, err
	}
	defer lock.Close()
	db, err := catalog.Open(ctx, catalog.Config{DSN: cfg.Database, Log: log})
	if err != nil {
		return rep, fmt.Errorf("database: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	// Not shared: neither a collector nor a scrub may run meanwhile. A bucket
	// knows no such thing; there the operator must see to it.
	store, err := cfg.openStore(ctx, storeOwn, log)
	if err != nil {
		return rep, err
	}
	defer store.Close()
	keys, err := keyfile.Open(cfg.keyDir())
	if err != nil {
		return rep, fmt.Errorf("keys: %w", err)
	}
	use := images.New(images.Config{DB: db, Log: log})
	rep, err = depot.Rebuild(ctx, depot.Config{DB: db, Store: store, Keys: keys, Node: "rebuild-" + uuid.NewString(), Log: log},
		depot.RebuildOptions{Merge: opt.Merge}, use.RestoreCard)
	if err != nil {
		return rep, err
	}
	if opt.Identity != nil {
		if err := identity.Load(ctx, db, opt.Identity); err != nil {
			return rep, err
		}
	}
	return rep, nil
}
