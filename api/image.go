package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sort"
	"time"
)

// ImageTime is how the Image API v2 writes a moment: UTC, whole seconds.
const ImageTime = "2006-01-02T15:04:05Z"

// Image is an image of the Image API v2 on the wire. Its extra properties
// stand in the same JSON object as the fields below; "" and -1 stand for the
// nulls of that object where a field says so.
type Image struct {
	ID              string
	Name            string // "" is null
	Owner           string // "" is null
	Status          string
	Visibility      string
	Protected       bool
	Hidden          bool
	DiskFormat      string // "" is null
	ContainerFormat string // "" is null
	MinDisk         int64  // GiB
	MinRAM          int64  // MiB
	Size            int64  // bytes, -1 is null
	VirtualSize     int64  // bytes, -1 is null
	Checksum        string // MD5 in hex, "" is null
	HashAlgo        string // "" is null
	HashValue       string // "" is null
	CreatedAt       time.Time
	UpdatedAt       time.Time
	Tags            []string
	Self            string
	File            string
	Schema          string
	Location        string // that its owner named; "" leaves the field locations out
	Properties      map[string]string
}

// imageFields is Image without its properties, as JSON has it.
type imageFields struct {
	ID              string   `json:"id"`
	Name            *string  `json:"name"`
	Owner           *string  `json:"owner"`
	Status          string   `json:"status"`
	Visibility      string   `json:"visibility"`
	Protected       bool     `json:"protected"`
	Hidden          bool     `json:"os_hidden"`
	DiskFormat      *string  `json:"disk_format"`
	ContainerFormat *string  `json:"container_format"`
	MinDisk         int64    `json:"min_disk"`
	MinRAM          int64    `json:"min_ram"`
	Size            *int64   `json:"size"`
	VirtualSize     *int64   `json:"virtual_size"`
	Checksum        *string  `json:"checksum"`
	HashAlgo        *string  `json:"os_hash_algo"`
	HashValue       *string  `json:"os_hash_value"`
	CreatedAt       string   `json:"created_at"`
	UpdatedAt       string   `json:"updated_at"`
	Tags            []string `json:"tags"`
	Self            string   `json:"self"`
	File            string   `json:"file"`
	Schema          string   `json:"schema"`
}

// ImageFields lists the names that are fields of an image and therefore never
// names of extra properties.
var ImageFields = []string{
	"id", "name", "owner", "status", "visibility", "protected", "os_hidden", "disk_format", "container_format",
	"min_disk", "min_ram", "size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value", "created_at",
	"updated_at", "tags", "self", "file", "schema",
}

// MarshalJSON flattens the properties into the image's object, sorted by
// name, so that equal images give equal bytes. A property that bears the name
// of a field is left out.
func (i Image) MarshalJSON() ([]byte, error) { return i.AppendJSON(nil), nil }

// AppendJSON implements Appender.
func (i Image) AppendJSON(b []byte) []byte {
	o := object{b: append(b, '{')}
	o.text("id", i.ID)
	o.textOrNull("name", i.Name)
	o.textOrNull("owner", i.Owner)
	o.text("status", i.Status)
	o.text("visibility", i.Visibility)
	o.bool("protected", i.Protected)
	o.bool("os_hidden", i.Hidden)
	o.textOrNull("disk_format", i.DiskFormat)
	o.textOrNull("container_format", i.ContainerFormat)
	o.number("min_disk", i.MinDisk)
	o.number("min_ram", i.MinRAM)
	o.numberOrNull("size", i.Size)
	o.numberOrNull("virtual_size", i.VirtualSize)
	o.textOrNull("checksum", i.Checksum)
	o.textOrNull("os_hash_algo", i.HashAlgo)
	o.textOrNull("os_hash_value", i.HashValue)
	o.text("created_at", i.CreatedAt.UTC().Format(ImageTime))
	o.text("updated_at", i.UpdatedAt.UTC().Format(ImageTime))
	o.name("tags")
	o.b = append(o.b, '[')
	for n, tag := range i.Tags {
		if n > 0 {
			o.b = append(o.b, ',')
		}
		o.b = appendText(o.b, tag)
	}
	o.b = append(o.b, ']')
	o.text("self", i.Self)
	o.text("file", i.File)
	o.text("schema", i.Schema)
	if i.Location != "" {
		o.name("locations")
		o.b = append(o.b, '[')
		at := object{b: append(o.b, '{')}
		at.text("url", i.Location)
		at.name("metadata")
		o.b = append(at.b, "{}}]"...)
	}
	names := make([]string, 0, len(i.Properties))
	for name := range i.Properties {
		if !isField[name] {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	for _, name := range names {
		o.text(name, i.Properties[name])
	}
	return append(o.b, '}')
}

var isField = func() map[string]bool {
	m := make(map[string]bool, len(ImageFields))
	for _, name := range ImageFields {
		m[name] = true
	}
	return m
}()

// UnmarshalJSON reads an image of any server that speaks the Image API v2.
// What is neither a field nor a string (locations of some servers) is kept as
// a property with its JSON as value.
func (i *Image) UnmarshalJSON(b []byte) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	// Only exact names are fields: encoding/json alone would take a property
	// called "Name" for the name.
	exact := make(map[string]json.RawMessage, len(ImageFields))
	for _, name := range ImageFields {
		if raw, ok := all[name]; ok {
			exact[name] = raw
		}
	}
	only, err := json.Marshal(exact)
	if err != nil {
		return err
	}
	var f imageFields
	if err := json.Unmarshal(only, &f); err != nil {
		return err
	}
	created, err := imageTime(f.CreatedAt)
	if err != nil {
		return fmt.Errorf("created_at: %w", err)
	}
	updated, err := imageTime(f.UpdatedAt)
	if err != nil {
		return fmt.Errorf("updated_at: %w", err)
	}
	*i = Image{
		ID: f.ID, Name: orEmpty(f.Name), Owner: orEmpty(f.Owner), Status: f.Status, Visibility: f.Visibility,
		Protected: f.Protected, Hidden: f.Hidden, DiskFormat: orEmpty(f.DiskFormat),
		ContainerFormat: orEmpty(f.ContainerFormat), MinDisk: f.MinDisk, MinRAM: f.MinRAM,
		Size: orUnknown(f.Size), VirtualSize: orUnknown(f.VirtualSize), Checksum: orEmpty(f.Checksum),
		HashAlgo: orEmpty(f.HashAlgo), HashValue: orEmpty(f.HashValue), CreatedAt: created, UpdatedAt: updated,
		Tags: f.Tags, Self: f.Self, File: f.File, Schema: f.Schema,
	}
	for name, raw := range all {
		if isField[name] {
			continue
		}
		if i.Properties == nil {
			i.Properties = map[string]string{}
		}
		var s string
		if bytes.Equal(raw, []byte("null")) || json.Unmarshal(raw, &s) != nil {
			s = string(raw)
		}
		i.Properties[name] = s
	}
	return nil
}

// ImageList is one page of images. Next is a relative link to the following
// page, "" on the last one.
type ImageList struct {
	Images []Image `json:"images"`
	First  string  `json:"first"`
	Next   string  `json:"next,omitempty"`
	Schema string  `json:"schema"`
}

// MarshalJSON writes the page as its fields say.
func (l ImageList) MarshalJSON() ([]byte, error) { return l.AppendJSON(nil), nil }

// AppendJSON implements Appender.
func (l ImageList) AppendJSON(b []byte) []byte {
	o := object{b: append(b, '{')}
	o.name("images")
	o.b = append(o.b, '[')
	for n, img := range l.Images {
		if n > 0 {
			o.b = append(o.b, ',')
		}
		o.b = img.AppendJSON(o.b)
	}
	o.b = append(o.b, ']')
	o.text("first", l.First)
	if l.Next != "" {
		o.text("next", l.Next)
	}
	o.text("schema", l.Schema)
	return append(o.b, '}')
}

// ImageMember is a project that an image was offered to.
type ImageMember struct {
	MemberID  string `json:"member_id"` // project id
	ImageID   string `json:"image_id"`
	Status    string `json:"status"` // pending, accepted, rejected
	CreatedAt string `json:"created_at"`
	UpdatedAt string `json:"updated_at"`
	Schema    string `json:"schema"`
}

// ImageMemberList is all members of one image that the caller may see.
type ImageMemberList struct {
	Members []ImageMember `json:"members"`
	Schema  string        `json:"schema"`
}

// ImageMemberAdd is the body of POST /v2/images/{id}/members.
type ImageMemberAdd struct {
	Member string `json:"member"`
}

// ImageMemberStatus is the body of PUT /v2/images/{id}/members/{member}.
type ImageMemberStatus struct {
	Status string `json:"status"`
}

// ImageVersions is the list of versions that an image service speaks.
type ImageVersions struct {
	Versions []ImageVersion `json:"versions"`
}

// ImageVersion is one minor version of the Image API.
type ImageVersion struct {
	ID     string      `json:"id"`
	Status string      `json:"status"` // CURRENT, SUPPORTED
	Links  []ImageLink `json:"links"`
}

// ImageLink is a link of a version.
type ImageLink struct {
	Rel  string `json:"rel"`
	Href string `json:"href"`
}

// ImageChange is one operation of a PATCH in the 2.1 dialect
// (application/openstack-images-v2.1-json-patch).
type ImageChange struct {
	Op    string `json:"op"` // add, replace, remove
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func orUnknown(n *int64) int64 {
	if n == nil {
		return -1
	}
	return *n
}

func imageTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339, s)
}
