package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"kuva/guest"
	"kuva/guest/budget"
)

// differences is what kuva diff says as JSON.
type differences struct {
	Packages []guest.PackageChange `json:"packages"`
	Files    []guest.FileChange    `json:"files"`
}

func newDiff() *cobra.Command {
	var in inside
	var asJSON, onlyPackages bool
	cmd := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Tell how the systems inside two disks differ",
		Long: `Compare the systems in the disks OLD and NEW: packages, then files by path, type,
mode, owner and content. Files of one size and one time are taken for equal.

Exit code 0: no difference. 1: they differ. 2 and more: something went wrong.`,
		Example: `  kuva diff kuva:web-1 kuva:web-2
  kuva diff before.qcow2 after.qcow2 --packages`,
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := diff(cmd, &in, args, onlyPackages)
			if err != nil {
				return troubled(err)
			}
			w := cmd.OutOrStdout()
			if asJSON {
				if err := writeJSON(w, d); err != nil {
					return troubled(err)
				}
			} else {
				for _, p := range d.Packages {
					switch {
					case p.Old == "":
						fmt.Fprintf(w, "+ %s %s\n", clean(p.Name), clean(p.New))
					case p.New == "":
						fmt.Fprintf(w, "- %s %s\n", clean(p.Name), clean(p.Old))
					default:
						fmt.Fprintf(w, "~ %s %s -> %s\n", clean(p.Name), clean(p.Old), clean(p.New))
					}
				}
				for _, f := range d.Files {
					fmt.Fprintf(w, "%-8s %s\n", f.What, clean(f.Path))
				}
			}
			if len(d.Packages)+len(d.Files) > 0 {
				return &exitError{code: exitFailed}
			}
			return nil
		},
	}
	f := cmd.Flags()
	in.flags(f)
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.BoolVar(&onlyPackages, "packages", false, "compare the packages only")
	return cmd
}

// troubled keeps trouble apart from a difference, which has exit code 1.
func troubled(err error) error {
	if e, ok := err.(*exitError); ok && e.code != exitFailed {
		return err
	}
	return &exitError{code: 2, err: err}
}

func diff(cmd *cobra.Command, in *inside, names []string, onlyPackages bool) (differences, error) {
	d := differences{Packages: []guest.PackageChange{}, Files: []guest.FileChange{}}
	var guests []*guest.Guest
	for _, name := range names {
		g, done, err := in.open(cmd, name)
		if err != nil {
			return d, err
		}
		defer done()
		if err := needFiles(g, name); err != nil {
			return d, err
		}
		guests = append(guests, g)
	}
	old, new := guests[0], guests[1]
	d.Packages = append(d.Packages, guest.DiffPackages(old.Report.Facts.Packages, new.Report.Facts.Packages)...)
	if onlyPackages {
		return d, nil
	}
	err := guest.DiffFiles(old.FS, new.FS, budget.New(cmd.Context(), budget.Limits{}), func(c guest.FileChange) error {
		d.Files = append(d.Files, c)
		return nil
	})
	return d, err
}
