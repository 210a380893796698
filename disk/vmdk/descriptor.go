package vmdk

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"kuva/disk"
)

const (
	maxText    = 256 << 10 // of a descriptor; a disk of 63 TiB in 2 GiB files takes 2 MiB and is not read
	maxExtents = 4096
)

// descriptor is the text that says what kind of disk it is and which files
// have the data.
type descriptor struct {
	kind    string // createType
	parent  bool
	extents []extentLine
}

// extentLine is one file with data, or a stretch of zeros.
type extentLine struct {
	sectors int64
	kind    string // SPARSE, FLAT, ZERO, …
	file    string
	offset  int64 // in the file, in sectors
}

// parseDescriptor reads the text. What contradicts itself is malformed: there
// is no first or last one that counts.
func parseDescriptor(b []byte) (*descriptor, error) {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		if !disk.IsZero(b[i:]) {
			return nil, disk.Malform(name, "there is something behind the end of the descriptor")
		}
		b = b[:i]
	}
	if !isText(b) {
		return nil, disk.Malform(name, "the descriptor has no mark")
	}
	d := new(descriptor)
	seen := map[string]bool{}
	for line := range bytes.Lines(b) {
		text := strings.TrimSpace(string(line))
		if text == "" || text[0] == '#' {
			continue
		}
		access, _, _ := strings.Cut(text, " ")
		switch strings.ToUpper(access) {
		case "RW", "RDONLY", "NOACCESS":
			e, ok := parseExtent(text)
			if !ok {
				return nil, disk.Malform(name, "an extent that cannot be read: %s", disk.Quote([]byte(text)))
			}
			if len(d.extents) == maxExtents {
				return nil, disk.Refuse(name, disk.ReasonLimit, "more than %d extents", maxExtents)
			}
			d.extents = append(d.extents, e)
			continue
		}
		key, value, ok := strings.Cut(text, "=")
		if !ok {
			continue
		}
		key = strings.ToLower(strings.TrimSpace(key))
		value = strings.Trim(strings.TrimSpace(value), `"`)
		switch key {
		case "createtype", "parentcid", "parentfilenamehint", "version":
			if seen[key] {
				return nil, disk.Malform(name, "the descriptor says %s twice", key)
			}
			seen[key] = true
		}
		switch key {
		case "createtype":
			d.kind = value
		case "parentcid":
			d.parent = d.parent || !strings.EqualFold(value, "ffffffff")
		case "parentfilenamehint":
			d.parent = true
		case "encoding":
			// Names are not used, and all else is ASCII.
		}
	}
	if d.kind == "" {
		return nil, disk.Malform(name, "the descriptor does not say what kind of disk it is")
	}
	if len(d.extents) == 0 {
		return nil, disk.Malform(name, "the descriptor has no extent")
	}
	return d, nil
}

// isText finds the mark of a descriptor, which may stand behind comments and
// blank lines: VMware's programs take it there too.
func isText(b []byte) bool {
	for line := range bytes.Lines(b[:min(len(b), 4096)]) {
		line = bytes.ToLower(bytes.TrimSpace(line))
		if bytes.HasPrefix(line, textMagic) {
			return true
		}
		if len(line) > 0 && line[0] != '#' || bytes.IndexByte(line, 0) >= 0 {
			return false
		}
	}
	return false
}

// parseExtent reads a line such as: RW 4192256 SPARSE "disk-s001.vmdk" 0
func parseExtent(text string) (e extentLine, ok bool) {
	rest := text
	if i := strings.IndexByte(text, '"'); i >= 0 {
		j := strings.LastIndexByte(text, '"')
		if j == i {
			return e, false
		}
		e.file = text[i+1 : j]
		rest = text[:i] + " " + text[j+1:]
	}
	words := strings.Fields(rest)
	if len(words) < 3 {
		return e, false
	}
	n, err := strconv.ParseInt(words[1], 10, 64)
	if err != nil || n <= 0 || n > MaxSize/sector {
		return e, false
	}
	e.sectors, e.kind = n, strings.ToUpper(words[2])
	if len(words) > 3 {
		if e.offset, err = strconv.ParseInt(words[3], 10, 64); err != nil || e.offset < 0 || e.offset > 1<<62/sector {
			return e, false
		}
	}
	return e, e.kind == "ZERO" || e.file != ""
}

// alone refuses all but the two kinds whose data lie in the same file.
func (d *descriptor) alone() error {
	switch {
	case d.kind != "monolithicSparse" && d.kind != "streamOptimized":
		return disk.Refuse(name, disk.ReasonDataFile, "the disk is of kind %s", disk.Quote([]byte(d.kind)))
	case len(d.extents) != 1:
		return disk.Refuse(name, disk.ReasonDataFile, "the disk has %d extents", len(d.extents))
	case d.extents[0].kind != "SPARSE":
		return disk.Refuse(name, disk.ReasonDataFile, "the extent is of kind %s", disk.Quote([]byte(d.extents[0].kind)))
	case d.extents[0].offset != 0 || strings.ContainsAny(d.extents[0].file, "/\\:") || strings.HasPrefix(d.extents[0].file, ".."):
		// It is never opened; but the name of this very file has no path.
		return disk.Refuse(name, disk.ReasonDataFile, "the extent lies in %s", disk.Quote([]byte(d.extents[0].file)))
	}
	return nil
}

// files are the names of the files with data, for a message.
func (d *descriptor) files() (n int, names string) {
	var list []string
	for _, e := range d.extents {
		if e.kind == "ZERO" {
			continue
		}
		if n++; n <= 8 {
			list = append(list, disk.Quote([]byte(e.file)))
		}
	}
	if n > 8 {
		list = append(list, "…")
	}
	return n, strings.Join(list, ", ")
}

// text makes the descriptor of a file of one extent.
func text(kind string, id [16]byte, sectors int64, adapter, hwversion string) []byte {
	// The content id changes when the content does; it need not be unique.
	cid := uint32(id[0])<<24 | uint32(id[1])<<16 | uint32(id[2])<<8 | uint32(id[3])
	if cid >= 0xfffffffe {
		cid -= 2 // these two mean that there is none
	}
	heads := int64(16)
	if adapter != "ide" {
		heads = 255
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `# Disk DescriptorFile
version=1
CID=%08x
parentCID=ffffffff
createType="%s"

# Extent description
RW %d SPARSE "disk.vmdk"

# The Disk Data Base
#DDB

ddb.virtualHWVersion = "%s"
ddb.geometry.cylinders = "%d"
ddb.geometry.heads = "%d"
ddb.geometry.sectors = "63"
ddb.adapterType = "%s"
ddb.uuid.image = "%x-%x-%x-%x-%x"
`, cid, kind, sectors, hwversion, min(16383, sectors/(heads*63)), heads, adapter,
		id[:4], id[4:6], id[6:8], id[8:10], id[10:])
	return b.Bytes()
}
