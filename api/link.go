package api

import "time"

// NewAccessLink is the body of POST /kuva/v1/links.
type NewAccessLink struct {
	Image    string            `json:"image"`
	Read     bool              `json:"read"`
	Write    bool              `json:"write"`
	Format   string            `json:"format,omitempty"` // "" is what was sent
	Compress bool              `json:"compress,omitempty"`
	Settings map[string]string `json:"settings,omitempty"`   // of the format
	Seconds  int64             `json:"expires_in,omitempty"` // 0 is the site's default
	Uses     int64             `json:"uses_most,omitempty"`  // 0 is any number
}

// AccessLink is an address that is good for one image without a token.
type AccessLink struct {
	ID        string            `json:"id"`
	Image     string            `json:"image"`
	Project   string            `json:"project"` // of who made it
	User      string            `json:"user"`    // who made it
	Read      bool              `json:"read"`    // good for downloads
	Write     bool              `json:"write"`   // good for an upload
	Format    *string           `json:"format"`  // null is what was sent
	Compress  bool              `json:"compress"`
	Settings  map[string]string `json:"settings"`
	State     string            `json:"state"`     // live, expired, used_up
	UsesMost  *int64            `json:"uses_most"` // null is any number
	Uses      int64             `json:"uses"`
	UsedAt    *time.Time        `json:"used_at"`
	UsedFrom  *string           `json:"used_from"` // address of the newest use
	CreatedAt time.Time         `json:"created_at"`
	ExpiresAt time.Time         `json:"expires_at"`
	// URL is told once, where the link was just made; null later.
	URL *string `json:"url"`
}

// AccessLinks is a page of links, newest first.
type AccessLinks struct {
	Links []AccessLink `json:"links"`
	Next  *string      `json:"next"` // path of the next page
}

// LinkUpload is the answer to an upload by a link.
type LinkUpload struct {
	Image     string `json:"image"`
	Status    string `json:"status"`
	Size      int64  `json:"size"`
	MD5       string `json:"md5"`
	HashAlgo  string `json:"hash_algo"`
	HashValue string `json:"hash_value"`
}
