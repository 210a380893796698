package tree

import (
	"errors"
	"io"
	"io/fs"
	"iter"

	"kuva/disk"
)

var errIsDir = errors.New("is a folder")

// noContent is what a device, a pipe or a socket holds.
type noContent struct{}

func (noContent) ReadAt([]byte, int64) (int, error) { return 0, io.EOF }
func (noContent) Size() int64                       { return 0 }

// file is an open file that is no folder.
type file struct {
	info    *fileInfo
	path    string
	content File
	off     int64
	closed  bool
}

func (f *file) err(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &fs.PathError{Op: op, Path: f.path, Err: err}
}

func (f *file) Stat() (fs.FileInfo, error) { return f.info, nil }

func (f *file) Read(p []byte) (int, error) {
	if f.closed {
		return 0, f.err("read", fs.ErrClosed)
	}
	if f.off >= f.content.Size() {
		return 0, io.EOF
	}
	n, err := f.content.ReadAt(p, f.off)
	f.off += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, f.err("read", err)
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	if f.closed {
		return 0, f.err("read", fs.ErrClosed)
	}
	n, err := f.content.ReadAt(p, off)
	return n, f.err("read", err)
}

// Size is that of the content, so that an open file is a File.
func (f *file) Size() int64 { return f.content.Size() }

// Extents tells where the content lies, if its file system can; else nothing.
func (f *file) Extents() iter.Seq2[disk.Extent, error] {
	if x, ok := f.content.(Extenter); ok {
		return x.Extents()
	}
	return func(func(disk.Extent, error) bool) {}
}

func (f *file) Seek(off int64, whence int) (int64, error) {
	if f.closed {
		return 0, f.err("seek", fs.ErrClosed)
	}
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		off += f.off
	case io.SeekEnd:
		off += f.content.Size()
	default:
		return 0, f.err("seek", fs.ErrInvalid)
	}
	if off < 0 {
		return 0, f.err("seek", fs.ErrInvalid)
	}
	f.off = off
	return off, nil
}

func (f *file) Close() error {
	if f.closed {
		return f.err("close", fs.ErrClosed)
	}
	f.closed = true
	return nil
}

// dirFile is an open folder.
type dirFile struct {
	fs *FS
	place
	path string
	info *fileInfo
	read bool
	rest []fs.DirEntry
	err  error // comes behind rest
}

func (d *dirFile) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *dirFile) Close() error               { return nil }

func (d *dirFile) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.path, Err: errIsDir}
}

func (d *dirFile) ReadDir(n int) ([]fs.DirEntry, error) {
	if !d.read {
		d.read = true
		if d.rest, d.err = d.fs.list(d.place); d.err != nil {
			d.err = &fs.PathError{Op: "readdir", Path: d.path, Err: d.err}
		}
	}
	list := d.rest
	if n <= 0 {
		d.rest = nil
		return list, d.err
	}
	if len(list) == 0 {
		if d.err != nil {
			return nil, d.err
		}
		return nil, io.EOF
	}
	n = min(n, len(list))
	d.rest = list[n:]
	return list[:n:n], nil
}
