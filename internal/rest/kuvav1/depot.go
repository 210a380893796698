package kuvav1

import (
	"bytes"
	"net/http"

	"kuva/api"
	"kuva/internal/depot"
	"kuva/internal/images"
	"kuva/internal/rest"
)

func (a *API) depot(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	t, readOnly, err := a.images.Depot(ctx, p)
	if err != nil {
		return err
	}
	out := api.Depot{
		Cycle: t.Epoch, Objects: tally(t.Objects), Live: tally(t.Live), Garbage: t.Garbage, Open: tally(t.Open), Condemned: tally(t.Waiting),
	}
	if readOnly != nil {
		why := readOnly.Error() // made for the operator, who is the only one to get here
		out.ReadOnly, out.Why = true, &why
	}
	rest.WriteJSON(w, http.StatusOK, out)
	return nil
}

// collect starts a cycle of the collector, or says what one would do. An
// empty body asks for a plain cycle.
func (a *API) collect(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	body, err := rest.ReadBody(r)
	if err != nil {
		return err
	}
	var want api.Collect
	if len(bytes.TrimSpace(body)) > 0 {
		if err := rest.DecodeJSON(body, &want, rest.KnownFields); err != nil {
			return err
		}
	}
	opt := images.CollectOptions{Audit: want.Audit, Compact: want.Compact}
	if want.DryRun {
		rep, err := a.images.PlanCollect(ctx, p, opt)
		if err != nil {
			return err
		}
		rest.WriteJSON(w, http.StatusOK, wirePlan(rep))
		return nil
	}
	j, err := a.images.StartCollect(ctx, p, opt)
	if err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusAccepted, wireJob(j, rest.LanguageOf(r)))
	return nil
}

func wirePlan(rep depot.Report) api.CollectPlan {
	return api.CollectPlan{
		Cycle: rep.Epoch, Steps: append([]string{}, rep.Plan...), Notes: append([]string{}, rep.Notes...), Objects: tally(rep.Objects),
		Condemned: tally(rep.Condemned), Deleted: tally(rep.Deleted), Live: tally(rep.Live), Garbage: rep.Garbage,
	}
}

func tally(t depot.Tally) api.Tally { return api.Tally{Count: t.Count, Bytes: t.Bytes} }
