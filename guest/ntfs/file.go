package ntfs

import (
	"encoding/binary"
	"io/fs"
	"iter"
	"math/bits"
	"strings"
	"time"

	"kuva/disk"
	"kuva/guest/budget"
	"kuva/guest/internal/names"
	"kuva/guest/tree"
)

// Attributes of files that Windows shows.
const (
	attribReadonly   = 0x1
	attribHidden     = 0x2
	attribSystem     = 0x4
	attribReparse    = 0x400
	attribCompressed = 0x800
	attribEncrypted  = 0x4000
)

// Stat implements tree.Reader. Owners and permissions are not read.
func (f *FS) Stat(id tree.ID) (tree.Attr, error) {
	n, err := f.node(id.Ino)
	if err != nil {
		return tree.Attr{}, err
	}
	a := tree.Attr{ID: id, Mode: tree.Regular | 0o644}
	if n.base().flags&isFolder != 0 {
		a.Mode = tree.Dir | 0o755
	}
	attribs := uint32(0)
	le := binary.LittleEndian
	if s := n.find(attrStandard, ""); s != nil && len(s.value) >= 36 {
		a.Btime, a.Mtime = fileTime(le.Uint64(s.value)), fileTime(le.Uint64(s.value[8:]))
		a.Ctime, a.Atime = fileTime(le.Uint64(s.value[16:])), fileTime(le.Uint64(s.value[24:]))
		attribs = le.Uint32(s.value[32:])
		a.Flags = flags(attribs)
	}
	if attribs&attribReadonly != 0 && a.Mode&tree.TypeMask == tree.Regular {
		a.Mode &^= 0o222
	}
	for _, r := range n.records {
		for _, at := range r.attrs {
			if at.kind == attrFileName && len(at.value) >= 66 && at.value[65] != dosName {
				a.Nlink++
			}
		}
	}
	if d := n.find(attrData, ""); d != nil && a.Mode&tree.TypeMask == tree.Regular {
		a.Size = d.size
		if d.nonResident {
			a.Allocated = d.stored
		}
		if d.flags&flagEncrypted != 0 {
			a.Flags |= tree.Encrypted
		}
	}
	special, err := f.special(n, attribs)
	if err != nil {
		return a, err
	}
	switch special.typ {
	case tree.Symlink:
		a.Mode, a.Size = tree.Symlink|0o777, int64(len(special.target))
	case tree.Char, tree.Block:
		a.Mode, a.Size, a.Rdev = special.typ|0o644, 0, special.rdev
	}
	return a, nil
}

func flags(attribs uint32) (f tree.Flags) {
	for bit, flag := range map[uint32]tree.Flags{
		attribReadonly: tree.Readonly, attribHidden: tree.Hidden, attribSystem: tree.System,
		attribCompressed: tree.Compressed, attribEncrypted: tree.Encrypted,
	} {
		if attribs&bit != 0 {
			f |= flag
		}
	}
	return f
}

// fileTime turns units of 100 ns since 1601 into a time.
func fileTime(t uint64) time.Time {
	if t == 0 {
		return time.Time{}
	}
	const toUnix = 11_644_473_600 // seconds
	hi, lo := bits.Div64(0, t, 10_000_000)
	return time.Unix(int64(hi)-toUnix, int64(lo)*100).UTC()
}

// Kinds of reparse points.
const (
	tagMount   = 0xa0000003 // a junction, or another volume's mount point
	tagSymlink = 0xa000000c
	tagLinux   = 0xa000001d // a symbolic link of WSL
	tagWOF     = 0x80000017 // a file compressed by "compact /exe" or by setup
	tagDedup   = 0x80000013
)

// special says what a node is beside file and folder.
type special struct {
	typ    uint32 // tree.Symlink, tree.Char, tree.Block or 0
	target string
	rdev   uint64
	tag    uint32 // of a reparse point
	data   []byte // of a reparse point
}

// maxReparse is how long the data of a reparse point are at most.
const maxReparse = 16 << 10

func (f *FS) special(n *node, attribs uint32) (s special, err error) {
	if n.find(attrReparse, "") != nil {
		return f.reparse(n)
	}
	// Interix and ntfs-3g keep links and devices in system files.
	if d := n.find(attrData, ""); attribs&attribSystem != 0 && d != nil && d.size >= 8 && d.size <= 8+2*4096 {
		st, err := f.stream(n.records, attrData, "")
		if err != nil {
			return s, nil // encrypted or broken: no link in any case
		}
		b := make([]byte, st.size)
		if err := disk.ReadFull(st, b, 0); budget.IsLimit(err) {
			return s, err
		} else if err != nil {
			return s, nil
		}
		switch magic := string(b[:8]); {
		case magic == "IntxLNK\x01":
			s.typ, s.target = tree.Symlink, names.UntilNUL(names.LE(b[8:]))
		case (magic == "IntxCHR\x00" || magic == "IntxBLK\x00") && len(b) == 24:
			s.typ = tree.Char
			if magic[4] == 'B' {
				s.typ = tree.Block
			}
			s.rdev = binary.LittleEndian.Uint64(b[8:])<<32 | binary.LittleEndian.Uint64(b[16:])&0xffffffff
		}
	}
	return s, nil
}

func (f *FS) reparse(n *node) (s special, err error) {
	st, err := f.stream(n.records, attrReparse, "")
	if err != nil {
		return s, err
	}
	if st.size < 8 || st.size > maxReparse+8 {
		return s, disk.Malform(format, "a reparse point of %d bytes", st.size)
	}
	b := make([]byte, st.size)
	if err := disk.ReadFull(st, b, 0); err != nil {
		return s, err
	}
	le := binary.LittleEndian
	s.tag, s.data = le.Uint32(b), b[8:]
	names := 0 // where the names begin
	switch s.tag {
	case tagMount:
		names = 8
	case tagSymlink:
		names = 12
	case tagLinux:
		s.typ = tree.Symlink
		if len(s.data) > 4 {
			s.target = strings.ReplaceAll(string(s.data[4:]), "\x00", "")
		}
		return s, nil
	default:
		return s, nil
	}
	if len(s.data) < names {
		return s, disk.Malform(format, "a link of %d bytes", len(s.data))
	}
	at, length := int(le.Uint16(s.data)), int(le.Uint16(s.data[2:]))
	if names+at+length > len(s.data) {
		return s, disk.Malform(format, "a link's target is cut off")
	}
	relative := s.tag == tagSymlink && le.Uint32(s.data[8:])&1 != 0
	s.typ, s.target = tree.Symlink, target(s.data[names+at:names+at+length], relative)
	return s, nil
}

// target gives a link's target as a path. Paths on drive C: begin at the root
// of the volume; others stay what they are, which is no path here.
func target(b []byte, relative bool) string {
	s := strings.ReplaceAll(strings.ReplaceAll(names.LE(b), "\x00", ""), `\`, "/")
	if relative {
		return s
	}
	s = strings.TrimPrefix(s, "/??/")
	if len(s) >= 2 && (s[0] == 'C' || s[0] == 'c') && s[1] == ':' {
		return "/" + strings.TrimPrefix(s[2:], "/")
	}
	return s
}

// Readlink implements tree.Reader.
func (f *FS) Readlink(id tree.ID) (string, error) {
	n, err := f.node(id.Ino)
	if err != nil {
		return "", err
	}
	attribs := uint32(0)
	if s := n.find(attrStandard, ""); s != nil && len(s.value) >= 36 {
		attribs = binary.LittleEndian.Uint32(s.value[32:])
	}
	s, err := f.special(n, attribs)
	if err == nil && s.typ != tree.Symlink {
		err = fs.ErrInvalid
	}
	return s.target, err
}

// Open implements tree.Reader.
func (f *FS) Open(id tree.ID) (tree.File, error) {
	n, err := f.node(id.Ino)
	if err != nil {
		return nil, err
	}
	if n.base().flags&isFolder != 0 {
		return nil, fs.ErrInvalid
	}
	if n.find(attrReparse, "") != nil {
		s, err := f.reparse(n)
		if err != nil {
			return nil, err
		}
		switch s.tag {
		case tagWOF:
			return f.openWOF(n, s.data)
		case tagDedup:
			return nil, disk.Refuse(format, disk.ReasonFeature, "the file's content is deduplicated by Windows Server")
		}
		if d := n.find(attrData, ""); d != nil && d.stored == 0 && d.nonResident && d.size > 0 {
			return nil, disk.Refuse(format, disk.ReasonFeature, "the file's content is elsewhere (reparse point %#x)", s.tag)
		}
	}
	return f.stream(n.records, attrData, "")
}

// Stream is an alternate stream of a file or folder.
type Stream struct {
	Name string
	Size int64
}

// Streams lists the alternate streams of a node.
func (f *FS) Streams(id tree.ID) ([]Stream, error) {
	n, err := f.node(id.Ino)
	if err != nil {
		return nil, err
	}
	var all []Stream
	for _, r := range n.records {
		for _, a := range r.attrs {
			if a.kind == attrData && a.name != "" && a.first == 0 {
				all = append(all, Stream{a.name, a.size})
			}
		}
	}
	return all, nil
}

// OpenStream opens an alternate stream by its name as Streams gives it.
func (f *FS) OpenStream(id tree.ID, name string) (tree.File, error) { return f.open(id.Ino, name) }

// Xattrs implements tree.Xattrer: alternate streams of up to 64 KiB, as ntfs-3g
// shows them.
func (f *FS) Xattrs(id tree.ID) (map[string][]byte, error) {
	all, err := f.Streams(id)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	values := map[string][]byte{}
	for _, s := range all {
		if s.Size > 64<<10 || s.Name == wofStream {
			continue
		}
		file, err := f.open(id.Ino, s.Name)
		if err != nil {
			return values, err
		}
		b := make([]byte, s.Size)
		if err := disk.ReadFull(file, b, 0); err != nil {
			return values, err
		}
		values["user."+s.Name] = b
	}
	return values, nil
}

// Free implements tree.Spacer, by the volume's map of clusters.
func (f *FS) Free() iter.Seq2[tree.Extent, error] {
	return func(yield func(tree.Extent, error) bool) {
		s, err := f.open(fileBitmap, "")
		if err == nil && s.size < (f.clusters+7)/8 {
			err = disk.Malform(format, "the map of %d clusters has %d bytes", f.clusters, s.size)
		}
		if err != nil {
			yield(tree.Extent{}, err)
			return
		}
		var run tree.Extent
		b := make([]byte, 4096)
		for at := int64(0); at < f.clusters; at += 8 * int64(len(b)) {
			part := b[:min(int64(len(b)), s.size-at/8)]
			if err = disk.ReadFull(s, part, at/8); err == nil {
				err = f.budget.Step(int64(len(part)))
			}
			if err != nil {
				yield(tree.Extent{}, err)
				return
			}
			for i := range min(8*int64(len(part)), f.clusters-at) {
				switch free := part[i/8]>>(i%8)&1 == 0; {
				case free && run.Len > 0:
					run.Len += f.cluster
				case free:
					run = tree.Extent{Off: (at + i) * f.cluster, Len: f.cluster}
				case run.Len > 0:
					if !yield(run, nil) {
						return
					}
					run = tree.Extent{}
				}
			}
		}
		if run.Len > 0 {
			yield(run, nil)
		}
	}
}
