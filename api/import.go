package api

// ImportImage is the body of POST /kuva/v1/images/{id}/import. It names exactly
// one source.
type ImportImage struct {
	// URL is where the content lies, http or https.
	URL string `json:"url,omitempty"`
	// Bucket is the object that is the content.
	Bucket *BucketObject `json:"bucket,omitempty"`
	// Plain leaves a manifest beside that object alone.
	Plain bool `json:"plain,omitempty"`

	// Digest is what the bytes at the source must have, as sha256:HEX; "" is not
	// checked.
	Digest string `json:"digest,omitempty"`
	// Exact keeps the bytes as they are, packed ones too.
	Exact bool `json:"exact,omitempty"`
	// Disk is the number of the disk, from 1, in an archive of several.
	Disk int `json:"disk,omitempty"`
}
