package links

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kuva"
	"kuva/api"
	"kuva/disk"
	"kuva/disk/qcow2"
	"kuva/internal/audit"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
	"kuva/internal/identity"
	"kuva/internal/images"
	"kuva/internal/policy"
	"kuva/internal/testkit"
	"kuva/internal/transfer/link"
)

// TestRoutesHaveRules: no route is outside the table of the policy, and the
// table has none that the door lacks.
func TestRoutesHaveRules(t *testing.T) {
	have, want := New(Config{}).routes.Routes(), policy.Routes(Prefix)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("the door has %q, the policy %q", have, want)
	}
}

// TestCurl: a link is good for curl alone, on both engines: a download under a
// sensible name, one that goes on, HEAD, an upload.
func TestCurl(t *testing.T) {
	testkit.Need(t, "curl")
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		w, dir := startOn(t, db), t.TempDir()
		curl := func(args ...string) string {
			t.Helper()
			cmd := exec.CommandContext(t.Context(), "curl", append([]string{"--silent", "--show-error", "--fail"}, args...)...)
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("curl: %v: %s", err, out)
			}
			return string(out)
		}
		read := func(name string) string {
			t.Helper()
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		content := strings.Repeat("content of blue ", 64<<10)
		id := w.image(content)
		at, _ := w.link(w.principal(w.alice), link.Wish{Image: id, Read: true, Uses: 1})
		if head := curl("-I", at); !strings.Contains(head, "200") || !strings.Contains(head, fmt.Sprint("Content-Length: ", len(content))) {
			t.Errorf("HEAD: %s", head)
		}
		curl("-LO", at) // HEAD counted for nothing
		if read("Debian-12-new.raw") != content {
			t.Error("other bytes")
		}
		// What broke off is gone on with, although the one use is used up.
		if err := os.WriteFile(filepath.Join(dir, "part"), []byte(content[:100_000]), 0o600); err != nil {
			t.Fatal(err)
		}
		curl("-C", "-", "-o", "part", at)
		if read("part") != content {
			t.Error("other bytes")
		}
		w.want(404, "GET", at, "")

		// Another format, and the name that browsers take.
		at, _ = w.link(w.principal(w.alice), link.Wish{Image: id, Read: true, Format: "qcow2"})
		curl("-OJ", strings.TrimSuffix(at, "/Debian-12-new.qcow2"))
		b := read("Debian-12-new.qcow2")
		if d, err := qcow2.Open(t.Context(), strings.NewReader(b), int64(len(b)), disk.OpenOptions{Budget: disk.NewBudget(disk.Limits{})}); err != nil || d.Size() != int64(len(content)) {
			t.Errorf("%v", err)
		}

		// An upload, and then a download by the same link.
		queued := w.image("")
		at, _ = w.link(w.principal(w.alice), link.Wish{Image: queued, Read: true, Write: true, Uses: 2})
		w.want(204, "GET", at, "")
		if err := os.WriteFile(filepath.Join(dir, "disk"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		var up api.LinkUpload
		if err := json.Unmarshal([]byte(curl("-T", "disk", strings.TrimSuffix(at, "Debian-12-new.raw"))), &up); err != nil {
			t.Fatal(err)
		}
		if up.Image != queued || up.Status != "active" || up.Size != int64(len(content)) || len(up.HashValue) != 128 {
			t.Errorf("%+v", up)
		}
		if got := w.want(200, "GET", at, ""); got.body != content {
			t.Error("other bytes")
		}
		w.want(404, "GET", at, "")
		w.want(404, "PUT", at, "x")
	})
}

// TestS193: a secret shows in no log, metric, error, cache or Referer, and not
// in the audit table, which has the address that used it.
func TestS193(t *testing.T) {
	w := start(t)
	id := w.image("content of blue")
	at, made := w.link(w.principal(w.alice), link.Wish{Image: id, Read: true, Uses: 2})
	secret := made.Secret.Reveal()
	var seen strings.Builder
	for _, c := range []struct{ method, at, body string }{
		{"GET", at, ""},
		{"HEAD", at, ""},
		{"GET", at + "?x=1", ""},
		{"GET", at, ""}, // used up
		{"GET", at, "a body"},
		{"PUT", at, "x"},
		{"POST", at, "x"},
		{"DELETE", at, ""},
		{"GET", strings.TrimSuffix(at, "/"+made.Name), ""},
		{"GET", at + "/more", ""},
		{"GET", at + strings.Repeat("x", 20_000), ""},
		{"GET", strings.Replace(at, "/l/", "/l//", 1), ""},
	} {
		a := w.do(c.method, c.at, c.body, "X-Openstack-Request-Id", "req-seen", "Referer", "http://kuva.test/")
		if a.header.Get("Referrer-Policy") != "no-referrer" || a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", c.method, a.header)
		}
		if cache := a.header.Get("Cache-Control"); !strings.Contains(cache, "no-store") || a.status < 300 && cache != "private, no-store" {
			t.Errorf("%s: Cache-Control %q", c.method, cache)
		}
		if a.status == 200 && a.header.Get("Content-Disposition") != `attachment; filename="Debian-12-new.raw"` {
			t.Errorf("%s: %v", c.method, a.header)
		}
		seen.WriteString(a.body)
		for name, values := range a.header {
			if name != "Location" { // of the caller's own address, set right
				fmt.Fprint(&seen, name, values)
			}
		}
	}
	metrics, err := w.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range metrics {
		seen.WriteString(m.String())
	}
	var entries []audit.Entry
	err = w.db.View(t.Context(), func(tx *catalog.Tx) (err error) {
		entries, err = audit.ListByObject(t.Context(), tx, id, 0, 100)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&seen, "%+v %+v %#v", entries, made, made.Secret)
	seen.WriteString(w.log.String())
	all := seen.String()
	if strings.Contains(all, secret) || strings.Contains(all, secret[len(link.Prefix):]) || strings.Contains(all, made.Digest) && !strings.Contains(fmt.Sprintf("%+v", made), made.Digest) {
		t.Errorf("the secret shows: %s", all)
	}
	for _, want := range []string{"link.create", "link.download", "address:127.0.0.1", "maker:" + w.alice.id, "route=\"GET /l/{secret}/{name}\"", `value:"GET /l/{secret}/{name}"`} {
		if !strings.Contains(all, want) {
			t.Errorf("%s is nowhere", want)
		}
	}
}

// ends are the ways in which a link comes to nothing; each leaves the address of
// one that was good.
func ends(w *world) map[string]func() (at string) {
	ctx, t := w.t.Context(), w.t
	member := func() kuva.Principal { return w.principal(w.alice) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	fresh := func(role string) (*user, kuva.Principal) {
		n++
		u := w.person(fmt.Sprint("user", n), fmt.Sprint("project", n), role)
		return u, w.principal(u)
	}
	public := w.image("content for all", func(n *images.NewImage) { n.Visibility = kuva.VisibilityCommunity })
	no := false
	return map[string]func() string{
		"expired": func() string {
			at, _ := w.link(member(), link.Wish{Image: w.image("x"), Read: true, Age: time.Second})
			w.ahead.Add(int64(time.Second))
			return at
		},
		"revoked": func() string {
			at, made := w.link(member(), link.Wish{Image: w.image("x"), Read: true})
			must(w.links.Revoke(ctx, member(), made.ID))
			return at
		},
		"used up": func() string {
			at, _ := w.link(member(), link.Wish{Image: w.image("x"), Read: true, Uses: 1})
			w.want(200, "GET", at, "")
			w.ahead.Add(int64(16 * time.Minute)) // what broke off is gone on with before
			return at
		},
		"for writing": func() string {
			at, _ := w.link(member(), link.Wish{Image: w.image(""), Write: true})
			return at
		},
		"image deleted": func() string {
			id := w.image("x")
			at, _ := w.link(member(), link.Wish{Image: id, Read: true})
			must(w.images.Delete(ctx, member(), id))
			return at
		},
		"image deactivated and back": func() string {
			id := w.image("x")
			at, _ := w.link(w.admin, link.Wish{Image: id, Read: true})
			must(w.images.Deactivate(ctx, member(), id))
			w.want(404, "GET", at, "")
			must(w.images.Reactivate(ctx, member(), id))
			return at
		},
		"image moved": func() string {
			id := w.image("x")
			_, p := fresh(identity.RoleMember)
			at, _ := w.link(w.admin, link.Wish{Image: id, Read: true})
			_, err := w.images.OfferMove(ctx, member(), id, p.ProjectID)
			must(err)
			_, err = w.images.AcceptMove(ctx, p, id)
			must(err)
			return at
		},
		"not shared any more": func() string {
			id := w.image("x")
			_, p := fresh(identity.RoleMember)
			_, err := w.images.AddMember(ctx, member(), id, p.ProjectID)
			must(err)
			at, _ := w.link(p, link.Wish{Image: id, Read: true})
			w.want(200, "GET", at, "")
			must(w.images.RemoveMember(ctx, member(), id, p.ProjectID))
			return at
		},
		"maker without a role": func() string {
			u, p := fresh(identity.RoleMember)
			at, _ := w.link(p, link.Wish{Image: public, Read: true})
			w.want(200, "GET", at, "")
			must(w.identity.Take(ctx, w.admin, identity.Grant{User: u.id, Project: u.project, Role: identity.RoleID(identity.RoleMember)}))
			return at
		},
		"maker disabled": func() string {
			u, p := fresh(identity.RoleMember)
			at, _ := w.link(p, link.Wish{Image: public, Read: true})
			_, err := w.identity.UpdateUser(ctx, w.admin, u.id, identity.UserChange{Enabled: &no})
			must(err)
			return at
		},
		"maker deleted": func() string {
			u, p := fresh(identity.RoleMember)
			at, _ := w.link(p, link.Wish{Image: public, Read: true})
			must(w.identity.DeleteUser(ctx, w.admin, u.id))
			return at
		},
		"project disabled": func() string {
			u, p := fresh(identity.RoleMember)
			at, _ := w.link(p, link.Wish{Image: public, Read: true})
			_, err := w.identity.UpdateProject(ctx, w.admin, u.project, identity.ProjectChange{Enabled: &no})
			must(err)
			return at
		},
		"application credential gone": func() string {
			u, p := fresh(identity.RoleMember)
			c, err := w.identity.CreateApplicationCredential(ctx, p, u.id, identity.NewApplicationCredential{Name: "robot"})
			must(err)
			p.Credential = c.ID
			at, _ := w.link(p, link.Wish{Image: public, Read: true})
			w.want(200, "GET", at, "")
			p.Credential = ""
			must(w.identity.DeleteApplicationCredential(ctx, p, u.id, c.ID))
			return at
		},
	}
}

// TestRefusedAlike: whatever ends a link, the answer is that to one that never
// was, byte for byte.
func TestRefusedAlike(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		w := startOn(t, db)
		face := func(method, at string) string {
			a := w.do(method, at, "", "X-Openstack-Request-Id", "req-same")
			a.header.Del("Date")
			return fmt.Sprint(a.status, a.header, a.body)
		}
		unknown := w.url + "/l/" + link.Prefix + strings.Repeat("A", 43) + "/name.raw"
		want := face("GET", unknown)
		if !strings.HasPrefix(want, "404") {
			t.Fatal(want)
		}
		for about, end := range ends(w) {
			at := end()
			if got := face("GET", at); got != want {
				t.Errorf("%s:\ngot  %s\nwant %s", about, got, want)
			}
			if a, b := face("HEAD", at), face("HEAD", unknown); a != b {
				t.Errorf("%s: HEAD:\ngot  %s\nwant %s", about, a, b)
			}
			if about == "for writing" {
				continue
			}
			if a, b := face("PUT", at), face("PUT", unknown); a != b {
				t.Errorf("%s: PUT:\ngot  %s\nwant %s", about, a, b)
			}
		}
		for _, secret := range []string{"x", "%00", "%ff", strings.Repeat("x", 5000), link.Prefix + strings.Repeat("%20", 43), "..%2f.."} {
			if got := face("GET", w.url+"/l/"+secret); got != want {
				t.Errorf("%.20s: got %s", secret, got)
			}
		}
		for _, path := range []string{"/l", "/l/", "/l/a/b/c"} {
			if got := face("GET", w.url+path); got != want {
				t.Errorf("%s: got %s", path, got)
			}
		}
	})
}

// TestRefusedInTheSameTime: nor does the time tell them apart, S-190.
func TestRefusedInTheSameTime(t *testing.T) {
	w := start(t)
	get := func(at string) func() {
		return func() { w.want(404, "GET", at, "") }
	}
	all := ends(w)
	others := map[string]func(){}
	for _, about := range []string{"expired", "revoked", "used up", "not shared any more"} {
		others[about] = get(all[about]())
	}
	at, _ := w.link(w.principal(w.alice), link.Wish{Image: w.image("x"), Read: true, Uses: 1})
	w.want(200, "GET", at, "")
	others["used up just now"] = get(at)
	testkit.SameTime(t, 40, get(w.url+"/l/"+link.Prefix+strings.Repeat("A", 43)+"/name.raw"), others)
}

// TestOneWins: of fifty at once, by both engines, a link for one use serves one,
// a link for seven seven.
func TestOneWins(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		w := startOn(t, db)
		id := w.image(strings.Repeat("content of blue ", 4096))
		for _, most := range []int64{1, 7} {
			at, made := w.link(w.principal(w.alice), link.Wish{Image: id, Read: true, Uses: most})
			var mu sync.Mutex
			got := map[int]int64{}
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					a, err := call(t.Context(), "GET", at, "")
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						t.Error(err)
					}
					got[a.status]++
				})
			}
			wg.Wait()
			l, err := w.links.Show(t.Context(), w.principal(w.alice), made.ID)
			if err != nil || got[200] != most || got[404] != 50-most || l.Uses != most || l.UsedFrom != "127.0.0.1" {
				t.Errorf("%d uses: %v, %+v, %v", most, got, l, err)
			}
		}
	})
}

// TestGoOn: what may be gone on with, by whom and how long.
func TestGoOn(t *testing.T) {
	w := start(t)
	content := strings.Repeat("content of blue ", 4096)
	id := w.image(content)
	at, _ := w.link(w.principal(w.alice), link.Wish{Image: id, Read: true, Uses: 1, Age: 10 * time.Minute})
	rest := func(status int, headers ...string) answer {
		t.Helper()
		return w.want(status, "GET", at, "", append([]string{"Range", "bytes=60000-"}, headers...)...)
	}
	tag := w.want(200, "GET", at, "").header.Get("ETag")
	if got := rest(206); got.body != content[60000:] {
		t.Error("other bytes")
	}
	rest(206, "If-Range", tag)
	w.want(200, "HEAD", at, "")
	w.want(304, "GET", at, "", "If-None-Match", tag)
	rest(404, "If-Range", `"another"`) // the whole file: another download
	w.want(404, "GET", at, "")
	// Bytes that flow move the end; the end of the link's time does not count.
	for range 4 {
		w.ahead.Add(int64(14 * time.Minute))
		rest(206)
	}
	w.ahead.Add(int64(16 * time.Minute))
	rest(404)

	// Not another address, not another link, not for ever, not after a revocation.
	at, made := w.link(w.principal(w.alice), link.Wish{Image: id, Read: true, Uses: 1, Age: 48 * time.Hour})
	w.want(200, "GET", at, "")
	if _, err := w.links.Open(t.Context(), made.Secret, false, "192.0.2.1", ""); kuva.CodeOf(err) != kuva.CodeNotFound {
		t.Errorf("another address: %v", err)
	}
	for range 24 * 60 / 10 {
		w.ahead.Add(int64(10 * time.Minute))
		if a := w.do("GET", at, "", "Range", "bytes=60000-"); a.status != 206 {
			break
		}
	}
	rest(404)
	at, made = w.link(w.principal(w.alice), link.Wish{Image: id, Read: true, Uses: 1})
	rest(206) // a first use may be a range
	rest(206)
	if err := w.links.Revoke(t.Context(), w.principal(w.alice), made.ID); err != nil {
		t.Fatal(err)
	}
	rest(404)
	// A range that is not there counts for nothing, and neither does a query.
	at, _ = w.link(w.principal(w.alice), link.Wish{Image: id, Read: true, Uses: 1})
	w.want(416, "GET", at, "", "Range", "bytes=99999999-")
	if got := w.want(200, "GET", at+"?format=vdi", ""); got.body != content {
		t.Error("the query chose the format")
	}
	// Compressed files are whole or not at all.
	at, _ = w.link(w.principal(w.alice), link.Wish{Image: id, Read: true, Format: "qcow2", Compress: true, Uses: 1})
	w.want(200, "GET", at, "")
	w.want(404, "GET", at, "", "Range", "bytes=0-")
}

// TestPut: an upload that fails gives its use back, and a link that is revoked
// meanwhile takes nothing in.
func TestPut(t *testing.T) {
	w := start(t)
	id := w.image("")
	p := w.principal(w.alice)
	at, made := w.link(p, link.Wish{Image: id, Write: true, Uses: 1})
	uses := func() int64 {
		t.Helper()
		l, err := w.links.Show(t.Context(), p, made.ID)
		if err != nil {
			t.Fatal(err)
		}
		return l.Uses
	}
	w.want(400, "PUT", at, "content of blue", "X-Kuva-Sha512", strings.Repeat("0", 128))
	w.want(400, "PUT", at, "content of blue", "Content-MD5", "horse")
	if uses() != 0 {
		t.Errorf("%d uses", uses())
	}
	if a := w.want(404, "GET", at, ""); a.status != 404 {
		t.Error("a link for writing reads")
	}
	// Revoked while the bytes come: nothing is kept.
	body := &slow{first: bytes.Repeat([]byte("x"), 1000), then: func() {
		if err := w.links.Revoke(t.Context(), p, made.ID); err != nil {
			t.Error(err)
		}
	}}
	u, err := w.links.Open(t.Context(), made.Secret, true, "127.0.0.1", "")
	if err != nil {
		t.Fatal(err)
	}
	req := put(t, at, body)
	if req != 404 {
		t.Errorf("an upload by a revoked link: %d", req)
	}
	img, err := w.images.Show(t.Context(), p, id)
	if err != nil || img.Status != kuva.StatusQueued {
		t.Errorf("%v, %v", img.Status, err)
	}
	if err := u.Still(t.Context()); kuva.CodeOf(err) != kuva.CodeNotFound {
		t.Errorf("still good: %v", err)
	}
	// An image that is filled already is a conflict, for links as for tokens.
	id = w.image("")
	at, _ = w.link(p, link.Wish{Image: id, Write: true})
	w.want(201, "PUT", at, "content of blue")
	w.want(409, "PUT", at, "content of blue")
}

// TestOff: a site without links makes none and honours none.
func TestOff(t *testing.T) {
	db := catalogtest.SQLite(t)
	w := startOn(t, db)
	id := w.image("content of blue")
	at, made := w.link(w.principal(w.alice), link.Wish{Image: id, Read: true})
	off := link.New(link.Config{DB: db, Images: w.images, Again: w.identity.Again, Off: true, Now: w.now})
	if _, err := off.Open(t.Context(), made.Secret, false, "127.0.0.1", ""); kuva.CodeOf(err) != kuva.CodeNotFound {
		t.Errorf("got %v", err)
	}
	if _, err := off.Make(t.Context(), w.principal(w.alice), link.Wish{Image: id, Read: true}); kuva.CodeOf(err) != kuva.CodeForbidden {
		t.Errorf("got %v", err)
	}
	w.want(200, "GET", at, "")
	short := link.New(link.Config{DB: db, Images: w.images, Again: w.identity.Again, MaxAge: time.Hour, Now: w.now})
	if _, err := short.Make(t.Context(), w.principal(w.alice), link.Wish{Image: id, Read: true, Age: 2 * time.Hour}); kuva.CodeOf(err) != kuva.CodeInvalid {
		t.Errorf("got %v", err)
	}
	l, err := short.Make(t.Context(), w.principal(w.alice), link.Wish{Image: id, Read: true})
	if err != nil || l.ExpiresAt.Sub(l.CreatedAt) != time.Hour {
		t.Errorf("%+v, %v", l, err)
	}
}

func TestFileName(t *testing.T) {
	for _, c := range []struct{ name, ending, want string }{
		{"debian-12", "qcow2", "debian-12.qcow2"},
		{"debian-12.qcow2", "qcow2", "debian-12.qcow2"},
		{"Debian 12/13: new", ".raw", "Debian-12-13--new.raw"},
		{"../../etc/passwd", "", "etc-passwd"},
		{".hidden", "raw", "hidden.raw"},
		{"a\r\nSet-Cookie: x\"", "raw", "aSet-Cookie--x.raw"},
		{"Уба́нту", "raw", "id.raw"},
		{"", "", "id"},
		{".raw", "raw", "raw.raw"},
		{strings.Repeat("x", 300), "raw", strings.Repeat("x", 100) + ".raw"},
	} {
		if got := link.FileName(&kuva.Image{ID: "id", Name: c.name}, c.ending); got != c.want {
			t.Errorf("%q: got %q, want %q", c.name, got, c.want)
		}
	}
}
