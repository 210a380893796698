package images

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"kuva"
	"kuva/chunk"
	"kuva/disk"
	"kuva/disk/formats"
	"kuva/internal/audit"
	"kuva/internal/catalog"
	"kuva/internal/depot"
	"kuva/internal/job"
)

// methodUpload brings what came in parts.
const methodUpload = "upload"

// UploadKept is how long an upload is shown after its end.
const UploadKept = 24 * time.Hour

// FinishUpload begins to make an image of an upload whose last part is there: in
// the caller's transaction its image goes from uploading to importing, and a job
// is enqueued. up was locked in tx and is open; its row is written. What the
// image's reservation holds stays held. CodeConflict where the image is not this
// upload's any more.
func (s *Service) FinishUpload(ctx context.Context, tx *catalog.Tx, p kuva.Principal, up *catalog.Upload) (j job.Job, err error) {
	if up.State != catalog.UploadOpen || up.Image == "" {
		return j, kuva.E(kuva.CodeConflict, "upload.not_open", "state", up.State)
	}
	was, err := catalog.LockImage(ctx, tx, up.Image)
	if err != nil {
		return j, err
	}
	newest, err := catalog.UploadOfImage(ctx, tx, up.Image)
	if err != nil {
		return j, err
	}
	switch {
	case was.Deleted() || newest.ID != up.ID:
		return j, errLost()
	case was.Status != kuva.StatusUploading:
		return j, kuva.E(kuva.CodeConflict, "image.import_state", "status", was.Status, "method", methodUpload, "want", kuva.StatusUploading)
	}
	if j, err = s.enqueueImport(ctx, tx, was, jobImport, plan{Method: methodUpload, Upload: up.ID, Principal: p}); err != nil {
		return j, err
	}
	now := was.Copy()
	now.Status, now.LastFailure = kuva.StatusImporting, nil
	if err := catalog.UpdateImage(ctx, tx, was, now); err != nil {
		return j, err
	}
	up.State, up.Job, up.Writer, up.UpdatedAt = catalog.UploadFinishing, j.ID, 0, s.now()
	if err := catalog.UpdateUpload(ctx, tx, up); err != nil {
		return j, err
	}
	return j, s.audit(ctx, tx, p, "image.import", was.ID, audit.OK, detail{"method": methodUpload, "job": j.ID, "upload": up.ID})
}

// openUpload looks at what came and says how it goes into the image: as a file,
// which content reads, or as a disk, which f pours.
func (s *Service) openUpload(ctx context.Context, f *filling, pl *plan, img *catalog.Image) (content io.ReadCloser, out *catalog.Image, err error) {
	var up *catalog.Upload
	err = s.view(ctx, func(tx *catalog.Tx) (err error) {
		up, err = catalog.GetUpload(ctx, tx, pl.Upload)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	file, err := s.openParts(ctx, up.ID)
	if err != nil {
		return nil, nil, err
	}
	f.run.Say("take what was uploaded", "bytes")
	f.src.Size, f.src.Origin, f.terms = file.size, kuva.OriginUploaded, up.Options.Terms
	for _, algo := range slices.Sorted(maps.Keys(up.Options.Digests)) {
		sum, err := hex.DecodeString(up.Options.Digests[algo])
		if err != nil {
			return nil, nil, err
		}
		f.src.Digests = append(f.src.Digests, Digest{Algo: algo, Sum: sum})
	}
	empty := io.NopCloser(bytes.NewReader(nil))
	if up.Options.Disk && !up.Options.Exact {
		if err := s.pourParts(f, up, file, img); err != nil {
			return nil, nil, err
		}
		return empty, img, nil
	}
	if !up.Options.Disk && !file.whole() {
		return nil, nil, errors.New("parts of upload " + up.ID + " leave gaps")
	}
	format, container := firstText(img.DiskFormat, up.Options.DiskFormat), firstText(img.ContainerFormat, up.Options.ContainerFormat, containerBare)
	if format == "" && container == containerBare {
		found, err := formats.Detect(ctx, file, file.size)
		if err != nil {
			return nil, nil, contentError(kuva.CodeUnsupported, err)
		}
		format = found.Name
	}
	if up.Options.Exact || !opens(format, container) {
		if img.DiskFormat == "" || img.ContainerFormat == "" {
			if img, err = s.setFormats(ctx, f, format, container); err != nil {
				return nil, nil, err
			}
		}
		return file.reader(), img, nil
	}
	return empty, img, s.pourFile(ctx, f, up, file, img, format)
}

func firstText(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// pourParts makes the parts, which are the disk's bytes, the content.
func (s *Service) pourParts(f *filling, up *catalog.Upload, file *uploadFile, img *catalog.Image) error {
	f.disk = &diskFill{native: nativeOf(up.Options.Native, img.DiskFormat), pour: file.join}
	return s.takes(f.shown(img))
}

// pourFile opens the file and makes the disk in it the content.
func (s *Service) pourFile(ctx context.Context, f *filling, up *catalog.Upload, file *uploadFile, img *catalog.Image, format string) error {
	if len(f.src.Digests) > 0 {
		if err := s.compareDigests(ctx, f, file); err != nil {
			return err
		}
	}
	d, err := s.openChecked(ctx, file, format)
	if err != nil {
		return err
	}
	f.disk = &diskFill{
		native: nativeOf(up.Options.Native, format), sent: true,
		properties: map[string]string{PropertySourceFormat: format, PropertySourceSize: strconv.FormatInt(file.size, 10)},
	}
	if plainFormat(format) {
		f.disk.pour = file.join
	} else {
		f.disk.source = up.ID
		f.disk.pour = func(ctx context.Context, w *depot.Writer) error { return pourDisk(ctx, w, d, f.run) }
	}
	sent := img.Copy()
	sent.DiskFormat, sent.ContainerFormat = format, containerBare
	return s.takes(sent)
}

// shown is the image as it will be with the disk.
func (f *filling) shown(img *catalog.Image) *catalog.Image {
	as := img.Copy()
	as.DiskFormat, as.ContainerFormat = f.disk.native, containerBare
	return as
}

// compareDigests reads the file once for the digests that its sender announced.
func (s *Service) compareDigests(ctx context.Context, f *filling, file *uploadFile) error {
	var algos []string
	for _, d := range f.src.Digests {
		algos = append(algos, d.Algo)
	}
	f.run.Say("compare digests", "bytes")
	sums, err := digestAll(ctx, &progress{nil, f.run, 0, file.size}, file.reader(), algos...)
	if err != nil {
		return err
	}
	for i, d := range f.src.Digests {
		if sums[i] != hex.EncodeToString(d.Sum) {
			return kuva.E(kuva.CodeDigest, "image.digest_mismatch", "algo", d.Algo)
		}
	}
	return nil
}

// join writes the parts in order, by reference.
func (f *uploadFile) join(ctx context.Context, w *depot.Writer) error {
	for i, p := range f.parts {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := w.Skip(p.Off - w.Size()); err != nil {
			return err
		}
		o, err := f.object(i)
		if err != nil {
			return err
		}
		if err := w.Append(o, 0, p.Size); err != nil {
			return err
		}
	}
	return w.Skip(f.size - w.Size())
}

// pourNear: stretches of data that are nearer to each other are read as one;
// the zeros between are found again.
const pourNear = 1 << 20

// pourDisk writes what a guest sees of a disk.
func pourDisk(ctx context.Context, w *depot.Writer, d disk.Disk, run *job.Run) error {
	l := &chunk.Lattice{To: w}
	var off, end int64 // a stretch that was not written yet
	write := func() error {
		r := newViewReader(ctx, d, off, end-off)
		defer r.Close() //nolint:errcheck // it was only read
		_, err := io.Copy(l, r)
		run.Progress(end, d.Size())
		return err
	}
	done := int64(0)
	for e, err := range d.Extents(ctx, 0, d.Size()) {
		if err != nil {
			return contentError(kuva.CodeUnsupported, err)
		}
		if e.Kind != disk.Data {
			continue
		}
		if end > 0 && e.Off-end < pourNear && e.End()-off < 256*pourNear {
			end = e.End()
			continue
		}
		if end > done {
			if err := write(); err != nil {
				return err
			}
			done = end
		}
		if err := l.Skip(e.Off - done); err != nil {
			return err
		}
		off, end, done = e.Off, e.End(), e.Off
	}
	if end > done {
		if err := write(); err != nil {
			return err
		}
		done = end
	}
	if err := l.Skip(d.Size() - done); err != nil {
		return err
	}
	return l.Flush()
}

// setFormats gives an image that said nothing of its formats those of its file.
func (s *Service) setFormats(ctx context.Context, f *filling, format, container string) (img *catalog.Image, err error) {
	err = s.update(ctx, func(tx *catalog.Tx) error {
		was, err := f.claimed(ctx, tx, catalog.LockImage)
		if err != nil {
			return err
		}
		img = was.Copy()
		img.DiskFormat, img.ContainerFormat, img.UpdatedAt = format, container, s.now()
		img.Version++
		return catalog.UpdateImage(ctx, tx, was, img)
	})
	return img, err
}

// endUpload notes how an upload ended, in the transaction that decides it. Its
// parts go later.
func (s *Service) endUpload(ctx context.Context, tx *catalog.Tx, id string, failure *kuva.Failure) error {
	up, err := catalog.LockUpload(ctx, tx, id)
	if errors.Is(err, catalog.ErrNoUpload) {
		return nil
	}
	if err != nil || up.State != catalog.UploadFinishing {
		return err
	}
	up.State, up.Failure, up.UpdatedAt = catalog.UploadDone, failure, s.now()
	if failure != nil {
		up.State = catalog.UploadFailed
	}
	up.ExpiresAt = up.UpdatedAt.Add(UploadKept)
	return catalog.UpdateUpload(ctx, tx, up)
}

// dropParts gives the parts of an upload that has ended to the collector.
func (s *Service) dropParts(ctx context.Context, id string) error {
	const batch = 200
	for {
		var n int
		err := s.update(ctx, func(tx *catalog.Tx) error {
			objects, err := catalog.DropParts(ctx, tx, id, batch)
			if n = len(objects); err != nil {
				return err
			}
			for _, o := range objects {
				if err := s.depot.Unpin(ctx, tx, o, catalog.UploadHolder(id)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || n < batch {
			return err
		}
	}
}

// failUpload notes on the upload that a job was to finish why it did not.
func (s *Service) failUpload(ctx context.Context, tx *catalog.Tx, image, jobID string, why error, received int64) error {
	up, err := catalog.UploadOfImage(ctx, tx, image)
	if errors.Is(err, catalog.ErrNoUpload) || err == nil && up.Job != jobID {
		return nil
	}
	if err != nil {
		return err
	}
	return s.endUpload(ctx, tx, up.ID, failure(why, s.now(), received))
}
