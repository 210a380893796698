package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"kuva/disk"
	"kuva/disk/formats"
	"kuva/disk/raw"
	"kuva/disk/scan"
)

// converted is what kuva convert says of its work, as JSON.
type converted struct {
	Source       string  `json:"source"`
	SourceFormat string  `json:"source-format"`
	Target       string  `json:"target"`
	TargetFormat string  `json:"target-format"`
	VirtualSize  int64   `json:"virtual-size"` // bytes of the disk that was read
	FileSize     int64   `json:"file-size"`    // bytes of the file that was written, -1 for a pipe
	Seconds      float64 `json:"seconds"`
}

func newConvert() *cobra.Command {
	var h handed
	var cloud cloud
	var format string
	var options []string
	var compress, asJSON bool
	cmd := &cobra.Command{
		Use:   "convert SRC DST",
		Short: "Write a disk in another format",
		Long: `Read the disk in SRC, whatever its format, and write it to DST in the format that
-O names, or the ending of DST: raw, qcow2, vmdk, vhd (vpc), vhdx, vdi, raw.gz, raw.zst
or ova. What is zero is left out.

SRC is a file, a disk of this machine, "-" for standard input, or "kuva:NAME" for
an image of the service, by its name or id, of which no more is fetched than the
disk needs. From a pipe all bytes are kept in TMPDIR first.

DST is replaced at the end and in one step: until then the new file is called
DST.SOMETHING.part, and whatever goes wrong, the old one stays as it was. A disk of
this machine is overwritten in place. "-" is standard output, for every format.

No file that SRC names (backing file, extent) is opened by itself. Hand it over with
--backing or --extent, if you know that it belongs to SRC.`,
		Example: `  kuva convert web.vmdk web.qcow2
  kuva convert web.raw web.qcow2 -c -o compression_type=zstd
  kuva convert kuva:debian-12 debian.vhd -O vpc -o subformat=fixed
  kuva convert flat.vmdk flat.raw --extent flat-flat.vmdk
  xz -dc disk.raw.xz | kuva convert - - -f raw -O vmdk -c | ssh host 'cat >disk.vmdk'`,
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			began := time.Now()
			w, err := want(format, args[1], options, compress)
			if err != nil {
				return err
			}
			src, err := openDisk(cmd, args[0], h, &cloud)
			if err != nil {
				return judged(err)
			}
			defer src.Close()
			out, err := newOutput(cmd, args[1], src.file)
			if err != nil {
				return err
			}
			defer out.drop()
			p := newProgress(cmd, h.quiet, "convert", src.disk.Size())
			err = convert(cmd.Context(), out, src.disk, src.format, w, p)
			p.end()
			if err != nil {
				return failedOn(src, out, err)
			}
			bytes, err := out.finish()
			if err != nil {
				return err
			}
			if asJSON && args[1] != "-" {
				return writeJSON(cmd.OutOrStdout(), converted{
					Source: args[0], SourceFormat: src.format, Target: args[1], TargetFormat: w.format.Name,
					VirtualSize: src.disk.Size(), FileSize: bytes, Seconds: time.Since(began).Seconds(),
				})
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVarP(&format, "output-format", "O", "", "`FORMAT` to write (default: by the ending of DST)")
	f.StringArrayVarP(&options, "options", "o", nil, "`KEY=VALUE` for the format, several with commas; one that does not exist lists them")
	f.BoolVarP(&compress, "compress", "c", false, "write a compressed file (qcow2, vmdk)")
	h.flags(f)
	cloud.flags(f)
	f.BoolVarP(&h.quiet, "quiet", "q", false, "no progress")
	f.BoolVar(&asJSON, "json", false, "say as JSON what was done")
	return cmd
}

// failedOn says whose fault an error is: what is wrong in a file concerns the
// source, else the machine or the target.
func failedOn(src *input, out *output, err error) error {
	var refused *disk.Refused
	var malformed *disk.Malformed
	switch {
	case errors.As(err, &refused) && refused.Reason == disk.ReasonSetting:
		return usage(err)
	case errors.As(err, &malformed):
		return src.explain(err)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("stopped: %s is as it was", out.name)
	}
	return fmt.Errorf("%s: %w", out.name, err)
}

// scanBlock is the unit in which zeros are looked for: no format has smaller
// blocks unless it is told.
const scanBlock = 64 << 10

// convert writes a disk, which was of format from, as a file.
func convert(ctx context.Context, out *output, d disk.Disk, from string, w wanted, p *progress) error {
	packed := w.compress || w.format.Layout == nil || w.settings["subformat"] == "streamOptimized"
	if !packed && w.format != raw.Format {
		// Where the file's extents do not tell, zeros are found by reading. A
		// raw disk inside of something lies nowhere and is looked into too.
		cluster, err := w.settings.Bytes(w.format.Name, "cluster_size", scanBlock)
		if err != nil {
			return err
		}
		o := scan.Options{Block: max(4<<10, min(scanBlock, cluster)), Packed: from == raw.Format.Name}
		if o.Block&(o.Block-1) != 0 {
			o.Block = 0 // the format is going to refuse it
		}
		if d, err = scan.Zeros(ctx, d, o); err != nil {
			return err
		}
	}
	copying := disk.CopyOptions{Full: out.disk, Progress: p.at}
	if packed {
		total, err := disk.Allocated(ctx, d)
		if err != nil {
			return err
		}
		d = &counted{Disk: d, total: total, at: p.at}
	}
	if out.pipe == nil {
		return formats.Write(ctx, out.target(), d, w.format, formats.WriteOptions{Settings: w.settings, Compress: packed, Copy: copying})
	}
	if packed {
		s, err := w.format.Stream(ctx, d, w.settings)
		if err != nil {
			return err
		}
		_, err = s.WriteTo(ctx, out.pipe)
		return err
	}
	view, err := w.format.Layout(ctx, d, w.settings)
	if err != nil {
		return err
	}
	return copyPipe(ctx, out.pipe, view, p)
}

// copyPipe writes a file from front to back, zeros too.
func copyPipe(ctx context.Context, w io.Writer, view disk.View, p *progress) error {
	buf := make([]byte, 1<<20)
	for off := int64(0); off < view.Size(); {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := buf[:min(int64(len(buf)), view.Size()-off)]
		if err := disk.ReadFull(view, b, off); err != nil {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		off += int64(len(b))
		p.at(off, view.Size())
	}
	return nil
}

// counted tells how much of a disk was read, for work that reads it once.
type counted struct {
	disk.Disk
	total int64
	done  atomic.Int64
	at    func(done, total int64)
}

// ReadAt implements disk.Disk.
func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.Disk.ReadAt(p, off)
	c.at(min(c.done.Add(int64(n)), c.total), c.total)
	return n, err
}
