package osinfo

import (
	"debug/elf"
	"io"
	"regexp"
	"strings"

	"kuva/guest/fact"
	"kuva/guest/tree"
)

func isLinux(f *tree.FS) bool {
	for _, p := range []string{
		"etc/os-release", "usr/lib/os-release", "etc/redhat-release", "etc/debian_version",
		"etc/alpine-release", "etc/arch-release", "etc/SuSE-release",
	} {
		if _, err := f.Stat(p); err == nil {
			return true
		}
	}
	// A system without a name is still one: it can start something.
	for _, p := range []string{"sbin/init", "lib/systemd/systemd", "usr/lib/systemd/systemd"} {
		if _, err := f.Lstat(p); err == nil {
			_, err := f.Stat("etc/passwd")
			return err == nil
		}
	}
	return false
}

func isWindows(f *tree.FS) bool {
	_, err := f.Stat("Windows/System32/config/SOFTWARE")
	return err == nil
}

// release tells which system it is.
func release(g *Guest) error {
	switch {
	case isLinux(g.FS):
		g.Facts.OS = &fact.OS{Family: "linux"}
		return linuxRelease(g)
	case isWindows(g.FS):
		g.Facts.OS = &fact.OS{Family: "windows", Distro: "windows", Name: "Windows"}
	}
	return nil
}

func linuxRelease(g *Guest) error {
	os := g.Facts.OS
	var b []byte
	var err error
	for _, p := range []string{"etc/os-release", "usr/lib/os-release"} {
		if b, err = g.read(p); err != nil || b != nil {
			break
		}
	}
	if err != nil {
		return err
	}
	if b != nil {
		s := settings(b)
		os.Distro, os.Like, os.Name = s["ID"], s["ID_LIKE"], s["PRETTY_NAME"]
		os.Version, os.Codename, os.Build = s["VERSION_ID"], s["VERSION_CODENAME"], s["BUILD_ID"]
		if os.Name == "" {
			os.Name = s["NAME"]
		}
	}
	if err := olderRelease(g); err != nil {
		return err
	}
	if os.Distro == "" {
		os.Distro = "linux"
	}
	if os.Name == "" {
		os.Name = "Linux"
	}
	if b, err := g.read("etc/hostname"); err != nil {
		return err
	} else if l := lines(b); len(l) > 0 {
		os.Hostname = cut(l[0].text)
	}
	const older = "etc/sysconfig/network" // of RHEL 6; SUSE has a folder there
	if i, err := g.FS.Stat(older); err == nil && i.Mode().IsRegular() && os.Hostname == "" {
		if b, err := g.read(older); err == nil {
			os.Hostname = settings(b)["HOSTNAME"]
		}
	}
	os.Arch = g.arch()
	os.Init = g.init()
	os.Timezone = g.timezone()
	return nil
}

// releases are files of systems before os-release, or with more in them.
var releases = []struct {
	file   string
	re     *regexp.Regexp
	distro string
}{
	{"etc/oracle-release", regexp.MustCompile(`(?i)^(Oracle Linux.*?) release (\S+)`), "ol"},
	{"etc/rocky-release", regexp.MustCompile(`(?i)^(Rocky.*?) release (\S+)`), "rocky"},
	{"etc/almalinux-release", regexp.MustCompile(`(?i)^(AlmaLinux.*?) release (\S+)`), "almalinux"},
	{"etc/centos-release", regexp.MustCompile(`(?i)^(CentOS.*?) release (\S+)`), "centos"},
	{"etc/fedora-release", regexp.MustCompile(`(?i)^(Fedora.*?) release (\S+)`), "fedora"},
	{"etc/redhat-release", regexp.MustCompile(`(?i)^(Red Hat.*?|CentOS.*?|Scientific.*?) release (\S+)`), "rhel"},
	{"etc/SuSE-release", regexp.MustCompile(`(?m)^(SUSE Linux Enterprise [^\n]*|openSUSE [^\n]*)\n(?:VERSION = (\S+))`), "sles"},
	{"etc/alpine-release", regexp.MustCompile(`^()(\d\S*)`), "alpine"},
	{"etc/debian_version", regexp.MustCompile(`^()(\d\S*)`), "debian"},
}

// patchLevel is the minor version of SLES before os-release.
var patchLevel = regexp.MustCompile(`(?m)^PATCHLEVEL = (\d{1,3})$`)

// olderRelease fills in what os-release lacks: all of it on old systems, the
// minor version on CentOS, Debian.
func olderRelease(g *Guest) error {
	os := g.Facts.OS
	for _, r := range releases {
		if os.Distro != "" && os.Distro != r.distro {
			continue
		}
		b, err := g.read(r.file)
		if err != nil {
			return err
		}
		m := r.re.FindStringSubmatch(strings.TrimSpace(string(b[:min(len(b), 4096)])))
		if m == nil {
			continue
		}
		if os.Distro == "" {
			os.Distro = r.distro
			if strings.HasPrefix(m[1], "CentOS") {
				os.Distro = "centos"
			}
			os.Name = cut(strings.TrimSpace(strings.SplitN(m[0], "\n", 2)[0]))
			if strings.HasPrefix(m[1], "openSUSE") {
				os.Distro = "opensuse"
			}
			if p := patchLevel.FindSubmatch(b); p != nil {
				m[2] += "." + string(p[1])
			}
		}
		if os.Version == "" || strings.HasPrefix(m[2], os.Version+".") {
			os.Version = cut(m[2])
		}
		return nil
	}
	return nil
}

// arches are the machines of ELF headers that guests have.
var arches = map[elf.Machine]string{
	elf.EM_X86_64: "x86_64", elf.EM_386: "i686", elf.EM_AARCH64: "aarch64", elf.EM_ARM: "armv7l",
	elf.EM_PPC64: "ppc64le", elf.EM_S390: "s390x", elf.EM_RISCV: "riscv64",
}

// arch looks at a program that every system has.
func (g *Guest) arch() string {
	for _, p := range []string{"bin/sh", "bin/busybox", "usr/bin/bash", "sbin/init", "usr/lib/systemd/systemd", "lib/systemd/systemd"} {
		f, err := g.FS.Open(p)
		if err != nil {
			continue
		}
		r, ok := f.(io.ReaderAt)
		if !ok {
			f.Close()
			continue
		}
		var head [20]byte
		_, err = r.ReadAt(head[:], 0)
		f.Close()
		if err != nil || string(head[:4]) != elf.ELFMAG {
			continue
		}
		machine := elf.Machine(uint16(head[18]) | uint16(head[19])<<8)
		if elf.Data(head[elf.EI_DATA]) == elf.ELFDATA2MSB {
			machine = elf.Machine(uint16(head[19]) | uint16(head[18])<<8)
			if machine == elf.EM_PPC64 {
				return "ppc64"
			}
		}
		if a := arches[machine]; a != "" {
			return a
		}
		return strings.ToLower(strings.TrimPrefix(machine.String(), "EM_"))
	}
	return ""
}

func (g *Guest) init() string {
	target, err := g.FS.ReadLink("sbin/init")
	if err != nil {
		target, err = g.FS.ReadLink("usr/sbin/init")
	}
	switch {
	case err == nil && strings.HasSuffix(target, "systemd"):
		return "systemd"
	case g.exists("sbin/openrc") || g.exists("usr/sbin/openrc"):
		return "openrc"
	case g.exists("usr/lib/systemd/systemd") || g.exists("lib/systemd/systemd"):
		return "systemd"
	case g.exists("etc/init") && g.exists("sbin/initctl"):
		return "upstart"
	case g.exists("etc/inittab"):
		return "sysvinit"
	}
	return ""
}

func (g *Guest) timezone() string {
	if target, err := g.FS.ReadLink("etc/localtime"); err == nil {
		if _, zone, ok := strings.Cut(target, "zoneinfo/"); ok {
			return cut(zone)
		}
	}
	b, err := g.read("etc/timezone")
	if l := lines(b); err == nil && len(l) > 0 {
		return cut(l[0].text)
	}
	return ""
}
