package osinfo

import (
	"cmp"
	"io/fs"
	"path"
	"slices"
	"strings"

	"kuva/guest/fact"
)

// maxEntries bounds boot menus.
const maxEntries = 200

// bootMenu reads what the boot loaders of Linux can start.
func bootMenu(g *Guest) error {
	for _, f := range []string{"boot/grub/grub.cfg", "boot/grub2/grub.cfg"} {
		b, err := g.read(f)
		if err != nil {
			return err
		}
		if b != nil {
			g.loader("grub2")
			g.grub(f, b)
		}
	}
	for _, f := range []string{"boot/grub/menu.lst", "boot/grub/grub.conf"} {
		b, err := g.read(f)
		if err != nil {
			return err
		}
		if b != nil && !g.regularLink(f) {
			g.loader("grub")
			g.grubLegacy(f, b)
		}
	}
	for _, f := range []string{
		"boot/extlinux/extlinux.conf", "boot/syslinux/syslinux.cfg", "boot/extlinux.conf", "extlinux.conf",
		"syslinux.cfg", "boot/syslinux.cfg",
	} {
		b, err := g.read(f)
		if err != nil {
			return err
		}
		if b != nil {
			g.loader("syslinux")
			g.syslinux(f, b)
		}
	}
	return g.loaderEntries()
}

// regularLink: grub.conf is often a link to menu.lst.
func (g *Guest) regularLink(f string) bool {
	_, err := g.FS.ReadLink(f)
	return err == nil
}

func (g *Guest) loader(name string) {
	if g.Facts.Boot.Loader == "" {
		g.Facts.Boot.Loader = name
	}
}

func (g *Guest) addEntry(e fact.BootEntry) {
	if e.Kernel == "" || len(g.Facts.Boot.Entries) >= maxEntries {
		return
	}
	e.Title, e.Options = cut(e.Title), cut(e.Options)
	e.Kernel, e.Initrd = g.inBoot(e.Kernel), g.inBoot(e.Initrd)
	g.Facts.Boot.Entries = append(g.Facts.Boot.Entries, e)
}

// inBoot gives the path of a file that a boot loader names: from the root, or
// from /boot where that is a file system of its own.
func (g *Guest) inBoot(name string) string {
	if name == "" {
		return ""
	}
	if i := strings.IndexByte(name, ')'); name[0] == '(' && i > 0 { // (hd0,0)/vmlinuz
		name = name[i+1:]
	}
	name = cut(path.Clean("/" + name))
	if !g.exists(name[1:]) && g.exists("boot"+name) {
		return "/boot" + name
	}
	return name
}

// grub reads the lines of a grub.cfg that start a kernel; conditions and
// variables are not followed.
func (g *Guest) grub(file string, b []byte) {
	var e fact.BootEntry
	flush := func() { g.addEntry(e); e = fact.BootEntry{Title: e.Title, File: "/" + file} }
	e.File = "/" + file
	for _, l := range lines(b) {
		word, rest := words(l.text)
		switch word {
		case "menuentry", "submenu":
			flush()
			e.Title = title(rest)
		case "linux", "linux16", "linuxefi":
			if e.Kernel != "" {
				flush()
			}
			e.Kernel, e.Options = words(rest)
			e.Line = l.n
		case "initrd", "initrd16", "initrdefi":
			if f := strings.Fields(rest); len(f) > 0 {
				e.Initrd = f[len(f)-1]
			}
		}
	}
	flush()
	g.markDefault(file)
}

// words cuts the first word off a line: blanks or tabs lie between, as
// grub-mkconfig writes them.
func words(text string) (word, rest string) {
	text = strings.ReplaceAll(text, "\t", " ")
	word, rest, _ = strings.Cut(strings.TrimSpace(text), " ")
	return word, strings.TrimSpace(rest)
}

func title(rest string) string {
	if rest != "" && (rest[0] == '\'' || rest[0] == '"') {
		if i := strings.IndexByte(rest[1:], rest[0]); i >= 0 {
			return rest[1 : i+1]
		}
	}
	t, _, _ := strings.Cut(rest, " ")
	return t
}

// markDefault takes the first entry of a file for the default.
func (g *Guest) markDefault(file string) {
	entries := g.Facts.Boot.Entries
	if slices.ContainsFunc(entries, func(e fact.BootEntry) bool { return e.Default }) {
		return
	}
	for i := range entries {
		if entries[i].File == "/"+file {
			entries[i].Default = true
			return
		}
	}
}

func (g *Guest) grubLegacy(file string, b []byte) {
	var e fact.BootEntry
	for _, l := range lines(b) {
		word, rest := words(l.text)
		switch word {
		case "title":
			g.addEntry(e)
			e = fact.BootEntry{Title: rest, File: "/" + file}
		case "kernel":
			e.Kernel, e.Options, _ = strings.Cut(rest, " ")
			e.Line = l.n
		case "initrd":
			e.Initrd = rest
		}
	}
	g.addEntry(e)
	g.markDefault(file)
}

func (g *Guest) syslinux(file string, b []byte) {
	var e fact.BootEntry
	for _, l := range lines(b) {
		word, rest := words(l.text)
		switch strings.ToLower(word) {
		case "label":
			g.addEntry(e)
			e = fact.BootEntry{Title: rest, File: "/" + file}
		case "kernel", "linux":
			e.Kernel, e.Line = g.beside(file, rest), l.n
		case "initrd":
			e.Initrd = g.beside(file, rest)
		case "append":
			e.Options = rest
			for _, o := range strings.Fields(rest) {
				if v, ok := strings.CutPrefix(o, "initrd="); ok {
					e.Initrd = g.beside(file, v)
				}
			}
		}
	}
	g.addEntry(e)
	g.markDefault(file)
}

// beside gives a path that may be relative to its file's folder.
func (g *Guest) beside(file, name string) string {
	if name == "" || name[0] == '/' {
		return name
	}
	return "/" + path.Join(path.Dir(file), name)
}

// loaderEntries reads the files of the Boot Loader Specification.
func (g *Guest) loaderEntries() error {
	kernelOpts, saved := "", ""
	for _, f := range []string{"boot/grub2/grubenv", "boot/grub/grubenv"} {
		if b, err := g.read(f); err == nil && kernelOpts == "" && saved == "" {
			env := settings(b)
			kernelOpts, saved = env["kernelopts"], env["saved_entry"]
		}
	}
	for _, dir := range []string{"boot/loader/entries", "boot/efi/loader/entries", "efi/loader/entries"} {
		files, err := g.list(dir)
		if err != nil {
			return err
		}
		files = slices.Clone(files)
		slices.SortStableFunc(files, func(a, b fs.DirEntry) int { // what was saved, then the newest first, as GRUB does
			if x, y := a.Name() == saved+".conf", b.Name() == saved+".conf"; x != y {
				if x {
					return -1
				}
				return 1
			}
			return compareVersions(b.Name(), a.Name())
		})
		for _, d := range files {
			if !strings.HasSuffix(d.Name(), ".conf") {
				continue
			}
			f := dir + "/" + d.Name()
			b, err := g.read(f)
			if err != nil {
				return err
			}
			e := fact.BootEntry{File: "/" + f}
			for _, l := range lines(b) {
				word, rest := words(l.text)
				switch word {
				case "title":
					e.Title = rest
				case "linux":
					e.Kernel, e.Line = rest, l.n
				case "initrd":
					e.Initrd, _, _ = strings.Cut(rest, " ")
				case "options":
					e.Options, e.Line = strings.TrimSpace(e.Options+" "+strings.ReplaceAll(rest, "$kernelopts", kernelOpts)), l.n
				}
			}
			g.addEntry(e)
			if g.Facts.Boot.Loader == "" {
				g.loader("systemd-boot")
			}
			g.markDefault(f)
		}
	}
	return nil
}

// compareVersions orders texts with numbers in them by the numbers: -10 comes
// behind -9.
func compareVersions(a, b string) int {
	for a != "" && b != "" {
		x, y := digits(a), digits(b)
		if x > 0 && y > 0 {
			m, n := strings.TrimLeft(a[:x], "0"), strings.TrimLeft(b[:y], "0")
			if c := cmp.Or(cmp.Compare(len(m), len(n)), strings.Compare(m, n)); c != 0 {
				return c
			}
			a, b = a[x:], b[y:]
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

// digits counts those that a text begins with.
func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}
