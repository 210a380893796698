package kuvav1

import (
	"net/http"

	"kuva"
	"kuva/api"
	"kuva/internal/rest"
)

func (a *API) quota(w http.ResponseWriter, r *http.Request) error {
	_, p := who(r)
	q, err := parseQuery(r.URL.RawQuery, "project")
	if err != nil {
		return err
	}
	return a.writeQuota(w, r, projectOf(p, q))
}

func (a *API) setQuota(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	q, err := parseQuery(r.URL.RawQuery, "project")
	if err != nil {
		return err
	}
	var change api.QuotaChange
	if err := rest.ReadJSON(r, &change, rest.KnownFields); err != nil {
		return err
	}
	if len(change.Limits) == 0 {
		return kuva.E(kuva.CodeInvalid, "kuvav1.no_limits")
	}
	project := projectOf(p, q)
	if err := a.images.SetQuota(ctx, p, project, change.Limits); err != nil {
		return err
	}
	return a.writeQuota(w, r, project)
}

func (a *API) writeQuota(w http.ResponseWriter, r *http.Request, project string) error {
	ctx, p := who(r)
	limits, use, err := a.images.Quota(ctx, p, project)
	if err != nil {
		return err
	}
	// Whatever is below 0 is shown as -1, unlimited.
	cut := func(n int64) int64 { return max(n, -1) }
	rest.WriteJSON(w, http.StatusOK, api.Quota{
		Project: project,
		Limits: api.QuotaLimits{
			Images: cut(limits.Images), Bytes: cut(limits.Bytes), ImageSize: cut(limits.ImageSize), VirtualSize: cut(limits.VirtualSize),
			Members: cut(limits.Members), Tags: cut(limits.Tags), Properties: cut(limits.Properties), Uploads: cut(limits.Uploads),
		},
		Use: api.QuotaUse{Images: use.Images, Bytes: use.Bytes, Reserved: use.Reserved, Uploads: use.Uploads},
	})
	return nil
}
