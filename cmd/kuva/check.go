package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"kuva/disk"
	"kuva/disk/formats"
)

// Exit codes of kuva check, those of qemu-img check.
const (
	checkFailed  = 1 // could not be done
	checkCorrupt = 2
	checkLeaks   = 3
	checkUnable  = 63 // the format has nothing to check
)

// checked is the report of kuva check as JSON: the names are those of
// qemu-img check where it has the same.
type checked struct {
	Filename   string   `json:"filename"`
	Format     string   `json:"format"`
	Errors     int64    `json:"corruptions"`
	Overlaps   int64    `json:"overlaps"` // places used twice, counted among the corruptions
	Leaks      int64    `json:"leaks"`
	Blocks     int64    `json:"total-clusters"`
	Allocated  int64    `json:"allocated-clusters"`
	Compressed int64    `json:"compressed-clusters"`
	Snapshots  int      `json:"snapshots"`
	End        int64    `json:"image-end-offset"`
	Problems   []string `json:"problems"` // the first ones in words
}

func newCheck() *cobra.Command {
	var h handed
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Look for damage in a disk's file",
		Long: `Follow every reference in FILE and count what is wrong: places that lie out of the
file, that are used twice or not marked as used (corruptions: data may be lost),
and places marked as used that nothing uses (leaks: space is wasted, no more).
Nothing is changed.

Exit codes: 0 all is well, 1 it could not be checked, 2 corruptions, 3 leaks only,
63 the format has nothing to check.`,
		Example: `  kuva check web.qcow2
  kuva check web.vhdx --json`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			src, err := openFile(cmd, args[0], nil)
			if err != nil {
				return err
			}
			defer src.Close()
			src.handed = h
			report, err := src.check(cmd)
			if err != nil {
				return err
			}
			if asJSON {
				err = writeJSON(cmd.OutOrStdout(), checked{
					Filename: args[0], Format: report.Format, Errors: report.Errors, Overlaps: report.Overlaps, Leaks: report.Leaks,
					Blocks: report.Blocks, Allocated: report.Allocated, Compressed: report.Compressed,
					Snapshots: report.Snapshots, End: report.End, Problems: append([]string{}, report.Problems...),
				})
			} else {
				printReport(cmd.OutOrStdout(), args[0], report)
			}
			switch {
			case err != nil:
				return err
			case report.Errors > 0:
				return &exitError{code: checkCorrupt}
			case report.Leaks > 0:
				return &exitError{code: checkLeaks}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVarP(&h.format, "format", "f", "", "`FORMAT` of the file (default: by its bytes)")
	f.IntVar(&h.choice, "disk", 0, "`NUMBER` of the disk in an archive of several, from 1")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return withCode(cmd, checkFailed, cobra.ExactArgs(1))
}

// check looks at the file itself, also where its disk cannot be opened, or else
// at the one inside of what wraps it.
func (s *input) check(cmd *cobra.Command) (*disk.Report, error) {
	ctx := cmd.Context()
	r, size, f := s.r, s.size, formats.ByName(s.handed.format)
	switch {
	case s.handed.format == "":
		v, err := formats.Detect(ctx, r, size)
		if err != nil {
			return nil, s.explain(err)
		}
		f = v.Format
		if f == nil {
			found, err := s.find(ctx)
			if err != nil {
				return nil, uncheckable(s.explain(err))
			}
			r, size, f = found.File, found.File.Size(), found.Format
		}
	case f == nil:
		return nil, usagef("there is no format %q: choose one of %s", s.handed.format, formatNames())
	}
	if f.Check == nil {
		return nil, &exitError{checkUnable, fmt.Errorf("%s: the format %s has nothing that can be checked", s.name, f.Name)}
	}
	report, err := f.Check(ctx, r, size, disk.OpenOptions{Budget: disk.NewBudget(disk.Limits{})})
	var refused *disk.Refused
	if errors.As(err, &refused) && refused.Reason == disk.ReasonBacking {
		// The tables of this file are checked whatever is below it.
		report, err = f.Check(ctx, r, size, disk.OpenOptions{Parent: nothing(ctx), Budget: disk.NewBudget(disk.Limits{})})
	}
	return report, s.explain(err)
}

// uncheckable gives formats that are not read the exit code for that.
func uncheckable(err error) error {
	var refused *disk.Refused
	if errors.As(err, &refused) && refused.Reason == disk.ReasonUnsupported {
		return &exitError{checkUnable, err}
	}
	return err
}

func printReport(w io.Writer, name string, r *disk.Report) {
	for _, p := range r.Problems {
		fmt.Fprintln(w, clean(p))
	}
	if more := r.Errors + r.Leaks - int64(len(r.Problems)); more > 0 && len(r.Problems) == disk.MaxProblems {
		fmt.Fprintf(w, "… and %d more\n", more)
	}
	switch {
	case r.Clean():
		fmt.Fprintf(w, "%s: all is well.", name)
	default:
		fmt.Fprintf(w, "%s: %d corruptions (%d of them places used twice), %d leaks.", name, r.Errors, r.Overlaps, r.Leaks)
	}
	if r.Blocks > 0 {
		fmt.Fprintf(w, " %d of %d blocks have data (%.1f %%), %d of these are compressed.", r.Allocated, r.Blocks,
			100*float64(r.Allocated)/float64(r.Blocks), r.Compressed)
	}
	fmt.Fprintln(w)
}

// withCode makes an exit code of qemu-img's the one for everything that fails,
// mistakes on the command line among it.
func withCode(cmd *cobra.Command, code int, check cobra.PositionalArgs) *cobra.Command {
	wrap := func(err error) error {
		var e *exitError
		if err == nil || errors.As(err, &e) && (e.err == nil || e.code != exitUsage && e.code != exitFailed) {
			return err
		}
		if e != nil {
			err = e.err
		}
		return &exitError{code, err}
	}
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return wrap(run(cmd, args)) }
	cmd.Args = func(cmd *cobra.Command, list []string) error { return wrap(args(check)(cmd, list)) }
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return wrap(fmt.Errorf("%w\nSee: %s --help", err, cmd.CommandPath()))
	})
	return cmd
}
