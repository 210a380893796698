package kuvav1

import (
	"net/http"
	"strings"
	"testing"

	"kuva/api"
	"kuva/internal/transfer/upload"
)

// beginTus makes an upload of so many bytes, as by tus.
func (w *world) beginTus(u *user, size int64) string {
	w.t.Helper()
	got, err := w.uploads.Begin(w.t.Context(), w.principal(u), upload.Begin{
		Protocol: upload.ProtocolTus, Size: size, Metadata: map[string]string{"name": "on its way", "content": "exact", "disk_format": "raw"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return got.ID
}

// send brings the next bytes of one.
func (w *world) send(u *user, id string, off int64, data string) {
	w.t.Helper()
	_, err := w.uploads.Receive(w.t.Context(), w.principal(u), id, upload.Chunk{
		Offset: off, Content: strings.NewReader(data), Size: int64(len(data)), Length: -1,
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestUploadList: pages, states, and what becomes of uploads.
func TestUploadList(t *testing.T) {
	w := start(t)
	first, second := w.beginTus(w.alice, 10), w.beginTus(w.alice, -1)
	w.beginTus(w.bob, 3)
	w.send(w.alice, first, 0, "01234")
	var page api.Uploads
	w.want(200, w.rita, "GET", "/kuva/v1/uploads?limit=1", "").into(t, &page)
	if len(page.Uploads) != 1 || page.Uploads[0].ID != second || page.Uploads[0].Size != nil || page.Next == nil {
		t.Fatalf("%+v", page)
	}
	next := *page.Next
	page = api.Uploads{}
	w.want(200, w.rita, "GET", next, "").into(t, &page)
	if u := page.Uploads[0]; u.ID != first || u.Received != 5 || *u.Size != 10 || u.State != "open" || u.ImageID == nil || u.Name != "on its way" ||
		u.ProjectID != w.alice.project || u.UserID != w.alice.id || u.Metadata["content"] != "exact" || u.Protocol != "tus" {
		t.Errorf("%+v", u)
	}
	for query, want := range map[string]int{"": 3, "?state=done": 0, "?project=" + w.bob.project: 1, "?state=open&project=" + w.alice.project: 2} {
		page = api.Uploads{}
		w.want(200, w.admin, "GET", "/kuva/v1/uploads"+query, "").into(t, &page)
		if len(page.Uploads) != want {
			t.Errorf("%q: an administrator sees %d, want %d", query, len(page.Uploads), want)
		}
	}
	w.want(http.StatusBadRequest, w.alice, "GET", "/kuva/v1/uploads?state=over", "")
	w.want(http.StatusForbidden, w.alice, "GET", "/kuva/v1/uploads?project="+w.bob.project, "")

	w.want(http.StatusNoContent, w.alice, "DELETE", "/kuva/v1/uploads/"+first, "")
	w.want(http.StatusNotFound, w.alice, "GET", "/kuva/v1/uploads/"+first, "")

	// What deleting the image ends is seen for a while.
	var u api.Upload
	w.want(200, w.alice, "GET", "/kuva/v1/uploads/"+second, "").into(t, &u)
	if err := w.images.Delete(t.Context(), w.principal(w.alice), *u.ImageID); err != nil {
		t.Fatal(err)
	}
	w.want(200, w.alice, "GET", "/kuva/v1/uploads/"+second, "").into(t, &u)
	if u.State != "failed" || u.Failure == nil || u.Failure.Code != "gone" {
		t.Errorf("%+v", u)
	}
}

// TestUploadEvents: progress is told to the project, and to nobody else.
func TestUploadEvents(t *testing.T) {
	w := start(t)
	alice, bob := w.follow(w.alice, ""), w.follow(w.bob, "")
	alice.kind("begin")
	bob.kind("begin")
	id := w.beginTus(w.alice, 10)
	told := func(want string) {
		t.Helper()
		for {
			if e := alice.kind("upload"); strings.Contains(e.data, want) && strings.Contains(e.data, id) {
				return
			}
		}
	}
	told(`"received":0`)
	w.send(w.alice, id, 0, "01234")
	told(`"received":5`)
	w.send(w.alice, id, 5, "56789")
	told(`"state":"done"`)
	w.beginTus(w.bob, 1)
	if e := bob.kind("upload"); strings.Contains(e.data, id) {
		t.Errorf("others are told: %s", e.data)
	}
}
