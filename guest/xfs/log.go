package xfs

import "kuva/disk"

const (
	logMagic   = 0xfeedbabe
	logUnmount = 0x20 // flag of an operation
	sector     = 512  // the log counts in these
)

// dirty tells whether the log ends otherwise than by an unmount. The log is a
// ring of sectors that are stamped with the number of the round; where the
// number falls is the end.
func (f *FS) dirty() (bool, error) {
	s := f.s
	if s.logStart == 0 {
		return false, nil // on another device
	}
	base, err := f.s.block(s.logStart)
	if err != nil {
		return false, err
	}
	n := int64(s.logBlocks) * s.blockSize / sector
	if n < 2 || base+n*sector > f.r.Size() {
		return false, disk.Malform("xfs", "a log of %d blocks", s.logBlocks)
	}
	at := func(k int64) ([]byte, error) { return f.r.Get(base+k*sector, sector) }
	cycle := func(k int64) (uint32, error) {
		p, err := at(k)
		if err != nil {
			return 0, err
		}
		if be.Uint32(p) == logMagic {
			return be.Uint32(p[4:]), nil
		}
		return be.Uint32(p), nil
	}
	first, err := cycle(0)
	if err != nil {
		return false, err
	}
	if first == 0 {
		return false, nil // never used
	}
	// The first sector of another round than that of sector 0.
	low, high := int64(0), n
	for low+1 < high {
		middle := (low + high) / 2
		c, err := cycle(middle)
		if err != nil {
			return false, err
		}
		if c == first {
			low = middle
		} else {
			high = middle
		}
	}
	head := high
	// The last record begins some sectors before: at most 256 KiB and its
	// headers.
	const longest = 256<<10/sector + 8
	for k := int64(1); k <= longest; k++ {
		start := ((head-k)%n + n) % n
		p, err := at(start)
		if err != nil {
			return false, err
		}
		if be.Uint32(p) != logMagic {
			continue
		}
		headers := int64(1)
		if be.Uint32(p[8:])&2 != 0 {
			headers = max(1, (int64(be.Uint32(p[320:]))+32767)/32768)
		}
		length := (int64(be.Uint32(p[12:])) + sector - 1) / sector
		if be.Uint32(p[40:]) != 1 || (start+headers+length)%n != head%n {
			return true, nil
		}
		if p, err = at((start + headers) % n); err != nil {
			return false, err
		}
		return p[9]&logUnmount == 0, nil
	}
	return true, nil
}
