package server

import (
	"fmt"
	"time"

	"kuva/internal/transfer/link"
)

// LinksConfig says what links the site gives.
type LinksConfig struct {
	// Off refuses to make links and to honour those that there are [false].
	Off bool `yaml:"off"`
	// MaxAge is the longest time that a link may be good for [720h, at most].
	MaxAge Duration `yaml:"max_age"`
}

func (c *LinksConfig) check() error {
	if age := time.Duration(c.MaxAge); age != 0 && (age < time.Second || age > link.MaxAge) {
		return fmt.Errorf("links: max_age is %v: choose a time from 1s to %v", age, link.MaxAge)
	}
	return nil
}

// makeLinks makes the use cases. Where another service keeps the users, nobody can
// be asked without a token what one of them may do now.
func (s *Server) makeLinks(opt Options) *link.Service {
	cfg := link.Config{
		DB: s.db, Images: s.images, Policy: s.policy, MaxAge: time.Duration(s.cfg.Links.MaxAge), Off: s.cfg.Links.Off, Now: opt.Now, Log: s.log,
	}
	if s.identity != nil {
		cfg.Again = s.identity.Again
	}
	return link.New(cfg)
}
