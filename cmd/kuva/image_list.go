package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"kuva/api"
	"kuva/client"
)

func newImageList() *cobra.Command {
	var cloud cloud
	var q client.Query
	var properties []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List images",
		Long:  `List the images that you may see, the newest first. Filters narrow it down.`,
		Example: `  kuva image list
  kuva image list --visibility private --sort size:desc --limit 10
  kuva image list --tag golden --property os_distro=debian --json`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if q.Properties, err = pairs(properties); err != nil {
				return err
			}
			c, err := cloud.connect(cmd.Context())
			if err != nil {
				return err
			}
			images := []api.Image{}
			for img, err := range c.List(cmd.Context(), q) {
				if err != nil {
					return judged(err)
				}
				images = append(images, img)
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), images)
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "ID\tNAME\tSTATUS\tVISIBILITY\tFORMAT\tSIZE")
			for _, img := range images {
				bytes := "-"
				if img.Size >= 0 {
					bytes = size(img.Size)
				}
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", img.ID, clean(img.Name), img.Status, img.Visibility, img.DiskFormat, bytes)
			}
			return t.Flush()
		},
	}
	f := cmd.Flags()
	cloud.flags(f)
	f.StringVar(&q.Name, "name", "", "with exactly this `NAME`")
	f.StringVar(&q.Status, "status", "", "with this `STATUS`: queued, saving, active, deactivated, …")
	f.StringVar(&q.Visibility, "visibility", "", "with this `VISIBILITY`: public, private, shared, community, all")
	f.StringVar(&q.Owner, "owner", "", "of the project with this `ID`")
	f.StringVar(&q.DiskFormat, "disk-format", "", "of this `FORMAT`: raw, qcow2, …")
	f.StringVar(&q.MemberStatus, "member-status", "", "shared with you and `STATUS`: accepted, pending, rejected, all")
	f.StringArrayVar(&q.Tags, "tag", nil, "with this `TAG`; may be given several times")
	f.StringArrayVar(&properties, "property", nil, "with this property, `KEY=VALUE`; may be given several times")
	f.BoolVar(&q.Hidden, "hidden", false, "the hidden ones instead of the others")
	f.StringVar(&q.Sort, "sort", "", "order, as `KEY:asc,KEY:desc`")
	f.IntVar(&q.Limit, "limit", 0, "at most `N` images")
	f.BoolVar(&asJSON, "json", false, "print JSON, as the Image API writes it")
	return cmd
}

// pairs takes KEY=VALUE apart.
func pairs(list []string) (map[string]string, error) {
	m := map[string]string{}
	for _, p := range list {
		key, value, ok := strings.Cut(p, "=")
		if !ok || key == "" {
			return nil, usagef("property %q: write it as KEY=VALUE", p)
		}
		m[key] = value
	}
	return m, nil
}
