package check

import (
	"strings"
	"testing"

	"kuva/guest/fact"
	"kuva/guest/guesttest"
)

const key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbn\n"

func TestSSHHostKeys(t *testing.T) {
	want(t, sshHostKeys, guest{files: guesttest.Files{
		"etc/ssh/ssh_host_rsa_key": key, "etc/ssh/ssh_host_rsa_key.pub": "ssh-rsa A", "etc/ssh/sshd_config": "x",
		"etc/ssh/ssh_host_dsa_key": "", "etc/dropbear/dropbear_rsa_host_key": "x",
	}}, "/etc/ssh/ssh_host_rsa_key", "/etc/dropbear/dropbear_rsa_host_key")
	want(t, sshHostKeys, guest{files: guesttest.Files{"etc/ssh/ssh_host_rsa_key.pub": "ssh-rsa A", "etc/ssh/ssh_config": "x"}})
}

func mounts(m ...fact.Mount) guest {
	return guest{facts: func(f *fact.Facts) {
		for i := range m {
			m[i].File, m[i].Line = "/etc/fstab", i+1
		}
		f.Mounts = m
	}}
}

func TestFstab(t *testing.T) {
	g := mounts(
		fact.Mount{Spec: "/dev/sda1", Target: "/", Found: true},
		fact.Mount{Spec: "UUID=aa", Target: "/home", Found: true},
		fact.Mount{Spec: "UUID=bb", Target: "/srv"},
		fact.Mount{Spec: "/dev/xvde1", Target: "/mnt/test", Options: "defaults,nofail"},
		fact.Mount{Spec: "/dev/sdb1", Target: "/mnt/data"},
		fact.Mount{Spec: "tmpfs", Target: "/tmp", Found: true},
		fact.Mount{Spec: "/dev/sr0", Target: "/media/cdrom", Options: "noauto"},
		fact.Mount{Spec: "/dev/mapper/vg-root", Target: "/opt", Found: true},
	)
	want(t, fstabDevice, g, "/etc/fstab:1 /dev/sda1 on /", "/etc/fstab:5 /dev/sdb1 on /mnt/data")
	want(t, fstabMissing, g, "/etc/fstab:3 UUID=bb on /srv", "/etc/fstab:5 /dev/sdb1 on /mnt/data")
	clean := mounts(fact.Mount{Spec: "LABEL=root", Target: "/", Found: true}, fact.Mount{Spec: "/swapfile", Target: "none", Type: "swap", Found: true})
	want(t, fstabDevice, clean)
	want(t, fstabMissing, clean)
}

func TestRootDevice(t *testing.T) {
	entries := func(e ...fact.BootEntry) guest {
		return guest{facts: func(f *fact.Facts) { f.Boot = fact.Boot{Loader: "grub2", Entries: e} }}
	}
	g := entries(
		fact.BootEntry{Kernel: "k", Options: "ro root=/dev/sda1 quiet", File: "/boot/grub/grub.cfg", Line: 4, Default: true},
		fact.BootEntry{Kernel: "k", Options: "root=UUID=aa", File: "/boot/grub/grub.cfg", Line: 9},
	)
	want(t, rootDevice, g, "/boot/grub/grub.cfg:4 root=/dev/sda1")
	if f := run(t, rootDevice, g); f[0].Severity != Boot {
		t.Errorf("severity %s", f[0].Severity)
	}
	old := entries(fact.BootEntry{Options: "root=/dev/sda1", File: "/b", Line: 1}, fact.BootEntry{Options: "root=LABEL=r", Default: true})
	if f := run(t, rootDevice, old); f[0].Severity != Advice {
		t.Errorf("an entry that nobody starts: %s", f[0].Severity)
	}
	want(t, rootDevice, entries(fact.BootEntry{Options: "root=/dev/mapper/vg-root"}, fact.BootEntry{Options: "root=PARTUUID=aa resume=/dev/sda2"}))
}

func TestStaticNetwork(t *testing.T) {
	net := func(i ...fact.Interface) guest {
		return guest{facts: func(f *fact.Facts) { f.Network.Interfaces = i }}
	}
	static := fact.Interface{Name: "eth0", Method: fact.MethodStatic, Addresses: []string{"10.1.2.3/24"}, Gateway: "10.1.2.1", DNS: []string{"9.9.9.9"}, Renderer: "ifupdown", File: "/etc/network/interfaces", Line: 5}
	dhcp := fact.Interface{Name: "eth1", Method: fact.MethodDHCP, Renderer: "ifupdown", File: "/etc/network/interfaces", Line: 9}
	want(t, staticNetwork, net(static, dhcp), "/etc/network/interfaces:5 eth0: 10.1.2.3/24, gateway 10.1.2.1, DNS 9.9.9.9")
	local := static
	local.Addresses = []string{"127.0.0.2", "169.254.1.1/16"}
	want(t, staticNetwork, net(dhcp, local))
	mac := dhcp
	mac.MAC = "00:0c:29:01:02:03"
	want(t, fixedMAC, net(mac, static), "/etc/network/interfaces:9 eth1: 00:0c:29:01:02:03")
	want(t, fixedMAC, net(static, dhcp))
	tied := net(mac)
	tied.files = guesttest.Files{"etc/network/interfaces": strings.Repeat("\n", 8) + "iface eth1 inet dhcp\n hwaddress ether 00:0C:29:01:02:03\n"}
	want(t, fixedMAC, tied, "/etc/network/interfaces:10 eth1: 00:0c:29:01:02:03")
}

func TestUdevRules(t *testing.T) {
	rule := "# net device\nSUBSYSTEM==\"net\", ATTR{address}==\"52:54:00:aa:bb:cc\", NAME=\"eth0\"\n"
	want(t, fixedMAC, guest{files: guesttest.Files{
		"etc/udev/rules.d/70-persistent-net.rules":       rule,
		"etc/udev/rules.d/30-net_persistent-names.rules": "# 52:54:00:aa:bb:cc address\n",
		"etc/udev/rules.d/80-disk.rules":                 "SUBSYSTEM==\"block\"\n",
	}}, "/etc/udev/rules.d/70-persistent-net.rules:2 52:54:00:aa:bb:cc")
}

func TestCloudInit(t *testing.T) {
	with := func(c *fact.CloudInit, services ...fact.Service) guest {
		return guest{os: fact.OS{Family: "linux", Init: "systemd"}, facts: func(f *fact.Facts) { f.CloudInit, f.Services = c, services }}
	}
	if f := run(t, cloudInit, with(nil)); len(f) != 1 {
		t.Errorf("without: %+v", f)
	}
	want(t, cloudInit, with(&fact.CloudInit{}))
	want(t, cloudInit, guest{files: guesttest.Files{"usr/lib/dracut/modules.d/30ignition/ignition": "x"}})
	want(t, cloudInitDisabled, with(&fact.CloudInit{Disabled: "/etc/cloud/cloud-init.disabled"}), "/etc/cloud/cloud-init.disabled")
	want(t, cloudInitDisabled, with(&fact.CloudInit{}, fact.Service{Name: "ssh.service", Enabled: true}), "/etc/systemd/system")
	want(t, cloudInitDisabled, with(&fact.CloudInit{}, fact.Service{Name: "cloud-init.service", Enabled: true}))
	want(t, cloudInitState, with(&fact.CloudInit{InstanceID: "i-1", State: []string{"/var/lib/cloud/data/instance-id", "/var/log/cloud-init.log"}}),
		"/var/lib/cloud/data/instance-id:1 i-1")
	want(t, cloudInitState, with(&fact.CloudInit{State: []string{"/var/log/cloud-init.log"}}))
}

func TestVirtio(t *testing.T) {
	kernel := func(version string, isDefault bool, d ...fact.Driver) fact.Kernel {
		return fact.Kernel{Version: version, Image: "/boot/vmlinuz", Initrd: "/boot/initrd-" + version, Modules: "/lib/modules/" + version, Default: isDefault, Virtio: d}
	}
	with := func(k ...fact.Kernel) guest { return guest{facts: func(f *fact.Facts) { f.Kernels = k }} }
	pci, blk := fact.Driver{Name: "virtio_pci", Builtin: true}, fact.Driver{Name: "virtio_blk", Modules: true, Initrd: true}
	net := fact.Driver{Name: "virtio_net", Modules: true}
	good := kernel("6.1.0", true, pci, blk, net)
	want(t, virtio, with(good))
	onlyModules := kernel("6.1.0", true, pci, fact.Driver{Name: "virtio_blk", Modules: true}, net)
	want(t, virtio, with(onlyModules), "/boot/initrd-6.1.0 6.1.0: virtio_blk, virtio_scsi")
	bad := kernel("5.10", false, pci, fact.Driver{Name: "virtio_blk", Modules: true}, net)
	if f := run(t, virtio, with(good, bad)); len(f) != 1 || f[0].Severity != Advice {
		t.Errorf("a kernel that is not the default: %+v", f)
	}
	unread := kernel("6.1", true, fact.Driver{Name: "virtio_pci", Modules: true, InitrdUnknown: true}, fact.Driver{Name: "virtio_blk", Modules: true, InitrdUnknown: true}, net)
	want(t, virtio, with(unread))
	if f := run(t, virtio, with(kernel("2.6.18-8.el5", true, pci, blk, net))); len(f) != 1 || f[0].Guide != "old" {
		t.Errorf("2.6.18: %+v", f)
	}
	want(t, virtio, with(kernel("2.6.27.1", true, pci, blk, net)))
}

func TestNoLoader(t *testing.T) {
	if f := run(t, noLoader, guest{}); len(f) != 1 {
		t.Errorf("%+v", f)
	}
	want(t, noLoader, guest{facts: func(f *fact.Facts) { f.Boot.UEFI = true }})
}

func TestAccounts(t *testing.T) {
	users := func(cloud *fact.CloudInit, u ...fact.User) guest {
		return guest{facts: func(f *fact.Facts) {
			f.CloudInit, f.Users = cloud, append([]fact.User{{Name: "root", Password: "none", Sudo: true}}, u...)
		}}
	}
	alice := fact.User{Name: "alice", UID: 1001, Home: "/home/alice", Password: "set", Keys: 2, Sudo: true, HomeSize: 10}
	want(t, accounts, users(&fact.CloudInit{}, alice), "/etc/passwd alice, uid 1001, password set, 2 ssh keys, sudo, /home/alice: 10 bytes")
	want(t, accounts, users(nil, alice))
	lines := users(&fact.CloudInit{}, fact.User{Name: "bob", UID: 1002, HomeSize: -1})
	lines.files = guesttest.Files{"etc/passwd": "root:x:0:0\nbob:x:1002:1\n", "etc/sudoers": "root ALL\n", "etc/sudoers.d/b": "# bob\nbob ALL=(ALL) ALL\n", "etc/sudoers.d/b.old": "bob ALL\n"}
	want(t, accounts, lines, "/etc/passwd:2 bob, uid 1002", "/etc/sudoers.d/b:2 bob ALL=(ALL) ALL")
	want(t, accounts, users(&fact.CloudInit{}, fact.User{Name: "debian", UID: 1000, Default: true}))
}

func TestPassword(t *testing.T) {
	g := guest{files: guesttest.Files{"etc/shadow": "root:$6$x:1\nbob::1\ncarl:!:1\n"}, facts: func(f *fact.Facts) {
		f.Users = []fact.User{{Name: "root", Password: "set"}, {Name: "bob", Password: "empty"}, {Name: "carl", Password: "locked"}}
	}}
	want(t, password, g, "/etc/shadow:1 root", "/etc/shadow:2 bob (empty)")
	g.facts = func(f *fact.Facts) { f.Users = []fact.User{{Name: "carl", Password: "locked"}} }
	want(t, password, g)
}

func TestSecrets(t *testing.T) {
	g := guest{files: guesttest.Files{
		"stray.pem":                                 "x\n-----BEGIN RSA PRIVATE KEY-----\n",
		"root/.ssh/id_ed25519":                      key,
		"root/.ssh/id_ed25519.pub":                  "ssh-ed25519 A",
		"home/al/cert.pem":                          "-----BEGIN CERTIFICATE-----\n",
		"home/al/src/node_modules/k.pem":            key,
		"usr/share/doc/example.pem":                 key,
		"root/.bash_history":                        "ls\nmysql -u root -phunter2\nexport DB_PASSWORD=hunter2\n",
		"home/al/.bash_history":                     "make\npasswd al\n",
		"home/al/.aws/credentials":                  "[default]\naws_access_key_id=A\naws_secret_access_key = hunter2\n",
		"home/al/.netrc":                            "machine a login b password hunter2\n",
		"home/al/.docker/config.json":               "{\"auths\": {}}",
		"home/al/.env":                              "DEBUG=1\nAPP_SECRET=hunter2\n",
		"home/al/project-openrc.sh":                 "export OS_PASSWORD=$OS_PASSWORD_INPUT\n",
		"home/al/.ssh/authorized_keys":              "# me\nssh-rsa AAAA al@laptop\n",
		"tmp/notes.txt":                             "nothing\n",
		"var/lib/cloud/instances/i-1/user-data.txt": "#cloud-config\nchpasswd:\n  expire: false\npassword: hunter2\n",
	}}
	want(t, privateKey, g, "/root/.ssh/id_ed25519:1", "/stray.pem:2")
	want(t, history, g, "/root/.bash_history:2 mysql -u root -p…", "/root/.bash_history:3 PASSWORD=…", "/home/al/.bash_history")
	want(t, credentials, g, "/home/al/.aws/credentials:3 aws_secret_access_key…", "/home/al/.env:2 APP_SECRET…", "/home/al/.netrc:1 password…", "/var/lib/cloud/instances/i-1/user-data.txt:4 password…")
	g.facts = func(f *fact.Facts) { f.Users = []fact.User{{Name: "al", Home: "/home/al", Keys: 1}} }
	want(t, authorizedKeys, g, "/home/al/.ssh/authorized_keys:2 al: al@laptop")

	clean := guest{files: guesttest.Files{"root/.profile": "x", "home/al/README.txt": "x", "root/.bash_history": ""}}
	for _, c := range []*Check{privateKey, history, credentials, authorizedKeys} {
		want(t, c, clean)
	}
	if f := run(t, history, guest{files: guesttest.Files{"home/al/.bash_history": "make\n"}}); f[0].Severity != Advice {
		t.Errorf("a history without secrets is %s", f[0].Severity)
	}
}
