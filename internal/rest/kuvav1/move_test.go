package kuvav1

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2"

	"kuva"
	"kuva/api"
	goclient "kuva/client"
	"kuva/internal/catalog"
	"kuva/internal/images"
)

func (w *world) read(u *user, id string) string {
	w.t.Helper()
	c, err := w.images.Download(w.t.Context(), w.principal(u), id)
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := c.Reader(w.t.Context(), 0, c.Size())
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // it was only read
	b, err := io.ReadAll(r)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

func (w *world) sound() {
	w.t.Helper()
	drift, err := w.images.CheckQuotas(w.t.Context())
	if err != nil || len(drift) > 0 {
		w.t.Errorf("quotas drifted: %+v, %v", drift, err)
	}
}

// TestCopy: the same content under another record, at once within a project, by
// a job from elsewhere; and what may not be copied.
func TestCopy(t *testing.T) {
	w := start(t)
	content := strings.Repeat("some content of a disk ", 10_000)
	src := w.image(w.alice, content, func(n *images.NewImage) {
		n.Properties = map[string]string{"os_distro": "debian"}
		n.Visibility = kuva.VisibilityCommunity
	})
	before, _, err := w.images.Depot(t.Context(), w.principal(w.admin))
	if err != nil {
		t.Fatal(err)
	}
	var made api.ImageDetails
	a := w.want(201, w.alice, "POST", "/kuva/v1/images/"+src+"/copy", `{"name":"second"}`)
	a.into(t, &made)
	if made.Status != "active" || made.Name != "second" || *made.Origin != "copied" || a.header.Get("Location") != "/kuva/v1/images/"+made.ID || made.ID == src {
		t.Errorf("copied %+v", made)
	}
	if w.read(w.alice, made.ID) != content {
		t.Error("the copy has other bytes")
	}
	after, _, err := w.images.Depot(t.Context(), w.principal(w.admin))
	if err != nil || after.Live != before.Live {
		t.Errorf("the store went from %+v to %+v, %v", before, after, err)
	}
	img, err := w.images.Show(t.Context(), w.principal(w.alice), made.ID)
	if err != nil || img.Properties["os_distro"] != "debian" || img.BaseImage != src || img.Visibility == kuva.VisibilityCommunity {
		t.Errorf("the copy is %+v, %v", img, err)
	}

	// The copy outlives its source.
	if err := w.images.Delete(t.Context(), w.principal(w.alice), src); err != nil {
		t.Fatal(err)
	}
	if _, err := w.images.StartCollect(t.Context(), w.principal(w.admin), images.CollectOptions{Compact: true}); err != nil {
		t.Fatal(err)
	}
	if w.read(w.alice, made.ID) != content {
		t.Error("the copy lost its bytes")
	}

	// From another project it is a job.
	foreign := w.image(w.bob, content, func(n *images.NewImage) { n.Visibility = kuva.VisibilityCommunity })
	w.want(202, w.alice, "POST", "/kuva/v1/images/"+foreign+"/copy", "").into(t, &made)
	until(t, "copy from elsewhere", func() bool {
		img, err := w.images.Show(t.Context(), w.principal(w.alice), made.ID)
		return err == nil && img.Status == kuva.StatusActive
	})
	if w.read(w.alice, made.ID) != content {
		t.Error("the copy from elsewhere has other bytes")
	}

	w.want(404, w.bob, "POST", "/kuva/v1/images/"+made.ID+"/copy", "")
	w.want(403, w.rita, "POST", "/kuva/v1/images/"+made.ID+"/copy", "")
	w.want(409, w.alice, "POST", "/kuva/v1/images/"+w.image(w.alice, "")+"/copy", "")
	w.want(400, w.alice, "POST", "/kuva/v1/images/"+made.ID+"/copy", `{"name":7}`)
	base := w.image(w.admin, content, func(n *images.NewImage) {
		n.Visibility, n.Properties = kuva.VisibilityPublic, map[string]string{kuva.CreateImageAllowed: "false"}
	})
	w.want(202, w.alice, "POST", "/kuva/v1/images/"+base+"/copy", "").into(t, &made)
	until(t, "copy of a base", func() bool {
		img, err := w.images.Show(t.Context(), w.principal(w.alice), made.ID)
		return err == nil && img.Status == kuva.StatusActive && img.Visibility == kuva.VisibilityPrivate
	})
	w.want(403, w.alice, "POST", "/kuva/v1/images/"+made.ID+"/copy", "") // made from what may not be given away
	w.sound()
}

// TestMove: an owner offers, the other project accepts; the image changes
// hands with its charge, its content is sealed anew, and who reads it meanwhile
// reads on.
func TestMove(t *testing.T) {
	w := start(t)
	content := strings.Repeat("content that changes hands ", 100_000)
	id := w.image(w.alice, content, func(n *images.NewImage) { n.Visibility = kuva.VisibilityCommunity })
	path := "/kuva/v1/images/" + id + "/move"
	to := `{"project":"` + w.bob.project + `"}`
	w.want(404, w.alice, "GET", path, "")
	w.want(404, w.alice, "POST", path+"/accept", "")
	w.want(403, w.bob, "POST", path, to)
	w.want(403, w.rita, "POST", path, to)
	w.want(400, w.alice, "POST", path, `{"project":"`+w.alice.project+`"}`)
	w.want(400, w.alice, "POST", path, `{}`)
	var offer api.MoveOffer
	w.want(201, w.alice, "POST", path, to).into(t, &offer)
	if offer.Image != id || offer.From != w.alice.project || offer.To != w.bob.project || *offer.Size != int64(len(content)) {
		t.Errorf("offered %+v", offer)
	}
	for _, u := range []*user{w.alice, w.rita, w.bob, w.admin} {
		w.want(200, u, "GET", path, "")
		var list api.MoveOffers
		w.want(200, u, "GET", "/kuva/v1/moves", "").into(t, &list)
		if len(list.Moves) != 1 || list.Next != nil {
			t.Errorf("%s sees %+v", u.name, list)
		}
	}
	w.want(403, w.alice, "POST", path+"/accept", "") // not its own
	w.want(204, w.bob, "DELETE", path, "")           // refused
	w.want(404, w.bob, "POST", path+"/accept", "")
	w.want(201, w.alice, "POST", path, to)
	w.want(204, w.alice, "DELETE", path, "") // taken back
	w.want(201, w.alice, "POST", path, to)

	// Somebody reads, slowly.
	c, err := w.images.Download(t.Context(), w.principal(w.alice), id)
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Reader(t.Context(), 0, c.Size())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // it was only read
	head := make([]byte, 10)
	if _, err := io.ReadFull(r, head); err != nil {
		t.Fatal(err)
	}

	var got api.ImageDetails
	w.want(200, w.bob, "POST", path+"/accept", "").into(t, &got)
	if got.Project != w.bob.project {
		t.Errorf("accepted %+v", got)
	}
	w.want(404, w.alice, "GET", "/kuva/v1/images/"+id, "")
	w.want(404, w.bob, "GET", path, "")
	until(t, "content sealed anew", func() bool {
		jobs, err := w.images.Jobs(t.Context(), w.principal(w.admin), images.JobQuery{Kind: "image.move", Image: id})
		return err == nil && len(jobs) == 1 && jobs[0].State == "succeeded"
	})
	for range 3 { // cycles of the collector
		j, err := w.images.StartCollect(t.Context(), w.principal(w.admin), images.CollectOptions{Compact: true})
		if err != nil {
			t.Fatal(err)
		}
		until(t, "collector", func() bool {
			now, err := w.images.Job(t.Context(), w.principal(w.admin), j.ID)
			return err == nil && now.State.Final()
		})
	}
	rest, err := io.ReadAll(r)
	if err != nil || string(head)+string(rest) != content {
		t.Errorf("the reader got %d bytes, %v", len(rest), err)
	}
	if w.read(w.bob, id) != content {
		t.Error("other bytes after the move")
	}
	q, use, err := w.images.Quota(t.Context(), w.principal(w.bob), w.bob.project)
	if err != nil || use.Bytes != int64(len(content)) || q.Bytes == 0 {
		t.Errorf("bob is charged %+v, %v", use, err)
	}
	w.sound()

	// What cannot be moved.
	public := w.image(w.admin, "x", func(n *images.NewImage) { n.Visibility = kuva.VisibilityPublic })
	w.want(403, w.admin, "POST", "/kuva/v1/images/"+public+"/move", to)
	w.want(404, w.bob, "GET", "/kuva/v1/images/"+public+"/move", "")
	w.want(404, w.bob, "GET", "/kuva/v1/images/nothing/move", "")
}

// TestMoveKeepsForADay: what an image left behind is let go of later, and at
// once where the image is deleted.
func TestMoveKeepsForADay(t *testing.T) {
	w := start(t)
	id := w.image(w.alice, strings.Repeat("x", 1<<20))
	if _, err := w.images.Update(t.Context(), w.principal(w.admin), id, []images.Change{{Name: "visibility", Op: images.OpReplace, Value: "public"}}); err != nil {
		t.Fatal(err)
	}
	pins := func() (n int) {
		_ = w.db.View(t.Context(), func(tx *catalog.Tx) error {
			return tx.QueryRow(t.Context(), `SELECT COUNT(*) FROM pin`).Scan(&n)
		})
		return n
	}
	until(t, "old content pinned", func() bool { return pins() == 1 })
	if err := w.images.Delete(t.Context(), w.principal(w.admin), id); err != nil {
		t.Fatal(err)
	}
	if pins() != 0 {
		t.Error("a deleted image keeps what it had outgrown")
	}
}

// TestClient: the Go client's calls, against the door itself.
func TestClient(t *testing.T) {
	w := start(t)
	as := func(u *user) *goclient.Client {
		p := &gophercloud.ProviderClient{TokenID: u.token}
		return goclient.New(&gophercloud.ServiceClient{ProviderClient: p, Endpoint: w.url + "/image/v2/"})
	}
	alice, bob := as(w.alice), as(w.bob)
	id := w.image(w.alice, "content")
	made, err := alice.Copy(t.Context(), id, "second")
	if err != nil || made.Name != "second" || made.Status != "active" {
		t.Fatalf("copy: %+v, %v", made, err)
	}
	if o, err := alice.OfferMove(t.Context(), made.ID, w.bob.project); err != nil || o.To != w.bob.project {
		t.Fatalf("offer: %+v, %v", o, err)
	}
	if list, err := bob.MoveOffers(t.Context()); err != nil || len(list) != 1 || list[0].Image != made.ID {
		t.Fatalf("offers: %+v, %v", list, err)
	}
	if err := alice.EndMove(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := bob.AcceptMove(t.Context(), made.ID); !errors.Is(err, goclient.ErrNotFound) {
		t.Errorf("accept of what was taken back: %v", err)
	}
	if _, err := alice.OfferMove(t.Context(), made.ID, w.bob.project); err != nil {
		t.Fatal(err)
	}
	if got, err := bob.AcceptMove(t.Context(), made.ID); err != nil || got.Project != w.bob.project {
		t.Errorf("accept: %+v, %v", got, err)
	}
}
