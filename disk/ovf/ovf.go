// Package ovf reads the descriptors of virtual machines in OVA packages (DMTF
// DSP0243, Open Virtualization Format 1.x, and the 0.9 that came before), as far
// as disks are concerned, and the manifests beside them. What a descriptor
// names is text: nothing is opened or fetched.
package ovf

import (
	"bytes"
	"fmt"
	"math"
	"path"
	"strconv"
	"strings"

	"kuva/disk"
)

const name = "ovf"

// Unknown stands for a size that the descriptor does not tell.
const Unknown = -1

// Descriptor is what a package says of itself.
type Descriptor struct {
	// Version is 0.9, 1 or 2, after the namespace.
	Version string
	Files   []File
	Disks   []Disk
	Systems []System
	// Warnings are what is wrong and does no harm here.
	Warnings []string
}

// File of the package.
type File struct {
	ID   string
	Href string // a name in the package, or anything else: see Local
	Size int64  // in bytes, or Unknown
	// Compression is "", "identity" or "gzip".
	Compression string
	// Chunk is the size of the pieces that the file is cut into, or 0. They
	// are called Href and .000000000, .000000001, …
	Chunk int64
}

// Local tells that the file is one of the package, by its plain name. Others
// lie somewhere else and are never opened.
func (f *File) Local() bool {
	return f.Href != "" && f.Href != "." && f.Href != ".." && !strings.ContainsAny(f.Href, "/\\:\x00")
}

// Disk of the package.
type Disk struct {
	ID      string
	FileRef string // ID of the file, "" for a disk that starts empty
	// Capacity in bytes, or Unknown where a property of the machine tells it.
	// Units is what one of the descriptor's numbers stood for.
	Capacity, Units int64
	Format          string // the URI as it stands there
	ParentRef       string // ID of the disk below, "" for none
}

// System is a virtual machine.
type System struct {
	ID, Name string
	// OSID is the number of the guest's kind in CIM, OSType VMware's or
	// VirtualBox's word for it, OS the description; "" where it is not there.
	OSID, OSType, OS string
	CPUs             int64 // or Unknown
	Memory           int64 // in bytes, or Unknown
	// Drives are the disks in the order of booting.
	Drives []Drive
	// Ordered tells that the first of the drives is really the first, and not
	// merely the first that is written.
	Ordered bool
}

// Drive is a disk in a machine.
type Drive struct {
	DiskID  string
	boot    int   // its place in a list of boot devices
	bus     int   // the controller's place among the controllers
	address int64 // on the controller
	known   bool  // bus and address are there
	id      string
}

// Probe tells whether a text begins like a descriptor.
func Probe(head []byte) bool {
	head = bytes.TrimSpace(bytes.TrimPrefix(head, []byte(bom)))
	return bytes.HasPrefix(head, []byte("<")) && bytes.Contains(head, []byte("Envelope")) && bytes.Contains(head, []byte("/ovf/"))
}

// Parse reads a descriptor. It returns *disk.Malformed where what concerns
// disks is broken, *disk.Refused above the limits, and notes the rest as
// Warnings.
func Parse(text []byte) (*Descriptor, error) {
	root, err := parseXML(text)
	if err != nil {
		return nil, err
	}
	if root.kind != "Envelope" {
		return nil, disk.Malform(name, "the text is %s and no Envelope", disk.Quote([]byte(root.kind)))
	}
	d := &Descriptor{}
	if bytes.HasPrefix(text, []byte(bom)) {
		d.warn("the text begins with a byte order mark")
	}
	switch root.space {
	case "http://schemas.dmtf.org/ovf/envelope/1":
		d.Version = "1"
	case "http://schemas.dmtf.org/ovf/envelope/2":
		d.Version = "2"
	case "http://www.vmware.com/schema/ovf/1/envelope":
		d.Version = "0.9"
		d.warn("version 0.9, which came before the standard")
	default:
		d.warn("the namespace %s is not known", disk.Quote([]byte(root.space)))
	}
	for _, refs := range root.all("References") {
		for _, e := range refs.all("File") {
			if err := d.file(e); err != nil {
				return nil, err
			}
		}
	}
	// In 0.9 some writers put the section into a machine.
	if err := d.diskSections(root); err != nil {
		return nil, err
	}
	if err := d.check(); err != nil {
		return nil, err
	}
	d.systems(root, 0)
	if len(d.Systems) == 0 {
		d.warn("there is no machine")
	}
	d.properties(root)
	return d, nil
}

// maxWarnings is how many are kept.
const maxWarnings = 100

func (d *Descriptor) warn(format string, args ...any) {
	if len(d.Warnings) < maxWarnings {
		d.Warnings = append(d.Warnings, fmt.Sprintf(format, args...))
	}
}

func (d *Descriptor) file(e *element) error {
	f := File{Size: Unknown}
	f.ID, _ = e.attr("id")
	f.Href, _ = e.attr("href")
	f.Compression, _ = e.attr("compression")
	if f.ID == "" || f.Href == "" {
		return disk.Malform(name, "a file without id or name")
	}
	if text, ok := e.attr("size"); ok {
		n, err := strconv.ParseUint(text, 10, 63)
		if err != nil {
			return disk.Malform(name, "the file %s has the size %s", quote(f.ID), quote(text))
		}
		f.Size = int64(n)
	} else {
		d.warn("the file %s has no size", quote(f.ID))
	}
	if text, ok := e.attr("chunkSize"); ok {
		n, err := strconv.ParseUint(text, 10, 63)
		if err != nil || n == 0 {
			return disk.Malform(name, "the file %s has chunks of %s", quote(f.ID), quote(text))
		}
		f.Chunk = int64(n)
	}
	if !f.Local() {
		d.warn("the file %s is no part of the package: %s", quote(f.ID), quote(f.Href))
	}
	for _, other := range d.Files {
		if other.ID == f.ID || path.Clean(other.Href) == path.Clean(f.Href) {
			return disk.Malform(name, "there are two files %s", quote(f.ID))
		}
	}
	d.Files = append(d.Files, f)
	if len(d.Files) > maxEntries {
		return disk.Refuse(name, disk.ReasonLimit, "more than %d files", maxEntries)
	}
	return nil
}

// maxEntries bounds files, disks, machines and what is in each of them.
const maxEntries = 1000

func (d *Descriptor) diskSections(root *element) error {
	for _, s := range root.all("DiskSection") {
		for _, e := range s.all("Disk") {
			if err := d.disk(e); err != nil {
				return err
			}
		}
	}
	for _, system := range root.all("VirtualSystem") {
		if len(system.all("DiskSection")) > 0 {
			d.warn("disks inside a machine")
			if err := d.diskSections(system); err != nil {
				return err
			}
		}
	}
	return nil
}

// diskAttrs are those of the standard.
var diskAttrs = []string{"diskId", "fileRef", "capacity", "capacityAllocationUnits", "format", "populatedSize", "parentRef"}

func (d *Descriptor) disk(e *element) error {
	k := Disk{}
	k.ID, _ = e.attr("diskId")
	k.FileRef, _ = e.attr("fileRef")
	k.ParentRef, _ = e.attr("parentRef")
	k.Format, _ = e.attr("format")
	if k.ID == "" {
		return disk.Malform(name, "a disk without id")
	}
	if k.Format == "" {
		d.warn("the disk %s has no format", quote(k.ID))
	}
	for _, a := range e.attrs {
		if a.Name.Space == e.space && !contains(diskAttrs, a.Name.Local) {
			d.warn("the disk %s has an attribute %s", quote(k.ID), quote(a.Name.Local))
		}
	}
	text, ok := e.attr("capacity")
	if !ok {
		return disk.Malform(name, "the disk %s has no capacity", quote(k.ID))
	}
	unit, _ := e.attr("capacityAllocationUnits")
	var err error
	if k.Units, err = units(unit); err != nil {
		return err
	}
	if strings.HasPrefix(text, "${") {
		k.Capacity = Unknown
		d.warn("the capacity of the disk %s is a property", quote(k.ID))
	} else {
		n, err := strconv.ParseUint(text, 10, 63)
		if err != nil || n == 0 || n > uint64(math.MaxInt64/k.Units) {
			return disk.Malform(name, "the disk %s has the capacity %s × %d bytes", quote(k.ID), quote(text), k.Units)
		}
		k.Capacity = int64(n) * k.Units
	}
	d.Disks = append(d.Disks, k)
	if len(d.Disks) > maxEntries {
		return disk.Refuse(name, disk.ReasonLimit, "more than %d disks", maxEntries)
	}
	return nil
}

// units reads "byte * 2^30" (DSP0004, annex C) and the words of 0.9.
func units(text string) (int64, error) {
	word := strings.ToLower(strings.ReplaceAll(text, " ", ""))
	for i, w := range []string{"byte", "kilobyte", "megabyte", "gigabyte", "terabyte"} {
		if strings.TrimSuffix(word, "s") == w || word == "" {
			return 1 << (10 * i), nil
		}
	}
	base, exponent, ok := strings.Cut(strings.TrimPrefix(word, "byte*"), "^")
	if e, err := strconv.ParseUint(exponent, 10, 6); err == nil && ok {
		switch {
		case base == "2" && e < 63:
			return 1 << e, nil
		case base == "10" && e < 19:
			n := int64(1)
			for range e {
				n *= 10
			}
			return n, nil
		}
	}
	return 0, disk.Malform(name, "the unit %s is not known", quote(text))
}

// check looks at what refers to what.
func (d *Descriptor) check() error {
	files, disks, used := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, f := range d.Files {
		files[f.ID] = true
	}
	for _, k := range d.Disks {
		switch {
		case disks[k.ID]:
			return disk.Malform(name, "there are two disks %s", quote(k.ID))
		case k.FileRef != "" && !files[k.FileRef]:
			return disk.Malform(name, "the disk %s is in the file %s, which is not there", quote(k.ID), quote(k.FileRef))
		case k.FileRef != "" && used[k.FileRef]:
			d.warn("the file %s is that of several disks", quote(k.FileRef))
		}
		disks[k.ID] = true
		used[k.FileRef] = true
	}
	for _, k := range d.Disks {
		if k.ParentRef != "" && !disks[k.ParentRef] {
			return disk.Malform(name, "the disk %s stands on %s, which is not there", quote(k.ID), quote(k.ParentRef))
		}
	}
	return nil
}

// File finds a file by its ID, or gives nil.
func (d *Descriptor) File(id string) *File {
	for i := range d.Files {
		if d.Files[i].ID == id {
			return &d.Files[i]
		}
	}
	return nil
}

// Boot is the ID of the disk that the machine boots from, or "": there must be
// one machine with disks, and the descriptor must say which of them is first.
func (d *Descriptor) Boot() string {
	boot := ""
	for _, s := range d.Systems {
		switch {
		case len(s.Drives) == 0:
		case boot != "" || !s.Ordered:
			return ""
		default:
			boot = s.Drives[0].DiskID
		}
	}
	return boot
}

func quote(text string) string { return disk.Quote([]byte(text)) }

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}
