package guest

import (
	"encoding/json"
	"io"
	"net/url"
	"strings"

	"kuva/guest/fact"
)

// WriteCycloneDX writes the packages of a report as a bill of materials in the
// JSON of CycloneDX 1.5 (ECMA-424), each with its package URL. The same report
// gives the same bytes.
func WriteCycloneDX(w io.Writer, r *Report, name string) error {
	bom := bom{
		Format: "CycloneDX", Spec: "1.5", Version: 1,
		Metadata:   metadata{Component: component{Type: "operating-system", Name: name, Ref: "image"}},
		Components: []component{},
	}
	if o := r.Facts.OS; o != nil {
		bom.Components = append(bom.Components, component{
			Type: "operating-system", Ref: "os", Name: o.Distro, Version: o.Version, Description: o.Name,
		})
	}
	seen := map[string]bool{}
	for _, p := range r.Facts.Packages {
		purl := PackageURL(r.Facts.OS, &p)
		if seen[purl] { // kernels may be installed several times under one name
			continue
		}
		seen[purl] = true
		c := component{Type: "library", Ref: purl, Name: p.Name, Version: p.Version, PURL: purl, Publisher: p.Vendor}
		if p.License != "" {
			c.Licenses = []license{{License: licenseName{p.License}}}
		}
		bom.Components = append(bom.Components, c)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(bom)
}

type bom struct {
	Format     string      `json:"bomFormat"`
	Spec       string      `json:"specVersion"`
	Version    int         `json:"version"`
	Metadata   metadata    `json:"metadata"`
	Components []component `json:"components"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Type        string    `json:"type"`
	Ref         string    `json:"bom-ref"`
	Name        string    `json:"name"`
	Version     string    `json:"version,omitempty"`
	Description string    `json:"description,omitempty"`
	Publisher   string    `json:"publisher,omitempty"`
	PURL        string    `json:"purl,omitempty"`
	Licenses    []license `json:"licenses,omitempty"`
}

type license struct {
	License licenseName `json:"license"`
}

type licenseName struct {
	Name string `json:"name"`
}

// PackageURL names a package as the purl specification does: its type by the
// package manager, its namespace by the distribution.
func PackageURL(o *fact.OS, p *fact.Package) string {
	kind, distro := "generic", ""
	if o != nil {
		distro = o.Distro
		switch o.Packager {
		case "dpkg":
			kind = "deb"
		case "rpm", "apk":
			kind = o.Packager
		case "pacman":
			kind = "alpm"
		}
	}
	version, q := p.Version, url.Values{}
	if kind == "rpm" {
		if epoch, rest, ok := strings.Cut(version, ":"); ok {
			version = rest
			q.Set("epoch", epoch)
		}
	}
	if p.Arch != "" {
		q.Set("arch", p.Arch)
	}
	if o != nil && o.Version != "" {
		q.Set("distro", distro+"-"+o.Version)
	}
	s := "pkg:" + kind + "/"
	if distro != "" {
		s += url.PathEscape(distro) + "/"
	}
	s += escape(p.Name) + "@" + escape(version)
	if len(q) > 0 {
		s += "?" + q.Encode()
	}
	return s
}

// escape is percent-encoding as purl has it: a colon stays.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "%3A", ":") }
