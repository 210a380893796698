package api

// SiteTerms is what a site wants of those who send content.
type SiteTerms struct {
	Terms *Terms `json:"terms"` // null where there are none
}

// Terms is a text and its version.
type Terms struct {
	Version string `json:"version"`
	Text    string `json:"text"` // plain
}
