package server

import (
	"context"
	"fmt"

	"kuva/internal/metadef"
)

// defineMetadata makes the use cases of metadata definitions, and fills a
// database that never had any with the usual ones.
func (s *Server) defineMetadata(ctx context.Context, opt Options) error {
	s.metadef = metadef.New(metadef.Config{DB: s.db, Now: opt.Now, Policy: s.policy})
	n, err := s.metadef.Load(ctx)
	if err != nil {
		return fmt.Errorf("metadata definitions: %w", err)
	}
	if n > 0 {
		s.log.Info("metadata definitions loaded", "namespaces", n)
	}
	return nil
}
