package images

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/depot"
	"kuva/internal/job"
	"kuva/internal/policy"
)

// Config is what the use cases stand on. DB and Depot are needed.
type Config struct {
	DB    *catalog.DB
	Depot *depot.Depot
	Log   *slog.Logger
	// Now dates records. Nothing is decided by it.
	Now func() time.Time

	// Policy says who may do what; nil is the table's defaults.
	Policy *policy.Policy
	// HashAlgo is the second digest of new content: sha512 (the default) or
	// sha256. Content that is there keeps its own.
	HashAlgo string
	// DefaultQuota is in force where the operator set nothing else for a
	// project; the zero value is kuva.DefaultQuota.
	DefaultQuota kuva.Quota
	// Formats are what the site accepts, ProjectFormats what single projects
	// may have instead, by their ids.
	Formats        Formats
	ProjectFormats map[string]Formats
	// Import says what content may be brought, and from where.
	Import ImportConfig
	// Inspect says what is made of what is inside images.
	Inspect InspectConfig
}

// DiskFormats and ContainerFormats are the enumerations of the Image API.
var (
	DiskFormats      = []string{"ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop"}
	ContainerFormats = []string{"ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed"}
)

// Limits that no quota raises. Together they keep the card of an image, which
// holds all of it, well below the megabyte that the depot takes.
const (
	MaxName       = 255       // characters of names, tags, owners and property names
	MaxProperties = 256 << 10 // bytes of all extra properties of an image, as JSON
	MaxMembers    = 1000      // of one image
	MaxTags       = 256       // of one image
	MaxPage       = 1000      // images of one page
)

// Service is the use cases. Its methods may be called at the same time.
type Service struct {
	cfg   Config
	db    *catalog.DB
	depot *depot.Depot
	log   *slog.Logger
	jobs  *job.Queue // from Start on

	checks  chan struct{} // as many places as contents may be checked at a time
	surveys surveys

	creates createRate

	mu      sync.Mutex
	running map[string]*upload    // uploads of this process, by image
	cards   map[string]int64      // cards made durable, not yet noted in the rows
	reads   map[string]*readCount // not yet added to the rows

	unfinished []func(context.Context) error // uploads whose failure could not be noted yet

	deleted []func(image string) // told of images that this process deletes

	stop context.CancelFunc
	done sync.WaitGroup
}

// New makes the use cases; it touches only memory. Start begins their
// background work.
func New(cfg Config) *Service {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.HashAlgo == "" {
		cfg.HashAlgo = kuva.DefaultHashAlgo
	}
	if cfg.DefaultQuota == (kuva.Quota{}) {
		cfg.DefaultQuota = kuva.DefaultQuota
	}
	cfg.Formats = cfg.Formats.or(Formats{DiskFormats, ContainerFormats})
	return &Service{
		cfg: cfg, db: cfg.DB, depot: cfg.Depot, log: cfg.Log,
		checks:  make(chan struct{}, checksMost),
		running: map[string]*upload{}, cards: map[string]int64{}, reads: map[string]*readCount{},
	}
}

// now is the time as records keep it: in microseconds, UTC.
func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }
