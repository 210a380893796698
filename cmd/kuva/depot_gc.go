package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"kuva/internal/depot"
)

func newDepotGC() *cobra.Command {
	var local local
	var opt depot.CollectOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "gc --data DIR",
		Short: "Clean up what no image needs",
		Long: `Run one cycle of the collector, beside a running service, which runs cycles of
its own. What has become garbage is condemned in one cycle and deleted in a later
one, so space of deleted images comes back after the second.

--dry-run changes nothing and prints each step that a cycle would do now.`,
		Example: `  kuva depot gc --data ./data --dry-run
  kuva depot gc --data ./data --compact`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			t, err := local.openTools(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, t.Close()) }()
			if opt.DryRun && opt.Compact {
				return usagef("a dry run does not plan the rewriting of packs: leave --compact out")
			}
			rep, err := t.Depot.Collect(cmd.Context(), opt)
			if errors.Is(err, depot.ErrStale) {
				return errors.New("another cycle has begun meanwhile, probably the service's own: nothing is lost, try again if you like")
			}
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), rep)
			}
			fmt.Fprint(cmd.OutOrStdout(), rep)
			return nil
		},
	}
	f := cmd.Flags()
	local.flags(f)
	f.BoolVar(&opt.DryRun, "dry-run", false, "change nothing, print the plan")
	f.BoolVar(&opt.Audit, "audit", false, "also list the store and find blobs that nothing knows")
	f.BoolVar(&opt.Compact, "compact", false, "also rewrite packs that are mostly dead or tiny")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
