package kuvav1

import (
	"bytes"
	"net/http"

	"kuva"
	"kuva/api"
	"kuva/guest"
	"kuva/internal/images"
	"kuva/internal/rest"
)

func (a *API) report(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	q, err := parseQuery(r.URL.RawQuery, "sbom")
	if err != nil {
		return err
	}
	form, bill := q["sbom"]
	if bill && form != "cyclonedx" {
		return kuva.E(kuva.CodeInvalid, "kuvav1.sbom")
	}
	report, img, err := a.images.Report(ctx, p, r.PathValue("id"))
	if err != nil {
		return err
	}
	if bill {
		return writeSBOM(w, report, img)
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

// writeSBOM sends the packages as a bill of materials.
func writeSBOM(w http.ResponseWriter, report *guest.Report, img *kuva.Image) error {
	var body bytes.Buffer
	if err := guest.WriteCycloneDX(&body, report, img.Name); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/vnd.cyclonedx+json; version=1.5")
	w.Header().Set("Content-Disposition", `attachment; filename="`+img.ID+`.cdx.json"`)
	_, err := w.Write(body.Bytes())
	return err
}
