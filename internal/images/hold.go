package images

import (
	"context"
	"errors"
	"hash"
	"time"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
	"kuva/internal/policy"
)

// Hold says what content that comes in parts, in its own time, is for.
type Hold struct {
	// Image is the queued image to fill; "" makes New.
	Image string
	New   NewImage
	// Size is how many bytes are to be reserved at once.
	Size int64
	// First, if not nil, is called when the image's row is locked (if it is
	// there), and before the project's is.
	First func(tx *catalog.Tx, img *catalog.Image) error
	// Then is called at the end of the transaction, with the image as it is
	// then.
	Then func(tx *catalog.Tx, img *catalog.Image) error
}

// HoldImage makes an image for content that comes in parts, or takes the queued
// one: it is uploading from then on, without a lease, and bytes are reserved
// for it. All of it happens in one transaction, which may run more than once;
// the image's card is durable when nil returns. Errors are those of Create and
// of Ingest before its first byte.
func (s *Service) HoldImage(ctx context.Context, p kuva.Principal, h Hold) (*kuva.Image, error) {
	var made *catalog.Image
	if h.Image == "" {
		var err error
		if made, err = s.newImage(p, h.New); err != nil {
			return nil, err
		}
		if err := s.MayBegin(p, time.Now()); err != nil {
			return nil, err
		}
	}
	var img *catalog.Image
	err := s.update(ctx, func(tx *catalog.Tx) (err error) {
		if made != nil {
			img, err = s.holdNew(ctx, tx, p, made.Copy(), h)
		} else {
			img, err = s.holdQueued(ctx, tx, p, h)
		}
		if err != nil {
			return err
		}
		return h.Then(tx, img)
	})
	if err != nil {
		return nil, err
	}
	if made != nil {
		if err := s.putCard(ctx, img.ID); err != nil {
			return nil, err
		}
	}
	return &img.Image, nil
}

// MayBegin counts one more image, or what has a record like one, against the
// rate at which a project may make them. CodeThrottled.
func (s *Service) MayBegin(p kuva.Principal, at time.Time) error {
	if p.Admin {
		return nil
	}
	return s.creates.take(p.ProjectID, at)
}

func (s *Service) holdNew(ctx context.Context, tx *catalog.Tx, p kuva.Principal, m *catalog.Image, h Hold) (*catalog.Image, error) {
	if err := s.allow(p, policy.UploadImage, m); err != nil {
		return nil, err
	}
	if err := s.fillable(p, m, kuva.StatusUploading); err != nil {
		return nil, err
	}
	if h.First != nil {
		if err := h.First(tx, m); err != nil {
			return nil, err
		}
	}
	m.Status = kuva.StatusUploading
	if err := s.insert(ctx, tx, p, m, h.New.Visibility != ""); err != nil {
		return nil, err
	}
	if err := s.HoldFor(ctx, tx, m.Owner, m.ID, h.Size); err != nil {
		return nil, err
	}
	return m, s.audit(ctx, tx, p, "image.create", m.ID, audit.OK, detail{"name": m.Name})
}

func (s *Service) holdQueued(ctx context.Context, tx *catalog.Tx, p kuva.Principal, h Hold) (*catalog.Image, error) {
	was, _, err := s.see(ctx, tx, catalog.LockImage, p, h.Image)
	if err != nil {
		return nil, err
	}
	if err := s.allow(p, policy.UploadImage, was); err != nil {
		return nil, err
	}
	if err := s.fillable(p, was, kuva.StatusUploading); err != nil {
		return nil, err
	}
	if h.First != nil {
		if err := h.First(tx, was); err != nil {
			return nil, err
		}
	}
	if err := s.HoldFor(ctx, tx, was.Owner, was.ID, h.Size); err != nil {
		return nil, err
	}
	now := was.Copy()
	now.Status = kuva.StatusUploading
	if err := catalog.UpdateImage(ctx, tx, was, now); err != nil {
		return nil, err
	}
	return now, s.audit(ctx, tx, p, "image.begin", was.ID, audit.OK, nil)
}

// HoldFor reserves bytes for the holder: an image that content comes for in
// parts, or content that has no image yet. CodeQuota where there is no room.
func (s *Service) HoldFor(ctx context.Context, tx *catalog.Tx, project, holder string, bytes int64) error {
	q, err := catalog.GetQuota(ctx, tx, project, s.cfg.DefaultQuota)
	if err != nil {
		return err
	}
	use, err := catalog.LockUse(ctx, tx, project)
	if err != nil {
		return err
	}
	if _, err := grant(q, use, bytes, 0); err != nil {
		return err
	}
	return catalog.BeginReservation(ctx, tx, holder, project, catalog.WaitingLease, bytes)
}

// HoldBytes sets what a holder has reserved to want bytes, or as many as there
// is room for, and returns them. CodeQuota where that is fewer than least;
// CodeGone for a holder that has nothing reserved any more.
func (s *Service) HoldBytes(ctx context.Context, tx *catalog.Tx, holder string, least, want int64) (int64, error) {
	project, have, ok, err := catalog.HeldBytes(ctx, tx, holder)
	if err != nil {
		return 0, err
	}
	if !ok {
		return 0, errLost()
	}
	more := want - have
	if more == 0 {
		return have, nil
	}
	q, err := catalog.GetQuota(ctx, tx, project, s.cfg.DefaultQuota)
	if err != nil {
		return 0, err
	}
	use, err := catalog.LockUse(ctx, tx, project)
	if err != nil {
		return 0, err
	}
	if left := q.Bytes - use.Bytes - use.Reserved; more > 0 && q.Bytes >= 0 {
		more = min(more, max(left, 0))
	}
	if have+more < least {
		return 0, kuva.E(kuva.CodeQuota, "image.quota_bytes", "limit", q.Bytes)
	}
	return have + more, catalog.GrowReservation(ctx, tx, holder, project, more)
}

// LetGo ends the waiting of an image for content that will not come: one that
// was made for it is deleted, protected or not, another one is queued again
// with the reason. The caller has locked its row, and looks after its card by
// PutCard. Nothing happens to an image that waits no more.
func (s *Service) LetGo(ctx context.Context, tx *catalog.Tx, p kuva.Principal, id string, made bool, why error, received int64) error {
	was, err := catalog.LockImage(ctx, tx, id)
	if errors.Is(err, catalog.ErrNoImage) || err == nil && (was.Deleted() || was.Status != kuva.StatusUploading || was.Lease != 0) {
		return nil
	}
	if err != nil {
		return err
	}
	if !made {
		return s.backToQueued(ctx, tx, p, was, why, received)
	}
	now := was.Copy()
	if err := s.erase(ctx, tx, now); err != nil {
		return err
	}
	now.Version++
	if err := catalog.UpdateImage(ctx, tx, was, now); err != nil {
		return err
	}
	return s.audit(ctx, tx, p, "image.delete", id, audit.OK, detail{"name": now.Name, "status": string(was.Status)})
}

// PutCard makes the card of an image as it is now durable, after a change by
// HoldImage or LetGo.
func (s *Service) PutCard(ctx context.Context, id string) error { return s.putCard(ctx, id) }

// OnDelete has f called with the id of each image that this process deletes. It
// is called before Start.
func (s *Service) OnDelete(f func(image string)) { s.deleted = append(s.deleted, f) }

// endWaiting ends the upload that fills an image which is deleted. Its parts go
// later.
func (s *Service) endWaiting(ctx context.Context, tx *catalog.Tx, image string) error {
	u, err := catalog.UploadOfImage(ctx, tx, image)
	if errors.Is(err, catalog.ErrNoUpload) {
		return nil
	}
	if err != nil {
		return err
	}
	at := s.now()
	_, err = catalog.EndUpload(ctx, tx, u.ID, failure(errLost(), at, u.Received), at.Add(UploadKept))
	return err
}

// MostBytes is how many bytes the content of an image of a project may have,
// below 0 any number, where its formats are as said ("" where they are not
// known).
func (s *Service) MostBytes(ctx context.Context, tx *catalog.Tx, project, diskFormat, containerFormat string) (int64, error) {
	q, err := catalog.GetQuota(ctx, tx, project, s.cfg.DefaultQuota)
	return mostBytes(q, diskFormat, containerFormat), err
}

// MostOfDisk is how many bytes a guest's disk of a project may have, below 0
// any number.
func (s *Service) MostOfDisk(ctx context.Context, tx *catalog.Tx, project string) (int64, error) {
	q, err := catalog.GetQuota(ctx, tx, project, s.cfg.DefaultQuota)
	return q.VirtualSize, err
}

func mostBytes(q kuva.Quota, diskFormat, containerFormat string) int64 {
	if opens(diskFormat, containerFormat) && plainFormat(diskFormat) && q.VirtualSize >= 0 && (q.ImageSize < 0 || q.VirtualSize < q.ImageSize) {
		return q.VirtualSize
	}
	return q.ImageSize
}

// CutAsDisk reports whether content that is said to be of these formats is cut
// as a disk's file is; what is not said is taken for one.
func CutAsDisk(diskFormat, containerFormat string) bool {
	return diskFormat == "" || opens(diskFormat, containerFormat)
}

// RealmOf is the project whose realm an image's content belongs in, "" for the
// platform's.
func RealmOf(img *catalog.Image) string { return realmFor(img) }

// DropParts gives the parts of an upload that has ended to the collector, in
// transactions of a few hundred. It may be called again at any time.
func (s *Service) DropParts(ctx context.Context, id string) error { return s.dropParts(ctx, id) }

// NewHash makes the hash of an algorithm by the name that announced digests
// have: md5, sha1, sha256 or sha512; nil for others.
func NewHash(algo string) hash.Hash { return newHash(algo) }

// Failure is what an upload keeps of why it ended.
func Failure(why error, at time.Time, received int64) *kuva.Failure {
	return failure(why, at, received)
}

// InReserve runs f in the room that is held back for what makes room, where
// there is no other; see depot.InReserve.
func (s *Service) InReserve(f func() error) error { return s.depot.InReserve(f) }
