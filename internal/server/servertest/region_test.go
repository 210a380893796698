package servertest_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kuva/api"
	"kuva/internal/server/servertest"
)

// peered starts a service that knows another one as west, by the address that
// the wire has.
func peered(t *testing.T, west servertest.Config, there *servertest.Process, at, more string) (*servertest.Process, servertest.Config) {
	t.Helper()
	data := filepath.Join(t.TempDir(), "east")
	text, err := os.ReadFile(filepath.Join(west.Data, "clouds.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	clouds := filepath.Join(t.TempDir(), "west.yaml")
	if err := os.WriteFile(clouds, bytes.ReplaceAll(text, []byte(there.URL), []byte(at)), 0o600); err != nil {
		t.Fatal(err)
	}
	yaml := fmt.Sprintf("peers:\n  west:\n    clouds: %s\n    cloud: kuva\n    image: %s/image\n%s", clouds, at, more)
	cfg := servertest.Config{Data: data, YAML: yaml}
	return servertest.Start(t, cfg), cfg
}

func replicate(t *testing.T, c *servertest.Client, id string) api.Job {
	t.Helper()
	var j api.Job
	if err := c.JSON(202, "POST", "/kuva/v1/images/"+id+"/replicate", map[string]string{"peer": "west"}, &j); err != nil {
		t.Fatal(err)
	}
	j, err := c.WaitJob(j.ID, time.Minute)
	if err != nil && j.State != "failed" {
		t.Fatal(err)
	}
	return j
}

// TestReplicate: an image is the same in another region, what that has already
// does not travel, and a broken line or a kill costs what was under way.
func TestReplicate(t *testing.T) {
	site := servertest.Config{Data: filepath.Join(t.TempDir(), "west")}
	west := servertest.Start(t, site)
	line := newWire(t, west.URL)
	east, _ := peered(t, site, west, line.URL, "")
	c, there := east.Login(t, servertest.Admin), west.Login(t, servertest.Admin)

	const size = 48 << 20
	first := servertest.Random(1, size)
	id := c.MustCreate(t, servertest.Fields{"name": "web", "tags": []string{"base"}, "os_distro": "debian", "min_ram": 512})
	c.MustUpload(t, id, first)
	if j := replicate(t, c, id); j.State != "succeeded" {
		t.Fatalf("replicate: %+v", j)
	}
	here, img := c.MustShow(t, id), there.MustShow(t, id)
	if img.Status != "active" || img.Name != "web" || img.Checksum == nil || *img.Checksum != *here.Checksum || *img.Size != size {
		t.Errorf("there it is %+v", img)
	}
	there.MustDownload(t, id, first)
	cold := line.up.Load()

	second := bytes.Clone(first)
	copy(second[20<<20:], servertest.Random(2, 1<<20))
	next := c.MustCreate(t, servertest.Fields{"name": "web-2", "base_image_ref": id})
	c.MustUpload(t, next, second)
	if j := replicate(t, c, next); j.State != "succeeded" {
		t.Fatalf("replicate: %+v", j)
	}
	there.MustDownload(t, next, second)
	warm := line.up.Load() - cold
	t.Logf("the first image took %d bytes of the line, the second %d", cold, warm)
	if cold > size*105/100 || warm > 3<<20 {
		t.Errorf("the line carried %d bytes for the first image, %d for the second", cold, warm)
	}
	d, err := there.Details(next)
	if err != nil || d.Owned == nil || len(d.Owned.Lineage) != 1 || d.Owned.Lineage[0].ID != id {
		t.Errorf("lineage there: %+v, %v", d.Owned, err)
	}
	// Again costs nothing, and another image with the id is left alone.
	if j := replicate(t, c, id); j.State != "succeeded" {
		t.Errorf("again: %+v", j)
	}
	if err := there.Delete(next); err != nil {
		t.Fatal(err)
	}
	if j := replicate(t, c, next); j.State != "failed" || j.Failure == nil {
		t.Errorf("over one that was deleted: %+v", j)
	}
}

// TestReplicateGoesOn kills the sender, and cuts the line, in the middle.
func TestReplicateGoesOn(t *testing.T) {
	site := servertest.Config{Data: filepath.Join(t.TempDir(), "west")}
	west := servertest.Start(t, site)
	line := newWire(t, west.URL)
	east, cfg := peered(t, site, west, line.URL, "    bandwidth: 50000000\n")
	c, there := east.Login(t, servertest.Admin), west.Login(t, servertest.Admin)
	size := servertest.Count(128, 2048) << 20
	content := servertest.Random(3, size)
	id := c.MustCreate(t, servertest.Fields{"name": "large"})
	c.MustUpload(t, id, content)
	if err := c.JSON(202, "POST", "/kuva/v1/images/"+id+"/replicate", map[string]string{"peer": "west"}, nil); err != nil {
		t.Fatal(err)
	}
	reach := func(part int) {
		t.Helper()
		servertest.Eventually(t, fmt.Sprintf("%d %% are sent", part), func() bool { return line.up.Load() > int64(size)*int64(part)/100 })
	}
	reach(25)
	line.cut()
	reach(60)
	east.Kill()
	east = servertest.Start(t, cfg)
	end := time.Now().Add(2 * time.Minute)
	for {
		img, err := there.Show(id)
		if err == nil && img.Status == "active" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("it does not arrive: %+v, %v\n%s", img, err, east.Log())
		}
		time.Sleep(100 * time.Millisecond)
	}
	there.MustDownload(t, id, content)
	if more := line.up.Load() - int64(size); more > 2*(64<<20) {
		t.Errorf("%d MiB were sent again after a cut and a kill", more>>20)
	}
}

// TestReplicateToGlance: a peer that is no kuva gets the file.
func TestReplicateToGlance(t *testing.T) {
	site := servertest.Config{Data: filepath.Join(t.TempDir(), "west")}
	west := servertest.Start(t, site)
	to, err := url.Parse(west.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/kuva") {
			http.NotFound(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	defer other.Close()
	east, _ := peered(t, site, west, other.URL, "")
	c, there := east.Login(t, servertest.Admin), west.Login(t, servertest.Admin)
	content := servertest.Random(4, 3<<20)
	id := c.MustCreate(t, servertest.Fields{"name": "plain", "kuva_note": "ours"})
	c.MustUpload(t, id, content)
	if j := replicate(t, c, id); j.State != "succeeded" {
		t.Fatalf("replicate: %+v", j)
	}
	there.MustDownload(t, id, content)
}
