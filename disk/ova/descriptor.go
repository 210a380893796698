package ova

import (
	"bytes"
	"encoding/xml"
	"math"
	"strconv"
	"strings"
	"text/template"

	"kuva/disk"
	"kuva/disk/internal/blocks"
)

var settings = []disk.Setting{
	{Key: "name", Help: "name of the machine, of up to 80 bytes; names of files follow from it; default image"},
	{Key: "os_id", Help: "kind of the guest by CIM's number; default 101 (Linux, 64 bit)"},
	{Key: "os_type", Help: "kind of the guest in VirtualBox's words; default Linux_64"},
	{Key: "cpus", Help: "number of processors, 1 to 1024; default 1"},
	{Key: "memory", Help: "bytes of memory in whole MiB, 1M to 64T; default 1G"},
	{Key: "controller", Help: "sata (default), ide or scsi: what the disk hangs on"},
	{Key: "firmware", Help: "bios (default) or efi; VMware reads it"},
	blocks.UUIDSetting,
}

const diskSuffix = "-disk001.vmdk"

// controller of the disk: its words in the descriptor, and in the VMDK.
type controller struct {
	Name, Text, Type, Subtype string
	adapter                   string
}

var controllers = map[string]controller{
	"sata": {"sataController0", "SATA Controller", "20", "AHCI", "ide"},
	"ide":  {"ideController0", "IDE Controller", "5", "PIIX4", "ide"},
	"scsi": {"scsiController0", "SCSI Controller", "6", "lsilogic", "lsilogic"},
}

// machine is what the descriptor tells.
type machine struct {
	name, base, osID, osType string
	cpus, memory             int64
	controller, firmware     string
	capacity                 int64
}

func parseSettings(s disk.Settings) (*machine, error) {
	if err := s.Known(name, settings); err != nil {
		return nil, err
	}
	text := func(key, def string) (string, error) {
		v, ok := s[key]
		if !ok {
			return def, nil
		}
		if v == "" || len(v) > 80 || strings.ToValidUTF8(v, "") != v || strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFE' || r == '\uFFFF' }) {
			return "", disk.Refuse(name, disk.ReasonSetting, "%s=%s is empty, longer than 80 bytes, or no plain text", key, disk.Quote([]byte(v)))
		}
		return v, nil
	}
	number := func(key string, def, most int64) (int64, error) {
		v, ok := s[key]
		if !ok {
			return def, nil
		}
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < 1 || n > most {
			return 0, disk.Refuse(name, disk.ReasonSetting, "%s=%s is no number of 1 to %d", key, disk.Quote([]byte(v)), most)
		}
		return n, nil
	}
	m := &machine{}
	var err error
	if m.name, err = text("name", "image"); err != nil {
		return nil, err
	}
	m.base = fileName(m.name)
	osID, err := number("os_id", 101, math.MaxUint16)
	if err != nil {
		return nil, err
	}
	m.osID = strconv.FormatInt(osID, 10)
	if m.osType, err = text("os_type", "Linux_64"); err != nil {
		return nil, err
	}
	if m.cpus, err = number("cpus", 1, 1024); err != nil {
		return nil, err
	}
	if m.memory, err = s.Bytes(name, "memory", 1<<30); err != nil {
		return nil, err
	}
	if m.memory < 1<<20 || m.memory > 64<<40 || m.memory%(1<<20) != 0 {
		return nil, disk.Refuse(name, disk.ReasonSetting, "memory=%q is no number of whole MiB up to 64 TiB", s["memory"])
	}
	if m.controller, err = s.OneOf(name, "controller", "sata", "ide", "scsi"); err != nil {
		return nil, err
	}
	m.firmware, err = s.OneOf(name, "firmware", "bios", "efi")
	return m, err
}

// fileName makes of a machine's name one that fits files everywhere: letters,
// digits, dots, dashes and underscores, and none but a letter or digit first.
func fileName(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_':
			return r
		}
		return '-'
	}, s)
	if s = strings.Trim(s, ".-_"); s == "" {
		return "image"
	}
	return s
}

// descriptor writes the machine around a VMDK of size bytes. It is filled up
// with blanks, so that its length does not depend on the size.
func (m *machine) descriptor(size int64) []byte {
	text := m.render(size)
	return append(text, bytes.Repeat([]byte{'\n'}, len(m.render(math.MaxInt64))-len(text))...)
}

func (m *machine) render(size int64) []byte {
	var b bytes.Buffer
	err := descriptorText.Execute(&b, map[string]any{
		"Name": m.name, "Base": m.base, "Disk": m.base + diskSuffix, "Size": size, "Capacity": m.capacity,
		"OSID": m.osID, "OSType": m.osType, "CPUs": m.cpus, "MiB": m.memory >> 20,
		"Controller": controllers[m.controller], "EFI": m.firmware == "efi",
	})
	if err != nil {
		panic(err) // the text is constant, and a buffer takes everything
	}
	return b.Bytes()
}

var descriptorText = template.Must(template.New("ovf").Funcs(template.FuncMap{
	"x": func(s string) (string, error) {
		var b strings.Builder
		err := xml.EscapeText(&b, []byte(s))
		return b.String(), err
	},
}).Parse(`<?xml version="1.0" encoding="UTF-8"?>
<Envelope ovf:version="1.0" xml:lang="en-US" xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData" xmlns:vmw="http://www.vmware.com/schema/ovf" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <References>
    <File ovf:href="{{x .Disk}}" ovf:id="file1" ovf:size="{{.Size}}"/>
  </References>
  <DiskSection>
    <Info>List of the virtual disks used in the package</Info>
    <Disk ovf:capacity="{{.Capacity}}" ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
  </DiskSection>
  <NetworkSection>
    <Info>Logical networks used in the package</Info>
    <Network ovf:name="NAT">
      <Description>Logical network used by this appliance.</Description>
    </Network>
  </NetworkSection>
  <VirtualSystem ovf:id="{{x .Base}}">
    <Info>A virtual machine</Info>
    <Name>{{x .Name}}</Name>
    <OperatingSystemSection ovf:id="{{.OSID}}">
      <Info>The kind of installed guest operating system</Info>
      <Description>{{x .OSType}}</Description>
    </OperatingSystemSection>
    <VirtualHardwareSection>
      <Info>Virtual hardware requirements for a virtual machine</Info>
      <System>
        <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemIdentifier>{{x .Base}}</vssd:VirtualSystemIdentifier>
        <vssd:VirtualSystemType>virtualbox-2.2 vmx-10</vssd:VirtualSystemType>
      </System>
      <Item>
        <rasd:Caption>{{.CPUs}} virtual CPU</rasd:Caption>
        <rasd:Description>Number of virtual CPUs</rasd:Description>
        <rasd:ElementName>{{.CPUs}} virtual CPU</rasd:ElementName>
        <rasd:InstanceID>1</rasd:InstanceID>
        <rasd:ResourceType>3</rasd:ResourceType>
        <rasd:VirtualQuantity>{{.CPUs}}</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits>
        <rasd:Caption>{{.MiB}} MB of memory</rasd:Caption>
        <rasd:Description>Memory Size</rasd:Description>
        <rasd:ElementName>{{.MiB}} MB of memory</rasd:ElementName>
        <rasd:InstanceID>2</rasd:InstanceID>
        <rasd:ResourceType>4</rasd:ResourceType>
        <rasd:VirtualQuantity>{{.MiB}}</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:Address>0</rasd:Address>
        <rasd:Caption>{{.Controller.Name}}</rasd:Caption>
        <rasd:Description>{{.Controller.Text}}</rasd:Description>
        <rasd:ElementName>{{.Controller.Name}}</rasd:ElementName>
        <rasd:InstanceID>3</rasd:InstanceID>
        <rasd:ResourceSubType>{{.Controller.Subtype}}</rasd:ResourceSubType>
        <rasd:ResourceType>{{.Controller.Type}}</rasd:ResourceType>
      </Item>
      <Item>
        <rasd:AddressOnParent>0</rasd:AddressOnParent>
        <rasd:Caption>disk1</rasd:Caption>
        <rasd:Description>Disk Image</rasd:Description>
        <rasd:ElementName>disk1</rasd:ElementName>
        <rasd:HostResource>ovf:/disk/vmdisk1</rasd:HostResource>
        <rasd:InstanceID>4</rasd:InstanceID>
        <rasd:Parent>3</rasd:Parent>
        <rasd:ResourceType>17</rasd:ResourceType>
      </Item>
      <Item>
        <rasd:AutomaticAllocation>true</rasd:AutomaticAllocation>
        <rasd:Caption>Ethernet adapter on 'NAT'</rasd:Caption>
        <rasd:Connection>NAT</rasd:Connection>
        <rasd:ElementName>Ethernet adapter on 'NAT'</rasd:ElementName>
        <rasd:InstanceID>5</rasd:InstanceID>
        <rasd:ResourceSubType>E1000</rasd:ResourceSubType>
        <rasd:ResourceType>10</rasd:ResourceType>
      </Item>{{if .EFI}}
      <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="efi"/>{{end}}
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
`))
