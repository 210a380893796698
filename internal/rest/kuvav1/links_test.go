package kuvav1

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"kuva"
	"kuva/api"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
	"kuva/internal/images"
	"kuva/internal/transfer/link"
)

// link makes one for reading.
func (w *world) link(u *user, image string) *link.Made {
	w.t.Helper()
	made, err := w.links.Make(w.t.Context(), w.principal(u), link.Wish{Image: image, Read: true})
	if err != nil {
		w.t.Fatal(err)
	}
	return made
}

// TestLinks makes, lists, shows and revokes.
func TestLinks(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		w := startOn(t, db, fixed)
		id := w.image(w.alice, strings.Repeat("content of blue ", 4096), func(n *images.NewImage) { n.ID = goldenID })
		made := w.want(http.StatusCreated, w.alice, "POST", "/kuva/v1/links", `{"image":"`+id+`","read":true,"format":"qcow2","settings":{"cluster_size":"65536"},"expires_in":3600,"uses_most":3}`)
		var l, again api.AccessLink
		made.into(t, &l)
		if l.URL == nil || !strings.HasPrefix(*l.URL, "http://kuva.test/l/"+link.Prefix) || !strings.HasSuffix(*l.URL, "/disk.qcow2") {
			t.Fatalf("%+v", l)
		}
		secret := strings.Split(*l.URL, "/")[4]
		if made.header.Get("Location") != "/kuva/v1/links/"+l.ID {
			t.Errorf("Location %q", made.header.Get("Location"))
		}
		if l.State != "live" || !l.Read || l.Write || *l.Format != "qcow2" || *l.UsesMost != 3 || l.Uses != 0 || !l.ExpiresAt.Equal(fixed().Add(3600e9)) || l.Project != w.alice.project || l.User != w.alice.id {
			t.Errorf("%+v", l)
		}
		w.want(http.StatusOK, w.rita, "GET", "/kuva/v1/links/"+l.ID, "").into(t, &again)
		if again.URL != nil {
			t.Error("the address is told again")
		}
		// The secret is nowhere at rest: not in the link's row, not in the audit table.
		for _, table := range []string{"link", "audit", "link_use"} {
			if dump := w.dump(table); strings.Contains(dump, secret) || strings.Contains(dump, secret[len(link.Prefix):]) {
				t.Errorf("the secret lies in the table %s", table)
			}
		}

		if err := w.share(id, w.bob); err != nil {
			t.Fatal(err)
		}
		bobs := w.link(w.bob, id)
		own := w.image(w.bob, "content of green")
		other := w.link(w.bob, own)
		list := func(u *user, query string) (ids []string) {
			for path := "/kuva/v1/links?" + query; path != ""; {
				var page api.AccessLinks
				w.want(http.StatusOK, u, "GET", path, "").into(t, &page)
				for _, x := range page.Links {
					ids = append(ids, x.ID)
				}
				if path = ""; page.Next != nil {
					path = *page.Next
				}
			}
			return ids
		}
		for _, c := range []struct {
			u     *user
			query string
			want  []string
		}{
			{w.alice, "", []string{l.ID}},
			{w.alice, "image=" + id, []string{bobs.ID, l.ID}}, // the owner sees what others made of it
			{w.bob, "image=" + id, []string{bobs.ID}},
			{w.bob, "limit=1", []string{other.ID, bobs.ID}},
			{w.admin, "limit=2", []string{other.ID, bobs.ID, l.ID}},
			{w.admin, "project=" + w.alice.project, []string{l.ID}},
		} {
			if got := list(c.u, c.query); !slices.Equal(got, c.want) {
				t.Errorf("%s asks %q: got %v, want %v", c.u.name, c.query, got, c.want)
			}
		}
		w.want(http.StatusForbidden, w.rita, "DELETE", "/kuva/v1/links/"+l.ID, "")
		w.want(http.StatusNotFound, w.bob, "DELETE", "/kuva/v1/links/"+l.ID, "")
		w.want(http.StatusNoContent, w.alice, "DELETE", "/kuva/v1/links/"+bobs.ID, "")
		w.want(http.StatusNotFound, w.alice, "DELETE", "/kuva/v1/links/"+bobs.ID, "")
		var acts api.Activity
		w.want(http.StatusOK, w.alice, "GET", "/kuva/v1/images/"+id+"/activity", "").into(t, &acts)
		var actions []string
		for _, e := range acts.Activity {
			actions = append(actions, e.Action)
		}
		if n := strings.Count(strings.Join(actions, " "), "link."); n != 3 {
			t.Errorf("activity: %v", actions)
		}
	})
}

// dump is a table as text.
func (w *world) dump(table string) string {
	w.t.Helper()
	var out strings.Builder
	err := w.db.View(w.t.Context(), func(tx *catalog.Tx) error {
		rows, err := tx.Query(w.t.Context(), `SELECT * FROM `+table)
		if err != nil {
			return err
		}
		defer rows.Close()
		columns, err := rows.Columns()
		if err != nil {
			return err
		}
		for rows.Next() {
			values := make([]any, len(columns))
			into := make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				return err
			}
			for _, v := range values {
				if b, ok := v.([]byte); ok {
					v = string(b)
				}
				out.WriteString(" ")
				out.WriteString(strings.TrimSpace(strings.Join(strings.Fields(fmt.Sprint(v)), " ")))
			}
		}
		return rows.Err()
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out.String()
}

// share lets a user's project see an image of alice's.
func (w *world) share(id string, with *user) error {
	ctx := w.t.Context()
	if _, err := w.images.AddMember(ctx, w.principal(w.alice), id, with.project); err != nil {
		return err
	}
	_, err := w.images.SetMember(ctx, w.principal(with), id, with.project, kuva.MemberAccepted)
	return err
}

// TestBadLinks: each gets an error that says what is wrong.
func TestBadLinks(t *testing.T) {
	w := start(t)
	id, queued := w.image(w.alice, "content of blue"), w.image(w.alice, "")
	ami := w.image(w.alice, "content of blue", func(n *images.NewImage) { n.DiskFormat, n.ContainerFormat = "ami", "ami" })
	for _, c := range []struct {
		body   string
		status int
		word   string
	}{
		{`{}`, 400, "nothing"},
		{`{"image":"` + id + `"}`, 400, "nothing"},
		{`{"image":"","read":true}`, 404, ""},
		{`{"image":"` + id + `","read":true,"expires_in":-1}`, 400, "second"},
		{`{"image":"` + id + `","read":true,"expires_in":2592001}`, 400, "2592000"},
		{`{"image":"` + id + `","read":true,"expires_in":9223372036854775807}`, 400, "2592000"},
		{`{"image":"` + id + `","read":true,"uses_most":-1}`, 400, "uses"},
		{`{"image":"` + id + `","read":true,"uses_most":1000001}`, 400, "uses"},
		{`{"image":"` + id + `","read":true,"format":"floppy"}`, 400, "floppy"},
		{`{"image":"` + id + `","read":true,"compress":true}`, 400, "format"},
		{`{"image":"` + id + `","read":true,"horse":true}`, 400, "horse"},
		{`{"image":"` + id + `","read":true,"format":"qcow2","settings":{"horse":"1"}}`, 400, "horse"},
		{`{"image":"` + ami + `","read":true,"format":"raw"}`, 409, ""},
		{`{"image":"` + id + `","write":true}`, 409, "active"},
		{`{"image":"` + queued + `","read":true}`, 409, "queued"},
		{`{"image":"` + queued + `","write":true,"format":"raw"}`, 400, "format"},
		{`{"image":"` + queued + `","read":true,"write":true,"format":"floppy"}`, 400, "floppy"},
	} {
		var e api.Error
		w.want(c.status, w.alice, "POST", "/kuva/v1/links", c.body).into(t, &e)
		if !strings.Contains(e.Message, c.word) {
			t.Errorf("%s: %s", c.body, e.Message)
		}
	}
	w.want(http.StatusBadRequest, w.alice, "GET", "/kuva/v1/links?marker=x", "")
	w.want(http.StatusBadRequest, w.alice, "GET", "/kuva/v1/links?horse=x", "")
	w.want(http.StatusCreated, w.alice, "POST", "/kuva/v1/links", `{"image":"`+queued+`","read":true,"write":true,"format":"qcow2"}`)
	// What was made from an image that forbids it is not given away.
	bound := w.image(w.alice, "content of blue", func(n *images.NewImage) {
		n.Properties = map[string]string{"base_image_ref": id, kuva.CreateImageAllowed: "false"}
	})
	w.want(http.StatusForbidden, w.alice, "POST", "/kuva/v1/links", `{"image":"`+bound+`","read":true}`)
}
