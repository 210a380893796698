package link

import (
	"context"
	"crypto/subtle"
	"errors"
	"sync"
	"time"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
	"kuva/internal/images"
)

// Use is a link that was opened for one call, by one goroutine. A download ends
// with Done.
type Use struct {
	// Principal is the maker with the rights that it has now, and with the
	// request id and address of the call.
	Principal kuva.Principal
	Link      *catalog.Link

	s    *Service
	etag string // of the download that is counted, "" before
	ends time.Time
	stop func() // ends the notes of a download, nil before it is begun
}

// Open finds a link that is good for reading, or for writing, by its secret.
// address is the caller's, without the port. Whatever is wrong with the link,
// the error is Refused; others mean that nobody can tell now.
func (s *Service) Open(ctx context.Context, secret Secret, write bool, address, requestID string) (*Use, error) {
	var l *catalog.Link
	digest := secret.digest()
	err := s.db.View(ctx, func(tx *catalog.Tx) (err error) {
		l, err = catalog.LiveLink(ctx, tx, digest, address, s.now())
		return err
	})
	switch {
	case errors.Is(err, catalog.ErrNoLink):
		return nil, Refused()
	case err != nil:
		return nil, err
	case subtle.ConstantTimeCompare([]byte(l.Digest), []byte(digest)) != 1 || len(secret) != secretLen:
		return nil, Refused()
	case s.cfg.Off, write && !l.Write, !write && !l.Read:
		return nil, Refused()
	}
	u := &Use{s: s, Link: l, Principal: l.Maker}
	if s.cfg.Again != nil {
		if u.Principal, err = s.cfg.Again(ctx, l.Maker); err != nil {
			return nil, refused(err)
		}
	}
	u.Principal.RequestID, u.Principal.Address = requestID, address
	return u, nil
}

// refused makes what tells that a maker lost a right, or an image is gone, the
// one answer. The log knows more.
func refused(err error) error {
	switch kuva.CodeOf(err) {
	case kuva.CodeUnauthenticated, kuva.CodeForbidden, kuva.CodeNotFound, kuva.CodeGone:
		return Refused().Because(err)
	}
	return err
}

// View opens the file that the link is for.
func (u *Use) View(ctx context.Context) (*images.View, error) {
	l := u.Link
	v, err := u.s.cfg.Images.OpenView(ctx, u.Principal, l.Image, l.Format, images.ViewOptions{Compress: l.Options.Compress, Settings: l.Options.Settings})
	if err != nil {
		return nil, refused(err)
	}
	if v.Image.Status == kuva.StatusDeactivated {
		return nil, Refused() // also where its maker, an administrator, could read it
	}
	return v, nil
}

// Begin counts a download of the bytes that etag names, before the first of
// them; or goes on with one that is counted, where only a range is wanted.
// Refused where the link is not good for one more.
func (u *Use) Begin(ctx context.Context, etag string, ranged bool) error {
	s, id, from := u.s, u.Link.ID, u.Principal.Address
	err := s.db.Update(ctx, func(tx *catalog.Tx) error {
		now := s.now()
		old, there, err := catalog.GetLinkUse(ctx, tx, id, from, etag, now)
		if err != nil {
			return err
		}
		if there && ranged && now.Before(old.BeganAt.Add(longest)) {
			u.etag, u.ends = etag, old.BeganAt.Add(longest)
			return catalog.ExtendLinkUse(ctx, tx, id, from, etag, u.until(now))
		}
		if err := take(ctx, tx, id, from, now); err != nil {
			return err
		}
		u.etag, u.ends = etag, now.Add(longest)
		if err := catalog.PutLinkUse(ctx, tx, catalog.LinkUse{Link: id, Address: from, ETag: etag, BeganAt: now, UntilAt: u.until(now)}); err != nil {
			return err
		}
		if there { // told already: who asks again and again fills no table
			return nil
		}
		return u.audit(ctx, tx, now, "download")
	})
	if err == nil {
		u.flow()
	}
	return err
}

func take(ctx context.Context, tx *catalog.Tx, id, from string, now time.Time) error {
	ok, err := catalog.TakeLink(ctx, tx, id, from, now)
	if err == nil && !ok {
		err = Refused()
	}
	return err
}

// Fill counts an upload and does it. Where it fails the use is given back.
func (u *Use) Fill(ctx context.Context, src images.Source) (*kuva.Image, error) {
	s, id := u.s, u.Link.ID
	err := s.db.Update(ctx, func(tx *catalog.Tx) error {
		now := s.now()
		if err := take(ctx, tx, id, u.Principal.Address, now); err != nil {
			return err
		}
		return u.audit(ctx, tx, now, "upload")
	})
	if err != nil {
		return nil, err
	}
	img, err := s.cfg.Images.Ingest(ctx, u.Principal, u.Link.Image, src)
	if err == nil {
		return img, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ending)
	defer cancel()
	if back := s.db.Update(ctx, func(tx *catalog.Tx) error { return catalog.GiveBackLink(ctx, tx, id) }); back != nil {
		s.cfg.Log.Warn("a link's use is not given back", "link", id, "error", back)
	}
	return nil, refused(err)
}

// Still says whether an upload by this link may go on: Refused once the link
// was revoked or its maker lost the right. Its time may run out meanwhile.
func (u *Use) Still(ctx context.Context) error {
	err := u.s.db.View(ctx, func(tx *catalog.Tx) error {
		_, err := catalog.GetLink(ctx, tx, u.Link.ID)
		return err
	})
	if errors.Is(err, catalog.ErrNoLink) {
		return Refused()
	}
	if err != nil || u.s.cfg.Again == nil {
		return err
	}
	_, err = u.s.cfg.Again(ctx, u.Link.Maker)
	return refused(err)
}

// flow notes from time to time, until Done, that bytes of the download flow, so
// that what breaks off late can be gone on with, too.
func (u *Use) flow() {
	tick, stop := time.NewTicker(refresh), make(chan struct{})
	u.stop = sync.OnceFunc(func() { close(stop) })
	go func() {
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				u.extend()
			}
		}
	}()
}

// Done ends a use, whether it was begun or not.
func (u *Use) Done() {
	if u.stop != nil {
		u.stop()
		u.extend()
	}
}

func (u *Use) extend() {
	ctx, cancel := context.WithTimeout(context.Background(), ending) // the caller may be gone
	defer cancel()
	err := u.s.db.Update(ctx, func(tx *catalog.Tx) error {
		return catalog.ExtendLinkUse(ctx, tx, u.Link.ID, u.Principal.Address, u.etag, u.until(u.s.now()))
	})
	if err != nil {
		u.s.cfg.Log.Warn("a link's use is not extended", "link", u.Link.ID, "error", err)
	}
}

// until is the end of a use of which a byte has flowed now.
func (u *Use) until(now time.Time) time.Time {
	end := now.Add(resume)
	if end.After(u.ends) {
		end = u.ends
	}
	return end
}

// audit writes who used the link: nobody who has a name, so its address.
func (u *Use) audit(ctx context.Context, tx *catalog.Tx, now time.Time, what string) error {
	_, err := audit.Write(ctx, tx, audit.Entry{
		At: now, Actor: "link:" + u.Link.ID, Project: u.Link.Project, Action: "link." + what, Object: u.Link.Image,
		RequestID: u.Principal.RequestID, Detail: map[string]string{"link": u.Link.ID, "address": u.Principal.Address, "maker": u.Link.Maker.UserID},
	})
	return err
}

// Run forgets links that ended long ago, until ctx ends.
func (s *Service) Run(ctx context.Context) {
	tick := time.NewTicker(purge)
	defer tick.Stop()
	for {
		err := s.db.Update(ctx, func(tx *catalog.Tx) error { return catalog.PurgeLinks(ctx, tx, s.now().Add(-keep)) })
		if err != nil && ctx.Err() == nil {
			s.cfg.Log.Warn("purge of links", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
