package images

import (
	"io"

	"kuva"
	"kuva/internal/catalog"
)

// NewImage is what a caller says of an image that it creates.
type NewImage struct {
	ID              string          // client-chosen UUID, "" lets the service choose
	Name            string          // up to MaxName characters
	Owner           string          // "" is the caller's project; another one needs an admin
	Visibility      kuva.Visibility // "" is shared, private for images that may not be shared
	DiskFormat      string          // "" while unknown
	ContainerFormat string
	Protected       bool
	Hidden          bool
	MinDisk         int64 // GiB
	MinRAM          int64 // MiB
	Tags            []string
	Properties      map[string]string
}

// Op is what a Change does.
type Op int

// The operations of PATCH.
const (
	OpAdd     Op = iota // set, there or not (JSON patch of v2.1)
	OpCreate            // set what must not be there yet, else CodeConflict (draft 4, v2.0)
	OpReplace           // set what must be there, else CodeConflict
	OpRemove            // remove what must be there, else CodeConflict
)

// Change is one operation on one base attribute or extra property.
type Change struct {
	Op Op
	// Name is the attribute as the Image API names it (name, visibility,
	// os_hidden, tags, …) or the name of an extra property.
	Name string
	// Value as encoding/json decodes it: string, bool, float64 or
	// json.Number, []any, map[string]any, nil.
	Value any
}

// Query asks for a page of images. The zero value of each filter does not
// filter, but Hidden does. A Limit of 0 is an empty page; more than MaxPage is
// cut to it.
type Query = catalog.ImageQuery

// Sort is one sort key: name, status, container_format, disk_format, size,
// id, created_at or updated_at.
type Sort = catalog.ImageSort

// TimeFilter compares a time in whole seconds: gt, gte, eq, neq, lt, lte.
type TimeFilter = catalog.TimeFilter

// Source is content on its way into an image. Every way in makes one.
type Source struct {
	// Content is read to its end by one goroutine.
	Content io.Reader
	// Size is the announced length in bytes, below 0 where it is unknown.
	Size int64
	// Digests were announced by the sender and are enforced.
	Digests []Digest
	// Origin is recorded on the image; "" is kuva.OriginUploaded.
	Origin kuva.Origin
	// Interrupt, if not nil, makes a Read of Content that blocks return soon.
	// It is called at most once, where the image was deleted meanwhile.
	Interrupt func()
}

// Digest is an announced digest of content.
type Digest struct {
	Algo string // md5, sha1, sha256 or sha512; others are kuva.CodeInvalid
	Sum  []byte
}

// QuotaUse is what a project holds now.
type QuotaUse = catalog.QuotaUse

// UsageDay is what a project kept on one day.
type UsageDay = catalog.UsageDay
