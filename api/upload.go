package api

import "time"

// Upload is content on its way: GET /kuva/v1/uploads/{id}.
type Upload struct {
	ID        string            `json:"id"`
	Protocol  string            `json:"protocol"` // tus, ask, fetch
	ProjectID string            `json:"project_id"`
	UserID    string            `json:"user_id"`
	ImageID   *string           `json:"image_id"` // null while it has none
	Name      string            `json:"name"`
	Size      *int64            `json:"size"`     // bytes; null while not known
	Received  int64             `json:"received"` // bytes that are durable, holes included
	State     string            `json:"state"`    // open, finishing, done, failed
	JobID     *string           `json:"job_id"`   // that makes the image of it
	Failure   *UploadFailure    `json:"failure"`
	CreatedAt time.Time         `json:"created_at"`
	UpdatedAt time.Time         `json:"updated_at"`
	ExpiresAt time.Time         `json:"expires_at"`
	Metadata  map[string]string `json:"metadata"` // as its sender gave it
}

// UploadFailure says why an upload failed, or did not finish yet.
type UploadFailure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Uploads is a page of uploads.
type Uploads struct {
	Uploads []Upload `json:"uploads"`
	Next    *string  `json:"next"` // path of the next page
}

// NewUpload is the body of POST /kuva/v1/uploads: an upload that asks first.
type NewUpload struct {
	Size     int64             `json:"size"` // of the guest's disk, in bytes
	Metadata map[string]string `json:"metadata,omitempty"`
}

// Asked is the answer to an ask.
type Asked struct {
	// Durable says that the part is there, and nothing of it is to be sent.
	Durable bool `json:"durable"`
	// Lacking has a bit for each chunk of the ask, in order, the lowest bit of
	// a byte first: 1 is a chunk to be sent. Null where Durable.
	Lacking []byte `json:"lacking"`
}

// UploadPart is a stretch of an upload that is durable.
type UploadPart struct {
	Off    int64  `json:"off"`
	Size   int64  `json:"size"`
	Digest string `json:"digest"` // BLAKE3 of its ask, in hexadecimal
}

// UploadParts is a page of parts, by their offsets.
type UploadParts struct {
	Parts []UploadPart `json:"parts"`
	Next  *string      `json:"next"` // path of the next page
}

// FinishUpload is the body of POST /kuva/v1/uploads/{id}/finish.
type FinishUpload struct {
	Digest string `json:"digest"` // see FinishDigest, in hexadecimal
}
