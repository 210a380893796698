package servertest_test

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kuva/api"
	"kuva/internal/catalog/catalogtest"
	"kuva/internal/server/servertest"
	"kuva/internal/testkit/s3server"
)

// site is what the nodes of one service share: a database, a bucket, keys.
type site struct {
	srv  *s3server.Server
	yaml string
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{srv: s3server.Start(t)}
	dir := t.TempDir()
	credentials := filepath.Join(dir, "credentials")
	text := fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", s.srv.Access, s.srv.Secret)
	if err := os.WriteFile(credentials, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.yaml = fmt.Sprintf("database: %s\nstore: s3://%s/images\nkeys: %s\ns3:\n  endpoint: %s\n  region: %s\n  credentials: %s\n",
		catalogtest.PostgresDSN(t), s.srv.Bucket, filepath.Join(dir, "keys"), s.srv.Endpoint, s.srv.Region, credentials)
	return s
}

// packs are the sizes of the packs in the bucket, and their sum.
func (s *site) packs(t *testing.T) (sizes []int64, sum int64) {
	t.Helper()
	root := filepath.Join(s.srv.Folder(s.srv.Bucket), "images", "pack")
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			sizes, sum = append(sizes, info.Size()), sum+info.Size()
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return sizes, sum
}

// cutter reads a content and calls at at its middle, once.
type cutter struct {
	r    io.Reader
	left int
	at   func()
}

func (c *cutter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p[:min(len(p), 64<<10)])
	if c.left -= n; c.left <= 0 && c.at != nil {
		c.at()
		c.at = nil
	}
	return n, err
}

// TestNodesOnABucket runs two nodes on PostgreSQL and one bucket: what one
// takes the other gives out, also when a node is killed and when the S3
// service is away for a moment; the collector of either empties the bucket; no
// node says the secret.
func TestNodesOnABucket(t *testing.T) {
	s := newSite(t)
	first := servertest.Config{Data: filepath.Join(t.TempDir(), "a"), YAML: s.yaml}
	a := servertest.Start(t, first)
	b := servertest.Start(t, servertest.Config{Data: filepath.Join(t.TempDir(), "b"), YAML: s.yaml})
	onA := a.Login(t, servertest.Admin)
	onB := onA.At(b.URL)
	fields := servertest.Fields{"name": "x", "disk_format": "raw", "container_format": "bare"}
	size := 24 << 20 // a pack of some 18 MiB, which travels in parts

	content := servertest.Content(1, size)
	image := onA.MustCreate(t, fields)
	onA.MustUpload(t, image, content)
	onB.MustDownload(t, image, content)

	// A node dies in the middle of an upload.
	other := servertest.Content(2, size)
	cut := onA.MustCreate(t, fields)
	if err := onA.Upload(cut, &cutter{bytes.NewReader(other), size / 2, a.Kill}); err == nil {
		t.Error("an upload to a killed node was acknowledged")
	}
	onB.MustDownload(t, image, content)
	a = servertest.Start(t, first)
	onA = onA.At(a.URL)
	if img := onA.MustShow(t, cut); img.Status != "queued" || img.LastFailure == "" {
		t.Errorf("the image that was cut off is %s, failure %q", img.Status, img.LastFailure)
	}
	onB.MustUpload(t, cut, other)
	onA.MustDownload(t, cut, other)

	// The S3 service is away for a moment in the middle of an upload.
	third := servertest.Content(3, size)
	away := onA.MustCreate(t, fields)
	up := make(chan struct{})
	err := onA.Upload(away, &cutter{bytes.NewReader(third), size / 2, func() {
		s.srv.Kill()
		time.AfterFunc(300*time.Millisecond, func() { s.srv.Restart(t); close(up) })
	}})
	<-up
	if err != nil {
		t.Errorf("an upload while the S3 service was started anew: %v", err)
	}
	onB.MustDownload(t, away, third)

	out, err := s.kuva(t, first.Data, "depot", "verify", "--json")
	if err != nil {
		t.Errorf("kuva depot verify: %v\n%s", err, out)
	}
	for i, id := range []string{image, cut, away} {
		if err := []*servertest.Client{onA, onB}[i%2].Delete(id); err != nil {
			t.Error(err)
		}
	}
	for cycle := 0; ; cycle++ {
		if err := []*servertest.Client{onB, onA}[cycle%2].Collect(api.Collect{Audit: true, Compact: true}); err != nil {
			t.Fatal(err)
		}
		sizes, sum := s.packs(t)
		if len(sizes) == 0 {
			break
		}
		if cycle == 6 {
			d, err := onA.Depot()
			t.Fatalf("after %d cycles %d packs with %d bytes are left: %+v, %v", cycle, len(sizes), sum, d, err)
		}
	}
	if strings.Contains(a.Log()+b.Log(), s.srv.Secret) {
		t.Error("a node's log holds the secret key")
	}
	b.MustStop(t)
	a.MustStop(t)
}

// kuva runs the program on the site, from the data folder of a node.
func (s *site) kuva(t *testing.T, data string, args ...string) (string, error) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "kuva.yaml")
	if err := os.WriteFile(config, []byte(s.yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(servertest.Binary(t), append(args, "--data", data, "--config", config)...).CombinedOutput()
	return string(out), err
}

// TestBucketMistakes holds that a service over a bucket that it cannot use
// does not start, and says what to do.
func TestBucketMistakes(t *testing.T) {
	s := newSite(t)
	for from, c := range map[string]struct{ to, want string }{
		s.srv.Bucket + "/images":      {"not-there-at-all/images", "make it first"},
		"region: " + s.srv.Region:     {"region: elsewhere-7", "set the region"},
		"endpoint: " + s.srv.Endpoint: {"endpoint: http://127.0.0.1:1", "cannot be reached"},
	} {
		_, err := servertest.TryStart(t, servertest.Config{
			Data: filepath.Join(t.TempDir(), "data"), YAML: strings.Replace(s.yaml, from, c.to, 1), Patience: 50 * time.Second,
		})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.to, err, c.want)
		}
	}
}
