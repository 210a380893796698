package images

import (
	"fmt"
	"slices"
	"strings"

	"kuva"
	"kuva/internal/catalog"
)

// Formats are the formats that are accepted, by the Image API's names. A nil
// list leaves the choice to whoever stands above: for a project the site, for
// the site all of the Image API. An empty list accepts none.
type Formats struct {
	Disk      []string
	Container []string
}

// Check refuses names that the Image API does not have.
func (f Formats) Check() error {
	for _, c := range []struct{ names, all []string }{{f.Disk, DiskFormats}, {f.Container, ContainerFormats}} {
		for _, name := range c.names {
			if !slices.Contains(c.all, name) {
				return fmt.Errorf("%q is none of %s", name, strings.Join(c.all, ", "))
			}
		}
	}
	return nil
}

// or fills what f leaves open from g.
func (f Formats) or(g Formats) Formats {
	if f.Disk == nil {
		f.Disk = g.Disk
	}
	if f.Container == nil {
		f.Container = g.Container
	}
	return f
}

// formatsOf is what a project may send.
func (s *Service) formatsOf(project string) Formats {
	return s.cfg.ProjectFormats[project].or(s.cfg.Formats)
}

// Settings are what doors show of the site's configuration: the formats that
// at least one project may send.
func (s *Service) Settings() (diskFormats, containerFormats []string) {
	all := []Formats{s.cfg.Formats}
	for _, f := range s.cfg.ProjectFormats {
		all = append(all, f)
	}
	union := func(names []string, of func(Formats) []string) (out []string) {
		for _, name := range names { // in the order of the Image API
			if slices.ContainsFunc(all, func(f Formats) bool { return slices.Contains(of(f), name) }) {
				out = append(out, name)
			}
		}
		return out
	}
	return union(DiskFormats, func(f Formats) []string { return f.Disk }), union(ContainerFormats, func(f Formats) []string { return f.Container })
}

// checkFormats refuses formats that an image newly gets, or takes to a new
// owner, and that are not accepted. What an image has already it keeps.
func (s *Service) checkFormats(was, now *catalog.Image) error {
	accepted := s.formatsOf(now.Owner)
	for _, c := range []struct {
		what, was, now string
		list           []string
	}{{"disk_format", was.DiskFormat, now.DiskFormat, accepted.Disk}, {"container_format", was.ContainerFormat, now.ContainerFormat, accepted.Container}} {
		if c.now != "" && (c.now != c.was || now.Owner != was.Owner) && !slices.Contains(c.list, c.now) {
			return kuva.E(kuva.CodeInvalid, "image.bad_format", "what", c.what, "list", strings.Join(c.list, ", "))
		}
	}
	return nil
}

// takes refuses content of formats that are not accepted any more.
func (s *Service) takes(img *catalog.Image) error {
	accepted := s.formatsOf(img.Owner)
	for _, c := range []struct {
		what, name string
		list       []string
	}{{"disk_format", img.DiskFormat, accepted.Disk}, {"container_format", img.ContainerFormat, accepted.Container}} {
		if !slices.Contains(c.list, c.name) {
			return kuva.E(kuva.CodeUnsupported, "image.format_not_taken", "what", c.what, "format", c.name, "list", strings.Join(c.list, ", "))
		}
	}
	return nil
}
