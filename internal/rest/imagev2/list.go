package imagev2

import (
	"net/http"
	"net/url"
	"strings"

	"kuva"
	"kuva/api"
	"kuva/internal/rest"
)

func (h *handler) list(w http.ResponseWriter, r *http.Request) error {
	params, err := parseParameters(r.URL.RawQuery)
	if err != nil {
		return err
	}
	q, err := parseQuery(params)
	if err != nil {
		return err
	}
	ctx, p := h.who(r)
	found, err := h.images.List(ctx, p, q)
	if kuva.CodeOf(err) == kuva.CodeNotFound {
		return kuva.E(kuva.CodeInvalid, "imagev2.marker").Because(err)
	}
	if err != nil {
		return err
	}
	out := api.ImageList{
		Images: make([]api.Image, len(found)), First: pageLink(params, ""), Schema: "/v2/schemas/images",
	}
	lang := rest.LanguageOf(r)
	for i, img := range found {
		out.Images[i] = view(p, img, lang)
	}
	if len(found) > 0 && len(found) == q.Limit {
		out.Next = pageLink(params, found[len(found)-1].ID)
	}
	rest.WriteJSON(w, http.StatusOK, out)
	return nil
}

// pageLink is a relative link to the page that follows the image marker, with
// all other parameters as the caller sent them.
func pageLink(params []parameter, marker string) string {
	return pageLinkOf("/v2/images", params, marker)
}

// pageLinkOf is pageLink for the list at path.
func pageLinkOf(path string, params []parameter, marker string) string {
	var query strings.Builder
	add := func(name, value string) {
		if query.Len() > 0 {
			query.WriteByte('&')
		}
		query.WriteString(url.QueryEscape(name))
		query.WriteByte('=')
		query.WriteString(url.QueryEscape(value))
	}
	for _, p := range params {
		if p.name != "marker" {
			add(p.name, p.value)
		}
	}
	if marker != "" {
		add("marker", marker)
	}
	if query.Len() == 0 {
		return path
	}
	return path + "?" + query.String()
}
