package server

import "kuva/internal/transfer/catalogue"

// openCatalogue reads the file of images that are imported by name.
func (s *Server) openCatalogue() (err error) {
	s.shelf, err = catalogue.Open(s.cfg.inData(s.cfg.Catalogue), s.images, s.log)
	return err
}
