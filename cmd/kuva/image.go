package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"kuva/api"
)

func newImage() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "image",
		Short: "Upload, download and tend images",
		Long: `Work with the images of a kuva, or of any OpenStack cloud.

The cloud is the one that --os-cloud or OS_CLOUD names in clouds.yaml, which is
looked for in OS_CLIENT_CONFIG_FILE, the working folder, ~/.config/openstack and
/etc/openstack; without a name the variables OS_AUTH_URL, OS_USERNAME,
OS_PASSWORD, OS_PROJECT_NAME and so on say it all.`,
		Example: `  export OS_CLIENT_CONFIG_FILE=./data/clouds.yaml OS_CLOUD=kuva
  kuva image upload debian-12.qcow2
  kuva image list`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newImageUpload(), newImageDownload(), newImageList(), newImageShow(), newImageDelete(),
		newImageSet(), newImageShare(), newImageAccept(), newImageRefuse(), newImageReplicate())
	cmd.AddCommand(newImageLink(), newImageImport(), newImageCatalogue())
	cmd.AddCommand(newImageExport(), newImageBuckets())
	return cmd
}

// printImage shows an image: all of it as JSON for programs, else one fact a
// line.
func printImage(w io.Writer, img api.Image, asJSON bool) error {
	if asJSON {
		return writeJSON(w, img)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, clean(value))
		}
	}
	line("id", img.ID)
	line("name", img.Name)
	line("status", img.Status)
	line("visibility", img.Visibility)
	line("owner", img.Owner)
	line("disk format", img.DiskFormat)
	line("container", img.ContainerFormat)
	if img.Size >= 0 {
		line("size", fmt.Sprintf("%d (%s)", img.Size, size(img.Size)))
	}
	if img.VirtualSize >= 0 {
		line("virtual size", fmt.Sprintf("%d (%s)", img.VirtualSize, size(img.VirtualSize)))
	}
	line("md5", img.Checksum)
	line(img.HashAlgo, img.HashValue)
	if img.MinDisk > 0 {
		line("min disk", strconv.FormatInt(img.MinDisk, 10)+" GiB")
	}
	if img.MinRAM > 0 {
		line("min RAM", strconv.FormatInt(img.MinRAM, 10)+" MiB")
	}
	if img.Protected {
		line("protected", "yes")
	}
	if img.Hidden {
		line("hidden", "yes")
	}
	line("tags", strings.Join(img.Tags, ", "))
	line("created", img.CreatedAt.UTC().Format(api.ImageTime))
	line("updated", img.UpdatedAt.UTC().Format(api.ImageTime))
	for _, name := range slices.Sorted(maps.Keys(img.Properties)) {
		line(name, img.Properties[name])
	}
	return t.Flush()
}

// clean keeps other people's texts from moving the terminal's cursor.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}
