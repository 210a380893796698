package images

import (
	"context"
	"encoding/hex"
	"strings"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/job"
	"kuva/internal/policy"
)

// Location is where content is fetched from, and what it must be.
type Location struct {
	URL string
	// HashAlgo and HashValue, in hex, and MD5 are enforced where they are not
	// "".
	HashAlgo, HashValue, MD5 string
}

// AddLocation fills a queued image from a URL, which its owner may read later.
// It is an import: the bytes are fetched, checked and kept, so that the image
// does not change with what lies at the address. CodeForbidden where the site
// does not have it; CodeConflict for an image that is not queued.
func (s *Service) AddLocation(ctx context.Context, p kuva.Principal, id string, at Location) (job.Job, error) {
	if err := s.locations(); err != nil {
		return job.Job{}, s.unlessUnseen(ctx, p, id, err)
	}
	digests, err := at.digests()
	if err != nil {
		return job.Job{}, err
	}
	if err := s.cfg.Import.Web.Check(at.URL); err != nil {
		return job.Job{}, err
	}
	pl := plan{Method: methodLocation, URI: at.URL, Digests: digests, Principal: p}
	j, err := s.startImport(ctx, p, id, policy.AddLocation, kuva.StatusQueued, jobLocation, pl)
	return j, err
}

// Locations reports whether the site lets owners name one.
func (s *Service) Locations() bool { return s.locations() == nil }

func (s *Service) locations() error {
	if !s.cfg.Import.Locations || s.cfg.Import.Web == nil {
		return kuva.E(kuva.CodeForbidden, "image.locations_off")
	}
	return nil
}

// unlessUnseen refuses with err, but where p does not see the image with that.
func (s *Service) unlessUnseen(ctx context.Context, p kuva.Principal, id string, err error) error {
	if _, unseen := s.Show(ctx, p, id); unseen != nil {
		return unseen
	}
	return err
}

func (l Location) digests() ([]Digest, error) {
	var out []Digest
	for _, d := range [][2]string{{strings.ToLower(l.HashAlgo), l.HashValue}, {"md5", l.MD5}} {
		if d[1] == "" {
			continue
		}
		one, err := hexDigest(d[0], d[1])
		if err != nil {
			return nil, err
		}
		out = append(out, one...)
	}
	return out, nil
}

// hexDigest is one digest, as records write it.
func hexDigest(algo, value string) ([]Digest, error) {
	sum, err := hex.DecodeString(value)
	if h := newHash(algo); err != nil || h == nil || h.Size() != len(sum) {
		return nil, kuva.E(kuva.CodeInvalid, "image.bad_digest", "algo", algo)
	}
	return []Digest{{Algo: algo, Sum: sum}}, nil
}

// LocationOf returns the URL that an image's owner named, "" where there is
// none and for all but its owner.
func (s *Service) LocationOf(ctx context.Context, p kuva.Principal, img *kuva.Image) (url string, err error) {
	if s.locations() != nil || !p.Admin && (p.ProjectID == "" || p.ProjectID != img.Owner) {
		return "", nil
	}
	err = s.view(ctx, func(tx *catalog.Tx) error {
		url, err = catalog.GetLocation(ctx, tx, img.ID)
		return err
	})
	return url, err
}

// FetchLocation is for services of the cloud: where an image's content lies.
// CodeForbidden for everybody else.
func (s *Service) FetchLocation(ctx context.Context, p kuva.Principal, id string) (url string, err error) {
	if err := s.locations(); err != nil {
		return "", s.unlessUnseen(ctx, p, id, err)
	}
	err = s.view(ctx, func(tx *catalog.Tx) error {
		img, _, err := s.see(ctx, tx, catalog.GetImage, p, id)
		if err != nil {
			return err
		}
		if !s.allows(p, policy.FetchLocation, img, nil) {
			return refused(policy.FetchLocation)
		}
		url, err = catalog.GetLocation(ctx, tx, id)
		return err
	})
	return url, err
}
