package kuva

import "slices"

// Status is the state of an image as the Image API v2 shows it.
type Status string

// The states of an image. An image is born queued (a record without bytes)
// and becomes active when its bytes are durable.
const (
	StatusQueued        Status = "queued"
	StatusSaving        Status = "saving"
	StatusUploading     Status = "uploading"
	StatusImporting     Status = "importing"
	StatusActive        Status = "active"
	StatusDeactivated   Status = "deactivated"
	StatusKilled        Status = "killed"
	StatusPendingDelete Status = "pending_delete"
	StatusDeleted       Status = "deleted"
)

// moves is the table of the Image API v2 reference: from each state, the
// states that may follow. Nothing follows deleted.
var moves = map[Status][]Status{
	StatusQueued:        {StatusSaving, StatusUploading, StatusImporting, StatusActive, StatusDeleted},
	StatusSaving:        {StatusActive, StatusQueued, StatusKilled, StatusDeleted},
	StatusUploading:     {StatusImporting, StatusQueued, StatusDeleted},
	StatusImporting:     {StatusActive, StatusQueued, StatusDeleted},
	StatusActive:        {StatusDeactivated, StatusPendingDelete, StatusDeleted},
	StatusDeactivated:   {StatusActive, StatusDeleted},
	StatusKilled:        {StatusDeleted},
	StatusPendingDelete: {StatusActive, StatusDeleted},
}

// CanBecome reports whether an image in state s may move to state next.
func (s Status) CanBecome(next Status) bool { return slices.Contains(moves[s], next) }

// Busy reports whether bytes are on their way into the image.
func (s Status) Busy() bool {
	return s == StatusSaving || s == StatusUploading || s == StatusImporting
}

// HasContent reports whether an image in state s has bytes in the depot.
func (s Status) HasContent() bool {
	return s == StatusActive || s == StatusDeactivated || s == StatusPendingDelete
}
