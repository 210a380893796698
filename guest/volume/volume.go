// Package volume finds what a disk is divided into: partitions of MBR and GPT,
// logical volumes of LVM2 (linear and striped, whose physical volumes all lie
// on this disk), or the disk as one volume; and what lies in each: file
// systems, swap, and what is only named, such as LUKS, BitLocker and parts of
// a RAID. Nothing is decrypted, and no key is derived.
//
// What is odd is a note and not an error: a doctor goes on.
package volume

import (
	"cmp"
	"fmt"
	"slices"

	"kuva/disk"
	"kuva/guest/budget"
	"kuva/guest/tree"
)

// The schemes of a Layout.
const (
	None = "none" // no partition table
	MBR  = "mbr"
	GPT  = "gpt"
)

// Layout is what a disk is divided into.
type Layout struct {
	Scheme     string // one of the above
	ID         string // of the table: a GUID, or the MBR's signature in hexadecimal; may be empty
	SectorSize int64  // that the table counts in: 512 or 4096
	// BootCode tells whether the first sector holds code that a BIOS would
	// run (not what it does).
	BootCode bool
	// Whole is the disk as one volume. Its content is told beside partitions
	// too, as in images of discs that boot from a stick.
	Whole Volume
	// Volumes are those that can hold something: partitions in order of their
	// numbers, then logical volumes by name; or Whole alone.
	Volumes []Volume
	Notes   []tree.Note
}

// Volume is a part of a disk.
type Volume struct {
	Name   string // "disk", "p1", or "group/volume"
	Number int    // of a partition, from 1; else 0
	Off    int64  // where it begins on the disk; -1 for logical volumes
	Size   int64
	Type   string // of a partition: "0x83", or a GUID in lower case
	Role   string // what the type stands for: linux, efi-system, bios-boot, …; may be empty
	UUID   string // of a partition: PARTUUID; of a logical volume: LVM's id
	Label  string // of a GPT partition
	// Boot is MBR's active flag, or GPT's legacy BIOS bootable.
	Boot bool
	// Container is an extended partition, which holds others.
	Container bool
	// Kind is LVM's segment type of a logical volume: linear, striped, thin, …
	Kind string
	// Content is what lies in the volume.
	Content Content
	// Disk reads the volume; nil where Err says why it cannot be read.
	Disk disk.Disk
	Err  error
}

// The notes that a layout gives.
const (
	// NoteGPTPrimary: the first GPT is broken, the second was used.
	NoteGPTPrimary = "gpt-primary-broken"
	// NoteGPTBackup: the second GPT is broken or missing.
	NoteGPTBackup = "gpt-backup-broken"
	// NoteGPTGrown: the second GPT does not lie at the end of the disk, as after
	// a disk was made larger.
	NoteGPTGrown = "gpt-backup-not-at-end"
	// NoteGPTDiffers: the two GPTs disagree; the first was used.
	NoteGPTDiffers = "gpt-copies-differ"
	// NoteGPTBroken: the MBR says that there is a GPT, and both are broken.
	NoteGPTBroken = "gpt-broken"
	// NoteNoProtective: there is a GPT without a protective MBR; where the MBR
	// has partitions they were used, as operating systems do.
	NoteNoProtective = "gpt-without-protective-mbr"
	// NoteHybrid: the MBR has partitions of its own beside the GPT.
	NoteHybrid = "hybrid-mbr"
	// NoteExtended: the chain of logical partitions is broken.
	NoteExtended = "extended-chain-broken"
	// NoteOverlap: two partitions share sectors.
	NoteOverlap = "partitions-overlap"
	// NoteOutside: a partition reaches over the end of the disk.
	NoteOutside = "partition-outside-disk"
	// NoteLVM: LVM's metadata is broken, or a part of it is missing.
	NoteLVM = "lvm"
)

// Scan finds the volumes of a disk. b may be nil. Errors are those of the
// disk and of the budget; what is malformed is told in the notes.
func Scan(d disk.Disk, b *budget.Budget) (*Layout, error) {
	l := &Layout{Scheme: None, SectorSize: 512}
	l.Whole = Volume{Name: "disk", Size: d.Size(), Disk: d}
	var err error
	if l.Whole.Content, err = Identify(d, b); err != nil {
		return nil, err
	}
	if err := l.partitions(d, b); err != nil {
		return nil, err
	}
	if l.Scheme == None {
		l.Volumes = []Volume{l.Whole}
	}
	l.check()
	for i := range l.Volumes {
		v := &l.Volumes[i]
		if v.Disk == nil || v.Container || l.Scheme == None {
			continue
		}
		if v.Content, err = Identify(v.Disk, b); err != nil {
			return nil, err
		}
	}
	if err := l.logical(b); err != nil {
		return nil, err
	}
	return l, nil
}

// maxNotes is how many notes one layout gives.
const maxNotes = 64

func (l *Layout) note(id, format string, args ...any) {
	if len(l.Notes) < maxNotes {
		l.Notes = append(l.Notes, tree.Note{ID: id, Detail: fmt.Sprintf(format, args...)})
	}
}

// add appends a partition, cut off at the disk's end.
func (l *Layout) add(d disk.Disk, v Volume) {
	v.Name = fmt.Sprintf("p%d", v.Number)
	switch {
	case v.Off < 0 || v.Size <= 0 || v.Off >= d.Size():
		l.note(NoteOutside, "%s begins at byte %d, the disk has %d", v.Name, v.Off, d.Size())
		v.Err = disk.Malform(l.Scheme, "%s lies behind the end of the disk", v.Name)
	default:
		if v.Size > d.Size()-v.Off {
			l.note(NoteOutside, "%s ends at byte %d, the disk at %d", v.Name, uint64(v.Off)+uint64(v.Size), d.Size())
		}
		v.Disk = disk.Section(d, v.Off, v.Size)
	}
	l.Volumes = append(l.Volumes, v)
}

// check notes partitions that share sectors.
func (l *Layout) check() {
	var parts []Volume
	for _, v := range l.Volumes {
		if v.Disk != nil && !v.Container && v.Number > 0 {
			parts = append(parts, v)
		}
	}
	slices.SortStableFunc(parts, func(a, b Volume) int { return cmp.Compare(a.Off, b.Off) })
	for i := 1; i < len(parts); i++ {
		if a, b := parts[i-1], parts[i]; a.Size > b.Off-a.Off {
			l.note(NoteOverlap, "%s and %s", a.Name, b.Name)
		}
	}
}
