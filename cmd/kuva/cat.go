package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func newCat() *cobra.Command {
	var in inside
	cmd := &cobra.Command{
		Use:   "cat FILE PATH...",
		Short: "Print files from inside a disk",
		Long: `Print the files PATH of the system in the disk FILE, as they are. Nothing is
mounted on this machine, and symbolic links are followed inside the disk.`,
		Example: `  kuva cat web.qcow2 /etc/fstab
  kuva cat kuva:debian-12 /etc/os-release`,
		Args: args(cobra.MinimumNArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			g, done, err := in.open(cmd, args[0])
			if err != nil {
				return err
			}
			defer done()
			if err := needFiles(g, args[0]); err != nil {
				return err
			}
			for _, name := range args[1:] {
				f, err := g.FS.Open(inGuest(name))
				if err != nil {
					return notThere(err)
				}
				if i, err := f.Stat(); err == nil && i.IsDir() {
					return fmt.Errorf("%s is a folder: kuva ls lists it", clean(name))
				}
				_, err = io.Copy(cmd.OutOrStdout(), f)
				f.Close()
				if err != nil {
					return fmt.Errorf("%s: %w", clean(name), err)
				}
			}
			return nil
		},
	}
	in.flags(cmd.Flags())
	return cmd
}
