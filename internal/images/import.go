package images

import (
	"context"
	"io"
	"maps"
	"slices"
	"strings"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
	"kuva/internal/job"
	"kuva/internal/policy"
)

// The ways to bring content, by the names that the Image API has for them.
const (
	MethodDirect = "glance-direct"   // what was staged
	MethodWeb    = "web-download"    // from a URL
	MethodRemote = "glance-download" // from an image of another region

	methodLocation = "location" // from a URL that its owner may read later
	methodCopy     = "copy"     // from an object of another realm
)

// Opener opens content elsewhere. internal/transfer has one.
type Opener interface {
	// Check refuses, with CodeInvalid, an address that would not be asked; it
	// asks nobody.
	Check(address string) error
	// Open begins to read. size is below 0 where it is unknown. header goes to
	// the origin of the address alone; most bounds the bytes, below 0 it does
	// not.
	Open(ctx context.Context, address string, header map[string]string, most int64) (content io.ReadCloser, size int64, err error)
}

// ImportConfig says what may be imported. The zero value allows glance-direct
// alone.
type ImportConfig struct {
	// Web opens URLs of users; nil is no web-download and no locations.
	Web Opener
	// Regions are the Image APIs that images may be fetched from, by region.
	Regions map[string]Region
	// Buckets opens objects of buckets; nil is no imports from there.
	Buckets Buckets
	// Unpack takes one layer of gzip, xz, bzip2 or zstd off what is imported, and
	// the disk out of a tar, OVA or zip. What is sent by PUT stays as it is.
	Unpack bool
	// FetchWhole is the most bytes that are fetched from a URL in one go, and
	// FetchPart how many a durable part of more has; four are in the air at a
	// time. 0 is 64 MiB and 8 MiB; other numbers are for tests.
	FetchWhole, FetchPart int64
	// Locations lets owners fill images by naming a URL (locations of the
	// Image API).
	Locations bool
}

// Region is another region's Image API.
type Region struct {
	Endpoint string // up to and without /v2
	Opener   Opener // that reaches this endpoint and nothing else
}

// Import says how an image's content is to be brought.
type Import struct {
	Method string
	URI    string // of MethodWeb
	Region string // of MethodRemote
	Remote string // the image's id there
	Token  string // the caller's, for the other region
	Task   bool   // asked for by a task of the type import
}

// ImportMethods lists the methods that this site takes.
func (s *Service) ImportMethods() []string {
	out := []string{MethodDirect}
	if s.cfg.Import.Web != nil {
		out = append(out, MethodWeb)
	}
	if len(s.cfg.Import.Regions) > 0 {
		out = append(out, MethodRemote)
	}
	return out
}

// plan is the argument of an import's job: what was asked for, and by whom.
type plan struct {
	Method    string         `json:"method"`
	URI       string         `json:"uri,omitempty"`
	Region    string         `json:"region,omitempty"`
	Remote    string         `json:"remote,omitempty"`
	Token     string         `json:"token,omitempty"` // sealed
	Bucket    *bucketPlan    `json:"bucket,omitempty"`
	Unpack    bool           `json:"unpack,omitempty"` // whatever the site does
	Choice    int            `json:"choice,omitempty"` // the disk of an archive, from 1
	Upload    string         `json:"upload,omitempty"` // whose parts are the content
	Digests   []Digest       `json:"digests,omitempty"`
	Task      bool           `json:"task,omitempty"`
	Principal kuva.Principal `json:"principal"`
}

// Import begins to bring an image's content and returns the job that does it;
// the image is importing from then on. CodeConflict for an image in another
// state than the method needs, one that an operation runs on included;
// CodeInvalid for a method that the site does not take and addresses that it
// does not fetch. What becomes of it is seen on the image: active, or queued
// again with the reason.
func (s *Service) Import(ctx context.Context, p kuva.Principal, id string, in Import) (job.Job, error) {
	if !slices.Contains(s.ImportMethods(), in.Method) {
		return job.Job{}, kuva.E(kuva.CodeInvalid, "image.import_method", "list", strings.Join(s.ImportMethods(), ", "))
	}
	pl := plan{Method: in.Method, Task: in.Task, Principal: p}
	from := kuva.StatusQueued
	switch in.Method {
	case MethodDirect:
		from = kuva.StatusUploading
	case MethodWeb:
		if err := s.cfg.Import.Web.Check(in.URI); err != nil {
			return job.Job{}, err
		}
		pl.URI = in.URI
	case MethodRemote:
		if _, ok := s.cfg.Import.Regions[in.Region]; !ok {
			return job.Job{}, kuva.E(kuva.CodeInvalid, "image.import_region", "list", strings.Join(slices.Sorted(maps.Keys(s.cfg.Import.Regions)), ", "))
		}
		if !uuidPattern.MatchString(in.Remote) {
			return job.Job{}, kuva.E(kuva.CodeInvalid, "image.import_remote")
		}
		sealed, err := s.depot.SealSecret(ctx, p.ProjectID, importSecret(id), in.Token)
		if err != nil {
			return job.Job{}, coded(ctx, err)
		}
		pl.Region, pl.Remote, pl.Token = in.Region, strings.ToLower(in.Remote), sealed
	}
	return s.startImport(ctx, p, id, policy.ModifyImage, from, jobImport, pl)
}

func importSecret(image string) string { return "import " + image }

// startImport takes the image and enqueues the job, in one transaction.
func (s *Service) startImport(ctx context.Context, p kuva.Principal, id string, rule policy.Rule, from kuva.Status, kind string, pl plan) (j job.Job, err error) {
	err = s.update(ctx, func(tx *catalog.Tx) error {
		was, _, err := s.see(ctx, tx, catalog.LockImage, p, id)
		if err != nil {
			return err
		}
		if err := s.allow(p, rule, was); err != nil {
			return err
		}
		if err := s.importable(ctx, tx, p, was, from, pl.Method); err != nil {
			return err
		}
		if from == kuva.StatusQueued {
			if err := s.holdUpload(ctx, tx, was, 0); err != nil {
				return err
			}
		}
		if j, err = s.enqueueImport(ctx, tx, was, kind, pl); err != nil {
			return err
		}
		if pl.Method == methodLocation {
			if err := catalog.SetLocation(ctx, tx, was.ID, pl.URI); err != nil {
				return err
			}
		}
		now := was.Copy()
		now.Status, now.LastFailure = kuva.StatusImporting, nil
		if err := catalog.UpdateImage(ctx, tx, was, now); err != nil {
			return err
		}
		return s.audit(ctx, tx, p, "image.import", id, audit.OK, detail{"method": pl.Method, "job": j.ID})
	})
	return j, err
}

// importable refuses images that no content can be brought into now.
func (s *Service) importable(ctx context.Context, tx *catalog.Tx, p kuva.Principal, img *catalog.Image, from kuva.Status, method string) error {
	switch {
	case img.Status != from:
		return kuva.E(kuva.CodeConflict, "image.import_state", "status", img.Status, "method", method, "want", from)
	case method != MethodRemote && method != MethodBucket && method != MethodURL && (img.DiskFormat == "" || img.ContainerFormat == ""):
		return kuva.E(kuva.CodeConflict, "image.no_formats")
	case signed(img):
		return kuva.E(kuva.CodeInvalid, "image.signed")
	case img.Visibility == kuva.VisibilityPublic && !s.allows(p, policy.PublicizeImage, img, nil):
		return kuva.E(kuva.CodeForbidden, "image.public_content_admin")
	case from != kuva.StatusUploading:
		return nil
	}
	_, ok, err := catalog.GetStaged(ctx, tx, img.ID)
	if err == nil && !ok {
		err = kuva.E(kuva.CodeConflict, "image.staging", "status", img.Status)
	}
	return err
}

// holdUpload counts an import as an upload under way, with so many bytes,
// until the job reserves what it needs.
func (s *Service) holdUpload(ctx context.Context, tx *catalog.Tx, img *catalog.Image, size int64) error {
	q, err := catalog.GetQuota(ctx, tx, img.Owner, s.cfg.DefaultQuota)
	if err != nil {
		return err
	}
	use, err := catalog.LockUse(ctx, tx, img.Owner)
	if err != nil {
		return err
	}
	if q.Uploads >= 0 && use.Uploads >= q.Uploads {
		return kuva.E(kuva.CodeQuota, "image.quota_uploads", "limit", q.Uploads)
	}
	if _, err := grant(q, use, size, 0); err != nil {
		return err
	}
	return catalog.BeginReservation(ctx, tx, img.ID, img.Owner, 0, size)
}

func (s *Service) enqueueImport(ctx context.Context, tx *catalog.Tx, img *catalog.Image, kind string, pl plan) (job.Job, error) {
	id, err := s.jobs.Enqueue(ctx, tx, job.New{
		Kind: kind, Args: pl, Image: img.ID, Project: img.Owner, RequestID: pl.Principal.RequestID,
	})
	if err != nil {
		return job.Job{}, err
	}
	if err := catalog.SetImport(ctx, tx, img.ID, id); err != nil {
		return job.Job{}, err
	}
	return s.jobs.Get(ctx, tx, id)
}

// signed reports whether an image says that its content is signed. The
// reference checks that with a key manager; without one it refuses the
// content.
func signed(img *catalog.Image) bool {
	for _, name := range []string{"img_signature", "img_signature_hash_method", "img_signature_key_type", "img_signature_certificate_uuid"} {
		if img.Properties[name] == "" {
			return false
		}
	}
	return true
}
