package server

import (
	"errors"
	"time"

	"kuva/internal/transfer/upload"
)

// UploadsConfig says how many uploads may wait for their bytes, and how long.
type UploadsConfig struct {
	// Open is how many uploads one project may have that have not ended [1000].
	Open int64 `yaml:"open"`
	// Expire is how long an upload waits for its next bytes [168h].
	Expire Duration `yaml:"expire"`
}

func (c *UploadsConfig) check() error {
	if c.Open < 0 {
		return errors.New("uploads: open is a number from 1")
	}
	return nil
}

// receive makes the use cases of uploads.
func (s *Server) receive(opt Options) *upload.Service {
	return upload.New(upload.Config{
		DB: s.db, Images: s.images, Policy: s.policy, Log: s.log, Now: opt.Now, Open: s.cfg.Uploads.Open, Expire: time.Duration(s.cfg.Uploads.Expire),
	})
}
