package images

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"kuva"
	"kuva/internal/catalog"
)

// maxRemoteRecord bounds what another region says of an image, in bytes.
const maxRemoteRecord = 1 << 20

// remoteRecord is what is read of it.
type remoteRecord struct {
	Status          string  `json:"status"`
	DiskFormat      string  `json:"disk_format"`
	ContainerFormat string  `json:"container_format"`
	Size            *int64  `json:"size"`
	HashAlgo        *string `json:"os_hash_algo"`
	HashValue       *string `json:"os_hash_value"`
}

// remotePrefixes begin the properties that an image brings along, as the
// reference has it.
var remotePrefixes = []string{"hw_", "trait:", "os_distro", "os_version", "os_type", "os_secure_boot", "os_require_quiesce", "architecture"}

// openRemote reads an image of another region with the caller's token: first
// what is said of it, of which formats and hardware properties become this
// image's, then its content, whose digest must be the one that was said.
func (s *Service) openRemote(ctx context.Context, f *filling, pl *plan) (io.ReadCloser, *catalog.Image, error) {
	region, ok := s.cfg.Import.Regions[pl.Region]
	if !ok {
		return nil, nil, kuva.E(kuva.CodeInvalid, "image.import_off")
	}
	token, err := s.depot.OpenSecret(ctx, importSecret(f.id), pl.Token)
	if err != nil {
		return nil, nil, coded(ctx, err)
	}
	header := map[string]string{"X-Auth-Token": token, "Accept": "application/json"}
	at := strings.TrimSuffix(region.Endpoint, "/") + "/v2/images/" + pl.Remote
	r, props, err := readRemote(ctx, region.Opener, at, header)
	if err != nil {
		return nil, nil, err
	}
	img, err := s.adoptRemote(ctx, f, r, props)
	if err != nil {
		return nil, nil, err
	}
	if r.HashAlgo != nil && r.HashValue != nil {
		if f.src.Digests, err = hexDigest(*r.HashAlgo, *r.HashValue); err != nil {
			return nil, nil, kuva.E(kuva.CodeInvalid, "image.import_remote_record").Because(err)
		}
	}
	header["Accept"] = "application/octet-stream"
	content, size, err := region.Opener.Open(ctx, at+"/file", header, -1)
	if err != nil {
		return nil, nil, err
	}
	if size < 0 && r.Size != nil {
		size = *r.Size
	}
	f.src.Size = size
	return content, img, nil
}

func readRemote(ctx context.Context, o Opener, at string, header map[string]string) (*remoteRecord, map[string]string, error) {
	body, _, err := o.Open(ctx, at, header, maxRemoteRecord)
	if err != nil {
		return nil, nil, err
	}
	defer body.Close() //nolint:errcheck // it was only read
	b, err := io.ReadAll(body)
	if err != nil {
		return nil, nil, err
	}
	var r remoteRecord
	var all map[string]any
	if err := errors.Join(json.Unmarshal(b, &r), json.Unmarshal(b, &all)); err != nil {
		return nil, nil, kuva.E(kuva.CodeInvalid, "image.import_remote_record").Because(err)
	}
	if r.Status != string(kuva.StatusActive) {
		return nil, nil, kuva.E(kuva.CodeInvalid, "image.import_remote_status")
	}
	props := map[string]string{}
	for name, value := range all {
		text, ok := value.(string)
		if !ok || name == "os_hash_algo" || name == "os_hash_value" || name == "os_hidden" {
			continue
		}
		for _, prefix := range remotePrefixes {
			if strings.HasPrefix(name, prefix) {
				props[name] = text
			}
		}
	}
	return &r, props, nil
}

// adoptRemote puts what the other region says onto the image.
func (s *Service) adoptRemote(ctx context.Context, f *filling, r *remoteRecord, props map[string]string) (img *catalog.Image, err error) {
	err = s.update(ctx, func(tx *catalog.Tx) error {
		was, err := f.claimed(ctx, tx, catalog.LockImage)
		if err != nil {
			return err
		}
		now := was.Copy()
		now.DiskFormat, now.ContainerFormat = r.DiskFormat, r.ContainerFormat
		for name, value := range props {
			if _, own := now.Properties[name]; !own {
				now.Properties[name] = value
			}
		}
		if now.DiskFormat == "" || now.ContainerFormat == "" {
			return kuva.E(kuva.CodeInvalid, "image.import_remote_record")
		}
		if err := s.checkRecord(now); err != nil {
			return err
		}
		q, err := catalog.GetQuota(ctx, tx, now.Owner, s.cfg.DefaultQuota)
		if err != nil {
			return err
		}
		if err := checkCounts(q, was, now); err != nil {
			return err
		}
		now.UpdatedAt = s.now()
		now.Version++
		img = now
		return catalog.UpdateImage(ctx, tx, was, now)
	})
	return img, err
}
