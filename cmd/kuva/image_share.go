package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func newImageShare() *cobra.Command {
	var cloud cloud
	var list, remove, asJSON bool
	cmd := &cobra.Command{
		Use:   "share ID|NAME [PROJECT…]",
		Short: "Let other projects use an image",
		Long: `Offer an image to other projects, named by their ids, or take it back. Each of them
sees it in its lists once it has accepted: kuva image accept. Without a project,
or with --list, the members and their answers are shown.

Before you share an image, look into it: kuva inspect tells of keys and passwords
that it holds.`,
		Example: `  kuva image share web-1 3f0c6e51a9b84c2a8d7e5f6a7b8c9d0e
  kuva image share web-1
  kuva image share web-1 --remove 3f0c6e51a9b84c2a8d7e5f6a7b8c9d0e`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			c, err := cloud.connect(ctx)
			if err != nil {
				return err
			}
			img, err := c.Find(ctx, args[0])
			if err != nil {
				return judged(err)
			}
			for _, project := range args[1:] {
				if remove {
					err = c.Unshare(ctx, img.ID, project)
				} else {
					_, err = c.Share(ctx, img.ID, project)
				}
				if err != nil {
					return judged(err)
				}
			}
			if len(args) > 1 && !list && !asJSON {
				return nil
			}
			members, err := c.Members(ctx, img.ID)
			if err != nil {
				return judged(err)
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), members)
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "PROJECT\tANSWER")
			for _, m := range members {
				fmt.Fprintf(t, "%s\t%s\n", clean(m.MemberID), clean(m.Status))
			}
			return t.Flush()
		},
	}
	f := cmd.Flags()
	cloud.flags(f)
	f.BoolVar(&list, "list", false, "show the members afterwards")
	f.BoolVar(&remove, "remove", false, "take the image back from the projects")
	f.BoolVar(&asJSON, "json", false, "print the members as JSON")
	return cmd
}

func newImageAccept() *cobra.Command {
	return newAnswer("accept", "accepted", "Take an image that another project shares",
		`Accept an image that another project offers to yours: it is in your lists from then
on. The image stays the other project's, which may change or delete it. What the
doctor found inside is told by: kuva inspect kuva:ID`)
}

func newImageRefuse() *cobra.Command {
	return newAnswer("refuse", "rejected", "Refuse an image that another project shares",
		`Refuse an image that another project offers to yours, or give back one that was
accepted: it leaves your lists. You can accept it later all the same.`)
}

func newAnswer(verb, status, short, long string) *cobra.Command {
	var cloud cloud
	cmd := &cobra.Command{
		Use:     verb + " ID…",
		Short:   short,
		Long:    long,
		Example: "  kuva image list --visibility shared --member-status pending\n  kuva image " + verb + " 7a1b2c3d-0000-4000-8000-123456789abc",
		Args:    args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			c, err := cloud.connect(ctx)
			if err != nil {
				return err
			}
			project, err := c.Project()
			if err != nil {
				return err
			}
			for _, id := range args {
				m, err := c.Answer(ctx, id, project, status)
				if err != nil {
					return judged(err)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", m.Status, m.ImageID)
			}
			return nil
		},
	}
	cloud.flags(cmd.Flags())
	return cmd
}
