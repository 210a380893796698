package images

import (
	"context"
	"errors"
	"slices"
	"time"

	"kuva"
	"kuva/disk"
	"kuva/disk/formats"
	"kuva/internal/catalog"
	"kuva/internal/depot"
)

// Content whose container is bare is compared with its disk_format before it
// becomes an image's:
//
//	qcow2, vmdk, vhd, vhdx, vdi, iso   it must be of that format, stand alone and open
//	raw                                anything that has not the marks of one of these
//	ami, aki, ari, ploop               stored as it is, never opened
//
// Nothing is guessed later: the recorded format is how the image is read for
// ever, whatever a guest writes into its first sector.

// containerBare is the container format whose content is the disk's file.
const containerBare = "bare"

// parsed are the disk formats that are opened, by the Image API's names.
var parsed = []string{"raw", "qcow2", "vmdk", "vhd", "vhdx", "vdi", "iso"}

// opens reports whether content with these formats is opened as a disk.
func opens(diskFormat, containerFormat string) bool {
	return containerFormat == containerBare && slices.Contains(parsed, diskFormat)
}

// What the check of one content may cost.
const (
	checkMemory = 256 << 20 // bytes of tables
	checkRead   = 4 << 30   // bytes of tables read
	checkSteps  = 1 << 30   // entries looked at
	checkTime   = time.Minute
	checksMost  = 2 // at a time on this node, so that memory stays bounded
	checkChunks = 16
)

// A file may expand to so many times its length, beyond the first expandFree
// bytes. Compressed files of real disks stay below a tenth of that.
const (
	expandMost = 200
	expandFree = 64 << 20
)

// checkContent compares content with what an image says that it is, and
// returns how large its disk is, -1 where it is not opened. CodeUnsupported
// with the reason where it is not what it is said to be, or is refused;
// CodeTooLarge where the disk is larger than most, which below 0 is unlimited.
func (s *Service) checkContent(ctx context.Context, img *catalog.Image, o *depot.Object, most int64) (virtual int64, err error) {
	if !opens(img.DiskFormat, img.ContainerFormat) {
		return -1, nil
	}
	d, err := s.openChecked(ctx, &objectDisk{Cached: o.Cached(ctx, checkChunks), o: o}, img.DiskFormat)
	switch {
	case errors.Is(err, depot.ErrGone), errors.Is(err, depot.ErrNotFound): // nothing but the lease kept it
		return -1, depot.ErrLeaseLost
	case err != nil:
		return -1, err
	case most >= 0 && d.Size() > most:
		return -1, kuva.E(kuva.CodeTooLarge, "image.virtual_too_large", "size", d.Size(), "limit", most)
	}
	return d.Size(), nil
}

// openChecked opens a file as the disk that it is said to hold, when it is this
// one's turn and within the time that a check may take. Reads of the disk end
// with ctx.
func (s *Service) openChecked(ctx context.Context, file disk.Disk, claim string) (disk.Disk, error) {
	select {
	case s.checks <- struct{}{}:
		defer func() { <-s.checks }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	short, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	d, err := checkFile(short, file, claim)
	if err != nil && short.Err() != nil && ctx.Err() == nil {
		return nil, kuva.E(kuva.CodeUnsupported, "image.content_costly").Because(err)
	}
	return d, contentError(kuva.CodeUnsupported, err)
}

// checkFile opens a file as the disk that it is said to hold.
func checkFile(ctx context.Context, file disk.Disk, claim string) (disk.Disk, error) {
	found, err := formats.Detect(ctx, file, file.Size())
	if err != nil {
		return nil, err
	}
	if err := agrees(claim, found); err != nil {
		return nil, err
	}
	budget := disk.NewBudget(disk.Limits{Memory: checkMemory, Read: checkRead, Steps: checkSteps})
	d, err := openFile(ctx, file, claim, budget)
	if err != nil {
		return nil, err
	}
	if claim == "vmdk" { // its grains tell only one by one whether they are where they must be
		report, err := formats.ByName(claim).Check(ctx, file, file.Size(), disk.OpenOptions{Budget: budget})
		if err != nil {
			return nil, err
		}
		if report.Errors > 0 {
			return nil, disk.Malform(claim, "%s", append(report.Problems, "the tables are wrong")[0])
		}
	}
	return d, expands(ctx, d, file.Size())
}

// agrees compares what a file is said to be with what its marks say. A raw
// disk may have marks of formats that are not read here (an encrypted volume, a
// file system that looks like an archive): nobody opens it as these.
func agrees(claim string, found formats.Verdict) error {
	if claim == found.Name {
		return nil
	}
	if claim == "raw" {
		hybrid := found.Name == "iso" && len(found.Partitions) > 0 // a disk as much as a disc
		if hybrid || !slices.Contains(parsed, found.Name) {
			return nil
		}
	}
	if found.Name == "raw" {
		return kuva.E(kuva.CodeUnsupported, "image.content_unmarked", "claim", claim)
	}
	return kuva.E(kuva.CodeUnsupported, "image.content_mismatch", "claim", claim, "found", found.Name)
}

// openAs opens a file as the disk that it holds, by its recorded format alone.
func openAs(ctx context.Context, o *depot.Object, file *depot.Cached, format string, budget *disk.Budget) (disk.Disk, error) {
	if o.Kind() == depot.KindDisk { // the format is what it is shown as
		return &objectDisk{Cached: file, o: o}, nil
	}
	return openFile(ctx, &objectDisk{Cached: file, o: o}, format, budget)
}

func openFile(ctx context.Context, file disk.Disk, format string, budget *disk.Budget) (disk.Disk, error) {
	f := formats.ByName(format)
	if f == nil {
		return nil, disk.Refuse(format, disk.ReasonUnsupported, "this format is not read")
	}
	return f.Open(ctx, file, file.Size(), disk.OpenOptions{Budget: budget})
}

// expands refuses a file that claims to hold far more than it has bytes: its
// tables name the same places again and again, or it was packed to harm.
func expands(ctx context.Context, d disk.Disk, size int64) error {
	most := int64(1<<63 - 1)
	if size < (most-expandFree)/expandMost {
		most = expandFree + expandMost*size
	}
	if d.Size() <= most {
		return nil
	}
	var sum int64
	for e, err := range d.Extents(ctx, 0, d.Size()) {
		if err != nil {
			return err
		}
		if e.Kind == disk.Data {
			sum += e.Len
		}
		if sum > most {
			return kuva.E(kuva.CodeUnsupported, "image.content_expands", "times", expandMost)
		}
	}
	return nil
}

// reasons are the sentences for what package disk refuses.
var reasons = map[disk.Reason]string{
	disk.ReasonBacking:     "image.content_backing",
	disk.ReasonDataFile:    "image.content_data_file",
	disk.ReasonEncrypted:   "image.content_encrypted",
	disk.ReasonAmbiguous:   "image.content_ambiguous",
	disk.ReasonLimit:       "image.content_costly",
	disk.ReasonTooLarge:    "image.content_disk_large",
	disk.ReasonFeature:     "image.content_feature",
	disk.ReasonUnsupported: "image.content_feature",
	disk.ReasonChoice:      "image.archive_choice",
	disk.ReasonNoDisk:      "image.archive_no_disk",
	disk.ReasonNested:      "image.archive_nested",
}

// contentError gives what package disk says of a file its code and sentence.
// The detail is in English: it names fields of the format.
func contentError(code kuva.Code, err error) error {
	var refused *disk.Refused
	var malformed *disk.Malformed
	switch {
	case errors.As(err, &refused):
		key, ok := reasons[refused.Reason]
		if !ok {
			key = "image.content_feature"
		}
		return kuva.E(code, key, "detail", detailOf(refused.Format, refused.Detail)).Because(err)
	case errors.As(err, &malformed):
		return kuva.E(code, "image.content_malformed", "detail", detailOf(malformed.Format, malformed.Detail)).Because(err)
	}
	return err
}

func detailOf(format, detail string) string {
	if format == "" {
		return detail
	}
	return format + ": " + detail
}
