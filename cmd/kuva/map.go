package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"

	"github.com/spf13/cobra"

	"kuva/disk"
)

// mapped is a stretch of a disk as qemu-img map prints it as JSON.
type mapped struct {
	Start   int64  `json:"start"`
	Length  int64  `json:"length"`
	Depth   int    `json:"depth"`            // always 0: what lies below is not looked at
	Present bool   `json:"present"`          // the file says something of it
	Zero    bool   `json:"zero"`             // it reads as zeros
	Data    bool   `json:"data"`             // bytes are stored for it
	Offset  *int64 `json:"offset,omitempty"` // where they lie in the file as they are
}

func newMap() *cobra.Command {
	var h handed
	var cloud cloud
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "map FILE",
		Short: "Say which parts of a disk are stored, and where",
		Long: `List the stretches of the disk in FILE that have data, and where in the file they
lie: "-" stands for data that do not lie there as they are, such as compressed ones.
--json lists all stretches, in the words of qemu-img map: zero ones that
the file knows are present, holes are not.`,
		Example: `  kuva map web.qcow2
  kuva map web.qcow2 --json`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			src, err := openDisk(cmd, args[0], h, &cloud)
			if err != nil {
				return judged(err)
			}
			defer src.Close()
			w := bufio.NewWriter(cmd.OutOrStdout())
			stretches := joined(cmd.Context(), src.disk)
			if asJSON {
				err = mapJSON(w, stretches)
			} else {
				err = mapText(w, stretches)
			}
			if err != nil {
				return src.explain(err)
			}
			return w.Flush()
		},
	}
	f := cmd.Flags()
	h.flags(f)
	cloud.flags(f)
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// joined gives the extents of a disk with neighbours of one kind and place
// joined.
func joined(ctx context.Context, d disk.Disk) iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		var next disk.Extent
		for e, err := range d.Extents(ctx, 0, d.Size()) {
			if err != nil {
				yield(disk.Extent{}, err)
				return
			}
			if e.Kind != disk.Data {
				e.At = disk.Nowhere
			}
			if next.Len > 0 && next.Kind == e.Kind &&
				(e.At == disk.Nowhere && next.At == disk.Nowhere || next.At != disk.Nowhere && e.At == next.At+next.Len) {
				next.Len += e.Len
				continue
			}
			if next.Len > 0 && !yield(next, nil) {
				return
			}
			next = e
		}
		if next.Len > 0 {
			yield(next, nil)
		}
	}
}

func mapText(w io.Writer, stretches iter.Seq2[disk.Extent, error]) error {
	if _, err := fmt.Fprintf(w, "%-18s %-18s %s\n", "OFFSET", "LENGTH", "IN FILE AT"); err != nil {
		return err
	}
	for e, err := range stretches {
		if err != nil {
			return err
		}
		if e.Kind != disk.Data {
			continue
		}
		at := "-"
		if e.At != disk.Nowhere {
			at = fmt.Sprintf("%#x", e.At)
		}
		if _, err := fmt.Fprintf(w, "%-#18x %-#18x %s\n", e.Off, e.Len, at); err != nil {
			return err
		}
	}
	return nil
}

// mapJSON writes a list with a stretch a line, however long it gets.
func mapJSON(w io.Writer, stretches iter.Seq2[disk.Extent, error]) error {
	before := "["
	for e, err := range stretches {
		if err != nil {
			return err
		}
		m := mapped{Start: e.Off, Length: e.Len, Present: e.Kind != disk.Hole, Zero: e.Kind != disk.Data, Data: e.Kind == disk.Data}
		if m.Data && e.At != disk.Nowhere {
			m.Offset = &e.At
		}
		b, err := json.Marshal(m)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%s%s", before, b); err != nil {
			return err
		}
		before = ",\n"
	}
	if before == "[" {
		_, err := fmt.Fprintln(w, "[]")
		return err
	}
	_, err := fmt.Fprintln(w, "]")
	return err
}
