package kuvav1

import (
	"net/http"

	"kuva/api"
	"kuva/internal/rest"
)

// peers lists the regions that the caller's project may send images to.
func (a *API) peers(w http.ResponseWriter, r *http.Request) error {
	_, p := who(r)
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	out := api.Peers{Peers: []api.Peer{}}
	for _, name := range a.regions.Peers(p) {
		out.Peers = append(out.Peers, api.Peer{Name: name})
	}
	rest.WriteJSON(w, http.StatusOK, out)
	return nil
}

// replicate sends an image to another region.
func (a *API) replicate(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	var body api.Replicate
	if err := rest.ReadJSON(r, &body, rest.KnownFields); err != nil {
		return err
	}
	j, err := a.regions.Replicate(ctx, p, r.PathValue("id"), body.Peer)
	if err != nil {
		return err
	}
	w.Header().Set("Location", Prefix+"/jobs/"+j.ID)
	rest.WriteJSON(w, http.StatusAccepted, wireJob(j, rest.LanguageOf(r)))
	return nil
}
