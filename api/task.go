package api

// ImageTask is a task of the Image API v2: an import, past or under way.
type ImageTask struct {
	ID        string  `json:"id"`
	Type      string  `json:"type"`   // import, api_image_import, location_import
	Status    string  `json:"status"` // pending, processing, success, failure
	Owner     *string `json:"owner"`  // project
	CreatedAt string  `json:"created_at"`
	UpdatedAt string  `json:"updated_at"`
	ExpiresAt *string `json:"expires_at,omitempty"` // where it has ended
	Self      string  `json:"self,omitempty"`
	Schema    string  `json:"schema,omitempty"`

	// Left out of lists of all tasks.
	*ImageTaskDetails
}

// ImageTaskDetails is what a task shows by itself and on its image.
type ImageTaskDetails struct {
	Input   map[string]any `json:"input"`
	Result  map[string]any `json:"result"`
	Message string         `json:"message"`

	// On its image alone.
	ImageID   string `json:"image_id,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	UserID    string `json:"user_id,omitempty"`
}

// ImageTaskList is the tasks of one image.
type ImageTaskList struct {
	Tasks []ImageTask `json:"tasks"`
}

// ImageTaskPage is one page of all tasks. Next is a relative link, "" on the
// last page.
type ImageTaskPage struct {
	Tasks  []ImageTask `json:"tasks"`
	First  string      `json:"first"`
	Next   string      `json:"next,omitempty"`
	Schema string      `json:"schema"`
}

// ImportInfo is the answer to GET /v2/info/import.
type ImportInfo struct {
	Methods ImportMethods `json:"import-methods"`
}

// ImportMethods lists the import methods of a site.
type ImportMethods struct {
	Description string   `json:"description"`
	Type        string   `json:"type"`
	Value       []string `json:"value"`
}

// ImageUsage is the answer to GET /v2/info/usage.
type ImageUsage struct {
	Usage map[string]ImageUse `json:"usage"`
}

// ImageUse is what a project holds of one thing, and its limit; -1 is none.
type ImageUse struct {
	Usage int64 `json:"usage"`
	Limit int64 `json:"limit"`
}

// ImageLocation is where an image's content was fetched from.
type ImageLocation struct {
	URL      string            `json:"url"`
	Metadata map[string]string `json:"metadata"`
}
