package server

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"kuva/internal/transfer/ask"
	"kuva/internal/transfer/upload"
)

// UploadsConfig says how many uploads may wait for their bytes, and how long.
type UploadsConfig struct {
	// Open is how many uploads one project may have that have not ended [1000].
	Open int64 `yaml:"open"`
	// Expire is how long an upload waits for its next bytes [168h].
	Expire Duration `yaml:"expire"`
	// AskRate is how many chunks a second one project may ask for by uploads
	// that ask first, on each node [20000], and AskBurst how many at once
	// [200000].
	AskRate  int64 `yaml:"ask_rate"`
	AskBurst int64 `yaml:"ask_burst"`
}

func (c *UploadsConfig) check() error {
	if c.Open < 0 {
		return errors.New("uploads: open is a number from 1")
	}
	if c.AskRate < 0 || c.AskRate > 1e9 || c.AskBurst < 0 || c.AskBurst > 1e9 {
		return errors.New("uploads: ask_rate and ask_burst are numbers from 1 to 1000000000")
	}
	return nil
}

// TermsConfig names the terms of the site.
type TermsConfig struct {
	// Version is what is kept on images, such as 2026-11. "" asks for nothing.
	Version string `yaml:"version"`
	// File is their text, plain; a relative path begins at the data folder.
	File string `yaml:"file"`
}

const maxTerms = 64 << 10

func (c *Config) terms() (*upload.Terms, error) {
	if c.Terms == (TermsConfig{}) {
		return nil, nil
	}
	odd := func(r rune) bool { return r <= ' ' || r > '~' }
	if c.Terms.Version == "" || c.Terms.File == "" || len(c.Terms.Version) > 64 || strings.ContainsFunc(c.Terms.Version, odd) {
		return nil, errors.New("terms: give a version without spaces, and the file with their text")
	}
	b, err := os.ReadFile(c.inData(c.Terms.File))
	if err != nil {
		return nil, fmt.Errorf("terms: %w", err)
	}
	if len(b) > maxTerms || !utf8.Valid(b) {
		return nil, fmt.Errorf("terms: %s is not plain text of at most %d bytes", c.Terms.File, maxTerms)
	}
	return &upload.Terms{Version: c.Terms.Version, Text: string(b)}, nil
}

// receive makes the use cases of uploads.
func (s *Server) receive(opt Options, terms *upload.Terms) *upload.Service {
	return upload.New(upload.Config{
		DB: s.db, Images: s.images, Policy: s.policy, Log: s.log, Now: opt.Now, Terms: terms, Open: s.cfg.Uploads.Open, Expire: time.Duration(s.cfg.Uploads.Expire),
	})
}

// askFirst makes the use cases of uploads that ask first.
func (s *Server) askFirst(opt Options) *ask.Service {
	return ask.New(ask.Config{
		DB: s.db, Depot: s.depot, Images: s.images, Uploads: s.uploads, Log: s.log, Now: opt.Now, Rate: s.cfg.Uploads.AskRate, Burst: s.cfg.Uploads.AskBurst,
	})
}
