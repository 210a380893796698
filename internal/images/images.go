package images

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/depot"
)

// Config is what the use cases stand on. DB and Depot are needed.
type Config struct {
	DB    *catalog.DB
	Depot *depot.Depot
	Log   *slog.Logger
	// Now dates records. Nothing is decided by it.
	Now func() time.Time

	// HashAlgo is the second digest of new content: sha512 (the default) or
	// sha256. Content that is there keeps its own.
	HashAlgo string
	// DefaultQuota is in force where the operator set nothing else for a
	// project; the zero value is kuva.DefaultQuota.
	DefaultQuota kuva.Quota
	// DiskFormats and ContainerFormats are what the site accepts; nil takes
	// all of the Image API.
	DiskFormats      []string
	ContainerFormats []string
}

// DiskFormats and ContainerFormats are the enumerations of the Image API.
var (
	DiskFormats      = []string{"ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop"}
	ContainerFormats = []string{"ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed"}
)

// Limits of the Image API, in characters or bytes as said.
const (
	MaxName          = 255      // characters of names, tags, owners and property names
	MaxPropertyValue = 64 << 10 // bytes of one property's value
	MaxPage          = 1000     // images of one page
)

// Service is the use cases. Its methods may be called at the same time.
type Service struct {
	cfg   Config
	db    *catalog.DB
	depot *depot.Depot
	log   *slog.Logger
	now   func() time.Time

	mu      sync.Mutex
	running map[string]context.CancelCauseFunc // uploads of this process, by image
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
	if cfg.DiskFormats == nil {
		cfg.DiskFormats = DiskFormats
	}
	if cfg.ContainerFormats == nil {
		cfg.ContainerFormats = ContainerFormats
	}
	return &Service{
		cfg: cfg, db: cfg.DB, depot: cfg.Depot, log: cfg.Log, now: cfg.Now,
		running: map[string]context.CancelCauseFunc{},
	}
}

// Settings are what doors show of the site's configuration.
func (s *Service) Settings() (diskFormats, containerFormats []string) {
	return s.cfg.DiskFormats, s.cfg.ContainerFormats
}
