package check

import (
	"slices"
	"strings"

	"kuva/guest/fact"
)

// redHat: the family of RHEL.
func redHat(o *fact.OS) bool {
	return isLike(o, "rhel", "fedora", "centos", "ol", "rocky", "almalinux")
}

// debianLike: Debian, Ubuntu and those made of them.
func debianLike(o *fact.OS) bool { return isLike(o, "debian", "ubuntu") }

// suse: SLES and openSUSE.
func suse(o *fact.OS) bool {
	return isLike(o, "suse", "sles", "opensuse", "opensuse-leap", "opensuse-tumbleweed")
}

func isLike(o *fact.OS, ids ...string) bool {
	if o == nil {
		return false
	}
	return slices.ContainsFunc(append(strings.Fields(o.Like), o.Distro), func(id string) bool { return slices.Contains(ids, id) })
}

// guideOf names the variant of a text for a family: rhel, suse, alpine, arch,
// or "" for Debian and all others.
func guideOf(o *fact.OS) string {
	switch {
	case redHat(o):
		return "rhel"
	case suse(o):
		return "suse"
	case o != nil && (o.Distro == "alpine" || o.Distro == "arch"):
		return o.Distro
	}
	return ""
}
