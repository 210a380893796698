package kuvav1

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"kuva"
	"kuva/api"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
	"kuva/internal/images"
)

// TestRoles: each route with each role, S-183. Every route is in the table.
func TestRoles(t *testing.T) {
	w := start(t)
	imageID := w.image(w.alice, "content of blue")
	type row struct {
		body                           string
		admin, member, reader, foreign int // member and reader of the project that owns it, member of another
		ned                            int // without a project
	}
	table := map[string]row{
		"GET /kuva/v1/jobs":                 {"", 200, 200, 200, 200, 403},
		"GET /kuva/v1/jobs/{id}":            {"", 200, 200, 200, 404, 404},
		"DELETE /kuva/v1/jobs/{id}":         {"", 202, 202, 403, 404, 404},
		"POST /kuva/v1/jobs/{id}/cancel":    {"", 202, 202, 403, 404, 404},
		"GET /kuva/v1/events":               {"", 200, 200, 200, 200, 403},
		"GET /kuva/v1/images/{id}":          {"", 200, 200, 200, 404, 404},
		"GET /kuva/v1/images/{id}/activity": {"", 200, 200, 200, 404, 404},
		"GET /kuva/v1/images/{id}/report":   {"", 200, 200, 200, 404, 404},
		"GET /kuva/v1/images/{id}/views":    {"", 200, 200, 200, 404, 404},
		"GET /kuva/v1/images/{id}/file":     {"", 200, 200, 200, 404, 404},
		"POST /kuva/v1/images/{id}/import":  {`{"url":"http://site.test/x"}`, 409, 409, 403, 404, 404},
		"GET /kuva/v1/usage":                {"", 200, 200, 200, 200, 403},
		"GET /kuva/v1/quota":                {"", 200, 200, 200, 200, 403},
		"PUT /kuva/v1/quota":                {`{"limits":{"images":7}}`, 200, 403, 403, 403, 403},
		"GET /kuva/v1/depot":                {"", 200, 403, 403, 403, 403},
		"POST /kuva/v1/depot/collect":       {`{"dry_run":true}`, 200, 403, 403, 403, 403},

		"GET /kuva/v1/peers":                  {"", 200, 200, 200, 200, 200},
		"POST /kuva/v1/images/{id}/replicate": {`{"peer":"west"}`, 400, 400, 403, 404, 404},

		"GET /kuva/v1/terms":                    {"", 200, 200, 200, 200, 200},
		"GET /kuva/v1/catalogue":                {"", 200, 200, 200, 200, 200},
		"GET /kuva/v1/catalogue/{name}":         {"", 200, 200, 200, 200, 200},
		"POST /kuva/v1/catalogue/{name}/import": {"", 202, 202, 403, 202, 403},

		// Exports to a bucket, each asked for by the image's owner.
		"POST /kuva/v1/images/{id}/exports":   {`{"bucket":{"name":"small","object":"disk"},"overwrite":true}`, 202, 202, 403, 404, 403},
		"GET /kuva/v1/images/{id}/exports":    {"", 200, 200, 200, 404, 404},
		"GET /kuva/v1/exports":                {"", 200, 200, 200, 200, 403},
		"GET /kuva/v1/exports/{id}":           {"", 200, 200, 200, 404, 404},
		"DELETE /kuva/v1/exports/{id}":        {"", 202, 202, 403, 404, 404},
		"GET /kuva/v1/buckets":                {"", 200, 200, 200, 200, 403},
		"GET /kuva/v1/buckets/{name}/objects": {"", 200, 200, 200, 200, 403},

		// Links to the image, each made by its owner.
		"POST /kuva/v1/links":        {`{"image":"` + imageID + `","read":true}`, 201, 201, 403, 404, 403},
		"GET /kuva/v1/links":         {"", 200, 200, 200, 200, 403},
		"GET /kuva/v1/links/{id}":    {"", 200, 200, 200, 404, 404},
		"DELETE /kuva/v1/links/{id}": {"", 204, 204, 403, 404, 404},

		// Uploads that ask first; the part is a hole, and so nothing lacks.
		"GET /kuva/v1/uploads":                     {"", 200, 200, 200, 200, 403},
		"POST /kuva/v1/uploads":                    {`{"size":5,"metadata":{"name":"disk"}}`, 201, 201, 403, 201, 403},
		"GET /kuva/v1/uploads/{id}":                {"", 200, 200, 200, 404, 404},
		"DELETE /kuva/v1/uploads/{id}":             {"", 204, 204, 403, 404, 404},
		"GET /kuva/v1/uploads/{id}/parts":          {"", 200, 200, 200, 404, 404},
		"POST /kuva/v1/uploads/{id}/parts/{n}/ask": {"kuvaask1\x00\x05\x0b", 200, 200, 403, 404, 404},
		"PUT /kuva/v1/uploads/{id}/parts/{n}":      {"", 409, 409, 403, 404, 404},
		"POST /kuva/v1/uploads/{id}/finish":        {`{"digest":"` + strings.Repeat("0", 64) + `"}`, 409, 409, 403, 404, 404},

		// The image is offered to the foreign project.
		"POST /kuva/v1/images/{id}/copy":        {"", 202, 201, 403, 404, 404},
		"POST /kuva/v1/images/{id}/move":        {`{"project":"other"}`, 201, 201, 403, 404, 404},
		"GET /kuva/v1/images/{id}/move":         {"", 200, 200, 200, 200, 404},
		"DELETE /kuva/v1/images/{id}/move":      {"", 204, 204, 403, 204, 404},
		"POST /kuva/v1/images/{id}/move/accept": {"", 200, 403, 403, 200, 404},
		"GET /kuva/v1/images":                   {"", 200, 200, 200, 200, 200},
		"GET /kuva/v1/moves":                    {"", 200, 200, 200, 200, 403},
	}
	w.inspected(w.alice, imageID)
	for _, route := range w.door.routes.Routes() {
		r, there := table[route]
		if !there {
			t.Errorf("%s is not in the table", route)
			continue
		}
		method, path, _ := strings.Cut(route, " ")
		if strings.HasSuffix(path, "/events") {
			method = "HEAD" // the stream itself: TestEvents
		}
		for _, c := range []struct {
			u    *user
			want int
		}{{w.admin, r.admin}, {w.alice, r.member}, {w.rita, r.reader}, {w.bob, r.foreign}, {w.ned, r.ned}, {nil, 401}} {
			at := path
			if strings.Contains(path, "/jobs/") {
				at = strings.Replace(path, "{id}", w.enqueue(kindHold, w.alice.project), 1)
			}
			at = strings.Replace(at, "{name}", "small", 1)
			if strings.Contains(path, "/links/") {
				at = strings.Replace(path, "{id}", w.link(w.alice, imageID).ID, 1)
			}
			if strings.Contains(path, "/exports/{id}") {
				at = strings.Replace(path, "{id}", w.held(w.alice, imageID).ID, 1)
			}
			var headers []string
			if strings.Contains(path, "/uploads/") {
				at = strings.NewReplacer("{id}", w.begin(w.alice).ID, "{n}", "0").Replace(path)
				headers = map[string][]string{"POST": {"Content-Type", api.AskMedia}, "PUT": {"Content-Type", api.ChunksMedia}}[method]
			}
			if strings.Contains(path, "{id}/move") {
				offered := w.image(w.alice, "content to give away")
				if _, err := w.images.OfferMove(t.Context(), w.principal(w.alice), offered, w.bob.project); err != nil {
					t.Fatal(err)
				}
				at = strings.Replace(at, "{id}", offered, 1)
			}
			at = strings.Replace(at, "{id}", imageID, 1)
			var got int
			if method == "HEAD" {
				res, err := http.DefaultClient.Do(w.request(c.u, method, at, ""))
				if err != nil {
					t.Fatal(err)
				}
				_ = res.Body.Close()
				got = res.StatusCode
			} else {
				got = w.do(c.u, method, at, r.body, headers...).status
			}
			if got != c.want {
				t.Errorf("%s %s as %v: got %d, want %d", method, path, c.u, got, c.want)
			}
		}
	}
}

// TestForeign: what belongs to others is answered like what does not exist,
// byte for byte but for the id and the request's, S-182.
func TestForeign(t *testing.T) {
	w := start(t)
	imageID := w.image(w.alice, "content of blue")
	shared := w.image(w.admin, "", func(n *images.NewImage) { n.Visibility = kuva.VisibilityPrivate })
	jobID, ofService := w.enqueue(kindHold, w.alice.project), w.enqueue(kindHold, "")
	linkID, uploadID := w.link(w.alice, imageID).ID, w.begin(w.alice).ID
	exportID, random := w.held(w.alice, imageID).ID, uuid.NewString()
	face := func(method, path, body, id string) string {
		a := w.do(w.bob, method, strings.Replace(path, "ID", id, 1), strings.Replace(body, "ID", id, 1), "X-Openstack-Request-Id", "req-same")
		a.header.Del("Date")
		return strings.ReplaceAll(fmt.Sprint(a.status, a.header, string(a.body)), id, "ID")
	}
	for _, c := range []struct{ method, path, body, foreign string }{
		{"GET", "/kuva/v1/jobs/ID", "", jobID},
		{"GET", "/kuva/v1/jobs/ID", "", ofService},
		{"DELETE", "/kuva/v1/jobs/ID", "", jobID},
		{"POST", "/kuva/v1/jobs/ID/cancel", "", jobID},
		{"POST", "/kuva/v1/jobs/ID/cancel", "", ofService},
		{"GET", "/kuva/v1/jobs?marker=ID", "", jobID},
		{"GET", "/kuva/v1/jobs?image=ID", "", imageID},
		{"GET", "/kuva/v1/images/ID", "", imageID},
		{"GET", "/kuva/v1/images/ID", "", shared},
		{"GET", "/kuva/v1/images/ID/activity", "", imageID},
		{"GET", "/kuva/v1/images/ID/report", "", imageID},
		{"POST", "/kuva/v1/images/ID/import", `{"url":"http://site.test/x"}`, imageID},
		{"POST", "/kuva/v1/images/ID/copy", "", imageID},
		{"POST", "/kuva/v1/images/ID/exports", `{"bucket":{"name":"small","object":"x"}}`, imageID},
		{"GET", "/kuva/v1/images/ID/exports", "", imageID},
		{"GET", "/kuva/v1/exports/ID", "", exportID},
		{"DELETE", "/kuva/v1/exports/ID", "", exportID},
		{"POST", "/kuva/v1/images/ID/replicate", `{"peer":"west"}`, imageID},
		{"POST", "/kuva/v1/images/ID/move", `{"project":"x"}`, imageID},
		{"GET", "/kuva/v1/images/ID/move", "", imageID},
		{"DELETE", "/kuva/v1/images/ID/move", "", imageID},
		{"POST", "/kuva/v1/images/ID/move/accept", "", imageID},
		{"POST", "/kuva/v1/links", `{"image":"ID","read":true}`, imageID},
		{"GET", "/kuva/v1/links?image=ID", "", imageID},
		{"GET", "/kuva/v1/uploads/ID", "", uploadID},
		{"DELETE", "/kuva/v1/uploads/ID", "", uploadID},
		{"GET", "/kuva/v1/uploads?marker=ID", "", uploadID},
		{"GET", "/kuva/v1/uploads?project=ID", "", w.alice.project},
		{"GET", "/kuva/v1/links/ID", "", linkID},
		{"DELETE", "/kuva/v1/links/ID", "", linkID},
		{"GET", "/kuva/v1/links?project=ID", "", w.alice.project},
		{"GET", "/kuva/v1/jobs?project=ID", "", w.alice.project},
		{"GET", "/kuva/v1/events?project=ID", "", w.alice.project},
		{"GET", "/kuva/v1/usage?project=ID", "", w.alice.project},
		{"GET", "/kuva/v1/quota?project=ID", "", w.alice.project},
		{"PUT", "/kuva/v1/quota?project=ID", `{"limits":{"images":1}}`, w.alice.project},
	} {
		unknown := random
		if len(c.foreign) == 32 {
			unknown = strings.ReplaceAll(random, "-", "")
		}
		if a, b := face(c.method, c.path, c.body, c.foreign), face(c.method, c.path, c.body, unknown); a != b {
			t.Errorf("%s %s:\nforeign %s\nunknown %s", c.method, c.path, a, b)
		}
	}
	// Ids that no database takes are unknown ones, too.
	for _, id := range []string{"%00", "%ff", strings.Repeat("x", 2000), "x'%20OR%201=1", "..%2f..", "%F0%9F%92%A9"} {
		for _, path := range []string{"/kuva/v1/jobs/", "/kuva/v1/images/", "/kuva/v1/links/"} {
			w.want(http.StatusNotFound, w.alice, "GET", path+id, "")
		}
		w.want(http.StatusNotFound, w.alice, "GET", "/kuva/v1/images/"+id+"/activity", "")
		w.want(http.StatusNotFound, w.alice, "DELETE", "/kuva/v1/jobs/"+id, "")
	}
}

// TestBadRequests: each gets an error that says what is wrong.
func TestBadRequests(t *testing.T) {
	w := start(t)
	for _, c := range []struct {
		method, path, body string
		status             int
		word               string
	}{
		{"GET", "/kuva/v1/jobs?limit=0", "", 400, "limit"},
		{"GET", "/kuva/v1/jobs?limit=1&limit=2", "", 400, "limit"},
		{"GET", "/kuva/v1/jobs?status=running", "", 400, "status"},
		{"GET", "/kuva/v1/jobs?state=gone", "", 400, "states"},
		{"GET", "/kuva/v1/jobs?marker=x", "", 400, "marker"},
		{"GET", "/kuva/v1/jobs?kind=%00", "", 400, "kind"},
		{"GET", "/kuva/v1/jobs?" + strings.Repeat("a=1&", 100), "", 400, "parameters"},
		{"GET", "/kuva/v1/jobs?kind=" + strings.Repeat("x", 20000), "", 414, "address"},
		{"GET", "/kuva/v1/jobs", "{}", 400, "body"},
		{"GET", "/kuva/v1?x=1", "", 400, "parameter x"},
		{"GET", "/kuva/v1/usage?from=yesterday", "", 400, "days"},
		{"GET", "/kuva/v1/usage?from=2026-02-30", "", 400, "days"},
		{"GET", "/kuva/v1/usage?from=0001-01-01", "", 400, "days"},
		{"GET", "/kuva/v1/usage?from=2026-02-02&to=2026-02-01", "", 400, "days"},
		{"PUT", "/kuva/v1/quota", "", 400, "empty"},
		{"PUT", "/kuva/v1/quota", "{}", 400, "limit"},
		{"PUT", "/kuva/v1/quota", `{"limits":{"horses":1}}`, 400, "horses"},
		{"PUT", "/kuva/v1/quota", `{"limits":{"images":1.5}}`, 400, "limits"},
		{"PUT", "/kuva/v1/quota", `{"limits":{"images":99999999999999999999}}`, 400, "limits"},
		{"PUT", "/kuva/v1/quota", `{"limit":{"images":1}}`, 400, "limit"},
		{"PUT", "/kuva/v1/quota", strings.Repeat("[", 40), 400, "levels"},
		{"PUT", "/kuva/v1/quota", `{"limits":{"images":1}} more`, 400, "follows"},
		{"PUT", "/kuva/v1/quota", strings.Repeat(" ", 1<<20+1), 413, "larger"},
		{"POST", "/kuva/v1/depot/collect", `{"dryrun":true}`, 400, "dryrun"},
	} {
		a := w.want(c.status, w.admin, c.method, c.path, c.body)
		var e api.Error
		a.into(t, &e)
		if !strings.Contains(e.Message, c.word) || e.RequestID != a.header.Get("X-Openstack-Request-Id") {
			t.Errorf("%s %.60s: %s", c.method, c.path, a.body)
		}
	}
}

// TestLanguage: errors come in the caller's language.
func TestLanguage(t *testing.T) {
	w := start(t)
	for header, want := range map[string]string{"": "en", "fi": "fi", "de-AT, en;q=0.1": "de", "pt": "pt-BR", "fr": "en"} {
		a := w.want(http.StatusNotFound, w.alice, "GET", "/kuva/v1/jobs/"+uuid.NewString(), "", "Accept-Language", header)
		if got := a.header.Get("Content-Language"); got != want {
			t.Errorf("%q: got %s, want %s", header, got, want)
		}
	}
}

// TestJobs lists, pages, reads and cancels.
func TestJobs(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		w := startOn(t, db, fixed)
		var mine []string
		for range 5 {
			mine = append(mine, w.enqueue(kindHold, w.alice.project))
		}
		failed := w.enqueue(kindFail, w.alice.project)
		foreign := w.enqueue(kindHold, w.bob.project)
		get := func(u *user, id string) (j api.Job) {
			w.want(http.StatusOK, u, "GET", "/kuva/v1/jobs/"+id, "").into(t, &j)
			return j
		}
		until(t, "jobs begin", func() bool { return get(w.alice, failed).State == "failed" && get(w.alice, mine[0]).Progress.Done == 1 })
		list := func(u *user, query string) (ids []string) {
			for path := "/kuva/v1/jobs?" + query; path != ""; {
				var page api.Jobs
				w.want(http.StatusOK, u, "GET", path, "").into(t, &page)
				for _, j := range page.Jobs {
					ids = append(ids, j.ID)
				}
				if path = ""; page.Next != nil {
					path = *page.Next
				}
			}
			slices.Sort(ids)
			return ids
		}
		sorted := func(ids ...string) []string { slices.Sort(ids); return ids }
		own := sorted(append([]string{failed}, mine...)...)
		for _, c := range []struct {
			u     *user
			query string
			want  []string
		}{
			{w.alice, "", own},
			{w.alice, "limit=1", own},
			{w.alice, "limit=6", own},
			{w.alice, "project=" + w.alice.project, own},
			{w.alice, "state=failed", []string{failed}},
			{w.alice, "state=failed,succeeded&limit=1", []string{failed}},
			{w.alice, "kind=" + kindFail, []string{failed}},
			{w.alice, "kind=none", nil},
			{w.alice, "image=" + goldenID, nil},
			{w.rita, "limit=4", own},
			{w.bob, "", []string{foreign}},
			{w.admin, "kind=" + kindHold + "&limit=2", sorted(append([]string{foreign}, mine...)...)},
			{w.admin, "project=" + w.bob.project, []string{foreign}},
		} {
			if got := list(c.u, c.query); !slices.Equal(got, c.want) {
				t.Errorf("%s asks %q: got %v, want %v", c.u.name, c.query, got, c.want)
			}
		}
		w.golden("job_failed", w.want(http.StatusOK, w.alice, "GET", "/kuva/v1/jobs/"+failed, "").body)

		var j api.Job
		w.want(http.StatusAccepted, w.alice, "DELETE", "/kuva/v1/jobs/"+mine[0], "").into(t, &j)
		if j.ID != mine[0] || !j.Cancelling && j.State != "cancelled" {
			t.Errorf("got %+v", j)
		}
		until(t, "job ends", func() bool { return get(w.alice, mine[0]).State == "cancelled" })
		w.want(http.StatusConflict, w.alice, "DELETE", "/kuva/v1/jobs/"+mine[0], "")
		w.want(http.StatusAccepted, w.admin, "POST", "/kuva/v1/jobs/"+mine[1]+"/cancel", "")
		until(t, "job ends", func() bool { return get(w.admin, mine[1]).State == "cancelled" })
		w.want(http.StatusForbidden, w.rita, "POST", "/kuva/v1/jobs/"+mine[2]+"/cancel", "")
		if get(w.rita, mine[2]).Cancelling {
			t.Error("a reader cancelled a job")
		}
	})
}

// TestImage: origin, lineage, failure, reads and cost, as owner and as others.
func TestImage(t *testing.T) {
	w := start(t)
	base := w.image(w.alice, strings.Repeat("base of all ", 40_000))
	child := w.image(w.alice, strings.Repeat("base of all ", 40_000)+"and more", func(n *images.NewImage) {
		n.Properties = map[string]string{kuva.PropertyBaseImageRef: base, kuva.PropertyInstanceUUID: goldenID}
	})
	show := func(u *user, id string) (d api.ImageDetails) {
		w.want(http.StatusOK, u, "GET", "/kuva/v1/images/"+id, "").into(t, &d)
		return d
	}
	d := show(w.alice, child)
	if *d.Origin != "snapshot" || *d.Owned.BaseImage != base || *d.Owned.Instance != goldenID || len(d.Owned.Lineage) != 1 ||
		d.Owned.Lineage[0].ID != base || d.Owned.Reads != 0 || d.Owned.ReadAt != nil || d.Owned.LastFailure != nil {
		t.Errorf("got %+v %+v", d, d.Owned)
	}
	if c := d.Owned.Cost; c == nil || c.Stored <= 0 || c.Unique-c.UniqueError > c.Stored {
		t.Errorf("cost %+v", c)
	}
	content, err := w.images.Download(t.Context(), w.principal(w.alice), child)
	if err != nil {
		t.Fatal(err)
	}
	r, err := content.Reader(t.Context(), 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, r)
	_ = r.Close()
	until(t, "read is counted", func() bool { d := show(w.alice, child); return d.Owned.Reads == 1 && d.Owned.ReadAt != nil })

	empty := w.image(w.alice, "")
	_, err = w.images.Ingest(t.Context(), w.principal(w.alice), empty, images.Source{Content: strings.NewReader("short"), Size: 10})
	if err == nil {
		t.Fatal("a short body was taken")
	}
	d = show(w.alice, empty)
	if f := d.Owned.LastFailure; d.Origin != nil || d.Owned.Cost != nil || f == nil || f.Code != "invalid" || f.Received != 5 || f.Sentence == "" {
		t.Errorf("got %+v %+v", d.Owned, f)
	}

	// Where the base is gone its id stays, and the lineage ends before it.
	if err := w.images.Delete(t.Context(), w.principal(w.alice), base); err != nil {
		t.Fatal(err)
	}
	if d = show(w.alice, child); *d.Owned.BaseImage != base || len(d.Owned.Lineage) != 0 {
		t.Errorf("got %+v", d.Owned)
	}
	w.want(http.StatusNotFound, w.alice, "GET", "/kuva/v1/images/"+base, "")

	// Who merely sees an image is not told its owner's affairs.
	public := w.image(w.admin, "for all", func(n *images.NewImage) { n.Visibility = kuva.VisibilityPublic })
	if d = show(w.bob, public); d.Owned != nil || *d.Origin != "uploaded" {
		t.Errorf("got %+v", d)
	}
	w.want(http.StatusForbidden, w.bob, "GET", "/kuva/v1/images/"+public+"/activity", "")
}

// TestActivity pages through what was done, also after the end.
func TestActivity(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		w := startOn(t, db, fixed)
		id := w.image(w.alice, "content", func(n *images.NewImage) { n.ID = goldenID })
		for _, tag := range []string{"a", "b", "c"} {
			if err := w.images.AddTag(t.Context(), w.principal(w.alice), id, tag); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.images.Delete(t.Context(), w.principal(w.alice), id); err != nil {
			t.Fatal(err)
		}
		var actions []string
		for path := "/kuva/v1/images/" + id + "/activity?limit=2"; path != ""; {
			var page api.Activity
			w.want(http.StatusOK, w.rita, "GET", path, "").into(t, &page)
			for _, e := range page.Activity {
				actions = append(actions, e.Action)
				if e.Actor != w.alice.id || *e.Project != w.alice.project || *e.RequestID != "req-of-alice" || e.Result != "ok" {
					t.Errorf("got %+v", e)
				}
			}
			if path = ""; page.Next != nil {
				path = *page.Next
			}
		}
		if len(actions) != 6 || actions[0] != "image.delete" || actions[4] != "image.upload" || actions[5] != "image.create" {
			t.Errorf("got %v", actions)
		}
		w.want(http.StatusBadRequest, w.alice, "GET", "/kuva/v1/images/"+id+"/activity?marker=x", "")
		w.want(http.StatusNotFound, w.bob, "GET", "/kuva/v1/images/"+id+"/activity", "")
	})
}

// TestUsageAndQuota: the numbers follow what is stored, and limits bind.
func TestUsageAndQuota(t *testing.T) {
	w := startOn(t, catalogtest.SQLite(t), fixed)
	w.image(w.alice, strings.Repeat("x", 1000), func(n *images.NewImage) { n.ID = goldenID })
	var u api.Usage
	w.want(http.StatusOK, w.alice, "GET", "/kuva/v1/usage", "").into(t, &u)
	if len(u.Days) != 1 || u.Days[0].Day != "2026-11-21" || u.Days[0].Images != 1 || u.Days[0].Shown != 1000 || u.Days[0].Stored <= 0 || u.Days[0].Unique <= 0 {
		t.Errorf("got %+v", u)
	}
	w.want(http.StatusOK, w.alice, "GET", "/kuva/v1/usage?from=2026-11-01&to=2026-11-20", "").into(t, &u)
	if len(u.Days) != 0 {
		t.Errorf("got %+v", u)
	}
	w.want(http.StatusOK, w.admin, "GET", "/kuva/v1/usage?from=2026-11-01&to=2026-11-30&project="+w.alice.project, "").into(t, &u)
	if len(u.Days) != 1 || u.Project != w.alice.project || u.Days[0].Shown != 1000 {
		t.Errorf("got %+v", u)
	}

	w.golden("quota", w.want(http.StatusOK, w.alice, "GET", "/kuva/v1/quota", "").body)
	set := "/kuva/v1/quota?project=" + url.QueryEscape(w.alice.project)
	w.golden("quota_set", w.want(http.StatusOK, w.admin, "PUT", set, `{"limits":{"images":1,"bytes":-5}}`).body)
	if _, err := w.images.Create(t.Context(), w.principal(w.alice), images.NewImage{}); kuva.CodeOf(err) != kuva.CodeQuota {
		t.Errorf("got %v", err)
	}
	var q api.Quota
	w.want(http.StatusOK, w.admin, "PUT", set, `{"limits":{"images":null}}`).into(t, &q)
	if q.Limits.Images != kuva.DefaultQuota.Images || q.Limits.Bytes != -1 {
		t.Errorf("got %+v", q)
	}
	w.golden("activity", w.want(http.StatusOK, w.alice, "GET", "/kuva/v1/images/"+goldenID+"/activity", "").body)
}

// TestDepot: totals, a plan that changes nothing, a cycle that does.
func TestDepot(t *testing.T) {
	w := start(t)
	keep, drop := w.image(w.alice, strings.Repeat("keep ", 1000)), w.image(w.alice, strings.Repeat("drop ", 1000))
	var before, after api.Depot
	w.want(http.StatusOK, w.admin, "GET", "/kuva/v1/depot", "").into(t, &before)
	if before.ReadOnly || before.Objects.Count != 2 || before.Objects.Bytes != 10_000 || before.Live.Count == 0 || before.Live.Bytes == 0 {
		t.Errorf("got %+v", before)
	}
	if err := w.images.Delete(t.Context(), w.principal(w.alice), drop); err != nil {
		t.Fatal(err)
	}
	var plan api.CollectPlan
	w.want(http.StatusOK, w.admin, "POST", "/kuva/v1/depot/collect", `{"dry_run":true}`).into(t, &plan)
	if plan.Objects.Count != 1 || len(plan.Steps) == 0 {
		t.Errorf("got %+v", plan)
	}
	w.want(http.StatusOK, w.admin, "GET", "/kuva/v1/depot", "").into(t, &after)
	if after.Objects != before.Objects {
		t.Errorf("a plan changed %+v to %+v", before, after)
	}
	var j api.Job
	w.want(http.StatusAccepted, w.admin, "POST", "/kuva/v1/depot/collect", "").into(t, &j)
	until(t, "cycle", func() bool {
		w.want(http.StatusOK, w.admin, "GET", "/kuva/v1/jobs/"+j.ID, "").into(t, &j)
		return j.State == "succeeded" && j.Progress.Message != ""
	})
	w.want(http.StatusNotFound, w.alice, "GET", "/kuva/v1/jobs/"+j.ID, "")
	w.want(http.StatusOK, w.admin, "GET", "/kuva/v1/depot", "").into(t, &after)
	if after.Objects.Count != 1 || after.Cycle <= before.Cycle {
		t.Errorf("got %+v", after)
	}
	if _, err := w.images.Download(t.Context(), w.principal(w.alice), keep); err != nil {
		t.Error(err)
	}
}
