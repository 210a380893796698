package server

import (
	"kuva/internal/images"
	"kuva/internal/transfer"
	"kuva/internal/transfer/export"
)

// makeExports makes the use cases. web is the opener of users' addresses, nil
// where they may name none.
func (s *Server) makeExports(web images.Opener, opt Options) *export.Service {
	cfg := export.Config{
		DB: s.db, Depot: s.depot, Images: s.images, Policy: s.policy, Buckets: s.buckets, Program: Version(), Now: opt.Now, Log: s.log,
	}
	if o, ok := web.(transfer.Opener); ok {
		cfg.Web = o.Fetcher
	}
	return export.New(cfg)
}
