// Package export writes images, as files of any format, to where the cloud
// does not reach: objects of buckets, and addresses that somebody else signed.
//
//	Start ── image pinned, target checked ──► job image.export ──► done, with a manifest
//	                                             │   ▲
//	                                             ▼   │ goes on behind the parts that the
//	                                    kill, retry ─┘ other side has acknowledged
//
//	export.go   what is wanted; the service
//	start.go    Start, Show, List, Cancel
//	run.go      the job, its end, and the ends that jobs forget
//	piece.go    the file cut into parts, hashed in order
//	bucket.go   objects of buckets
//	signed.go   addresses that somebody else signed
//
// An object is there whole or not at all: parts are put together by the bucket
// at the end, and are given up where an export fails.
//
// # Going on
//
// A file whose length is known goes on at the part behind the last one that
// was acknowledged; parts are verified with the bucket first. What is sent again
// is what was under way: at most 32 MiB for files up to 156 GiB, one part of a
// ten-thousandth of the file for larger ones, because a bucket takes 10,000.
// Compressed files, whose length is not known, begin again.
package export

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/depot"
	"kuva/internal/images"
	"kuva/internal/job"
	"kuva/internal/policy"
	"kuva/internal/transfer/bucket"
	"kuva/internal/transfer/fetch"
)

// Kind is that of the jobs.
const Kind = "image.export"

// The bounds of exports.
const (
	MaxOpen = 100       // of one project
	MaxURLs = 1000      // of parts of one export
	MaxURL  = 8 << 10   // bytes of one address
	MaxAll  = 512 << 10 // bytes of all addresses of one export
	MaxPage = 1000      // exports of one page

	atOnce   = 4                   // on a node
	attempts = 8                   // failures that may pass
	keep     = 30 * 24 * time.Hour // how long ended ones are listed
	tidy     = 2 * time.Second     // between two looks for ends that jobs forgot
	ending   = 30 * time.Second    // for the end of an export that failed
)

// Config is what exports stand on. DB, Depot and Images are needed.
type Config struct {
	DB     *catalog.DB
	Depot  *depot.Depot
	Images *images.Service
	Policy *policy.Policy // nil is the table's defaults
	// Buckets are those that there are; nil is none.
	Buckets *bucket.Set
	// Web reaches addresses of users; nil is none.
	Web *fetch.Fetcher
	// Program names this program in manifests.
	Program string
	Now     func() time.Time // nil is time.Now
	Log     *slog.Logger     // nil discards
}

// Service is the use cases. Its methods may be called at the same time.
type Service struct {
	cfg  Config
	jobs *job.Queue // from Open on

	stop context.CancelFunc
	done sync.WaitGroup
}

// New makes the service; it touches only memory.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{cfg: cfg}
}

// Handlers are the kinds of jobs that it runs.
func (s *Service) Handlers() []job.Handler {
	return []job.Handler{{Kind: Kind, Run: s.run, Limit: atOnce, MaxAttempts: attempts, Outlives: true}}
}

// Open begins the background work with the queue that was made with Handlers.
// Close ends it.
func (s *Service) Open(ctx context.Context, jobs *job.Queue) {
	s.jobs = jobs
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.done.Go(func() { s.tend(ctx) })
}

// Close ends the background work. Jobs under way are the queue's to end.
func (s *Service) Close() {
	if s.stop != nil {
		s.stop()
	}
	s.done.Wait()
}

// Wanted is one export as it is asked for. One of Bucket and Signed is set.
type Wanted struct {
	Image  string
	Format string // "" is the file as the image shows it
	View   images.ViewOptions

	Bucket *images.BucketObject
	Keys   images.BucketKeys
	// Overwrite replaces an object that is there.
	Overwrite bool
	// Sealed asks the bucket to encrypt: "", AES256, aws:kms; KeyID is a key of
	// its key service, "" is the bucket's own.
	Sealed, KeyID string

	Signed *Signed
}

// Signed are addresses that somebody else signed: Put for the whole file, or
// Parts with Complete.
type Signed struct {
	Put      string   `json:"put,omitempty"`
	Parts    []string `json:"parts,omitempty"`    // in order; not all need be used
	Complete string   `json:"complete,omitempty"` // gets the list of parts
	Abort    string   `json:"abort,omitempty"`    // is asked to DELETE them if the export fails
}

// spec is what is kept of Wanted beside the secrets.
type spec struct {
	Format    string               `json:"format"`
	Compress  bool                 `json:"compress,omitempty"`
	Settings  map[string]string    `json:"settings,omitempty"`
	Bucket    *images.BucketObject `json:"bucket,omitempty"`
	Overwrite bool                 `json:"overwrite,omitempty"`
	Sealed    string               `json:"sealed,omitempty"`
	KeyID     string               `json:"key_id,omitempty"`
	Host      string               `json:"host,omitempty"`  // of signed addresses
	Parts     int                  `json:"parts,omitempty"` // how many signed ones there are
	Seal      string               `json:"seal,omitempty"`  // what the secrets are sealed for
	By        kuva.Principal       `json:"by"`
}

// secrets are sealed in the row.
type secrets struct {
	Keys   images.BucketKeys `json:"keys"`
	Signed *Signed           `json:"signed,omitempty"`
}

// Target says where an export goes, as it may be shown.
type Target struct {
	Bucket *images.BucketObject // nil for signed addresses
	Host   string               // of signed addresses
	Parts  int                  // signed addresses of parts
}

// Export is one export.
type Export struct {
	ID         string // and its job's
	Image      string
	Project    string // of who wanted it
	User       string
	Format     string
	Compressed bool
	Settings   map[string]string
	Target     Target
	State      string // pending, running, done, failed, cancelled
	Cancelling bool
	Attempt    int64
	Done       int64 // bytes acknowledged
	Size       int64 // of the file, -1 while unknown
	Sent       int64 // bytes sent over all attempts
	Message    string
	Code       kuva.Code // why it failed, or its newest attempt did; "" if none
	Sentence   string
	Manifest   *images.Manifest // nil until it is done
	CreatedAt  time.Time
	StartedAt  time.Time // of the newest attempt
	EndedAt    time.Time
}

func holder(id string) string { return "export " + id }

func sealFor(seal string) string { return "export " + seal }
