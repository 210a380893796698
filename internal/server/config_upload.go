package server

import (
	"errors"
	"time"

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

// receive makes the use cases of uploads.
func (s *Server) receive(opt Options) *upload.Service {
	return upload.New(upload.Config{
		DB: s.db, Images: s.images, Policy: s.policy, Log: s.log, Now: opt.Now, Open: s.cfg.Uploads.Open, Expire: time.Duration(s.cfg.Uploads.Expire),
	})
}

// askFirst makes the use cases of uploads that ask first.
func (s *Server) askFirst(opt Options) *ask.Service {
	return ask.New(ask.Config{
		DB: s.db, Depot: s.depot, Images: s.images, Uploads: s.uploads, Log: s.log, Now: opt.Now, Rate: s.cfg.Uploads.AskRate, Burst: s.cfg.Uploads.AskBurst,
	})
}
