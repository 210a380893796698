// Package region sends images to other regions: peers that the operator
// configured, other kuvas or any other Image API.
//
//	Replicate ──► job image.replicate ──► kuva: record, then what it lacks of the content
//	                                  └─► another: record, then the file by PUT
//
// A copy has the id of its image, so that lineage means the same in both
// regions, and a job that is run again finds what it began. Content that was
// kept exactly arrives with the same digest; a disk arrives as a disk. The peer
// looks into it by itself.
package region

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"kuva"
	"kuva/client"
	"kuva/internal/audit"
	"kuva/internal/catalog"
	"kuva/internal/images"
	"kuva/internal/job"
)

// Kind is that of the jobs.
const Kind = "image.replicate"

const (
	atOnce   = 2 // on a node
	attempts = 6 // failures that may pass
)

// Peer is another region.
type Peer struct {
	// Settings say how to log in there.
	Settings client.Settings
	// Projects may send to it; nil is all.
	Projects []string
	// KeepOwner lets copies belong to the project with the same id there, for
	// which the user of Settings must be an administrator. Else they belong to
	// that user's project.
	KeepOwner bool
	// Bandwidth is how many bytes a second are sent at most. 0 is any number.
	Bandwidth int64
	// Terms is the version of the peer's terms that the operator accepts.
	Terms string
}

func (p *Peer) of(project string) bool {
	return p.Projects == nil || slices.Contains(p.Projects, project)
}

// Config is what replication stands on. DB and Images are needed.
type Config struct {
	DB     *catalog.DB
	Images *images.Service
	Peers  map[string]Peer
	Log    *slog.Logger // nil discards
}

// Service is the use cases. Its methods may be called at the same time.
type Service struct {
	cfg  Config
	jobs *job.Queue // from Open on
}

// New makes the service; it touches only memory.
func New(cfg Config) *Service {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{cfg: cfg}
}

// Handlers are the kinds of jobs that it runs.
func (s *Service) Handlers() []job.Handler {
	return []job.Handler{{Kind: Kind, Run: s.run, Limit: atOnce, MaxAttempts: attempts}}
}

// Open takes the queue that was made with Handlers.
func (s *Service) Open(jobs *job.Queue) { s.jobs = jobs }

// Peers lists the names of the regions that the caller's project may send to.
func (s *Service) Peers(p kuva.Principal) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(s.cfg.Peers)) {
		peer := s.cfg.Peers[name]
		if p.ProjectID != "" && peer.of(p.ProjectID) {
			out = append(out, name)
		}
	}
	return out
}

// wish is the argument of the job.
type wish struct {
	Peer      string         `json:"peer"`
	Principal kuva.Principal `json:"principal"`
}

// Replicate begins to send an image to a peer and returns the job. One job for
// an image and a peer runs at a time: another call gets that one. CodeInvalid
// for a peer that the caller has not, CodeConflict for an image without content,
// CodeForbidden for one whose bytes the caller may not take elsewhere.
func (s *Service) Replicate(ctx context.Context, p kuva.Principal, image, peer string) (j job.Job, err error) {
	to, ok := s.cfg.Peers[peer]
	known := ok && to.of(p.ProjectID)
	holder := Kind + " asked"
	err = s.cfg.DB.Update(ctx, func(tx *catalog.Tx) error {
		img, err := s.cfg.Images.Hold(ctx, tx, p, image, holder)
		if err != nil {
			return err
		}
		if err := s.cfg.Images.Release(ctx, tx, img.Object, holder); err != nil { // it was only asked whether
			return err
		}
		if !known {
			return kuva.E(kuva.CodeInvalid, "region.unknown", "list", strings.Join(s.Peers(p), ", "))
		}
		id, err := s.jobs.Enqueue(ctx, tx, job.New{
			Kind: Kind, Args: wish{peer, p}, Image: img.ID, Project: p.ProjectID, RequestID: p.RequestID, UniqueKey: img.ID + " " + peer,
		})
		if err != nil {
			return err
		}
		if j, err = s.jobs.Get(ctx, tx, id); err != nil {
			return err
		}
		e := audit.By(p, time.Now().UTC(), Kind, img.ID)
		e.Detail = map[string]string{"peer": peer, "job": id}
		_, err = audit.Write(ctx, tx, e)
		return err
	})
	return j, images.Coded(ctx, err)
}
