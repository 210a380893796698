package formats

import (
	"context"
	"io"

	"kuva/disk"
)

// WriteOptions are choices for Write. The zero value is good.
type WriteOptions struct {
	Settings disk.Settings
	Compress bool // write a compressed file
	Copy     disk.CopyOptions
}

// Write makes an empty file into one of a format that holds the disk, which
// is how files are converted: open, write. What the disk's extents say to be
// empty is not read. It works in parallel and needs some MiB for every worker
// beside the layout's tables. After an error the file is of no use.
//
// A format that has no compressed files refuses Compress with
// disk.ReasonSetting; a format that is only ever compressed does not need it.
func Write(ctx context.Context, dst disk.Target, d disk.Disk, f *disk.Format, o WriteOptions) error {
	switch {
	case o.Compress && f.Stream == nil:
		return disk.Refuse(f.Name, disk.ReasonSetting, "there are no compressed files of this format")
	case o.Compress || f.Layout == nil && f.Stream != nil:
		s, err := f.Stream(ctx, d, o.Settings)
		if err != nil {
			return err
		}
		_, err = s.WriteTo(ctx, target{dst, io.NewOffsetWriter(dst, 0)})
		return err
	case f.Layout == nil:
		return disk.Refuse(f.Name, disk.ReasonUnsupported, "this format is read, but not written")
	}
	view, err := f.Layout(ctx, d, o.Settings)
	if err != nil {
		return err
	}
	_, err = disk.Copy(ctx, dst, view, o.Copy)
	return err
}

// target is a Target that can be written from front to back as well.
type target struct {
	disk.Target
	w io.Writer
}

func (t target) Write(p []byte) (int, error) { return t.w.Write(p) }
