package images

import (
	"cmp"
	"context"
	"errors"
	"io"

	"github.com/google/uuid"

	"kuva"
	"kuva/internal/catalog"
)

// Content that is large and can be read in stretches comes over several
// connections into durable parts, so that neither a broken connection nor the
// end of this process costs more than what was in the air. The parts are those
// of an upload that only this job knows; what it does with them in the end is
// what it does with content that comes in one go.
const (
	fetchWhole = 64 << 20
	fetchPart  = 8 << 20
	// fetchLines are the connections at a time, each of which may lose one part
	// that is not durable: together they stay below fetchWhole.
	fetchLines = 4
	// fetchParts of one stretch: what one request asks for.
	fetchParts = 4
)

// ProtocolFetch is the protocol of uploads that an import makes for itself.
const ProtocolFetch = "fetch"

// Version is one state of content elsewhere.
type Version struct {
	Size int64
	Tag  string
}

// Stretched is content from an Opener that tells of its version; Ranges reports
// whether stretches of it can be read by themselves.
type Stretched interface {
	Tag() string
	Ranges() bool
}

// Ranger is an Opener that reads stretches of content.
type Ranger interface {
	// Range reads n bytes from off of one version. CodeConflict where there is
	// another by now, as well while it is read.
	Range(ctx context.Context, address string, header map[string]string, v Version, off, n int64) (io.ReadCloser, error)
}

// changedAgain is noted on a fetch that began anew.
const changedAgain = "again"

// openWeb begins to read from a URL, or goes on with what an attempt before this
// one has fetched.
func (s *Service) openWeb(ctx context.Context, f *filling, img *catalog.Image, uri string) (io.ReadCloser, error) {
	web := s.cfg.Import.Web
	if web == nil {
		return nil, kuva.E(kuva.CodeInvalid, "image.import_off")
	}
	ranger, _ := web.(Ranger)
	up, err := s.fetchOf(ctx, f)
	if err != nil {
		return nil, err
	}
	var first io.ReadCloser
	if up == nil || ranger == nil || up.Metadata["tag"] == "" {
		content, size, err := web.Open(ctx, uri, nil, -1)
		if err != nil {
			return nil, err
		}
		told := any(content)
		if content, err = readable(content); err != nil {
			_ = content.Close()
			return nil, err
		}
		v, ok := told.(Stretched)
		if ranger == nil || !ok || !v.Ranges() || size <= cmp.Or(s.cfg.Import.FetchWhole, fetchWhole) {
			f.src.Size = size
			return content, nil
		}
		if up, err = s.beginFetch(ctx, f, img, up, Version{size, v.Tag()}); err != nil {
			_ = content.Close()
			return nil, err
		}
		first = content
	}
	f.upload = up.ID
	g := &gathering{
		s: s, f: f, up: up, img: img, size: up.Size, piece: cmp.Or(s.cfg.Import.FetchPart, fetchPart),
		open: func(ctx context.Context, off, n int64) (io.ReadCloser, error) {
			return ranger.Range(ctx, uri, nil, Version{up.Size, up.Metadata["tag"]}, off, n)
		},
	}
	if err := g.all(ctx, first); err != nil {
		switch {
		case ctx.Err() != nil:
		case sourceChanged(err) && up.Metadata[changedAgain] == "":
			if err := s.forgetFetch(ctx, f, up); err != nil {
				return nil, err
			}
			return s.openWeb(ctx, f, img, uri)
		case kuva.CodeOf(err) == kuva.CodeUnavailable && g.rangeless():
			return s.openStream(ctx, f, up, uri, err)
		}
		return nil, err
	}
	if f.file, err = s.openParts(ctx, up.ID); err != nil {
		return nil, err
	}
	if !f.file.whole() {
		return nil, errors.New("parts of fetch " + up.ID + " leave gaps")
	}
	f.run.Say("store content", "bytes")
	f.src.Size = f.file.size
	return f.file.reader(), nil
}

// openStream reads content in one go whose server says that it has ranges, and
// gives none. why is what came of them, which stays the error where the address
// cannot be opened at all now.
func (s *Service) openStream(ctx context.Context, f *filling, up *catalog.Upload, uri string, why error) (io.ReadCloser, error) {
	content, size, err := s.cfg.Import.Web.Open(ctx, uri, nil, -1)
	if err != nil {
		return nil, why
	}
	s.log.Info("source has no ranges; its content is fetched in one go", "image", f.id)
	if err := s.forgetFetch(ctx, f, up); err != nil {
		_ = content.Close()
		return nil, err
	}
	f.src.Size = size
	return content, nil
}

// fetchOf finds what this job has fetched already, nil where nothing.
func (s *Service) fetchOf(ctx context.Context, f *filling) (up *catalog.Upload, err error) {
	err = s.view(ctx, func(tx *catalog.Tx) error {
		up, err = catalog.UploadOfImage(ctx, tx, f.id)
		if errors.Is(err, catalog.ErrNoUpload) || err == nil && (up.Job != f.run.ID || up.State != catalog.UploadFinishing) {
			up = nil
			return nil
		}
		return err
	})
	return up, err
}

// beginFetch reserves the space and makes the row that parts go to, or takes the
// one that was emptied because the content changed.
func (s *Service) beginFetch(ctx context.Context, f *filling, img *catalog.Image, was *catalog.Upload, v Version) (up *catalog.Upload, err error) {
	q, err := s.quotaOf(ctx, img.Owner)
	if err != nil {
		return nil, err
	}
	if q.ImageSize >= 0 && v.Size > q.ImageSize {
		return nil, kuva.E(kuva.CodeTooLarge, "image.too_large", "limit", q.ImageSize)
	}
	err = s.update(ctx, func(tx *catalog.Tx) error {
		if _, err := f.claimed(ctx, tx, catalog.LockImage); err != nil {
			return err
		}
		if _, err := catalog.DropReservation(ctx, tx, f.id); err != nil {
			return err
		}
		use, err := catalog.LockUse(ctx, tx, img.Owner)
		if err != nil {
			return err
		}
		if _, err := grant(q, use, v.Size, 0); err != nil {
			return err
		}
		if err := catalog.BeginReservation(ctx, tx, f.id, img.Owner, 0, v.Size); err != nil {
			return err
		}
		now := s.now()
		if was != nil {
			up, err = catalog.LockUpload(ctx, tx, was.ID)
			if err != nil {
				return err
			}
			up.Size, up.Received, up.UpdatedAt, up.Metadata["tag"] = v.Size, 0, now, v.Tag
			return catalog.UpdateUpload(ctx, tx, up)
		}
		up = &catalog.Upload{
			ID: uuid.NewString(), Protocol: ProtocolFetch, Project: img.Owner, Principal: f.p, Image: f.id, Name: img.Name,
			Size: v.Size, State: catalog.UploadFinishing, Metadata: map[string]string{"tag": v.Tag}, Job: f.run.ID,
			CreatedAt: now, UpdatedAt: now, ExpiresAt: now.Add(UploadKept),
		}
		return catalog.InsertUpload(ctx, tx, up)
	})
	return up, err
}

// forgetFetch drops what was fetched of content that has changed meanwhile.
func (s *Service) forgetFetch(ctx context.Context, f *filling, up *catalog.Upload) error {
	err := s.update(ctx, func(tx *catalog.Tx) error {
		if _, err := f.claimed(ctx, tx, catalog.GetImage); err != nil {
			return err
		}
		now, err := catalog.LockUpload(ctx, tx, up.ID)
		if err != nil {
			return err
		}
		now.Received, now.UpdatedAt, now.Metadata["tag"], now.Metadata[changedAgain] = 0, s.now(), "", "yes"
		return catalog.UpdateUpload(ctx, tx, now)
	})
	if err != nil {
		return err
	}
	s.log.Info("content changed at its source; it is fetched anew", "image", f.id)
	return s.dropParts(ctx, up.ID)
}

// sourceChanged reports whether an Opener found another version of the content
// than the one that it began with.
func sourceChanged(err error) bool {
	var e *kuva.Error
	return errors.As(err, &e) && e.Code == kuva.CodeConflict && e.Text.Key == "fetch.changed"
}
