package images_test

import (
	"slices"
	"testing"

	"kuva"
	"kuva/internal/images"
	"kuva/internal/policy"
)

// TestPolicyHides: a site's rule about get_image hides images from all calls,
// and lists still have full pages of what is left.
func TestPolicyHides(t *testing.T) {
	p, err := policy.With(map[string]string{
		"get_image":         "rule:sees and (not 'private':%(visibility)s or rule:context_is_admin)",
		"get_images":        "not role:blind",
		"communitize_image": "!",
		"delete_image":      "role:janitor and rule:sees",
	})
	if err != nil {
		t.Fatal(err)
	}
	each(t, func(t *testing.T, w *world) {
		var shared []string
		hidden := ""
		for i := range 9 {
			v := kuva.VisibilityPrivate
			if i%3 == 0 {
				v = kuva.VisibilityShared
			}
			id := w.create(root, images.NewImage{Owner: alice.ProjectID, Visibility: v}).ID
			if hidden = id; v == kuva.VisibilityShared {
				shared = append([]string{id}, shared...)
			}
		}
		var found []string
		q := images.Query{Limit: 2}
		for page := 0; ; page++ {
			list, err := w.List(ctx, alice, q)
			if err != nil {
				t.Fatal(err)
			}
			for _, img := range list {
				found = append(found, img.ID)
			}
			if len(list) < q.Limit || page > 5 {
				break
			}
			q.Marker = list[len(list)-1].ID
		}
		if !slices.Equal(found, shared) {
			t.Errorf("listed %v, want %v", found, shared)
		}
		if list, err := w.List(ctx, root, images.Query{Limit: 100}); err != nil || len(list) != 9 {
			t.Errorf("an administrator lists %d: %v", len(list), err)
		}
		if _, err := w.Show(ctx, alice, hidden); kuva.CodeOf(err) != kuva.CodeNotFound {
			t.Errorf("show: %v", err)
		}
		if _, err := w.Download(ctx, alice, hidden); kuva.CodeOf(err) != kuva.CodeNotFound {
			t.Errorf("download: %v", err)
		}
		blind := alice
		blind.Roles = []string{"member", "blind"}
		if _, err := w.List(ctx, blind, images.Query{Limit: 1}); kuva.CodeOf(err) != kuva.CodeForbidden {
			t.Errorf("list without the right: %v", err)
		}
		if _, err := w.Create(ctx, alice, images.NewImage{Visibility: kuva.VisibilityCommunity}); kuva.CodeOf(err) != kuva.CodeForbidden {
			t.Errorf("community: %v", err)
		}
		if err := w.Delete(ctx, alice, shared[0]); kuva.CodeOf(err) != kuva.CodeForbidden {
			t.Errorf("delete: %v", err)
		}
		// A rule may give more, too, to those who see the image.
		janitor := kuva.Principal{UserID: "j", ProjectID: alice.ProjectID, Roles: []string{"janitor"}}
		if err := w.Delete(ctx, janitor, shared[0]); err != nil {
			t.Errorf("delete by the janitor: %v", err)
		}
	}, func(c *images.Config) { c.Policy = p })
}
