package s3

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"kuva/internal/blob"
	"kuva/internal/blob/blobtest"
	"kuva/internal/testkit/s3server"
)

var ctx = context.Background()

func TestMain(m *testing.M) {
	minio.DefaultRetryUnit = 0 // the client sleeps even after its only try
	os.Exit(m.Run())
}

// config is a store's below a prefix of a bucket of its own.
func config(t testing.TB, srv *s3server.Server) Config {
	return Config{
		Bucket: srv.NewBucket(t), Prefix: "region-1/kuva", Endpoint: srv.Endpoint, Region: srv.Region, PathStyle: true,
		CAFile: srv.CA, AccessKey: srv.Access, SecretKey: Secret(srv.Secret),
	}
}

func open(t testing.TB, cfg Config) *Store {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestStore holds the store to the suite over a real server: in whole puts, and
// in parts.
func TestStore(t *testing.T) {
	srv := s3server.Start(t)
	blobtest.Run(t, func(t *testing.T) blob.Store { return open(t, config(t, srv)) })
	_ = time.Now
}
