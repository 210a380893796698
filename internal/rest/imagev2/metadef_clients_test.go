package imagev2

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kuva/internal/testkit/osclient"
)

// TestGlanceMetadef runs every md-* command of Debian's glance client.
func TestGlanceMetadef(t *testing.T) {
	w := start(t, options{})
	if n, err := w.metadef.Load(t.Context()); err != nil || n != 33 {
		t.Fatalf("%d namespaces loaded, %v", n, err)
	}
	as := func(u *user) []string {
		return []string{
			"OS_AUTH_URL=" + w.url + "/identity/v3", "OS_REGION_NAME=RegionOne", "OS_USERNAME=" + u.name, "OS_PASSWORD=" + password,
			"OS_PROJECT_NAME=" + u.projectName, "OS_USER_DOMAIN_NAME=Default", "OS_PROJECT_DOMAIN_NAME=Default",
		}
	}
	admin := osclient.NewGlance(t, as(w.admin)...)
	bob := admin.With(as(w.bob)...)
	document := filepath.Join(t.TempDir(), "namespace.json")
	if err := os.WriteFile(document, []byte(whole("Imported")), 0o600); err != nil {
		t.Fatal(err)
	}
	shows := func(c *osclient.Client, words string, args ...string) {
		t.Helper()
		out := c.Run(args...)
		for word := range strings.SplitSeq(words, ",") {
			if !strings.Contains(out, word) {
				t.Errorf("glance %s: no %q in\n%s", strings.Join(args, " "), word, out)
			}
		}
	}
	shows(bob, "OS::Compute::Libvirt,OS::OperatingSystem,CIM::VirtualSystemSettingData", "md-namespace-list", "--page-size", "7")
	shows(bob, "OS::Software::DBMS", "md-namespace-list", "--resource-types", "OS::Trove::Instance", "--visibility", "public")
	shows(bob, "OS::Nova::Flavor,OS::Glance::Image,OS::Cinder::Volume", "md-resource-type-list")
	shows(bob, "hw:cpu_policy", "md-namespace-show", "OS::Compute::CPUPinning", "--resource-type", "OS::Nova::Flavor")
	bob.Refused("403", "md-namespace-create", "Of::Bob")

	shows(admin, "Test::One,public", "md-namespace-create", "Test::One", "--display-name", "One", "--description", "First", "--visibility", "public", "--protected", "True")
	admin.Refused("409", "md-namespace-create", "Test::One")
	admin.Refused("403", "md-namespace-delete", "Test::One")
	shows(admin, "Renamed", "md-namespace-update", "Test::One", "--display-name", "Renamed", "--protected", "False", "--visibility", "public")
	shows(admin, "A whole one,Limits,sockets", "md-namespace-import", "--file", document)
	shows(bob, "hw:,hw_", "md-namespace-resource-type-list", "Imported")

	shows(admin, "OS::Nova::Server", "md-resource-type-associate", "Test::One", "--name", "OS::Nova::Server", "--prefix", "x:")
	shows(bob, "OS::Nova::Server,x:", "md-namespace-resource-type-list", "Test::One")
	admin.Run("md-resource-type-deassociate", "Test::One", "OS::Nova::Server")

	shows(admin, "size", "md-property-create", "Test::One", "--name", "size", "--title", "Size", "--schema", `{"type":"integer","minimum":1}`)
	shows(bob, "size,Size", "md-property-list", "Test::One")
	shows(bob, "Size,minimum", "md-property-show", "Test::One", "size")
	shows(admin, "Extent", "md-property-update", "Test::One", "size", "--title", "Extent", "--schema", `{"type":"number"}`)
	admin.Run("md-property-delete", "Test::One", "size")
	bob.Refused("404", "md-property-show", "Test::One", "size")
	admin.Run("md-namespace-properties-delete", "Imported")

	shows(admin, "box", "md-object-create", "Test::One", "--name", "box", "--schema", `{"description":"A box","properties":{"width":{"type":"number","title":"Width"}}}`)
	shows(bob, "box,A box", "md-object-list", "Test::One")
	shows(bob, "width", "md-object-show", "Test::One", "box")
	shows(bob, "Width,number", "md-object-property-show", "Test::One", "box", "width")
	shows(admin, "crate", "md-object-update", "Test::One", "box", "--name", "crate")
	admin.Run("md-object-delete", "Test::One", "crate")
	admin.Run("md-namespace-objects-delete", "Imported")

	shows(admin, "red", "md-tag-create", "Test::One", "--name", "red")
	shows(admin, "green,blue", "md-tag-create-multiple", "Test::One", "--names", "green,blue")
	bob.Refused("404", "md-tag-show", "Test::One", "red") // replaced
	// Debian's client stumbles over the header that it makes of --append.
	admin.Refused("quote_from_bytes", "md-tag-create-multiple", "Test::One", "--names", "yellow", "--append")
	w.want(201, w.admin, "POST", "/v2/metadefs/namespaces/Test::One/tags", `{"tags":[{"name":"yellow"}]}`, "X-Openstack-Append", "True")
	shows(bob, "green,blue,yellow", "md-tag-list", "Test::One")
	shows(bob, "green", "md-tag-show", "Test::One", "green")
	shows(admin, "grass", "md-tag-update", "Test::One", "green", "--name", "grass")
	admin.Run("md-tag-delete", "Test::One", "grass")
	admin.Run("md-namespace-tags-delete", "Imported")

	var left map[string]any
	if err := json.Unmarshal(w.want(200, w.bob, "GET", "/v2/metadefs/namespaces/Imported", nil).body, &left); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"properties", "objects", "tags"} {
		if left[kind] != nil {
			t.Errorf("%s are left: %v", kind, left[kind])
		}
	}
	admin.Run("md-namespace-delete", "Test::One")
	admin.Run("md-namespace-delete", "Imported")
	bob.Refused("404", "md-namespace-show", "Test::One")
}
