package export

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
	"kuva/internal/images"
	"kuva/internal/job"
	"kuva/message"
)

// running is one export in the hands of its job, or of whoever ends it.
type running struct {
	s        *Service
	run      *job.Run // nil for those that end it
	row      *catalog.Export
	sp       spec
	sec      secrets
	view     *images.View
	manifest images.Manifest
}

// run is the job.
func (s *Service) run(ctx context.Context, run *job.Run) error {
	r, err := s.load(ctx, run.ID)
	if err != nil || r == nil {
		return err
	}
	r.run = run
	if err = r.write(ctx); err == nil {
		err = s.succeeded(ctx, r)
	}
	if err != nil {
		return s.failed(ctx, r, images.Coded(ctx, err))
	}
	return nil
}

// load reads an export that is open; nil where it is not any more.
func (s *Service) load(ctx context.Context, id string) (*running, error) {
	r := &running{s: s}
	err := s.cfg.DB.View(ctx, func(tx *catalog.Tx) (err error) {
		r.row, err = catalog.GetExport(ctx, tx, id)
		return err
	})
	if errors.Is(err, catalog.ErrNoExport) || err == nil && r.row.State != catalog.ExportOpen {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return r, r.read(ctx)
}

// read understands the row.
func (r *running) read(ctx context.Context) error {
	if err := json.Unmarshal([]byte(r.row.Spec), &r.sp); err != nil {
		return err
	}
	if r.row.Secret == "" {
		return nil
	}
	text, err := r.s.cfg.Depot.OpenSecret(ctx, sealFor(r.sp.Seal), r.row.Secret)
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(text), &r.sec)
}

// write does the work.
func (r *running) write(ctx context.Context) (err error) {
	var img kuva.Image
	if err := json.Unmarshal([]byte(r.row.Record), &img); err != nil {
		return err
	}
	if r.view, err = r.s.cfg.Images.HeldView(ctx, &img, r.sp.Format, r.sp.view()); err != nil {
		return err
	}
	if r.view.Size >= 0 && r.row.Size >= 0 && r.view.Size != r.row.Size {
		return kuva.E(kuva.CodeConflict, "export.other_layout") // another release lays this format out otherwise
	}
	r.manifest = images.Manifest{
		Kuva: images.ManifestVersion, Format: r.view.Format, Compressed: r.sp.Compress, Settings: r.sp.Settings, Program: r.s.cfg.Program,
		Image: images.ManifestImage{
			ID: img.ID, Name: img.Name, Project: img.Owner, DiskFormat: img.DiskFormat, ContainerFormat: img.ContainerFormat,
			HashAlgo: img.HashAlgo, HashValue: img.HashValue, MinDisk: img.MinDisk, MinRAM: img.MinRAM, Tags: img.Tags, Properties: img.Properties,
		},
	}
	if r.sp.Bucket != nil {
		return r.toBucket(ctx)
	}
	return r.toSigned(ctx)
}

// describe completes the manifest.
func (r *running) describe(parts []catalog.ExportPart, tag string) error {
	state, err := base64.StdEncoding.DecodeString(parts[len(parts)-1].State)
	if err != nil {
		return err
	}
	sum, err := newSum(state)
	if err != nil {
		return err
	}
	r.manifest.Size, r.manifest.SHA256, r.manifest.ETag, r.manifest.MadeAt = r.row.Size, hex.EncodeToString(sum.Sum(nil)), tag, r.s.now()
	return nil
}

// note writes, where the attempt is still this one.
func (r *running) note(ctx context.Context, fn func(tx *catalog.Tx) error) error {
	return r.s.cfg.DB.Update(ctx, func(tx *catalog.Tx) error {
		if err := r.run.Fence(ctx, tx); err != nil {
			return err
		}
		return fn(tx)
	})
}

func (s *Service) succeeded(ctx context.Context, r *running) error {
	text, err := json.Marshal(r.manifest)
	if err != nil {
		return err
	}
	return r.note(ctx, func(tx *catalog.Tx) error {
		if err := catalog.SetExportSize(ctx, tx, r.row.ID, r.manifest.Size); err != nil {
			return err
		}
		return s.end(ctx, tx, r.row, r.sp.By, catalog.ExportDone, nil, string(text))
	})
}

// end ends an export in a transaction, once.
func (s *Service) end(ctx context.Context, tx *catalog.Tx, row *catalog.Export, by kuva.Principal, state string, why error, result string) error {
	code, sentence, word := "", "", audit.OK
	if why != nil {
		code, sentence = string(kuva.CodeOf(why)), sentenceOf(why)
		word = code
	}
	done, err := catalog.EndExport(ctx, tx, row.ID, state, code, sentence, result, s.now())
	if err != nil || !done {
		return err
	}
	if err := s.cfg.Images.Release(ctx, tx, row.Object, holder(row.ID)); err != nil {
		return err
	}
	return s.audit(ctx, tx, by, "image.export.end", row.Image, word, map[string]string{"job": row.ID})
}

func sentenceOf(err error) string {
	var e *kuva.Error
	if errors.As(err, &e) {
		return e.Text.In(message.English)
	}
	return message.New("internal").In(message.English)
}

// failed decides whether another attempt may help. If not, what was sent is
// given up and the export says why.
func (s *Service) failed(ctx context.Context, r *running, err error) error {
	state := catalog.ExportFailed
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, job.ErrLost), errors.Is(cause, job.ErrStopping), errors.Is(err, job.ErrLost):
		return err // it goes on elsewhere, or later
	case errors.Is(cause, job.ErrCancelled):
		state, err = catalog.ExportCancelled, kuva.E(kuva.CodeCancelled, "export.cancelled").Because(err)
	case kuva.CodeOf(err) == kuva.CodeUnavailable && r.run.Failures+1 < attempts:
		return job.Retry(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ending)
	defer cancel()
	r.giveUp(ctx)
	end := r.note(ctx, func(tx *catalog.Tx) error { return s.end(ctx, tx, r.row, r.sp.By, state, err, "") })
	if end != nil { // it is done when the job has ended
		s.cfg.Log.Warn("end failed export", "export", r.row.ID, "error", end)
	}
	return err
}

// giveUp has the other side forget what it has of the file.
func (r *running) giveUp(ctx context.Context) {
	var err error
	switch {
	case r.sec.Signed != nil:
		err = r.abortSigned(ctx)
	case r.row.Upload != "":
		b, openErr := r.bucket()
		if err = openErr; err == nil {
			err = b.Abort(ctx, r.sp.Bucket.Object, r.row.Upload)
			b.Close()
		}
	}
	if err != nil {
		r.s.cfg.Log.Warn("parts of an export are left behind", "export", r.row.ID, "to", r.sp.where(), "error", err)
	}
}

// tend ends exports whose job ended without a word: cancelled before it began,
// or with its node too often; and forgets old ones.
func (s *Service) tend(ctx context.Context) {
	t := time.NewTicker(tidy)
	defer t.Stop()
	var dropped time.Time // monotonic
	for {
		err := s.endLeft(ctx)
		if err == nil && (dropped.IsZero() || time.Since(dropped) > time.Hour) {
			dropped = time.Now()
			err = s.cfg.DB.Update(ctx, func(tx *catalog.Tx) error { return catalog.DropExports(ctx, tx, s.now().Add(-keep)) })
		}
		if err != nil && ctx.Err() == nil {
			s.cfg.Log.Warn("tend exports", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func (s *Service) endLeft(ctx context.Context) error {
	var left []*catalog.Export
	err := s.cfg.DB.View(ctx, func(tx *catalog.Tx) (err error) {
		left, err = catalog.LeftExports(ctx, tx, 100)
		return err
	})
	if err != nil {
		return err
	}
	for _, row := range left {
		r := &running{s: s, row: row}
		if err := r.read(ctx); err != nil {
			s.cfg.Log.Warn("the keys of an export cannot be read", "export", row.ID, "error", err)
		} else {
			short, cancel := context.WithTimeout(ctx, ending)
			r.giveUp(short)
			cancel()
		}
		err := s.cfg.DB.Update(ctx, func(tx *catalog.Tx) error {
			j, err := s.jobs.Get(ctx, tx, row.ID)
			if err != nil && kuva.CodeOf(err) != kuva.CodeNotFound {
				return err
			}
			if err == nil && !j.State.Final() {
				return nil
			}
			state, why := catalog.ExportFailed, kuva.E(kuva.CodeInternal, "job.lost_often")
			if j.State == job.Cancelled {
				state, why = catalog.ExportCancelled, kuva.E(kuva.CodeCancelled, "export.cancelled")
			}
			return s.end(ctx, tx, row, r.sp.By, state, why, "")
		})
		if err != nil {
			return err
		}
	}
	return nil
}
