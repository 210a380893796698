package kuvav1

import (
	"net/url"
	"testing"

	"kuva"
	"kuva/api"
	"kuva/internal/images"
)

// TestOwnImages: all of the project's images in every visibility, page by page,
// with their last use, and no one else's, an administrator's list included.
func TestOwnImages(t *testing.T) {
	w := start(t)
	want := map[string]bool{}
	for _, v := range []kuva.Visibility{kuva.VisibilityPrivate, kuva.VisibilityShared, kuva.VisibilityCommunity} {
		want[w.image(w.alice, "content of one", func(n *images.NewImage) { n.Visibility = v })] = true
	}
	hidden := w.image(w.alice, "hidden", func(n *images.NewImage) { n.Hidden = true })
	foreign := w.image(w.bob, "foreign", func(n *images.NewImage) { n.Visibility = kuva.VisibilityCommunity })

	got := map[string]bool{}
	pages := 0
	for next := "/kuva/v1/images?limit=2"; next != ""; pages++ {
		var list api.OwnImages
		w.want(200, w.alice, "GET", next, "").into(t, &list)
		for _, i := range list.Images {
			got[i.ID] = true
			if i.Origin == nil || *i.Origin != "uploaded" {
				t.Errorf("origin of %s: %v", i.ID, i.Origin)
			}
		}
		if next = ""; list.Next != nil {
			next = *list.Next
		}
	}
	if len(got) != len(want) || pages != 2 || got[foreign] || got[hidden] {
		t.Errorf("got %v in %d pages, want %v", got, pages, want)
	}
	var list api.OwnImages
	w.want(200, w.alice, "GET", "/kuva/v1/images?hidden=true", "").into(t, &list)
	if len(list.Images) != 1 || list.Images[0].ID != hidden {
		t.Errorf("hidden: %+v", list)
	}
	list = api.OwnImages{}
	w.want(200, w.admin, "GET", "/kuva/v1/images", "").into(t, &list)
	if len(list.Images) != 0 {
		t.Errorf("the administrator's project has none, got %+v", list)
	}
	for _, q := range []string{"hidden=1", "limit=0", "marker=" + url.QueryEscape("no such image"), "owner=x"} {
		w.want(400, w.alice, "GET", "/kuva/v1/images?"+q, "")
	}
}
