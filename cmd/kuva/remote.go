package main

import (
	"github.com/spf13/cobra"
)

// openImage opens the content of an image of the service, which is read by
// ranges as it is needed.
func (s *input) openImage(cmd *cobra.Command, cloud *cloud, name string) error {
	c, err := cloud.connect(cmd.Context())
	if err != nil {
		return err
	}
	img, err := c.Find(cmd.Context(), name)
	if err != nil {
		return err
	}
	content, err := c.Content(cmd.Context(), img)
	if err != nil {
		return err
	}
	s.r, s.size = content, content.Size()
	return nil
}
