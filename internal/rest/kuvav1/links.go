package kuvav1

import (
	"net/http"
	"net/url"
	"time"

	"kuva"
	"kuva/api"
	"kuva/internal/catalog"
	"kuva/internal/rest"
	"kuva/internal/transfer/link"
)

func (a *API) makeLink(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	var body api.NewAccessLink
	if err := rest.ReadJSON(r, &body, rest.KnownFields); err != nil {
		return err
	}
	if len(body.Settings) > maxSettings {
		return kuva.E(kuva.CodeInvalid, "rest.view_parameter")
	}
	for name, value := range body.Settings {
		if len(name) > maxValue || len(value) > maxValue {
			return kuva.E(kuva.CodeInvalid, "rest.view_parameter")
		}
	}
	made, err := a.cfg.Links.Make(ctx, p, link.Wish{
		Image: body.Image, Read: body.Read, Write: body.Write, Format: body.Format, Compress: body.Compress, Settings: body.Settings,
		Age: seconds(body.Seconds), Uses: body.Uses,
	})
	if err != nil {
		return err
	}
	out := a.wireLink(&made.Link)
	at := rest.PublicURL(a.door.PublicURL, r) + link.Path + "/" + made.Secret.Reveal() + "/" + url.PathEscape(made.Name)
	out.URL = &at
	w.Header().Set("Location", Prefix+"/links/"+made.ID)
	rest.WriteJSON(w, http.StatusCreated, out)
	return nil
}

// maxSettings bounds the settings of a link's format.
const maxSettings = 16

// seconds is a time of so many; what no time is long enough for is as long as
// there is.
func seconds(n int64) time.Duration {
	const most = int64(1<<63-1) / int64(time.Second)
	return time.Duration(min(max(n, -most), most)) * time.Second
}

func (a *API) links(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	q, err := parseQuery(r.URL.RawQuery, "image", "project", "limit", "marker")
	if err != nil {
		return err
	}
	limit, err := q.limit()
	if err != nil {
		return err
	}
	list, more, err := a.cfg.Links.List(ctx, p, link.Query{Image: q["image"], Project: q["project"], Before: q["marker"], Limit: limit})
	if err != nil {
		return err
	}
	out := api.AccessLinks{Links: make([]api.AccessLink, len(list))}
	for i := range list {
		out.Links[i] = a.wireLink(&list[i])
	}
	if more != "" {
		out.Next = q.next(r, more)
	}
	rest.WriteJSON(w, http.StatusOK, out)
	return nil
}

func (a *API) link(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	l, err := a.cfg.Links.Show(ctx, p, r.PathValue("id"))
	if err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusOK, a.wireLink(l))
	return nil
}

func (a *API) revokeLink(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	if err := a.cfg.Links.Revoke(ctx, p, r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) wireLink(l *catalog.Link) api.AccessLink {
	out := api.AccessLink{
		ID: l.ID, Image: l.Image, Project: l.Project, User: l.Maker.UserID, Read: l.Read, Write: l.Write,
		Format: text(l.Format), Compress: l.Options.Compress, Settings: l.Options.Settings, State: a.cfg.Links.State(l),
		Uses: l.Uses, UsedAt: moment(l.UsedAt), UsedFrom: text(l.UsedFrom), CreatedAt: l.CreatedAt, ExpiresAt: l.ExpiresAt,
	}
	if out.Settings == nil {
		out.Settings = map[string]string{}
	}
	if l.Most > 0 {
		out.UsesMost = &l.Most
	}
	return out
}
