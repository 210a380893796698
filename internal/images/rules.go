package images

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"kuva"
	"kuva/internal/catalog"
)

// What the Image API keeps for itself: base attributes that only the service
// sets, and names that no property may have.
var (
	readOnlyNames = []string{
		"id", "status", "checksum", "os_hash_algo", "os_hash_value", "size", "virtual_size", "created_at", "updated_at",
		"direct_url", "self", "file", "schema", "locations", "stores",
	}
	reservedNames = []string{"location", "deleted", "deleted_at"}
	baseNames     = []string{
		"name", "visibility", "protected", "os_hidden", "disk_format", "container_format", "min_disk", "min_ram", "tags", "owner",
	}
)

// checkPropertyName refuses names that are not a property's.
func checkPropertyName(name string) error {
	switch {
	case slices.Contains(readOnlyNames, name):
		return kuva.E(kuva.CodeForbidden, "image.read_only_attribute", "name", name)
	case slices.Contains(reservedNames, name), strings.HasPrefix(name, "os_glance"):
		return kuva.E(kuva.CodeForbidden, "image.reserved_attribute", "name", name)
	case slices.Contains(baseNames, name):
		return kuva.E(kuva.CodeInvalid, "image.base_attribute", "name", name)
	}
	return checkName("property", name)
}

// checkName is for what is an identifier somewhere: not empty, no control
// characters, not too long.
func checkName(what, name string) error {
	if name == "" || utf8.RuneCountInString(name) > MaxName || !utf8.ValidString(name) || strings.ContainsFunc(name, isControl) {
		return kuva.E(kuva.CodeInvalid, "image.bad_name", "what", what, "limit", MaxName)
	}
	return nil
}

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

func checkPropertyValue(name, value string) error {
	if !plainText(value) {
		return kuva.E(kuva.CodeInvalid, "image.bad_value", "name", name)
	}
	if name == kuva.CreateImageAllowed && value != "true" && value != "false" {
		return kuva.E(kuva.CodeInvalid, "image.bad_flag", "name", name)
	}
	return nil
}

// checkRecord checks what a record is to be, whoever made it so.
func (s *Service) checkRecord(img *catalog.Image) error {
	if img.Name != "" {
		if err := checkName("name", img.Name); err != nil {
			return err
		}
	}
	if err := checkName("owner", img.Owner); err != nil {
		return err
	}
	if !img.Visibility.Valid() {
		return kuva.E(kuva.CodeInvalid, "image.bad_visibility")
	}
	const most = 1<<31 - 1
	if img.MinDisk < 0 || img.MinDisk > most || img.MinRAM < 0 || img.MinRAM > most {
		return kuva.E(kuva.CodeInvalid, "image.bad_minimum", "limit", most)
	}
	for _, t := range img.Tags {
		if err := checkName("tag", t); err != nil {
			return err
		}
	}
	for name, value := range img.Properties {
		if err := checkPropertyName(name); err != nil {
			return err
		}
		if err := checkPropertyValue(name, value); err != nil {
			return err
		}
	}
	return nil
}

// checkCounts holds the quotas of one image. A record that was already above
// one, because it was lowered since, may still shrink.
func checkCounts(q kuva.Quota, was, now *catalog.Image) error {
	if n, limit := len(now.Tags), within(q.Tags, MaxTags); int64(n) > limit && n > len(was.Tags) {
		return kuva.E(kuva.CodeQuota, "image.too_many_tags", "limit", limit)
	}
	if n := len(now.Properties); q.Properties >= 0 && int64(n) > q.Properties && n > len(was.Properties) {
		return kuva.E(kuva.CodeQuota, "image.too_many_properties", "limit", q.Properties)
	}
	b, err := json.Marshal(now.Properties)
	if err != nil {
		return err
	}
	if len(b) > MaxProperties {
		return kuva.E(kuva.CodeTooLarge, "image.properties_large", "limit", MaxProperties)
	}
	return nil
}

// within is a limit, below 0 unlimited, that hard bounds in any case.
func within(limit, hard int64) int64 {
	if limit < 0 || limit > hard {
		return hard
	}
	return limit
}

// unique returns the tags in their order, each once.
func unique(tags []string) []string {
	var out []string
	for _, t := range tags {
		if !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}
