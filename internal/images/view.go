package images

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"kuva"
	"kuva/disk"
	"kuva/disk/formats"
	"kuva/disk/qcow2"
	"kuva/disk/raw"
	"kuva/disk/vdi"
	"kuva/disk/vhd"
	"kuva/disk/vhdx"
	"kuva/disk/vmdk"
)

// View is an image as a file of some format, opened for reading. It holds
// nothing that needs closing but the readers that it gave.
type View struct {
	Image  *kuva.Image
	Format string
	Media  string // media type
	// Name is what the file may be called: the image's id and the ending of the
	// format.
	Name string
	// Size in bytes, below 0 where it is not known before the end: then there
	// are no ranges, and WriteTo instead of Reader.
	Size int64
	// ETag names the bytes, quoted as HTTP wants it: a strong one for files
	// with a Size, which are the same for ever, a weak one for compressed ones,
	// whose bytes another release may pack in another way.
	ETag string

	content *Content
	view    disk.View // nil for what was sent, and for streams
	stream  disk.Stream
}

// AsSent reports whether the bytes are those that were sent.
func (v *View) AsSent() bool { return v.view == nil && v.stream == nil }

// HasData reports whether the image has content.
func (v *View) HasData() bool { return v.content.HasData() }

// versions are the versions of layouts. Where one changes the bytes do, and so
// must the ETag.
var versions = map[string]int{
	"raw": raw.LayoutVersion, "qcow2": qcow2.LayoutVersion, "vmdk": vmdk.LayoutVersion, "vhd": vhd.LayoutVersion, "vhdx": vhdx.LayoutVersion, "vdi": vdi.LayoutVersion,
	"ova": 1, "raw.gz": 1, "raw.zst": 1,
}

// OpenView opens an image as a file of a format, for whoever may download it:
// computed while it is read, nothing is stored. The format that it was sent in,
// without options, gives what was sent, and so does the format "". CodeInvalid
// for a format or setting that there is not, CodeConflict with the reason where
// the content is not opened as a disk or the format cannot hold it.
func (s *Service) OpenView(ctx context.Context, p kuva.Principal, id, format string, o ViewOptions) (*View, error) {
	c, err := s.Download(ctx, p, id)
	if err != nil {
		return nil, err
	}
	return c.as(ctx, format, o)
}

// as is the content as a file of a format.
func (c *Content) as(ctx context.Context, format string, o ViewOptions) (_ *View, err error) {
	img := c.Image
	v := &View{Image: img, Format: img.DiskFormat, Media: mediaOf(img.DiskFormat), Name: img.ID, Size: c.Size(), content: c}
	if !c.HasData() {
		return v, nil
	}
	f := formats.ByName(format)
	if sent := format == "" || format == img.DiskFormat || f != nil && f.Name == img.DiskFormat; sent && !o.Compress && len(o.Settings) == 0 {
		if img.DiskFormat != "" {
			v.Name += "." + img.DiskFormat
		}
		v.ETag = etag(img, c.key(), "", o)
		return v, nil
	}
	if f, err = formatFor(format, &o); err != nil {
		return nil, err
	}
	d, err := c.disk(ctx)
	if err != nil {
		return nil, coded(ctx, err)
	}
	v.Format, v.Media, v.Name = f.Name, mediaOf(f.Name), img.ID+"."+f.Name
	if err := v.lay(ctx, f, d, o); err != nil {
		return nil, coded(ctx, viewError(err))
	}
	return v, nil
}

// lay computes the file.
func (v *View) lay(ctx context.Context, f *disk.Format, d disk.Disk, o ViewOptions) error {
	if err := checkSettings(f, o, d.Size()); err != nil {
		return err
	}
	var err error
	if f.Name != raw.Format.Name { // which needs no map
		if d, err = v.content.surveys.of(ctx, v.content.object.Ref(), d); err != nil {
			return err
		}
	}
	settings := disk.Settings{}
	maps.Copy(settings, o.Settings)
	hasID := slices.ContainsFunc(f.Settings, func(s disk.Setting) bool { return s.Key == keyID })
	if _, given := settings[keyID]; given {
		return disk.Refuse(f.Name, disk.ReasonSetting, "there is no setting %q", keyID) // it follows from the image
	} else if hasID {
		settings[keyID] = fileID(v.Image.ID, f.Name)
	}
	if o.Compress {
		v.Size = -1
		v.stream, err = f.Stream(ctx, d, settings)
		v.ETag = "W/" + etag(v.Image, v.content.key(), f.Name, o)
		return err
	}
	if v.view, err = f.Layout(ctx, d, settings); err != nil {
		return err
	}
	v.Size, v.ETag = v.view.Size(), etag(v.Image, v.content.key(), f.Name, o)
	return nil
}

// keyID is the setting of the identifier that some formats keep in the file.
const keyID = "uuid"

// fileID is the identifier of an image's file of a format, the same for ever:
// programs refuse two files with one identifier, be it in two formats.
func fileID(image, format string) string {
	space, err := uuid.Parse(image)
	if err != nil {
		space = uuid.NewSHA1(uuid.NameSpaceOID, []byte(image))
	}
	return uuid.NewSHA1(space, []byte("kuva "+format)).String()
}

// etag names the bytes of a view: the content and all that they are computed
// by. format "" is what was sent.
func etag(img *kuva.Image, content, format string, o ViewOptions) string {
	h := sha256.New()
	put := func(text string) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(text)))
		h.Write(n[:])
		io.WriteString(h, text)
	}
	for _, text := range []string{content, strconv.FormatInt(img.Size, 10), format} {
		put(text)
	}
	if format != "" {
		for _, text := range []string{img.ID, img.DiskFormat, strconv.Itoa(versions[format]), strconv.FormatBool(o.Compress)} {
			put(text)
		}
		for _, key := range slices.Sorted(maps.Keys(o.Settings)) {
			put(key)
			put(o.Settings[key])
		}
	}
	return `"` + hex.EncodeToString(h.Sum(nil)[:16]) + `"`
}

// viewError gives the refusals of a layout their code.
func viewError(err error) error {
	var refused *disk.Refused
	if errors.As(err, &refused) {
		detail := detailOf(refused.Format, refused.Detail)
		switch refused.Reason {
		case disk.ReasonSetting:
			return kuva.E(kuva.CodeInvalid, "image.view_setting", "detail", detail).Because(err)
		case disk.ReasonTooLarge:
			return kuva.E(kuva.CodeConflict, "image.view_too_large", "detail", detail).Because(err)
		}
	}
	return contentError(kuva.CodeConflict, err)
}

// Reader reads n bytes from off, in order, every stored byte of them verified.
// Errors as of Content.Reader. Close it.
func (v *View) Reader(ctx context.Context, off, n int64) (io.ReadCloser, error) {
	if v.view == nil {
		return v.content.Reader(ctx, off, n)
	}
	if off < 0 || n < 0 || off > v.Size || n > v.Size-off {
		return nil, kuva.E(kuva.CodeRange, "image.range", "size", v.Size)
	}
	v.content.count()
	return newViewReader(ctx, v.view, off, n), nil
}

// WriteTo writes a file without Size to its end. It returns how many bytes it
// wrote.
func (v *View) WriteTo(ctx context.Context, w io.Writer) (int64, error) {
	if v.stream == nil {
		return 0, errors.New("this file has a length and is read")
	}
	v.content.count()
	n, err := v.stream.WriteTo(ctx, w)
	return n, coded(ctx, contentError(kuva.CodeDamaged, err))
}
