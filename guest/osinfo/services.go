package osinfo

import (
	"path"
	"slices"
	"strings"

	"kuva/guest/fact"
)

// maxServices bounds how many are told.
const maxServices = 2000

// services tells what starts at boot: systemd's links, OpenRC's runlevels,
// System V's links, Upstart's jobs.
func services(g *Guest) error {
	for _, f := range []func(*Guest) error{systemd, openrc, sysv, upstart} {
		if err := f(g); err != nil {
			return err
		}
	}
	return nil
}

func (g *Guest) addService(s fact.Service) {
	s.Name, s.File = cut(s.Name), cut(s.File)
	if len(g.Facts.Services) >= maxServices || slices.ContainsFunc(g.Facts.Services, func(o fact.Service) bool { return o.Name == s.Name }) {
		return
	}
	g.Facts.Services = append(g.Facts.Services, s)
}

func systemd(g *Guest) error {
	for _, dir := range []string{"etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"} {
		if real, err := g.FS.RealPath(dir); err != nil || real != dir {
			continue // not there, or a link to another one of the list
		}
		entries, err := g.list(dir)
		if err != nil {
			return err
		}
		for _, d := range entries {
			file := dir + "/" + d.Name()
			if target, err := g.FS.ReadLink(file); err == nil && target == "/dev/null" {
				g.addService(fact.Service{Name: d.Name(), Masked: true, File: "/" + file})
				continue
			}
			if !strings.HasSuffix(d.Name(), ".wants") && !strings.HasSuffix(d.Name(), ".requires") {
				continue
			}
			units, err := g.list(file)
			if err != nil {
				return err
			}
			for _, u := range units {
				g.addService(fact.Service{Name: u.Name(), Enabled: true, File: "/" + file + "/" + u.Name()})
			}
		}
	}
	return nil
}

func openrc(g *Guest) error {
	levels, err := g.list("etc/runlevels")
	if err != nil {
		return err
	}
	for _, l := range levels {
		dir := "etc/runlevels/" + l.Name()
		scripts, err := g.list(dir)
		if err != nil {
			return err
		}
		for _, s := range scripts {
			g.addService(fact.Service{Name: s.Name(), Enabled: l.Name() != "shutdown", File: "/" + dir + "/" + s.Name()})
		}
	}
	return nil
}

func sysv(g *Guest) error {
	for _, dir := range []string{"etc/rc2.d", "etc/rc3.d", "etc/rc5.d", "etc/rcS.d"} {
		links, err := g.list(dir)
		if err != nil {
			return err
		}
		for _, l := range links {
			if n := l.Name(); len(n) > 3 && n[0] == 'S' && atoi(n[1:3]) >= 0 {
				g.addService(fact.Service{Name: n[3:], Enabled: true, File: "/" + path.Join(dir, n)})
			}
		}
	}
	return nil
}

func upstart(g *Guest) error {
	if !g.exists("sbin/initctl") {
		return nil
	}
	jobs, err := g.list("etc/init")
	if err != nil {
		return err
	}
	for _, j := range jobs {
		name, ok := strings.CutSuffix(j.Name(), ".conf")
		if !ok {
			continue
		}
		over, err := g.read("etc/init/" + name + ".override")
		if err != nil {
			return err
		}
		g.addService(fact.Service{Name: name, Enabled: !slices.ContainsFunc(lines(over), func(l line) bool { return l.text == "manual" }), File: "/etc/init/" + j.Name()})
	}
	return nil
}

// Enabled tells whether a service starts at boot, by its name without
// ".service".
func Enabled(f *fact.Facts, names ...string) bool {
	for _, s := range f.Services {
		if s.Enabled && !s.Masked && slices.Contains(names, strings.TrimSuffix(s.Name, ".service")) {
			return true
		}
	}
	return false
}
