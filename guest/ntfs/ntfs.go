// Package ntfs reads NTFS file systems of versions 1.2 to 3.1.
//
// Nodes are named by their file reference: the number of the record in the
// master file table, and in the upper 16 bits the number of times that the
// record was used. Names match without regard to case, by the volume's own
// table, and are found by the folders' index. The files of the file system
// itself ($MFT and so on) are not listed, but can be looked up.
//
// Junctions and symbolic links to drive C: lead to the root of the volume;
// links to other volumes are shown as they are and lead nowhere. Alternate
// streams of up to 64 KiB are extended attributes, as ntfs-3g shows them.
package ntfs

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"sync"

	"kuva/disk"
	"kuva/guest/budget"
	"kuva/guest/internal/blocks"
	"kuva/guest/internal/names"
	"kuva/guest/tree"
)

const format = "ntfs"

// Records of the file system itself.
const (
	fileMFT     = 0
	fileLog     = 2
	fileVolume  = 3
	fileRoot    = 5
	fileBitmap  = 6
	fileUpcase  = 10
	firstOfUser = 16
)

// Hibernated is the note of a volume whose Windows sleeps in hiberfil.sys, by
// hibernation or fast startup: files may be newer in its memory than here.
const Hibernated = "hibernated"

// FS is an open file system. It implements tree.Reader, tree.Lookuper,
// tree.Xattrer and tree.Spacer.
type FS struct {
	blocks *blocks.Reader
	budget *budget.Budget
	info   tree.Info

	cluster  int64 // bytes
	clusters int64
	record   int64 // bytes of a record of the MFT
	mft      *stream

	upcaseOnce sync.Once
	upcase     []uint16

	mu    sync.Mutex
	nodes map[uint64]*node // those that were read lately
}

// Open reads the boot sector and the records of the file system itself. The
// disk must stay open until the last use.
func Open(d disk.Disk, b *budget.Budget) (*FS, error) {
	f := &FS{blocks: blocks.New(format, d, b), budget: b, nodes: map[uint64]*node{}}
	boot, err := f.blocks.Get(0, 512)
	if err != nil {
		return nil, err
	}
	if string(boot[3:11]) != "NTFS    " {
		return nil, disk.Malform(format, "no NTFS in the boot sector")
	}
	at, err := f.geometry(boot)
	if err != nil {
		return nil, err
	}
	if err := f.openMFT(at); err != nil {
		return nil, err
	}
	f.info = tree.Info{
		Type: format, BlockSize: f.cluster, Size: f.clusters * f.cluster, FreeBytes: -1,
		UUID: fmt.Sprintf("%016X", binary.LittleEndian.Uint64(boot[72:])),
	}
	if f.info.Size > d.Size() {
		f.note(tree.Truncated, "the file system has %d bytes, the volume %d", f.info.Size, d.Size())
	}
	if err := f.describe(); err != nil {
		return nil, err
	}
	if _, err := f.node(fileRoot); err != nil {
		return nil, err
	}
	return f, nil
}

// geometry reads sizes, and gives the offset of the MFT.
func (f *FS) geometry(boot []byte) (mft int64, err error) {
	le := binary.LittleEndian
	sector := int64(le.Uint16(boot[11:]))
	if sector < 256 || sector > 4096 || bits.OnesCount64(uint64(sector)) != 1 {
		return 0, disk.Malform(format, "sectors of %d bytes", sector)
	}
	per := int64(boot[13])
	if per > 128 { // of clusters above 64 KiB the logarithm is there
		if per < 256-12 {
			return 0, disk.Malform(format, "clusters of 2^%d sectors", 256-per)
		}
		per = 1 << (256 - per)
	}
	f.cluster = sector * per
	if bits.OnesCount64(uint64(per)) != 1 || f.cluster > 2<<20 {
		return 0, disk.Malform(format, "clusters of %d bytes", f.cluster)
	}
	total := le.Uint64(boot[40:])
	if total == 0 || total > uint64(1<<62/sector) {
		return 0, disk.Malform(format, "%d sectors", total)
	}
	f.clusters = int64(total) / per
	if n := int8(boot[64]); n < 0 && n > -17 {
		f.record = 1 << -n
	} else {
		f.record = int64(n) * f.cluster
	}
	if f.record < 512 || f.record > 64<<10 || bits.OnesCount64(uint64(f.record)) != 1 {
		return 0, disk.Malform(format, "records of %d bytes", f.record)
	}
	at := le.Uint64(boot[48:])
	if at >= uint64(f.clusters) {
		return 0, disk.Malform(format, "the master file table is at cluster %d of %d", at, f.clusters)
	}
	return int64(at) * f.cluster, nil
}

// openMFT reads the first record, which says where all of them lie. The MFT may
// be so scattered that it needs more records than the first to say so; these
// lie in the part that the first one tells of.
func (f *FS) openMFT(at int64) error {
	raw, err := f.blocks.Get(at, int(f.record))
	if err != nil {
		return err
	}
	first, err := parseRecord(raw, fileMFT)
	if err != nil {
		return err
	}
	if f.mft, err = f.stream([]*record{first}, attrData, ""); err != nil {
		return err
	}
	if first.find(attrList) == nil {
		return nil
	}
	n, err := f.node(fileMFT)
	if err != nil {
		return err
	}
	clear(f.nodes)
	f.mft, err = f.stream(n.records, attrData, "")
	return err
}

// describe reads what is good to know: label, version, state.
func (f *FS) describe() error {
	n, err := f.node(fileVolume)
	if budget.IsLimit(err) {
		return err
	}
	if err != nil {
		f.note(tree.Errors, "%v", err)
		return nil
	}
	if a := n.find(attrVolumeName, ""); a != nil && !a.nonResident {
		f.info.Label = names.LE(a.value)
	}
	if a := n.find(attrVolumeInfo, ""); a != nil && len(a.value) >= 12 {
		f.info.Features = []string{fmt.Sprintf("NTFS %d.%d", a.value[8], a.value[9])}
		if a.value[10]&1 != 0 {
			f.note(tree.JournalDirty, "the volume is marked to be checked at the next start")
		}
	}
	for _, look := range []func() error{f.lookAtLog, f.lookAtHibernation} {
		if err := look(); budget.IsLimit(err) {
			return err
		}
	}
	return nil
}

// lookAtLog notes a journal with changes that are not in their places.
func (f *FS) lookAtLog() error {
	s, err := f.open(fileLog, "")
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	newest, open := uint64(0), false
	for i := range int64(2) { // written in turn
		page := make([]byte, 4096)
		if err := disk.ReadFull(s, page, i*int64(len(page))); err != nil {
			return err
		}
		at := int(le.Uint16(page[24:]))
		if string(page[:4]) != "RSTR" || at+16 > 510 { // an emptied log is all ones
			continue
		}
		if lsn := le.Uint64(page[at:]); lsn >= newest {
			newest, open = lsn, le.Uint16(page[at+12:]) != 0xffff && le.Uint16(page[at+14:])&2 == 0
		}
	}
	if open {
		f.note(tree.JournalDirty, "the volume was not unmounted; its journal is not replayed")
	}
	return nil
}

// lookAtHibernation notes a Windows that sleeps.
func (f *FS) lookAtHibernation() error {
	e, err := f.Lookup(f.Root(), "hiberfil.sys")
	if err != nil {
		return err
	}
	s, err := f.open(e.ID.Ino, "")
	if err != nil {
		return err
	}
	var magic [4]byte
	if _, err := s.ReadAt(magic[:], 0); err != nil {
		return err
	}
	if m := string(magic[:]); m == "hibr" || m == "HIBR" {
		f.note(Hibernated, "Windows is hibernated or was shut down by fast startup")
	}
	return nil
}

func (f *FS) note(id, detail string, args ...any) {
	f.info.Notes = append(f.info.Notes, tree.Note{ID: id, Detail: fmt.Sprintf(detail, args...)})
}

// Info implements tree.Reader.
func (f *FS) Info() tree.Info { return f.info }

// Root implements tree.Reader.
func (f *FS) Root() tree.ID { return tree.ID{Ino: fileRoot} }
