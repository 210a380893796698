package portaltest

import (
	"encoding/json"
	"os"
	"testing"

	"kuva/internal/server/servertest"
	"kuva/internal/testkit/diskimage"
)

// bootable makes an image of the tiny disk that boots, and waits until the
// doctor has looked into it.
func (w *world) bootable(t testing.TB, c *servertest.Client, f servertest.Fields) string {
	t.Helper()
	content, err := os.ReadFile(diskimage.Tiny(t).QCOW2)
	if err != nil {
		t.Fatal(err)
	}
	f["disk_format"] = "qcow2"
	id := c.MustCreate(t, f)
	c.MustUpload(t, id, content)
	servertest.Eventually(t, "the report", func() bool {
		a, err := c.Do("GET", "/kuva/v1/images/"+id+"/report", nil, nil)
		return err == nil && a.OK()
	})
	return id
}

// call sends a request that must succeed.
func call(t testing.TB, c *servertest.Client, method, path string, body any) {
	t.Helper()
	a, err := c.Do(method, path, nil, body)
	if err != nil || !a.OK() {
		t.Fatalf("%s %s: %v, %v", method, path, a, err)
	}
}

// share shares an image with a project.
func share(t testing.TB, c *servertest.Client, id, project string) {
	t.Helper()
	if err := c.Patch(id, servertest.Fields{"visibility": "shared"}); err != nil {
		t.Fatal(err)
	}
	call(t, c, "POST", "/v2/images/"+id+"/members", servertest.Fields{"member": project})
}

// furnished are images as a project in use has them.
type furnished struct {
	debian   string // the project's own, of the tiny disk, with everything known
	creating string // without content
	platform string // public
}

func (w *world) furnish(t testing.TB) furnished {
	t.Helper()
	green, _ := w.member("green")
	f := furnished{
		debian: w.bootable(t, w.client, servertest.Fields{
			"name": "Debian-9", "visibility": "private", "tags": []string{"web", "production"}, "description": "What the web servers start from",
		}),
		creating: w.client.MustCreate(t, servertest.Fields{"name": "Debian-10", "visibility": "private"}),
		platform: w.bootable(t, w.admin, servertest.Fields{"name": "Alpine-linux", "visibility": "public"}),
	}
	for name, visibility := range map[string]string{"Ubuntu of the neighbours": "shared", "For everybody": "community"} {
		id := green.MustCreate(t, servertest.Fields{"name": name, "visibility": visibility})
		green.MustUpload(t, id, servertest.Content(1, 1<<20))
		if visibility == "shared" {
			share(t, green, id, w.client.Project)
		}
	}
	share(t, w.client, f.debian, green.Project)
	return f
}

func decode(t testing.TB, body []byte, out any) {
	t.Helper()
	if err := json.Unmarshal(body, out); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
}
