package s3

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/minio/minio-go/v7"

	"kuva/internal/blob"
)

// List implements blob.Store. Objects whose names are no keys are somebody
// else's and are passed over.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		err := ctx.Err()
		if err == nil {
			err = blob.CheckPrefix(prefix)
		}
		l := &listing{s: s, prefix: prefix, yield: yield}
		for err == nil && !l.done {
			err = s.try(ctx, func() error {
				before := l.last
				if err := l.pages(ctx); err != nil && l.last == before {
					return err
				}
				return nil // the patience is for standing still
			})
		}
		if err != nil {
			yield(blob.Info{}, fmt.Errorf("list %q: %w", prefix, err))
		}
	}
}

// listing is one listing under way.
type listing struct {
	s      *Store
	prefix string
	yield  func(blob.Info, error) bool
	last   string // name of the object seen last
	done   bool   // nothing is left, or nobody wants it
}

// pages lists from the last object on. Whatever breaks off is continued behind
// what was seen, so the order must be the one of names: that of Amazon.
func (l *listing) pages(ctx context.Context) error {
	opts := minio.ListObjectsOptions{Prefix: l.s.prefix + l.prefix, Recursive: true, StartAfter: l.last, FetchOwner: new(bool)}
	for object := range l.s.core.ListObjectsIter(ctx, l.s.cfg.Bucket, opts) {
		if object.Err != nil {
			return object.Err
		}
		if object.Key <= l.last {
			return &refusal{fmt.Sprintf("the S3 service lists %q after %q: it must list in the order of names", object.Key, l.last)}
		}
		l.last = object.Key
		key, ours := strings.CutPrefix(object.Key, l.s.prefix)
		if !ours || !strings.HasPrefix(key, l.prefix) || blob.CheckKey(key) != nil {
			continue
		}
		if !l.yield(blob.Info{Key: key, Size: object.Size}, nil) {
			l.done = true
			return nil
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	l.done = true
	return nil
}
