// Package s3 keeps blobs as objects of one bucket, below a prefix, in any
// service that speaks Amazon's S3 and honours If-None-Match.
//
// A blob of up to 8 MiB is one PUT. A longer one travels in parts while it is
// written, one under way and one being filled, so that a writer holds 16 MiB
// whatever its length; the parts become an object when the upload is completed,
// under the same condition as a PUT: the key must be free.
//
// What happened to a request whose answer was lost nobody knows. So
//
//   - reads, listings and deletes are simply asked again;
//   - a put bears a random mark (user metadata "kuva-put"). When a repeated put
//     finds the key taken, the object's mark says by whom: by this very put,
//     which then has succeeded, or by another one. A put that was repeated may
//     therefore land once more after a Delete, as package blob allows;
//   - a part that was sent twice is the same part;
//   - what is still unclear when the patience is over is an error, and the caller
//     takes the outcome as unknown.
//
// Absence is only what the service says in so many words (NoSuchKey). A missing
// bucket, a proxy's page of 404, an empty answer are errors: no image is ever
// taken for lost because a request went astray.
package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"

	"kuva/internal/blob"
)

// Config names a bucket and how to reach it. Only Bucket is needed.
type Config struct {
	Bucket string
	// Prefix goes before every key, without slashes at its ends. "" for none.
	Prefix string
	// Endpoint is http(s)://HOST[:PORT] ["" for Amazon's in Region].
	Endpoint string
	// Region is the one that requests are signed for [us-east-1].
	Region string
	// PathStyle puts the bucket into the path instead of the host's name.
	PathStyle bool
	// CAFile is a PEM file of authorities to trust beside the system's.
	CAFile string
	// AccessKey and SecretKey, or CredentialsFile, say who asks; without them
	// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN in the
	// environment do.
	AccessKey string
	SecretKey Secret
	// CredentialsFile has lines such as aws_access_key_id = …, as Amazon's tools
	// write them; it is read again every minute.
	CredentialsFile string
	// Patience is how long a request is repeated while the service fails
	// [30 s]; below 0 it is made once.
	Patience time.Duration
	// Stall is how long a connection may be silent [60 s].
	Stall time.Duration
	// PartSize is the size of parts in bytes [8 MiB]; services want 5 MiB.
	PartSize int
	// Log gets what the store does by itself. nil drops it.
	Log *slog.Logger
}

// Secret is the secret half of a key pair. However it is printed or encoded,
// it shows as three asterisks.
type Secret string

// String hides the value.
func (Secret) String() string { return "***" }

// GoString hides the value from %#v.
func (Secret) GoString() string { return `"***"` }

// LogValue hides the value from slog.
func (Secret) LogValue() slog.Value { return slog.StringValue("***") }

// MarshalText hides the value from encoders.
func (Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }

// Store is a blob.Store in a bucket. It may be used by many goroutines, and by
// many nodes at once.
type Store struct {
	cfg       Config
	prefix    string // with its slash
	core      *minio.Core
	transport *http.Transport
	pause     time.Duration // after the first try
	parts     sync.Pool     // of *[]byte, PartSize long
}

// Open makes a store without asking the service anything: Check does.
func Open(cfg Config) (*Store, error) {
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	if cfg.Patience == 0 {
		cfg.Patience = 30 * time.Second
	}
	if cfg.Stall <= 0 {
		cfg.Stall = time.Minute
	}
	if cfg.PartSize <= 0 {
		cfg.PartSize = 8 << 20
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{cfg: cfg, pause: firstPause}
	if cfg.Prefix != "" {
		if err := blob.CheckKey(cfg.Prefix); err != nil {
			return nil, fmt.Errorf("prefix in the bucket: %w", err)
		}
		s.prefix = cfg.Prefix + "/"
	}
	s.parts.New = func() any { b := make([]byte, 0, cfg.PartSize); return &b }
	host, secure, err := cfg.endpoint()
	if err != nil {
		return nil, err
	}
	creds, err := cfg.credentials()
	if err != nil {
		return nil, err
	}
	if s.transport, err = cfg.newTransport(); err != nil {
		return nil, err
	}
	lookup := minio.BucketLookupDNS
	if cfg.PathStyle {
		lookup = minio.BucketLookupPath
	}
	s.core, err = minio.NewCore(host, &minio.Options{
		Creds: creds, Secure: secure, Region: cfg.Region, BucketLookup: lookup, Transport: strict{s.transport},
		MaxRetries: 1, // s.try knows which may be repeated
	})
	if err != nil {
		return nil, fmt.Errorf("endpoint %s: %w", cfg.Endpoint, err)
	}
	return s, nil
}

// endpoint gives the host that the client wants to hear.
func (c *Config) endpoint() (host string, secure bool, err error) {
	if c.Endpoint == "" {
		return "s3." + c.Region + ".amazonaws.com", true, nil
	}
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return "", false, fmt.Errorf("endpoint %q: write it as https://HOST or https://HOST:PORT", c.Endpoint)
	}
	return u.Host, u.Scheme == "https", nil
}

// Close closes the connections. Requests under way go on.
func (s *Store) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}

// String names the place: s3://BUCKET/PREFIX.
func (s *Store) String() string { return "s3://" + strings.TrimRight(s.cfg.Bucket+"/"+s.prefix, "/") }

func (s *Store) object(key string) string { return s.prefix + key }

// ready refuses what no request needs to be made for.
func ready(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return blob.CheckKey(key)
}

// Stat implements blob.Store.
func (s *Store) Stat(ctx context.Context, key string) (blob.Info, error) {
	if err := ready(ctx, key); err != nil {
		return blob.Info{}, fmt.Errorf("stat %s: %w", key, err)
	}
	info, err := s.head(ctx, key)
	if err != nil {
		return blob.Info{}, fmt.Errorf("stat %s: %w", key, err)
	}
	return blob.Info{Key: key, Size: info.Size}, nil
}

// head asks for an object's properties. An answer to HEAD has no body that
// says what is missing, the key or the bucket, so a GET asks that.
func (s *Store) head(ctx context.Context, key string) (info minio.ObjectInfo, err error) {
	err = s.try(ctx, func() error {
		var err error
		info, err = s.core.StatObject(ctx, s.cfg.Bucket, s.object(key), minio.StatObjectOptions{})
		if err == nil && info.ETag == "" {
			return errWrongAnswer
		}
		if minio.ToErrorResponse(err).StatusCode != http.StatusNotFound {
			return err
		}
		var one [1]byte
		if _, err := s.get(ctx, key, one[:], 0); err != nil {
			return err
		}
		return errCame
	})
	return info, err
}

// errCame says that an object was not there, and then was. It is asked again.
var errCame = errors.New("the object came meanwhile")

// ReadAt implements blob.Store. One call is one request: callers that want
// much should ask for much.
func (s *Store) ReadAt(ctx context.Context, key string, p []byte, off int64) (n int, err error) {
	err = ready(ctx, key)
	if err == nil && off < 0 {
		err = fmt.Errorf("offset %d", off)
	}
	if err == nil && len(p) == 0 {
		_, err = s.head(ctx, key)
	} else if err == nil {
		err = s.try(ctx, func() (err error) {
			n, err = s.get(ctx, key, p, off)
			return err
		})
	}
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", key, err)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// get reads once: all of p, or less up to the blob's end. Anything else that
// the answer may be is an error.
func (s *Store) get(ctx context.Context, key string, p []byte, off int64) (int, error) {
	opts := minio.GetObjectOptions{}
	opts.Set("Range", fmt.Sprintf("bytes=%d-%d", off, off+int64(len(p))-1))
	body, info, header, err := s.core.GetObject(ctx, s.cfg.Bucket, s.object(key), opts)
	if err != nil {
		if r := minio.ToErrorResponse(err); r.StatusCode == http.StatusRequestedRangeNotSatisfiable {
			return 0, nil
		}
		return 0, err
	}
	defer body.Close()
	if info.ETag == "" {
		return 0, errWrongAnswer
	}
	total := info.Size // of the answer
	if said := header.Get("Content-Range"); said != "" {
		var first, last int64
		if _, err := fmt.Sscanf(said, "bytes %d-%d/%d", &first, &last, &total); err != nil || first != off || last-first+1 != info.Size || last >= total {
			return 0, fmt.Errorf("%w: asked from byte %d on, got %q with %d bytes", errWrongAnswer, off, said, info.Size)
		}
	} else if off > 0 {
		return 0, fmt.Errorf("%w: it does not know ranges", errWrongAnswer)
	}
	want := min(int64(len(p)), max(0, total-off))
	n, err := io.ReadFull(body, p[:want])
	if err != nil {
		return 0, fmt.Errorf("%w: %d of %d bytes came: %w", errWrongAnswer, n, want, err)
	}
	return n, nil
}

// Delete implements blob.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	err := ready(ctx, key)
	if err == nil {
		err = s.try(ctx, func() error {
			return s.core.RemoveObject(ctx, s.cfg.Bucket, s.object(key), minio.RemoveObjectOptions{})
		})
	}
	if err != nil && !errors.Is(err, blob.ErrNotFound) {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	return nil
}
