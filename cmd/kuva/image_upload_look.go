package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"kuva/disk"
	"kuva/disk/formats"
	"kuva/guest"
	"kuva/guest/check"
)

// lookFirst tells what a local file is before its first byte is sent: format,
// size of the disk, system and the worst findings. Only blocking is refused,
// where the user asks for the check; what cannot be looked into is sent all the
// same, the service says what is wrong with it.
func lookFirst(cmd *cobra.Command, f *os.File, bytes int64, format string, quiet, mustBoot bool) error {
	if quiet && !mustBoot {
		return nil
	}
	r, virtual, err := lookInto(cmd.Context(), f, bytes, format)
	// Looking for holes moves the place from which the file is read.
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err != nil {
		if mustBoot {
			return fmt.Errorf("%s cannot be checked, so nothing was uploaded: %w", f.Name(), err)
		}
		if ctx := cmd.Context(); ctx.Err() != nil {
			return ctx.Err()
		}
		return nil
	}
	w := cmd.ErrOrStderr()
	if quiet {
		w = io.Discard
	}
	about := fmt.Sprintf("%s: %s, disk of %s", f.Name(), format, size(virtual))
	if o := r.Facts.OS; o != nil {
		about += ", " + clean(o.Name)
	}
	fmt.Fprintln(w, about)
	blocks := tellWorst(w, r.Findings)
	if mustBoot && blocks > 0 {
		return fmt.Errorf("nothing was uploaded: %d findings keep a machine made of it from starting; see kuva inspect %s", blocks, f.Name())
	}
	return nil
}

// tellWorst prints the findings that are more than advice, at most six, and
// counts those that keep a machine from starting.
func tellWorst(w io.Writer, findings []check.Finding) (blocks int) {
	lang := string(language(""))
	told, more := 0, 0
	for _, f := range findings {
		if f.Severity == check.Boot {
			blocks++
		}
		switch {
		case f.Severity == check.Advice:
		case told == 6:
			more++
		default:
			told++
			fmt.Fprintf(w, "  %s: %s\n", f.ID, clean(f.In(lang).Title))
		}
	}
	if more > 0 {
		fmt.Fprintf(w, "  and %d more: kuva inspect tells all\n", more)
	}
	return blocks
}

// lookInto inspects a local file as a disk of a format.
func lookInto(ctx context.Context, f *os.File, size int64, format string) (*guest.Report, int64, error) {
	known := formats.ByName(format)
	if known == nil || known.Open == nil {
		return nil, 0, errors.New("content of the format " + format + " is not looked into")
	}
	d, err := known.Open(ctx, f, size, disk.OpenOptions{Budget: disk.NewBudget(disk.Limits{Memory: 256 << 20})})
	if err != nil {
		return nil, 0, err
	}
	r, err := guest.Inspect(ctx, d, guest.Options{})
	return r, d.Size(), err
}

// detected is the format of a local file by its marks, raw where it has none or
// is not to be trusted: the service judges.
func detected(ctx context.Context, f io.ReaderAt, size int64) string {
	v, err := formats.Detect(ctx, f, size)
	if err != nil || !uploadable[v.Name] {
		return "raw"
	}
	return v.Name
}

// uploadable are the formats that the Image API has names for.
var uploadable = map[string]bool{"raw": true, "qcow2": true, "vmdk": true, "vhd": true, "vhdx": true, "vdi": true, "iso": true}
