package check

import (
	"slices"
	"strconv"
	"strings"

	"kuva/guest/fact"
)

// virtio: kernels that cannot drive the disk of a KVM machine. Each installed
// kernel is looked at; only the one that starts blocks.
var virtio = &Check{
	ID: "boot-virtio", Severity: Boot, Family: "linux",
	Rows: []string{"S0-14", "S0-15", "S0-16", "S1-8", "X-8"},
	Run: func(s *Subject) error {
		var seen []Evidence
		severity, old, unsure := Advice, false, false
		for _, k := range s.Facts.Kernels {
			lacks, unknown := lacking(&k)
			switch {
			case tooOld(k.Version):
				old, lacks = true, []string{"virtio (before 2.6.27)"}
			case len(lacks) == 0 && unknown:
				unsure = true
				continue
			case len(lacks) == 0:
				continue
			}
			where := k.Initrd
			if where == "" {
				where = k.Image
			}
			seen = append(seen, Evidence{Path: where, Value: k.Version + ": " + strings.Join(lacks, ", ")})
			if k.Default || len(s.Facts.Kernels) == 1 || !hasDefault(s.Facts.Kernels) {
				severity = Boot
			}
		}
		if len(seen) == 0 {
			return nil
		}
		f := s.Find(seen...)
		f.Severity, f.Unsure = severity, unsure
		switch {
		case old:
			f.As("old")
		default:
			f.As(guideOf(s.Facts.OS))
		}
		return nil
	},
}

func hasDefault(kernels []fact.Kernel) bool {
	return slices.ContainsFunc(kernels, func(k fact.Kernel) bool { return k.Default })
}

// lacking names the drivers that a kernel has neither built in nor in its
// initrd, of those that the root needs on KVM; unknown if the initrd could not
// be read. A disk needs the bus and one of block and SCSI; the network card can
// wait for the modules of the root.
func lacking(k *fact.Kernel) (lacks []string, unknown bool) {
	have := map[string]bool{}
	for _, d := range k.Virtio {
		early := d.Builtin || d.Initrd || d.Modules && k.Initrd == "" && k.Modules == ""
		have[d.Name] = early || d.Name == "virtio_net" && d.Modules
		unknown = unknown || d.InitrdUnknown
	}
	if unknown {
		for _, d := range k.Virtio { // what is nowhere cannot be in the initrd
			have[d.Name] = have[d.Name] || d.Modules
		}
	}
	if len(k.Virtio) == 0 || k.Modules == "" && k.Initrd == "" {
		return nil, true // nothing tells what is built in
	}
	if !have["virtio_pci"] {
		lacks = append(lacks, "virtio_pci")
	}
	if !have["virtio_blk"] && !have["virtio_scsi"] {
		lacks = append(lacks, "virtio_blk", "virtio_scsi")
	}
	if !have["virtio_net"] {
		lacks = append(lacks, "virtio_net")
	}
	return lacks, unknown
}

// tooOld: Linux has virtio from 2.6.27 on.
func tooOld(version string) bool {
	var n [3]int
	for i, part := range strings.SplitN(version, ".", 3) {
		digits := strings.IndexFunc(part, func(r rune) bool { return r < '0' || r > '9' })
		if digits >= 0 {
			part = part[:digits]
		}
		v, err := strconv.Atoi(part)
		if err != nil {
			return false
		}
		n[i] = v
	}
	return n[0] < 2 || n[0] == 2 && (n[1] < 6 || n[1] == 6 && n[2] < 27)
}
