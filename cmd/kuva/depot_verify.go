package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"kuva/internal/depot"
)

// verifyFinding is a depot.Finding for programs.
type verifyFinding struct {
	Key    string   `json:"key"`
	Images []string `json:"images,omitempty"`
	Error  string   `json:"error"`
}

func newDepotVerify() *cobra.Command {
	var local local
	var rate int64
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify --data DIR",
		Short: "Read and authenticate everything",
		Long: `Read every byte of database and store, open every piece with its key, and compare
what belongs together. It may run beside the service. Each finding is printed with
the images that it affects; exit code 3 says that there are any.

Damaged packs are marked, so that uploads of the same bytes heal them.`,
		Example: `  kuva depot verify --data ./data
  kuva depot verify --data ./data --rate 50 --json`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			t, err := local.openTools(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, t.Close()) }()
			findings := []verifyFinding{}
			rep, err := t.Verify(cmd.Context(), rate<<20, func(f depot.Finding) {
				if !asJSON {
					fmt.Fprintln(cmd.OutOrStdout(), f)
				}
				findings = append(findings, verifyFinding{f.Key, f.Images, f.Err.Error()})
			})
			if err != nil {
				return err
			}
			if asJSON {
				err = writeJSON(cmd.OutOrStdout(), struct {
					depot.VerifyReport
					Found []verifyFinding
				}{rep, findings})
			} else {
				printVerify(cmd, rep)
			}
			if err == nil && rep.Findings > 0 {
				return &exitError{code: exitDamaged}
			}
			return err
		},
	}
	f := cmd.Flags()
	local.flags(f)
	f.Int64Var(&rate, "rate", 0, "read at most so many `MiB` a second")
	f.BoolVar(&asJSON, "json", false, "print JSON when all is read")
	return cmd
}

func printVerify(cmd *cobra.Command, rep depot.VerifyReport) {
	w := cmd.OutOrStdout()
	fmt.Fprintf(w, "read %s: %d packs with %d chunks, %d objects, %d cards, %d keys\n",
		size(rep.Bytes), rep.Packs, rep.Chunks, rep.Objects, rep.Cards, rep.Keys)
	if rep.Healed > 0 {
		fmt.Fprintf(w, "%d packs that were damaged are whole again\n", rep.Healed)
	}
	switch {
	case rep.Findings == 0:
		fmt.Fprintln(w, "all is well")
	case len(rep.Images) == 0:
		fmt.Fprintf(w, "%d findings; every image can be read whole\n", rep.Findings)
	default:
		fmt.Fprintf(w, "%d findings; images that cannot be read whole:\n%s\n", rep.Findings, strings.Join(rep.Images, "\n"))
	}
}
