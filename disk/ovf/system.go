package ovf

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Kinds of resources (CIM_ResourceAllocationSettingData, DSP8042).
const (
	typeCPU    = "3"
	typeMemory = "4"
	typeIDE    = "5"
	typeSCSI   = "6"
	typeDisk   = "17"
	typeOther  = "20" // other storage: SATA, NVMe
)

// systems collects the machines, also those in collections.
func (d *Descriptor) systems(e *element, depth int) {
	for _, c := range e.children {
		switch {
		case c.kind == "VirtualSystem" && len(d.Systems) < maxEntries:
			d.system(c)
		case c.kind == "VirtualSystemCollection" && depth < maxDepth:
			d.systems(c, depth+1)
		}
	}
}

// item is a resource of a machine.
type item struct {
	id, kind, parent, address, host, quantity, units string
}

func (d *Descriptor) system(e *element) {
	s := System{CPUs: Unknown, Memory: Unknown}
	s.ID, _ = e.attr("id")
	s.Name = e.value("Name")
	for _, o := range e.all("OperatingSystemSection") {
		s.OSID, _ = o.attr("id")
		s.OSType, _ = o.attr("osType")
		s.OS = o.value("Description")
		if s.OSType == "" {
			s.OSType = o.value("OSType") // VirtualBox
		}
	}
	sections := e.all("VirtualHardwareSection")
	if len(sections) == 0 {
		d.warn("the machine %s has no hardware", quote(s.ID))
	}
	// Further sections are choices for other hypervisors.
	for _, h := range sections[:min(1, len(sections))] {
		s.hardware(d, h, bootOrder(e, h))
	}
	d.Systems = append(d.Systems, s)
}

func (s *System) hardware(d *Descriptor, h *element, boot []string) {
	var items []item
	seen := map[string]bool{}
	for _, e := range h.children {
		switch e.kind {
		case "Item", "StorageItem", "EthernetPortItem":
		default:
			continue
		}
		if bound, _ := e.attr("bound"); bound != "" && bound != "normal" {
			continue // a limit of one that stands elsewhere
		}
		if len(items) == maxEntries {
			d.warn("more than %d parts", maxEntries)
			break
		}
		i := item{
			id: e.value("InstanceID"), kind: e.value("ResourceType"), parent: e.value("Parent"),
			host: e.value("HostResource"), quantity: e.value("VirtualQuantity"), units: e.value("AllocationUnits"),
		}
		if old := e.value("InstanceId"); i.id == "" && old != "" {
			i.id = old
			if d.Version != "0.9" {
				d.warn("a part has InstanceId where the standard has InstanceID")
			}
		}
		// The place on the parent, or of the controller itself.
		if i.address = e.value("AddressOnParent"); i.address == "" {
			i.address = e.value("Address")
		}
		switch {
		case i.id == "" || i.kind == "":
			d.warn("a part of the machine %s has no number or kind", quote(s.ID))
		case seen[i.id]:
			d.warn("two parts of the machine %s have the number %s", quote(s.ID), quote(i.id))
		}
		seen[i.id] = true
		items = append(items, i)
	}
	if len(items) == 0 {
		d.warn("the machine %s has hardware without parts", quote(s.ID))
	}
	var controllers []string
	for _, i := range items {
		switch i.kind {
		case typeCPU:
			s.CPUs = number(i.quantity, 1)
		case typeMemory:
			if u, err := units(i.units); err == nil {
				s.Memory = number(i.quantity, u)
			}
		case typeIDE, typeSCSI, typeOther:
			controllers = append(controllers, i.id)
		}
	}
	for _, i := range items {
		if i.kind != typeDisk {
			continue
		}
		// ovf:/disk/ID; 0.9 and some others write /disk/ID, ovf://disk/ID.
		_, id, ok := strings.Cut(i.host, "disk/")
		if !ok || !slices.ContainsFunc(d.Disks, func(k Disk) bool { return k.ID == id }) {
			d.warn("the machine %s has a disk %s, which is not there", quote(s.ID), quote(i.host))
			continue
		}
		v := Drive{DiskID: id, id: i.id, bus: slices.Index(controllers, i.parent), boot: slices.Index(boot, i.id)}
		n, err := strconv.ParseUint(i.address, 10, 31)
		v.address, v.known = int64(n), err == nil && v.bus >= 0
		if v.boot < 0 {
			v.boot = math.MaxInt
		}
		s.Drives = append(s.Drives, v)
	}
	slices.SortStableFunc(s.Drives, order)
	s.Ordered = len(s.Drives) == 1 || len(s.Drives) > 1 && order(s.Drives[0], s.Drives[1]) < 0
}

// order compares two drives by when they are booted: as a list says, then by
// controller and place on it. Drives whose place is not told come last, all the
// same.
func order(a, b Drive) int {
	place := func(v Drive) (int, int64) {
		if !v.known {
			return math.MaxInt, 0
		}
		return v.bus, v.address
	}
	busA, addressA := place(a)
	busB, addressB := place(b)
	return cmp.Or(cmp.Compare(a.boot, b.boot), cmp.Compare(busA, busB), cmp.Compare(addressA, addressB))
}

// bootOrder gives the numbers of parts in the order in which a machine tries
// them, as VMware writes it (BootOrderSection, one for each device).
func bootOrder(system, hardware *element) []string {
	var list []string
	for _, e := range []*element{system, hardware} {
		for _, b := range e.all("BootOrderSection") {
			if id, ok := b.attr("instanceId"); ok && len(list) < maxEntries {
				list = append(list, id)
			}
		}
	}
	return list
}

func number(text string, unit int64) int64 {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n > uint64(math.MaxInt64/unit) {
		return Unknown
	}
	return int64(n) * unit
}

// types of properties (DSP0243 §9.5), with those of 0.9 and VMware.
var types = []string{
	"uint8", "sint8", "uint16", "sint16", "uint32", "sint32", "uint64", "sint64", "string", "boolean",
	"real32", "real64", "int", "password", "ip", "expression",
}

// properties looks at what the machines are configured by, which is of no use
// to disks, for mistakes.
func (d *Descriptor) properties(e *element) {
	for _, p := range e.all("ProductSection") {
		seen := map[string]bool{}
		for _, f := range p.all("Property") {
			key, _ := f.attr("key")
			kind, _ := f.attr("type")
			base, _, _ := strings.Cut(kind, ":")
			base, _, _ = strings.Cut(base, "(")
			switch {
			case key == "" || strings.ContainsAny(key, ".:"):
				d.warn("a property has the key %s", quote(key))
			case seen[key]:
				d.warn("two properties have the key %s", quote(key))
			case !slices.Contains(types, base):
				d.warn("the property %s has the type %s", quote(key), quote(kind))
			}
			seen[key] = true
		}
	}
	for _, c := range e.children {
		if c.kind == "VirtualSystem" || c.kind == "VirtualSystemCollection" {
			d.properties(c)
		}
	}
}
