package servertest_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kuva/api"
	"kuva/internal/server/servertest"
	"kuva/internal/testkit/s3server"
)

// S3-45 to S3-61, a region's image in another one by way of a bucket: the remote
// side makes the bucket and signs an address for the one object; the image is
// exported there as the file that is wanted, with its progress to be seen; the
// remote side imports the object by its name. Machines are not part of it.
func TestStoryThroughABucket(t *testing.T) {
	s3 := s3server.Start(t)
	port := s3.Endpoint[strings.LastIndex(s3.Endpoint, ":")+1:]
	keys := filepath.Join(t.TempDir(), "keys")
	text := fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", s3.Access, s3.Secret)
	if err := os.WriteFile(keys, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ashburn := servertest.Start(t, servertest.Config{
		Data: filepath.Join(t.TempDir(), "ashburn"), YAML: "import:\n  ports: [" + port + "]\n  allow_networks: [127.0.0.0/8]\n",
	})
	vinhedo := servertest.Start(t, servertest.Config{
		Data: filepath.Join(t.TempDir(), "vinhedo"),
		YAML: fmt.Sprintf("buckets:\n  arrivals:\n    endpoint: %s\n    region: %s\n    bucket: %s\n    credentials: %s\n", s3.Endpoint, s3.Region, s3.Bucket, keys),
	})
	here, there := ashburn.Login(t, servertest.Admin), vinhedo.Login(t, servertest.Admin)

	disk := servertest.Content(11, 24<<20)
	id := here.MustCreate(t, servertest.Fields{"name": "machine", "os_distro": "ol", "os_version": "9"})
	here.MustUpload(t, id, disk)

	// S3-53, S3-54: an address for exactly one object, to read and to write.
	put, err := s3.Client().PresignedPutObject(t.Context(), s3.Bucket, "machine.qcow2", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	var e api.Export
	want := api.NewExport{Format: "qcow2", Signed: &api.SignedURLs{Put: put.String()}}
	if err := here.JSON(http.StatusAccepted, "POST", "/kuva/v1/images/"+id+"/exports", want, &e); err != nil {
		t.Fatal(err)
	}
	servertest.Eventually(t, "the export to end", func() bool {
		if err := here.JSON(http.StatusOK, "GET", "/kuva/v1/exports/"+e.ID, nil, &e); err != nil {
			t.Fatal(err)
		}
		if e.State == "failed" {
			t.Fatalf("export: %+v", e.Failure)
		}
		return e.State == "done"
	})
	if e.Size == nil || e.Done != *e.Size || e.Manifest == nil || e.Manifest.SHA256 == "" {
		t.Errorf("the export tells %+v", e)
	}

	// S3-58, S3-59: the bucket and the name of the object are what it takes.
	var page struct {
		Objects []struct {
			Object string `json:"object"`
			Size   int64  `json:"size"`
		} `json:"objects"`
	}
	if err := there.JSON(http.StatusOK, "GET", "/kuva/v1/buckets/arrivals/objects?prefix=mach", nil, &page); err != nil {
		t.Fatal(err)
	}
	if len(page.Objects) != 1 || page.Objects[0].Object != "machine.qcow2" || page.Objects[0].Size != *e.Size {
		t.Errorf("the bucket shows %+v", page)
	}
	copied := there.MustCreate(t, servertest.Fields{"name": "machine", "disk_format": "qcow2"})
	body := api.ImportImage{Bucket: &api.BucketObject{Name: "arrivals", Object: "machine.qcow2"}, Digest: "sha256:" + e.Manifest.SHA256}
	if err := there.JSON(http.StatusAccepted, "POST", "/kuva/v1/images/"+copied+"/import", body, nil); err != nil {
		t.Fatal(err)
	}
	servertest.Eventually(t, "the import to end", func() bool {
		img := there.MustShow(t, copied)
		if img.Status == "queued" {
			t.Fatalf("import: %s", img.LastFailure)
		}
		return img.Status == "active"
	})
	a, err := there.Send("GET", "/kuva/v1/images/"+copied+"/file?format=raw", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	if err := servertest.SameBytes(a.Body, bytes.NewReader(disk)); err != nil {
		t.Error(err)
	}
}
