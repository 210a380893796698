package osinfo

import (
	"path"
	"slices"
	"strings"

	"kuva/guest/fact"
)

// maxInterfaces bounds how many are told.
const maxInterfaces = 500

// network tells how the interfaces are set up, by every tool whose files are
// there: which of them runs is for the checks to say.
func network(g *Guest) error {
	for _, f := range []func(*Guest) error{ifupdown, netplan, networkd, networkManager, ifcfg} {
		if err := f(g); err != nil {
			return err
		}
	}
	return nil
}

func (g *Guest) addInterface(i fact.Interface) {
	n := &g.Facts.Network
	if i.Name == "lo" || len(n.Interfaces) >= maxInterfaces {
		return
	}
	i.Name, i.Gateway, i.MAC, i.File = cut(i.Name), cut(i.Gateway), cut(i.MAC), cut(i.File)
	for _, l := range []*[]string{&i.Addresses, &i.Routes, &i.DNS} {
		*l = (*l)[:min(len(*l), 100)]
		for j := range *l {
			(*l)[j] = cut((*l)[j])
		}
	}
	if !slices.Contains(n.Renderers, i.Renderer) {
		n.Renderers = append(n.Renderers, i.Renderer)
	}
	n.Interfaces = append(n.Interfaces, i)
}

// ifupdown reads interfaces(5), with the files that it sources.
func ifupdown(g *Guest) error {
	files := []string{"etc/network/interfaces"}
	more, err := g.list("etc/network/interfaces.d")
	if err != nil {
		return err
	}
	for _, d := range more {
		if len(files) < 200 {
			files = append(files, "etc/network/interfaces.d/"+d.Name())
		}
	}
	for _, file := range files {
		b, err := g.read(file)
		if err != nil {
			return err
		}
		g.interfacesFile(file, b)
	}
	return nil
}

func (g *Guest) interfacesFile(file string, b []byte) {
	var cur *fact.Interface
	flush := func() {
		if cur != nil {
			g.addInterface(*cur)
		}
		cur = nil
	}
	for _, l := range lines(b) {
		f := strings.Fields(l.text)
		switch f[0] {
		case "iface":
			flush()
			if len(f) < 4 || f[2] != "inet" && f[2] != "inet6" {
				continue
			}
			cur = &fact.Interface{Name: f[1], Renderer: "ifupdown", File: "/" + file, Line: l.n, Method: ifupdownMethod(f[3])}
		case "auto", "mapping", "source", "source-directory":
			flush()
		default:
			if strings.HasPrefix(f[0], "allow-") {
				flush()
			} else if cur != nil && len(f) > 1 {
				ifupdownOption(cur, f)
			}
		}
	}
	flush()
}

func ifupdownMethod(word string) string {
	switch word {
	case "static":
		return fact.MethodStatic
	case "dhcp", "auto":
		return fact.MethodDHCP
	}
	return fact.MethodNone
}

func ifupdownOption(i *fact.Interface, f []string) {
	switch f[0] {
	case "address":
		i.Addresses = append(i.Addresses, f[1])
	case "gateway":
		i.Gateway = f[1]
	case "dns-nameservers":
		i.DNS = append(i.DNS, f[1:]...)
	case "hwaddress":
		i.MAC = f[len(f)-1] // "hwaddress ether MAC" in old files
	case "up", "post-up":
		if rest := strings.Join(f[1:], " "); strings.Contains(rest, "route") {
			i.Routes = append(i.Routes, rest)
		}
	}
}

// section is a part of an INI file, in order, with repeated keys.
type section struct {
	name string
	line int
	keys []setting
}

type setting struct {
	name, value string
	line        int
}

func (s *section) get(name string) string {
	for _, k := range s.keys {
		if strings.EqualFold(k.name, name) {
			return k.value
		}
	}
	return ""
}

func (s *section) all(name string) (out []string) {
	for _, k := range s.keys {
		if strings.EqualFold(k.name, name) {
			out = append(out, k.value)
		}
	}
	return out
}

// ini reads files of systemd, NetworkManager and cloudbase-init.
func ini(b []byte) []section {
	var out []section
	for _, l := range lines(b) {
		if l.text[0] == ';' {
			continue
		}
		if l.text[0] == '[' {
			name, _, _ := strings.Cut(l.text[1:], "]")
			if len(out) >= 1000 {
				break
			}
			out = append(out, section{name: name, line: l.n})
			continue
		}
		if name, value, ok := strings.Cut(l.text, "="); ok && len(out) > 0 {
			s := &out[len(out)-1]
			s.keys = append(s.keys, setting{strings.TrimSpace(name), unquote(value), l.n})
		}
	}
	return out
}

// networkd reads .network and .link files (systemd.network(5)).
func networkd(g *Guest) error {
	files, err := g.list("etc/systemd/network")
	if err != nil {
		return err
	}
	for _, d := range files {
		if ext := path.Ext(d.Name()); ext != ".network" && ext != ".link" {
			continue
		}
		file := "etc/systemd/network/" + d.Name()
		b, err := g.read(file)
		if err != nil {
			return err
		}
		i := fact.Interface{Renderer: "networkd", File: "/" + file, Line: 1, Method: fact.MethodNone}
		isLink := strings.HasSuffix(file, ".link")
		for _, s := range ini(b) {
			switch s.name {
			case "Match":
				i.Name, i.MAC = s.get("Name"), s.get("MACAddress")
			case "Link":
				if mac := s.get("MACAddress"); mac != "" {
					i.MAC = mac
				}
			case "Network":
				i.Addresses = append(i.Addresses, s.all("Address")...)
				i.DNS = append(i.DNS, s.all("DNS")...)
				i.Gateway, i.Line = s.get("Gateway"), s.line
				switch strings.ToLower(s.get("DHCP")) {
				case "yes", "true", "ipv4", "ipv6", "both", "v4", "v6", "1", "on":
					i.Method = fact.MethodDHCP
				}
			case "Address":
				i.Addresses = append(i.Addresses, s.all("Address")...)
			case "Route":
				if to := s.get("Destination"); to != "" {
					i.Routes = append(i.Routes, to+" via "+s.get("Gateway"))
				}
			}
		}
		if len(i.Addresses) > 0 && i.Method == fact.MethodNone {
			i.Method = fact.MethodStatic
		}
		if !isLink || i.MAC != "" {
			g.addInterface(i)
		}
	}
	return nil
}

// networkManager reads keyfiles (nm-settings-keyfile(5)).
func networkManager(g *Guest) error {
	const dir = "etc/NetworkManager/system-connections"
	files, err := g.list(dir)
	if err != nil {
		return err
	}
	for _, d := range files {
		b, err := g.read(dir + "/" + d.Name())
		if err != nil {
			return err
		}
		i := fact.Interface{Renderer: "networkmanager", File: "/" + dir + "/" + d.Name(), Line: 1, Method: fact.MethodDHCP}
		for _, s := range ini(b) {
			switch s.name {
			case "connection":
				i.Name = s.get("interface-name")
				if i.Name == "" {
					i.Name = s.get("id")
				}
			case "ethernet", "802-3-ethernet":
				if i.MAC = s.get("mac-address"); i.MAC == "" {
					i.MAC = s.get("cloned-mac-address")
				}
			case "ipv4":
				i.Line = s.line
				i.DNS = split(s.get("dns"), ";,")
				for _, k := range s.keys {
					switch {
					case strings.HasPrefix(k.name, "address"):
						address := split(k.value, ",")
						if len(address) > 0 {
							i.Addresses = append(i.Addresses, address[0])
						}
						if len(address) > 1 {
							i.Gateway = address[1]
						}
					case k.name == "gateway":
						i.Gateway = k.value
					case strings.HasPrefix(k.name, "route") && !strings.Contains(k.name, "-"):
						i.Routes = append(i.Routes, k.value)
					}
				}
				switch s.get("method") {
				case "manual":
					i.Method = fact.MethodStatic
				case "disabled", "link-local", "shared":
					i.Method = fact.MethodNone
				}
			}
		}
		g.addInterface(i)
	}
	return nil
}

func split(s, by string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(by, r) || r == ' ' })
}

// ifcfg reads the files of Red Hat's network-scripts and of SUSE's wicked.
func ifcfg(g *Guest) error {
	for _, dir := range []string{"etc/sysconfig/network-scripts", "etc/sysconfig/network"} {
		files, err := g.list(dir)
		if err != nil {
			return err
		}
		for _, d := range files {
			name, ok := strings.CutPrefix(d.Name(), "ifcfg-")
			if !ok || name == "lo" || strings.ContainsAny(name, "~") || strings.HasSuffix(name, ".bak") || strings.HasSuffix(name, ".rpmsave") {
				continue
			}
			if err := g.ifcfgFile(dir, name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *Guest) ifcfgFile(dir, name string) error {
	file := dir + "/ifcfg-" + name
	b, err := g.read(file)
	if err != nil {
		return err
	}
	s := settings(b)
	i := fact.Interface{Name: name, Renderer: "ifcfg", File: "/" + file, Method: fact.MethodNone}
	if dir == "etc/sysconfig/network" {
		i.Renderer = "wicked"
	}
	for _, l := range lines(b) {
		if n, _, _ := strings.Cut(l.text, "="); i.Line == 0 && (n == "BOOTPROTO" || strings.HasPrefix(n, "IPADDR")) {
			i.Line = l.n
		}
	}
	if s["DEVICE"] != "" {
		i.Name = s["DEVICE"]
	}
	for _, k := range []string{"HWADDR", "MACADDR", "LLADDR"} {
		if i.MAC == "" {
			i.MAC = s[k]
		}
	}
	for _, k := range []string{"IPADDR", "IPADDR0", "IPADDR1", "IPV6ADDR"} {
		if s[k] != "" {
			i.Addresses = append(i.Addresses, s[k])
		}
	}
	for _, k := range []string{"DNS1", "DNS2", "DNS3"} {
		if s[k] != "" {
			i.DNS = append(i.DNS, s[k])
		}
	}
	i.Gateway = s["GATEWAY"]
	switch boot := strings.ToLower(s["BOOTPROTO"]); {
	case strings.HasPrefix(boot, "dhcp") || boot == "bootp" || boot == "auto":
		i.Method = fact.MethodDHCP
	case len(i.Addresses) > 0:
		i.Method = fact.MethodStatic
	}
	routes, err := g.read(dir + "/route-" + name)
	if err != nil {
		return err
	}
	for _, l := range lines(routes) {
		i.Routes = append(i.Routes, l.text)
	}
	g.addInterface(i)
	return nil
}
