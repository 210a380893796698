package kuvav1

import (
	"log/slog"
	"net/http"
	"net/url"

	"kuva/api"
	"kuva/internal/images"
	"kuva/internal/rest"
)

func (a *API) views(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	v, err := a.images.Views(ctx, p, r.PathValue("id"))
	if err != nil {
		return err
	}
	out := api.Views{Views: make([]api.View, len(v.List))}
	if v.Why != nil {
		out.Reason = text(v.Why.Text.In(rest.LanguageOf(r)))
	}
	for i, info := range v.List {
		out.Views[i] = api.View{
			Format: info.Format, Compressed: info.Compressed, Subformat: text(info.Settings["subformat"]), AsSent: info.AsSent,
			Size: info.Size, Exact: info.Exact, Ranges: info.Ranges, MediaType: info.Media, Recommended: text(info.Use), Href: viewPath(v.Image.ID, info),
		}
	}
	rest.WriteJSON(w, http.StatusOK, out)
	return nil
}

// viewPath is where a view is fetched from.
func viewPath(image string, info images.ViewInfo) string {
	q := url.Values{}
	if !info.AsSent {
		q.Set("format", info.Format)
	}
	if info.Compressed {
		q.Set("compress", "true")
	}
	for key, value := range info.Settings {
		q.Set(key, value)
	}
	path := Prefix + "/images/" + url.PathEscape(image) + "/file"
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	return path
}

func (a *API) file(w http.ResponseWriter, r *http.Request) error {
	log := a.door.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return rest.SendView(w, r, a.images, a.cfg.Stall, log)
}
