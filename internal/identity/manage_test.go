package identity

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
)

func TestBootstrap(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		s := New(db, Config{Params: cheap})
		var made Secret
		var created int
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 4 { // nodes that start at once
			wg.Go(func() {
				b, err := New(db, Config{Params: cheap}).Bootstrap(t.Context(), "")
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if b.Created {
					created++
					made = b.Password
				} else if b.Password != "" {
					t.Error("a password that nobody has")
				}
			})
		}
		wg.Wait()
		if created != 1 || len(made) < 20 {
			t.Fatalf("created %d, password of %d bytes", created, len(made))
		}
		log := func(password Secret) error {
			_, err := s.LogInPassword(t.Context(), LogIn{User: Ref{Name: "admin", DomainID: "default"}, Password: password, Scope: Scope{Project: Ref{Name: "admin", DomainName: "Default"}}})
			return err
		}
		if err := log(made); err != nil {
			t.Fatal(err)
		}
		for password, differs := range map[Secret]bool{"": false, made: false, "another": true} {
			b, err := s.Bootstrap(t.Context(), password)
			if err != nil || b != (Bootstrapped{Differs: differs}) {
				t.Errorf("got %+v, %v", b, err)
			}
		}
		if err := log(made); err != nil {
			t.Error(err)
		}
		wantCode(t, log("another"), kuva.CodeUnauthenticated)
	})
}

// Whoever is not an administrator learns the same about what exists and what
// does not.
func TestNoLeaks(t *testing.T) {
	onBoth(t, Config{}, func(t *testing.T, f *fixture) {
		own, u := f.alice(t, RoleMember)
		alice := kuva.Principal{UserID: u.ID, ProjectID: own.ID, DomainID: "default", Roles: []string{"member", "reader"}}
		ctx, random := t.Context(), newID()
		adminProject := f.admin.ProjectID
		for name, call := range map[string]func(id string) error{
			"project":        func(id string) error { _, err := f.Project(ctx, alice, id); return err },
			"update project": func(id string) error { _, err := f.UpdateProject(ctx, alice, id, ProjectChange{}); return err },
			"delete project": func(id string) error { return f.DeleteProject(ctx, alice, id) },
			"user":           func(id string) error { _, err := f.User(ctx, alice, id); return err },
			"projects of":    func(id string) error { _, err := f.ProjectsOf(ctx, alice, id, ProjectFilter{}); return err },
			"update user":    func(id string) error { _, err := f.UpdateUser(ctx, alice, id, UserChange{}); return err },
			"delete user":    func(id string) error { return f.DeleteUser(ctx, alice, id) },
			"assign":         func(id string) error { return f.Assign(ctx, alice, id, u.ID, RoleID(RoleAdmin)) },
			"unassign": func(id string) error {
				return f.Take(ctx, alice, Grant{Project: id, User: u.ID, Role: RoleID(RoleAdmin)})
			},
			"assigned": func(id string) error {
				return f.Given(ctx, alice, Grant{Project: id, User: u.ID, Role: RoleID(RoleAdmin)})
			},
			"roles on":        func(id string) error { _, err := f.RolesGiven(ctx, alice, Grant{Project: id, User: u.ID}); return err },
			"domain":          func(id string) error { _, err := f.Domain(ctx, alice, id); return err },
			"role":            func(id string) error { _, err := f.Role(ctx, alice, id); return err },
			"change password": func(id string) error { return f.ChangePassword(ctx, id, "x", "y", kuva.Principal{}) },
		} {
			for _, real := range []string{adminProject, f.admin.UserID, RoleID(RoleAdmin)} {
				a, b := call(real), call(random)
				if a == nil || b == nil || strings.ReplaceAll(a.Error(), real, "") != strings.ReplaceAll(b.Error(), random, "") {
					t.Errorf("%s: %v and %v", name, a, b)
				}
			}
		}
		if p, err := f.Project(ctx, alice, own.ID); err != nil || p.Name != "blue" || p.DomainName != "Default" {
			t.Errorf("own project: %+v, %v", p, err)
		}
		if p, err := f.ProjectsOf(ctx, alice, u.ID, ProjectFilter{}); err != nil || len(p) != 1 {
			t.Errorf("own projects: %+v, %v", p, err)
		}
		if got, err := f.User(ctx, alice, u.ID); err != nil || got.Name != "alice" {
			t.Errorf("self: %+v, %v", got, err)
		}
	})
}

func TestManage(t *testing.T) {
	onBoth(t, Config{}, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		p, u := f.alice(t, RoleMember)
		_, err := f.CreateProject(ctx, f.admin, Project{Name: "blue"})
		wantCode(t, err, kuva.CodeConflict)
		_, err = f.CreateUser(ctx, f.admin, User{Name: "alice"}, "x")
		wantCode(t, err, kuva.CodeConflict)
		name := "admin"
		_, err = f.UpdateProject(ctx, f.admin, p.ID, ProjectChange{Name: &name})
		wantCode(t, err, kuva.CodeConflict)
		_, err = f.UpdateUser(ctx, f.admin, u.ID, UserChange{Name: &name})
		wantCode(t, err, kuva.CodeConflict)
		for _, bad := range []string{"", " ", "a\x00b", "a\nb", "\xff", strings.Repeat("x", 256)} {
			_, err = f.CreateProject(ctx, f.admin, Project{Name: bad})
			wantCode(t, err, kuva.CodeInvalid)
			_, err = f.CreateUser(ctx, f.admin, User{Name: bad}, "x")
			wantCode(t, err, kuva.CodeInvalid)
		}
		_, err = f.CreateProject(ctx, f.admin, Project{Name: "x", DomainID: "nope"})
		wantCode(t, err, kuva.CodeNotFound)
		_, err = f.CreateUser(ctx, f.admin, User{Name: "x", DefaultProject: "nope"}, "x")
		wantCode(t, err, kuva.CodeInvalid)
		wantCode(t, f.Assign(ctx, f.admin, p.ID, u.ID, "nope"), kuva.CodeNotFound)
		wantCode(t, f.Assign(ctx, f.admin, p.ID, "nope", RoleID(RoleReader)), kuva.CodeNotFound)
		wantCode(t, f.Assign(ctx, f.admin, "nope", u.ID, RoleID(RoleReader)), kuva.CodeNotFound)
		wantCode(t, f.DeleteProject(ctx, f.admin, "nope"), kuva.CodeNotFound)
		wantCode(t, f.DeleteUser(ctx, f.admin, "nope"), kuva.CodeNotFound)

		// Unscoped tokens have project "": nothing may take that for a project.
		tok, err := f.LogInPassword(ctx, LogIn{User: Ref{ID: u.ID}, Password: canary + "1", Scope: Scope{Unscoped: true}})
		if err != nil {
			t.Fatal(err)
		}
		wantCode(t, f.DeleteProject(ctx, f.admin, ""), kuva.CodeNotFound)
		f.valid(t, tok.Secret.Reveal())

		if err := f.Assign(ctx, f.admin, p.ID, u.ID, RoleID(RoleMember)); err != nil {
			t.Errorf("twice: %v", err)
		}
		direct, err := f.Assignments(ctx, f.admin, AssignmentFilter{Grant: Grant{User: u.ID}})
		if err != nil || len(direct) != 1 || direct[0].Role.Name != "member" || direct[0].Project.Name != "blue" || direct[0].User.DomainName != "Default" {
			t.Errorf("%+v, %v", direct, err)
		}
		all, err := f.Assignments(ctx, f.admin, AssignmentFilter{Effective: true, Grant: Grant{Role: RoleID(RoleReader)}})
		if err != nil || len(all) != 3 { // admin's own twice, on the system too
			t.Errorf("%+v, %v", all, err)
		}
		users, err := f.Users(ctx, f.admin, UserFilter{Name: "alice", DomainID: "default"})
		if err != nil || len(users) != 1 || users[0].ID != u.ID {
			t.Errorf("%+v, %v", users, err)
		}
		off := false
		if none, err := f.Projects(ctx, f.admin, ProjectFilter{Enabled: &off}); err != nil || len(none) != 0 {
			t.Errorf("%+v, %v", none, err)
		}
		var entries []audit.Entry
		if err := f.db.View(ctx, func(tx *catalog.Tx) (err error) {
			entries, err = audit.ListByObject(ctx, tx, u.ID, 0, 10)
			return err
		}); err != nil || len(entries) != 3 || entries[2].Action != "user.create" || entries[2].Actor != f.admin.UserID {
			t.Errorf("%+v, %v", entries, err)
		}
	})
}

// There is always somebody left who can log in as administrator.
func TestLastAdmin(t *testing.T) {
	onBoth(t, Config{}, func(t *testing.T, f *fixture) {
		ctx, off, none := t.Context(), false, Secret("")
		a := f.admin
		for name, try := range map[string]func() error{
			"user":    func() error { return f.DeleteUser(ctx, a, a.UserID) },
			"project": func() error { return f.DeleteProject(ctx, a, a.ProjectID) },
			"role": func() error {
				return f.Take(ctx, a, Grant{Project: a.ProjectID, User: a.UserID, Role: RoleID(RoleAdmin)})
			},
			"disable user":    func() error { _, err := f.UpdateUser(ctx, a, a.UserID, UserChange{Enabled: &off}); return err },
			"disable project": func() error { _, err := f.UpdateProject(ctx, a, a.ProjectID, ProjectChange{Enabled: &off}); return err },
		} {
			if err := try(); kuva.CodeOf(err) != kuva.CodeConflict {
				t.Errorf("%s: %v", name, err)
			}
		}
		_, err := f.UpdateUser(ctx, a, a.UserID, UserChange{Password: &none})
		wantCode(t, err, kuva.CodeInvalid)
		f.valid(t, f.token)
		p, u := f.alice(t, RoleAdmin)
		if err := f.DeleteUser(ctx, a, a.UserID); err != nil {
			t.Error(err)
		}
		boss := kuva.Principal{UserID: u.ID, ProjectID: p.ID, Admin: true}
		wantCode(t, f.DeleteUser(ctx, boss, u.ID), kuva.CodeConflict)
	})
}

// A dump loaded into the other engine gives the same dump, the same log-ins,
// and no tokens.
func TestDump(t *testing.T) {
	f := newFixture(t, catalogtest.SQLite(t), Config{})
	f.alice(t, RoleMember)
	var first bytes.Buffer
	if err := Dump(t.Context(), f.db, &first); err != nil {
		t.Fatal(err)
	}
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		g := newFixture(t, db, Config{})
		for range 2 {
			if err := Load(t.Context(), db, bytes.NewReader(first.Bytes())); err != nil {
				t.Fatal(err)
			}
		}
		var second bytes.Buffer
		if err := Dump(t.Context(), db, &second); err != nil {
			t.Fatal(err)
		}
		if first.String() != second.String() {
			t.Errorf("%s\nbecame\n%s", first.String(), second.String())
		}
		node := g.another()
		if _, err := node.LogInPassword(t.Context(), LogIn{User: Ref{Name: "alice"}, Password: canary + "1"}); err != nil {
			t.Error(err)
		}
		_, err := node.Check(t.Context(), g.token)
		wantCode(t, err, kuva.CodeUnauthenticated)
	})
	for _, bad := range []string{
		"", "{}", "[]", `{"version":2}`, `{"version":1}`, first.String()[:first.Len()/2],
		strings.ReplaceAll(first.String(), "$argon2id$", "$argon2i$"), strings.ReplaceAll(first.String(), `"role": "`+RoleID(RoleAdmin), `"role": "`+RoleID(RoleMember)),
		strings.ReplaceAll(first.String(), `"role": "`+RoleID(RoleAdmin), `"role": "king`), strings.Replace(first.String(), `"enabled": true`, `"enabled": 1`, 1),
		strings.Replace(first.String(), `"region": [`, `"regions": [`, 1), strings.Replace(first.String(), `"name": "admin"`, `"title": "admin"`, 1),
	} {
		if err := Load(t.Context(), f.db, strings.NewReader(bad)); err == nil {
			t.Errorf("taken: %.60s", bad)
		}
	}
	f.valid(t, f.token) // nothing of them was kept
}
