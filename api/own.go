package api

import "time"

// OwnImages is a page of the caller's project's images, newest first.
type OwnImages struct {
	Images []OwnImage `json:"images"`
	Next   *string    `json:"next"` // path of the next page
}

// OwnImage is what the Image API's list does not tell of an image.
type OwnImage struct {
	ID     string     `json:"id"`
	Origin *string    `json:"origin"`  // uploaded, imported, snapshot, copied; null before there is content
	Reads  int64      `json:"reads"`   // how often reading it was begun
	ReadAt *time.Time `json:"read_at"` // null for one that was never read
}
