package kuvav1

import (
	"net/http"

	"kuva/api"
	"kuva/internal/rest"
)

// terms gives those of the site.
func (a *API) terms(w http.ResponseWriter, r *http.Request) error {
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	var out api.SiteTerms
	if t := a.cfg.Uploads.Terms(); t != nil {
		out.Terms = &api.Terms{Version: t.Version, Text: t.Text}
	}
	rest.WriteJSON(w, http.StatusOK, out)
	return nil
}
