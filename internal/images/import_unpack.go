package images

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"hash"
	"io"
	"slices"

	"kuva"
	"kuva/disk"
	"kuva/disk/formats"
	"kuva/disk/source"
	"kuva/disk/wrap"
	"kuva/internal/catalog"
	"kuva/internal/depot"
)

// containerCompressed is what clients call an image whose file is compressed
// as a whole.
const containerCompressed = "compressed"

// unpack takes off what is imported what the site, or the caller, wants off: one
// layer of gzip, xz, bzip2 or zstd, and one archive, tar (an OVA too) or zip, of
// which the disk becomes the content. Other content stays as it is. An image
// whose container was compressed is bare from then on, as with the reference's
// plugin.
//
//	stream ─ gzip … ─┬────────────────────────────────────────▶ sink
//	                 └─ archive: kept aside ─▶ the disk in it ─▶ sink
//
// The digests that were announced are those of what was sent, before anything
// is taken off.
func (s *Service) unpack(ctx context.Context, f *filling, pl *plan, content io.Reader, img *catalog.Image) (out io.Reader, end func(), _ *catalog.Image, err error) {
	u := &unpacking{s: s, f: f, pl: pl, img: img}
	if (!s.cfg.Import.Unpack && !pl.Unpack) || f.src.Origin == kuva.OriginCopied {
		out, err = u.told(ctx, content)
		return out, u.end, u.img, err
	}
	if u.quota, err = s.quotaOf(ctx, img.Owner); err != nil {
		return nil, nil, nil, err
	}
	if out, err = u.open(ctx, content); err == nil {
		out, err = u.told(ctx, out)
	}
	if err != nil {
		u.end()
		return nil, nil, nil, packError(err)
	}
	return out, u.end, u.img, nil
}

// unpacking is content on its way out of what it is packed in.
type unpacking struct {
	s     *Service
	f     *filling
	pl    *plan
	img   *catalog.Image
	quota kuva.Quota

	closers []func()
}

func (u *unpacking) end() {
	for _, f := range slices.Backward(u.closers) {
		f()
	}
}

// open takes the layers off.
func (u *unpacking) open(ctx context.Context, content io.Reader) (io.Reader, error) {
	b := bufio.NewReaderSize(content, 64<<10)
	name, err := packing(b)
	if err != nil {
		return nil, err
	}
	isArchive := name == "tar" || name == "zip"
	if name == "" || isArchive && !u.archives() {
		return b, nil
	}
	sent := newSumming(b, u.f.src.Digests)
	u.f.src.Digests = nil
	if isArchive {
		return u.archive(ctx, name, &compared{sent, sent}, u.f.file)
	}
	r, err := wrap.NewReader(ctx, name, sent, wrap.Limits{Output: unlimited(u.quota.ImageSize)})
	if err != nil {
		return nil, err
	}
	u.closers = append(u.closers, func() { _ = r.Close() })
	u.f.src.Size = -1
	plain := bufio.NewReaderSize(&compared{r, sent}, 64<<10)
	if name, err = packing(plain); err != nil {
		return nil, err
	}
	if (name == "tar" || name == "zip") && u.archives() {
		return u.archive(ctx, name, plain, nil)
	}
	return coding{plain}, u.bare(ctx)
}

// archives reports whether an archive is only what the disk came in. Otherwise
// it is the image: an OVA, or what docker has.
func (u *unpacking) archives() bool {
	return u.img.ContainerFormat == containerBare || u.img.ContainerFormat == containerCompressed || u.img.ContainerFormat == ""
}

// archive finds the disk in an archive. What comes as a stream is kept aside
// first, since the list of a zip is at its end, and that of a tar everywhere.
func (u *unpacking) archive(ctx context.Context, format string, r io.Reader, file *uploadFile) (io.Reader, error) {
	var at io.ReaderAt
	var size int64
	if file != nil {
		if c, ok := r.(*compared); ok && len(c.sent.digests) > 0 { // one pass more
			if _, err := io.Copy(io.Discard, r); err != nil {
				return nil, err
			}
		}
		at, size = file, file.size
	} else {
		o, err := u.aside(ctx, coding{r})
		if err != nil {
			return nil, err
		}
		at, size = o.Cached(ctx, checkChunks), o.Size()
	}
	budget := disk.NewBudget(disk.Limits{Memory: checkMemory, Read: checkRead, Steps: checkSteps})
	_, member, length, err := source.Select(ctx, format, at, size, source.Options{
		OpenOptions: disk.OpenOptions{Budget: budget}, Choice: u.pl.Choice, Limits: wrap.Limits{Output: unlimited(u.quota.ImageSize)},
	})
	if err != nil {
		return nil, err
	}
	u.f.run.Say("store content", "bytes")
	u.f.src.Size = length
	b := bufio.NewReaderSize(&progress{coding{member}, u.f.run, 0, length}, EncryptedHead)
	head, err := b.Peek(EncryptedHead)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if err := RefuseEncrypted(head); err != nil {
		return nil, err
	}
	return b, u.bare(ctx)
}

// aside keeps an archive in the depot like what is staged for the image: pinned,
// charged and dropped with the import.
func (u *unpacking) aside(ctx context.Context, r io.Reader) (o *depot.Object, err error) {
	s, f := u.s, u.f
	f.src.Size = -1
	f.run.Say("unpack", "bytes")
	var ref int64
	_, err = s.store(ctx, intake{
		project: realmFor(u.img), content: r, size: -1, most: u.quota.ImageSize,
		begin: func(lease int64) error { return f.begin(ctx, lease) },
		room:  func(need int64) (int64, error) { return f.room(ctx, need) },
		still: func() error { return f.still(ctx) },
		commit: func(tx *catalog.Tx, c committed) error {
			was, err := f.claimed(ctx, tx, catalog.LockImage)
			if err != nil {
				return err
			}
			now := was.Copy()
			now.Lease = 0
			if err := catalog.UpdateImage(ctx, tx, was, now); err != nil {
				return err
			}
			if err := s.dropStaged(ctx, tx, f.id); err != nil {
				return err
			}
			ref = c.Ref
			return s.keepStaged(ctx, tx, f.id, c.Ref, c.Size)
		},
	})
	if err != nil {
		return nil, err
	}
	f.lease = 0
	return s.depot.OpenObject(ctx, ref)
}

// told gives an image that said nothing of its formats those that its content
// tells. What is read of it is read again.
func (u *unpacking) told(ctx context.Context, content io.Reader) (io.Reader, error) {
	if u.img.DiskFormat != "" && u.img.ContainerFormat != "" {
		return content, nil
	}
	b := bufio.NewReaderSize(content, formatHead)
	head, err := b.Peek(formatHead)
	if err != nil && err != io.EOF {
		return nil, err
	}
	format := u.img.DiskFormat
	if format == "" {
		found, err := formats.Detect(ctx, bytes.NewReader(head), int64(len(head)))
		if err != nil {
			return nil, contentError(kuva.CodeUnsupported, err)
		}
		format = found.Name
	}
	u.img, err = u.s.setFormats(ctx, u.f, format, firstText(u.img.ContainerFormat, containerBare))
	return b, err
}

// formatHead is how much of a stream tells its format.
const formatHead = 64 << 10

// bare: what was packed is the disk's file from now on.
func (u *unpacking) bare(ctx context.Context) (err error) {
	if u.img.ContainerFormat == containerCompressed {
		u.img, err = u.s.makeBare(ctx, u.f)
	}
	return err
}

// packing tells what b is packed in, without reading it.
func packing(b *bufio.Reader) (string, error) {
	head, err := b.Peek(source.PackingHead)
	if err != nil && err != io.EOF {
		return "", err
	}
	return source.Packing(head), nil
}

// unlimited is more than an image may have by what decoders are ahead, so that
// what is too large is told by the sink; below 0 there is no limit.
func unlimited(most int64) int64 {
	if most < 0 || most > 1<<62 {
		return -1
	}
	return most + 1<<20
}

func (s *Service) makeBare(ctx context.Context, f *filling) (img *catalog.Image, err error) {
	err = s.update(ctx, func(tx *catalog.Tx) error {
		was, err := f.claimed(ctx, tx, catalog.LockImage)
		if err != nil {
			return err
		}
		img = was.Copy()
		img.ContainerFormat, img.UpdatedAt = containerBare, s.now()
		img.Version++
		return catalog.UpdateImage(ctx, tx, was, img)
	})
	return img, err
}

// packError gives what is wrong with a stream or an archive its code.
func packError(err error) error {
	var refused *disk.Refused
	var malformed *disk.Malformed
	switch {
	case errors.As(err, &refused) && refused.Reason == disk.ReasonLimit:
		return kuva.E(kuva.CodeUnsupported, "image.pack_limit", "detail", detailOf(refused.Format, refused.Detail)).Because(err)
	case errors.As(err, &refused), errors.As(err, &malformed):
		return contentError(kuva.CodeUnsupported, err)
	}
	return err
}

// coding is packError for what is found while reading.
type coding struct{ io.Reader }

func (c coding) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	return n, packError(err)
}

// summing hashes what passes.
type summing struct {
	r       io.Reader
	digests []Digest
	sums    []hash.Hash
}

func newSumming(r io.Reader, digests []Digest) *summing {
	s := &summing{r: r, digests: digests}
	for _, d := range digests {
		s.sums = append(s.sums, newHash(d.Algo))
	}
	return s
}

func (s *summing) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	for _, h := range s.sums {
		h.Write(p[:n])
	}
	return n, err
}

// compared ends in an error where what was sent is not what was announced, so
// that nothing made of it becomes an image.
type compared struct {
	r    io.Reader
	sent *summing
}

func (c *compared) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if err != io.EOF {
		return n, err
	}
	if _, err := io.Copy(io.Discard, c.sent); err != nil { // what a decoder has no use for
		return n, err
	}
	for i, d := range c.sent.digests {
		if !bytes.Equal(c.sent.sums[i].Sum(nil), d.Sum) {
			return n, kuva.E(kuva.CodeDigest, "image.digest_mismatch", "algo", d.Algo)
		}
	}
	return n, io.EOF
}
