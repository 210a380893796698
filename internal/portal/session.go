package portal

import (
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"kuva"
	"kuva/internal/identity"
	"kuva/internal/rest"
)

// sessionPath is the only path that browsers send the cookie to. The APIs never
// see it: they take tokens, which a page must put into a header itself.
const sessionPath = "/portal/session"

// The cookie's name; over TLS browsers hold the prefix to the attribute Secure.
const (
	cookieName       = "kuva_session"
	secureCookieName = "__Secure-kuva_session"
)

// maxProjects is how many projects a page is told of.
const maxProjects = 1000

// front is the answer of GET /portal/session: what the page must know before
// anybody is logged in.
type front struct {
	LogIn   string `json:"log_in"` // password or elsewhere
	URL     string `json:"url"`    // of the service that keeps the users elsewhere
	Session bool   `json:"session"`
}

type logInBody struct {
	User     string          `json:"user"`
	Password identity.Secret `json:"password"`
	Domain   string          `json:"domain"`
	Project  string          `json:"project"`
}

type tokenBody struct {
	Project string `json:"project"` // id; "" for the one worked in last
}

type named struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// session is what a page gets with each token.
type session struct {
	User      named     `json:"user"`
	Domain    named     `json:"domain"`
	Project   *named    `json:"project"`
	Projects  []named   `json:"projects"`
	Roles     []string  `json:"roles"`
	Admin     bool      `json:"admin"`
	Token     string    `json:"token"`
	ExpiresAt time.Time `json:"expires_at"`
}

// sameOrigin lets only our own pages through, on calls that change something.
// Browsers say where a call comes from, and the cookie is strict besides.
func (p *Portal) sameOrigin(next func(w http.ResponseWriter, r *http.Request) error) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !p.isOurs(r) {
			return kuva.E(kuva.CodeForbidden, "portal.origin")
		}
		if p.identity == nil {
			return kuva.E(kuva.CodeUnsupported, "portal.elsewhere", "url", p.elsewhere)
		}
		return next(w, r)
	}
}

func (p *Portal) isOurs(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
		return false
	}
	origins := r.Header.Values("Origin")
	if len(origins) != 1 {
		return false
	}
	if p.door.PublicURL != "" && strings.EqualFold(origins[0], originOf(p.door.PublicURL)) {
		return true
	}
	// Without a configured address the scheme is not known behind a proxy.
	o, err := url.Parse(origins[0])
	return err == nil && (o.Scheme == "http" || o.Scheme == "https") && o.Path == "" && o.User == nil && strings.EqualFold(o.Host, r.Host)
}

func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

func (p *Portal) showSession(w http.ResponseWriter, r *http.Request) error {
	out := front{LogIn: "password"}
	if p.identity == nil {
		out.LogIn, out.URL = "elsewhere", p.elsewhere
		rest.WriteJSON(w, http.StatusOK, out)
		return nil
	}
	var err error
	if out.Session, err = p.identity.HasSession(r.Context(), cookieOf(r)); err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusOK, out)
	return nil
}

// logIn begins a session. Before that there is none: whoever cannot log in
// leaves nothing behind but a count of failures.
func (p *Portal) logIn(w http.ResponseWriter, r *http.Request) error {
	var in logInBody
	if err := readJSON(r, &in); err != nil {
		return err
	}
	ref := identity.LogIn{User: identity.Ref{Name: in.User, DomainName: in.Domain}, Password: in.Password, Address: rest.Address(r)}
	if in.Project != "" {
		ref.Scope.Project = identity.Ref{Name: in.Project, DomainName: in.Domain}
	}
	s, err := p.identity.OpenSession(r.Context(), ref)
	if err != nil {
		return err
	}
	if old := cookieOf(r); old != "" { // whoever logs in anew leaves no session behind
		if err := p.identity.CloseSession(r.Context(), old); err != nil {
			return err
		}
	}
	http.SetCookie(w, p.cookie(r, s.Secret.Reveal(), s.Expires))
	return p.answer(w, r, http.StatusCreated, s)
}

// token gives the page a new token, for another project where it names one.
func (p *Portal) token(w http.ResponseWriter, r *http.Request) error {
	var in tokenBody
	if err := readJSON(r, &in); err != nil {
		return err
	}
	s, err := p.identity.RenewSession(r.Context(), cookieOf(r), in.Project)
	if err != nil {
		return err
	}
	return p.answer(w, r, http.StatusOK, s)
}

func (p *Portal) logOut(w http.ResponseWriter, r *http.Request) error {
	if err := p.identity.CloseSession(r.Context(), cookieOf(r)); err != nil {
		return err
	}
	http.SetCookie(w, p.cookie(r, "", time.Unix(1, 0)))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// readJSON takes only what a form of another site cannot send.
func readJSON(r *http.Request, v any) error {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return kuva.E(kuva.CodeInvalid, "portal.not_json")
	}
	return rest.ReadJSON(r, v, rest.KnownFields)
}

func (p *Portal) answer(w http.ResponseWriter, r *http.Request, status int, s *identity.Session) error {
	t := s.Token
	who := kuva.Principal{UserID: t.User.ID}
	projects, err := p.identity.ProjectsOf(r.Context(), who, t.User.ID, identity.ProjectFilter{})
	if err != nil {
		return err
	}
	out := session{
		User: named{t.User.ID, t.User.Name}, Domain: named{t.User.DomainID, t.User.DomainName}, Projects: []named{}, Roles: []string{},
		Token: t.Secret.Reveal(), ExpiresAt: t.ExpiresAt,
	}
	for _, x := range projects[:min(len(projects), maxProjects)] {
		out.Projects = append(out.Projects, named{x.ID, x.Name})
	}
	for _, role := range t.Roles {
		out.Roles = append(out.Roles, role.Name)
	}
	if t.Project != nil {
		out.Project = &named{t.Project.ID, t.Project.Name}
		out.Admin = slices.Contains(out.Roles, identity.RoleAdmin)
	}
	rest.WriteJSON(w, status, out)
	return nil
}

// secure says whether browsers reach us by TLS.
func (p *Portal) secure(r *http.Request) bool {
	return r.TLS != nil || strings.HasPrefix(p.door.PublicURL, "https://")
}

func (p *Portal) cookie(r *http.Request, value string, expires time.Time) *http.Cookie {
	c := &http.Cookie{
		Name: cookieName, Value: value, Path: sessionPath, Expires: expires.UTC(),
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: p.secure(r),
	}
	if c.Secure {
		c.Name = secureCookieName
	}
	if value == "" {
		c.MaxAge = -1
	}
	return c
}

// cookieOf is the session's secret that a browser sent, "" if none.
func cookieOf(r *http.Request) identity.Secret {
	for _, name := range []string{secureCookieName, cookieName} {
		if c, err := r.Cookie(name); err == nil {
			return identity.Secret(c.Value)
		}
	}
	return ""
}
