package images

import (
	"context"
	"encoding/hex"
	"io"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
	"kuva/internal/depot"
	"kuva/internal/job"
)

// jobMove moves content into the realm that its image belongs to now.
const jobMove = "image.move"

// realmFor is the realm that an image's content belongs in: public content in
// the platform's, so that all may share its chunks; everything else in its
// owner's.
func realmFor(img *catalog.Image) string {
	if img.Visibility == kuva.VisibilityPublic {
		return ""
	}
	return img.Owner
}

// settleRealm makes sure that content which lies in another realm than it
// belongs in is moved. The image shows its new visibility at once; until the
// job is done its chunks are found by its old realm alone.
func (s *Service) settleRealm(ctx context.Context, tx *catalog.Tx, p kuva.Principal, img *catalog.Image) error {
	if img.Object == 0 || img.Realm == realmFor(img) || s.jobs == nil {
		return nil
	}
	if img.Realm == "" { // withdrawn: nobody finds its chunks from now on
		if err := s.depot.Withhold(ctx, tx, img.Object); err != nil {
			return err
		}
	}
	_, err := s.jobs.Enqueue(ctx, tx, job.New{
		Kind: jobMove, Image: img.ID, Project: img.Owner, RequestID: p.RequestID, UniqueKey: img.ID,
	})
	return err
}

// Handlers are the jobs of this package, for the queue that Start is given.
func (s *Service) Handlers() []job.Handler {
	return []job.Handler{
		{Kind: jobMove, Run: s.move, Limit: 1},
		{Kind: jobUsage, Run: s.countUsage, Limit: 1, Every: usageEvery},
		{Kind: jobCollect, Run: s.collect, Limit: 1},
		{Kind: jobImport, Run: s.bring, Limit: importLimit, MaxAttempts: importAttempts},
		{Kind: jobLocation, Run: s.bring, Limit: importLimit, MaxAttempts: importAttempts},
		{Kind: jobInspect, Run: s.inspect, Limit: 1},
		{Kind: jobHash, Run: s.hash, Limit: 1},
		{Kind: jobOutgrown, Run: s.dropOutgrown, Limit: 1, Every: outgrownEvery},
	}
}

// move writes an image's content anew in the realm that it belongs in and lets
// the image point there. Readers of the old object finish: it is kept for them
// for a while.
func (s *Service) move(ctx context.Context, run *job.Run) error {
	var img *catalog.Image
	err := s.view(ctx, func(tx *catalog.Tx) (err error) {
		img, err = catalog.GetImage(ctx, tx, run.Image)
		return err
	})
	if err != nil {
		return err
	}
	target := realmFor(img)
	if img.Deleted() || img.Object == 0 || img.Realm == target {
		return nil
	}
	obj, err := s.depot.OpenObject(ctx, img.Object)
	if err != nil {
		return coded(ctx, err)
	}
	content := obj.Reader(ctx, 0, obj.Size())
	defer content.Close()
	run.Say("move content", "bytes")
	hash, err := hex.DecodeString(img.HashValue)
	if err != nil {
		return err
	}
	in := intake{
		project: target, content: &progress{content, run, 0, obj.Size()}, size: obj.Size(), most: -1, algo: img.HashAlgo,
		digests: []Digest{{Algo: img.HashAlgo, Sum: hash}}, blocks: opens(img.DiskFormat, img.ContainerFormat),
		commit: func(tx *catalog.Tx, c committed) error {
			if err := run.Fence(ctx, tx); err != nil {
				return err
			}
			was, err := catalog.LockImage(ctx, tx, img.ID)
			if err != nil {
				return err
			}
			if was.Object != img.Object || realmFor(was) != target {
				return errLost()
			}
			now := was.Copy()
			now.Object, now.Realm = c.Ref, target
			now.Version++
			if err := keepReport(ctx, tx, was, now); err != nil {
				return err
			}
			if err := s.outgrow(ctx, tx, was); err != nil {
				return err
			}
			if err := catalog.UpdateImage(ctx, tx, was, now); err != nil {
				return err
			}
			return s.audit(ctx, tx, kuva.Principal{ProjectID: img.Owner, RequestID: run.RequestID}, jobMove, img.ID, audit.OK, nil)
		},
	}
	if obj.Kind() == depot.KindDisk {
		(&diskFill{native: img.DiskFormat, pour: appendAll(obj)}).into(&in)
	}
	if _, err = s.store(ctx, in); err != nil {
		return s.moveFailed(ctx, err)
	}
	return s.putCard(ctx, img.ID)
}

// moveFailed: an image that changed meanwhile has a job of its own for that;
// what a restart or room may mend is tried again.
func (s *Service) moveFailed(ctx context.Context, err error) error {
	err = coded(ctx, err)
	switch kuva.CodeOf(err) {
	case kuva.CodeGone:
		return nil
	case kuva.CodeStorageFull, kuva.CodeUnavailable, kuva.CodeReadOnly:
		return job.Retry(err)
	}
	return err
}

// progress tells a job how far the reading is.
type progress struct {
	io.Reader
	run  *job.Run
	done int64
	size int64
}

func (r *progress) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.done += int64(n)
	r.run.Progress(r.done, max(r.size, 0))
	return n, err
}
