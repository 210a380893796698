package identity

import (
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
)

func TestPrincipal(t *testing.T) {
	onBoth(t, Config{}, func(t *testing.T, f *fixture) {
		p, u := f.alice(t, RoleMember)
		got, err := f.Check(t.Context(), f.login(t, "alice", canary+"1"))
		if err != nil || got.UserID != u.ID || got.UserName != "alice" || got.ProjectID != p.ID || got.Admin || !got.CanWrite() ||
			!slices.Equal(got.Roles, []string{"member", "reader"}) || got.DomainID != "default" {
			t.Errorf("got %+v, %v", got, err)
		}
		if !f.admin.Admin || !slices.Equal(f.admin.Roles, []string{"admin", "member", "reader"}) {
			t.Errorf("got %+v", f.admin)
		}
	})
}

func TestRefusedLogIns(t *testing.T) {
	onBoth(t, Config{Throttle: Throttle{AccountBurst: 100, AddressBurst: 100}}, func(t *testing.T, f *fixture) {
		p, u := f.alice(t, RoleReader)
		off := false
		for name, in := range map[string]LogIn{
			"wrong password":  {User: Ref{ID: u.ID}, Password: "no"},
			"empty password":  {User: Ref{ID: u.ID}},
			"long password":   {User: Ref{ID: u.ID}, Password: Secret(make([]byte, MaxPassword+1))},
			"unknown user":    {User: Ref{Name: "bob", DomainID: "default"}, Password: canary + "1"},
			"unknown domain":  {User: Ref{Name: "alice", DomainName: "x"}, Password: canary + "1"},
			"unknown project": {User: Ref{ID: u.ID}, Password: canary + "1", Scope: Scope{Project: Ref{ID: "x"}}},
			"foreign project": {User: Ref{ID: u.ID}, Password: canary + "1", Scope: Scope{Project: Ref{Name: "admin"}}},
			"no user":         {Password: canary},
		} {
			_, err := f.LogInPassword(t.Context(), in)
			if !errors.As(err, new(*kuva.Error)) || err.Error() != unauthenticated().Error() {
				t.Errorf("%s: got %v", name, err)
			}
		}
		f.valid(t, f.login(t, "alice", canary+"1"))
		if _, err := f.UpdateProject(t.Context(), f.admin, p.ID, ProjectChange{Enabled: &off}); err != nil {
			t.Fatal(err)
		}
		_, err := f.LogInPassword(t.Context(), LogIn{User: Ref{ID: u.ID}, Password: canary + "1", Scope: Scope{Project: Ref{ID: p.ID}}})
		wantCode(t, err, kuva.CodeUnauthenticated)
		if _, err := f.UpdateUser(t.Context(), f.admin, u.ID, UserChange{Enabled: &off}); err != nil {
			t.Fatal(err)
		}
		_, err = f.attempt("alice", canary+"1")
		wantCode(t, err, kuva.CodeUnauthenticated)
	})
}

// Every way to take rights back counts at once here and within 5 s on another
// node that has the token in its cache.
func TestRevocation(t *testing.T) {
	on, off, newPassword := true, false, Secret(canary+"2")
	cases := map[string]func(f *fixture, p *Project, u *User, token string) error{
		"token": func(f *fixture, _ *Project, u *User, token string) error {
			return f.Revoke(f.ctx(), kuva.Principal{UserID: u.ID}, token)
		},
		"password by admin": func(f *fixture, _ *Project, u *User, _ string) error {
			_, err := f.UpdateUser(f.ctx(), f.admin, u.ID, UserChange{Password: &newPassword})
			return err
		},
		"own password": func(f *fixture, _ *Project, u *User, _ string) error {
			return f.ChangePassword(f.ctx(), u.ID, canary+"1", newPassword, kuva.Principal{})
		},
		"user disabled and enabled": func(f *fixture, _ *Project, u *User, _ string) error {
			_, err := f.UpdateUser(f.ctx(), f.admin, u.ID, UserChange{Enabled: &off})
			_, err2 := f.UpdateUser(f.ctx(), f.admin, u.ID, UserChange{Enabled: &on})
			return errors.Join(err, err2)
		},
		"user deleted": func(f *fixture, _ *Project, u *User, _ string) error { return f.DeleteUser(f.ctx(), f.admin, u.ID) },
		"project disabled": func(f *fixture, p *Project, _ *User, _ string) error {
			_, err := f.UpdateProject(f.ctx(), f.admin, p.ID, ProjectChange{Enabled: &off})
			return err
		},
		"project deleted": func(f *fixture, p *Project, _ *User, _ string) error { return f.DeleteProject(f.ctx(), f.admin, p.ID) },
		"role": func(f *fixture, p *Project, u *User, _ string) error {
			return f.Take(f.ctx(), f.admin, Grant{Project: p.ID, User: u.ID, Role: RoleID(RoleMember)})
		},
	}
	onBoth(t, Config{}, func(t *testing.T, f *fixture) {
		for name, take := range cases {
			t.Run(name, func(t *testing.T) {
				p, u := f.alice(t, RoleMember)
				defer func() { // make room for the next; some are gone already
					_ = f.DeleteUser(f.ctx(), f.admin, u.ID)
					_ = f.DeleteProject(f.ctx(), f.admin, p.ID)
				}()
				token := f.login(t, "alice", canary+"1")
				node := f.another()
				f.valid(t, token)
				if _, err := node.Check(t.Context(), token); err != nil {
					t.Fatal(err)
				}
				if err := take(f, p, u, token); err != nil {
					t.Fatal(err)
				}
				f.invalid(t, token)
				wantCode(t, f.Revoked(t.Context(), token), kuva.CodeUnauthenticated)
				f.clock.pass(5 * time.Second)
				_, err := node.Check(t.Context(), token)
				wantCode(t, err, kuva.CodeUnauthenticated)
				f.valid(t, f.token)
			})
		}
	})
}

// Log-ins that run into a change of the password leave no token behind that
// the old password bought.
func TestPasswordRace(t *testing.T) {
	onBoth(t, Config{}, func(t *testing.T, f *fixture) {
		_, u := f.alice(t, RoleMember)
		var mu sync.Mutex
		var tokens []string
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 10 {
					tok, err := f.attempt("alice", canary+"1")
					if err != nil {
						return
					}
					mu.Lock()
					tokens = append(tokens, tok.Secret.Reveal())
					mu.Unlock()
					_, _ = f.Check(t.Context(), tok.Secret.Reveal())
				}
			})
		}
		for began := time.Now(); ; runtime.Gosched() { // until some are in
			mu.Lock()
			n := len(tokens)
			mu.Unlock()
			if n >= 5 {
				break
			}
			if time.Since(began) > time.Minute {
				t.Fatal("nobody got in")
			}
		}
		if err := f.ChangePassword(t.Context(), u.ID, canary+"1", canary+"2", kuva.Principal{}); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		for _, token := range tokens {
			f.invalid(t, token)
		}
		if len(tokens) == 80 {
			t.Log("the change came after all log-ins")
		}
	})
}

func TestRolesLeaveAtOnce(t *testing.T) {
	onBoth(t, Config{}, func(t *testing.T, f *fixture) {
		p, u := f.alice(t, RoleMember)
		token := f.login(t, "alice", canary+"1")
		if err := f.Assign(t.Context(), f.admin, p.ID, u.ID, RoleID(RoleAdmin)); err != nil {
			t.Fatal(err)
		}
		if got, _ := f.Check(t.Context(), token); !got.Admin {
			t.Error("not admin yet")
		}
		if err := f.Take(t.Context(), f.admin, Grant{Project: p.ID, User: u.ID, Role: RoleID(RoleAdmin)}); err != nil {
			t.Fatal(err)
		}
		if got, _ := f.Check(t.Context(), token); got.Admin {
			t.Error("still admin")
		}
	})
}

// Jumps of the wall clock never make a token live longer than it was given.
func TestClock(t *testing.T) {
	const year = 365 * 24 * time.Hour
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		f := newFixture(t, db, Config{})
		t.Run("in its time", func(t *testing.T) {
			token := f.login(t, "admin", canary)
			f.clock.pass(59 * time.Minute)
			f.valid(t, token)
			f.clock.pass(time.Minute)
			f.invalid(t, token)
			if err := f.Revoked(t.Context(), token); err != nil {
				t.Errorf("expired is not revoked: %v", err)
			}
		})
		for _, jump := range []time.Duration{-10 * year, -time.Hour, 10 * year, time.Hour} {
			t.Run("jump "+jump.String(), func(t *testing.T) {
				token := f.login(t, "admin", canary)
				f.valid(t, token)
				f.clock.jump(jump, 0)
				f.invalid(t, token)
				f.valid(t, f.login(t, "admin", canary)) // one can go on
				f.clock.jump(-jump, 0)
				f.valid(t, token) // it was right before
			})
		}
		t.Run("issued in a wrong future", func(t *testing.T) {
			f.clock.jump(10*year, 0)
			token := f.login(t, "admin", canary)
			f.clock.jump(-10*year, 0)
			f.invalid(t, token)
			if _, err := f.another().Check(t.Context(), token); err == nil {
				t.Error("another node takes it")
			}
		})
		t.Run("frozen", func(t *testing.T) {
			token := f.login(t, "admin", canary)
			f.valid(t, token)
			for range 61 {
				f.clock.jump(0, time.Minute)
				_, _ = f.Check(t.Context(), token)
			}
			f.invalid(t, token)
			_, err := f.LogInToken(t.Context(), token, Scope{})
			wantCode(t, err, kuva.CodeUnauthenticated)
		})
		t.Run("set back little by little", func(t *testing.T) {
			token := f.login(t, "admin", canary)
			f.valid(t, token)
			for range 30 {
				f.clock.jump(-2*time.Minute, 2*time.Minute)
				_, _ = f.Check(t.Context(), token)
			}
			f.invalid(t, token)
		})
		t.Run("restart after a jump back", func(t *testing.T) {
			token := f.login(t, "admin", canary)
			f.clock.jump(-10*year, 0)
			if _, err := f.another().Check(t.Context(), token); err == nil {
				t.Error("taken")
			}
			f.clock.jump(10*year, 0)
		})
		t.Run("purge", func(t *testing.T) {
			token := f.login(t, "admin", canary)
			if err := f.Purge(t.Context()); err != nil {
				t.Fatal(err)
			}
			f.valid(t, token)
			f.clock.pass(keepExpired + 2*time.Hour)
			if err := f.Purge(t.Context()); err != nil {
				t.Fatal(err)
			}
			wantCode(t, f.Revoked(t.Context(), token), kuva.CodeUnauthenticated)
		})
	})
}

// A token made from another lives no longer than that one.
func TestExchange(t *testing.T) {
	onBoth(t, Config{}, func(t *testing.T, f *fixture) {
		p, _ := f.alice(t, RoleMember)
		first, err := f.LogInPassword(t.Context(), LogIn{User: Ref{Name: "alice"}, Password: canary + "1", Scope: Scope{Unscoped: true}})
		if err != nil || first.Project != nil {
			t.Fatalf("%+v, %v", first, err)
		}
		if got, err := f.Check(t.Context(), first.Secret.Reveal()); err != nil || got.ProjectID != "" || len(got.Roles) != 0 {
			t.Errorf("unscoped: %+v, %v", got, err)
		}
		f.clock.pass(50 * time.Minute)
		second, err := f.LogInToken(t.Context(), first.Secret.Reveal(), Scope{Project: Ref{Name: "blue", DomainName: "Default"}})
		if err != nil {
			t.Fatal(err)
		}
		if second.Project.ID != p.ID || !slices.Equal(second.Methods, []string{"token", "password"}) || second.AuditIDs[1] != first.AuditIDs[0] ||
			second.ExpiresAt.After(first.ExpiresAt) {
			t.Errorf("got %+v", second)
		}
		_, err = f.LogInToken(t.Context(), first.Secret.Reveal(), Scope{Project: Ref{Name: "admin", DomainName: "Default"}})
		wantCode(t, err, kuva.CodeUnauthenticated)
		f.clock.pass(10 * time.Minute)
		f.invalid(t, second.Secret.Reveal())
	})
}

// The database holds nothing that opens anything.
func TestNoTokenInDatabase(t *testing.T) {
	onBoth(t, Config{}, func(t *testing.T, f *fixture) {
		err := f.db.View(t.Context(), func(tx *catalog.Tx) error {
			var hash string
			if err := tx.QueryRow(t.Context(), `SELECT hash FROM token`).Scan(&hash); err != nil {
				return err
			}
			if len(hash) != 43 || hash == f.token[len(TokenPrefix):] {
				t.Errorf("got %q", hash)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestForeignToken(t *testing.T) {
	onBoth(t, Config{}, func(t *testing.T, f *fixture) {
		_, u := f.alice(t, RoleMember)
		alice := kuva.Principal{UserID: u.ID}
		_, err1 := f.DescribeFor(t.Context(), alice, f.token, false)
		_, err2 := f.DescribeFor(t.Context(), alice, newToken(), false)
		wantCode(t, err1, kuva.CodeNotFound)
		if err1.Error() != err2.Error() {
			t.Errorf("%v and %v", err1, err2)
		}
		wantCode(t, f.Revoke(t.Context(), alice, f.token), kuva.CodeNotFound)
		f.valid(t, f.token)
		own := f.login(t, "alice", canary+"1")
		if d, err := f.DescribeFor(t.Context(), f.admin, own, false); err != nil || d.User.ID != u.ID {
			t.Errorf("%v, %v", d, err)
		}
	})
}

func TestGarbageTokens(t *testing.T) {
	f := newFixture(t, catalogtest.SQLite(t), Config{})
	for _, token := range []string{"", "x", TokenPrefix, newToken(), newToken() + "=", f.token[:len(f.token)-1] + "\n", f.token + "\x00"} {
		f.invalid(t, token)
	}
}

// The cache stays within its bounds and forgets the dead first.
func TestCacheBounds(t *testing.T) {
	var c cache
	var d digest
	for i := range shards * shardSize * 2 {
		d[0], d[1], d[2], d[3] = byte(i%shards), byte(i>>4), byte(i>>12), byte(i>>20)
		c.put(d, &known{dies: time.Hour}, 0, time.Minute)
	}
	for i := range c.shard {
		if n := len(c.shard[i].m); n > shardSize {
			t.Errorf("shard %d holds %d", i, n)
		}
	}
}

// A load that began before a revocation leaves nothing in the cache.
func TestLateLoad(t *testing.T) {
	var c cache
	var d digest
	before := c.dropped.Load()
	c.drop(d)
	c.put(d, &known{dies: time.Hour, fresh: time.Hour}, before, 0)
	if c.get(d) != nil {
		t.Error("a revoked token came back")
	}
}

func BenchmarkCheck(b *testing.B) {
	s := New(catalogtest.SQLite(b), Config{Params: cheap})
	if _, err := s.Bootstrap(b.Context(), canary); err != nil {
		b.Fatal(err)
	}
	tok, err := s.LogInPassword(b.Context(), LogIn{User: Ref{Name: "admin"}, Password: canary})
	if err != nil {
		b.Fatal(err)
	}
	token := tok.Secret.Reveal()
	for b.Loop() {
		if _, err := s.Check(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}
