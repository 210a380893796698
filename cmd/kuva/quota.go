package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"kuva/api"
	"kuva/client"
)

func newQuota() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "quota",
		Short: "See and set what projects may keep",
		Long: `Every project has limits; the site's configuration says which hold where nothing else
was set. Only a kuva has these.`,
		Example: `  kuva quota show
  kuva quota set blue --bytes 500G --images 200`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newQuotaShow(), newQuotaSet())
	return cmd
}

// quotaProject connects and finds the project's id, "" for the own one.
func (f *identityFlags) quotaProject(ctx context.Context, name string) (*client.Client, string, error) {
	c, err := f.cloud.connect(ctx)
	if err != nil || name == "" {
		return c, "", err
	}
	ids, err := c.Identity()
	if err != nil {
		return nil, "", err
	}
	domain := ""
	if f.domain != "" {
		d, err := client.FindThing[client.Domain](ctx, ids, f.domain, "")
		if err != nil {
			return nil, "", judged(err)
		}
		domain = d.ID
	}
	p, err := client.FindThing[client.Project](ctx, ids, name, domain)
	return c, p.ID, judged(err)
}

// limit is how a limit is printed.
func limit(n int64, bytes bool) string {
	switch {
	case n < 0:
		return "unlimited"
	case bytes:
		return size(n)
	}
	return strconv.FormatInt(n, 10)
}

func printQuota(cmd *cobra.Command, q api.Quota, asJSON bool) error {
	if asJSON {
		return writeJSON(cmd.OutOrStdout(), q)
	}
	l, u := q.Limits, q.Use
	return table(cmd.OutOrStdout(), []string{"LIMIT", "VALUE", "USED"}, [][]string{
		{"images", limit(l.Images, false), limit(u.Images, false)},
		{"bytes", limit(l.Bytes, true), limit(u.Bytes+u.Reserved, true)},
		{"image-size", limit(l.ImageSize, true), ""},
		{"virtual-size", limit(l.VirtualSize, true), ""},
		{"members", limit(l.Members, false), ""},
		{"tags", limit(l.Tags, false), ""},
		{"properties", limit(l.Properties, false), ""},
		{"uploads", limit(l.Uploads, false), limit(u.Uploads, false)},
	})
}

func newQuotaShow() *cobra.Command {
	var f identityFlags
	cmd := &cobra.Command{
		Use:     "show [PROJECT]",
		Short:   "Show a project's limits and what it keeps",
		Example: `  kuva quota show blue`,
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, project, err := f.quotaProject(cmd.Context(), strings.Join(args, ""))
			if err != nil {
				return err
			}
			q, err := c.Quota(cmd.Context(), project)
			if err != nil {
				return judged(err)
			}
			return printQuota(cmd, q, f.json)
		},
	}
	f.add(cmd, true)
	return cmd
}

func newQuotaSet() *cobra.Command {
	var f identityFlags
	names := []struct {
		name, usage string
		bytes       bool
	}{
		{"images", "images", false},
		{"bytes", "bytes in all images together", true},
		{"image-size", "bytes in an image as it is sent", true},
		{"virtual-size", "bytes in a disk as a guest sees it", true},
		{"members", "projects that an image is shared with", false},
		{"tags", "tags on an image", false},
		{"properties", "properties of an image", false},
		{"uploads", "uploads at one time", false},
	}
	values := make([]string, len(names))
	cmd := &cobra.Command{
		Use:   "set PROJECT",
		Short: "Set a project's limits",
		Long: `Set limits of a project; those that are not named stay. A value is a number, for bytes
also with K, M, G or T (of 1,024), or "unlimited", or "default" for what the site has.`,
		Example: `  kuva quota set blue --bytes 500G --images 200
  kuva quota set blue --bytes default`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			limits := map[string]*int64{}
			for i, x := range names {
				if !cmd.Flags().Changed(x.name) {
					continue
				}
				n, err := parseLimit(values[i], x.bytes)
				if err != nil {
					return usage(spokenError("cli.bad_limit", "flag", "--"+x.name, "value", clean(values[i])))
				}
				limits[strings.ReplaceAll(x.name, "-", "_")] = n
			}
			if len(limits) == 0 {
				return usage(spokenError("cli.nothing_to_set"))
			}
			c, project, err := f.quotaProject(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			q, err := c.SetQuota(cmd.Context(), project, limits)
			if err != nil {
				return judged(err)
			}
			return printQuota(cmd, q, f.json)
		},
	}
	f.add(cmd, true)
	for i, x := range names {
		cmd.Flags().StringVar(&values[i], x.name, "", "at most `N` "+x.usage)
	}
	return cmd
}

// parseLimit reads a limit; nil is the site's default.
func parseLimit(s string, bytes bool) (*int64, error) {
	n := int64(-1)
	switch s {
	case "default":
		return nil, nil //nolint:nilnil // means the default
	case "unlimited":
		return &n, nil
	}
	shift := 0
	if bytes && s != "" {
		if i := strings.IndexByte("KMGT", s[len(s)-1]); i >= 0 {
			s, shift = s[:len(s)-1], 10*(i+1)
		}
	}
	v, err := strconv.ParseUint(s, 10, 63)
	if err != nil || v > (1<<63-1)>>shift {
		return nil, strconv.ErrRange
	}
	n = int64(v << shift)
	return &n, nil
}
