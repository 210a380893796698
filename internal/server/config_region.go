package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"kuva/client"
	"kuva/internal/transfer/region"
)

// PeerConfig is another region that images are sent to.
type PeerConfig struct {
	// Clouds is a clouds.yaml with the user that logs in there; a relative path
	// begins at the data folder. Cloud is its entry [the peer's name].
	Clouds string `yaml:"clouds"`
	Cloud  string `yaml:"cloud"`
	// Image is the address of the Image API there, up to and without /v2, where
	// it is on another host than the identity service [the catalogue's].
	Image string `yaml:"image"`
	// Projects may send to it, by their ids [all].
	Projects []string `yaml:"projects"`
	// KeepOwner lets copies belong to the project with the same id there [the
	// project of the user in Clouds].
	KeepOwner bool `yaml:"keep_owner"`
	// Bandwidth is how many bytes a second are sent at most [no limit].
	Bandwidth int64 `yaml:"bandwidth"`
	// AcceptTerms is the version of the terms there that are accepted [none].
	AcceptTerms string `yaml:"accept_terms"`
}

var peerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// peers makes the configuration of replication. Whether a peer answers is not
// asked: it may be down when this starts.
func (c *Config) peers() (map[string]region.Peer, error) {
	out := map[string]region.Peer{}
	for name, p := range c.Peers {
		fail := func(err error) error { return fmt.Errorf("peers: %s: %w", name, err) }
		if !peerName.MatchString(name) {
			return nil, fail(errors.New("choose a name of letters, digits, '.', '_' and '-'"))
		}
		if p.Clouds == "" {
			return nil, fail(errors.New("clouds: name the clouds.yaml with the user that logs in there"))
		}
		file := p.Clouds
		if !filepath.IsAbs(file) {
			file = filepath.Join(c.Data, file)
		}
		if _, err := os.Stat(file); err != nil {
			return nil, fail(err)
		}
		if p.Bandwidth < 0 {
			return nil, fail(errors.New("bandwidth: write bytes a second, or leave it out"))
		}
		cloud := p.Cloud
		if cloud == "" {
			cloud = name
		}
		out[name] = region.Peer{
			Settings: client.Settings{File: file, Cloud: cloud, Image: p.Image, UserAgent: "kuva"}, Projects: p.Projects, KeepOwner: p.KeepOwner, Bandwidth: p.Bandwidth, Terms: p.AcceptTerms,
		}
	}
	return out, nil
}
