package kuvav1

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"kuva/api"
	"kuva/internal/catalog"
	"kuva/internal/depot"
	"kuva/internal/images"
	"kuva/internal/testkit/faultys3"
	"kuva/internal/transfer/bucket"
	"kuva/internal/transfer/export"
)

// holding is an S3 service in memory that lets parts of objects named held-…
// wait until their sender goes away.
func holding(t *testing.T) (address, name string) {
	t.Helper()
	s := faultys3.Start(t, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/held-") && r.URL.Query().Has("partNumber") {
			_, _ = io.Copy(io.Discard, r.Body) // or nobody looks whether the sender is there
			<-r.Context().Done()
			return
		}
		if r.Method == http.MethodHead && strings.Count(strings.Trim(r.URL.Path, "/"), "/") == 0 {
			return // the bucket is there
		}
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, s.Bucket
}

func exportService(t *testing.T, db *catalog.DB, d *depot.Depot, i *images.Service) *export.Service {
	t.Helper()
	address, name := holding(t)
	set, err := bucket.New(map[string]bucket.Config{"small": {
		Endpoint: address, Bucket: name, Style: "path", Read: true, Write: true, Keys: images.BucketKeys{Access: "key", Secret: "s3cret"},
	}}, nil, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return export.New(export.Config{DB: db, Depot: d, Images: i, Buckets: set, Program: "kuva test"})
}

// heldBefore makes the names of their objects.
var heldBefore atomic.Int64

// held begins an export that goes on until it is cancelled.
func (w *world) held(u *user, image string) *export.Export {
	w.t.Helper()
	e, err := w.exports.Start(w.t.Context(), w.principal(u), export.Wanted{
		Image: image, Bucket: &images.BucketObject{Name: "small", Object: "held-" + strconv.FormatInt(heldBefore.Add(1), 10)}, Overwrite: true,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// TestExports: an export from its beginning to its manifest, the lists, and the
// objects of the bucket; every answer is held to the document by the harness.
func TestExports(t *testing.T) {
	w := start(t)
	id := w.image(w.alice, "content of blue")
	var e api.Export
	a := w.want(http.StatusAccepted, w.alice, "POST", "/kuva/v1/images/"+id+"/exports", `{"bucket":{"name":"small","object":"a/disk.raw"}}`)
	a.into(t, &e)
	if a.header.Get("Location") != "/kuva/v1/exports/"+e.ID {
		t.Errorf("location: %q", a.header.Get("Location"))
	}
	until(t, "the export ends", func() bool {
		e = api.Export{}
		w.want(http.StatusOK, w.alice, "GET", a.header.Get("Location"), "").into(t, &e)
		return e.State == "done"
	})
	if e.Manifest == nil || e.Manifest.Image.ID != id || e.Size == nil || *e.Size != 15 || e.Done != 15 || e.Bucket == nil || e.Bucket.Object != "a/disk.raw" {
		t.Errorf("%+v", e)
	}
	w.want(http.StatusConflict, w.alice, "POST", "/kuva/v1/images/"+id+"/exports", `{"bucket":{"name":"small","object":"a/disk.raw"}}`)
	w.want(http.StatusConflict, w.alice, "DELETE", "/kuva/v1/exports/"+e.ID, "")
	w.want(http.StatusBadRequest, w.alice, "POST", "/kuva/v1/images/"+id+"/exports", `{"buckets":1}`)
	w.want(http.StatusBadRequest, w.alice, "GET", "/kuva/v1/exports?marker="+id, "")
	hold := w.held(w.alice, id)
	var page api.Exports
	w.want(http.StatusOK, w.alice, "GET", "/kuva/v1/images/"+id+"/exports?limit=1", "").into(t, &page)
	if len(page.Exports) != 1 || page.Exports[0].ID != hold.ID || page.Next == nil {
		t.Errorf("first page: %+v", page)
	}
	w.want(http.StatusOK, w.alice, "GET", *page.Next, "").into(t, &page)
	if len(page.Exports) != 1 || page.Exports[0].ID != e.ID {
		t.Errorf("second page: %+v", page)
	}
	w.want(http.StatusAccepted, w.alice, "DELETE", "/kuva/v1/exports/"+hold.ID, "")
	until(t, "the export is cancelled", func() bool {
		var e api.Export
		w.want(http.StatusOK, w.alice, "GET", "/kuva/v1/exports/"+hold.ID, "").into(t, &e)
		return e.State == "cancelled" && e.Failure != nil
	})

	var buckets api.Buckets
	w.want(http.StatusOK, w.alice, "GET", "/kuva/v1/buckets", "").into(t, &buckets)
	if len(buckets.Buckets) != 1 || buckets.Buckets[0].Name != "small" {
		t.Errorf("%+v", buckets)
	}
	var list api.ListedObjects
	w.want(http.StatusOK, w.alice, "GET", "/kuva/v1/buckets/small/objects?prefix=a/", "").into(t, &list)
	if len(list.Objects) != 1 || list.Objects[0].Object != "a/disk.raw" || list.Objects[0].Size != 15 {
		t.Errorf("%+v", list)
	}
	w.want(http.StatusNotFound, w.alice, "GET", "/kuva/v1/buckets/none/objects", "")
	if text, err := json.Marshal([]any{e, buckets, list}); err != nil || strings.Contains(string(text), "s3cret") {
		t.Errorf("an answer has the secret key, %v", err)
	}
}
