package osinfo

import (
	"slices"
	"strings"

	"kuva/guest/fact"
)

// cloudInit tells how cloud-init is set up: its main file, and those beside it
// in the order in which they count.
func cloudInit(g *Guest) error {
	p := Installed(g.Facts, "cloud-init")
	if p == nil && !g.exists("usr/bin/cloud-init") && !g.exists("etc/cloud/cloud.cfg") {
		return nil
	}
	c := &fact.CloudInit{}
	g.Facts.CloudInit = c
	if p != nil {
		c.Version = p.Version
	}
	files := []string{"etc/cloud/cloud.cfg"}
	more, err := g.list("etc/cloud/cloud.cfg.d")
	if err != nil {
		return err
	}
	for _, d := range more {
		if strings.HasSuffix(d.Name(), ".cfg") && len(files) < 200 {
			files = append(files, "etc/cloud/cloud.cfg.d/"+d.Name())
		}
	}
	for _, f := range files {
		b, err := g.read(f)
		if err != nil {
			return err
		}
		if b != nil {
			g.cloudConfig(c, f, b)
		}
	}
	if c.Disabled, err = g.cloudInitDisabled(); err != nil {
		return err
	}
	return g.cloudState(c)
}

func (g *Guest) cloudConfig(c *fact.CloudInit, file string, b []byte) {
	cf := fact.ConfigFile{Path: "/" + file}
	doc, err := yamlOf(b)
	if err != nil {
		cf.Error = cut(err.Error())
	}
	for k := range mapping(doc) {
		cf.Keys = append(cf.Keys, cut(k))
	}
	slices.Sort(cf.Keys)
	cf.Keys = cf.Keys[:min(len(cf.Keys), 200)]
	c.Files = append(c.Files, cf)
	if l := list(at(doc, "datasource_list")); l != nil {
		c.Datasources = nil
		for _, d := range l[:min(len(l), 100)] {
			c.Datasources = append(c.Datasources, text(d))
		}
	}
	if name := text(at(doc, "system_info", "default_user", "name")); name != "" {
		c.DefaultUser = name
		if u := g.user(name); u != nil {
			u.Default = true
		}
	}
	for _, stage := range []string{"cloud_init_modules", "cloud_config_modules", "cloud_final_modules"} {
		for _, m := range list(at(doc, stage)) {
			name := text(m)
			if l := list(m); len(l) > 0 { // with how often it runs
				name = text(l[0])
			}
			if len(c.Modules) < 500 {
				c.Modules = append(c.Modules, name)
			}
		}
	}
	for key, commands := range map[string]*[]string{"bootcmd": &c.Bootcmd, "runcmd": &c.Runcmd} {
		for _, command := range list(at(doc, key)) {
			if len(*commands) < 100 {
				*commands = append(*commands, text(command))
			}
		}
	}
	if at(doc, "network") != nil {
		c.NetworkDisabled = text(at(doc, "network", "config")) == "disabled"
	}
}

// cloudInitDisabled says what keeps it from running, "" if nothing does.
func (g *Guest) cloudInitDisabled() (string, error) {
	if g.there("etc/cloud/cloud-init.disabled") {
		return "/etc/cloud/cloud-init.disabled", nil
	}
	for _, e := range g.Facts.Boot.Entries {
		if e.Default && slices.Contains(strings.Fields(e.Options), "cloud-init=disabled") {
			return e.File, nil
		}
	}
	for _, s := range g.Facts.Services {
		if s.Masked && (s.Name == "cloud-init.service" || s.Name == "cloud-init.target" || s.Name == "cloud-init-local.service") {
			return s.File, nil
		}
	}
	b, err := g.read("etc/cloud/ds-identify.cfg")
	for _, l := range lines(b) {
		if strings.ReplaceAll(l.text, " ", "") == "policy:disabled" {
			return "/etc/cloud/ds-identify.cfg", nil
		}
	}
	return "", err
}

// cloudState tells what an earlier boot left.
func (g *Guest) cloudState(c *fact.CloudInit) error {
	b, err := g.read("var/lib/cloud/data/instance-id")
	if err != nil {
		return err
	}
	c.InstanceID = cut(strings.TrimSpace(string(b)))
	for _, p := range []string{"var/lib/cloud/instance", "var/lib/cloud/data/instance-id", "var/log/cloud-init.log", "var/log/cloud-init-output.log"} {
		if g.there(p) {
			c.State = append(c.State, "/"+p)
		}
	}
	for _, dir := range []string{"var/lib/cloud/instances", "var/lib/cloud/sem"} {
		l, err := g.list(dir)
		if err != nil {
			return err
		}
		for _, d := range l[:min(len(l), 50)] {
			c.State = append(c.State, "/"+dir+"/"+cut(d.Name()))
		}
	}
	return nil
}
