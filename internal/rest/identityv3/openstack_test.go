package identityv3

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"kuva/internal/catalog/catalogtest"
	"kuva/internal/identity"
)

// command runs Debian's openstackclient, unmodified, against the site.
type command struct {
	t    *testing.T
	path string
	env  []string
}

func newCommand(t *testing.T, s *site, authURL string) *command {
	t.Helper()
	path, err := exec.LookPath("openstack")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("openstack is missing: apt-get install python3-openstackclient")
		}
		t.Skip("not run: openstack is missing")
	}
	return &command{t: t, path: path, env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LC_ALL=C.UTF-8", "NO_PROXY=*",
		"OS_AUTH_URL=" + authURL, "OS_IDENTITY_API_VERSION=3", "OS_REGION_NAME=RegionOne",
		"OS_USERNAME=admin", "OS_PASSWORD=" + canary, "OS_PROJECT_NAME=admin", "OS_USER_DOMAIN_NAME=Default", "OS_PROJECT_DOMAIN_NAME=Default",
	}}
}

// as is the same client for another user.
func (o *command) as(user, password, project string) *command {
	c := *o
	c.env = append(c.env[:len(c.env):len(c.env)], "OS_USERNAME="+user, "OS_PASSWORD="+password, "OS_PROJECT_NAME="+project)
	return &c
}

func (o *command) try(args ...string) (string, string, error) {
	cmd := exec.CommandContext(o.t.Context(), o.path, args...)
	cmd.Env = o.env
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	return out.String(), errs.String(), err
}

func (o *command) run(args ...string) string {
	o.t.Helper()
	out, errs, err := o.try(args...)
	if err != nil {
		o.t.Fatalf("openstack %s: %v\n%s", strings.Join(args, " "), err, errs)
	}
	return strings.TrimSpace(out)
}

// object runs a command that shows one thing.
func (o *command) object(args ...string) map[string]any {
	o.t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(o.run(append(args, "-f", "json")...)), &v); err != nil {
		o.t.Fatal(err)
	}
	return v
}

// rows runs a command that lists.
func (o *command) rows(args ...string) []map[string]any {
	o.t.Helper()
	var v []map[string]any
	if err := json.Unmarshal([]byte(o.run(append(args, "-f", "json")...)), &v); err != nil {
		o.t.Fatal(err)
	}
	return v
}

func TestOpenstackClient(t *testing.T) {
	s := newSite(t, catalogtest.SQLite(t))
	// The address with the version and the one without must both do.
	o, bare := newCommand(t, s, s.URL+"/identity/v3"), newCommand(t, s, s.URL+"/identity")

	tok := bare.object("token", "issue")
	secret, _ := tok["id"].(string)
	if !strings.HasPrefix(secret, identity.TokenPrefix) || tok["project_id"] == "" || tok["expires"] == "" {
		t.Error("token issue shows no token")
	}
	project := o.object("project", "create", "--description", "a project", "blue")
	if project["name"] != "blue" || project["enabled"] != true || project["domain_id"] != "default" {
		t.Errorf("got %v", project)
	}
	user := o.object("user", "create", "--domain", "default", "--project", "blue", "--email", "a@example.org", "--password", canary+"1", "alice")
	if user["default_project_id"] != project["id"] || user["email"] != "a@example.org" {
		t.Errorf("got %v", user)
	}
	o.run("role", "add", "--project", "blue", "--user", "alice", "member")
	names := o.rows("role", "assignment", "list", "--names")
	found := false
	for _, a := range names {
		found = found || a["User"] == "alice@Default" && a["Project"] == "blue@Default" && a["Role"] == "member"
	}
	if !found || len(names) != 2 {
		t.Errorf("got %v", names)
	}
	if list := o.rows("project", "list"); len(list) != 2 {
		t.Errorf("got %v", list)
	}
	if show := o.object("project", "show", "blue"); show["id"] != project["id"] || show["description"] != "a project" {
		t.Errorf("got %v", show)
	}
	services := o.rows("catalog", "list")
	if len(services) != 2 || services[1]["Type"] != "image" {
		t.Errorf("got %v", services)
	}
	if roles := o.rows("role", "list"); len(roles) != 3 {
		t.Errorf("got %v", roles)
	}
	if list := o.rows("endpoint", "list"); len(list) != 6 {
		t.Errorf("got %v", list)
	}

	alice := o.as("alice", canary+"1", "blue")
	if list := alice.rows("project", "list"); len(list) != 1 || list[0]["Name"] != "blue" {
		t.Errorf("got %v", list)
	}
	if _, errs, err := alice.try("project", "create", "red"); err == nil || !strings.Contains(errs, "HTTP 403") {
		t.Errorf("alice made a project: %v %s", err, errs)
	}
	if _, errs, err := o.as("alice", "wrong", "blue").try("token", "issue"); err == nil || !strings.Contains(errs, "HTTP 401") {
		t.Errorf("wrong password: %v %s", err, errs)
	}
	alice.run("user", "password", "set", "--original-password", canary+"1", "--password", canary+"2")
	o.run("user", "set", "--disable", "alice")
	if _, errs, err := o.as("alice", canary+"2", "blue").try("token", "issue"); err == nil || !strings.Contains(errs, "HTTP 401") {
		t.Errorf("disabled: %v %s", err, errs)
	}
	o.run("role", "remove", "--project", "blue", "--user", "alice", "member")
	o.run("token", "revoke", secret)
	s.want(401, "GET", "/v3/auth/catalog", secret, "")
	o.run("user", "delete", "alice")
	o.run("project", "delete", "blue")
}
