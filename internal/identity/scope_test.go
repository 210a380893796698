package identity

import (
	"bytes"
	"encoding/base64"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
	"kuva/internal/depot/keyfile"
)

func roleNames(roles []Role) []string {
	var out []string
	for _, r := range roles {
		out = append(out, r.Name)
	}
	return out
}

// Roles come by groups, by implication and on every kind of scope, and go with
// what gave them.
func TestScopes(t *testing.T) {
	onBoth(t, Config{}, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		d, err := f.CreateDomain(ctx, f.admin, Domain{Name: "lab", Enabled: true})
		if err != nil {
			t.Fatal(err)
		}
		p, err := f.CreateProject(ctx, f.admin, Project{Name: "blue", DomainID: d.ID, Enabled: true})
		if err != nil {
			t.Fatal(err)
		}
		u, err := f.CreateUser(ctx, f.admin, User{Name: "alice", DomainID: d.ID, Enabled: true}, canary+"1")
		if err != nil {
			t.Fatal(err)
		}
		g, err := f.CreateGroup(ctx, f.admin, Group{Name: "crew", DomainID: d.ID})
		if err != nil {
			t.Fatal(err)
		}
		if err := f.AddMember(ctx, f.admin, g.ID, u.ID); err != nil {
			t.Fatal(err)
		}
		for _, grant := range []Grant{
			{Group: g.ID, Project: p.ID, Role: RoleID(RoleMember)}, {User: u.ID, Domain: d.ID, Role: RoleID(RoleReader)}, {Group: g.ID, Role: RoleID(RoleReader)},
		} {
			wantCode(t, f.Given(ctx, f.admin, grant), kuva.CodeNotFound)
			if err := f.Give(ctx, f.admin, grant); err != nil {
				t.Fatal(err)
			}
			if err := f.Given(ctx, f.admin, grant); err != nil {
				t.Error(err)
			}
		}
		login := func(scope Scope) (*Token, kuva.Principal, error) {
			tok, err := f.LogInPassword(ctx, LogIn{User: Ref{ID: u.ID}, Password: canary + "1", Scope: scope})
			if err != nil {
				return nil, kuva.Principal{}, err
			}
			who, err := f.Check(ctx, tok.Secret.Reveal())
			return tok, who, err
		}
		for _, c := range []struct {
			name  string
			scope Scope
			roles []string
			want  kuva.Principal
		}{
			{"project", Scope{Project: Ref{Name: "blue", DomainName: "lab"}}, []string{"member", "reader"}, kuva.Principal{ProjectID: p.ID}},
			{"domain", Scope{Domain: Ref{Name: "lab"}}, []string{"reader"}, kuva.Principal{DomainScope: d.ID}},
			{"system", Scope{System: true}, []string{"reader"}, kuva.Principal{}},
			{"none", Scope{Unscoped: true}, nil, kuva.Principal{}},
		} {
			tok, who, err := login(c.scope)
			if err != nil || !slices.Equal(roleNames(tok.Roles), c.roles) || !slices.Equal(who.Roles, c.roles) ||
				who.ProjectID != c.want.ProjectID || who.DomainScope != c.want.DomainScope || who.Admin {
				t.Errorf("%s: %+v %+v %v", c.name, tok, who, err)
			}
		}
		_, _, err = login(Scope{Domain: Ref{ID: DefaultDomainID}})
		wantCode(t, err, kuva.CodeUnauthenticated)
		// The role admin on a domain makes no administrator.
		if err := f.Give(ctx, f.admin, Grant{User: u.ID, Domain: d.ID, Role: RoleID(RoleAdmin)}); err != nil {
			t.Fatal(err)
		}
		if _, who, err := login(Scope{Domain: Ref{ID: d.ID}}); err != nil || who.Admin || !who.HasRole(RoleAdmin) {
			t.Errorf("%+v, %v", who, err)
		}
		if _, who, err := login(Scope{Project: Ref{ID: p.ID}}); err != nil || who.Admin || who.HasRole(RoleAdmin) {
			t.Errorf("%+v, %v", who, err)
		}
		tok, _, err := login(Scope{Project: Ref{ID: p.ID}})
		if err != nil {
			t.Fatal(err)
		}
		if err := f.RemoveMember(ctx, f.admin, g.ID, u.ID); err != nil {
			t.Fatal(err)
		}
		_, err = f.Check(ctx, tok.Secret.Reveal())
		wantCode(t, err, kuva.CodeUnauthenticated)
		wantCode(t, f.RemoveMember(ctx, f.admin, g.ID, u.ID), kuva.CodeNotFound)
	})
}

// A domain's admin sees its domain, and changes nothing.
func TestDomainAdmin(t *testing.T) {
	f := newFixture(t, catalogtest.SQLite(t), Config{})
	ctx := t.Context()
	d, err := f.CreateDomain(ctx, f.admin, Domain{Name: "lab", Enabled: true})
	if err != nil {
		t.Fatal(err)
	}
	p, err := f.CreateProject(ctx, f.admin, Project{Name: "blue", DomainID: d.ID, Enabled: true})
	if err != nil {
		t.Fatal(err)
	}
	chief := kuva.Principal{UserID: "chief", DomainID: d.ID, DomainScope: d.ID, Roles: []string{RoleAdmin, RoleMember, RoleReader}}
	if found, err := f.Projects(ctx, chief, ProjectFilter{}); err != nil || len(found) != 1 || found[0].ID != p.ID {
		t.Errorf("%+v, %v", found, err)
	}
	if found, err := f.Projects(ctx, chief, ProjectFilter{DomainID: DefaultDomainID}); err != nil || len(found) != 0 {
		t.Errorf("another domain: %+v, %v", found, err)
	}
	if _, err := f.Project(ctx, chief, p.ID); err != nil {
		t.Error(err)
	}
	_, err = f.Project(ctx, chief, f.admin.ProjectID)
	wantCode(t, err, kuva.CodeNotFound)
	_, err = f.User(ctx, chief, f.admin.UserID)
	wantCode(t, err, kuva.CodeNotFound)
	_, err = f.CreateUser(ctx, chief, User{Name: "x", DomainID: d.ID}, "x")
	wantCode(t, err, kuva.CodeForbidden)
	wantCode(t, f.Assign(ctx, chief, p.ID, "chief", RoleID(RoleAdmin)), kuva.CodeForbidden)
	_, err = f.Users(ctx, kuva.Principal{UserID: "x", DomainScope: d.ID, Roles: []string{"other"}}, UserFilter{})
	wantCode(t, err, kuva.CodeForbidden)
}

// The role service lets another service look at tokens, and do nothing else
// with them.
func TestServiceRole(t *testing.T) {
	f := newFixture(t, catalogtest.SQLite(t), Config{})
	service := kuva.Principal{UserID: "glance", ProjectID: "service", Roles: []string{RoleService}}
	if tok, err := f.DescribeFor(t.Context(), service, f.token, false); err != nil || tok.User.ID != f.admin.UserID {
		t.Errorf("%+v, %v", tok, err)
	}
	wantCode(t, f.Revoke(t.Context(), service, f.token), kuva.CodeNotFound)
	_, err := f.Users(t.Context(), service, UserFilter{})
	wantCode(t, err, kuva.CodeForbidden)
}

// Several methods must be of one user, and the token names them all.
func TestSeveralMethods(t *testing.T) {
	f := newFixture(t, catalogtest.SQLite(t), Config{})
	_, u := f.alice(t, RoleMember)
	ctx := t.Context()
	password := Proof{Method: MethodPassword, User: Ref{ID: u.ID}, Secret: canary + "1"}
	tok, err := f.LogIn(ctx, []Proof{password}, Scope{}, "")
	if err != nil {
		t.Fatal(err)
	}
	own := Proof{Method: MethodToken, Secret: tok.Secret}
	for _, order := range [][]Proof{{password, own}, {own, password}} {
		both, err := f.LogIn(ctx, order, Scope{}, "")
		if err != nil || len(both.Methods) != 2 || both.Methods[0] != order[0].Method || len(both.AuditIDs) != 2 || both.ExpiresAt.After(tok.ExpiresAt) {
			t.Errorf("%+v, %v", both, err)
		}
	}
	wrong := password
	wrong.Secret = "wrong"
	for name, proofs := range map[string][]Proof{
		"nothing": nil, "another's token": {password, {Method: MethodToken, Secret: Secret(f.token)}}, "a wrong one last": {own, wrong}, "a wrong one first": {wrong, own},
		"unknown method": {password, {Method: "totp", Secret: "123456"}},
	} {
		if _, err := f.LogIn(ctx, proofs, Scope{}, ""); kuva.CodeOf(err) != kuva.CodeUnauthenticated {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A token that expired is shown to those who ask for it, for 48 hours.
func TestAllowExpired(t *testing.T) {
	f := newFixture(t, catalogtest.SQLite(t), Config{})
	_, u := f.alice(t, RoleMember)
	tok, err := f.LogInPassword(t.Context(), LogIn{User: Ref{ID: u.ID}, Password: canary + "1"})
	if err != nil {
		t.Fatal(err)
	}
	token := tok.Secret.Reveal()
	f.clock.pass(DefaultTokenTTL + time.Minute)
	_, err = f.DescribeFor(t.Context(), f.admin, token, false)
	wantCode(t, err, kuva.CodeNotFound)
	if got, err := f.DescribeFor(t.Context(), f.admin, token, true); err != nil || got.User.ID != u.ID {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = f.DescribeFor(t.Context(), kuva.Principal{UserID: "other"}, token, true)
	wantCode(t, err, kuva.CodeNotFound)
	f.clock.pass(keepExpired)
	_, err = f.DescribeFor(t.Context(), f.admin, token, true)
	wantCode(t, err, kuva.CodeNotFound)
	off := false
	if _, err := f.UpdateUser(t.Context(), f.admin, u.ID, UserChange{Enabled: &off}); err != nil {
		t.Fatal(err)
	}
	_, err = f.DescribeFor(t.Context(), f.admin, token, true) // revoked, not merely expired
	wantCode(t, err, kuva.CodeNotFound)
}

// Secrets that are kept for others lie sealed in the database, bound to their
// owner, and come back from a backup.
func TestCredentialsSealed(t *testing.T) {
	keys, err := keyfile.Open(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	onBoth(t, Config{Keys: keys}, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		kept, err := f.CreateCredential(ctx, f.admin, Credential{Kind: "cert", Blob: canary})
		if err != nil {
			t.Fatal(err)
		}
		var dump bytes.Buffer
		if err := Dump(ctx, f.db, &dump); err != nil {
			t.Fatal(err)
		}
		for _, table := range regexp.MustCompile(`"content": "([^"]+)"`).FindAllStringSubmatch(dump.String(), -1) {
			if plain, err := base64.StdEncoding.DecodeString(table[1]); err != nil || bytes.Contains(plain, []byte(canary)) {
				t.Errorf("the secret lies open in the database: %v", err)
			}
		}
		if strings.Contains(dump.String(), canary) {
			t.Error("the secret lies open in the dump")
		}
		if err := Load(ctx, f.db, &dump); err != nil {
			t.Fatal(err)
		}
		if got, err := f.Credential(ctx, f.admin, kept.ID); err != nil || got.Blob.Reveal() != canary {
			t.Errorf("%+v, %v", got, err)
		}
		// Sealed content that was moved to another's row opens nothing.
		_, u := f.alice(t, RoleMember)
		other, err := f.CreateCredential(ctx, f.admin, Credential{Kind: "cert", Blob: "x", UserID: u.ID})
		if err != nil {
			t.Fatal(err)
		}
		if err := f.db.Update(ctx, func(tx *catalog.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE credential SET content = (SELECT content FROM credential WHERE id = $1) WHERE id = $2`, kept.ID, other.ID)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		_, err = f.Credential(ctx, f.admin, other.ID)
		wantCode(t, err, kuva.CodeDamaged)
	})
}

// Every table of the identities is in a backup, with all its columns.
func TestDumpIsWhole(t *testing.T) {
	text, err := fs.ReadFile(catalog.Migrations(), "0004_identity.sql")
	if err != nil {
		t.Fatal(err)
	}
	up, _, _ := strings.Cut(string(text), "-- +goose Down")
	tables := regexp.MustCompile(`(?s)CREATE TABLE (\w+) \((.*?)\n\);`).FindAllStringSubmatch(up, -1)
	for _, table := range tables {
		if table[1] == "token" {
			continue
		}
		var want []string
		for _, column := range regexp.MustCompile(`(?m)^    ([a-z_]+) +[A-Z]`).FindAllStringSubmatch(table[2], -1) {
			want = append(want, column[1])
		}
		var got []string
		for _, d := range dumped {
			if d.table == table[1] {
				for _, c := range d.columns {
					got = append(got, bare(c))
				}
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(want, got) {
			t.Errorf("%s: the dump has %v, the table %v", table[1], got, want)
		}
	}
	if len(tables) != len(dumped)+1 {
		t.Errorf("%d tables", len(tables))
	}
}

// The roles that rules ask for stay what they are, and no role comes to imply
// admin.
func TestBuiltInRoles(t *testing.T) {
	onBoth(t, Config{}, func(t *testing.T, f *fixture) {
		ctx, name, off := t.Context(), "boss", false
		for _, role := range ladder {
			wantCode(t, f.DeleteRole(ctx, f.admin, RoleID(role)), kuva.CodeForbidden)
			_, err := f.UpdateRole(ctx, f.admin, RoleID(role), RoleChange{Name: &name})
			wantCode(t, err, kuva.CodeForbidden)
			_, err = f.UpdateRole(ctx, f.admin, RoleID(role), RoleChange{Immutable: &off})
			wantCode(t, err, kuva.CodeForbidden)
		}
		r, err := f.CreateRole(ctx, f.admin, Role{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Imply(ctx, f.admin, r.ID, RoleID(RoleAdmin))
		wantCode(t, err, kuva.CodeForbidden)
		_, err = f.Imply(ctx, f.admin, r.ID, r.ID)
		wantCode(t, err, kuva.CodeForbidden)
		if _, err := f.Imply(ctx, f.admin, RoleID(RoleReader), r.ID); err != nil {
			t.Fatal(err)
		}
		_, err = f.Imply(ctx, f.admin, r.ID, RoleID(RoleMember))
		wantCode(t, err, kuva.CodeForbidden) // a circle
		who, err := f.Check(ctx, f.token)
		if err != nil || !who.HasRole(name) {
			t.Errorf("implied by admin, member, reader: %+v, %v", who, err)
		}
		if err := f.DeleteRole(ctx, f.admin, r.ID); err != nil {
			t.Fatal(err)
		}
		if who, err := f.Check(ctx, f.token); err != nil || who.HasRole(name) {
			t.Errorf("%+v, %v", who, err)
		}
	})
}

// The guard of the last administrator knows groups and domains.
func TestLastAdminByGroup(t *testing.T) {
	onBoth(t, Config{}, func(t *testing.T, f *fixture) {
		ctx, off := t.Context(), false
		d, err := f.CreateDomain(ctx, f.admin, Domain{Name: "staff", Enabled: true})
		if err != nil {
			t.Fatal(err)
		}
		u, err := f.CreateUser(ctx, f.admin, User{Name: "eve", DomainID: d.ID, Enabled: true}, canary+"2")
		if err != nil {
			t.Fatal(err)
		}
		g, err := f.CreateGroup(ctx, f.admin, Group{Name: "chiefs", DomainID: d.ID})
		if err != nil {
			t.Fatal(err)
		}
		if err := f.AddMember(ctx, f.admin, g.ID, u.ID); err != nil {
			t.Fatal(err)
		}
		if err := f.Give(ctx, f.admin, Grant{Group: g.ID, Project: f.admin.ProjectID, Role: RoleID(RoleAdmin)}); err != nil {
			t.Fatal(err)
		}
		if err := f.DeleteUser(ctx, f.admin, f.admin.UserID); err != nil {
			t.Fatal(err)
		}
		boss := kuva.Principal{UserID: u.ID, Admin: true}
		for name, try := range map[string]func() error{
			"group":  func() error { return f.DeleteGroup(ctx, boss, g.ID) },
			"member": func() error { return f.RemoveMember(ctx, boss, g.ID, u.ID) },
			"grant": func() error {
				return f.Take(ctx, boss, Grant{Group: g.ID, Project: f.admin.ProjectID, Role: RoleID(RoleAdmin)})
			},
			"domain": func() error { _, err := f.UpdateDomain(ctx, boss, d.ID, DomainChange{Enabled: &off}); return err },
			"domain of the project": func() error {
				_, err := f.UpdateDomain(ctx, boss, DefaultDomainID, DomainChange{Enabled: &off})
				return err
			},
		} {
			if err := try(); kuva.CodeOf(err) != kuva.CodeConflict {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
