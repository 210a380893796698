package s3

import (
	"context"
	"fmt"
	"time"

	"github.com/minio/minio-go/v7"
)

// Sweep aborts uploads that were begun before the given time and never
// completed: what nodes that died left behind, which lists and reads do not
// show but the bucket's owner pays for. A writer that still lives then fails at
// its next part, without harm. It returns how many there were.
func (s *Store) Sweep(ctx context.Context, before time.Time) (swept int, err error) {
	var key, id string
	for more := true; more; {
		var page minio.ListMultipartUploadsResult
		err := s.try(ctx, func() (err error) {
			page, err = s.core.ListMultipartUploads(ctx, s.cfg.Bucket, s.prefix, key, id, "", 1000)
			return err
		})
		if err != nil {
			return swept, fmt.Errorf("list uploads: %w", err)
		}
		for _, u := range page.Uploads {
			if !u.Initiated.Before(before) {
				continue
			}
			err := s.try(ctx, func() error {
				err := s.core.AbortMultipartUpload(ctx, s.cfg.Bucket, u.Key, u.UploadID)
				if saidCode(err, minio.NoSuchUpload) {
					return nil
				}
				return err
			})
			if err != nil {
				return swept, fmt.Errorf("abort an upload of %s: %w", u.Key, err)
			}
			swept++
		}
		more = page.IsTruncated && (page.NextKeyMarker != key || page.NextUploadIDMarker != id)
		key, id = page.NextKeyMarker, page.NextUploadIDMarker
	}
	return swept, nil
}
