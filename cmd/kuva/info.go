package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"kuva/disk"
	"kuva/disk/formats"
)

// described is what kuva info says as JSON: the names are those of qemu-img
// info where it has the same.
type described struct {
	Filename    string   `json:"filename"`
	Format      string   `json:"format"`
	VirtualSize *int64   `json:"virtual-size,omitempty"` // bytes of the disk; missing where it cannot be opened
	FileSize    int64    `json:"file-size"`
	ActualSize  *int64   `json:"actual-size,omitempty"` // bytes that the file takes
	Data        *int64   `json:"data-size,omitempty"`   // bytes of the disk that are stored
	ClusterSize *int64   `json:"cluster-size,omitempty"`
	Backing     string   `json:"backing-filename,omitempty"`
	Layers      []string `json:"layers"`     // what the format is wrapped in, the outermost first
	Disks       []member `json:"disks"`      // of an archive, with the number for --disk
	Partitions  []string `json:"partitions"` // kinds of partition tables on the disk
	Snapshots   []string `json:"snapshots"`
	Details     []detail `json:"details"`
	Refused     *refusal `json:"refused,omitempty"` // why it cannot be converted as it stands
	Warnings    []string `json:"warnings"`
}

// member is a disk in an archive.
type member struct {
	Number int    `json:"number"`
	Name   string `json:"name"`
	Format string `json:"format"`
	Size   int64  `json:"size"` // of its file in bytes
	Boot   bool   `json:"boot"` // the machine boots from it, as the archive says
	Chosen bool   `json:"chosen"`
}

type detail struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

type refusal struct {
	Reason string `json:"reason"` // a word that stays the same
	Detail string `json:"detail"`
}

func newInfo() *cobra.Command {
	var h handed
	var cloud cloud
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "info FILE",
		Short: "Tell what a disk's file is",
		Long: `Tell the format of FILE by its bytes, how large the disk in it is, what it names
and what is odd about it. Only tables are read, of a file that is compressed as a whole
everything; and no file but this one is opened, whatever it names.

A file that cannot be converted as it stands is described all the same, with the
reason. Exit code 1: the file is damaged, or of several formats at once.`,
		Example: `  kuva info web.qcow2
  kuva info kuva:debian-12 --json`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			src, err := openFile(cmd, args[0], &cloud)
			if err != nil {
				return judged(err)
			}
			defer src.Close()
			if err := src.hand(cmd, h); err != nil {
				return err
			}
			end := src.showUnpacking(cmd, false)
			defer end()
			info, err := src.describe(cmd.Context())
			end()
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), info)
			}
			return info.print(cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	h.flags(f)
	cloud.flags(f)
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// describe opens the disk and tells of it. A refusal is a part of that.
func (s *input) describe(ctx context.Context) (described, error) {
	d := described{
		Filename: s.name, FileSize: s.size, Layers: []string{}, Disks: []member{}, Partitions: []string{}, Snapshots: []string{},
		Details: []detail{}, Warnings: []string{},
	}
	if s.onDisk >= 0 {
		d.ActualSize = &s.onDisk
	}
	err := s.open(ctx)
	var refused *disk.Refused
	if errors.As(err, &refused) && refused.Reason != disk.ReasonAmbiguous {
		d.Refused = &refusal{Reason: string(refused.Reason), Detail: refused.Detail}
		if d.Format, err = s.outermost(ctx); err != nil {
			return d, err
		}
		if refused.Reason == disk.ReasonBacking && s.below == nil {
			// Its own tables say the rest.
			s.below = nothing(ctx)
			if err := s.open(ctx); err != nil && !errors.As(err, &refused) {
				return d, err
			}
		}
	}
	if err != nil {
		return d, err
	}
	d.Layers = append(d.Layers, s.layers...)
	for _, c := range s.choices {
		d.Disks = append(d.Disks, member{c.Number, c.Name, c.Format, c.Size, c.Boot, c.Number == s.chosen})
	}
	if s.disk == nil {
		return d, nil
	}
	d.Format = s.format
	size := s.disk.Size()
	d.VirtualSize = &size
	d.details(s.disk)
	if d.Refused != nil {
		return d, nil // what lies on the disk is not known
	}
	data, err := disk.Allocated(ctx, s.disk)
	if err != nil {
		return d, s.explain(err)
	}
	d.Data = &data
	return d, d.inside(ctx, s)
}

// outermost is the format of the file itself.
func (s *input) outermost(ctx context.Context) (string, error) {
	if s.format != "" {
		return s.format, nil
	}
	v, err := formats.Detect(ctx, s.r, s.size)
	return v.Name, s.explain(err)
}

// details takes what the format tells.
func (d *described) details(from disk.Disk) {
	for from != nil {
		if t, ok := from.(disk.Detailer); ok {
			for _, x := range t.Details() {
				d.detail(x)
			}
			return
		}
		u, ok := from.(interface{ Unwrap() disk.Disk })
		if !ok {
			return
		}
		from = u.Unwrap()
	}
}

func (d *described) detail(x disk.Detail) {
	switch x.Key {
	case "backing_file":
		d.Backing = x.Value
	case "snapshot":
		d.Snapshots = append(d.Snapshots, x.Value)
		if len(d.Snapshots) == 1 {
			d.Warnings = append(d.Warnings, "snapshots inside the file are not converted")
		}
	case "cluster_size", "block_size", "grain_size":
		if n, err := strconv.ParseInt(x.Value, 10, 64); err == nil {
			d.ClusterSize = &n
		}
	case "dirty":
		if x.Value == "true" {
			d.Warnings = append(d.Warnings, "the file was not closed properly: its counts of use may be wrong, the data are not concerned")
		}
	case "corrupt":
		if x.Value == "true" {
			d.Warnings = append(d.Warnings, "a program has marked the file as damaged: see kuva check")
		}
	default:
		d.Details = append(d.Details, detail{x.Key, x.Value})
	}
}

// inside looks at the first and last bytes of the disk as a guest sees it.
func (d *described) inside(ctx context.Context, s *input) error {
	v, err := formats.Detect(ctx, s.disk, s.disk.Size())
	var refused *disk.Refused
	switch {
	case errors.As(err, &refused):
		d.Warnings = append(d.Warnings, "the disk looks like a file itself: "+refused.Detail+"; always name its format to other programs")
	case err != nil:
		return s.explain(err)
	default:
		d.Partitions = append(d.Partitions, v.Partitions...)
		if v.Name != "raw" && d.Format != v.Name {
			d.Warnings = append(d.Warnings, "the disk looks like a file of format "+v.Name+" itself: always name its format to other programs")
		}
	}
	return nil
}

func (d *described) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, value string) { fmt.Fprintf(t, "%s\t%s\n", name, clean(value)) }
	bytes := func(n int64) string { return fmt.Sprintf("%d (%s)", n, size(n)) }
	line("file", d.Filename)
	line("format", d.Format)
	if len(d.Layers) > 0 {
		line("wrapped in", strings.Join(d.Layers, ", "))
	}
	for _, x := range d.Disks {
		about := fmt.Sprintf("%q, %s, %s", x.Name, x.Format, bytes(x.Size))
		if x.Boot {
			about += ", boots"
		}
		if x.Chosen {
			about += ", this one"
		}
		line(fmt.Sprintf("disk %d", x.Number), about)
	}
	if d.VirtualSize != nil {
		line("virtual size", bytes(*d.VirtualSize))
	}
	line("file size", bytes(d.FileSize))
	if d.ActualSize != nil {
		line("on disk", bytes(*d.ActualSize))
	}
	if d.Data != nil {
		line("with data", bytes(*d.Data))
	}
	if d.ClusterSize != nil {
		line("cluster size", bytes(*d.ClusterSize))
	}
	for _, x := range d.Details {
		line(strings.ReplaceAll(x.Key, "_", " "), x.Value)
	}
	if d.Backing != "" {
		line("backing file", strconv.Quote(d.Backing)+" (not opened)")
	}
	for _, s := range d.Snapshots {
		line("snapshot", strconv.Quote(s))
	}
	if len(d.Partitions) > 0 {
		line("partitions", strings.Join(d.Partitions, ", "))
	}
	if d.Refused != nil {
		line("refused", d.Refused.Detail+" ("+d.Refused.Reason+")")
	}
	for _, s := range d.Warnings {
		line("warning", s)
	}
	return t.Flush()
}
