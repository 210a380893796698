package images

import (
	"context"
	"io"
	"time"

	"kuva"
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

// Query asks for a page of images. The zero value asks for the newest images
// of the caller's default list.
type Query struct {
	Limit  int    // 0 is an empty page; more than MaxPage is cut to it
	Marker string // id of the last image of the page before, "" at the start
	Sort   []Sort // nil is created_at descending; created_at and id are appended

	Name            []string // any of them; nil is no filter
	ID              []string
	Status          []string
	ContainerFormat []string
	DiskFormat      []string

	Created []TimeFilter // all of them
	Updated []TimeFilter
	Min     map[string]int64 // size, virtual_size, min_ram, min_disk: at least
	Max     map[string]int64 // at most

	Tags         []string // all of them
	Visibility   string   // "", public, private, shared, community, all
	MemberStatus string   // "" is accepted; pending, rejected, all
	Owner        string
	Checksum     string
	HashValue    string // os_hash_value
	Protected    *bool
	Hidden       bool              // os_hidden
	Properties   map[string]string // equality, all of them
}

// Sort is one sort key: name, status, container_format, disk_format, size,
// id, created_at or updated_at.
type Sort struct {
	Key  string
	Desc bool
}

// TimeFilter compares a time: gt, gte, eq, neq, lt, lte.
type TimeFilter struct {
	Op string
	At time.Time
}

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
	Algo string // md5, sha1, sha256 or sha512
	Sum  []byte
}

// Content is the content of one image, opened for reading. Close it.
type Content struct {
	Image *kuva.Image // as it was when it was opened; Size, MD5, HashValue are of these bytes

	open  func(ctx context.Context, off, n int64) io.ReadCloser
	close func() error
	count func()
}

// QuotaUse is what a project holds now.
type QuotaUse struct {
	Images   int64 // image records
	Bytes    int64 // bytes as shown, of images with content
	Reserved int64 // bytes that uploads under way hold
	Uploads  int64 // uploads under way
}

// UsageDay is what a project kept on one day.
type UsageDay struct {
	Day    string // 2026-11-21, UTC
	Images int64  // image records
	Shown  int64  // bytes as shown
	Stored int64  // sealed bytes that its images refer to
	Unique int64  // sealed bytes that nobody else refers to
}
