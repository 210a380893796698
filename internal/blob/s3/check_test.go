package s3

import (
	"net"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"kuva/internal/testkit/s3server"
)

// TestCheck holds that a good store passes and leaves nothing behind, and that
// each thing which operators get wrong is named.
func TestCheck(t *testing.T) {
	srv := s3server.Start(t)
	good := config(t, srv)
	s := open(t, good)
	if err := s.Check(ctx); err != nil {
		t.Fatal(err)
	}
	for object := range srv.Client().ListObjectsIter(ctx, good.Bucket, minio.ListObjectsOptions{Recursive: true}) {
		t.Errorf("it left %s, %v", object.Key, object.Err)
	}
	for upload := range srv.Client().ListIncompleteUploads(ctx, good.Bucket, "", true) {
		t.Errorf("it left an upload of %s, %v", upload.Key, upload.Err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	reader := s3server.StartWith(t, s3server.Config{ReadOnly: true})
	for name, c := range map[string]struct {
		change func(c *Config)
		want   string
	}{
		"no bucket":    {func(c *Config) { c.Bucket = "kuva-is-not-here" }, `there is no bucket "kuva-is-not-here"`},
		"wrong region": {func(c *Config) { c.Region = "elsewhere-1" }, "region"},
		"wrong key":    {func(c *Config) { c.AccessKey = "nobody-knows-me" }, "does not know the access key"},
		"wrong secret": {func(c *Config) { c.SecretKey = "not-the-secret-at-all" }, "the secret key is wrong"},
		"nobody there": {func(c *Config) { c.Endpoint = "http://" + free.Addr().String() }, "cannot be reached"},
		"no rights": {func(c *Config) {
			c.Endpoint, c.AccessKey, c.SecretKey, c.Bucket = reader.Endpoint, reader.Access, Secret(reader.Secret), reader.Bucket
		}, "may not write"},
		"TLS to a server without": {func(c *Config) { c.Endpoint = strings.Replace(c.Endpoint, "http:", "https:", 1) }, "HTTP response to HTTPS client"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			cfg.Patience = -1
			c.change(&cfg)
			err := open(t, cfg).Check(ctx)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if err != nil && (strings.Contains(err.Error(), string(cfg.SecretKey)) || strings.Contains(err.Error(), string(good.SecretKey))) {
				t.Errorf("the error holds the secret key: %v", err)
			}
		})
	}
}

// TestTLS holds that a server is spoken to over TLS where its authority is
// named, and only there.
func TestTLS(t *testing.T) {
	srv := s3server.StartWith(t, s3server.Config{TLS: true})
	cfg := config(t, srv)
	if err := open(t, cfg).Check(ctx); err != nil {
		t.Error(err)
	}
	cfg.CAFile = ""
	if err := open(t, cfg).Check(ctx); err == nil || !strings.Contains(err.Error(), "ca_cert") {
		t.Errorf("without its authority: %v", err)
	}
}
