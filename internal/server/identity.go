package server

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"kuva"
	"kuva/internal/identity"
	"kuva/internal/identity/external"
	"kuva/internal/rest"
	"kuva/internal/rest/identityv3"
)

// The values of IdentityConfig.Mode.
const (
	identityBuiltIn  = "builtin"
	identityKeystone = "keystone"
)

// IdentityConfig says who keeps the users: kuva itself, or the Keystone of a
// cloud. With Keystone, kuva needs a user there that may look tokens up (role
// admin or service), or an application credential of such a user.
type IdentityConfig struct {
	// Mode is builtin or keystone [builtin].
	Mode string `yaml:"mode"`
	// URL is where kuva reaches Keystone: https://keystone:5000/v3.
	URL string `yaml:"url"`
	// PublicURL is where clients reach it [as URL].
	PublicURL string `yaml:"public_url"`
	// CAFile is a PEM file of authorities to trust [the system's].
	CAFile string `yaml:"ca_file"`

	Username      string `yaml:"username"`
	UserDomain    string `yaml:"user_domain"` // name [Default]
	Project       string `yaml:"project"`
	ProjectDomain string `yaml:"project_domain"` // name [Default]

	CredentialID string `yaml:"application_credential_id"`

	// SecretFile holds the user's password, or the secret of the application
	// credential. KUVA_IDENTITY_SECRET in the environment goes before it.
	SecretFile string          `yaml:"secret_file"`
	Secret     identity.Secret `yaml:"-"`

	// Fresh is how long a token is believed without asking Keystone, and so
	// how long one that was taken back may still count [1m; at most 5m].
	Fresh Duration `yaml:"fresh"`

	// Keystone's names of roles that count as kuva's [those of the same name,
	// and _member_ for member].
	AdminRoles  []string `yaml:"admin_roles"`
	MemberRoles []string `yaml:"member_roles"`
	ReaderRoles []string `yaml:"reader_roles"`
}

// external makes the checker of foreign tokens, nil for the built-in mode.
func (c *IdentityConfig) external(opt Options) (*external.Checker, error) {
	switch c.Mode {
	case "", identityBuiltIn:
		if c.URL != "" {
			return nil, errors.New("identity: url is for the mode keystone: set mode, too")
		}
		return nil, nil //nolint:nilnil // there is none
	case identityKeystone:
	default:
		return nil, fmt.Errorf("identity: mode is %q: choose builtin or keystone", c.Mode)
	}
	secret := c.Secret
	if secret == "" && c.SecretFile != "" {
		b, err := os.ReadFile(c.SecretFile)
		if err != nil {
			return nil, fmt.Errorf("identity: %w", err)
		}
		secret = identity.Secret(strings.TrimRight(string(b), "\r\n"))
	}
	trust, err := c.trust()
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	cfg := external.KeystoneConfig{
		URL: c.URL, Username: c.Username, UserDomain: c.UserDomain, Project: c.Project, ProjectDomain: c.ProjectDomain,
		CredentialID: c.CredentialID, AdminRoles: c.AdminRoles, MemberRoles: c.MemberRoles, ReaderRoles: c.ReaderRoles, TLS: trust,
	}
	if c.CredentialID != "" {
		cfg.CredentialSecret = secret
	} else {
		cfg.Password = secret
	}
	source, err := external.NewKeystone(cfg)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	return external.New(external.Config{Source: source, Fresh: time.Duration(c.Fresh), LogInURL: c.address(), Now: opt.Now, Log: opt.Log}), nil
}

// address is where clients log in.
func (c *IdentityConfig) address() string {
	if c.PublicURL != "" {
		return c.PublicURL
	}
	return c.URL
}

func (c *IdentityConfig) trust() (*tls.Config, error) {
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile == "" {
		return out, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, err
	}
	out.RootCAs = x509.NewCertPool()
	if !out.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", c.CAFile)
	}
	return out, nil
}

// identityDoor is the Identity API, or what says where it is.
func (s *Server) identityDoor(door rest.Door) http.Handler {
	if s.identity != nil {
		return identityv3.New(identityv3.Config{Identity: s.identity, Policy: s.policy, Door: door})
	}
	door.Name, door.Errors = "identityv3", rest.KeystoneErrors
	return door.Wrap(door.Func(func(http.ResponseWriter, *http.Request) error {
		return kuva.E(kuva.CodeNotFound, "identity.elsewhere", "url", s.cfg.Identity.address())
	}))
}
