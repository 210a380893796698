package kuvav1

import (
	"net/http"
	"strings"

	"kuva"
	"kuva/api"
	"kuva/internal/images"
	"kuva/internal/job"
	"kuva/internal/rest"
)

// importImage begins to bring an image's content from elsewhere. A source is a
// field of the body; each has a function that starts its job.
func (a *API) importImage(w http.ResponseWriter, r *http.Request) error {
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	var body api.ImportImage
	if err := rest.ReadJSON(r, &body, rest.KnownFields); err != nil {
		return err
	}
	var start []func(r *http.Request, body *api.ImportImage) (job.Job, error)
	if body.URL != "" {
		start = append(start, a.importURL)
	}
	if body.Bucket != nil {
		start = append(start, a.importBucket)
	}
	if len(start) != 1 {
		return kuva.E(kuva.CodeInvalid, "kuvav1.import_source")
	}
	j, err := start[0](r, &body)
	if err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusAccepted, wireJob(j, rest.LanguageOf(r)))
	return nil
}

// importURL is for content that lies at a URL.
func (a *API) importURL(r *http.Request, body *api.ImportImage) (job.Job, error) {
	in := images.URLImport{URL: body.URL, Digest: digestOf(body), Exact: body.Exact, Disk: body.Disk}
	ctx, p := who(r)
	return a.images.ImportURL(ctx, p, r.PathValue("id"), in)
}

// digestOf is the digest that a body announces, nil where it does not.
func digestOf(body *api.ImportImage) *[2]string {
	if body.Digest == "" {
		return nil
	}
	algo, sum, _ := strings.Cut(body.Digest, ":")
	return &[2]string{strings.ToLower(algo), sum}
}
