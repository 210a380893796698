package api

// Catalogue lists images that the operator of a site lists, by name.
type Catalogue struct {
	Images []CatalogueEntry `json:"images"`
}

// CatalogueEntry is one image that is to be had elsewhere.
type CatalogueEntry struct {
	Name         string            `json:"name"`
	OS           string            `json:"os"`
	Version      string            `json:"version"`
	Architecture string            `json:"architecture"`
	URL          string            `json:"url"`
	Hash         string            `json:"hash"` // of the bytes at URL, as sha256:HEX
	Licence      string            `json:"licence"`
	Signature    *string           `json:"signature"`   // how a person checks where the hash is from
	DiskFormat   *string           `json:"disk_format"` // null is told by the content
	MinDisk      int64             `json:"min_disk"`    // GiB
	MinRAM       int64             `json:"min_ram"`     // MiB
	Properties   map[string]string `json:"properties"`
}

// ImportEntry is the body of POST /kuva/v1/catalogue/{name}/import, which may be
// left out.
type ImportEntry struct {
	Name       string `json:"name,omitempty"`       // "" is the entry's
	Visibility string `json:"visibility,omitempty"` // "" is what images have without a word
}
