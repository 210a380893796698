package main

import (
	"github.com/spf13/cobra"
)

func newImageShow() *cobra.Command {
	var cloud cloud
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show ID|NAME",
		Short: "Show all that is known of an image",
		Example: `  kuva image show debian-12
  kuva image show --json 7a1b2c3d-0000-4000-8000-123456789abc`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := cloud.connect(cmd.Context())
			if err != nil {
				return err
			}
			img, err := c.Find(cmd.Context(), args[0])
			if err != nil {
				return judged(err)
			}
			return printImage(cmd.OutOrStdout(), img, asJSON)
		},
	}
	cloud.flags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, as the Image API writes it")
	return cmd
}
