package source_test

import (
	"archive/zip"
	"crypto/sha1"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kuva/disk"
	"kuva/disk/disktest"
	"kuva/disk/formats"
	"kuva/disk/source"
	"kuva/internal/testkit"
)

// virtualBox is what VirtualBox 7 exports, shortened: two controllers with a
// drive for discs on the first, a machine of its own form at the end, sizes of
// files left out.
const virtualBox = `<?xml version="1.0"?>
<Envelope ovf:version="1.0" xml:lang="en-US" xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:vbox="http://www.virtualbox.org/ovf/machine">
  <References>
    <File ovf:id="file1" ovf:href="My VM-disk001.vmdk"/>
    <File ovf:id="file2" ovf:href="My VM-disk002.vmdk"/>
  </References>
  <DiskSection>
    <Info>List of the virtual disks used in the package</Info>
    <Disk ovf:capacity="3145728" ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized" vbox:uuid="d3b0a2c4-6b0f-4c0c-9c56-4b5d7a4f0001"/>
    <Disk ovf:capacity="3145728" ovf:diskId="vmdisk2" ovf:fileRef="file2" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized" vbox:uuid="d3b0a2c4-6b0f-4c0c-9c56-4b5d7a4f0002"/>
  </DiskSection>
  <VirtualSystem ovf:id="My VM">
    <Info>A virtual machine</Info>
    <OperatingSystemSection ovf:id="96">
      <Info>The kind of installed guest operating system</Info>
      <Description>Debian_64</Description>
      <vbox:OSType ovf:required="false">Debian_64</vbox:OSType>
    </OperatingSystemSection>
    <VirtualHardwareSection>
      <Info>Virtual hardware requirements for a virtual machine</Info>
      <System><vssd:ElementName>Virtual Hardware Family</vssd:ElementName><vssd:InstanceID>0</vssd:InstanceID><vssd:VirtualSystemIdentifier>My VM</vssd:VirtualSystemIdentifier><vssd:VirtualSystemType>virtualbox-2.2</vssd:VirtualSystemType></System>
      <Item><rasd:Caption>2 virtual CPU</rasd:Caption><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>
      <Item><rasd:AllocationUnits>MegaBytes</rasd:AllocationUnits><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>1024</rasd:VirtualQuantity></Item>
      <Item><rasd:Address>0</rasd:Address><rasd:Caption>ideController0</rasd:Caption><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceSubType>PIIX4</rasd:ResourceSubType><rasd:ResourceType>5</rasd:ResourceType></Item>
      <Item><rasd:Address>0</rasd:Address><rasd:Caption>sataController0</rasd:Caption><rasd:InstanceID>5</rasd:InstanceID><rasd:ResourceSubType>AHCI</rasd:ResourceSubType><rasd:ResourceType>20</rasd:ResourceType></Item>
      <Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:AutomaticAllocation>true</rasd:AutomaticAllocation><rasd:Caption>cdrom1</rasd:Caption><rasd:InstanceID>8</rasd:InstanceID><rasd:Parent>3</rasd:Parent><rasd:ResourceType>15</rasd:ResourceType></Item>
      <Item><rasd:AddressOnParent>1</rasd:AddressOnParent><rasd:Caption>disk1</rasd:Caption><rasd:HostResource>/disk/vmdisk1</rasd:HostResource><rasd:InstanceID>9</rasd:InstanceID><rasd:Parent>5</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
      <Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:Caption>disk2</rasd:Caption><rasd:HostResource>/disk/vmdisk2</rasd:HostResource><rasd:InstanceID>10</rasd:InstanceID><rasd:Parent>5</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
    </VirtualHardwareSection>
    <vbox:Machine ovf:required="false" version="1.19-linux" uuid="{d3b0a2c4-6b0f-4c0c-9c56-4b5d7a4f0003}" name="My VM" OSType="Debian_64">
      <ovf:Info>Complete VirtualBox machine configuration in VirtualBox format</ovf:Info>
      <StorageControllers><StorageController name="SATA" type="AHCI" PortCount="2"/></StorageControllers>
    </vbox:Machine>
  </VirtualSystem>
</Envelope>
`

// TestVirtualBox reads a package in VirtualBox's layout, with disks that
// qemu-img made and a manifest of SHA-1.
func TestVirtualBox(t *testing.T) {
	testkit.Need(t, "qemu-img")
	dir := t.TempDir()
	disks := []disk.Disk{sample(11), sample(12)}
	members := []member{{"My VM.ovf", []byte(virtualBox)}}
	for i, d := range disks {
		plain, vmdk := filepath.Join(dir, "raw"), filepath.Join(dir, "vmdk")
		disktest.WriteFile(t, plain, d)
		disktest.MustQEMU(t, "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized", plain, vmdk)
		b, err := os.ReadFile(vmdk)
		if err != nil {
			t.Fatal(err)
		}
		members = append(members, member{fmt.Sprintf("My VM-disk%03d.vmdk", i+1), b})
	}
	var sums strings.Builder
	for _, m := range members {
		fmt.Fprintf(&sums, "SHA1 (%s) = %x\n", m.name, sha1.Sum(m.body))
	}
	file := tarOf(t, append(members, member{"My VM.mf", []byte(sums.String())})...)
	for choice, want := range []disk.Disk{disks[1], disks[0], disks[1]} {
		s, err := open(t, file, source.Options{Choice: choice})
		if err != nil {
			t.Fatal(err)
		}
		if off, err := disk.Compare(t.Context(), s.Disk, want); off >= 0 || err != nil {
			t.Errorf("choice %d: differs at %d, %v", choice, off, err)
		}
		if n, err := s.Verify(t.Context()); n != 3 || err != nil {
			t.Errorf("%d files were compared, %v", n, err)
		}
		if m := s.Descriptor.Systems[0]; m.CPUs != 2 || m.Memory != 1<<30 || m.OSType != "Debian_64" || !s.Choices[1].Boot || s.Choices[0].Boot {
			t.Errorf("%+v, %+v", m, s.Choices)
		}
	}
}

// TestRandom takes random disks through random layers.
func TestRandom(t *testing.T) {
	programs := map[string][]string{"gzip": {"-1"}, "xz": {"-0"}, "bzip2": {"-1"}, "zstd": {"-1"}}
	var names []string
	for name := range programs {
		testkit.Need(t, name)
		names = append(names, name)
	}
	start := rand.Uint64N(1 << 40)
	for n := range uint64(80) {
		seed := start + n
		rng := rand.New(rand.NewPCG(seed, 0))
		src := disktest.RandomDisk(512*(1+rng.Int64N(1<<rng.IntN(11))), seed)
		var b []byte
		var layers []string
		switch f := append(formats.All[:len(formats.All):len(formats.All)], formats.Packages...)[rng.IntN(len(formats.All)+len(formats.Packages))]; {
		case f.Layout != nil:
			b, layers = file(t, f.Name, src), []string{f.Name}
		case f.Stream != nil:
			b = streamed(t, f.Name, src)
			layers = map[string][]string{"raw.gz": {"gzip", "raw"}, "raw.zst": {"zstd", "raw"}, "ova": {"ova", "vmdk"}}[f.Name]
		default:
			continue // ISO
		}
		if rng.IntN(2) == 0 && len(layers) == 1 {
			m := []member{{"x/disk.img", b}, {"notes.txt", []byte("notes")}}
			switch rng.IntN(3) {
			case 0:
				b, layers = tarOf(t, m...), append([]string{"tar"}, layers...)
			case 1:
				b, layers = zipOf(t, zip.Store, m...), append([]string{"zip"}, layers...)
			case 2:
				b, layers = zipOf(t, zip.Deflate, m...), append([]string{"zip"}, layers...)
			}
		}
		if name := names[rng.IntN(len(names))]; rng.IntN(2) == 0 && layers[0] != "gzip" && layers[0] != "zstd" {
			cmd := exec.Command(testkit.Program(name), append(programs[name], "-c")...)
			cmd.Stdin = strings.NewReader(string(b))
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(name, err)
			}
			b, layers = out, append([]string{name}, layers...)
		}
		s, err := open(t, b, source.Options{})
		if err != nil {
			t.Fatalf("seed %d, %q: %v", seed, layers, err)
		}
		if off, err := disk.Compare(t.Context(), s.Disk, src); off >= 0 || err != nil || strings.Join(s.Layers, " ") != strings.Join(layers, " ") {
			t.Fatalf("seed %d, %q: differs at %d, %v; found %q", seed, layers, off, err, s.Layers)
		}
	}
}
