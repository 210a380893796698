package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"kuva/internal/blob"
	"kuva/internal/blob/cached"
	"kuva/internal/blob/dir"
	"kuva/internal/blob/s3"
)

// S3Config says how the bucket is reached that Config.Store names.
type S3Config struct {
	// Endpoint is https://HOST or http://HOST:PORT [Amazon's in the region].
	Endpoint string `yaml:"endpoint"`
	// Region [us-east-1].
	Region string `yaml:"region"`
	// PathStyle asks for ENDPOINT/BUCKET, else BUCKET.ENDPOINT [true where an
	// endpoint is given].
	PathStyle *bool `yaml:"path_style"`
	// Credentials is a file as the AWS tools have it, with aws_access_key_id
	// and aws_secret_access_key, read again every minute [AWS_ACCESS_KEY_ID
	// and AWS_SECRET_ACCESS_KEY of the environment]. A relative path begins at
	// the data folder, as CACert's does.
	Credentials string `yaml:"credentials"`
	// CACert is a PEM file of authorities that are trusted as well.
	CACert string `yaml:"ca_cert"`
}

// store is where the blobs are.
type store interface {
	blob.Store
	Close() error
}

// storeUse says what somebody wants with the store.
type storeUse int

const (
	storeServe storeUse = iota // serves: made where it is not there, tried out
	storeTend                  // works on it beside the service
	storeOwn                   // wants it for itself
	storeRead                  // only reads
)

// openStore opens the folder or the bucket.
func (c *Config) openStore(ctx context.Context, use storeUse, log *slog.Logger) (store, error) {
	if !c.inBucket() {
		s, err := dir.Open(dir.Config{Dir: c.storeDir(), Shared: use == storeServe || use == storeTend, ReadOnly: use == storeRead})
		if err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
		return s, nil
	}
	s, err := c.openBucket(log)
	if err == nil && use != storeRead {
		err = s.Check(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", c.Store, err)
	}
	if use != storeServe || c.CacheSize < 0 {
		return s, nil
	}
	near, err := cached.Open(cached.Config{Store: s, Dir: c.Data, Size: cmp.Or(c.CacheSize, defaultCache), Prefix: "pack/", Log: log})
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return near, nil
}

const defaultCache = 1 << 30

func (c *Config) openBucket(log *slog.Logger) (*s3.Store, error) {
	bucket, prefix, _ := strings.Cut(strings.TrimPrefix(c.Store, bucketScheme), "/")
	pathStyle := c.S3.Endpoint != ""
	if c.S3.PathStyle != nil {
		pathStyle = *c.S3.PathStyle
	}
	return s3.Open(s3.Config{
		Bucket: bucket, Prefix: strings.TrimRight(prefix, "/"), Endpoint: c.S3.Endpoint, Region: c.S3.Region, PathStyle: pathStyle,
		CAFile: c.inData(c.S3.CACert), CredentialsFile: c.inData(c.S3.Credentials), Log: log,
	})
}

const bucketScheme = "s3://"

// inBucket tells a bucket from a folder.
func (c *Config) inBucket() bool { return strings.HasPrefix(c.Store, bucketScheme) }

// checkStore refuses a store that cannot be meant.
func (c *Config) checkStore() error {
	switch {
	case c.inBucket():
		if strings.Trim(strings.TrimPrefix(c.Store, bucketScheme), "/") == "" {
			return fmt.Errorf("store is %q: write it as s3://BUCKET or s3://BUCKET/PREFIX", c.Store)
		}
	case strings.Contains(c.Store, "://"):
		return fmt.Errorf("store is %q: name a folder, or a bucket as s3://BUCKET/PREFIX", c.Store)
	case c.S3 != S3Config{}:
		return errors.New("the section s3 says how a bucket is reached, but store names none: write store: s3://BUCKET/PREFIX")
	}
	return nil
}

// inData completes a path that the configuration gives; "" stays so.
func (c *Config) inData(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(c.Data, path)
}

// storeMade tells a store from a place that a typing error named.
func (c *Config) storeMade(ctx context.Context) error {
	if !c.inBucket() {
		if _, err := os.Stat(c.storeDir()); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is no data folder of kuva: it has no store", c.Data)
		} else if err != nil {
			return err
		}
		return nil
	}
	s, err := c.openStore(ctx, storeRead, nil)
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := s.Stat(ctx, "store"); errors.Is(err, blob.ErrNotFound) {
		return fmt.Errorf("%s holds no store of kuva", c.Store)
	} else if err != nil {
		return fmt.Errorf("store %s: %w", c.Store, err)
	}
	return nil
}

// abandoned is how old an upload in parts is when nobody works on it any more.
const abandoned = 24 * time.Hour

// sweep gives up what nodes that died left in the bucket.
func (s *Server) sweep(ctx context.Context) {
	far := blob.Store(s.store)
	if near, ok := far.(*cached.Store); ok {
		far = near.Unwrap()
	}
	bucket, ok := far.(*s3.Store)
	if !ok {
		return
	}
	n, err := bucket.Sweep(ctx, time.Now().Add(-abandoned))
	switch {
	case ctx.Err() != nil:
	case err != nil:
		s.log.Warn("uploads in parts that nodes left behind stay in the bucket", "store", bucket.String(), "error", err)
	case n > 0:
		s.log.Info("aborted uploads in parts that nodes left behind", "store", bucket.String(), "uploads", n)
	}
}
