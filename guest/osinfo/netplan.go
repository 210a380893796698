package osinfo

import (
	"strings"

	"kuva/guest/fact"
)

// netplan reads /etc/netplan/*.yaml: each file by itself, later ones do not
// change what earlier ones said.
func netplan(g *Guest) error {
	for _, dir := range []string{"etc/netplan", "lib/netplan", "usr/lib/netplan"} {
		files, err := g.list(dir)
		if err != nil {
			return err
		}
		for _, d := range files {
			if !strings.HasSuffix(d.Name(), ".yaml") {
				continue
			}
			file := dir + "/" + d.Name()
			b, err := g.read(file)
			if err != nil {
				return err
			}
			doc, err := yamlOf(b)
			if err != nil {
				g.note("netplan", pathError(file, err))
				continue
			}
			for _, kind := range []string{"ethernets", "wifis", "bonds", "bridges", "vlans"} {
				for name, value := range mapping(at(doc, "network", kind)) {
					g.addInterface(netplanInterface(file, name, value, b))
				}
			}
		}
	}
	return nil
}

func netplanInterface(file, name string, v any, b []byte) fact.Interface {
	i := fact.Interface{Name: name, Renderer: "netplan", File: "/" + file, Method: fact.MethodNone}
	for _, l := range lines(b) {
		if strings.HasPrefix(strings.Trim(l.text, `"'`), name) && strings.Contains(l.text, ":") {
			i.Line = l.n
			break
		}
	}
	if n := text(at(v, "match", "name")); n != "" {
		i.Name = n
	}
	if i.MAC = text(at(v, "match", "macaddress")); i.MAC == "" {
		i.MAC = text(at(v, "macaddress"))
	}
	for _, a := range list(at(v, "addresses")) {
		if m := mapping(a); len(m) == 1 { // an address with options
			for k := range m {
				i.Addresses = append(i.Addresses, k)
			}
			continue
		}
		i.Addresses = append(i.Addresses, text(a))
	}
	if i.Gateway = text(at(v, "gateway4")); i.Gateway == "" {
		i.Gateway = text(at(v, "gateway6"))
	}
	for _, r := range list(at(v, "routes")) {
		i.Routes = append(i.Routes, text(at(r, "to"))+" via "+text(at(r, "via")))
	}
	for _, d := range list(at(v, "nameservers", "addresses")) {
		i.DNS = append(i.DNS, text(d))
	}
	switch {
	case yes(at(v, "dhcp4")) || yes(at(v, "dhcp6")):
		i.Method = fact.MethodDHCP
	case len(i.Addresses) > 0:
		i.Method = fact.MethodStatic
	}
	return i
}
