// Package audit keeps the one append-only table of what was done, by whom, to
// what, and how it ended. Entries are written in the transaction of the change
// that they tell of: neither exists without the other. No code updates or
// deletes them.
package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"kuva"
	"kuva/internal/catalog"
)

// Service is the actor of what kuva does by itself.
const Service = "kuva"

// OK is the result of what succeeded; failures have their code.
const OK = "ok"

// MaxList is the most entries that one call of ListByObject returns.
const MaxList = 1000

// Entry is one line of the table.
type Entry struct {
	ID        int64 // ascending in the order of writing; set by Write
	At        time.Time
	Actor     string // user id, or Service
	Project   string // that the actor worked in, "" if none
	Action    string // image.create, user.password, ...
	Object    string // id of what it was done to
	Result    string // OK or a code; "" is written as OK
	RequestID string
	Detail    map[string]string // no secrets
}

// By fills in who did something from the principal of the call.
func By(p kuva.Principal, at time.Time, action, object string) Entry {
	e := Entry{At: at, Actor: p.UserID, Project: p.ProjectID, Action: action, Object: object, Result: OK, RequestID: p.RequestID}
	if e.Actor == "" {
		e.Actor = Service
	}
	return e
}

// Write appends an entry and returns its id. Ids ascend in the order in which
// they were taken, not by the clock, which may jump; two transactions that run
// at once on PostgreSQL may commit in the other order, but not if they hold
// the row of the same object.
func Write(ctx context.Context, tx *catalog.Tx, e Entry) (int64, error) {
	if e.Result == "" {
		e.Result = OK
	}
	detail := []byte("{}")
	if len(e.Detail) > 0 {
		var err error
		if detail, err = json.Marshal(e.Detail); err != nil {
			return 0, fmt.Errorf("audit entry: %w", err)
		}
	}
	insert := `INSERT INTO audit (at, actor, project, action, object, result, request_id, detail)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id`
	if tx.Dialect() == catalog.SQLite { // one writer at a time, rows never go: the next id is safe to compute
		insert = `INSERT INTO audit (id, at, actor, project, action, object, result, request_id, detail)
			VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM audit), $1, $2, $3, $4, $5, $6, $7, $8) RETURNING id`
	}
	var id int64
	err := tx.QueryRow(ctx, insert, e.At.UnixMicro(), e.Actor, e.Project, e.Action, e.Object, e.Result, e.RequestID, string(detail)).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("write audit entry: %w", err)
	}
	return id, nil
}

// ListByObject returns the newest entries of one object, newest first, at most
// limit (1 to MaxList). before is the id of the last entry of the page before,
// 0 for the first page.
func ListByObject(ctx context.Context, tx *catalog.Tx, object string, before int64, limit int) ([]Entry, error) {
	limit = min(max(limit, 1), MaxList)
	if before <= 0 {
		before = 1<<63 - 1
	}
	rows, err := tx.Query(ctx, `SELECT id, at, actor, project, action, object, result, request_id, detail FROM audit
		WHERE object = $1 AND id < $2 ORDER BY id DESC LIMIT $3`, object, before, limit)
	if err != nil {
		return nil, fmt.Errorf("list audit entries: %w", err)
	}
	defer rows.Close()
	var out []Entry
	for rows.Next() {
		var e Entry
		var at int64
		var detail string
		if err := rows.Scan(&e.ID, &at, &e.Actor, &e.Project, &e.Action, &e.Object, &e.Result, &e.RequestID, &detail); err != nil {
			return nil, fmt.Errorf("list audit entries: %w", err)
		}
		e.At = time.UnixMicro(at).UTC()
		if detail != "{}" {
			if err := json.Unmarshal([]byte(detail), &e.Detail); err != nil {
				return nil, fmt.Errorf("audit entry %d: %w", e.ID, err)
			}
		}
		out = append(out, e)
	}
	return out, rows.Err()
}
