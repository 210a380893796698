package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newImageDelete() *cobra.Command {
	var cloud cloud
	var quiet bool
	cmd := &cobra.Command{
		Use:   "delete ID|NAME…",
		Short: "Delete images and their content",
		Long: `Delete images. A name that several images bear deletes none of them: say which by
its id. The others that were named are deleted all the same.`,
		Example: `  kuva image delete old-build
  kuva image delete $(kuva image list --tag scratch --json | jq -r '.[].id')`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := cloud.connect(cmd.Context())
			if err != nil {
				return err
			}
			var failed error
			for _, name := range args {
				img, err := c.Find(cmd.Context(), name)
				if err == nil {
					err = c.Delete(cmd.Context(), img.ID)
				}
				if err == nil {
					if !quiet {
						fmt.Fprintf(cmd.OutOrStdout(), "deleted %s %s\n", img.ID, clean(img.Name))
					}
					continue
				}
				if failed != nil { // the last one is printed by main
					fmt.Fprintln(cmd.ErrOrStderr(), "kuva:", failed)
				}
				failed = judged(err)
			}
			return failed
		},
	}
	cloud.flags(cmd.Flags())
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print nothing but errors")
	return cmd
}
