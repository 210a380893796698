// Package upload takes content in parts, over minutes or days, from whoever
// comes back with the next part: what the tus door, ask-first uploads and long
// fetches have in common.
//
//	begin.go     an upload, its image and its space, in one transaction
//	metadata.go  what its sender says of it
//	receive.go   the next bytes, kept in parts as they come (tus)
//	body.go      the sender's bytes, a part at a time
//	join.go      one upload of several that were sent side by side (tus)
//	show.go      one, and lists of them
//	end.go       ended by its project, or by time
//	watch.go     progress, for event streams
//
// A part is durable when it is told. What an upload holds of the quota stands
// in a reservation of its image, or of itself while it has none. Everything
// that belongs together is written in one transaction, so a crash at any point
// leaves an upload that goes on, or none.
//
// Rows are locked in this order: image, upload, the project's use of its quota.
package upload

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/images"
	"kuva/internal/job"
	"kuva/internal/policy"
)

// The ways in that uploads come by.
const (
	ProtocolTus   = "tus"
	ProtocolAsk   = "ask"
	ProtocolFetch = "fetch"
)

// Config is what the use cases stand on. DB and Images are needed.
type Config struct {
	DB     *catalog.DB
	Images *images.Service
	// Policy says who may do what; nil is the table's defaults.
	Policy *policy.Policy
	Log    *slog.Logger
	// Now dates uploads, and says which have expired.
	Now func() time.Time
	// Terms are to be accepted by whoever begins an upload; nil asks nothing.
	Terms *Terms
	// Open is how many uploads a project may have that have not ended. 0 is
	// DefaultOpen.
	Open int64
	// Expire is how long an upload waits for its next part. 0 is DefaultExpire.
	Expire time.Duration
	// PartSize is where Receive cuts what it takes. 0 is DefaultPartSize.
	PartSize int64
}

// Terms are what a site wants of those who send content to it.
type Terms struct {
	Version string
	Text    string // plain, for people
}

// What holds where the operator says nothing else.
const (
	DefaultOpen   = 1000
	DefaultExpire = 7 * 24 * time.Hour
	// DefaultPartSize is what may have to be sent again after a crash, twice,
	// beside what lies in the buffers of connections, which may be 20 MiB with
	// one proxy: less than 64 MiB together. Such a part and what lists its
	// chunks go into one pack of the depot's.
	DefaultPartSize = 16 << 20
)

// MaxParts is how many parts one upload may have: senders of tiny pieces fill
// the database otherwise.
const MaxParts = 1 << 18

// Service is the use cases. Its methods may be called at the same time.
type Service struct {
	cfg    Config
	db     *catalog.DB
	images *images.Service
	log    *slog.Logger

	mu      sync.Mutex
	writers map[string]map[*writer]struct{} // of this process, by upload
	filled  map[string]string               // those uploads, by their image
}

// New makes the use cases. It must come before the images' Start.
func New(cfg Config) *Service {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Open == 0 {
		cfg.Open = DefaultOpen
	}
	if cfg.Expire == 0 {
		cfg.Expire = DefaultExpire
	}
	if cfg.PartSize == 0 {
		cfg.PartSize = DefaultPartSize
	}
	s := &Service{
		cfg: cfg, db: cfg.DB, images: cfg.Images, log: cfg.Log,
		writers: map[string]map[*writer]struct{}{}, filled: map[string]string{},
	}
	cfg.Images.OnDelete(func(image string) {
		s.mu.Lock()
		id := s.filled[image]
		s.mu.Unlock()
		s.interrupt(id, errGone(), nil)
	})
	return s
}

// now is the time as records keep it: in microseconds, UTC.
func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }

// jobExpire ends uploads whose time has come.
const (
	jobExpire   = "upload.expire"
	expireEvery = 10 * time.Minute
)

// Handlers are the jobs of this package.
func (s *Service) Handlers() []job.Handler {
	return []job.Handler{{Kind: jobExpire, Run: func(ctx context.Context, _ *job.Run) error { return s.Sweep(ctx) }, Limit: 1, Every: expireEvery}}
}

// writer is a call of this process that brings bytes of an upload.
type writer struct {
	cancel    context.CancelCauseFunc
	interrupt func()
}

// Attach makes a context for a call that brings bytes of an upload: it ends
// with the cause when the upload ends or its image is deleted by this process,
// and interrupt, if not nil, is called. Other processes' doings show by Still.
// done must be called.
func (s *Service) Attach(ctx context.Context, u *catalog.Upload, interrupt func()) (_ context.Context, done func()) {
	ctx, _, done = s.attach(ctx, u, interrupt)
	return ctx, done
}

func (s *Service) attach(ctx context.Context, u *catalog.Upload, interrupt func()) (_ context.Context, _ *writer, done func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &writer{cancel: cancel, interrupt: interrupt}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writers[u.ID] == nil {
		s.writers[u.ID] = map[*writer]struct{}{}
	}
	s.writers[u.ID][w] = struct{}{}
	if u.Image != "" {
		s.filled[u.Image] = u.ID
	}
	return ctx, w, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if delete(s.writers[u.ID], w); len(s.writers[u.ID]) == 0 {
			delete(s.writers, u.ID)
			if s.filled[u.Image] == u.ID {
				delete(s.filled, u.Image)
			}
		}
		cancel(nil)
	}
}

// interrupt ends the calls of this process that bring bytes of an upload, but
// for one.
func (s *Service) interrupt(id string, why error, but *writer) {
	s.mu.Lock()
	var all []*writer
	for w := range s.writers[id] {
		if w != but {
			all = append(all, w)
		}
	}
	s.mu.Unlock()
	for _, w := range all {
		w.cancel(why)
		if w.interrupt != nil {
			w.interrupt()
		}
	}
}

// Stop ends the calls of this process that bring bytes. What came is kept, and
// their senders go on elsewhere, or later.
func (s *Service) Stop() {
	s.mu.Lock()
	var all []*writer
	for _, writers := range s.writers {
		for w := range writers {
			all = append(all, w)
		}
	}
	s.mu.Unlock()
	for _, w := range all {
		if w.interrupt != nil {
			w.interrupt()
		}
	}
}

// Still returns nil while an upload waits for bytes, of the writer with this
// token where it is not 0; else CodeGone or CodeConflict. Whoever receives for
// long asks from time to time.
func (s *Service) Still(ctx context.Context, id string, token int64) error {
	return s.db.View(ctx, func(tx *catalog.Tx) error {
		u, err := catalog.GetUpload(ctx, tx, id)
		if errors.Is(err, catalog.ErrNoUpload) {
			return errGone()
		}
		if err == nil {
			err = waits(u)
		}
		if err == nil && token != 0 && u.Writer != token {
			err = errTaken()
		}
		return err
	})
}

// waits refuses uploads that take no bytes any more.
func waits(u *catalog.Upload) error {
	switch u.State {
	case catalog.UploadOpen:
		return nil
	case catalog.UploadFailed:
		return errGone()
	}
	return kuva.E(kuva.CodeConflict, "upload.not_open", "state", string(u.State))
}

func errGone() error  { return kuva.E(kuva.CodeGone, "upload.gone") }
func errTaken() error { return kuva.E(kuva.CodeConflict, "upload.taken_over") }

func notFound(id string) error { return kuva.E(kuva.CodeNotFound, "upload.not_found", "id", id) }

// on is an upload as the policy is asked about it.
func on(u *catalog.Upload) policy.Target {
	return policy.Target{Project: u.Project, User: u.Principal.UserID}
}

// see reads an upload that p may know of. get is catalog.GetUpload or
// catalog.LockUpload.
func (s *Service) see(ctx context.Context, tx *catalog.Tx, get func(context.Context, *catalog.Tx, string) (*catalog.Upload, error), p kuva.Principal, id string) (*catalog.Upload, error) {
	if len(id) != idLen { // ids are server-made
		return nil, notFound(shown(id))
	}
	u, err := get(ctx, tx, id)
	if errors.Is(err, catalog.ErrNoUpload) || err == nil && !s.cfg.Policy.Allows(p, policy.GetUpload, on(u)) {
		return nil, notFound(shown(id))
	}
	return u, err
}

// mayReceive reports whether p may send bytes of an upload.
func (s *Service) mayReceive(p kuva.Principal, u *catalog.Upload) bool {
	return s.cfg.Policy.Allows(p, policy.UploadImage, on(u))
}

// lock locks an upload that p may send for, and its image before it.
func (s *Service) lock(ctx context.Context, tx *catalog.Tx, p kuva.Principal, id string) (*catalog.Upload, *catalog.Image, error) {
	u, err := s.see(ctx, tx, catalog.GetUpload, p, id)
	if err != nil {
		return nil, nil, err
	}
	if !s.mayReceive(p, u) {
		return nil, nil, kuva.E(kuva.CodeForbidden, "image.reader")
	}
	var img *catalog.Image
	if u.Image != "" {
		if img, err = catalog.LockImage(ctx, tx, u.Image); err != nil {
			return nil, nil, err
		}
	}
	if u, err = s.see(ctx, tx, catalog.LockUpload, p, id); err != nil {
		return nil, nil, err
	}
	return u, img, nil
}

// holder is whose reservation an upload's bytes are in.
func holder(u *catalog.Upload) string {
	if u.Image != "" {
		return u.Image
	}
	return u.ID
}
