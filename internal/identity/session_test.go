package identity

import (
	"strings"
	"testing"
	"time"

	"kuva"
	"kuva/internal/catalog"
)

// TestSession: a session makes tokens of 15 minutes, for the projects of its
// user and no others, and it ends with whatever should end it, on both
// databases. The secret is nowhere in the database.
func TestSession(t *testing.T) {
	onBoth(t, Config{}, func(t *testing.T, f *fixture) {
		p, u := f.alice(t, RoleMember)
		open := func(t *testing.T) *Session {
			t.Helper()
			s, err := f.OpenSession(t.Context(), LogIn{User: Ref{Name: "alice"}, Password: canary + "1"})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		gone := func(t *testing.T, s *Session) {
			t.Helper()
			if there, err := f.HasSession(t.Context(), s.Secret); there || err != nil {
				t.Errorf("the session is there still: %v", err)
			}
			_, err := f.RenewSession(t.Context(), s.Secret, "")
			wantCode(t, err, kuva.CodeUnauthenticated)
			_, err = f.Check(t.Context(), s.Token.Secret.Reveal())
			wantCode(t, err, kuva.CodeUnauthenticated)
		}

		s := open(t)
		if s.Token.Project == nil || s.Token.Project.ID != p.ID || s.Token.ExpiresAt.Sub(s.Token.IssuedAt) != SessionTokenTTL {
			t.Errorf("got %+v", s.Token)
		}
		f.valid(t, s.Token.Secret.Reveal())
		again, err := f.RenewSession(t.Context(), s.Secret, p.ID)
		if err != nil || again.Secret != "" {
			t.Fatal(err)
		}
		f.valid(t, again.Token.Secret.Reveal())
		_, err = f.RenewSession(t.Context(), s.Secret, "x")
		wantCode(t, err, kuva.CodeForbidden)
		for _, secret := range []Secret{"", "x", s.Secret[:len(s.Secret)-1], s.Secret[:len(s.Secret)-1] + "!", again.Token.Secret} {
			_, err := f.RenewSession(t.Context(), secret, "")
			wantCode(t, err, kuva.CodeUnauthenticated)
		}
		var kept string
		if err := f.db.View(t.Context(), func(tx *catalog.Tx) error {
			return tx.QueryRow(t.Context(), `SELECT hash || audit_id || project FROM portal_session`).Scan(&kept)
		}); err != nil || kept == "" || strings.Contains(kept, s.Secret.Reveal()[len(SessionPrefix):]) {
			t.Errorf("the database has %q, %v", kept, err)
		}

		if err := f.CloseSession(t.Context(), s.Secret); err != nil {
			t.Fatal(err)
		}
		gone(t, s)
		gone(t, &Session{Secret: s.Secret, Token: again.Token})
		if err := f.CloseSession(t.Context(), s.Secret); err != nil {
			t.Error(err)
		}

		s = open(t)
		if err := f.ChangePassword(t.Context(), u.ID, canary+"1", canary+"1", f.admin); err != nil {
			t.Fatal(err)
		}
		gone(t, s)

		s = open(t)
		on, off := true, false
		if _, err := f.UpdateUser(t.Context(), f.admin, u.ID, UserChange{Enabled: &off}); err != nil {
			t.Fatal(err)
		}
		gone(t, s)
		if _, err := f.UpdateUser(t.Context(), f.admin, u.ID, UserChange{Enabled: &on}); err != nil {
			t.Fatal(err)
		}
		gone(t, s)

		s = open(t)
		if _, err := f.UpdateProject(t.Context(), f.admin, p.ID, ProjectChange{Enabled: &off}); err != nil {
			t.Fatal(err)
		}
		if s, err := f.RenewSession(t.Context(), s.Secret, ""); err != nil || s.Token.Project != nil { // logged in, with nothing to work in
			t.Errorf("got %+v, %v", s, err)
		}
		if err := f.DeleteUser(t.Context(), f.admin, u.ID); err != nil {
			t.Fatal(err)
		}
		gone(t, s)
	})
}

// TestSessionLives: sessions end when nobody uses them, and in the end in any
// case; none has more than so many of them.
func TestSessionLives(t *testing.T) {
	onBoth(t, Config{SessionIdle: time.Hour, SessionLife: 150 * time.Minute}, func(t *testing.T, f *fixture) {
		f.alice(t, RoleMember)
		in := LogIn{User: Ref{Name: "alice"}, Password: canary + "1"}
		s, err := f.OpenSession(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			f.clock.pass(59 * time.Minute)
			if _, err := f.RenewSession(t.Context(), s.Secret, ""); err != nil {
				t.Fatal(err)
			}
		}
		f.clock.pass(20 * time.Minute)
		last, err := f.RenewSession(t.Context(), s.Secret, "")
		if err != nil || !last.Token.ExpiresAt.Equal(s.Expires) {
			t.Errorf("a token ends at %v, its session at %v: %v", last.Token.ExpiresAt, s.Expires, err)
		}
		f.clock.pass(13 * time.Minute)
		_, err = f.RenewSession(t.Context(), s.Secret, "")
		wantCode(t, err, kuva.CodeUnauthenticated)

		if s, err = f.OpenSession(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		f.clock.pass(time.Hour)
		_, err = f.RenewSession(t.Context(), s.Secret, "")
		wantCode(t, err, kuva.CodeUnauthenticated)
		if err := f.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := f.sessions(t); n != 0 {
			t.Errorf("%d sessions are left", n)
		}

		for range maxSessions + 2 {
			f.clock.pass(time.Second)
			if _, err = f.OpenSession(t.Context(), in); err != nil {
				t.Fatal(err)
			}
		}
		if n := f.sessions(t); n != maxSessions {
			t.Errorf("there are %d sessions, want %d", n, maxSessions)
		}
		in.Password = "no"
		_, err = f.OpenSession(t.Context(), in)
		wantCode(t, err, kuva.CodeUnauthenticated)
		in.Password, in.Scope = canary+"1", Scope{Project: Ref{ID: "x"}}
		_, err = f.OpenSession(t.Context(), in)
		wantCode(t, err, kuva.CodeUnauthenticated)
		if n := f.sessions(t); n != maxSessions-1 { // the oldest went, the new one too
			t.Errorf("there are %d sessions after log-ins that failed, want %d", n, maxSessions-1)
		}
	})
}

func (f *fixture) sessions(t *testing.T) (n int) {
	t.Helper()
	if err := f.db.View(t.Context(), func(tx *catalog.Tx) error {
		return tx.QueryRow(t.Context(), `SELECT COUNT(*) FROM portal_session`).Scan(&n)
	}); err != nil {
		t.Fatal(err)
	}
	return n
}
