package api

import "time"

// BucketObject names an object of a bucket: of one that the operator
// configured, by its name alone, or of any, by endpoint and bucket with keys of
// the caller's own. Answers never hold the keys.
type BucketObject struct {
	Name     string `json:"name,omitempty"`
	Endpoint string `json:"endpoint,omitempty"` // https://HOST or https://HOST:PORT
	Region   string `json:"region,omitempty"`   // "" is us-east-1
	Bucket   string `json:"bucket,omitempty"`
	Style    string `json:"style,omitempty"` // path or virtual; "" is what the endpoint is known for
	Object   string `json:"object"`
	Access   string `json:"access_key,omitempty"`
	Secret   string `json:"secret_key,omitempty"`
	Session  string `json:"session_token,omitempty"`
}

// SignedURLs are addresses that somebody else signed: Put for the whole file,
// or Parts with Complete, and Abort if there is one.
type SignedURLs struct {
	Put      string   `json:"put,omitempty"`
	Parts    []string `json:"parts,omitempty"`
	Complete string   `json:"complete,omitempty"`
	Abort    string   `json:"abort,omitempty"`
}

// NewExport is the body of POST /kuva/v1/images/{id}/exports. One of Bucket
// and Signed is set.
type NewExport struct {
	Format   string            `json:"format,omitempty"` // "" is the file as the image shows it
	Compress bool              `json:"compress,omitempty"`
	Settings map[string]string `json:"settings,omitempty"`

	Bucket     *BucketObject `json:"bucket,omitempty"`
	Overwrite  bool          `json:"overwrite,omitempty"`
	Encryption string        `json:"encryption,omitempty"` // asked of the bucket: AES256 or aws:kms
	KMSKey     string        `json:"kms_key,omitempty"`    // "" is the bucket's own

	Signed *SignedURLs `json:"signed,omitempty"`
}

// Export is a file of an image on its way to a bucket or an address.
type Export struct {
	ID         string            `json:"id"` // and its job's
	Image      string            `json:"image"`
	Project    string            `json:"project"` // of who wanted it
	User       string            `json:"user"`
	Format     string            `json:"format"`
	Compressed bool              `json:"compressed"`
	Settings   map[string]string `json:"settings"`
	Bucket     *BucketObject     `json:"bucket"` // null for signed addresses
	Host       *string           `json:"host"`   // of signed addresses, null for buckets
	State      string            `json:"state"`  // pending, running, done, failed, cancelled
	Cancelling bool              `json:"cancelling"`
	Attempt    int64             `json:"attempt"`
	Size       *int64            `json:"size"` // of the file; null while it is not known
	Done       int64             `json:"done"` // bytes that the other side has
	Sent       int64             `json:"sent"` // bytes that were sent, over all attempts
	Message    string            `json:"message"`
	Failure    *JobFailure       `json:"failure"`
	Manifest   *Manifest         `json:"manifest"` // null until it is done
	CreatedAt  time.Time         `json:"created_at"`
	StartedAt  *time.Time        `json:"started_at"` // of the newest attempt
	EndedAt    *time.Time        `json:"ended_at"`
}

// Exports is a page of exports, newest first.
type Exports struct {
	Exports []Export `json:"exports"`
	Next    *string  `json:"next"` // path of the next page
}

// Manifest says what an exported file is. In buckets it lies beside the object,
// under the object's key and ".kuva.json".
type Manifest struct {
	Version    int               `json:"kuva_manifest"` // 1
	Image      ManifestImage     `json:"image"`
	Format     string            `json:"format"`
	Compressed bool              `json:"compressed"`
	Settings   map[string]string `json:"settings"`
	Size       int64             `json:"size"`
	SHA256     string            `json:"sha256"` // of the file
	ETag       string            `json:"etag"`   // that the other side gave it, "" if none
	Program    string            `json:"program"`
	MadeAt     time.Time         `json:"made_at"`
}

// ManifestImage is the image as it was when it was exported.
type ManifestImage struct {
	ID              string            `json:"id"`
	Name            string            `json:"name"`
	Project         string            `json:"project"`
	DiskFormat      string            `json:"disk_format"`
	ContainerFormat string            `json:"container_format"`
	HashAlgo        string            `json:"os_hash_algo"`
	HashValue       string            `json:"os_hash_value"`
	MinDisk         int64             `json:"min_disk"`
	MinRAM          int64             `json:"min_ram"`
	Tags            []string          `json:"tags"`
	Properties      map[string]string `json:"properties"`
}

// Bucket is a bucket that the operator configured.
type Bucket struct {
	Name     string `json:"name"`
	Endpoint string `json:"endpoint"`
	Region   string `json:"region"`
	Bucket   string `json:"bucket"`
	Read     bool   `json:"read"`  // images are imported from it
	Write    bool   `json:"write"` // images are exported to it
}

// Buckets are those of the caller's project.
type Buckets struct {
	Buckets []Bucket `json:"buckets"`
}

// ListedObject is an object of a configured bucket.
type ListedObject struct {
	Object     string    `json:"object"`
	Size       int64     `json:"size"`
	ETag       string    `json:"etag"`
	ModifiedAt time.Time `json:"modified_at"`
}

// ListedObjects is a page of objects, by their names.
type ListedObjects struct {
	Objects []ListedObject `json:"objects"`
	Next    *string        `json:"next"` // path of the next page
}
