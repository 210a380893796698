package kuvav1

import (
	"net/http"

	"kuva/api"
	"kuva/internal/images"
	"kuva/internal/rest"
)

func (a *API) report(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	report, img, err := a.images.Report(ctx, p, r.PathValue("id"))
	if err != nil {
		return err
	}
	out := api.NewImageReport(img.ID, report, string(rest.LanguageOf(r)))
	if report.Facts.OS != nil {
		mode := "emulated"
		if images.DrivesVirtio(report) {
			mode = "paravirtualised"
		}
		out.LaunchMode = &mode
	}
	w.Header().Set("Content-Language", out.Language)
	rest.WriteJSON(w, http.StatusOK, out)
	return nil
}
