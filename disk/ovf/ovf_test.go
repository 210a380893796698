package ovf_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"kuva/disk"
	"kuva/disk/ovf"
)

// text makes a descriptor of its parts.
func text(files, disks, machine string) string {
	return `<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" xmlns:vmw="http://www.vmware.com/schema/ovf">
<References>` + files + `</References><DiskSection><Info/>` + disks + `</DiskSection>` + machine + `</Envelope>`
}

func file(id, href string) string {
	return fmt.Sprintf(`<File ovf:id=%q ovf:href=%q ovf:size="3"/>`, id, href)
}

func diskOf(id, file, more string) string {
	return fmt.Sprintf(`<Disk ovf:diskId=%q ovf:fileRef=%q ovf:capacity="8" ovf:format="vmdk" %s/>`, id, file, more)
}

// machine has items such as "17 3 disk/a 1 0": kind, number, host resource,
// parent, address.
func machine(more string, items ...string) string {
	var b strings.Builder
	for _, i := range items {
		f := strings.Fields(i)
		fmt.Fprintf(&b, "<Item><rasd:ResourceType>%s</rasd:ResourceType><rasd:InstanceID>%s</rasd:InstanceID>", f[0], f[1])
		if len(f) > 2 {
			fmt.Fprintf(&b, "<rasd:HostResource>ovf:/%s</rasd:HostResource><rasd:Parent>%s</rasd:Parent><rasd:AddressOnParent>%s</rasd:AddressOnParent>", f[2], f[3], f[4])
		}
		b.WriteString("</Item>")
	}
	return `<VirtualSystem ovf:id="vm">` + more + `<VirtualHardwareSection>` + b.String() + `</VirtualHardwareSection></VirtualSystem>`
}

func isMalformed(err error) bool {
	var m *disk.Malformed
	return errors.As(err, &m)
}

func isLimit(err error) bool {
	var r *disk.Refused
	return errors.As(err, &r) && r.Reason == disk.ReasonLimit
}

func TestBoot(t *testing.T) {
	files := file("f1", "a.vmdk") + file("f2", "b.vmdk")
	disks := diskOf("a", "f1", "") + diskOf("b", "f2", "")
	const ide, sata = "5 1", "20 2"
	for _, tt := range []struct {
		name, machines, want string
	}{
		{"one", machine("", ide, "17 5 disk/b 1 0"), "b"},
		{"address", machine("", ide, "17 5 disk/a 1 1", "17 6 disk/b 1 0"), "b"},
		{"controller", machine("", sata, ide, "17 5 disk/a 1 0", "17 6 disk/b 2 3"), "b"},
		{"same place", machine("", ide, "17 5 disk/a 1 0", "17 6 disk/b 1 0"), ""},
		{"no place", machine("", "17 5 disk/a 9 0", "17 6 disk/b 9 1"), ""},
		{"one has a place", machine("", ide, "17 5 disk/a 9 0", "17 6 disk/b 1 1"), "b"},
		{"boot order", machine(`<vmw:BootOrderSection vmw:instanceId="6" vmw:type="disk"/>`, ide, "17 5 disk/a 1 0", "17 6 disk/b 1 1"), "b"},
		{"boot order of two", machine(`<vmw:BootOrderSection vmw:instanceId="5"/><vmw:BootOrderSection vmw:instanceId="6"/>`, ide, "17 5 disk/a 1 1", "17 6 disk/b 1 0"), "a"},
		{"unknown disk", machine("", ide, "17 5 disk/c 1 0", "17 6 disk/b 1 1"), "b"},
		{"two machines", machine("", ide, "17 5 disk/a 1 0") + machine("", ide, "17 6 disk/b 1 0"), ""},
		{"a machine without disks", machine("", ide) + machine("", ide, "17 6 disk/b 1 0"), "b"},
		{"in a collection", "<VirtualSystemCollection>" + machine("", ide, "17 6 disk/b 1 0") + "</VirtualSystemCollection>", "b"},
		{"no machine", "", ""},
	} {
		d, err := ovf.Parse([]byte(text(files, disks, tt.machines)))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else if got := d.Boot(); got != tt.want {
			t.Errorf("%s: %q, want %q; %+v", tt.name, got, tt.want, d.Systems)
		}
	}
}

func TestCapacity(t *testing.T) {
	for _, tt := range []struct {
		capacity, units string
		want            int64 // 0 for malformed
	}{
		{"8", "", 8},
		{"8", "byte", 8},
		{"8", "byte * 2^30", 8 << 30},
		{"8", "byte*2^20", 8 << 20},
		{"8", "byte * 10^9", 8_000_000_000},
		{"8", "MegaBytes", 8 << 20},
		{"8", "GigaByte", 8 << 30},
		{"${size}", "byte * 2^30", ovf.Unknown},
		{"0", "", 0},
		{"-1", "", 0},
		{"x", "", 0},
		{"8", "byte * 2^60", 0},
		{"7", "byte * 2^60", 7 << 60},
		{"8", "byte * 2^63", 0},
		{"8", "byte * 2^64", 0},
		{"8", "byte * 3^2", 0},
		{"8", "sector", 0},
		{"9223372036854775808", "", 0},
	} {
		one := fmt.Sprintf(`<Disk ovf:diskId="a" ovf:capacity=%q ovf:capacityAllocationUnits=%q/>`, tt.capacity, tt.units)
		d, err := ovf.Parse([]byte(text("", one, "")))
		switch {
		case tt.want == 0:
			if !isMalformed(err) {
				t.Errorf("%q × %q: %v", tt.capacity, tt.units, err)
			}
		case err != nil || d.Disks[0].Capacity != tt.want:
			t.Errorf("%q × %q: %+v, %v; want %d", tt.capacity, tt.units, d, err, tt.want)
		}
	}
}

// TestHostile (S-139, S-153): what is wrong about disks is refused, and quickly.
func TestHostile(t *testing.T) {
	ok := file("f1", "a.vmdk")
	for name, tt := range map[string]struct {
		text  string
		limit bool
	}{
		"nothing":              {"", false},
		"no XML":               {"hello", false},
		"cut":                  {text(ok, "", "")[:300], false},
		"another root":         {"<x/>", false},
		"two roots":            {text(ok, "", "") + "<x/>", false},
		"text behind":          {text(ok, "", "") + "x", false},
		"document type":        {"<!DOCTYPE Envelope>" + text(ok, "", ""), false},
		"external entity":      {`<!DOCTYPE Envelope [<!ENTITY x SYSTEM "file:///etc/passwd">]>` + text(ok, "", "&x;"), false},
		"entities of entities": {`<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>` + text(ok, "", "&b;"), false},
		"unknown entity":       {text(ok, "", "&x;"), false},
		"unknown prefix":       {text(ok, "", "<x:y/>"), false},
		"other encoding":       {strings.Replace(text(ok, "", ""), "UTF-8", "UTF-16", 1), false},
		"file twice":           {text(ok+ok, "", ""), false},
		"name twice":           {text(ok+file("f2", "./a.vmdk"), "", ""), false},
		"file without name":    {text(`<File ovf:id="a"/>`, "", ""), false},
		"size of letters":      {text(`<File ovf:id="a" ovf:href="b" ovf:size="x"/>`, "", ""), false},
		"negative size":        {text(`<File ovf:id="a" ovf:href="b" ovf:size="-1"/>`, "", ""), false},
		"chunks of nothing":    {text(`<File ovf:id="a" ovf:href="b" ovf:chunkSize="0"/>`, "", ""), false},
		"disk twice":           {text(ok, diskOf("a", "f1", "")+diskOf("a", "f1", ""), ""), false},
		"unknown file":         {text(ok, diskOf("a", "f2", ""), ""), false},
		"unknown parent":       {text(ok, diskOf("a", "f1", `ovf:parentRef="b"`), ""), false},
		"deep":                 {text(ok, "", strings.Repeat("<a>", 70)+strings.Repeat("</a>", 70)), true},
		"deep collections":     {text(ok, "", strings.Repeat("<VirtualSystemCollection>", 500_000)), true},
		"long":                 {text(ok, "", strings.Repeat(" ", ovf.MaxBytes)), true},
		"many elements":        {text(ok, "", strings.Repeat("<a/>", 300_000)), true},
		"many files":           {text(manyFiles(1001), "", ""), true},
	} {
		start := time.Now()
		_, err := ovf.Parse([]byte(tt.text))
		if tt.limit && !isLimit(err) || !tt.limit && !isMalformed(err) {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%s took %s", name, took)
		}
	}
}

func manyFiles(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(file(fmt.Sprint("f", i), fmt.Sprint("a", i)))
	}
	return b.String()
}

// TestComments: a text in many pieces takes no more than one in one piece.
func TestComments(t *testing.T) {
	start := time.Now()
	d, err := ovf.Parse([]byte(text("", "", machine("<Name>"+strings.Repeat("x<!---->", 200_000)+"</Name>", "5 1"))))
	if err != nil || d.Systems[0].Name != strings.Repeat("x", 200_000) {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}

// TestMemory (S-132): whatever the longest descriptor is full of, 256 MiB and
// 2 s of CPU are enough.
func TestMemory(t *testing.T) {
	var names strings.Builder
	for i := range 60_000 {
		fmt.Fprintf(&names, `<a xmlns:a%d="%d"/>`, i, i)
	}
	for what, s := range map[string]string{
		"attributes": text("", "", "<a "+strings.Repeat(`a="" `, (ovf.MaxBytes-600)/5)+"/>"),
		"elements":   text("", "", strings.Repeat("<a/>", 99_000)),
		"namespaces": text("", "", names.String()),
	} {
		var before, after syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
			t.Fatal(err)
		}
		if _, err := ovf.Parse([]byte(s)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
			t.Fatal(err)
		}
		if cpu := time.Duration(after.Utime.Nano() - before.Utime.Nano()); cpu > 2*time.Second {
			t.Errorf("%s took %s", what, cpu)
		}
		if after.Maxrss > 256<<10 {
			t.Errorf("%s took %d MiB", what, after.Maxrss>>10)
		}
	}
}

// TestLocal: only plain names are those of the package.
func TestLocal(t *testing.T) {
	for href, want := range map[string]bool{
		"a.vmdk": true, "a b.vmdk": true, "../a.vmdk": false, "/etc/passwd": false, "http://x/a.vmdk": false, "file:a": false,
		`C:\a`: false, `a\b`: false, "d/a.vmdk": false, "": false, "..": false, ".": false, "a\x00b": false,
	} {
		f := ovf.File{Href: href}
		if f.Local() != want {
			t.Errorf("%q: %t", href, f.Local())
		}
	}
	d, err := ovf.Parse([]byte(text(file("f1", "http://example.org/a.vmdk"), diskOf("a", "f1", ""), machine("", "5 1"))))
	if err != nil || len(d.Warnings) != 1 {
		t.Error(d, err)
	}
}

func TestProbe(t *testing.T) {
	for head, want := range map[string]bool{
		text("", "", "")[:300]:            true,
		"\ufeff" + text("", "", "")[:300]: true,
		"<html>Envelope</html>":           false,
		"":                                false,
	} {
		if ovf.Probe([]byte(head)) != want {
			t.Errorf("%.40q: %t", head, !want)
		}
	}
}

func TestManifest(t *testing.T) {
	sum := strings.Repeat("0a", 32)
	for _, good := range []string{
		"SHA256(a.ovf)= " + sum + "\n", "SHA256 (a.ovf) = " + strings.ToUpper(sum) + "\r\n\r\n", "sha-256(a.ovf)=" + sum,
		"SHA1(a)= " + strings.Repeat("0", 40) + "\nSHA512(a (1).vmdk)= " + strings.Repeat("f", 128), "",
	} {
		m, err := ovf.ParseManifest([]byte(good))
		if err != nil || len(m.Sums) != strings.Count(good, "(")-strings.Count(good, " (1") {
			t.Errorf("%q: %+v, %v", good, m, err)
		}
		for _, s := range m.Sums {
			if got := s.New().Size() * 2; got != len(s.Hex) {
				t.Errorf("%+v: sums have %d digits", s, got)
			}
		}
	}
	for _, bad := range []string{
		"x", "SHA256(a)= 00", "SHA256(a) " + sum, "SHA256()= " + sum, "MD5(a)= " + strings.Repeat("0", 32), "SHA256(a)= " + strings.Repeat("zz", 32),
		"SHA256(a)= " + sum + "\nSHA256(a)= " + sum, strings.Repeat("\n", ovf.MaxManifest+1),
	} {
		_, err := ovf.ParseManifest([]byte(bad))
		var refused *disk.Refused
		if !isMalformed(err) && !errors.As(err, &refused) {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(text(file("f1", "a.vmdk"), diskOf("a", "f1", `ovf:capacityAllocationUnits="byte * 2^20"`), machine("<Name>x</Name>", "5 1", "17 5 disk/a 1 0"))))
	f.Add([]byte(text(file("f1", "../a"), diskOf("a", "", `ovf:parentRef="a"`), `<ProductSection><Property ovf:key="a.b" ovf:type="x"/></ProductSection>`)))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := ovf.Parse(b)
		var refused *disk.Refused
		if err != nil {
			if !isMalformed(err) && !errors.As(err, &refused) {
				t.Errorf("%v is no error of ours", err)
			}
			return
		}
		for _, k := range d.Disks {
			if k.FileRef != "" && d.File(k.FileRef) == nil || k.Capacity < ovf.Unknown || k.Units <= 0 {
				t.Errorf("%+v", k)
			}
		}
		d.Boot()
	})
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte("SHA256 (a) = " + strings.Repeat("0a", 32) + "\nSHA1(b)= " + strings.Repeat("0", 40)))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ovf.ParseManifest(b)
		if err != nil {
			return
		}
		for _, s := range m.Sums {
			s.New()
		}
	})
}
