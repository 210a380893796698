package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"kuva/disk"
)

// Exit codes of kuva compare, those of qemu-img compare.
const (
	compareDiffers = 1
	compareFailed  = 2 // a file could not be opened
	compareUnread  = 4 // a file could not be read
)

// compared is what kuva compare says as JSON.
type compared struct {
	Same   bool     `json:"same"`
	Offset int64    `json:"offset"` // of the first byte that differs, -1 for none
	Sizes  [2]int64 `json:"sizes"`  // of the disks
}

func newCompare() *cobra.Command {
	var a, b handed
	var cloud cloud
	var strict, quiet, asJSON bool
	cmd := &cobra.Command{
		Use:   "compare A B",
		Short: "Tell whether two files hold the same disk",
		Long: `Compare the disks in two files, whatever their formats: what a guest would read,
not how it is stored. If one is longer, what it has more must be zeros;
--strict takes disks of different sizes for different.

Exit codes: 0 the same, 1 different, 2 a file could not be opened, 4 or read.`,
		Example: `  kuva compare web.vmdk web.qcow2
  kuva compare disk.raw kuva:debian-12 --strict`,
		RunE: func(cmd *cobra.Command, args []string) error {
			d := [2]disk.Disk{}
			for i, h := range []handed{a, b} {
				h.quiet = quiet
				s, err := openDisk(cmd, args[i], h, &cloud)
				if err != nil {
					return err
				}
				defer s.Close()
				d[i] = s.disk
			}
			result, err := compareDisks(cmd, d, strict, quiet || asJSON)
			if err != nil {
				return &exitError{compareUnread, err}
			}
			if err := result.print(cmd, args, quiet, asJSON); err != nil {
				return err
			}
			if !result.Same {
				return &exitError{code: compareDiffers}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVarP(&a.format, "format", "f", "", "`FORMAT` of A (default: by its bytes)")
	f.StringVarP(&b.format, "other-format", "F", "", "`FORMAT` of B")
	cloud.flags(f)
	f.BoolVarP(&strict, "strict", "s", false, "the sizes must be the same too")
	f.BoolVarP(&quiet, "quiet", "q", false, "print nothing, the exit code tells")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return withCode(cmd, compareFailed, cobra.ExactArgs(2))
}

func compareDisks(cmd *cobra.Command, d [2]disk.Disk, strict, quiet bool) (compared, error) {
	c := compared{Offset: -1, Sizes: [2]int64{d[0].Size(), d[1].Size()}}
	if strict && c.Sizes[0] != c.Sizes[1] {
		return c, nil
	}
	total, err := disk.Allocated(cmd.Context(), d[0])
	if err != nil {
		return c, err
	}
	p := newProgress(cmd, quiet, "compare", total)
	defer p.end()
	c.Offset, err = disk.Compare(cmd.Context(), &counted{Disk: d[0], total: total, at: p.at}, d[1])
	c.Same = c.Offset < 0
	return c, err
}

func (c compared) print(cmd *cobra.Command, names []string, quiet, asJSON bool) error {
	out := cmd.OutOrStdout()
	switch {
	case asJSON:
		return writeJSON(out, c)
	case quiet:
	case c.Same && c.Sizes[0] != c.Sizes[1]:
		fmt.Fprintf(out, "%s and %s hold the same, but %d and %d bytes long; what one has more is zeros.\n", names[0], names[1], c.Sizes[0], c.Sizes[1])
	case c.Same:
		fmt.Fprintf(out, "%s and %s hold the same disk.\n", names[0], names[1])
	case c.Offset < 0:
		fmt.Fprintf(out, "The sizes differ: %d and %d bytes.\n", c.Sizes[0], c.Sizes[1])
	default:
		fmt.Fprintf(out, "They differ at byte %d.\n", c.Offset)
	}
	return nil
}
