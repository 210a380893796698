package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kuva/api"
)

func newImageLink() *cobra.Command {
	var cloud cloud
	var l api.NewAccessLink
	var expires string
	var settings []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "link ID|NAME",
		Short: "Make an address that gives an image without a login",
		Long: `Make an address that gives the content of an image to whoever has it, or, with
--write, takes the content of an image that is queued. It is printed this once, and
is worth what you may do yourself: it ends when you lose the right, when the image is
deleted or deactivated, and when you revoke it. Only a kuva has links.`,
		Example: `  kuva image link debian-12 --format qcow2 --expires 2d --count 3
  curl -LO $(kuva image link debian-12)
  curl -T disk.raw $(kuva image link empty --write)
  kuva image link list debian-12
  kuva image link revoke 0199c1f0-0000-7000-8000-123456789abc`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if l.Seconds, err = age(expires); err != nil {
				return usage(spokenError("cli.bad_age", "flag", "--expires", "value", clean(expires)))
			}
			if l.Settings, err = pairs(settings); err != nil {
				return err
			}
			c, err := cloud.connect(cmd.Context())
			if err != nil {
				return err
			}
			img, err := c.Find(cmd.Context(), args[0])
			if err != nil {
				return judged(err)
			}
			l.Image, l.Read = img.ID, l.Read || !l.Write
			made, err := c.MakeLink(cmd.Context(), l)
			if err != nil {
				return judged(err)
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), made)
			}
			if made.URL != nil {
				fmt.Fprintln(cmd.OutOrStdout(), clean(*made.URL))
			}
			return nil
		},
	}
	f := cmd.Flags()
	cloud.flags(f)
	f.StringVar(&l.Format, "format", "", "give a file of this `FORMAT`: raw, qcow2, vmdk, … (default: what was sent)")
	f.BoolVar(&l.Compress, "compress", false, "give a compressed file")
	f.StringArrayVar(&settings, "setting", nil, "setting of the format, `KEY=VALUE`; may be given several times")
	f.StringVar(&expires, "expires", "", "how long it is good for, as `AGE` 90m, 12h or 2d (default: a day)")
	f.Int64Var(&l.Uses, "count", 0, "how many `USES` it is good for (default: any number)")
	f.BoolVar(&l.Write, "write", false, "take the content of a queued image")
	f.BoolVar(&l.Read, "read", false, "with --write: give the content afterwards, too")
	f.BoolVar(&asJSON, "json", false, "print JSON, as kuva's API writes it")
	cmd.AddCommand(newImageLinkList(), newImageLinkRevoke())
	return cmd
}

// age reads a time such as 90m, 12h or 2d, in seconds; "" is 0.
func age(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil || n == 0 {
			return 0, strconv.ErrSyntax
		}
		return int64(n) * 24 * 3600, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Second {
		return 0, strconv.ErrSyntax
	}
	return int64(d / time.Second), nil
}

func newImageLinkList() *cobra.Command {
	var cloud cloud
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list [ID|NAME]",
		Short: "List links, those to one image or all of the project",
		Long:  `List links, the newest first. Their addresses were told once and are not known to anybody else.`,
		Example: `  kuva image link list
  kuva image link list debian-12 --json`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := cloud.connect(cmd.Context())
			if err != nil {
				return err
			}
			image := ""
			if len(args) > 0 {
				img, err := c.Find(cmd.Context(), args[0])
				if err != nil {
					return judged(err)
				}
				image = img.ID
			}
			list, err := c.Links(cmd.Context(), image)
			if err != nil {
				return judged(err)
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), list)
			}
			rows := make([][]string, len(list))
			for i, l := range list {
				rows[i] = []string{l.ID, l.Image, linkFor(l), linkUses(l), l.State, l.ExpiresAt.UTC().Format(api.ImageTime)}
			}
			return table(cmd.OutOrStdout(), []string{"ID", "IMAGE", "FOR", "USES", "STATE", "EXPIRES"}, rows)
		},
	}
	cloud.flags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, as kuva's API writes it")
	return cmd
}

// linkFor is what a link is good for: "read qcow2, write".
func linkFor(l api.AccessLink) string {
	var out []string
	if l.Read {
		read := "read"
		if l.Format != nil {
			read += " " + *l.Format
		}
		out = append(out, read)
	}
	if l.Write {
		out = append(out, "write")
	}
	return strings.Join(out, ", ")
}

func linkUses(l api.AccessLink) string {
	uses := strconv.FormatInt(l.Uses, 10)
	if l.UsesMost != nil {
		uses += " of " + strconv.FormatInt(*l.UsesMost, 10)
	}
	return uses
}

func newImageLinkRevoke() *cobra.Command {
	var cloud cloud
	cmd := &cobra.Command{
		Use:     "revoke LINK…",
		Short:   "End links at once",
		Long:    `End links by their ids, which "kuva image link list" shows. Downloads that run go on to their end.`,
		Example: `  kuva image link revoke 0199c1f0-0000-7000-8000-123456789abc`,
		Args:    args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := cloud.connect(cmd.Context())
			if err != nil {
				return err
			}
			for _, id := range args {
				if err := c.RevokeLink(cmd.Context(), id); err != nil {
					return judged(err)
				}
			}
			return nil
		},
	}
	cloud.flags(cmd.Flags())
	return cmd
}
