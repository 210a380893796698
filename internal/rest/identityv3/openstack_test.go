package identityv3

import (
	"strings"
	"testing"

	"kuva/internal/catalog/catalogtest"
	"kuva/internal/identity"
	"kuva/internal/testkit/osclient"
)

func newClient(t *testing.T, s *site) *osclient.Client {
	t.Helper()
	return osclient.New(t, "OS_AUTH_URL="+s.URL+"/identity/v3", "OS_REGION_NAME=RegionOne", "OS_USERNAME=admin", "OS_PASSWORD="+canary,
		"OS_PROJECT_NAME=admin", "OS_USER_DOMAIN_NAME=Default", "OS_PROJECT_DOMAIN_NAME=Default")
}

func has(rows []map[string]any, column string, value any) bool {
	for _, r := range rows {
		if r[column] == value {
			return true
		}
	}
	return false
}

// TestOpenstackClient runs every identity command of Debian's client that
// kuva has something for.
func TestOpenstackClient(t *testing.T) {
	s := newSite(t, catalogtest.SQLite(t))
	o := newClient(t, s)
	check := func(what string, ok bool, got any) {
		t.Helper()
		if !ok {
			t.Errorf("%s: got %v", what, got)
		}
	}

	// The address with the version and the one without must both do.
	tok := o.With("OS_AUTH_URL="+s.URL+"/identity").Object("token", "issue")
	secret, _ := tok["id"].(string)
	check("token issue", strings.HasPrefix(secret, identity.TokenPrefix) && tok["project_id"] != "" && tok["expires"] != "", "another")

	// Projects.
	project := o.Object("project", "create", "--description", "a project", "--tag", "x", "blue")
	check("project create", project["name"] == "blue" && project["enabled"] == true && project["domain_id"] == "default", project)
	blue := project["id"].(string)
	o.Refused("HTTP 409", "project", "create", "blue")
	check("--or-show", o.Object("project", "create", "--or-show", "blue")["id"] == blue, "another")
	o.Run("project", "set", "--description", "ours", "--tag", "y", "blue")
	o.Run("project", "set", "--remove-tag", "x", "blue")
	show := o.Object("project", "show", "blue")
	check("project show", show["id"] == blue && show["description"] == "ours", show)
	check("project list --tags", len(o.Rows("project", "list", "--tags", "y")) == 1, "others")
	check("project list", len(o.Rows("project", "list", "--long")) == 2, "others")
	o.Run("project", "set", "--immutable", "blue")
	o.Refused("HTTP 403", "project", "set", "--name", "green", "blue")
	o.Run("project", "set", "--no-immutable", "blue")

	// Users and their roles.
	user := o.Object("user", "create", "--domain", "default", "--project", "blue", "--email", "a@example.org", "--ignore-lockout-failure-attempts", "--password", canary+"1", "alice")
	check("user create", user["default_project_id"] == blue && user["email"] == "a@example.org", user)
	o.Run("role", "add", "--project", "blue", "--user", "alice", "member")
	names := o.Rows("role", "assignment", "list", "--names", "--project", "blue")
	check("role assignment list", len(names) == 1 && names[0]["User"] == "alice@Default" && names[0]["Project"] == "blue@Default" && names[0]["Role"] == "member", names)
	check("effective", len(o.Rows("role", "assignment", "list", "--effective", "--user", "alice")) == 2, "others")
	check("user list --project", has(o.Rows("user", "list", "--project", "blue"), "Name", "alice"), "others")
	o.Run("user", "set", "--description", "d", "--name", "alina", "alice")
	o.Run("user", "set", "--name", "alice", "alina")
	check("user show", o.Object("user", "show", "alice")["description"] == "d", "another")

	// Groups.
	o.Run("group", "create", "--description", "g", "team")
	o.Run("group", "add", "user", "team", "alice")
	check("contains", strings.Contains(o.Run("group", "contains", "user", "team", "alice"), "alice in group team"), "no")
	check("user list --group", len(o.Rows("user", "list", "--group", "team")) == 1, "others")
	check("group list --user", len(o.Rows("group", "list", "--user", "alice")) == 1, "others")
	o.Run("group", "set", "--name", "crew", "team")
	o.Run("role", "add", "--group", "crew", "--project", "admin", "reader")
	check("by the group", len(o.Rows("role", "assignment", "list", "--effective", "--user", "alice", "--project", "admin")) == 1, "others")
	check("group show", o.Object("group", "show", "crew")["description"] == "g", "another")

	// Domains and the system.
	o.Run("domain", "create", "--description", "d", "lab")
	o.Run("role", "add", "--domain", "lab", "--user", "alice", "reader")
	o.Run("role", "add", "--system", "all", "--user", "alice", "reader")
	alice := o.With("OS_USERNAME=alice", "OS_PASSWORD="+canary+"1", "OS_PROJECT_NAME=blue")
	scoped := alice.With("OS_PROJECT_NAME=", "OS_PROJECT_DOMAIN_NAME=")
	check("domain token", scoped.With("OS_DOMAIN_NAME=lab").Object("token", "issue")["domain_id"] != nil, "none")
	check("system token", scoped.With("OS_SYSTEM_SCOPE=all").Object("token", "issue")["system"] == "all", "none")
	check("role assignment list --system", len(o.Rows("role", "assignment", "list", "--system", "all")) == 2, "others")
	o.Run("user", "create", "--domain", "lab", "--password", canary, "alice")
	o.Run("project", "create", "--domain", "lab", "blue")
	check("domain list", len(o.Rows("domain", "list")) == 2, "others")
	o.Refused("HTTP 403", "domain", "delete", "lab")
	o.Run("domain", "set", "--disable", "lab")
	check("domain show", o.Object("domain", "show", "lab")["enabled"] == false, "enabled")
	o.Run("domain", "delete", "lab")

	// Roles.
	o.Run("role", "create", "--description", "d", "auditor")
	o.Run("implied", "role", "create", "--implied-role", "reader", "auditor")
	check("implied role list", len(o.Rows("implied", "role", "list")) == 3, "others")
	o.Run("implied", "role", "delete", "--implied-role", "reader", "auditor")
	o.Run("role", "set", "--name", "inspector", "auditor")
	check("role list", len(o.Rows("role", "list")) == 4, "others")
	check("role show", o.Object("role", "show", "inspector")["description"] == "d", "another")
	o.Refused("HTTP 403", "role", "delete", "admin")
	o.Run("role", "delete", "inspector")

	// The catalogue.
	services := o.Rows("catalog", "list")
	check("catalog list", len(services) == 2 && has(services, "Type", "image"), services)
	check("catalog show", o.Object("catalog", "show", "image")["name"] == "glance", "another")
	o.Run("region", "create", "--description", "r", "north")
	o.Run("region", "set", "--description", "s", "north")
	check("region show", o.Object("region", "show", "north")["description"] == "s", "another")
	o.Run("service", "create", "--name", "swift", "object-store")
	point := o.Object("endpoint", "create", "--region", "north", "swift", "public", "http://swift.example.org/v1/AUTH_%(project_id)s")
	check("endpoint list", len(o.Rows("endpoint", "list")) == 7 && len(o.Rows("endpoint", "list", "--service", "swift", "--interface", "public")) == 1, "others")
	check("filled in", strings.Contains(alice.Run("catalog", "show", "object-store", "-c", "endpoints", "-f", "value"), "AUTH_"+blue), "not")
	o.Run("endpoint", "set", "--url", "https://swift.example.org", point["id"].(string))
	check("endpoint show", o.Object("endpoint", "show", point["id"].(string))["url"] == "https://swift.example.org", "another")
	o.Refused("HTTP 403", "region", "delete", "north")
	o.Run("service", "set", "--disable", "swift")
	check("disabled", len(o.Rows("catalog", "list")) == 2, "still there")
	check("service list", len(o.Rows("service", "list", "--long")) == 3, "others")
	check("service show", o.Object("service", "show", "swift")["enabled"] == false, "enabled")
	o.Run("endpoint", "delete", point["id"].(string))
	o.Run("service", "delete", "swift")
	check("region list", len(o.Rows("region", "list")) == 2, "others")
	o.Run("region", "delete", "north")

	// What users do themselves.
	check("own projects", len(alice.Rows("project", "list", "--my-projects")) == 2, "others")
	alice.Refused("HTTP 403", "project", "create", "red")
	alice.With("OS_PASSWORD=wrong").Refused("HTTP 401", "token", "issue")
	made := alice.Object("application", "credential", "create", "--role", "reader", "--expiration", "2999-01-01T00:00:00",
		"--access-rules", `[{"service": "identity", "method": "POST", "path": "/v3/auth/tokens"}]`, "ci")
	check("application credential create", made["roles"] == "reader" && made["secret"] != "", made["roles"])
	robot := scoped.With("OS_USERNAME=", "OS_PASSWORD=", "OS_USER_DOMAIN_NAME=", "OS_AUTH_TYPE=v3applicationcredential",
		"OS_APPLICATION_CREDENTIAL_ID="+made["id"].(string), "OS_APPLICATION_CREDENTIAL_SECRET="+made["secret"].(string))
	check("log-in with it", robot.Object("token", "issue")["project_id"] == blue, "another")
	robot.Refused("HTTP 401", "application", "credential", "list")
	check("application credential list", len(alice.Rows("application", "credential", "list")) == 1, "others")
	check("application credential show", alice.Object("application", "credential", "show", "ci")["unrestricted"] == false, "unrestricted")
	rules := alice.Rows("access", "rule", "list")
	check("access rule list", len(rules) == 1, rules)
	alice.Refused("HTTP 403", "access", "rule", "delete", rules[0]["ID"].(string))
	alice.Run("application", "credential", "delete", "ci")
	alice.Run("access", "rule", "show", rules[0]["ID"].(string))
	alice.Run("access", "rule", "delete", rules[0]["ID"].(string))
	robot.Refused("HTTP 401", "token", "issue")
	keys := alice.Object("ec2", "credentials", "create")
	access := keys["access"].(string)
	check("ec2 credentials", keys["project_id"] == blue && len(alice.Rows("ec2", "credentials", "list")) == 1 && alice.Object("ec2", "credentials", "show", access)["secret"] == keys["secret"], "others")
	alice.Run("ec2", "credentials", "delete", access)
	cert := o.Object("credential", "create", "--type", "cert", "alice", "pem")
	o.Run("credential", "set", "--user", "alice", "--type", "cert", "--data", "other", cert["id"].(string))
	check("credential list", len(o.Rows("credential", "list", "--user", "alice")) == 1 && o.Object("credential", "show", cert["id"].(string))["blob"] == "other", "others")
	o.Run("credential", "delete", cert["id"].(string))
	alice.Run("user", "password", "set", "--original-password", canary+"1", "--password", canary+"2")
	alice = alice.With("OS_PASSWORD=" + canary + "2")
	alice.Run("token", "issue")

	// And away with it.
	o.Run("user", "set", "--disable", "alice")
	alice.Refused("HTTP 401", "token", "issue")
	o.Run("role", "remove", "--project", "blue", "--user", "alice", "member")
	o.Run("role", "remove", "--system", "all", "--user", "alice", "reader")
	o.Run("group", "remove", "user", "crew", "alice")
	o.Run("group", "delete", "crew")
	o.Run("token", "revoke", secret)
	s.want(401, "GET", "/v3/auth/catalog", secret, "")
	o.Run("user", "delete", "alice")
	o.Run("project", "delete", "blue")
	o.Refused("HTTP 409", "user", "delete", "admin")
}
