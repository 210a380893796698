package kuvav1

import (
	"net/http"

	"kuva"
	"kuva/api"
	"kuva/internal/rest"
)

// projectOf is the project that a question is about: the caller's own where
// it names none.
func projectOf(p kuva.Principal, q params) string {
	if project, named := q["project"]; named {
		return project
	}
	return p.ProjectID
}

func (a *API) usage(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	q, err := parseQuery(r.URL.RawQuery, "from", "to", "project")
	if err != nil {
		return err
	}
	project := projectOf(p, q)
	days, err := a.images.Usage(ctx, p, project, q["from"], q["to"])
	if err != nil {
		return err
	}
	out := api.Usage{Project: project, Days: make([]api.UsageDay, len(days))}
	for i, d := range days {
		out.Days[i] = api.UsageDay{Day: d.Day, Images: d.Images, Shown: d.Shown, Stored: d.Stored, Unique: d.Unique}
	}
	rest.WriteJSON(w, http.StatusOK, out)
	return nil
}
