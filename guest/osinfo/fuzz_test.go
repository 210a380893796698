package osinfo_test

import (
	"encoding/json"
	"testing"

	"kuva/guest/budget"
	"kuva/guest/fact"
	"kuva/guest/guesttest"
	"kuva/guest/osinfo"
)

// fuzzed gathers the facts of a system whose files at paths hold the content,
// under a small budget: no panic, no facts without bounds, and only the end of
// the budget ends it.
func fuzzed(t *testing.T, content []byte, paths ...string) {
	t.Helper()
	files := guesttest.Files{"etc/os-release": "ID=debian\n", "lib/modules/6/modules.dep": "virtio_blk.ko:\n"}
	for _, p := range paths {
		files[p] = string(content)
	}
	g := &osinfo.Guest{
		FS: guesttest.Root(files, nil), Facts: &fact.Facts{}, Budget: budget.New(t.Context(), budget.Limits{Steps: 100_000, Memory: 64 << 20}),
	}
	if err := osinfo.Gather(g); err != nil && !budget.IsLimit(err) {
		t.Fatal(err)
	}
	b, err := json.Marshal(g.Facts)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 1<<20+64*len(content) {
		t.Errorf("%d bytes of facts of %d bytes", len(b), len(content))
	}
}

func FuzzInitrd(f *testing.F) {
	plain := cpio("usr", "usr/lib/modules/6/virtio_blk.ko", "x.txt")
	f.Add(plain)
	f.Add(append(append(cpio("a"), make([]byte, 512)...), lz4Frame(plain)...))
	f.Add([]byte("\x02\x21\x4c\x18\x05\x00\x00\x00\x1fA\x01\x00\xff"))
	f.Add([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x28\xb5\x2f\xfd\x00"))
	f.Add([]byte("\xfd7zXZ\x00\x00\x01"))
	f.Add([]byte("070701ffffffffffffffff"))
	f.Fuzz(func(t *testing.T, b []byte) { fuzzed(t, b, "boot/vmlinuz-6", "boot/initrd.img-6") })
}

func FuzzYAML(f *testing.F) {
	for _, name := range []string{"etc/netplan/50-cloud-init.yaml", "etc/cloud/cloud.cfg", "etc/cloud/cloud.cfg.d/99.cfg"} {
		f.Add([]byte(debian[name]))
	}
	f.Add([]byte("a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n"))
	f.Add([]byte("network: {ethernets: {e: {addresses: [{'10.0.0.1/24': {label: x}}], routes: [1], nameservers: {addresses: 1}}}}\n"))
	f.Add([]byte("a: &a {<<: *a}\n"))
	f.Add([]byte("[[[[[[[[{{{{{{"))
	f.Add([]byte("? [a]\n: b\n1: 2\n~: x\n"))
	f.Fuzz(func(t *testing.T, b []byte) { fuzzed(t, b, "etc/netplan/a.yaml", "etc/cloud/cloud.cfg") })
}

func FuzzINI(f *testing.F) {
	f.Add([]byte("[Match]\nName=en*\nMACAddress=00:11:22:33:44:55\n[Network]\nAddress=10.0.0.1/24\nDHCP=yes\n[Route]\nDestination=0.0.0.0/0\n"))
	f.Add([]byte("[connection]\nid=a\n[ipv4]\nmethod=manual\naddress1=10.0.0.1/24,10.0.0.254\nroute1=x\ndns=1;2;\n"))
	f.Add([]byte("=\n[\n[]\n]\n;x\n[a"))
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzzed(t, b, "etc/systemd/network/a.network", "etc/systemd/network/a.link", "etc/NetworkManager/system-connections/a.nmconnection")
	})
}

func FuzzInterfaces(f *testing.F) {
	f.Add([]byte(debian["etc/network/interfaces"]))
	f.Add([]byte("iface\niface a\niface a inet static\naddress\nup\nhwaddress\n"))
	f.Add([]byte("DEVICE=eth0\nIPADDR=10.0.0.1\nBOOTPROTO='none'\nHWADDR=\"00:11:22:33:44:55\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzzed(t, b, "etc/network/interfaces", "etc/sysconfig/network-scripts/ifcfg-eth0", "etc/sysconfig/network-scripts/route-eth0")
	})
}

func FuzzMounts(f *testing.F) {
	f.Add([]byte(debian["etc/fstab"]))
	f.Add([]byte(debian["etc/crypttab"]))
	f.Add([]byte("UUID= / x\n/dev/mapper/a--b-c / \\040\\134\n=\n/dev/disk/by-label/\\x20 /x\n\"LABEL=a b\" /\n"))
	f.Fuzz(func(t *testing.T, b []byte) { fuzzed(t, b, "etc/fstab", "etc/crypttab") })
}

func FuzzBootMenu(f *testing.F) {
	f.Add([]byte(debian["boot/grub/grub.cfg"]))
	f.Add([]byte("title a\nkernel (hd0,0)/vmlinuz ro\ninitrd /i\nLABEL b\n LINUX ../../v\n APPEND initrd=/x\n"))
	f.Add([]byte("linux\ninitrd\nmenuentry '\nsubmenu \"\nkernel (\nlinux16\t\n"))
	f.Add([]byte("title a\nlinux /v\ninitrd /i $x\noptions $kernelopts $kernelopts\nsaved_entry=a\nkernelopts=$kernelopts\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzzed(t, b, "boot/grub/grub.cfg", "boot/grub/menu.lst", "boot/extlinux/extlinux.conf", "boot/loader/entries/a.conf", "boot/loader/entries/a-10.conf", "boot/grub2/grubenv")
	})
}

func FuzzPackages(f *testing.F) {
	f.Add([]byte(debian["var/lib/dpkg/status"]))
	f.Add([]byte("P:musl\nV:1\nA:x86_64\n\n"))
	f.Add([]byte("%NAME%\nlinux\n\n%VERSION%\n%%\n"))
	f.Add([]byte(":\n: :\n\n\n \nPackage:\nStatus: a b c d\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzzed(t, b, "var/lib/dpkg/status", "lib/apk/db/installed", "var/lib/pacman/local/a/desc")
	})
}

func FuzzAccounts(f *testing.F) {
	for _, name := range []string{"etc/passwd", "etc/shadow", "etc/group", "etc/sudoers", "etc/os-release"} {
		f.Add([]byte(debian[name]))
	}
	f.Add([]byte("root:x:0:0:r:/../../..:/bin/sh\na:$6$x:99999999999:-1:::/bin/sh\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzzed(t, b, "etc/passwd", "etc/shadow", "etc/group", "etc/sudoers", "etc/sudoers.d/a", "etc/os-release", "etc/debian_version", "etc/hostname", "var/log/lastlog")
	})
}
