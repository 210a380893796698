package external

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"kuva"
	"kuva/internal/identity"
)

// KeystoneConfig says where Keystone is and as whom kuva looks tokens up: as a
// user, or with an application credential. That user needs the role admin or
// service.
type KeystoneConfig struct {
	URL string // with or without /v3 at the end

	Username      string
	UserDomain    string // name; "" means Default
	Password      identity.Secret
	Project       string
	ProjectDomain string // name; "" means Default

	CredentialID     string // of an application credential, instead of the user
	CredentialSecret identity.Secret

	// Roles of Keystone that count as kuva's; nil means those of the same
	// name, and _member_ for member.
	AdminRoles, MemberRoles, ReaderRoles []string

	TLS *tls.Config // nil means the system's authorities
}

// Keystone is a Source over the Identity API v3.
type Keystone struct {
	cfg    KeystoneConfig
	url    string
	client *http.Client
	logins singleflight.Group

	mu    sync.Mutex
	token string // kuva's own
	until time.Time
}

// NewKeystone makes a source. It does no I/O.
func NewKeystone(cfg KeystoneConfig) (*Keystone, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the address of Keystone is written as https://HOST:5000/v3")
	}
	if cfg.CredentialID == "" && (cfg.Username == "" || cfg.Project == "") {
		return nil, errors.New("kuva needs a user and a project in Keystone, or an application credential, to look tokens up")
	}
	if cfg.CredentialID == "" && cfg.Password == "" || cfg.CredentialID != "" && cfg.CredentialSecret == "" {
		return nil, errors.New("kuva needs a password in Keystone, or the secret of its application credential")
	}
	for _, d := range []*string{&cfg.UserDomain, &cfg.ProjectDomain} {
		if *d == "" {
			*d = identity.DefaultDomainName
		}
	}
	for _, r := range []struct {
		to    *[]string
		names []string
	}{
		{&cfg.AdminRoles, []string{identity.RoleAdmin}}, {&cfg.MemberRoles, []string{identity.RoleMember, "_member_"}}, {&cfg.ReaderRoles, []string{identity.RoleReader}},
	} {
		if *r.to == nil {
			*r.to = r.names
		}
	}
	return &Keystone{
		cfg: cfg, url: strings.TrimSuffix(strings.TrimRight(cfg.URL, "/"), "/v3"),
		client: &http.Client{
			// No proxy of the environment: it would see every token.
			Transport: &http.Transport{
				DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext, TLSClientConfig: cfg.TLS,
				TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: patience, MaxIdleConnsPerHost: maxLookups, IdleConnTimeout: time.Minute,
			},
			// Secrets go nowhere but to the configured address.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

const maxAnswer = 4 << 20 // bytes; a token with a large catalogue has some 100 KiB

// wireToken is what kuva wants to know of a token.
type wireToken struct {
	Token struct {
		ExpiresAt time.Time `json:"expires_at"`
		User      struct {
			ID     string `json:"id"`
			Name   string `json:"name"`
			Domain struct {
				ID string `json:"id"`
			} `json:"domain"`
		} `json:"user"`
		Project *struct {
			ID string `json:"id"`
		} `json:"project"`
		Domain *struct {
			ID string `json:"id"`
		} `json:"domain"`
		System *struct {
			All bool `json:"all"`
		} `json:"system"`
		AdminProject *bool `json:"is_admin_project"`
		Roles        []struct {
			Name string `json:"name"`
		} `json:"roles"`
		Credential *struct {
			ID         string `json:"id"`
			Restricted bool   `json:"restricted"`
			Rules      *[]struct {
				Service string `json:"service"`
				Method  string `json:"method"`
				Path    string `json:"path"`
			} `json:"access_rules"`
		} `json:"application_credential"`
	} `json:"token"`
}

// Lookup implements Source.
func (k *Keystone) Lookup(ctx context.Context, token string, expired bool) (Answer, error) {
	for again := false; ; again = true {
		own, err := k.ownToken(ctx, again)
		if err != nil {
			return Answer{}, err
		}
		answer, status, err := k.ask(ctx, own, token, expired)
		if status != http.StatusUnauthorized || again {
			return answer, err
		}
		// kuva's own token was taken back: once more with another.
	}
}

func (k *Keystone) ask(ctx context.Context, own, token string, expired bool) (Answer, int, error) {
	address := k.url + "/v3/auth/tokens?nocatalog=1"
	if expired {
		address += "&allow_expired=1"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return Answer{}, 0, err
	}
	r.Header.Set("X-Auth-Token", own)
	r.Header.Set("X-Subject-Token", token)
	r.Header.Set("OpenStack-Identity-Access-Rules", "1.0")
	var w wireToken
	status, _, err := k.do(r, &w)
	switch {
	case err != nil:
		return Answer{}, status, err
	case status == http.StatusNotFound:
		return Answer{}, status, refused()
	case status != http.StatusOK:
		return Answer{}, status, fmt.Errorf("status %d of a look-up of a token at Keystone: does kuva's user have the role admin or service there?", status)
	case w.Token.User.ID == "" || w.Token.ExpiresAt.IsZero():
		return Answer{}, status, errors.New("the answer of Keystone describes no token")
	}
	return Answer{Principal: k.principal(&w), Expires: w.Token.ExpiresAt}, status, nil
}

// principal gives a token's roles their meaning here.
func (k *Keystone) principal(w *wireToken) kuva.Principal {
	t := &w.Token
	p := kuva.Principal{UserID: t.User.ID, UserName: t.User.Name, DomainID: t.User.Domain.ID}
	whole := false // a scope on which admin is the cloud's administrator
	switch {
	case t.Project != nil:
		p.ProjectID, whole = t.Project.ID, t.AdminProject == nil || *t.AdminProject
	case t.Domain != nil:
		p.DomainScope = t.Domain.ID
	case t.System != nil:
		whole = t.System.All
	}
	named := func(of []string) bool {
		for _, r := range t.Roles {
			if slices.Contains(of, r.Name) {
				return true
			}
		}
		return false
	}
	admin := named(k.cfg.AdminRoles)
	member := admin || named(k.cfg.MemberRoles)
	for _, r := range []struct {
		name string
		has  bool
	}{{identity.RoleAdmin, admin}, {identity.RoleMember, member}, {identity.RoleReader, member || named(k.cfg.ReaderRoles)}} {
		if r.has {
			p.Roles = append(p.Roles, r.name)
		}
	}
	for _, r := range t.Roles { // for the operator's own policy
		if r.Name != identity.RoleAdmin && r.Name != identity.RoleMember && r.Name != identity.RoleReader {
			p.Roles = append(p.Roles, r.Name)
		}
	}
	p.Roles = slices.Clip(p.Roles) // shared by all who use the token
	p.Admin = admin && whole
	if c := t.Credential; c != nil {
		p.Credential, p.Restricted = c.ID, c.Restricted
		if c.Rules != nil {
			p.Access = []kuva.AccessRule{} // limited, also where there is no rule
			for _, r := range *c.Rules {
				p.Access = append(p.Access, kuva.AccessRule{Service: r.Service, Method: r.Method, Path: r.Path})
			}
		}
	}
	return p
}

// ownToken is kuva's own token, made anew shortly before it expires or when
// the last one was refused.
func (k *Keystone) ownToken(ctx context.Context, anew bool) (string, error) {
	k.mu.Lock()
	token, good := k.token, time.Now().Before(k.until)
	k.mu.Unlock()
	if good && !anew {
		return token, nil
	}
	v, err, _ := k.logins.Do("", func() (any, error) {
		token, until, err := k.logIn(ctx)
		if err != nil {
			return "", err
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		k.token, k.until = token, until.Add(-time.Minute)
		return token, nil
	})
	if err != nil {
		return "", err
	}
	return v.(string), nil
}

func (k *Keystone) logIn(ctx context.Context) (string, time.Time, error) {
	type object = map[string]any
	who, scope := object{}, object(nil)
	if k.cfg.CredentialID != "" {
		who["methods"] = []string{identity.MethodApplicationCredential}
		who[identity.MethodApplicationCredential] = object{"id": k.cfg.CredentialID, "secret": k.cfg.CredentialSecret.Reveal()}
	} else {
		who["methods"] = []string{identity.MethodPassword}
		who[identity.MethodPassword] = object{"user": object{
			"name": k.cfg.Username, "domain": object{"name": k.cfg.UserDomain}, "password": k.cfg.Password.Reveal(),
		}}
		scope = object{"project": object{"name": k.cfg.Project, "domain": object{"name": k.cfg.ProjectDomain}}}
	}
	auth := object{"identity": who}
	if scope != nil {
		auth["scope"] = scope
	}
	body, err := json.Marshal(object{"auth": auth})
	if err != nil {
		return "", time.Time{}, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, k.url+"/v3/auth/tokens?nocatalog=1", bytes.NewReader(body))
	if err != nil {
		return "", time.Time{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	var w wireToken
	status, h, err := k.do(r, &w)
	switch token := h.Get("X-Subject-Token"); {
	case err != nil:
		return "", time.Time{}, err
	case status != http.StatusCreated || token == "":
		return "", time.Time{}, fmt.Errorf("status %d of kuva's own log-in at Keystone: look at user, password and project in the configuration", status)
	default:
		return token, w.Token.ExpiresAt, nil
	}
}

// do makes a call and reads a successful answer. Its errors hold no token and
// nothing of the answer.
func (k *Keystone) do(r *http.Request, into *wireToken) (int, http.Header, error) {
	r.Header.Set("Accept", "application/json")
	res, err := k.client.Do(r)
	if err != nil {
		return 0, nil, fmt.Errorf("no answer of Keystone: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return res.StatusCode, nil, fmt.Errorf("the answer of Keystone broke off: %w", err)
	case len(body) > maxAnswer:
		return res.StatusCode, nil, errors.New("the answer of Keystone is too large")
	case res.StatusCode/100 != 2:
		return res.StatusCode, res.Header, nil
	case json.Unmarshal(body, into) != nil:
		return res.StatusCode, nil, errors.New("the answer of Keystone is no token")
	}
	return res.StatusCode, res.Header, nil
}
