package osinfo

import (
	"bytes"
	"io"
	"path"
	"slices"
	"strings"

	"kuva/guest/budget"
	"kuva/guest/fact"
)

// drivers are those whose place a kernel's facts tell: what a machine on KVM
// needs for its disk and network, and what an emulated one does.
var drivers = []string{"virtio_pci", "virtio_blk", "virtio_scsi", "virtio_net", "ata_piix", "ahci"}

// maxKernels bounds how many are looked at.
const maxKernels = 50

// kernels finds the kernels in /boot (and /, as old systems have them) and
// what each can drive.
func kernels(g *Guest) error {
	for _, dir := range []string{"boot", "."} {
		files, err := g.list(dir)
		if err != nil {
			return err
		}
		for _, d := range files {
			name := d.Name()
			if !isKernel(name) || len(g.Facts.Kernels) >= maxKernels || dir == "." && d.Type()&^0o777 != 0 {
				continue
			}
			if i, err := d.Info(); err != nil || !i.Mode().IsRegular() {
				continue
			}
			if err := g.kernel(strings.TrimPrefix(path.Join(dir, name), "./")); err != nil {
				return err
			}
		}
	}
	return nil
}

func isKernel(name string) bool {
	for _, p := range []string{"vmlinuz-", "vmlinux-", "kernel-", "bzImage-", "Image-"} {
		if strings.HasPrefix(name, p) && !strings.HasSuffix(name, ".hmac") && !strings.HasSuffix(name, ".gz") {
			return true
		}
	}
	return name == "vmlinuz"
}

func (g *Guest) kernel(image string) error {
	dir, name := path.Split(image)
	k := fact.Kernel{Image: "/" + image}
	_, suffix, _ := strings.Cut(name, "-")
	if k.Version = g.kernelVersion(image); k.Version == "" {
		k.Version = cut(suffix)
	}
	if k.Version == "" || strings.Contains(suffix, "rescue") {
		return nil // dracut's rescue image is a copy of another one
	}
	for _, p := range []string{"initrd.img-" + suffix, "initramfs-" + suffix + ".img", "initrd-" + suffix, "initrd-" + suffix + ".img", "initramfs-" + suffix} {
		if suffix != "" && g.exists(dir+p) {
			k.Initrd = "/" + dir + p
			break
		}
	}
	for _, p := range []string{"lib/modules/", "usr/lib/modules/"} {
		if g.exists(p + k.Version) {
			k.Modules = "/" + p + k.Version
			break
		}
	}
	for _, e := range g.Facts.Boot.Entries {
		if same(g, e.Kernel, k.Image) {
			k.Default = k.Default || e.Default
			if k.Initrd == "" {
				k.Initrd = e.Initrd
			}
		}
	}
	err := g.drivers(&k)
	g.Facts.Kernels = append(g.Facts.Kernels, k)
	return err
}

// same tells whether two paths lead to one file.
func same(g *Guest, a, b string) bool {
	if a == b {
		return true
	}
	if a == "" || b == "" {
		return false
	}
	x, err1 := g.FS.RealPath(a[1:])
	y, err2 := g.FS.RealPath(b[1:])
	return err1 == nil && err2 == nil && x == y
}

// kernelVersion reads the version out of the header of a bzImage (Linux,
// Documentation/arch/x86/boot.rst, kernel_version), "" for other files.
func (g *Guest) kernelVersion(image string) string {
	f, err := g.FS.Open(image)
	if err != nil {
		return ""
	}
	defer f.Close()
	r, ok := f.(io.ReaderAt)
	if !ok {
		return ""
	}
	var head [0x210]byte
	if _, err := r.ReadAt(head[:], 0); err != nil || string(head[0x202:0x206]) != "HdrS" {
		return ""
	}
	at := int64(head[0x20e]) | int64(head[0x20f])<<8
	text := make([]byte, 128)
	n, _ := r.ReadAt(text, at+0x200)
	version, _, _ := bytes.Cut(text[:n], []byte{0})
	v, _, _ := strings.Cut(string(version), " ")
	return cut(v)
}

// drivers tells where the drivers of a kernel are.
func (g *Guest) drivers(k *fact.Kernel) error {
	builtin, modules := map[string]bool{}, map[string]bool{}
	for file, found := range map[string]map[string]bool{"modules.builtin": builtin, "modules.dep": modules} {
		b, err := g.read(strings.TrimPrefix(k.Modules, "/") + "/" + file)
		if err != nil && !absent(err) {
			return err
		}
		if k.Modules == "" {
			break
		}
		for l := range strings.Lines(string(b)) {
			name, _, _ := strings.Cut(strings.TrimSpace(l), ":")
			if m := module(name); m != "" {
				found[m] = true
			}
		}
	}
	inInitrd := map[string]bool{}
	unknown := false
	if k.Initrd != "" {
		var missing []string
		for _, d := range drivers {
			if !builtin[d] {
				missing = append(missing, d)
			}
		}
		var err error
		if inInitrd, err = g.initrd(k.Initrd[1:], missing); err != nil {
			if budget.IsLimit(err) {
				return err
			}
			unknown = true
			g.note("initrd", err)
		}
	}
	for _, d := range drivers {
		k.Virtio = append(k.Virtio, fact.Driver{
			Name: d, Builtin: builtin[d], Modules: modules[d], Initrd: inInitrd[d], InitrdUnknown: unknown && !inInitrd[d],
		})
	}
	return nil
}

// module gives a driver's name where a path is its module: the last part
// without .ko and compression, dashes as underscores.
func module(file string) string {
	name := path.Base(file)
	i := strings.Index(name, ".ko")
	if i < 0 {
		return ""
	}
	name = strings.ReplaceAll(name[:i], "-", "_")
	if !slices.Contains(drivers, name) {
		return ""
	}
	return name
}
