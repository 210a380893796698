package servertest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kuva/api"
	"kuva/internal/server/servertest"
	"kuva/internal/testkit"
	"kuva/internal/testkit/s3server"
)

// counting stands before the S3 server and counts what is sent in parts; on
// tells of each piece, and of the request that puts the parts together.
type counting struct {
	through http.Handler
	sent    atomic.Int64
	on      func(sent int64, finish bool)
}

func (c *counting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Query().Has("partNumber") && r.Method == http.MethodPut:
		r.Body = &counted{r.Body, c}
	case r.URL.Query().Has("uploadId") && r.Method == http.MethodPost:
		c.on(c.sent.Load(), true)
	}
	c.through.ServeHTTP(w, r)
}

type counted struct {
	io.ReadCloser
	c *counting
}

func (b *counted) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.c.on(b.c.sent.Add(int64(n)), false)
	return n, err
}

// exportsOf begins a server with one bucket, that of s3 at address.
func exportsOf(t *testing.T, s3 *s3server.Server, address string) servertest.Config {
	t.Helper()
	dir := t.TempDir()
	keys := filepath.Join(dir, "keys")
	text := fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", s3.Access, s3.Secret)
	if err := os.WriteFile(keys, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	yaml := fmt.Sprintf("inspect:\n  off: true\nbuckets:\n  here:\n    endpoint: %s\n    region: %s\n    bucket: %s\n    credentials: %s\n    path_style: true\n    write: true\n",
		address, s3.Region, s3.Bucket, keys)
	return servertest.Config{Data: filepath.Join(dir, "data"), YAML: yaml}
}

func startExport(t *testing.T, c *servertest.Client, image string, body api.NewExport) api.Export {
	t.Helper()
	a, err := c.Do(http.MethodPost, "/kuva/v1/images/"+image+"/exports", nil, body)
	if err != nil || a.Status != http.StatusAccepted {
		t.Fatalf("export: %v, %v", a, err)
	}
	return exportIn(t, a)
}

func exportIn(t *testing.T, a servertest.Answer) (e api.Export) {
	t.Helper()
	if err := json.Unmarshal(a.Body, &e); err != nil {
		t.Fatalf("%v: %v", a, err)
	}
	return e
}

// TestKillExport: an export that kills stop again and again, in parts and while
// they are put together, comes whole, and each kill costs at most 32 MiB on the
// wire. A client that is not ours reads what was written. One export takes at
// most 64 MiB of memory.
func TestKillExport(t *testing.T) {
	s3 := s3server.Start(t)
	target, err := url.Parse(s3.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	front := &counting{through: &httputil.ReverseProxy{
		ErrorLog: log.New(io.Discard, "", 0), Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host },
	}, on: func(int64, bool) {}}
	proxy := httptest.NewServer(front)
	defer proxy.Close()

	size := servertest.Count(160<<20, 2<<30)
	content := servertest.Random(7, size)
	cfg := exportsOf(t, s3, proxy.URL)
	p := servertest.Start(t, cfg)
	c := p.Login(t, servertest.Admin)
	id := c.MustCreate(t, servertest.Fields{"name": "big", "os_distro": "debian"})
	c.MustUpload(t, id, content)

	var limit atomic.Int64
	var atFinish atomic.Bool
	reached := make(chan struct{}, 1)
	hold := make(chan struct{})
	front.on = func(sent int64, finish bool) {
		if sent >= limit.Load() && !atFinish.Load() || finish && atFinish.Load() {
			select {
			case reached <- struct{}{}:
			default:
			}
			<-hold // until the program was killed
		}
	}
	kills := 0
	kill := func() {
		t.Helper()
		select {
		case <-reached:
		case <-time.After(time.Minute):
			t.Fatal("the export does not go on")
		}
		p.Kill()
		kills++
		limit.Store(1 << 62)
		close(hold)
		time.Sleep(20 * time.Millisecond)
		hold = make(chan struct{})
		select {
		case <-reached:
		default:
		}
	}
	limit.Store(int64(size) / 10)
	e := startExport(t, c, id, api.NewExport{Bucket: &api.BucketObject{Name: "here", Object: "big.raw"}})
	for _, percent := range []int64{45, 90, 100} {
		kill()
		if atFinish.Store(percent == 100); percent < 100 {
			limit.Store(front.sent.Load() + int64(size)*(percent-10)/100*4/9)
		}
		p = servertest.Start(t, cfg)
	}
	kill()
	atFinish.Store(false)
	if there, err := os.Stat(filepath.Join(s3.Folder(s3.Bucket), "big.raw")); err == nil && there.Size() != int64(size) {
		t.Errorf("half of it is seen: %d bytes", there.Size())
	}
	p = servertest.Start(t, cfg)
	c = c.At(p.URL)
	e = ended(t, c, e.ID)
	if e.Failure != nil {
		t.Logf("%+v", *e.Failure)
	}
	if e.State != "done" || e.Manifest == nil || e.Attempt != int64(kills)+1 {
		t.Fatalf("%+v", e)
	}
	again := front.sent.Load() - int64(size)
	t.Logf("%d kills, %d MiB sent again", kills, again>>20)
	if again > int64(kills)*(32<<20) || again < 0 {
		t.Errorf("%d bytes were sent again after %d kills", again, kills)
	}
	got, err := os.ReadFile(filepath.Join(s3.Folder(s3.Bucket), "big.raw"))
	if err != nil || !bytes.Equal(got, content) {
		t.Fatalf("%d bytes are in the bucket, %v", len(got), err)
	}
	for u := range s3.Client().ListIncompleteUploads(t.Context(), s3.Bucket, "", true) {
		t.Errorf("an upload is left: %+v", u)
	}

	testkit.Need(t, "curl")
	cmd := exec.CommandContext(t.Context(), "curl", "-sS", "--fail", "--aws-sigv4", "aws:amz:"+s3.Region+":s3", "--user", s3.Access+":"+s3.Secret,
		"-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD", s3.Endpoint+"/"+s3.Bucket+"/big.raw.kuva.json")
	text, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(text), e.Manifest.SHA256) || !strings.Contains(string(text), `"os_distro": "debian"`) {
		t.Errorf("curl reads %s, %v", text, err)
	}

	// In a new process, so that the peak is the export's.
	p.MustStop(t)
	p = servertest.Start(t, cfg)
	c = c.At(p.URL)
	before, _ := p.Memory()
	if e := ended(t, c, startExport(t, c, id, api.NewExport{Format: "qcow2", Bucket: &api.BucketObject{Name: "here", Object: "big.qcow2"}}).ID); e.State != "done" {
		t.Fatalf("%+v", e)
	}
	_, peak := p.Memory()
	t.Logf("memory: %d MiB, at most %d MiB while it exports", before>>20, peak>>20)
	if peak-before > 64<<20 {
		t.Errorf("an export takes %d MiB", (peak-before)>>20)
	}
	p.MustStop(t)
}

func ended(t *testing.T, c *servertest.Client, id string) api.Export {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		a, err := c.Do(http.MethodGet, "/kuva/v1/exports/"+id, nil, nil)
		if err != nil || a.Status != http.StatusOK {
			t.Fatalf("show export: %v, %v", a, err)
		}
		if e := exportIn(t, a); e.State != "pending" && e.State != "running" || time.Now().After(end) {
			return e
		}
	}
}
