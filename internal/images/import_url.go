package images

import (
	"context"

	"kuva"
	"kuva/internal/job"
	"kuva/internal/policy"
)

// MethodURL brings content from a URL, as kuva's own clients ask for it. The
// Image API's name for less of that is MethodWeb.
const MethodURL = "url"

// URLImport says what is to be brought from a URL.
type URLImport struct {
	URL string
	// Digest, if not nil, is what the bytes at the URL must have, before
	// anything is unpacked: an algorithm (md5, sha1, sha256, sha512) and the sum
	// in hexadecimal.
	Digest *[2]string
	// Exact keeps the bytes as they are sent. Otherwise one layer of gzip, xz,
	// bzip2 or zstd is taken off, and the disk out of a tar, OVA or zip.
	Exact bool
	// Disk is the number of the disk, from 1, in an archive of several; 0 lets
	// the archive say.
	Disk int
}

// maxChoice bounds the number of a disk: archives have no more files.
const maxChoice = 10_000

// ImportURL begins to fill a queued image from a URL, as Import does. An image
// without formats gets those of the content.
func (s *Service) ImportURL(ctx context.Context, p kuva.Principal, id string, in URLImport) (job.Job, error) {
	if s.cfg.Import.Web == nil {
		return job.Job{}, s.unlessUnseen(ctx, p, id, kuva.E(kuva.CodeForbidden, "image.import_off"))
	}
	if err := s.cfg.Import.Web.Check(in.URL); err != nil {
		return job.Job{}, err
	}
	pl := plan{Method: MethodURL, URI: in.URL, Principal: p, Unpack: !in.Exact, Choice: in.Disk}
	if in.Disk < 0 || in.Disk > maxChoice {
		return job.Job{}, kuva.E(kuva.CodeInvalid, "image.import_disk", "most", maxChoice)
	}
	if in.Digest != nil {
		var err error
		if pl.Digests, err = hexDigest(in.Digest[0], in.Digest[1]); err != nil {
			return job.Job{}, err
		}
	}
	return s.startImport(ctx, p, id, policy.ModifyImage, kuva.StatusQueued, jobImport, pl)
}
