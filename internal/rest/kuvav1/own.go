package kuvav1

import (
	"net/http"

	"kuva"
	"kuva/api"
	"kuva/internal/images"
	"kuva/internal/rest"
)

// ownImages lists what the Image API has no words for of the images of the
// caller's project, so that a list of thousands can be sorted by their last use.
func (a *API) ownImages(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	q, err := parseQuery(r.URL.RawQuery, "limit", "marker", "hidden")
	if err != nil {
		return err
	}
	limit, err := q.limit()
	if err != nil {
		return err
	}
	if h, named := q["hidden"]; named && h != "true" && h != "false" {
		return kuva.E(kuva.CodeInvalid, "kuvav1.parameter_value", "name", "hidden")
	}
	out := api.OwnImages{Images: []api.OwnImage{}}
	if p.ProjectID == "" { // nobody's images are of no project
		rest.WriteJSON(w, http.StatusOK, out)
		return nil
	}
	list, err := a.images.List(ctx, p, images.Query{Owner: p.ProjectID, Visibility: "all", Hidden: q["hidden"] == "true", Limit: limit, Marker: q["marker"]})
	if err != nil {
		return err
	}
	for _, img := range list {
		out.Images = append(out.Images, api.OwnImage{ID: img.ID, Origin: text(string(img.Origin)), Reads: img.Reads, ReadAt: moment(img.ReadAt)})
	}
	if len(list) == limit {
		out.Next = q.next(r, list[limit-1].ID)
	}
	rest.WriteJSON(w, http.StatusOK, out)
	return nil
}
