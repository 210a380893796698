package main

import (
	"github.com/spf13/cobra"

	"kuva/disk"
	"kuva/disk/qcow2"
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
	if img.DiskFormat == "raw" && img.ContainerFormat == "bare" && img.Size >= viewFrom {
		// The tables of a view tell what need not be fetched. Not every service
		// has views; the file itself says the same.
		view, err := c.View(cmd.Context(), img, "qcow2")
		if err == nil {
			d, err := qcow2.Open(cmd.Context(), view, view.Size(), disk.OpenOptions{Budget: disk.NewBudget(disk.Limits{})})
			if err == nil && d.Size() >= img.Size {
				s.r, s.size = disk.Section(d, 0, img.Size), img.Size
				return nil
			}
		}
	}
	content, err := c.Content(cmd.Context(), img)
	if err != nil {
		return err
	}
	s.r, s.size = content, content.Size()
	return nil
}

// viewFrom is the length of raw images from which it pays to ask what they are
// empty of.
const viewFrom = 16 << 20
