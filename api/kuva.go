package api

import "time"

// What kuva's own API says, as JSON. Times are RFC 3339 in UTC, sizes bytes;
// null stands for what is not known or not there. openapi.yaml of the door
// describes the same; its tests compare both.

// Version is the answer of GET /kuva/v1.
type Version struct {
	ID      string `json:"id"`
	Status  string `json:"status"`
	Service string `json:"service"`
	Links   []Link `json:"links"`
}

// Link points at another resource.
type Link struct {
	Rel  string `json:"rel"`
	Href string `json:"href"`
}

// Error is the body of every answer that is not a success.
type Error struct {
	Code      string `json:"code"` // of a closed list
	Message   string `json:"message"`
	RequestID string `json:"request_id"`
}

// Job is background work.
type Job struct {
	ID         string      `json:"id"`
	Kind       string      `json:"kind"`
	State      string      `json:"state"` // pending, running, succeeded, failed, cancelled
	Image      *string     `json:"image"`
	Project    *string     `json:"project"`
	RequestID  *string     `json:"request_id"` // of the call that wanted it
	Attempt    int64       `json:"attempt"`    // how often it was begun
	Cancelling bool        `json:"cancelling"` // somebody asked to end it
	Progress   Progress    `json:"progress"`
	Failure    *JobFailure `json:"failure"` // the newest
	CreatedAt  time.Time   `json:"created_at"`
	StartedAt  *time.Time  `json:"started_at"`  // of the newest attempt
	FinishedAt *time.Time  `json:"finished_at"` // null while it goes on
}

// Progress says how far a job is.
type Progress struct {
	Done    int64  `json:"done"`
	Total   *int64 `json:"total"`
	Rate    int64  `json:"rate,omitempty"` // a second, while it runs and is known
	Unit    string `json:"unit"`           // of all, "bytes" for example
	Message string `json:"message"`        // what it is doing
}

// JobFailure is why a job's newest attempt did not succeed.
type JobFailure struct {
	Code     string `json:"code"`
	Sentence string `json:"sentence"`
}

// Jobs is a page of jobs, newest first.
type Jobs struct {
	Jobs []Job   `json:"jobs"`
	Next *string `json:"next"` // path of the next page
}

// ImageEvent is a change of an image in the event stream.
type ImageEvent struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	Project    string    `json:"project"` // the owner
	Status     string    `json:"status"`  // deleted for one that is gone
	Visibility string    `json:"visibility"`
	Size       *int64    `json:"size"`
	UpdatedAt  time.Time `json:"updated_at"`
}

// StreamBegin is the first event of a stream.
type StreamBegin struct {
	Project   *string `json:"project"`   // whose events come; null for all
	Heartbeat float64 `json:"heartbeat"` // seconds between two signs of life
}

// StreamNote goes with the events reset (load what you show anew) and end (the
// stream ends here, because).
type StreamNote struct {
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// ImageDetails is what the Image API has no words for.
type ImageDetails struct {
	ID        string  `json:"id"`
	Name      string  `json:"name"`
	Project   string  `json:"project"` // the owner
	Status    string  `json:"status"`
	Origin    *string `json:"origin"`    // uploaded, imported, snapshot, copied; null before there is content
	Recovered bool    `json:"recovered"` // brought back from the store alone

	// Null for all but the owner and administrators.
	Owned *OwnedDetails `json:"owned"`
}

// OwnedDetails is told to the owner of an image and to administrators.
type OwnedDetails struct {
	BaseImage   *string       `json:"base_image"` // id, also of one that is gone
	Instance    *string       `json:"instance"`   // whose snapshot this is
	Lineage     []Ancestor    `json:"lineage"`    // base image first, then its own, as far as they can be seen
	LastFailure *ImageFailure `json:"last_failure"`
	Reads       int64         `json:"reads"`
	ReadAt      *time.Time    `json:"read_at"`
	Cost        *Cost         `json:"cost"` // null without content
}

// Ancestor is an image that another was made from.
type Ancestor struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Status string `json:"status"`
}

// ImageFailure is why the newest upload into an image did not succeed.
type ImageFailure struct {
	Code     string    `json:"code"`
	Sentence string    `json:"sentence"`
	At       time.Time `json:"at"`
	Received int64     `json:"received"` // bytes
}

// Cost is what an image takes in the store, compressed and sealed.
type Cost struct {
	Stored      int64 `json:"stored"`       // all that it refers to
	Unique      int64 `json:"unique"`       // what deleting it gives back,
	UniqueError int64 `json:"unique_error"` // give or take this
}

// Views is what an image can be had as.
type Views struct {
	Views  []View  `json:"views"`
	Reason *string `json:"reason"` // why there is nothing but what was sent
}

// View is one file that an image can be had as.
type View struct {
	Format      string  `json:"format"`
	Compressed  bool    `json:"compressed"`
	Subformat   *string `json:"subformat"`
	AsSent      bool    `json:"as_sent"`     // the bytes that were sent
	Size        int64   `json:"size"`        // of the file
	Exact       bool    `json:"exact"`       // size is not an estimate
	Ranges      bool    `json:"ranges"`      // parts can be asked for
	MediaType   string  `json:"media_type"`  // of the file
	Recommended *string `json:"recommended"` // "run" machines from it, or "carry" it elsewhere
	Href        string  `json:"href"`        // where to fetch it
}

// Activity is a page of what was done to an image, newest first.
type Activity struct {
	Activity []ActivityEntry `json:"activity"`
	Next     *string         `json:"next"`
}

// ActivityEntry is one thing that was done.
type ActivityEntry struct {
	ID        string            `json:"id"`
	At        time.Time         `json:"at"`
	Actor     string            `json:"actor"` // user id, or kuva
	Project   *string           `json:"project"`
	Action    string            `json:"action"`
	Result    string            `json:"result"` // ok or an error code
	RequestID *string           `json:"request_id"`
	Detail    map[string]string `json:"detail"`
}

// Usage is what a project kept, day by day.
type Usage struct {
	Project string     `json:"project"`
	Days    []UsageDay `json:"days"`
}

// UsageDay is one day of it; days on which nothing was counted are left out.
type UsageDay struct {
	Day    string `json:"day"` // 2026-11-21
	Images int64  `json:"images"`
	Shown  int64  `json:"shown"`  // bytes as users see them
	Stored int64  `json:"stored"` // bytes that the images refer to, sealed
	Unique int64  `json:"unique"` // bytes that deleting all of them gives back
}

// Quota is what a project may keep, and what it keeps.
type Quota struct {
	Project string      `json:"project"`
	Limits  QuotaLimits `json:"limits"`
	Use     QuotaUse    `json:"use"`
}

// QuotaLimits are the limits of a project; -1 is unlimited.
type QuotaLimits struct {
	Images      int64 `json:"images"`
	Bytes       int64 `json:"bytes"`
	ImageSize   int64 `json:"image_size"`
	VirtualSize int64 `json:"virtual_size"`
	Members     int64 `json:"members"`
	Tags        int64 `json:"tags"`
	Properties  int64 `json:"properties"`
	Uploads     int64 `json:"uploads"`
}

// QuotaUse is what a project keeps now.
type QuotaUse struct {
	Images   int64 `json:"images"`
	Bytes    int64 `json:"bytes"`    // of images with content
	Reserved int64 `json:"reserved"` // for uploads under way
	Uploads  int64 `json:"uploads"`
}

// QuotaChange sets limits by name; null takes one back to the site's default.
type QuotaChange struct {
	Limits map[string]*int64 `json:"limits"`
}

// Depot is what the store holds.
type Depot struct {
	ReadOnly  bool    `json:"read_only"`
	Why       *string `json:"why"`     // it takes no writes
	Cycle     int64   `json:"cycle"`   // of the collector
	Objects   Tally   `json:"objects"` // contents of images, bytes as read
	Live      Tally   `json:"live"`    // packs, bytes that objects refer to
	Garbage   int64   `json:"garbage"` // bytes in live packs that nothing refers to
	Open      Tally   `json:"open"`    // packs being written
	Condemned Tally   `json:"condemned"`
}

// Tally counts things and their bytes.
type Tally struct {
	Count int64 `json:"count"`
	Bytes int64 `json:"bytes"`
}

// Collect asks for a cycle of the collector.
type Collect struct {
	DryRun  bool `json:"dry_run"`
	Audit   bool `json:"audit"`
	Compact bool `json:"compact"`
}

// CollectPlan is what a cycle would do.
type CollectPlan struct {
	Cycle     int64    `json:"cycle"`
	Steps     []string `json:"steps"`
	Notes     []string `json:"notes"`
	Objects   Tally    `json:"objects"`   // without image
	Condemned Tally    `json:"condemned"` // packs, to be deleted by a later cycle
	Deleted   Tally    `json:"deleted"`   // blobs
	Live      Tally    `json:"live"`
	Garbage   int64    `json:"garbage"`
}
