package osinfo_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"kuva/guest/fact"
	"kuva/guest/guesttest"
	"kuva/guest/osinfo"
)

func gather(t *testing.T, files guesttest.Files, before ...func(f *fact.Facts)) (*fact.Facts, []osinfo.Note) {
	t.Helper()
	g := &osinfo.Guest{FS: guesttest.Root(files, nil), Facts: &fact.Facts{}}
	for _, f := range before {
		f(g.Facts)
	}
	if err := osinfo.Gather(g); err != nil {
		t.Fatal(err)
	}
	return g.Facts, g.Notes
}

// elf is the start of a program for x86-64.
const elf = "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00\x3e\x00"

var debian = guesttest.Files{
	"usr/bin/dash":                         elf,
	"bin":                                  "-> usr/bin",
	"usr/bin/sh":                           "-> dash",
	"sbin/init":                            "-> /lib/systemd/systemd",
	"etc/localtime":                        "-> /usr/share/zoneinfo/America/Sao_Paulo",
	"etc/hostname":                         "web01\n",
	"etc/os-release":                       "-> ../usr/lib/os-release",
	"usr/lib/os-release":                   "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nID=debian\n",
	"etc/debian_version":                   "12.5\n",
	"etc/fstab":                            "# root\nUUID=abcd / ext4 defaults 0 1\n/dev/sdb1 /srv\\040data xfs nofail 0 2\n",
	"etc/crypttab":                         "secret UUID=ffff none luks\n",
	"boot/grub/grub.cfg":                   "set default=0\nmenuentry 'Debian' --class debian {\n  search --fs-uuid abcd\n  linux /boot/vmlinuz-6.1.0-18 root=UUID=abcd ro quiet\n  initrd /boot/initrd.img-6.1.0-18\n}\nmenuentry \"Old\" {\n linux /boot/vmlinuz-5.10.0-1 root=/dev/sda1 ro\n}\n",
	"boot/vmlinuz-6.1.0-18":                "kernel",
	"boot/vmlinuz-5.10.0-1":                "kernel",
	"boot/initrd.img-6.1.0-18":             "",
	"lib/modules/6.1.0-18/modules.builtin": "kernel/drivers/virtio/virtio_pci.ko\n",
	"lib/modules/6.1.0-18/modules.dep":     "kernel/drivers/block/virtio_blk.ko.xz: kernel/x.ko\nkernel/drivers/net/virtio_net.ko:\n",
	"var/lib/dpkg/status":                  "Package: openssh-server\nStatus: install ok installed\nArchitecture: amd64\nSource: openssh (1)\nVersion: 1:9.2p1-2\nDescription: x\n Package: none\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n\nPackage: cloud-init\nStatus: install ok installed\nVersion: 22.4.2-1\n",
	"etc/passwd":                           "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/usr/sbin:/usr/sbin/nologin\ndebian:x:1000:1000::/home/debian:/bin/bash\nalice:x:1001:1001::/home/alice:/bin/sh\npostgres:x:110:110::/var/lib/postgresql:/bin/bash\n",
	"etc/shadow":                           "root:*:1:0:9:7:::\ndebian:!:1::::::\nalice:$y$j9T$abc$def:1::::::\npostgres:*:1::::::\n",
	"etc/group":                            "sudo:x:27:alice\n",
	"etc/sudoers":                          "Defaults env_reset\nroot ALL=(ALL:ALL) ALL\n%sudo ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n",
	"home/alice/.ssh/authorized_keys":      "# mine\nssh-ed25519 AAAA alice\n",
	"home/alice/notes":                     "0123456789",
	"etc/systemd/system/multi-user.target.wants/ssh.service": "-> /lib/systemd/system/ssh.service",
	"etc/systemd/system/apache2.service":                     "-> /dev/null",
	"etc/network/interfaces":                                 "source /etc/network/interfaces.d/*\nauto lo\niface lo inet loopback\nallow-hotplug eth0\niface eth0 inet static\n  address 10.1.2.3/24\n  gateway 10.1.2.1\n  dns-nameservers 10.1.2.2 9.9.9.9\n  hwaddress ether 00:0c:29:01:02:03\niface eth1 inet dhcp\n",
	"etc/netplan/50-cloud-init.yaml":                         "network:\n  version: 2\n  ethernets:\n    ens3:\n      dhcp4: true\n      match: {macaddress: 'fa:16:3e:00:00:01'}\n",
	"etc/cloud/cloud.cfg":                                    "datasource_list: [NoCloud, ConfigDrive]\ncloud_init_modules:\n - ssh\n - [bootcmd, always]\nsystem_info:\n  default_user: {name: debian}\n",
	"etc/cloud/cloud.cfg.d/99.cfg":                           "bootcmd:\n - [sed, -i, s/a/b/, /var/www/index.html]\n - echo hi\nnetwork: {config: disabled}\n",
	"var/lib/cloud/data/instance-id":                         "i-0123\n",
	"var/lib/cloud/instances/i-0123/":                        "",
}

func TestDebian(t *testing.T) {
	files := guesttest.Files{}
	for k, v := range debian {
		files[k] = v
	}
	// Plain microcode, then a packed archive, as update-initramfs makes.
	var packed bytes.Buffer
	z, _ := zstd.NewWriter(&packed)
	z.Write(cpio("usr", "usr/lib/modules/6.1.0-18/kernel/drivers/net/virtio_net.ko", "usr/lib/modules/6.1.0-18/kernel/drivers/block/virtio_blk.ko.xz"))
	z.Close()
	files["boot/initrd.img-6.1.0-18"] = string(cpio("kernel/x86/microcode/GenuineIntel.bin")) + strings.Repeat("\x00", 512) + packed.String()

	f, notes := gather(t, files, func(f *fact.Facts) {
		f.Filesystems = []fact.Filesystem{{Device: "1", UUID: "ABCD"}}
		f.Partitions = []fact.Partition{{Number: 1}}
	})
	if len(notes) > 0 {
		t.Errorf("notes: %+v", notes)
	}
	same(t, f.OS, &fact.OS{
		Family: "linux", Distro: "debian", Name: "Debian GNU/Linux 12 (bookworm)", Version: "12.5", Codename: "bookworm",
		Arch: "x86_64", Hostname: "web01", Packager: "dpkg", Init: "systemd", Timezone: "America/Sao_Paulo",
	})
	same(t, f.Mounts, []fact.Mount{
		{Spec: "UUID=abcd", Target: "/", Type: "ext4", Options: "defaults", File: "/etc/fstab", Line: 2, Found: true},
		{Spec: "/dev/sdb1", Target: "/srv data", Type: "xfs", Options: "nofail", File: "/etc/fstab", Line: 3},
		{Spec: "UUID=ffff", Target: "/dev/mapper/secret", Type: "crypt", Options: "luks", File: "/etc/crypttab", Line: 1},
	})
	same(t, f.Boot, fact.Boot{Loader: "grub2", Entries: []fact.BootEntry{
		{Title: "Debian", Kernel: "/boot/vmlinuz-6.1.0-18", Initrd: "/boot/initrd.img-6.1.0-18", Options: "root=UUID=abcd ro quiet", File: "/boot/grub/grub.cfg", Line: 4, Default: true},
		{Title: "Old", Kernel: "/boot/vmlinuz-5.10.0-1", Options: "root=/dev/sda1 ro", File: "/boot/grub/grub.cfg", Line: 8},
	}})
	same(t, f.Kernels[1], fact.Kernel{
		Version: "6.1.0-18", Image: "/boot/vmlinuz-6.1.0-18", Initrd: "/boot/initrd.img-6.1.0-18", Modules: "/lib/modules/6.1.0-18", Default: true,
		Virtio: []fact.Driver{
			{Name: "virtio_pci", Builtin: true},
			{Name: "virtio_blk", Modules: true, Initrd: true},
			{Name: "virtio_scsi"},
			{Name: "virtio_net", Modules: true, Initrd: true},
			{Name: "ata_piix"},
			{Name: "ahci"},
		},
	})
	same(t, f.Packages, []fact.Package{
		{Name: "openssh-server", Version: "1:9.2p1-2", Arch: "amd64", Source: "openssh"}, {Name: "cloud-init", Version: "22.4.2-1"},
	})
	same(t, f.Users, []fact.User{
		{Name: "root", Home: "/root", Shell: "/bin/bash", Password: "none", Sudo: true, HomeSize: -1},
		{Name: "debian", UID: 1000, Home: "/home/debian", Shell: "/bin/bash", Password: "locked", HomeSize: -1, Default: true},
		{Name: "alice", UID: 1001, Home: "/home/alice", Shell: "/bin/sh", Password: "set", Keys: 1, Sudo: true, HomeSize: 40},
	})
	same(t, f.Services, []fact.Service{
		{Name: "apache2.service", Masked: true, File: "/etc/systemd/system/apache2.service"},
		{Name: "ssh.service", Enabled: true, File: "/etc/systemd/system/multi-user.target.wants/ssh.service"},
	})
	same(t, f.Network, fact.Network{Renderers: []string{"ifupdown", "netplan"}, Interfaces: []fact.Interface{
		{Name: "eth0", Method: "static", Addresses: []string{"10.1.2.3/24"}, Gateway: "10.1.2.1", DNS: []string{"10.1.2.2", "9.9.9.9"}, MAC: "00:0c:29:01:02:03", Renderer: "ifupdown", File: "/etc/network/interfaces", Line: 5},
		{Name: "eth1", Method: "dhcp", Renderer: "ifupdown", File: "/etc/network/interfaces", Line: 10},
		{Name: "ens3", Method: "dhcp", MAC: "fa:16:3e:00:00:01", Renderer: "netplan", File: "/etc/netplan/50-cloud-init.yaml", Line: 4},
	}})
	same(t, f.CloudInit, &fact.CloudInit{
		Version: "22.4.2-1", Datasources: []string{"NoCloud", "ConfigDrive"}, DefaultUser: "debian", Modules: []string{"ssh", "bootcmd"},
		Bootcmd: []string{"sed -i s/a/b/ /var/www/index.html", "echo hi"},
		Files: []fact.ConfigFile{
			{Path: "/etc/cloud/cloud.cfg", Keys: []string{"cloud_init_modules", "datasource_list", "system_info"}},
			{Path: "/etc/cloud/cloud.cfg.d/99.cfg", Keys: []string{"bootcmd", "network"}},
		},
		NetworkDisabled: true, InstanceID: "i-0123",
		State: []string{"/var/lib/cloud/data/instance-id", "/var/lib/cloud/instances/i-0123"},
	})
}

func same(t *testing.T, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

// cpio makes an archive in the "newc" format.
func cpio(names ...string) []byte {
	var b bytes.Buffer
	for _, n := range append(names, "TRAILER!!!") {
		data := ""
		if strings.Contains(n, ".") && n != "TRAILER!!!" {
			data = "content of " + n
		}
		fmt.Fprintf(&b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", 1, 0o100644, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(n)+1, 0)
		b.WriteString(n + "\x00")
		b.Write(make([]byte, -b.Len()&3))
		b.WriteString(data)
		b.Write(make([]byte, -b.Len()&3))
	}
	return b.Bytes()
}

// Other systems by what names them.
func TestReleases(t *testing.T) {
	for _, c := range []struct {
		files                 guesttest.Files
		distro, version, name string
	}{
		{guesttest.Files{"etc/redhat-release": "CentOS release 6.10 (Final)\n"}, "centos", "6.10", "CentOS release 6.10"},
		{guesttest.Files{"etc/oracle-release": "Oracle Linux Server release 6.9\n", "etc/redhat-release": "Red Hat Enterprise Linux Server release 6.9 (Santiago)\n"}, "ol", "6.9", "Oracle Linux Server release 6.9"},
		{guesttest.Files{"etc/os-release": "ID=\"centos\"\nVERSION_ID=\"7\"\nPRETTY_NAME=\"CentOS Linux 7 (Core)\"\n", "etc/centos-release": "CentOS Linux release 7.9.2009 (Core)\n"}, "centos", "7.9.2009", "CentOS Linux 7 (Core)"},
		{guesttest.Files{"etc/os-release": "ID=alpine\nVERSION_ID=3.19.1\nPRETTY_NAME=\"Alpine Linux v3.19\"\n"}, "alpine", "3.19.1", "Alpine Linux v3.19"},
		{guesttest.Files{"etc/os-release": "ID=arch\nNAME='Arch Linux'\nBUILD_ID=rolling\n"}, "arch", "", "Arch Linux"},
		{guesttest.Files{"sbin/init": "x", "etc/passwd": "root"}, "linux", "", "Linux"},
	} {
		f, _ := gather(t, c.files)
		if f.OS == nil || f.OS.Distro != c.distro || f.OS.Version != c.version || f.OS.Name != c.name {
			t.Errorf("%v: %+v", c.files, f.OS)
		}
	}
	if f, _ := gather(t, guesttest.Files{"lost+found/": ""}); f.OS != nil {
		t.Errorf("a data disk is %+v", f.OS)
	}
}

// Files that break their rules cost a fact and leave a note.
func TestDamage(t *testing.T) {
	f, notes := gather(t, guesttest.Files{
		"etc/os-release":         "ID=debian",
		"boot/vmlinuz-6.1":       "x",
		"boot/initrd.img-6.1":    "junk that is no archive",
		"etc/netplan/bad.yaml":   "a: [\n",
		"etc/netplan/bomb.yaml":  "a: &a [x]\n" + strings.Repeat("b: *a\n", 100),
		"etc/cloud/cloud.cfg":    "\t bad: [yaml",
		"etc/passwd":             "root:x:0\n:::::::\nx:y:z:1:2:3:4:5\n",
		"var/lib/dpkg/status":    "\x00\xff: \n\n\n",
		"etc/network/interfaces": "iface\niface eth0\niface eth0 inet\n",
	})
	for _, want := range []string{"initrd", "netplan"} {
		if !slices.ContainsFunc(notes, func(n osinfo.Note) bool { return n.Step == want && n.Path != "" }) {
			t.Errorf("no note of %s in %+v", want, notes)
		}
	}
	if f.CloudInit == nil || f.CloudInit.Files[0].Error == "" {
		t.Errorf("cloud-init: %+v", f.CloudInit)
	}
}
