package kuvav1

import (
	"net/http"

	"kuva/api"
	"kuva/internal/catalog"
	"kuva/internal/rest"
	"kuva/internal/transfer/upload"
	"kuva/message"
)

// uploads answers with a page of uploads.
func (a *API) uploads(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	q, err := parseQuery(r.URL.RawQuery, "state", "project", "limit", "marker")
	if err != nil {
		return err
	}
	limit, err := q.limit()
	if err != nil {
		return err
	}
	list, err := a.cfg.Uploads.List(ctx, p, upload.Query{
		Project: q["project"], State: catalog.UploadState(q["state"]), Marker: q["marker"], Limit: limit,
	})
	if err != nil {
		return err
	}
	out := api.Uploads{Uploads: make([]api.Upload, len(list))}
	for i, u := range list {
		out.Uploads[i] = wireUpload(u, rest.LanguageOf(r))
	}
	if len(list) == limit {
		out.Next = q.next(r, list[len(list)-1].ID)
	}
	rest.WriteJSON(w, http.StatusOK, out)
	return nil
}

// upload answers with one.
func (a *API) upload(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	u, err := a.cfg.Uploads.Get(ctx, p, r.PathValue("id"))
	if err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusOK, wireUpload(u, rest.LanguageOf(r)))
	return nil
}

// endUpload ends one.
func (a *API) endUpload(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	if err := a.cfg.Uploads.End(ctx, p, r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func wireUpload(u *catalog.Upload, lang message.Language) api.Upload {
	out := api.Upload{
		ID: u.ID, Protocol: u.Protocol, ProjectID: u.Project, UserID: u.Principal.UserID, ImageID: text(u.Image), Name: u.Name,
		Size: known(u.Size), Received: u.Received, State: string(u.State), JobID: text(u.Job),
		CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt, ExpiresAt: u.ExpiresAt, Metadata: u.Metadata,
	}
	if out.Metadata == nil {
		out.Metadata = map[string]string{}
	}
	if f := u.Failure; f != nil {
		out.Failure = &api.UploadFailure{Code: string(f.Code), Message: message.Told(f.Sentence, lang)}
	}
	return out
}
