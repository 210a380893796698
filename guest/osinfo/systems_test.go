package osinfo_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"kuva/guest/fact"
	"kuva/guest/guesttest"
	"kuva/guest/regf/regftest"
)

// bzImage is the start of a kernel for PCs, with its version.
func bzImage(version string) string {
	b := make([]byte, 0x240)
	copy(b[0x202:], "HdrS")
	binary.LittleEndian.PutUint16(b[0x20e:], 0x40)
	return string(b) + version + " (builder@example) #1 SMP\x00"
}

// initrd packs an initrd with virtio's drivers as a distribution does.
func initrd(t *testing.T, packing, version string) string {
	t.Helper()
	plain := cpio("usr", "usr/lib/modules/"+version+"/kernel/drivers/block/virtio_blk.ko", "usr/lib/modules/"+version+"/kernel/drivers/virtio/virtio_pci.ko.xz")
	var b bytes.Buffer
	switch packing {
	case "gzip":
		w := gzip.NewWriter(&b)
		w.Write(plain)
		w.Close()
	case "xz":
		w, err := xz.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(plain)
		w.Close()
	case "zstd":
		w, _ := zstd.NewWriter(&b)
		w.Write(plain)
		w.Close()
	case "lz4":
		b.Write(lz4Frame(plain))
	default:
		t.Fatalf("packing %q", packing)
	}
	return b.String()
}

// lz4Frame is a legacy frame of one block that is all literals.
func lz4Frame(b []byte) []byte {
	block := []byte{0xf0}
	rest := len(b) - 15
	for ; rest >= 255; rest -= 255 {
		block = append(block, 255)
	}
	block = append(append(block, byte(rest)), b...)
	out := binary.LittleEndian.AppendUint32([]byte{0x02, 0x21, 0x4c, 0x18}, uint32(len(block)))
	return append(out, block...)
}

// madeSystem is a made root and what should be told of it. The release files are
// those of the distributions; the databases of RPM are left out (rpmdb's tests
// have real ones), and so is the packager where it is RPM.
type madeSystem struct {
	name    string
	files   guesttest.Files
	kernel  string // version
	image   string // /boot/vmlinuz-VERSION
	initrd  string
	packing string // of the initrd
	want    fact.OS
	render  string // of the network
	loader  string
	user    string // of cloud-init, "" without
}

const (
	systemdInit = "-> ../lib/systemd/systemd"
	cloudCfg    = "datasource_list: [ConfigDrive, OpenStack]\nsystem_info:\n  default_user:\n    name: %s\n"
	dpkgStatus  = "Package: base-files\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n"
)

func debianSystem(version, point, codename, kernel, packing string, files guesttest.Files) madeSystem {
	s := madeSystem{
		name: "Debian " + version, kernel: kernel, image: "vmlinuz-" + kernel, initrd: "initrd.img-" + kernel, packing: packing,
		files: guesttest.Files{
			"etc/os-release":     fmt.Sprintf("PRETTY_NAME=\"Debian GNU/Linux %[1]s (%[2]s)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"%[1]s\"\nVERSION=\"%[1]s (%[2]s)\"\nVERSION_CODENAME=%[2]s\nID=debian\nHOME_URL=\"https://www.debian.org/\"\n", version, codename),
			"etc/debian_version": point + "\n", "sbin/init": "-> /lib/systemd/systemd", "lib/systemd/systemd": elf, "var/lib/dpkg/status": dpkgStatus,
			"boot/grub/grub.cfg": "menuentry 'Debian GNU/Linux' --class debian {\n\tlinux\t/boot/vmlinuz-" + kernel + " root=UUID=1 ro console=ttyS0\n\tinitrd\t/boot/initrd.img-" + kernel + "\n}\n",
		},
		want:   fact.OS{Distro: "debian", Version: point, Name: "Debian GNU/Linux " + version + " (" + codename + ")", Codename: codename, Packager: "dpkg", Init: "systemd"},
		render: "ifupdown", loader: "grub2", user: "debian",
	}
	maps.Copy(s.files, files)
	return s
}

func ubuntu(version, long, codename, kernel, packing string) madeSystem {
	s := debianSystem(version, "", codename, kernel, packing, guesttest.Files{
		"etc/os-release":                 fmt.Sprintf("PRETTY_NAME=\"Ubuntu %[2]s\"\nNAME=\"Ubuntu\"\nVERSION_ID=\"%[1]s\"\nVERSION_CODENAME=%[3]s\nID=ubuntu\nID_LIKE=debian\nUBUNTU_CODENAME=%[3]s\n", version, long, codename),
		"etc/debian_version":             "bookworm/sid\n",
		"etc/netplan/50-cloud-init.yaml": "# This file is generated\nnetwork:\n    ethernets:\n        ens3:\n            dhcp4: true\n            match:\n                macaddress: fa:16:3e:00:00:01\n            set-name: ens3\n    version: 2\n",
	})
	s.name, s.render, s.user = "Ubuntu "+version, "netplan", "ubuntu"
	s.want = fact.OS{Distro: "ubuntu", Like: "debian", Version: version, Name: "Ubuntu " + long, Codename: codename, Packager: "dpkg", Init: "systemd"}
	return s
}

// enterprise is one of the family of RHEL. From version 8 on the menu is in
// files of their own, where the rescue entry comes first by name.
func enterprise(name string, want fact.OS, release guesttest.Files, kernel, packing, user string) madeSystem {
	s := madeSystem{
		name: name, kernel: kernel, image: "vmlinuz-" + kernel, initrd: "initramfs-" + kernel + ".img", packing: packing, want: want, user: user,
		files: guesttest.Files{
			"boot/vmlinuz-0-rescue-4f3c": bzImage(kernel), "boot/initramfs-0-rescue-4f3c.img": "",
			"usr/lib/systemd/systemd": elf, "lib": "-> usr/lib", "sbin": "-> usr/sbin", "usr/sbin/init": systemdInit,
		},
	}
	s.want.Init = "systemd"
	switch major := want.Major(); {
	case major == 6:
		s.want.Init, s.loader, s.render = "upstart", "grub", "ifcfg"
		s.files = guesttest.Files{
			"sbin/init": elf, "sbin/initctl": elf, "etc/init/rcS.conf": "start on startup\n", "etc/inittab": "id:3:initdefault:\n",
			"boot/grub/grub.conf": "default=0\ntimeout=5\ntitle Server (" + kernel + ")\n\troot (hd0,0)\n\tkernel /vmlinuz-" + kernel + " ro root=/dev/mapper/vg-root\n\tinitrd /initramfs-" + kernel + ".img\n",
			"boot/grub/menu.lst":  "-> ./grub.conf",
		}
	case major == 7:
		s.loader, s.render = "grub2", "ifcfg"
		s.files["boot/grub2/grub.cfg"] = "menuentry 'Server' --class gnu-linux {\n\tlinux16 /boot/vmlinuz-" + kernel + " root=UUID=1 ro\n\tinitrd16 /boot/initramfs-" + kernel + ".img\n}\nmenuentry 'Rescue' {\n\tlinux16 /boot/vmlinuz-0-rescue-4f3c root=UUID=1\n}\n"
	default:
		s.loader, s.render = "grub2", "networkmanager"
		if major == 8 {
			s.render = "ifcfg"
		}
		s.files["boot/grub2/grub.cfg"] = "insmod blscfg\nblscfg\n"
		s.files["boot/grub2/grubenv"] = "# GRUB Environment Block\nkernelopts=root=UUID=1 ro \n"
		s.files["boot/loader/entries/4f3c-0-rescue.conf"] = "title Rescue\nversion 0-rescue-4f3c\nlinux /boot/vmlinuz-0-rescue-4f3c\ninitrd /boot/initramfs-0-rescue-4f3c.img\noptions $kernelopts\n"
		s.files["boot/loader/entries/4f3c-"+kernel+".conf"] = "title Server\nversion " + kernel + "\nlinux /boot/vmlinuz-" + kernel + "\ninitrd /boot/initramfs-" + kernel + ".img $tuned_initrd\noptions $kernelopts $tuned_params\n"
	}
	if s.render == "ifcfg" {
		s.files["etc/sysconfig/network-scripts/ifcfg-eth0"] = "DEVICE=\"eth0\"\nBOOTPROTO=\"dhcp\"\nONBOOT=\"yes\"\n"
		s.files["etc/sysconfig/network-scripts/ifcfg-lo"] = "DEVICE=lo\nIPADDR=127.0.0.1\n"
	} else {
		s.files["etc/NetworkManager/system-connections/eth0.nmconnection"] = "[connection]\nid=eth0\ntype=ethernet\n\n[ipv4]\nmethod=auto\n"
	}
	maps.Copy(s.files, release)
	return s
}

func release(id, version, pretty, like string) string {
	return fmt.Sprintf("NAME=\"%s\"\nID=\"%s\"\nID_LIKE=\"%s\"\nVERSION_ID=\"%s\"\nPRETTY_NAME=\"%[1]s\"\n", pretty, id, like, version)
}

func suseSystem(name, id, version, pretty, like, kernel string) madeSystem {
	return madeSystem{
		name: name, kernel: kernel, image: "vmlinuz-" + kernel, initrd: "initrd-" + kernel, packing: "xz",
		files: guesttest.Files{
			"etc/os-release": "-> ../usr/lib/os-release", "usr/lib/os-release": release(id, version, pretty, like),
			"usr/lib/systemd/systemd": elf, "usr/sbin/init": systemdInit, "sbin": "-> usr/sbin",
			"etc/sysconfig/network/ifcfg-eth0": "BOOTPROTO='dhcp'\nSTARTMODE='auto'\n", "etc/sysconfig/network/ifcfg.template": "BOOTPROTO=static\n",
			"boot/vmlinuz": "-> vmlinuz-" + kernel, "boot/initrd": "-> initrd-" + kernel,
			"boot/grub2/grub.cfg": "menuentry 'SUSE' {\n linux /boot/vmlinuz-" + kernel + " root=UUID=1\n initrd /boot/initrd-" + kernel + "\n}\n",
		},
		want:   fact.OS{Distro: id, Version: version, Name: pretty, Like: like, Init: "systemd"},
		render: "wicked", loader: "grub2", user: "sles",
	}
}

var systems = []madeSystem{
	debianSystem("10", "10.13", "buster", "4.19.0-26-cloud-amd64", "gzip", guesttest.Files{"etc/network/interfaces": "auto lo\niface lo inet loopback\nsource /etc/network/interfaces.d/*\n", "etc/network/interfaces.d/50-cloud-init": "auto eth0\niface eth0 inet dhcp\n"}),
	debianSystem("11", "11.9", "bullseye", "5.10.0-28-cloud-amd64", "gzip", guesttest.Files{"etc/network/interfaces.d/50-cloud-init": "auto eth0\niface eth0 inet dhcp\n"}),
	debianSystem("12", "12.5", "bookworm", "6.1.0-18-cloud-amd64", "zstd", guesttest.Files{"etc/network/interfaces": "allow-hotplug eth0\niface eth0 inet dhcp\n"}),
	ubuntu("18.04", "18.04.6 LTS", "bionic", "4.15.0-213-generic", "gzip"),
	ubuntu("20.04", "20.04.6 LTS", "focal", "5.4.0-172-generic", "lz4"),
	ubuntu("22.04", "22.04.4 LTS", "jammy", "5.15.0-97-generic", "zstd"),
	ubuntu("24.04", "24.04 LTS", "noble", "6.8.0-31-generic", "zstd"),
	enterprise("Oracle Linux 6", fact.OS{Distro: "ol", Version: "6.10", Name: "Oracle Linux Server 6.10"}, guesttest.Files{
		"etc/os-release":     "NAME=\"Oracle Linux Server\"\nVERSION=\"6.10\"\nID=\"ol\"\nVERSION_ID=\"6.10\"\nPRETTY_NAME=\"Oracle Linux Server 6.10\"\n",
		"etc/oracle-release": "Oracle Linux Server release 6.10\n", "etc/redhat-release": "Red Hat Enterprise Linux Server release 6.10 (Santiago)\n",
	}, "4.1.12-124.16.4.el6uek.x86_64", "gzip", "cloud-user"),
	enterprise("Oracle Linux 7", fact.OS{Distro: "ol", Like: "fedora", Version: "7.9", Name: "Oracle Linux Server 7.9"}, guesttest.Files{
		"etc/os-release": release("ol", "7.9", "Oracle Linux Server 7.9", "fedora"), "etc/oracle-release": "Oracle Linux Server release 7.9\n",
	}, "5.4.17-2136.328.3.el7uek.x86_64", "gzip", "cloud-user"),
	enterprise("Oracle Linux 8", fact.OS{Distro: "ol", Like: "fedora", Version: "8.9", Name: "Oracle Linux Server 8.9"}, guesttest.Files{
		"etc/os-release": release("ol", "8.9", "Oracle Linux Server 8.9", "fedora"), "etc/oracle-release": "Oracle Linux Server release 8.9\n",
	}, "5.15.0-204.147.6.2.el8uek.x86_64", "gzip", "cloud-user"),
	enterprise("CentOS 7", fact.OS{Distro: "centos", Like: "rhel fedora", Version: "7.9.2009", Name: "CentOS Linux 7 (Core)"}, guesttest.Files{
		"etc/os-release": release("centos", "7", "CentOS Linux 7 (Core)", "rhel fedora"), "etc/centos-release": "CentOS Linux release 7.9.2009 (Core)\n", "etc/redhat-release": "-> centos-release",
	}, "3.10.0-1160.108.1.el7.x86_64", "gzip", "centos"),
	enterprise("Rocky Linux 9", fact.OS{Distro: "rocky", Like: "rhel centos fedora", Version: "9.3", Name: "Rocky Linux 9.3 (Blue Onyx)"}, guesttest.Files{
		"etc/os-release": release("rocky", "9.3", "Rocky Linux 9.3 (Blue Onyx)", "rhel centos fedora"), "etc/rocky-release": "Rocky Linux release 9.3 (Blue Onyx)\n", "etc/redhat-release": "-> rocky-release",
	}, "5.14.0-362.18.1.el9_3.x86_64", "zstd", "rocky"),
	enterprise("Fedora 40", fact.OS{Distro: "fedora", Version: "40", Name: "Fedora Linux 40 (Cloud Edition)"}, guesttest.Files{
		"etc/os-release": release("fedora", "40", "Fedora Linux 40 (Cloud Edition)", ""), "etc/fedora-release": "Fedora release 40 (Forty)\n",
	}, "6.8.5-301.fc40.x86_64", "zstd", "fedora"),
	suseSystem("openSUSE Leap 15.5", "opensuse-leap", "15.5", "openSUSE Leap 15.5", "suse opensuse", "5.14.21-150500.55.49-default"),
	suseSystem("SLES 15 SP5", "sles", "15.5", "SUSE Linux Enterprise Server 15 SP5", "suse", "5.14.21-150500.55.49-default"),
	{
		name: "SLES 11 SP4", kernel: "3.0.101-63-default", image: "vmlinuz-3.0.101-63-default", initrd: "initrd-3.0.101-63-default", packing: "gzip",
		files: guesttest.Files{
			"etc/SuSE-release": "SUSE Linux Enterprise Server 11 (x86_64)\nVERSION = 11\nPATCHLEVEL = 4\n", "etc/inittab": "id:3:initdefault:\n", "sbin/init": elf,
			"boot/grub/menu.lst":               "default 0\ntitle SLES\n    root (hd0,0)\n    kernel /vmlinuz-3.0.101-63-default root=/dev/sda2\n    initrd /initrd-3.0.101-63-default\n",
			"etc/sysconfig/network/ifcfg-eth0": "BOOTPROTO='dhcp'\n",
		},
		want:   fact.OS{Distro: "sles", Version: "11.4", Name: "SUSE Linux Enterprise Server 11 (x86_64)", Init: "sysvinit"},
		render: "wicked", loader: "grub", // ifcfg files of the same kind, before wicked
	},
	{
		name: "Alpine 3.19", kernel: "6.6.14-0-virt", image: "vmlinuz-virt", initrd: "initramfs-virt", packing: "gzip",
		files: guesttest.Files{
			"etc/os-release": "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.19.1\nPRETTY_NAME=\"Alpine Linux v3.19\"\n", "etc/alpine-release": "3.19.1\n",
			"sbin/init": "-> /bin/busybox", "bin/busybox": elf, "sbin/openrc": elf, "lib/apk/db/installed": "P:musl\nV:1.2.4_git20230717-r4\nA:x86_64\n\n",
			"etc/network/interfaces": "auto eth0\niface eth0 inet dhcp\n",
			"boot/extlinux.conf":     "DEFAULT menu.c32\nLABEL virt\n  LINUX vmlinuz-virt\n  INITRD initramfs-virt\n  APPEND root=UUID=1 modules=ext4\n",
		},
		want:   fact.OS{Distro: "alpine", Version: "3.19.1", Name: "Alpine Linux v3.19", Packager: "apk", Init: "openrc"},
		render: "ifupdown", loader: "syslinux", user: "alpine",
	},
	{
		name: "Arch", kernel: "6.7.6-arch1-1", image: "vmlinuz-linux", initrd: "initramfs-linux.img", packing: "zstd",
		files: guesttest.Files{
			"etc/os-release": "NAME=\"Arch Linux\"\nPRETTY_NAME=\"Arch Linux\"\nID=arch\nBUILD_ID=rolling\n", "etc/arch-release": "",
			"usr/lib/systemd/systemd": elf, "usr/bin/init": systemdInit, "sbin": "-> usr/bin", "lib": "-> usr/lib",
			"var/lib/pacman/local/linux-6.7.6.arch1-1/desc": "%NAME%\nlinux\n\n%VERSION%\n6.7.6.arch1-1\n", "var/lib/pacman/local/ALPM_DB_VERSION": "9\n",
			"etc/systemd/network/20-ethernet.network": "[Match]\nName=en*\n\n[Network]\nDHCP=yes\n",
			"boot/loader/entries/arch.conf":           "title Arch\nlinux /vmlinuz-linux\ninitrd /initramfs-linux.img\noptions root=UUID=1 rw\n",
			"boot/initramfs-linux-fallback.img":       "",
		},
		want:   fact.OS{Distro: "arch", Name: "Arch Linux", Build: "rolling", Packager: "pacman", Init: "systemd"},
		render: "networkd", loader: "systemd-boot", user: "arch",
	},
}

// The entry that GRUB starts of files by themselves is the one that was saved,
// else the newest by its number.
func TestLoaderEntries(t *testing.T) {
	files := guesttest.Files{"etc/os-release": "ID=rocky\n"}
	for _, v := range []string{"0-rescue", "5.14.0-70.el9", "5.14.0-362.el9", "5.14.0-284.el9"} {
		files["boot/loader/entries/4f3c-"+v+".conf"] = "linux /boot/vmlinuz-" + v + "\n"
	}
	for env, want := range map[string]string{"": "5.14.0-362.el9", "saved_entry=4f3c-5.14.0-70.el9\n": "5.14.0-70.el9", "saved_entry=gone\n": "5.14.0-362.el9"} {
		files["boot/grub2/grubenv"] = "# GRUB Environment Block\n" + env
		f, _ := gather(t, files)
		for _, e := range f.Boot.Entries {
			if e.Default != (e.Kernel == "/boot/vmlinuz-"+want) {
				t.Errorf("%q: %+v", env, e)
			}
		}
		if len(f.Boot.Entries) != 4 {
			t.Errorf("%+v", f.Boot.Entries)
		}
	}
}

// What distributions look like, from the oldest that people still upload.
func TestSystems(t *testing.T) {
	for _, s := range systems {
		t.Run(s.name, func(t *testing.T) {
			s.files["bin/sh"] = elf
			s.files["boot/"+s.image] = bzImage(s.kernel)
			s.files["boot/"+s.initrd] = initrd(t, s.packing, s.kernel)
			modules := "lib/modules/"
			if _, linked := s.files["lib"]; linked {
				modules = "usr/lib/modules/"
			}
			s.files[modules+s.kernel+"/modules.dep"] = "kernel/drivers/net/virtio_net.ko.xz:\nkernel/drivers/scsi/virtio_scsi.ko:\n"
			if s.user != "" {
				s.files["etc/cloud/cloud.cfg"] = fmt.Sprintf(cloudCfg, s.user)
			}
			f, notes := gather(t, s.files)
			if len(notes) > 0 {
				t.Errorf("notes: %+v", notes)
			}
			s.want.Family, s.want.Arch = "linux", "x86_64"
			same(t, f.OS, &s.want)
			if len(f.Kernels) != 1 {
				t.Fatalf("kernels: %+v", f.Kernels)
			}
			k := f.Kernels[0]
			if k.Version != s.kernel || k.Image != "/boot/"+s.image || k.Initrd != "/boot/"+s.initrd || !k.Default || !strings.HasSuffix(k.Modules, "/"+s.kernel) {
				t.Errorf("kernel: %+v", k)
			}
			for _, d := range k.Virtio {
				early := d.Name == "virtio_blk" || d.Name == "virtio_pci"
				late := d.Name == "virtio_net" || d.Name == "virtio_scsi"
				if d.Initrd != early || d.Modules != late || d.InitrdUnknown || d.Builtin {
					t.Errorf("driver: %+v", d)
				}
			}
			if !slices.Equal(f.Network.Renderers, []string{s.render}) || len(f.Network.Interfaces) != 1 || f.Network.Interfaces[0].Method != fact.MethodDHCP {
				t.Errorf("network: %+v", f.Network)
			}
			if f.Boot.Loader != s.loader {
				t.Errorf("loader %q", f.Boot.Loader)
			}
			switch {
			case s.user == "" && f.CloudInit == nil:
			case s.user == "" || f.CloudInit == nil || f.CloudInit.DefaultUser != s.user || !slices.Equal(f.CloudInit.Datasources, []string{"ConfigDrive", "OpenStack"}):
				t.Errorf("cloud-init: %+v", f.CloudInit)
			}
		})
	}
}

// The registries of Windows Server, hand-made: what setup writes of a version.
func TestWindowsServers(t *testing.T) {
	for _, c := range []struct{ product, current, build, release, version string }{
		{"Windows Server 2012 Datacenter", "6.2", "9200", "", "2012"},
		{"Windows Server 2012 R2 Standard", "6.3", "9600", "", "2012 R2"},
		{"Windows Server 2016 Datacenter", "6.3", "14393", "1607", "2016"},
		{"Windows Server 2019 Standard", "6.3", "17763", "1809", "2019"},
		{"Windows Server 2022 Datacenter", "6.3", "20348", "21H2", "2022"},
	} {
		t.Run(c.version, func(t *testing.T) {
			reg := "[HKEY_LOCAL_MACHINE\\TEST\\Microsoft\\Windows NT\\CurrentVersion]\n"
			value := func(name, text string) { reg += fmt.Sprintf("%q=%q\n", name, text) }
			edition := "Server" + c.product[strings.LastIndexByte(c.product, ' ')+1:]
			value("ProductName", c.product)
			value("EditionID", edition)
			value("CurrentVersion", c.current)
			value("CurrentBuild", c.build)
			switch {
			case c.release == "21H2":
				value("DisplayVersion", c.release)
				value("ReleaseId", "2009")
			case c.release != "":
				value("ReleaseId", c.release)
			}
			reg += "\n[HKEY_LOCAL_MACHINE\\TEST\\Microsoft\\Windows\\CurrentVersion\\Setup\\State]\n\"ImageState\"=\"IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE\"\n\n"
			f, notes := gather(t, guesttest.Files{
				"Windows/System32/config/SOFTWARE":       string(regftest.Merge(t, reg)),
				"Windows/System32/config/SYSTEM":         string(regftest.Merge(t, system2012)),
				"Windows/System32/config/SAM":            string(regftest.Merge(t, strings.ReplaceAll(sam, "@REST@", strings.Repeat(",00", 40)))),
				"Windows/system32/drivers/vioscsi.sys":   "x",
				"Windows/system32/drivers/storahci.sys":  "x",
				"Windows/system32/drivers/unrelated.sys": "x",
			})
			if len(notes) > 0 {
				t.Errorf("notes: %+v", notes)
			}
			same(t, f.OS, &fact.OS{Family: "windows", Distro: "windows", Name: c.product, Version: c.version, Codename: c.release, Build: c.build, Arch: "x86_64", Hostname: "WIN-2"})
			same(t, f.Windows, &fact.Windows{
				Edition: edition, Sysprep: "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE",
				Drivers: []fact.WindowsDriver{{Name: "vioscsi", Found: true, Image: `System32\drivers\vioscsi.sys`}, {Name: "storahci", Found: true}, {Name: "vmci", Start: 3}},
				Adapters: []fact.Interface{{
					Name: "{C}", Method: "dhcp", Renderer: "windows", File: `ControlSet001\Services\Tcpip\Parameters\Interfaces\{C}`,
				}},
			})
		})
	}
}

const system2012 = `[HKEY_LOCAL_MACHINE\TEST\Select]
"Current"=dword:00000001

[HKEY_LOCAL_MACHINE\TEST\ControlSet001\Control\Session Manager\Environment]
"PROCESSOR_ARCHITECTURE"="AMD64"

[HKEY_LOCAL_MACHINE\TEST\ControlSet001\Control\ComputerName\ComputerName]
"ComputerName"="WIN-2"

[HKEY_LOCAL_MACHINE\TEST\ControlSet001\Services\vioscsi]
"Start"=dword:00000000
"Type"=dword:00000001
"ImagePath"="System32\\drivers\\vioscsi.sys"

[HKEY_LOCAL_MACHINE\TEST\ControlSet001\Services\storahci]
"Start"=dword:00000000
"Type"=dword:00000001

[HKEY_LOCAL_MACHINE\TEST\ControlSet001\Services\vmci]
"Start"=dword:00000003
"Type"=dword:00000001

[HKEY_LOCAL_MACHINE\TEST\ControlSet001\Services\Tcpip\Parameters\Interfaces\{C}]
"EnableDHCP"=dword:00000001

`
