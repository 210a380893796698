package images

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"strings"

	"kuva"
	"kuva/disk"
	"kuva/disk/formats"
)

// Views are what an image can be had as.
type Views struct {
	Image *kuva.Image
	List  []ViewInfo
	// Why says why there is nothing but what was sent; nil where there is.
	Why *kuva.Error
}

// ViewInfo is one file that an image can be had as.
type ViewInfo struct {
	Format     string
	Compressed bool          // asked for with ViewOptions.Compress
	Settings   disk.Settings // and these
	// AsSent marks the bytes that were sent, which the plain download gives.
	AsSent bool
	// Size is the file's length in bytes. Exact tells that it is not an
	// estimate; compressed files are only estimated.
	Size  int64
	Exact bool
	// Ranges tells that parts of the file can be asked for and that its length
	// is announced.
	Ranges bool
	Media  string // media type
	// Use is what the view is recommended for, "" where another one is:
	// UseRun or UseCarry.
	Use string
}

// What views are recommended for.
const (
	UseRun   = "run"   // start machines from it: nothing is in between
	UseCarry = "carry" // take it elsewhere: small, and read by most programs
)

// offered are the views that are listed, raw and qcow2 first. Others come with
// settings of one's own.
var offered = []ViewInfo{
	{Format: "raw", Use: UseRun},
	{Format: "qcow2", Use: UseCarry},
	{Format: "qcow2", Compressed: true},
	{Format: "vmdk"},
	{Format: "vmdk", Compressed: true},
	{Format: "vhd"},
	{Format: "vhd", Settings: disk.Settings{"subformat": "fixed"}},
	{Format: "vhdx"},
	{Format: "vhdx", Settings: disk.Settings{"subformat": "fixed"}},
	{Format: "vdi"},
	{Format: "ova", Compressed: true},
	{Format: "raw.gz", Compressed: true},
	{Format: "raw.zst", Compressed: true},
}

var media = map[string]string{
	"raw": "application/octet-stream", "qcow2": "application/x-qemu-disk", "vmdk": "application/x-vmdk-disk", "vhd": "application/x-vhd-disk",
	"vhdx": "application/x-vhdx-disk", "vdi": "application/x-vdi-disk", "ova": "application/x-virtualbox-ova", "raw.gz": "application/gzip", "raw.zst": "application/zstd",
	"iso": "application/x-iso9660-image",
}

func mediaOf(format string) string { return cmp.Or(media[format], "application/octet-stream") }

// ViewFormats are the names of formats that there are views of.
func ViewFormats() []string {
	var list []string
	for _, v := range offered {
		if !slices.Contains(list, v.Format) {
			list = append(list, v.Format)
		}
	}
	return list
}

// packers are the formats that have compressed files.
func packers() []string {
	var list []string
	for _, v := range offered {
		if v.Compressed {
			list = append(list, v.Format)
		}
	}
	return list
}

// Views lists what an image can be had as, for whoever may download it; an
// empty list where it has no content yet. Formats that cannot hold the disk
// are left out.
func (s *Service) Views(ctx context.Context, p kuva.Principal, id string) (*Views, error) {
	c, err := s.Download(ctx, p, id)
	if err != nil {
		return nil, err
	}
	v := &Views{Image: c.Image}
	if !c.HasData() {
		return v, nil
	}
	sent := ViewInfo{Format: c.Image.DiskFormat, AsSent: true, Size: c.Size(), Exact: true, Ranges: true, Media: mediaOf(c.Image.DiskFormat)}
	d, err := c.disk(ctx)
	if err == nil {
		d, err = c.surveys.of(ctx, c.object.Ref(), d)
	}
	if err != nil {
		var why *kuva.Error
		if errors.As(coded(ctx, err), &why) && why.Code == kuva.CodeConflict {
			v.List, v.Why = []ViewInfo{sent}, why
			return v, nil
		}
		return nil, coded(ctx, err)
	}
	for _, info := range offered {
		f := formats.ByName(info.Format)
		if f == nil {
			continue
		}
		if info.Format == c.Image.DiskFormat && !info.Compressed && info.Settings == nil {
			sent.Use = info.Use
			v.List = append(v.List, sent)
			continue
		}
		info.Media = mediaOf(info.Format)
		if info.Compressed {
			info.Size = c.object.Stored()
		} else {
			view, err := f.Layout(ctx, d, info.Settings)
			var refused *disk.Refused
			if errors.As(err, &refused) {
				continue
			}
			if err != nil {
				return nil, coded(ctx, err)
			}
			info.Size, info.Exact, info.Ranges = view.Size(), true, true
		}
		v.List = append(v.List, info)
	}
	if !slices.ContainsFunc(v.List, func(i ViewInfo) bool { return i.AsSent }) { // iso
		v.List = slices.Insert(v.List, 0, sent)
	}
	return v, nil
}

// disk opens the content as the disk in it, by its recorded format. CodeConflict
// with the reason where it is not opened.
func (c *Content) disk(ctx context.Context) (disk.Disk, error) {
	if !opens(c.Image.DiskFormat, c.Image.ContainerFormat) {
		return nil, kuva.E(kuva.CodeConflict, "image.view_none", "container", c.Image.ContainerFormat, "disk", c.Image.DiskFormat)
	}
	budget := disk.NewBudget(disk.Limits{Memory: checkMemory, Read: checkRead, Steps: checkSteps})
	d, err := openAs(ctx, c.object, c.object.Cached(ctx, viewChunks), c.Image.DiskFormat, budget)
	return d, contentError(kuva.CodeConflict, err)
}

// viewChunks is how many opened chunks a view keeps: those at the edges of the
// pieces under way, and some of tables. They are 4 MiB at most.
const viewChunks = 16

// ViewOptions are choices for a view.
type ViewOptions struct {
	Compress bool
	Settings disk.Settings // by the names that qemu-img's -o takes
}

// formatFor finds the format of a view and refuses what it does not have.
func formatFor(name string, o *ViewOptions) (*disk.Format, error) {
	i := slices.IndexFunc(ViewFormats(), func(have string) bool { f := formats.ByName(have); return f != nil && f.Is(name) })
	if i < 0 {
		return nil, kuva.E(kuva.CodeInvalid, "image.view_unknown", "format", short(name), "list", strings.Join(ViewFormats(), ", "))
	}
	f := formats.ByName(ViewFormats()[i])
	switch {
	case f.Layout == nil:
		o.Compress = true // there are no others
	case o.Compress && f.Stream == nil:
		return nil, kuva.E(kuva.CodeInvalid, "image.view_compress", "format", f.Name, "list", strings.Join(packers(), ", "))
	}
	return f, nil
}

// short keeps a text of a caller's out of the sentence where it is long.
func short(text string) string {
	const most = 32
	if !plainText(text) || strings.ContainsFunc(text, isControl) {
		return "?"
	}
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}

// sizeKeys are the settings by which a layout's memory grows.
var sizeKeys = []string{"cluster_size", "block_size"}

// viewBlocks is how many blocks a layout may have where the caller chose their
// size: a bit for each of them is 32 MiB.
const viewBlocks = 1 << 28

// checkSettings bounds what a layout costs.
func checkSettings(f *disk.Format, o ViewOptions, size int64) error {
	for _, key := range sizeKeys {
		n, err := o.Settings.Bytes(f.Name, key, math.MaxInt64)
		if err != nil {
			return err
		}
		if n < 1 || size/n > viewBlocks {
			return disk.Refuse(f.Name, disk.ReasonSetting, "%s=%s is too small for a disk of %d bytes", key, o.Settings[key], size)
		}
	}
	return nil
}
