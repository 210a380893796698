package kuvav1

import (
	"net/http"
	"strconv"

	"kuva"
	"kuva/api"
	"kuva/internal/audit"
	"kuva/internal/rest"
)

func (a *API) activity(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	q, err := parseQuery(r.URL.RawQuery, "limit", "marker")
	if err != nil {
		return err
	}
	limit, err := q.limit()
	if err != nil {
		return err
	}
	var before int64
	if marker, named := q["marker"]; named {
		if before, err = strconv.ParseInt(marker, 10, 64); err != nil || before < 1 {
			return kuva.E(kuva.CodeInvalid, "kuvav1.marker")
		}
	}
	entries, err := a.images.Activity(ctx, p, r.PathValue("id"), before, limit)
	if err != nil {
		return err
	}
	out := api.Activity{Activity: make([]api.ActivityEntry, len(entries))}
	for i, e := range entries {
		out.Activity[i] = wireEntry(e)
	}
	if len(entries) == limit {
		out.Next = q.next(r, strconv.FormatInt(entries[len(entries)-1].ID, 10))
	}
	rest.WriteJSON(w, http.StatusOK, out)
	return nil
}

func wireEntry(e audit.Entry) api.ActivityEntry {
	if e.Detail == nil {
		e.Detail = map[string]string{}
	}
	return api.ActivityEntry{
		ID: strconv.FormatInt(e.ID, 10), At: e.At, Actor: e.Actor, Project: text(e.Project), Action: e.Action, Result: e.Result,
		RequestID: text(e.RequestID), Detail: e.Detail,
	}
}
