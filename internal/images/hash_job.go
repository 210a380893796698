package images

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"strconv"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
	"kuva/internal/depot"
	"kuva/internal/job"
)

// jobHash fills in the digests of content that came without a pass over the
// file that its image shows.
const jobHash = "image.hash"

// The facts of what was sent that an image of a disk keeps.
const (
	PropertySourceFormat = "kuva_source_format"
	PropertySourceSize   = "kuva_source_size"
	PropertySourceSHA512 = "kuva_source_sha512"
	// PropertyTerms is which terms of the site its sender accepted, who that was,
	// and when.
	PropertyTerms = "kuva_terms_accepted"
)

// hashing is the argument of the job.
type hashing struct {
	Sent   bool   `json:"sent,omitempty"`   // a file was sent, and is to be hashed as well
	Upload string `json:"upload,omitempty"` // whose parts are that file, "" where it is the disk
}

func objectKey(ref int64) string { return "object " + strconv.FormatInt(ref, 16) }

// hashLater has the digests filled in once tx is committed.
func (s *Service) hashLater(ctx context.Context, tx *catalog.Tx, img *catalog.Image, h hashing, requestID string) error {
	if s.jobs == nil {
		return nil
	}
	_, err := s.jobs.Enqueue(ctx, tx, job.New{Kind: jobHash, Args: h, Image: img.ID, Project: img.Owner, RequestID: requestID, UniqueKey: img.ID})
	return err
}

// hashMissing has digests filled in that no job is on the way for: of images
// that a rebuild brought back.
func (s *Service) hashMissing(ctx context.Context) error {
	const batch = 100
	for after := ""; ; {
		var ids []string
		err := s.update(ctx, func(tx *catalog.Tx) (err error) {
			if ids, err = catalog.UnhashedImages(ctx, tx, after, batch); err != nil {
				return err
			}
			for _, id := range ids {
				img, err := catalog.GetImage(ctx, tx, id)
				if err != nil {
					return err
				}
				if err := s.hashLater(ctx, tx, img, hashing{}, ""); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || len(ids) < batch {
			return err
		}
		after = ids[batch-1]
	}
}

// hash is the job.
func (s *Service) hash(ctx context.Context, run *job.Run) error {
	var h hashing
	if err := run.Decode(&h); err != nil {
		return err
	}
	var img *catalog.Image
	err := s.view(ctx, func(tx *catalog.Tx) (err error) {
		img, err = catalog.GetImage(ctx, tx, run.Image)
		return err
	})
	if err != nil {
		return err
	}
	if !img.Deleted() && img.Object != 0 && img.HashValue == "" {
		err = s.fillDigests(ctx, run, img, h)
		if err = s.moveFailed(ctx, err); err != nil {
			return err
		}
	}
	if h.Upload != "" {
		return s.dropParts(ctx, h.Upload)
	}
	return nil
}

func (s *Service) fillDigests(ctx context.Context, run *job.Run, img *catalog.Image, h hashing) error {
	run.Say("hash content", "bytes")
	obj, err := s.depot.OpenObject(ctx, img.Object)
	if err != nil {
		return err
	}
	content := &Content{object: obj}
	if content.native, err = s.layNative(ctx, obj, img.DiskFormat); err != nil {
		return err
	}
	total := content.Size()
	if h.Sent {
		total *= 2 // about
	}
	meter := &progress{nil, run, 0, total}
	sums, err := digestAll(ctx, meter, content.open(ctx, 0, content.Size()), "md5", s.cfg.HashAlgo)
	if err != nil {
		return err
	}
	source := ""
	if h.Sent {
		if source, err = s.sourceSum(ctx, meter, obj, h.Upload); err != nil {
			return err
		}
	}
	err = s.update(ctx, func(tx *catalog.Tx) error {
		if err := run.Fence(ctx, tx); err != nil {
			return err
		}
		was, err := catalog.LockImage(ctx, tx, img.ID)
		if err != nil || was.Deleted() || was.HashValue != "" {
			return err
		}
		if was.Object != img.Object { // it moved to another realm
			return kuva.E(kuva.CodeUnavailable, "image.moved")
		}
		now := was.Copy()
		now.MD5, now.HashAlgo, now.HashValue = sums[0], s.cfg.HashAlgo, sums[1]
		if source != "" {
			setProperty(now, PropertySourceSHA512, source)
		}
		now.Version++
		if err := keepReport(ctx, tx, was, now); err != nil {
			return err
		}
		if err := catalog.UpdateImage(ctx, tx, was, now); err != nil {
			return err
		}
		return s.audit(ctx, tx, kuva.Principal{ProjectID: img.Owner, RequestID: run.RequestID}, jobHash, img.ID, audit.OK, nil)
	})
	if err != nil {
		return err
	}
	return s.putCard(ctx, img.ID)
}

// sourceSum hashes the file that was sent.
func (s *Service) sourceSum(ctx context.Context, meter *progress, obj *depot.Object, upload string) (string, error) {
	r := io.ReadCloser(obj.Reader(ctx, 0, obj.Size()))
	if upload != "" {
		file, err := s.openParts(ctx, upload)
		if errors.Is(err, catalog.ErrNoUpload) {
			return "", nil // it is gone; the fact stays unknown
		}
		if err != nil {
			return "", err
		}
		r = file.reader()
	}
	sums, err := digestAll(ctx, meter, r, "sha512")
	if err != nil {
		return "", err
	}
	return sums[0], nil
}

// digestAll reads and closes r and returns its digests in hexadecimal.
func digestAll(ctx context.Context, meter *progress, r io.ReadCloser, algos ...string) ([]string, error) {
	defer r.Close() //nolint:errcheck // it was only read
	meter.Reader = r
	d := newDigester(algos)
	defer d.end()
	for {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		b := d.piece()
		var err error
		b.n, err = fill(meter, b.buf[:])
		d.add(b)
		b.done()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	d.end()
	out := make([]string, len(algos))
	for i, a := range algos {
		out[i] = hex.EncodeToString(d.sum(a))
	}
	return out, nil
}

func setProperty(img *catalog.Image, name, value string) {
	if img.Properties == nil {
		img.Properties = map[string]string{}
	}
	img.Properties[name] = value
}
