package check

import (
	"os"
	"strings"
	"testing"

	"kuva/guest/fact"
	"kuva/guest/guesttest"
	"kuva/guest/tree"
)

// each check finds its trouble, and not what only looks like it.
func TestPlanted(t *testing.T) {
	big := strings.Repeat("x", 6<<20)
	ubuntu := func(version string) fact.OS {
		return fact.OS{Family: "linux", Distro: "ubuntu", Like: "debian", Version: version, Init: "systemd"}
	}
	packages := func(names ...string) func(*fact.Facts) {
		return func(f *fact.Facts) {
			for _, n := range names {
				f.Packages = append(f.Packages, fact.Package{Name: n, Version: "1"})
			}
		}
	}
	cloud := func(c fact.CloudInit) func(*fact.Facts) { return func(f *fact.Facts) { f.CloudInit = &c } }
	for _, c := range []struct {
		check   *Check
		planted guest
		places  []string
		near    guest
	}{
		{
			encrypted,
			guest{facts: func(f *fact.Facts) { f.Partitions = []fact.Partition{{Number: 2, Holds: "crypto_LUKS"}} }},
			[]string{"partition 2: crypto_LUKS"},
			guest{facts: func(f *fact.Facts) { f.Partitions = []fact.Partition{{Number: 2, Holds: "LVM2_member"}} }},
		},
		{
			cloudInitModules,
			guest{facts: cloud(fact.CloudInit{Modules: []string{"bootcmd", "users_groups"}})},
			[]string{"/etc/cloud/cloud.cfg ssh"},
			guest{facts: cloud(fact.CloudInit{Modules: []string{"ssh", "users-groups"}})},
		},
		{
			cloudInitDatasource,
			guest{facts: cloud(fact.CloudInit{Datasources: []string{"Azure", "None"}, Files: []fact.ConfigFile{{Path: "/etc/cloud/cloud.cfg.d/a.cfg", Keys: []string{"datasource_list"}}}})},
			[]string{"/etc/cloud/cloud.cfg.d/a.cfg datasource_list: Azure, None"},
			guest{facts: cloud(fact.CloudInit{Datasources: []string{"None", "configdrive"}})},
		},
		{
			dhcpLeases,
			guest{files: guesttest.Files{"var/lib/dhcp/dhclient.eth0.leases": "lease {}", "var/lib/dhcp/empty.leases": ""}},
			[]string{"/var/lib/dhcp/dhclient.eth0.leases"},
			guest{files: guesttest.Files{"var/lib/NetworkManager/NetworkManager.state": "x"}},
		},
		{
			randomSeed,
			guest{files: guesttest.Files{"var/lib/systemd/random-seed": "01234567"}},
			[]string{"/var/lib/systemd/random-seed"},
			guest{files: guesttest.Files{"var/lib/systemd/random-seed": ""}},
		},
		{
			iscsi,
			guest{files: guesttest.Files{"var/lib/iscsi/nodes/iqn.a/x": "1", "etc/iscsi/initiatorname.iscsi": "# c\nInitiatorName=iqn.1993:01\n"}},
			[]string{"/var/lib/iscsi/nodes/iqn.a", "/etc/iscsi/initiatorname.iscsi:2 InitiatorName=iqn.1993:01"},
			guest{files: guesttest.Files{"etc/iscsi/initiatorname.iscsi": "GenerateName=yes\n", "var/lib/iscsi/nodes/": ""}},
		},
		{
			subscription,
			guest{files: guesttest.Files{"etc/pki/consumer/cert.pem": "x"}},
			[]string{"/etc/pki/consumer/cert.pem"},
			guest{files: guesttest.Files{"etc/pki/consumer/key.txt": "x"}},
		},
		{
			foreignTools,
			guest{facts: packages("open-vm-tools", "bash")},
			[]string{"open-vm-tools 1"},
			guest{facts: packages("qemu-guest-agent", "xentop")},
		},
		{
			hardwareTools,
			guest{facts: packages("smartmontools", "vim")},
			[]string{"smartmontools 1"},
			guest{facts: packages("sensible-utils", "vim")},
		},
		{
			needlessData,
			guest{files: guesttest.Files{"var/log/syslog": big, "var/tmp/core": big, "tmp": "-> var/tmp"}},
			[]string{"/var/log 6291456 bytes", "/var/tmp 6291456 bytes"},
			guest{files: guesttest.Files{"var/log/syslog": big}},
		},
		{
			acpi,
			guest{os: fact.OS{Family: "linux", Init: "sysvinit"}},
			nil,
			guest{os: fact.OS{Family: "linux", Init: "sysvinit"}, facts: packages("acpid")},
		},
		{
			acpiHotplug,
			guest{os: ubuntu("12.04"), files: guesttest.Files{"etc/modules": "loop\n"}},
			[]string{"/etc/modules"},
			guest{os: ubuntu("22.04")},
		},
		{
			xorg,
			guest{files: guesttest.Files{"etc/X11/xorg.conf": "Section \"Device\"\n  Driver \"nvidia\"\nSection \"InputDevice\"\n Driver \"kbd\"\n"}},
			[]string{"/etc/X11/xorg.conf:2 nvidia"},
			guest{files: guesttest.Files{"etc/X11/xorg.conf.d/10.conf": "  Driver \"modesetting\"\n# Driver \"nvidia\"\n"}},
		},
		{
			bootCommands,
			guest{facts: cloud(fact.CloudInit{Bootcmd: []string{"sed -i s/a/b/ /x"}, Files: []fact.ConfigFile{{Path: "/etc/cloud/cloud.cfg.d/9.cfg", Keys: []string{"bootcmd"}}}})},
			[]string{"/etc/cloud/cloud.cfg.d/9.cfg bootcmd", "sed -i s/a/b/ /x"},
			guest{facts: cloud(fact.CloudInit{Runcmd: []string{"x"}})},
		},
		{
			rootPartition,
			guest{facts: func(f *fact.Facts) {
				f.Partitions = []fact.Partition{{Number: 1, Holds: "ext4"}, {Number: 2}}
				f.Filesystems = []fact.Filesystem{{Device: "2", Mount: "/"}}
			}},
			[]string{"partition 1: ext4"},
			guest{facts: func(f *fact.Facts) {
				f.Partitions, f.CloudInit = []fact.Partition{{Number: 1}, {Number: 2}}, &fact.CloudInit{}
				f.Filesystems = []fact.Filesystem{{Device: "2", Mount: "/"}}
			}},
		},
		{
			unclean,
			guest{facts: func(f *fact.Facts) {
				f.Filesystems = []fact.Filesystem{{Type: "ext4", Mount: "/", Notes: []string{tree.JournalReplayed}}}
			}},
			[]string{"ext4 /"},
			guest{facts: func(f *fact.Facts) {
				f.Filesystems = []fact.Filesystem{{Type: "ext4", Notes: []string{tree.BackupSuperblock}}}
			}},
		},
		{
			initrdIDE,
			guest{facts: func(f *fact.Facts) {
				f.Kernels = []fact.Kernel{{Version: "6.1", Initrd: "/boot/initrd", Default: true, Virtio: []fact.Driver{{Name: "virtio_blk", Builtin: true}, {Name: "ata_piix", Modules: true}, {Name: "ahci"}}}}
			}},
			[]string{"/boot/initrd 6.1: ata_piix, ahci"},
			guest{facts: func(f *fact.Facts) {
				f.Kernels = []fact.Kernel{{Version: "6.1", Initrd: "/boot/initrd", Default: true, Virtio: []fact.Driver{{Name: "ata_piix"}, {Name: "ahci", Initrd: true}}}}
			}},
		},
		{
			serialConsole,
			guest{facts: func(f *fact.Facts) {
				f.Boot.Entries = []fact.BootEntry{{Options: "quiet console=tty0", File: "/boot/grub/grub.cfg", Line: 3, Default: true}}
			}},
			[]string{"/boot/grub/grub.cfg:3"},
			guest{facts: func(f *fact.Facts) {
				f.Boot.Entries = []fact.BootEntry{{Options: "console=ttyS0,115200", Default: true}, {Options: "quiet"}}
			}},
		},
		{
			crontab,
			guest{files: guesttest.Files{"var/spool/cron/crontabs/alice": "@daily backup\n"}},
			[]string{"/var/spool/cron/crontabs/alice"},
			guest{files: guesttest.Files{"var/spool/cron/crontabs/": ""}},
		},
		{
			hostname,
			guest{os: fact.OS{Family: "linux", Distro: "debian", Hostname: "web01"}},
			[]string{"/etc/hostname:1 web01"},
			guest{os: fact.OS{Family: "linux", Distro: "debian", Hostname: "localhost.localdomain"}},
		},
		{
			windowsVirtio,
			windowsWith(fact.Windows{Drivers: []fact.WindowsDriver{{Name: "viostor", Start: 3, Found: true}, {Name: "netkvm", Start: 3, Image: `a.sys`}}}),
			[]string{`HKLM\SYSTEM\CurrentControlSet\Services\viostor Start=3`, `HKLM\SYSTEM\CurrentControlSet\Services\netkvm Start=3, a.sys is missing`},
			windowsWith(fact.Windows{Drivers: []fact.WindowsDriver{{Name: "vioscsi", Found: true}, {Name: "netkvm", Start: 3, Found: true}}}),
		},
		{
			windowsIDE,
			windowsWith(fact.Windows{Drivers: []fact.WindowsDriver{{Name: "intelide", Start: 4, Found: true}}}),
			[]string{`HKLM\SYSTEM\CurrentControlSet\Services\intelide Start=4`, "atapi: not installed"},
			windowsWith(fact.Windows{Drivers: []fact.WindowsDriver{{Name: "intelide", Found: true}, {Name: "atapi", Found: true}}}),
		},
		{
			windowsInput,
			windowsWith(fact.Windows{Filters: map[string][]string{"keyboard": {"vmkbd", "kbdclass"}, "mouse": {"mouclass"}}}),
			[]string{`HKLM\SYSTEM\CurrentControlSet\Control\Class keyboard: UpperFilters=vmkbd, kbdclass`},
			windowsWith(fact.Windows{Filters: map[string][]string{"keyboard": {"KbdClass"}}}),
		},
		{
			windowsCloudbase, windowsWith(fact.Windows{}), nil,
			windowsWith(fact.Windows{Cloudbase: map[string]string{"file": "/c"}}),
		},
		{
			cloudbaseSettings,
			windowsWith(fact.Windows{Cloudbase: map[string]string{"file": "/c.conf", "username": "Admin", "groups": "Users", "inject_user_password": "false", "logging_serial_port_settings": "COM1,115200,N,8"}}),
			[]string{"/c.conf inject_user_password=false", "/c.conf groups=Users"},
			windowsWith(fact.Windows{Cloudbase: map[string]string{"file": "/c.conf", "username": "Admin", "groups": "Administrators", "logging_serial_port_settings": "COM1,115200,N,8"}}),
		},
		{
			windowsSysprep,
			windowsWith(fact.Windows{Sysprep: "IMAGE_STATE_COMPLETE"}),
			[]string{`HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Setup\State ImageState=IMAGE_STATE_COMPLETE`},
			windowsWith(fact.Windows{Sysprep: "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE"}),
		},
	} {
		t.Run(c.check.ID, func(t *testing.T) {
			if found := run(t, c.check, c.planted); len(found) == 0 {
				t.Error("the planted one is not found")
			}
			want(t, c.check, c.planted, c.places...)
			if found := run(t, c.check, c.near); len(found) > 0 {
				t.Errorf("a near miss is found: %+v", found)
			}
		})
	}
}

func windowsWith(w fact.Windows) guest {
	return guest{os: fact.OS{Family: "windows", Distro: "windows"}, facts: func(f *fact.Facts) { f.Windows = &w }}
}

// Each check has a planted positive somewhere in the tests of this package.
func TestAllArePlanted(t *testing.T) {
	var text strings.Builder
	for _, name := range []string{"advice_test.go", "linux_test.go", "machine_id_test.go"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(b)
	}
	all, err := os.ReadFile("all.go")
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(all)) {
		if name, ok := strings.CutSuffix(strings.TrimSpace(l), ","); ok && !strings.Contains(text.String(), name+",") {
			t.Errorf("%s is planted nowhere", name)
		}
	}
}
