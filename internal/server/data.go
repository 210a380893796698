package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"kuva/internal/identity"
)

// lockFile keeps a second server out of the data folder for as long as the
// file is open.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("another kuva serves %s: stop it first, or choose another --data", filepath.Dir(path))
		}
		return nil, err
	}
	return f, nil
}

// nodeName reads this node's name, made at first start. It must survive
// restarts: by it a node knows the leases and jobs of its former life.
func nodeName(path string) (string, error) {
	b, err := os.ReadFile(path)
	if name := strings.TrimSpace(string(b)); err == nil && name != "" {
		return name, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	name := "node-" + uuid.NewString()
	return name, writeFile(path, name+"\n")
}

// writeFile replaces a file so that a crash leaves the old or the new one.
func writeFile(path, content string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := f.WriteString(content); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// firstStart makes the first administrator and the file that lets clients log
// in at once. Later starts only keep the file's address right.
//
// The file comes before the administrator, under another name: a crash between
// the two would otherwise leave one whose password nobody knows.
func (s *Server) firstStart(ctx context.Context, opt Options) error {
	empty, err := s.identity.Empty(ctx)
	if err != nil {
		return fmt.Errorf("first administrator: %w", err)
	}
	if empty {
		password := opt.AdminPassword
		if password == "" {
			password = rand.Text()
		}
		if err := writeFile(s.cfg.draftFile(), fmt.Sprintf(cloudsText, s.URL(), password)); err != nil {
			return fmt.Errorf("clouds.yaml: %w", err)
		}
		b, err := s.identity.Bootstrap(ctx, identity.Secret(password))
		if err != nil {
			return fmt.Errorf("first administrator: %w", err)
		}
		if b.Created && opt.AdminPassword == "" {
			fmt.Fprintf(s.announce, "The first start made the user admin with the password %s (shown only now)\n", password)
		}
	} else if opt.AdminPassword != "" {
		b, err := s.identity.Bootstrap(ctx, identity.Secret(opt.AdminPassword))
		if err != nil {
			return fmt.Errorf("first administrator: %w", err)
		}
		if b.Differs {
			fmt.Fprintln(s.announce, "KUVA_ADMIN_PASSWORD is not the password of the user admin and was not set: change it with `openstack user password set`")
		}
	}
	if err := s.adoptDraft(ctx); err != nil {
		return fmt.Errorf("clouds.yaml: %w", err)
	}
	return s.moveClouds()
}

// adoptDraft gives the file of the first start its name, if it is there and
// true: another node may have made the administrator with another password.
func (s *Server) adoptDraft(ctx context.Context) error {
	text, err := os.ReadFile(s.cfg.draftFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var draft struct {
		Clouds struct {
			Kuva struct {
				Auth struct {
					Password string `yaml:"password"`
				} `yaml:"auth"`
			} `yaml:"kuva"`
		} `yaml:"clouds"`
	}
	if err := yaml.Unmarshal(text, &draft); err != nil {
		return err
	}
	password := draft.Clouds.Kuva.Auth.Password
	b, err := s.identity.Bootstrap(ctx, identity.Secret(password))
	if err != nil {
		return err
	}
	if password == "" || b.Differs {
		return os.Remove(s.cfg.draftFile())
	}
	if err := os.Rename(s.cfg.draftFile(), s.cfg.cloudsFile()); err != nil {
		return err
	}
	fmt.Fprintf(s.announce, "Log in with:  export OS_CLIENT_CONFIG_FILE=%s OS_CLOUD=kuva\n", s.cfg.cloudsFile())
	return syncDir(s.cfg.Data)
}

const cloudsText = `# Made by kuva at its first start. Whoever reads it is administrator.
clouds:
  kuva:
    auth:
      auth_url: %s/identity/v3
      username: admin
      password: %q
      project_name: admin
      user_domain_name: Default
      project_domain_name: Default
    region_name: RegionOne
    identity_api_version: 3
`

var authURL = regexp.MustCompile(`(?m)^(\s+auth_url: )(\S+)/identity/v3$`)

// moveClouds puts the address that the service now has into the file of the
// first start. A file that its owner changed beyond recognition stays.
func (s *Server) moveClouds() error {
	b, err := os.ReadFile(s.cfg.cloudsFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	m := authURL.FindAllSubmatch(b, 2)
	if len(m) != 1 || string(m[0][2]) == s.URL() {
		return nil
	}
	return writeFile(s.cfg.cloudsFile(), string(authURL.ReplaceAll(b, []byte("${1}"+s.URL()+"/identity/v3"))))
}
