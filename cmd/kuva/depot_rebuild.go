package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"kuva/internal/depot"
	"kuva/internal/server"
)

func newDepotRebuild() *cobra.Command {
	var local local
	var opt server.RebuildOptions
	var identity string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "rebuild --data DIR",
		Short: "Make the database anew from the store",
		Long: `Bring the database back from the store and the keys, while the service is stopped.
Without --merge it begins with an empty database: move a damaged one away first.
With --merge it adds to the database what only the store knows, as after a restore
of the database from an older copy.

Images come back with id, name, owner, members, properties and content; those that
were deleted stay deleted. Users and projects are not in the store: --identity
reads them from a backup, else the next start makes a new administrator.`,
		Example: `  kuva depot rebuild --data ./data --identity /backup/snapshots/20261121T101112Z/identity.json
  kuva depot rebuild --data ./data --merge`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := local.settings()
			if err != nil {
				return err
			}
			if identity != "" {
				f, err := os.Open(identity)
				if err != nil {
					return err
				}
				defer f.Close()
				opt.Identity = f
			}
			rep, err := server.Rebuild(cmd.Context(), c, opt, warnings(cmd))
			if err != nil {
				return err
			}
			if asJSON {
				err = writeJSON(cmd.OutOrStdout(), rep)
			} else {
				printRebuild(cmd, rep, opt)
			}
			if err == nil && len(rep.Missing)+len(rep.Damaged) > 0 {
				return &exitError{code: exitDamaged}
			}
			return err
		},
	}
	f := cmd.Flags()
	local.flags(f)
	f.BoolVar(&opt.Merge, "merge", false, "keep the database and add what it lacks")
	f.StringVar(&identity, "identity", "", "users and projects from identity.json of a backup: `FILE`")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printRebuild(cmd *cobra.Command, rep depot.RebuildReport, opt server.RebuildOptions) {
	w := cmd.OutOrStdout()
	fmt.Fprintf(w, "%d images, %d realms, %d objects in %d packs came back; the store is at cycle %d\n",
		rep.Images, rep.Realms, rep.Objects, rep.Packs, rep.Epoch)
	for _, l := range []struct {
		what string
		ids  []string
	}{
		{"content lost, the image waits to be filled again", rep.Missing},
		{"deleted since the database's copy was made", rep.Vanished},
		{"damaged", rep.Damaged},
	} {
		for _, id := range l.ids {
			fmt.Fprintf(w, "%s: %s\n", l.what, id)
		}
	}
	if !opt.Merge && opt.Identity == nil {
		fmt.Fprintln(w, "users and projects are not back: the next start makes a new administrator")
	}
}
