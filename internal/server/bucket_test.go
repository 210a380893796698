package server

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kuva/internal/testkit/s3server"
)

// TestBucketStore holds that what tends a folder tends a bucket as well: the
// collector, the scrub, a rebuild without the database; and that a backup of
// it is restored to a folder.
func TestBucketStore(t *testing.T) {
	srv := s3server.Start(t)
	base := t.TempDir()
	credentials := filepath.Join(base, "credentials")
	text := fmt.Sprintf("[default]\naws_access_key_id=%s\naws_secret_access_key=%s\n", srv.Access, srv.Secret)
	if err := os.WriteFile(credentials, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(base, "data")
	cfg := Config{
		Data: data, Listen: "127.0.0.1:0", Store: "s3://" + srv.Bucket + "/kuva",
		S3: S3Config{Endpoint: srv.Endpoint, Region: srv.Region, Credentials: credentials},
	}
	x := startSiteAs(t, cfg)
	content := seeded(1, 3<<20)
	id, gone := x.upload("kept", content), x.upload("gone", seeded(2, 1<<20))
	x.delete(gone)
	x.settle()
	x.collect(3)
	rep := x.backup(filepath.Join(base, "backup"), BackupOptions{})
	if rep.Images != 1 || len(rep.Missing) > 0 {
		t.Errorf("backup: %+v", rep)
	}
	x.stop()
	if _, err := os.Stat(filepath.Join(data, "store")); !os.IsNotExist(err) {
		t.Errorf("a folder for the store was made beside the bucket: %v", err)
	}

	db, _ := cfg.filledDatabase(t)
	for _, file := range []string{db, db + "-wal", db + "-shm"} {
		if err := os.Remove(file); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	if _, err := Rebuild(t.Context(), cfg, RebuildOptions{}, nil); err != nil {
		t.Fatal(err)
	}
	y := startSiteAs(t, cfg)
	if name, got := y.read(id); name != "kept" || !bytes.Equal(got, content) {
		t.Errorf("after a rebuild %q has %d bytes", name, len(got))
	}
	y.stop()

	restored := filepath.Join(base, "restored")
	if _, err := Restore(t.Context(), filepath.Join(base, "backup"), restored, RestoreOptions{}); err != nil {
		t.Fatal(err)
	}
	z := startSiteAs(t, Config{Data: restored, Listen: "127.0.0.1:0"})
	if name, got := z.read(id); name != "kept" || !bytes.Equal(got, content) {
		t.Errorf("after a restore %q has %d bytes", name, len(got))
	}
}

// TestStoreSetting refuses what cannot be meant, and names a bucket that holds
// no store.
func TestStoreSetting(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{Store: "s3://"}, "s3://BUCKET/PREFIX"},
		{Config{Store: "gs://bucket"}, "s3://BUCKET/PREFIX"},
		{Config{S3: S3Config{Region: "x"}}, "store names none"},
	} {
		c.cfg.Data = t.TempDir()
		if err := c.cfg.fill(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.cfg.Store, err, c.want)
		}
	}
	srv := s3server.Start(t)
	t.Setenv("AWS_ACCESS_KEY_ID", srv.Access)
	t.Setenv("AWS_SECRET_ACCESS_KEY", srv.Secret)
	cfg := Config{Data: t.TempDir(), Store: "s3://" + srv.Bucket, S3: S3Config{Endpoint: srv.Endpoint, Region: srv.Region}}
	if _, err := OpenTools(t.Context(), cfg, nil); err == nil || !strings.Contains(err.Error(), "holds no store of kuva") {
		t.Errorf("an empty bucket: %v", err)
	}
}

// filledDatabase is the file of the database that the configuration means.
func (c Config) filledDatabase(t *testing.T) (string, bool) {
	if err := c.fill(); err != nil {
		t.Fatal(err)
	}
	return c.databaseFile()
}
