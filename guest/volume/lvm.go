package volume

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"maps"
	"slices"
	"strings"

	"kuva/disk"
	"kuva/guest/budget"
)

// physical is a physical volume of LVM2.
type physical struct {
	id   string // with dashes
	name string // of the volume that it is
	d    disk.Disk
	text string // metadata of its group
}

// Bounds of metadata: LVM writes 1 MiB of room by default, and a group of
// thousands of volumes needs some MiB of text.
const (
	maxLVMText  = 4 << 20
	maxVolumes  = 4096
	maxSegments = 100_000
	maxStripes  = 128
)

// logical adds the logical volumes of the groups whose physical volumes were
// found.
func (l *Layout) logical(b *budget.Budget) error {
	all := map[string]*physical{}
	var order []*physical
	for _, v := range l.Volumes {
		if v.Disk == nil || v.Content.Type != "LVM2_member" {
			continue
		}
		pv, err := readPhysical(v, b)
		if budget.IsLimit(err) {
			return err
		}
		if err != nil {
			l.note(NoteLVM, "%s: %v", v.Name, err)
		}
		if pv == nil {
			continue
		}
		if twice := all[pv.id]; twice != nil {
			l.note(NoteLVM, "%s and %s are the same physical volume", twice.name, v.Name)
			continue
		}
		all[pv.id] = pv
		order = append(order, pv)
	}
	// The same group may be described on many physical volumes: the highest
	// sequence number rules.
	groups := map[string]section{}
	names := map[string]string{}
	for _, pv := range order {
		if pv.text == "" {
			continue
		}
		// What is parsed takes several times the text's room while it is read.
		cost := 8 * int64(len(pv.text))
		if err := b.Alloc(cost); err != nil {
			return err
		}
		defer b.Free(cost)
		top, err := parseLVM(pv.text, b)
		if budget.IsLimit(err) {
			return err
		}
		if err != nil {
			l.note(NoteLVM, "%s: %v", pv.name, err)
			continue
		}
		for name, v := range top {
			if g, ok := v.(section); ok && g.number("extent_size") > 0 {
				id := g.text("id")
				if have, ok := groups[id]; !ok || g.number("seqno") > have.number("seqno") {
					groups[id], names[id] = g, name
				}
			}
		}
	}
	ids := slices.Sorted(maps.Keys(groups))
	slices.SortStableFunc(ids, func(a, b string) int { return cmp.Compare(names[a], names[b]) })
	for _, id := range ids {
		if err := l.group(names[id], groups[id], all, b); err != nil {
			return err
		}
	}
	return nil
}

// readPhysical reads label, header and metadata of a physical volume.
func readPhysical(v Volume, b *budget.Budget) (*physical, error) {
	head := make([]byte, 2048)
	if err := b.ReadFull(v.Disk, head, 0); err != nil {
		return nil, err
	}
	var p []byte // the header
	for s := 0; s < 4; s++ {
		label := head[512*s : 512*s+512]
		if string(label[:8]) == "LABELONE" && string(label[24:32]) == "LVM2 001" {
			at := le.Uint32(label[20:])
			if at < 32 || at > 512-40 {
				return nil, disk.Malform("LVM2", "a header at %d", at)
			}
			p = label[at:]
			break
		}
	}
	if p == nil {
		return nil, disk.Malform("LVM2", "no label")
	}
	pv := &physical{id: lvmID(string(p[:32])), name: v.Name, d: v.Disk}
	if pv.id == "" {
		return nil, disk.Malform("LVM2", "a physical volume without id")
	}
	// Two lists of places follow, each ending in zeros: data, then metadata.
	at := 40
	for ; at+16 <= len(p) && le.Uint64(p[at:]) != 0; at += 16 {
	}
	var cause error
	for at += 16; at+16 <= len(p) && le.Uint64(p[at:]) != 0; at += 16 {
		text, err := readMetadata(v.Disk, le.Uint64(p[at:]), le.Uint64(p[at+8:]), b)
		if budget.IsLimit(err) {
			return nil, err
		}
		if err == nil {
			if text != "" {
				pv.text = text
				return pv, nil
			}
			continue
		}
		cause = err
	}
	return pv, cause
}

// readMetadata reads the text in a metadata area: a header of a sector, and a
// ring of text behind it.
func readMetadata(d disk.Disk, start, size uint64, b *budget.Budget) (string, error) {
	if start > uint64(d.Size()) || size > uint64(d.Size())-start || size <= 512 {
		return "", disk.Malform("LVM2", "metadata of %d bytes at %d", size, start)
	}
	h := make([]byte, 512)
	if err := b.ReadFull(d, h, int64(start)); err != nil {
		return "", err
	}
	if string(h[4:20]) != " LVM2 x[5A%r0N*>" || le.Uint64(h[24:]) != start {
		return "", disk.Malform("LVM2", "no metadata at %d", start)
	}
	if lvmSum(h[4:]) != le.Uint32(h) {
		return "", disk.Malform("LVM2", "the sum of the header at %d is wrong", start)
	}
	off, n := le.Uint64(h[40:]), le.Uint64(h[48:])
	if off == 0 {
		return "", nil // another physical volume has it
	}
	if off < 512 || off >= size || n > size-512 || n > maxLVMText {
		return "", disk.Malform("LVM2", "text of %d bytes at %d", n, off)
	}
	if err := b.Alloc(int64(n)); err != nil {
		return "", err
	}
	defer b.Free(int64(n))
	text := make([]byte, n)
	first := min(n, size-off)
	if err := b.ReadFull(d, text[:first], int64(start+off)); err != nil {
		return "", err
	}
	if first < n {
		if err := b.ReadFull(d, text[first:], int64(start+512)); err != nil {
			return "", err
		}
	}
	if lvmSum(text) != le.Uint32(h[56:]) {
		return "", disk.Malform("LVM2", "the sum of the text at %d is wrong", start+off)
	}
	return string(text), nil
}

// lvmSum is a CRC-32 with a start of its own and no inversion at the ends.
func lvmSum(p []byte) uint32 { return ^crc32.Update(^uint32(0xf597a6cf), crc32.IEEETable, p) }

// group adds the visible volumes of a group.
func (l *Layout) group(name string, g section, pvs map[string]*physical, b *budget.Budget) error {
	extent := g.number("extent_size") * 512
	if extent <= 0 || extent > 1<<46 {
		l.note(NoteLVM, "group %s has extents of %d bytes", disk.Quote([]byte(name)), extent)
		return nil
	}
	byName := map[string]*physical{}
	starts := map[string]int64{}
	for key, v := range g.section("physical_volumes") {
		s, ok := v.(section)
		if !ok {
			continue
		}
		starts[key] = s.number("pe_start") * 512
		if byName[key] = pvs[s.text("id")]; byName[key] == nil {
			l.note(NoteLVM, "group %s misses its physical volume %s, which is not on this disk", disk.Quote([]byte(name)), disk.Quote([]byte(s.text("id"))))
		}
	}
	volumes := g.section("logical_volumes")
	for i, key := range slices.Sorted(maps.Keys(volumes)) {
		if i >= maxVolumes {
			l.note(NoteLVM, "group %s has more than %d volumes", disk.Quote([]byte(name)), maxVolumes)
			return nil
		}
		s, ok := volumes[key].(section)
		if !ok || !s.has("status", "VISIBLE") {
			continue
		}
		v := Volume{Name: name + "/" + key, Off: -1, UUID: s.text("id")}
		err := assemble(&v, s, extent, byName, starts, b)
		if err == nil {
			v.Content, err = Identify(v.Disk, b)
		}
		if budget.IsLimit(err) {
			return err
		}
		if err != nil {
			v.Disk, v.Err = nil, err
		}
		l.Volumes = append(l.Volumes, v)
	}
	return nil
}

// segment is a part of a logical volume.
type segment struct {
	start, count int64 // extents
	s            section
}

// assemble makes a volume's disk of its segments.
func assemble(v *Volume, s section, extent int64, pvs map[string]*physical, starts map[string]int64, b *budget.Budget) error {
	var list []segment
	for key, value := range s {
		if part, ok := value.(section); ok && strings.HasPrefix(key, "segment") {
			list = append(list, segment{part.number("start_extent"), part.number("extent_count"), part})
		}
	}
	if err := b.Step(int64(len(list))); err != nil {
		return err
	}
	if len(list) == 0 || len(list) > maxSegments {
		return disk.Malform("LVM2", "a volume of %d segments", len(list))
	}
	slices.SortFunc(list, func(a, b segment) int { return cmp.Compare(a.start, b.start) })
	next := int64(0)
	var parts []disk.Disk
	var refused error
	for _, p := range list {
		if p.start != next || p.count <= 0 || p.count > (1<<62)/extent-next {
			return disk.Malform("LVM2", "a segment of %d extents at %d, where %d comes", p.count, p.start, next)
		}
		next += p.count
		kind := p.s.text("type")
		stripes := p.s.list("stripes")
		if kind == "striped" && len(stripes) == 2 {
			kind = "linear"
		}
		if v.Kind == "" {
			v.Kind = kind
		}
		if kind != "linear" && kind != "striped" {
			v.Kind = kind
			refused = disk.Refuse("LVM2", disk.ReasonUnsupported, "a volume of type %s", disk.Quote([]byte(kind)))
			continue
		}
		d, err := p.disk(extent, pvs, starts)
		if err != nil && refused == nil {
			refused = err
		}
		parts = append(parts, d)
	}
	v.Size = next * extent
	if refused != nil {
		return refused
	}
	v.Disk = disk.Concat(parts...)
	return nil
}

var errMissing = errors.New("a physical volume of the group is not on this disk")

// disk makes one of a linear or striped segment.
func (p segment) disk(extent int64, pvs map[string]*physical, starts map[string]int64) (disk.Disk, error) {
	list := p.s.list("stripes")
	n := int64(len(list) / 2)
	if n == 0 || n > maxStripes || len(list)%2 != 0 || p.count%n != 0 {
		return nil, disk.Malform("LVM2", "%d stripes over %d extents", n, p.count)
	}
	length := p.count / n * extent
	legs := make([]disk.Disk, n)
	for i := range legs {
		name, _ := list[2*i].(string)
		at, ok := list[2*i+1].(int64)
		base, known := starts[name]
		switch {
		case !ok || !known || at < 0 || base < 0 || at > (1<<62-base)/extent:
			return nil, disk.Malform("LVM2", "a stripe on %s", disk.Quote(fmt.Append(nil, name)))
		case pvs[name] == nil:
			return nil, fmt.Errorf("LVM2: %w", errMissing)
		}
		pv := pvs[name].d
		off := base + at*extent
		if off > pv.Size() || length > pv.Size()-off {
			return nil, disk.Malform("LVM2", "a stripe of %d bytes at %d of a physical volume of %d", length, off, pv.Size())
		}
		legs[i] = disk.Section(pv, off, length)
	}
	if n == 1 {
		return legs[0], nil
	}
	size := p.s.number("stripe_size") * 512
	if size <= 0 || size > length || length%size != 0 {
		return nil, disk.Malform("LVM2", "stripes of %d bytes", size)
	}
	return &striped{legs, size, length * n}, nil
}

// striped deals its bytes out to legs, stripe by stripe.
type striped struct {
	legs   []disk.Disk
	stripe int64
	size   int64
}

func (s *striped) Size() int64 { return s.size }

// at tells which leg an offset lies on, where there, and how far the stripe
// goes on.
func (s *striped) at(off int64) (leg disk.Disk, at, n int64) {
	k, in := off/s.stripe, off%s.stripe
	legs := int64(len(s.legs))
	return s.legs[k%legs], k/legs*s.stripe + in, s.stripe - in
}

func (s *striped) ReadAt(p []byte, off int64) (int, error) {
	return disk.ReadAtFunc(p, off, s.size, func(p []byte, off int64) error {
		for len(p) > 0 {
			leg, at, n := s.at(off)
			n = min(n, int64(len(p)))
			if err := disk.ReadFull(leg, p[:n], at); err != nil {
				return err
			}
			p, off = p[n:], off+n
		}
		return nil
	})
}

func (s *striped) Extents(ctx context.Context, off, n int64) iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		off, n := disk.Clamp(off, n, s.size)
		for n > 0 {
			leg, at, part := s.at(off)
			part = min(part, n)
			for e, err := range leg.Extents(ctx, at, part) {
				if err != nil {
					yield(disk.Extent{}, err)
					return
				}
				e.Off += off - at
				if !yield(e, nil) {
					return
				}
			}
			off, n = off+part, n-part
		}
	}
}
