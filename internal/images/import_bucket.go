package images

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/job"
	"kuva/internal/policy"
)

// MethodBucket brings content from an object of a bucket. It is kuva's own.
const MethodBucket = "bucket"

// BucketObject names an object: of a bucket that the operator configured, by
// Name, or of any bucket, by Endpoint and Bucket.
type BucketObject struct {
	Name     string `json:"name,omitempty"`
	Endpoint string `json:"endpoint,omitempty"` // https://HOST or https://HOST:PORT
	Region   string `json:"region,omitempty"`   // "" is us-east-1
	Bucket   string `json:"bucket,omitempty"`
	Style    string `json:"style,omitempty"` // path, virtual; "" is what the endpoint is known for, else path
	Object   string `json:"object"`
}

// BucketKeys are the caller's own for a bucket that is not configured. Its zero
// value asks as nobody, for buckets that the public may read.
type BucketKeys struct {
	Access  string `json:"access,omitempty"`
	Secret  string `json:"secret,omitempty"`
	Session string `json:"session,omitempty"`
}

// BucketContent is an object opened for reading.
type BucketContent struct {
	io.ReadCloser
	Size int64
	// Manifest is what lies beside the object and says what it is, nil where
	// nothing does.
	Manifest *Manifest
}

// Buckets opens objects of buckets. internal/transfer/bucket has one.
type Buckets interface {
	// Check refuses, with CodeInvalid or CodeNotFound, what would not be asked
	// for a project; it asks nobody.
	Check(project string, at BucketObject, keys BucketKeys) error
	// Open begins to read.
	Open(ctx context.Context, project string, at BucketObject, keys BucketKeys) (*BucketContent, error)
}

// ManifestVersion is the only one that there is.
const ManifestVersion = 1

// MaxManifest bounds a manifest that is read, in bytes.
const MaxManifest = 1 << 20

// Manifest says what a file is that an export wrote. It lies beside the file,
// as JSON.
type Manifest struct {
	Kuva       int               `json:"kuva_manifest"` // ManifestVersion
	Image      ManifestImage     `json:"image"`
	Format     string            `json:"format"` // of the file
	Compressed bool              `json:"compressed,omitempty"`
	Settings   map[string]string `json:"settings,omitempty"`
	Size       int64             `json:"size"`   // of the file, bytes
	SHA256     string            `json:"sha256"` // of the file, lower-case hex
	ETag       string            `json:"etag,omitempty"`
	Program    string            `json:"program"` // that wrote it
	MadeAt     time.Time         `json:"made_at"`
}

// ManifestImage is the image as it was then.
type ManifestImage struct {
	ID              string            `json:"id"`
	Name            string            `json:"name"`
	Project         string            `json:"project"`
	DiskFormat      string            `json:"disk_format"` // as it is kept; the file's is Manifest.Format
	ContainerFormat string            `json:"container_format"`
	HashAlgo        string            `json:"os_hash_algo"` // of the content as it is kept
	HashValue       string            `json:"os_hash_value"`
	MinDisk         int64             `json:"min_disk"`
	MinRAM          int64             `json:"min_ram"`
	Tags            []string          `json:"tags"`
	Properties      map[string]string `json:"properties"`
}

// ParseManifest reads what lies beside an object; nil where it is no manifest
// of a version that is known.
func ParseManifest(b []byte) *Manifest {
	var m Manifest
	if len(b) > MaxManifest || json.Unmarshal(b, &m) != nil || m.Kuva != ManifestVersion || m.Size < 0 {
		return nil
	}
	if sum, err := hex.DecodeString(m.SHA256); err != nil || len(sum) != 32 {
		return nil
	}
	return &m
}

// BucketImport says what is to be brought from a bucket.
type BucketImport struct {
	At   BucketObject
	Keys BucketKeys
	// Plain takes the object alone: a manifest beside it is not looked at.
	Plain bool
	// Digest, Exact and Disk are those of URLImport. A digest goes before the
	// manifest's.
	Digest *[2]string
	Exact  bool
	Disk   int
}

// bucketPlan is its part of an import's plan.
type bucketPlan struct {
	At    BucketObject `json:"at"`
	Keys  string       `json:"keys,omitempty"` // sealed
	Plain bool         `json:"plain,omitempty"`
}

// ImportBucket begins to fill a queued image from an object of a bucket, as
// Import does. Name, formats, properties and the expected digest are taken from
// a manifest that lies beside the object, where the image has none of its own.
func (s *Service) ImportBucket(ctx context.Context, p kuva.Principal, id string, in BucketImport) (job.Job, error) {
	if s.cfg.Import.Buckets == nil {
		return job.Job{}, s.unlessUnseen(ctx, p, id, kuva.E(kuva.CodeForbidden, "bucket.off"))
	}
	if err := s.cfg.Import.Buckets.Check(p.ProjectID, in.At, in.Keys); err != nil {
		return job.Job{}, err
	}
	pl := plan{Method: MethodBucket, Principal: p, Bucket: &bucketPlan{At: in.At, Plain: in.Plain}, Unpack: !in.Exact, Choice: in.Disk}
	if in.Disk < 0 || in.Disk > maxChoice {
		return job.Job{}, kuva.E(kuva.CodeInvalid, "image.import_disk", "most", maxChoice)
	}
	if in.Digest != nil {
		var err error
		if pl.Digests, err = hexDigest(in.Digest[0], in.Digest[1]); err != nil {
			return job.Job{}, err
		}
	}
	if in.Keys != (BucketKeys{}) {
		keys, err := json.Marshal(in.Keys)
		if err != nil {
			return job.Job{}, err
		}
		if pl.Bucket.Keys, err = s.depot.SealSecret(ctx, p.ProjectID, importSecret(id), string(keys)); err != nil {
			return job.Job{}, coded(ctx, err)
		}
	}
	return s.startImport(ctx, p, id, policy.ModifyImage, kuva.StatusQueued, jobImport, pl)
}

// openBucket begins to read, after the manifest's words are on the image.
func (s *Service) openBucket(ctx context.Context, f *filling, pl *plan, img *catalog.Image) (io.ReadCloser, *catalog.Image, error) {
	if s.cfg.Import.Buckets == nil || pl.Bucket == nil {
		return nil, nil, kuva.E(kuva.CodeInvalid, "image.import_off")
	}
	var keys BucketKeys
	if pl.Bucket.Keys != "" {
		text, err := s.depot.OpenSecret(ctx, importSecret(f.id), pl.Bucket.Keys)
		if err != nil {
			return nil, nil, coded(ctx, err)
		}
		if err := json.Unmarshal([]byte(text), &keys); err != nil {
			return nil, nil, err
		}
	}
	c, err := s.cfg.Import.Buckets.Open(ctx, pl.Principal.ProjectID, pl.Bucket.At, keys)
	if err != nil {
		return nil, nil, err
	}
	m := c.Manifest
	if m == nil || pl.Bucket.Plain {
		if img.Name == "" {
			img, err = s.adopt(ctx, f, func(was *catalog.Image) *catalog.Image {
				now := was.Copy()
				now.Name = nameOf(pl.Bucket.At.Object)
				return now
			})
		}
	} else {
		if img, err = s.adopt(ctx, f, m.onto); err == nil && len(f.src.Digests) == 0 {
			f.src.Digests, err = hexDigest("sha256", m.SHA256)
		}
	}
	if err != nil {
		_ = c.Close()
		return nil, nil, err
	}
	f.src.Size = c.Size
	return c, img, nil
}

// nameOf is what an image is called after the object that it comes from.
func nameOf(object string) string {
	base := path.Base(object)
	name := []rune(strings.TrimSuffix(base, path.Ext(base)))
	return string(name[:min(len(name), MaxName)])
}

// adopt puts onto the image what it has none of yet.
func (s *Service) adopt(ctx context.Context, f *filling, onto func(was *catalog.Image) *catalog.Image) (img *catalog.Image, err error) {
	err = s.update(ctx, func(tx *catalog.Tx) error {
		was, err := f.claimed(ctx, tx, catalog.LockImage)
		if err != nil {
			return err
		}
		img = onto(was)
		if err := s.checkFormats(was, img); err != nil {
			return err
		}
		if err := s.checkRecord(img); err != nil {
			return err
		}
		q, err := catalog.GetQuota(ctx, tx, img.Owner, s.cfg.DefaultQuota)
		if err != nil {
			return err
		}
		if err := checkCounts(q, was, img); err != nil {
			return err
		}
		img.UpdatedAt = s.now()
		img.Version++
		return catalog.UpdateImage(ctx, tx, was, img)
	})
	return img, err
}

// onto is an image with the manifest's words where it has none.
func (m *Manifest) onto(was *catalog.Image) *catalog.Image {
	now := was.Copy()
	now.Name = cmp.Or(now.Name, m.Image.Name)
	now.MinDisk, now.MinRAM = cmp.Or(now.MinDisk, m.Image.MinDisk), cmp.Or(now.MinRAM, m.Image.MinRAM)
	if now.DiskFormat == "" && slices.Contains(DiskFormats, m.Format) {
		now.DiskFormat = m.Format
	}
	now.ContainerFormat = cmp.Or(now.ContainerFormat, m.Image.ContainerFormat)
	if m.Format != m.Image.DiskFormat || now.DiskFormat == "" { // a view is the file of a disk and nothing around it
		now.ContainerFormat = cmp.Or(was.ContainerFormat, containerBare)
	}
	if len(now.Tags) == 0 {
		now.Tags = unique(m.Image.Tags)
	}
	for name, value := range m.Image.Properties {
		if _, own := now.Properties[name]; !own {
			now.Properties[name] = value
		}
	}
	// Images of another cloud: these ids would be somebody else's here.
	maps.DeleteFunc(now.Properties, func(name, _ string) bool {
		_, own := was.Properties[name]
		return !own && (name == kuva.PropertyBaseImageRef || name == kuva.PropertyInstanceUUID)
	})
	return now
}
