package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"kuva/internal/catalog"
	"kuva/internal/depot"
	"kuva/internal/depot/keyfile"
	"kuva/internal/identity"
	"kuva/internal/images"
	"kuva/internal/job"
	"kuva/internal/metadef"
	"kuva/internal/policy"
	"kuva/internal/rest"
	"kuva/internal/rest/kuvav1"
	"kuva/internal/transfer/ask"
	"kuva/internal/transfer/bucket"
	"kuva/internal/transfer/catalogue"
	"kuva/internal/transfer/export"
	"kuva/internal/transfer/link"
	"kuva/internal/transfer/region"
	"kuva/internal/transfer/upload"
)

// Options are what a test or the command line adds to the configuration.
type Options struct {
	Log *slog.Logger
	// AdminPassword sets the first administrator's password; "" makes one.
	AdminPassword string
	// Announce gets the lines that an operator at a terminal should read once,
	// the first password among them. nil drops them.
	Announce io.Writer
	// Now is the wall clock of the whole service, which may jump.
	Now func() time.Time
}

// Server is one node. Open makes it, Run serves until its context ends, Close
// gives everything back.
type Server struct {
	cfg      Config
	log      *slog.Logger
	announce io.Writer

	lock     *os.File
	db       *catalog.DB
	store    store
	depot    *depot.Depot
	jobs     *job.Queue
	keys     *keyfile.Service
	identity *identity.Service // nil where another service keeps the users
	auth     rest.Authenticator
	images   *images.Service
	links    *link.Service
	shelf    *catalogue.Catalogue
	uploads  *upload.Service
	asks     *ask.Service
	buckets  *bucket.Set
	exports  *export.Service
	regions  *region.Service
	metadef  *metadef.Service
	policy   *policy.Policy
	registry *prometheus.Registry
	metrics  *rest.Metrics

	own      *kuvav1.API
	listener net.Listener
	http     *http.Server
	ready    atomic.Bool
	close    sync.Once
	closed   error
}

// Open starts everything but the answering of requests: after it the data
// folder is locked, the schema is current, what a crash left is put right and
// the port is taken. On an error nothing stays open.
func Open(ctx context.Context, cfg Config, opt Options) (_ *Server, err error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, log: opt.Log, announce: opt.Announce, registry: prometheus.NewRegistry()}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.announce == nil {
		s.announce = io.Discard
	}
	defer func() {
		if err != nil {
			_ = s.Close()
		}
	}()
	if err := cfg.makeData(); err != nil {
		return nil, err
	}
	if s.lock, err = lockFile(cfg.lockFile()); err != nil {
		return nil, err
	}
	node, err := nodeName(cfg.nodeFile())
	if err != nil {
		return nil, err
	}
	if err := s.keep(ctx, node, opt); err != nil {
		return nil, err
	}
	if err := s.decide(ctx, node, opt); err != nil {
		return nil, err
	}
	if s.listener, err = s.listen(ctx); err != nil {
		return nil, err
	}
	if s.identity != nil {
		if err := s.firstStart(ctx, opt); err != nil {
			return nil, err
		}
	}
	s.serve()
	return s, nil
}

// keep opens the floors that keep: database, store, depot.
func (s *Server) keep(ctx context.Context, node string, opt Options) (err error) {
	if s.db, err = catalog.Open(ctx, catalog.Config{DSN: s.cfg.Database, Log: s.log}); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	if s.store, err = s.cfg.openStore(ctx, storeServe, s.log); err != nil {
		return err
	}
	if s.keys, err = keyfile.Open(s.cfg.keyDir()); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	s.depot, err = depot.Open(ctx, depot.Config{DB: s.db, Store: s.store, Keys: s.keys, Node: node, Log: s.log, Now: opt.Now})
	return err
}

// listen takes the port.
func (s *Server) listen(ctx context.Context) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if s.cfg.TLSCert == "" {
		return l, nil
	}
	cert, err := tls.LoadX509KeyPair(s.cfg.TLSCert, s.cfg.TLSKey)
	if err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return tls.NewListener(l, &tls.Config{
		Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
	}), nil
}

// URL is where clients reach the service, without a slash at the end.
func (s *Server) URL() string {
	if s.cfg.PublicURL != "" {
		return s.cfg.PublicURL
	}
	scheme := "http"
	if s.cfg.TLSCert != "" {
		scheme = "https"
	}
	host, port, _ := net.SplitHostPort(s.listener.Addr().String())
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// The bounds of one connection. Bodies have no limit of their own here: the
// doors bound each kind.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 60 * time.Second
	maxHeader     = 32 << 10
	stopWithin    = 30 * time.Second
)

func (s *Server) serve() {
	s.http = &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 100},
	}
}

// Run serves until ctx ends, then stops gracefully: requests under way have 30
// seconds to finish, jobs go back to the queue.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	work, workCtx := errgroup.WithContext(ctx)
	if s.identity != nil {
		work.Go(func() error { s.identity.Run(workCtx); return nil })
	}
	work.Go(func() error { s.collect(workCtx); return nil })
	work.Go(func() error { s.links.Run(workCtx); return nil })
	if err := s.jobs.Start(workCtx); err != nil {
		return err
	}
	work.Go(func() error {
		err := s.http.Serve(s.listener)
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return err
	})
	s.ready.Store(true)
	s.log.Info("ready", "url", s.URL(), "data", s.cfg.Data)
	fmt.Fprintf(s.announce, "kuva serves %s\n", s.URL())

	<-workCtx.Done()
	s.ready.Store(false)
	s.log.Info("stopping")
	stop, done := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer done()
	s.own.Close()    // streams of events have no end of their own
	s.uploads.Stop() // they go on where they were
	if err := s.http.Shutdown(stop); err != nil {
		s.log.Warn("requests were cut off", "error", err)
		_ = s.http.Close()
	}
	if err := s.jobs.Stop(stop); err != nil {
		s.log.Warn("jobs were left behind", "error", err)
	}
	return work.Wait()
}

// Close gives everything back, in the reverse order of Open.
func (s *Server) Close() error {
	s.close.Do(func() {
		var errs []error
		if s.http != nil {
			errs = append(errs, s.http.Close())
		} else if s.listener != nil {
			errs = append(errs, s.listener.Close())
		}
		if s.exports != nil {
			s.exports.Close()
		}
		if s.images != nil {
			ctx, done := context.WithTimeout(context.Background(), stopWithin)
			errs = append(errs, s.images.Close(ctx))
			done()
		}
		if s.depot != nil {
			errs = append(errs, s.depot.Close())
		}
		if s.store != nil {
			errs = append(errs, s.store.Close())
		}
		if s.db != nil {
			errs = append(errs, s.db.Close())
		}
		if s.lock != nil {
			errs = append(errs, s.lock.Close())
		}
		s.closed = errors.Join(errs...)
	})
	return s.closed
}
