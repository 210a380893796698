package job

import (
	"encoding/json"
	"time"

	"kuva"
)

// State is where a job stands.
type State string

// The states of a job.
const (
	Pending   State = "pending"
	Running   State = "running"
	Succeeded State = "succeeded"
	Failed    State = "failed"
	Cancelled State = "cancelled"
)

// Final reports whether nothing follows s.
func (s State) Final() bool { return s == Succeeded || s == Failed || s == Cancelled }

// Job is one row, as it was when it was read.
type Job struct {
	ID        string // UUID
	Kind      string
	State     State
	Args      json.RawMessage
	Image     string // id of the image that it is about, "" if none
	Project   string // that it is done for, "" for the service itself
	RequestID string // of the call that wanted it
	UniqueKey string

	Attempt  int64  // how often it was claimed
	Failures int64  // how often it failed or its node died
	Node     string // that runs it or ran it last, "" while pending
	Cancel   bool   // somebody asked to end it

	Done    int64 // of Total, in Unit
	Total   int64 // 0 while unknown
	Rate    int64 // of Unit a second, 0 while unknown or not running
	Unit    string
	Message string // what it is doing, for people

	Code     kuva.Code // of the newest failure, "" if none
	Sentence string    // the same in English

	CreatedAt  time.Time
	StartedAt  time.Time // of the newest attempt, zero if none
	FinishedAt time.Time // zero while it is not final
}

// New is a job to be.
type New struct {
	Kind      string
	Args      any // marshalled to JSON, at most MaxArgs bytes
	Image     string
	Project   string
	RequestID string
	// UniqueKey names the object within the kind; while a job of the same
	// kind and key waits for its first run, Enqueue answers that job.
	UniqueKey string
}

// MaxArgs bounds the arguments of one job, in bytes of JSON.
const MaxArgs = 64 << 10

const columns = `id, kind, state, args, image, project, request_id, unique_key, attempt, failures, node, cancel,
	done, total, unit, message, code, sentence, created_at, started_at, finished_at, rate`

type scanner interface{ Scan(dest ...any) error }

func scan(row scanner) (Job, error) {
	var j Job
	var args, code string
	var created, started, finished int64
	err := row.Scan(&j.ID, &j.Kind, &j.State, &args, &j.Image, &j.Project, &j.RequestID, &j.UniqueKey, &j.Attempt, &j.Failures,
		&j.Node, &j.Cancel, &j.Done, &j.Total, &j.Unit, &j.Message, &code, &j.Sentence, &created, &started, &finished, &j.Rate)
	if j.State != Running { // its node may have died
		j.Rate = 0
	}
	j.Args, j.Code = json.RawMessage(args), kuva.Code(code)
	j.CreatedAt, j.StartedAt, j.FinishedAt = timeOf(created), timeOf(started), timeOf(finished)
	return j, err
}

// timeOf reads a column of microseconds; 0 is no time.
func timeOf(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
