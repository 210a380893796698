package ntfs

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"iter"
	"sync"

	"kuva/disk"
	"kuva/guest/tree"
)

// wofStream holds the content of files that Windows compressed as a whole:
// those of the system since Windows 10, where that saves enough.
const wofStream = "WofCompressedData"

// wofKinds are the ways of compression by their number, with how many bytes are
// packed at a time.
var wofKinds = []struct {
	chunk  int64
	unpack func(dst, src []byte) error
}{
	{4 << 10, xpress}, {32 << 10, lzx}, {8 << 10, xpress}, {16 << 10, xpress},
}

// wofFile is the content of such a file: a table of where chunks begin behind
// it, but for the first, and the chunks. It may be read from any goroutine.
type wofFile struct {
	f      *FS
	packed *stream
	size   int64
	chunk  int64
	unpack func(dst, src []byte) error
	width  int64 // bytes of an entry of the table

	mu   sync.Mutex // guards the chunk that was unpacked last
	last int64
	data []byte
}

func (f *FS) openWOF(n *node, data []byte) (tree.File, error) {
	le := binary.LittleEndian
	if len(data) < 8 || le.Uint32(data) != 1 {
		return nil, disk.Malform(format, "an overlay's reparse point of %d bytes", len(data))
	}
	if le.Uint32(data[4:]) == 1 {
		return nil, disk.Refuse(format, disk.ReasonFeature, "the file's content is in a WIM archive (WIMBoot)")
	}
	if len(data) < 16 || int64(le.Uint32(data[12:])) >= int64(len(wofKinds)) {
		return nil, disk.Refuse(format, disk.ReasonFeature, "the file is compressed by Windows (WOF) in a way that is not known")
	}
	kind := wofKinds[le.Uint32(data[12:])]
	whole := n.find(attrData, "")
	packed, err := f.stream(n.records, attrData, wofStream)
	if errors.Is(err, fs.ErrNotExist) || err == nil && whole == nil {
		err = disk.Malform(format, "a file that Windows compressed has no content")
	}
	if err != nil {
		return nil, err
	}
	w := &wofFile{f: f, packed: packed, size: whole.size, chunk: kind.chunk, unpack: kind.unpack, width: 4, last: -1}
	if w.size>>32 != 0 {
		w.width = 8
	}
	if w.size > 0 && w.table() > packed.size {
		return nil, disk.Malform(format, "a file of %d bytes is packed in %d", w.size, packed.size)
	}
	return w, nil
}

// table is how long the table is.
func (w *wofFile) table() int64 { return ((w.size+w.chunk-1)/w.chunk - 1) * w.width }

func (w *wofFile) Size() int64 { return w.size }

// begin gives where a chunk begins, or the end behind the last one.
func (w *wofFile) begin(i int64) (int64, error) {
	if i == 0 {
		return w.table(), nil
	}
	if i*w.chunk >= w.size {
		return w.packed.size, nil
	}
	var b [8]byte
	if err := disk.ReadFull(w.packed, b[:w.width], (i-1)*w.width); err != nil {
		return 0, err
	}
	at := binary.LittleEndian.Uint64(b[:])
	if at > uint64(w.packed.size-w.table()) {
		return 0, disk.Malform(format, "a compressed chunk begins at %d of %d", at, w.packed.size)
	}
	return w.table() + int64(at), nil
}

// ReadAt implements io.ReaderAt.
func (w *wofFile) ReadAt(p []byte, off int64) (int, error) {
	return disk.ReadAtFunc(p, off, w.size, func(p []byte, off int64) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		for len(p) > 0 {
			if err := w.load(off / w.chunk); err != nil {
				return err
			}
			n := copy(p, w.data[off%w.chunk:])
			p, off = p[n:], off+int64(n)
		}
		return nil
	})
}

// load unpacks a chunk. The caller holds mu.
func (w *wofFile) load(i int64) error {
	if w.last == i {
		return nil
	}
	from, err := w.begin(i)
	if err != nil {
		return err
	}
	to, err := w.begin(i + 1)
	if err != nil {
		return err
	}
	data := make([]byte, min(w.chunk, w.size-i*w.chunk))
	if to < from || to-from > int64(len(data)) {
		return disk.Malform(format, "a chunk of %d bytes is packed in %d", len(data), to-from)
	}
	if err := w.f.budget.Step(1 + w.chunk/64); err != nil {
		return err
	}
	src := make([]byte, to-from)
	if err := disk.ReadFull(w.packed, src, from); err != nil {
		return err
	}
	if len(src) == len(data) {
		data = src
	} else if err := w.unpack(data, src); err != nil {
		return err
	}
	w.last, w.data = i, data
	return nil
}

// Extents implements tree.Extenter.
func (w *wofFile) Extents() iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		if w.size > 0 {
			yield(disk.Extent{Len: w.size, Kind: disk.Data, At: disk.Nowhere}, nil)
		}
	}
}
