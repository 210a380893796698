package raw

import (
	"context"
	"errors"
	"iter"
	"syscall"

	"golang.org/x/sys/unix"

	"kuva/disk"
)

// conn is what an *os.File offers beside reading.
type conn = syscall.Conn

// fileExtents asks the file system where a file's holes are. Seeking moves the
// file's position, which readers at an offset do not have. A file system that
// does not know holes says that all is data; so do pipes and devices that
// cannot seek for them.
func fileExtents(ctx context.Context, c conn, off, n int64) iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		end := off + n
		for off < end {
			if err := ctx.Err(); err != nil {
				yield(disk.Extent{}, err)
				return
			}
			data, err := seek(c, off, unix.SEEK_DATA)
			switch {
			case errors.Is(err, unix.ENXIO): // a hole up to the end of the file
				data = end
			case err != nil || data < off:
				yield(disk.Extent{Off: off, Len: end - off, Kind: disk.Data, At: off}, nil)
				return
			}
			data = min(data, end)
			if data > off && !yield(disk.Extent{Off: off, Len: data - off, Kind: disk.Hole, At: disk.Nowhere}, nil) {
				return
			}
			if data == end {
				return
			}
			hole, err := seek(c, data, unix.SEEK_HOLE)
			if err != nil || hole <= data {
				hole = end
			}
			hole = min(hole, end)
			if !yield(disk.Extent{Off: data, Len: hole - data, Kind: disk.Data, At: data}, nil) {
				return
			}
			off = hole
		}
	}
}

func seek(c conn, off int64, whence int) (at int64, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	if cerr := raw.Control(func(fd uintptr) { at, err = unix.Seek(int(fd), off, whence) }); cerr != nil {
		return 0, cerr
	}
	return at, err
}
