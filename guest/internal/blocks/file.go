package blocks

import (
	"iter"

	"kuva/disk"
)

// Extent tells what lies at an offset of a file: an extent that begins there
// and ends with the file at the latest. Its At is a place on the disk.
type Extent func(off int64) (disk.Extent, error)

// errEmpty is a bug of a reader, which must not become a loop without end.
var errEmpty = disk.Malform("", "an extent of no length")

// ReadAt is the io.ReaderAt of a file of size bytes that lies where extent
// says: data are read, all else is zeros.
func (r *Reader) ReadAt(p []byte, off, size int64, extent Extent) (int, error) {
	return disk.ReadAtFunc(p, off, size, func(p []byte, off int64) error {
		for len(p) > 0 {
			e, err := extent(off)
			if err != nil {
				return err
			}
			if e.Len <= 0 {
				return errEmpty
			}
			part := p[:min(int64(len(p)), e.Len)]
			if e.Kind == disk.Data {
				if err := r.ReadFull(part, e.At); err != nil {
					return err
				}
			} else {
				clear(part)
			}
			p, off = p[len(part):], off+int64(len(part))
		}
		return nil
	})
}

// Extents is the tree.Extenter of such a file.
func Extents(size int64, extent Extent) iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		for off := int64(0); off < size; {
			e, err := extent(off)
			if err == nil && e.Len <= 0 {
				err = errEmpty
			}
			if err != nil {
				yield(disk.Extent{}, err)
				return
			}
			if !yield(e, nil) {
				return
			}
			off = e.End()
		}
	}
}
