package api

import "time"

// CopyImage is the body of POST /kuva/v1/images/{id}/copy, which may be left
// out.
type CopyImage struct {
	Name string `json:"name,omitempty"` // "" is the source's
}

// MoveImage is the body of POST /kuva/v1/images/{id}/move.
type MoveImage struct {
	Project string `json:"project"` // id of the one that is to own it
}

// MoveOffer is an image that its owner wants to give to another project.
type MoveOffer struct {
	Image           string    `json:"image"`
	Name            string    `json:"name"`
	From            string    `json:"from"` // project ids
	To              string    `json:"to"`
	Size            *int64    `json:"size"` // null without content
	DiskFormat      *string   `json:"disk_format"`
	ContainerFormat *string   `json:"container_format"`
	CreatedAt       time.Time `json:"created_at"`
}

// MoveOffers is a page of offers by and to a project.
type MoveOffers struct {
	Moves []MoveOffer `json:"moves"`
	Next  *string     `json:"next"` // path of the next page
}
