package kuvav1

import (
	"net/http"
	"time"

	"kuva/api"
	"kuva/internal/images"
	"kuva/internal/job"
	"kuva/internal/rest"
	"kuva/message"
)

func (a *API) jobs(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	q, err := parseQuery(r.URL.RawQuery, "state", "image", "kind", "project", "limit", "marker")
	if err != nil {
		return err
	}
	limit, err := q.limit()
	if err != nil {
		return err
	}
	states, err := q.states()
	if err != nil {
		return err
	}
	jobs, err := a.images.Jobs(ctx, p, images.JobQuery{
		Project: q["project"], Kind: q["kind"], Image: q["image"], States: states, Marker: q["marker"], Limit: limit,
	})
	if err != nil {
		return err
	}
	out := api.Jobs{Jobs: make([]api.Job, len(jobs))}
	for i, j := range jobs {
		out.Jobs[i] = wireJob(j, rest.LanguageOf(r))
	}
	if len(jobs) == limit {
		out.Next = q.next(r, jobs[len(jobs)-1].ID)
	}
	rest.WriteJSON(w, http.StatusOK, out)
	return nil
}

func (a *API) job(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	j, err := a.images.Job(ctx, p, r.PathValue("id"))
	if err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusOK, wireJob(j, rest.LanguageOf(r)))
	return nil
}

func (a *API) cancelJob(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	j, err := a.images.CancelJob(ctx, p, r.PathValue("id"))
	if err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusAccepted, wireJob(j, rest.LanguageOf(r)))
	return nil
}

// wireJob tells why a job failed in a language. Events are for all who listen,
// and tell it in English.
func wireJob(j job.Job, lang message.Language) api.Job {
	out := api.Job{
		ID: j.ID, Kind: j.Kind, State: string(j.State), Image: text(j.Image), Project: text(j.Project), RequestID: text(j.RequestID),
		Attempt: j.Attempt, Cancelling: j.Cancel && !j.State.Final(),
		Progress:  api.Progress{Done: j.Done, Rate: j.Rate, Unit: j.Unit, Message: j.Message},
		CreatedAt: j.CreatedAt, StartedAt: moment(j.StartedAt), FinishedAt: moment(j.FinishedAt),
	}
	if j.Total > 0 {
		out.Progress.Total = &j.Total
	}
	if j.Code != "" {
		out.Failure = &api.JobFailure{Code: string(j.Code), Sentence: message.Told(j.Sentence, lang)}
	}
	return out
}

// text is null for an empty string.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// moment is null for no time.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// known is null for a size that is not known.
func known(n int64) *int64 {
	if n < 0 {
		return nil
	}
	return &n
}
