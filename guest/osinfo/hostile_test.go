package osinfo_test

import (
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"kuva/guest/budget"
	"kuva/guest/check"
	"kuva/guest/fact"
	"kuva/guest/guesttest"
	"kuva/guest/osinfo"
	"kuva/guest/tree"
)

// holes is a reader in which files of this very length are holes of 1 GiB.
type holes struct{ *guesttest.Memory }

const (
	holeMark = 31_337
	holeSize = 1 << 30
)

func (h holes) Stat(id tree.ID) (tree.Attr, error) {
	a, err := h.Memory.Stat(id)
	if a.Size == holeMark {
		a.Size = holeSize
	}
	return a, err
}

func (h holes) Open(id tree.ID) (tree.File, error) {
	f, err := h.Memory.Open(id)
	if err == nil && f.Size() == holeMark {
		return hole{}, nil
	}
	return f, err
}

type hole struct{}

func (hole) Size() int64 { return holeSize }

func (hole) ReadAt(p []byte, off int64) (int, error) {
	n := int(min(int64(len(p)), max(0, holeSize-off)))
	clear(p[:n])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// look gathers all facts and runs all checks.
func look(t *testing.T, files guesttest.Files) (*fact.Facts, []check.Finding, error) {
	t.Helper()
	b := budget.New(t.Context(), budget.Limits{})
	f := tree.New(holes{guesttest.NewMemory(files, nil)}, b)
	g := &osinfo.Guest{FS: f, Facts: &fact.Facts{}, Budget: b}
	if err := osinfo.Gather(g); err != nil {
		return g.Facts, nil, err
	}
	found, err := check.Run(&check.Subject{Facts: g.Facts, FS: f, Budget: b}, check.Options{})
	return g.Facts, found, err
}

// Every file that is read of a system may be empty, a folder, a link to itself,
// or a hole of 1 GiB: nothing fails, nothing takes long, and the other facts are
// told (S-170: CVE-2022-2211 and its like).
func TestS170OddFiles(t *testing.T) {
	base := guesttest.Files{"etc/os-release": "ID=debian\nVERSION_ID=\"12\"\n", "etc/passwd": debian["etc/passwd"], "root/.bash_history": "ls\n", "root/.ssh/id_rsa": "x", "sbin/init": "x"}
	paths := map[string]bool{
		"root/.bash_history": true, "root/.ssh/id_rsa": true, "root/.ssh/authorized_keys": true, "etc/machine-id": true, "etc/udev/rules.d/70-net.rules": true,
		"etc/X11/xorg.conf": true, "etc/iscsi/initiatorname.iscsi": true, "var/log/lastlog": true, "var/lib/rpm/Packages": true, "var/lib/rpm/rpmdb.sqlite": true,
		"usr/lib/sysimage/rpm/Packages.db": true, "etc/sysconfig/network": true, "etc/cloud/ds-identify.cfg": true, "etc/modules": true, "home/a/.env": true,
		"var/lib/cloud/instances/i-1/user-data.txt": true, "etc/sudoers.d/a": true, "etc/dropbear/dropbear_rsa_host_key": true,
	}
	all := []guesttest.Files{debian}
	for _, s := range systems {
		all = append(all, s.files, guesttest.Files{"boot/" + s.image: "", "boot/" + s.initrd: ""})
	}
	for _, files := range all {
		for p, content := range files {
			if !strings.HasPrefix(content, "-> ") && !strings.HasSuffix(p, "/") {
				paths[p] = true
			}
		}
	}
	odd := map[string]func(path string) (string, string){
		"empty":  func(p string) (string, string) { return p, "" },
		"folder": func(p string) (string, string) { return p + "/", "" },
		"loop":   func(p string) (string, string) { return p, "-> " + p[strings.LastIndexByte(p, '/')+1:] },
		"hole":   func(p string) (string, string) { return p, strings.Repeat("\x00", holeMark) },
	}
	began := time.Now()
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		for kind, make := range odd {
			files := maps.Clone(base)
			delete(files, p)
			if strings.HasPrefix(p, "boot/init") { // with a kernel that wants it
				files["boot/vmlinuz-"+strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(p, "boot/initramfs-"), "boot/initrd.img-"), "boot/initrd-"), ".img")] = ""
			}
			path, content := make(p)
			files[path] = content
			f, _, err := look(t, files)
			if err != nil {
				t.Errorf("%s as %s: %v", p, kind, err)
			}
			if p != "etc/passwd" && (len(f.Users) == 0 || f.Users[0].Name != "root") {
				t.Errorf("%s as %s costs the accounts", p, kind)
			}
		}
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("%d files took %s", len(paths), took)
	}
	t.Logf("%d files in %s", len(paths), time.Since(began))
}

// Fifty kernels that share one initrd of holes or bombs cost no more than a few.
func TestS170ManyInitrds(t *testing.T) {
	files := guesttest.Files{"etc/os-release": "ID=debian\n", "boot/zeros": strings.Repeat("\x00", holeMark)}
	for i := range 50 {
		v := string(rune('a'+i/26)) + string(rune('a'+i%26))
		files["boot/vmlinuz-"+v] = ""
		files["boot/initrd.img-"+v] = "-> zeros"
	}
	began := time.Now()
	f, _, err := look(t, files)
	if err != nil || len(f.Kernels) != 50 {
		t.Errorf("%d kernels, %v", len(f.Kernels), err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %s", took)
	}
}

// Texts of an image are data everywhere: they come out as they are, cut, and
// findings hold nothing that steers a terminal (S-169).
func TestS169TextsAreData(t *testing.T) {
	const evil = "\x1b]0;owned\a\x1b[2J$(reboot)`id`\u202e{file}%s<script>"
	f, found, err := look(t, guesttest.Files{
		"etc/os-release":      "ID=debian\nPRETTY_NAME=\"" + evil + strings.Repeat("x", 100_000) + "\"\nVERSION_ID=\"\xff\xfe\"\n",
		"etc/hostname":        evil + "\n",
		"etc/fstab":           "/dev/sdb1 /" + strings.ReplaceAll(evil, " ", "") + " ext4 defaults 0 2\n",
		"var/lib/dpkg/status": "Package: open-vm-tools\nStatus: install ok installed\nVersion: " + evil + "\n",
		"etc/passwd":          "root:x:0:0::/root:/bin/sh\n" + evil + ":x:1000:1000::/home/x:/bin/sh\n",
		"etc/shadow":          evil + ":$6$x:1\n",
		"etc/machine-id":      evil,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(f.OS.Name) > fact.MaxText || !strings.HasPrefix(f.OS.Name, evil) || f.OS.Distro != "debian" {
		t.Errorf("%d bytes: %.80q", len(f.OS.Name), f.OS.Name)
	}
	if _, err := json.Marshal(f); err != nil {
		t.Error(err)
	}
	if len(found) < 4 {
		t.Errorf("%d findings", len(found))
	}
	for _, x := range found {
		for _, lang := range check.Languages {
			told := x.In(lang)
			text := told.Title + told.Consequence
			for _, e := range x.Evidence {
				text += e.String()
			}
			if strings.ContainsAny(text, "\x1b\a\u202e") {
				t.Errorf("%s in %s: %q", x.ID, lang, text)
			}
		}
	}
}

// A list of packages of 100 MB, and one of millions of packages, is left out
// with a note, or cut.
func TestS169LongStatus(t *testing.T) {
	many := strings.Repeat("Package: a\nStatus: install ok installed\nVersion: 1\n\n", 200_000)
	f, _, err := look(t, guesttest.Files{"etc/os-release": "ID=debian\n", "var/lib/dpkg/status": many})
	if err != nil || len(f.Packages) != 50_000 {
		t.Errorf("%d packages, %v", len(f.Packages), err)
	}
	f, _, err = look(t, guesttest.Files{"etc/os-release": "ID=debian\n", "var/lib/dpkg/status": strings.Repeat("Package: a\n", 100<<20/11)})
	if err != nil || len(f.Packages) > 0 || f.OS.Packager != "dpkg" {
		t.Errorf("%d packages, %v", len(f.Packages), err)
	}
}

// A disk that starts something unknown is no reason to fail either.
func TestUnknownSystem(t *testing.T) {
	files := guesttest.Files{"KERNEL.SYS": "x", "COMMAND.COM": "x", "tmp/a.key": "-----BEGIN PRIVATE KEY-----\n", "var/log/big": strings.Repeat("x", 11<<20)}
	f, found, err := look(t, files)
	if err != nil || f.OS != nil {
		t.Errorf("%+v, %v", f.OS, err)
	}
	if len(found) != 1 || found[0].ID != "secret-private-key" {
		t.Errorf("%+v", found)
	}
}
