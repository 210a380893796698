package s3server

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/minio/minio-go/v7"
)

// TestServer holds what tests rely on: objects come back, a key is created
// once, a killed server has its objects when it is up again, and objects lie
// in files.
func TestServer(t *testing.T) {
	for _, cfg := range []Config{{}, {TLS: true}} {
		s := StartWith(t, cfg)
		put := func(text string) error {
			opts := minio.PutObjectOptions{}
			opts.SetMatchETagExcept("*")
			_, err := s.Client().PutObject(t.Context(), s.Bucket, "a/b", bytes.NewReader([]byte(text)), int64(len(text)), opts)
			return err
		}
		if err := put("first"); err != nil {
			t.Fatal(err)
		}
		if err := put("second"); minio.ToErrorResponse(err).Code != minio.PreconditionFailed {
			t.Errorf("the key was taken: %v", err)
		}
		s.Restart(t)
		object, err := s.Client().GetObject(t.Context(), s.Bucket, "a/b", minio.GetObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(object); err != nil || string(got) != "first" {
			t.Errorf("it came back as %q, %v", got, err)
		}
		if got, err := os.ReadFile(filepath.Join(s.Folder(s.Bucket), "a/b")); err != nil || string(got) != "first" {
			t.Errorf("the file holds %q, %v", got, err)
		}
		if other := s.NewBucket(t); other == s.Bucket {
			t.Error("the new bucket is the old one")
		}
	}
}
