package imagev2

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // named by the API
	"encoding/hex"
	"io"
	"slices"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imagedata"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/members"
	"github.com/gophercloud/gophercloud/v2/pagination"
)

// cloud logs in as a Go program does, and finds the image service in the
// catalogue.
func (w *world) cloud(u *user) *gophercloud.ServiceClient {
	w.t.Helper()
	provider, err := openstack.AuthenticatedClient(w.t.Context(), gophercloud.AuthOptions{
		IdentityEndpoint: w.url + "/identity/v3", Username: u.name, Password: password, DomainName: "Default", TenantName: u.projectName,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := openstack.NewImageV2(provider, gophercloud.EndpointOpts{Region: "RegionOne"})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// TestGophercloud takes an image through its life with the Go library, which
// Terraform, Packer and most controllers stand on.
func TestGophercloud(t *testing.T) {
	w := start(t, options{})
	ctx := t.Context()
	alice, bob := w.cloud(w.alice), w.cloud(w.bob)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	shared := images.ImageVisibilityShared
	img, err := images.Create(ctx, alice, images.CreateOpts{
		Name: "go", DiskFormat: "raw", ContainerFormat: "bare", Visibility: &shared, Tags: []string{"a"},
		MinDisk: 1, MinRAM: 64, Properties: map[string]string{"os_distro": "debian"},
	}).Extract()
	must(err)
	if img.Status != images.ImageStatusQueued || img.SizeBytes != 0 || img.Owner != w.alice.project || img.Properties["os_distro"] != "debian" || !slices.Equal(img.OpenStackImageImportMethods, []string{"glance-direct"}) {
		t.Errorf("created %+v", img)
	}
	if img.CreatedAt.IsZero() || img.File != "/v2/images/"+img.ID+"/file" {
		t.Errorf("created at %v, file %s", img.CreatedAt, img.File)
	}

	data := noise(2<<20+5, 9)
	must(imagedata.Upload(ctx, alice, img.ID, bytes.NewReader(data)).ExtractErr())
	must(images.Update(ctx, alice, img.ID, images.UpdateOpts{
		images.ReplaceImageName{NewName: "gopher"},
		images.ReplaceImageTags{NewTags: []string{"b", "c"}},
		images.ReplaceImageMinDisk{NewMinDisk: 2},
		images.ReplaceImageHidden{NewHidden: false},
		images.ReplaceImageProtected{NewProtected: true},
		images.UpdateImageProperty{Op: images.AddOp, Name: "architecture", Value: "x86_64"},
		images.UpdateImageProperty{Op: images.ReplaceOp, Name: "os_distro", Value: "ubuntu"},
		images.UpdateImageProperty{Op: images.RemoveOp, Name: "os_distro"},
	}).Err)
	img, err = images.Get(ctx, alice, img.ID).Extract()
	must(err)
	sum := md5.Sum(data) //nolint:gosec // named by the API
	if img.Status != images.ImageStatusActive || img.Name != "gopher" || img.SizeBytes != int64(len(data)) || img.Checksum != hex.EncodeToString(sum[:]) ||
		len(img.Tags) != 2 || !img.Protected || img.MinDiskGigabytes != 2 || img.Properties["os_distro"] != nil || img.Properties["architecture"] != "x86_64" {
		t.Errorf("filled and changed %+v", img)
	}
	body, err := imagedata.Download(ctx, alice, img.ID).Extract()
	must(err)
	got, err := io.ReadAll(body)
	must(err)
	if !bytes.Equal(got, data) {
		t.Error("what came back is not what was sent")
	}

	member, err := members.Create(ctx, alice, img.ID, w.bob.project).Extract()
	must(err)
	if member.Status != "pending" || member.MemberID != w.bob.project {
		t.Errorf("member %+v", member)
	}
	_, err = members.Update(ctx, bob, img.ID, w.bob.project, members.UpdateOpts{Status: "accepted"}).Extract()
	must(err)
	member, err = members.Get(ctx, bob, img.ID, w.bob.project).Extract()
	must(err)
	if member.Status != "accepted" {
		t.Errorf("member %+v", member)
	}
	pages, err := members.List(alice, img.ID).AllPages(ctx)
	must(err)
	if all, err := members.ExtractMembers(pages); err != nil || len(all) != 1 {
		t.Errorf("members %v, %v", all, err)
	}

	// Pages: the link to the next one leads through the catalogue's address.
	for range 4 {
		_, err := images.Create(ctx, alice, images.CreateOpts{Name: "more"}).Extract()
		must(err)
	}
	seen := 0
	must(images.List(alice, images.ListOpts{Limit: 2, Sort: "name:asc,id:desc"}).EachPage(ctx, func(_ context.Context, page pagination.Page) (bool, error) {
		found, err := images.ExtractImages(page)
		seen += len(found)
		return true, err
	}))
	if seen != 5 {
		t.Errorf("%d images on all pages, want 5", seen)
	}
	pages, err = images.List(bob, images.ListOpts{Tags: []string{"b", "c"}, MemberStatus: images.ImageMemberStatusAccepted, SizeMin: 5}).AllPages(ctx)
	must(err)
	if found, err := images.ExtractImages(pages); err != nil || len(found) != 1 || found[0].ID != img.ID {
		t.Errorf("bob finds %v, %v", found, err)
	}

	must(members.Delete(ctx, alice, img.ID, w.bob.project).ExtractErr())
	if err := images.Get(ctx, bob, img.ID).Err; !gophercloud.ResponseCodeIs(err, 404) {
		t.Errorf("after the sharing: %v", err)
	}
	if err := images.Delete(ctx, alice, img.ID).ExtractErr(); !gophercloud.ResponseCodeIs(err, 403) {
		t.Errorf("delete of a protected image: %v", err)
	}
	must(images.Update(ctx, alice, img.ID, images.UpdateOpts{images.ReplaceImageProtected{NewProtected: false}}).Err)
	must(images.Delete(ctx, alice, img.ID).ExtractErr())
	if err := images.Get(ctx, alice, img.ID).Err; !gophercloud.ResponseCodeIs(err, 404) {
		t.Errorf("after delete: %v", err)
	}
}
