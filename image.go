package kuva

import "time"

// DefaultHashAlgo is the second digest of every image unless the site
// chooses SHA-256. Clients verify os_hash_value with it.
const DefaultHashAlgo = "sha512"

// Image is the user's record of one disk image. Its content, if it has any,
// lives in the depot under Object.
type Image struct {
	ID              string // UUID, lower case with dashes
	Name            string // up to 255 characters, may be empty
	Owner           string // project id
	Status          Status
	Visibility      Visibility
	DiskFormat      string // "" while unknown
	ContainerFormat string // "" while unknown
	Protected       bool
	Hidden          bool
	MinDisk         int64 // GiB
	MinRAM          int64 // MiB
	Tags            []string
	Properties      map[string]string

	Size        int64  // bytes as shown; -1 while unknown
	VirtualSize int64  // bytes a guest would see; -1 while unknown
	MD5         string // lower-case hex, "" while unknown
	HashAlgo    string // "sha512" or "sha256", "" while unknown
	HashValue   string // lower-case hex, "" while unknown
	Object      int64  // ref of the content in the depot, 0 while there is none

	Origin       Origin
	BaseImage    string // image id that this one was derived from, "" if none
	InstanceUUID string // server that this image is a snapshot of, "" if none

	LastFailure *Failure // of the newest upload that did not succeed, nil if none

	Version   int64 // counts committed changes of the record, from 1
	CreatedAt time.Time
	UpdatedAt time.Time
	ReadAt    time.Time // when the bytes were last read, zero if never
	Reads     int64     // how often reading the bytes was begun
	Recovered bool      // brought back from the store by rebuild
}

// Origin says how the content of an image came to be.
type Origin string

// The origins of content.
const (
	OriginNone     Origin = ""
	OriginUploaded Origin = "uploaded"
	OriginImported Origin = "imported"
	OriginSnapshot Origin = "snapshot"
	OriginCopied   Origin = "copied"
)

// Failure is why the newest upload into an image did not succeed. The image
// went back to queued and can be filled again.
type Failure struct {
	Code     Code
	Sentence string
	At       time.Time
	Received int64 // bytes taken in before it failed
	Import   bool  `json:",omitempty"` // it was no upload but an import
}

// MemberStatus is what the receiving project made of an offered image.
type MemberStatus string

// The member states.
const (
	MemberPending  MemberStatus = "pending"
	MemberAccepted MemberStatus = "accepted"
	MemberRejected MemberStatus = "rejected"
)

// Member is a project that an image was shared with.
type Member struct {
	Image     string
	Project   string
	Status    MemberStatus
	CreatedAt time.Time
	UpdatedAt time.Time
}

// CreateImageAllowed is the property that, when "false", forbids to share,
// export or copy what is made from an image. Only its owner's operator
// (admin) sets it on foreign images; derived images inherit it.
const CreateImageAllowed = "kuva_create_image_allowed"

// The properties by which clients tell where an image came from. kuva reads
// them into Image.BaseImage and Image.InstanceUUID.
const (
	PropertyBaseImageRef = "base_image_ref"
	PropertyInstanceUUID = "instance_uuid"
)
