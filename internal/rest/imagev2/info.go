package imagev2

import (
	"net/http"

	"kuva"
	"kuva/api"
	"kuva/internal/rest"
)

func (h *handler) importInfo(w http.ResponseWriter, _ *http.Request) error {
	rest.WriteJSON(w, http.StatusOK, api.ImportInfo{Methods: api.ImportMethods{
		Description: "Import methods available.", Type: "array", Value: h.images.ImportMethods(),
	}})
	return nil
}

// oneStore answers the lists of stores as the reference does where there is
// one.
func oneStore(http.ResponseWriter, *http.Request) error {
	return kuva.E(kuva.CodeNotFound, "imagev2.one_store")
}

// usage is what the caller's project holds, in the words of the reference's
// quotas: sizes are whole MiB, rounded up.
func (h *handler) usage(w http.ResponseWriter, r *http.Request) error {
	ctx, p := h.who(r)
	q, use, err := h.images.Quota(ctx, p, p.ProjectID)
	if err != nil {
		return err
	}
	mib := func(n int64) int64 {
		if n < 0 {
			return -1
		}
		return n>>20 + min(1, n&(1<<20-1))
	}
	rest.WriteJSON(w, http.StatusOK, api.ImageUsage{Usage: map[string]api.ImageUse{
		"image_size_total":      {Usage: mib(use.Bytes), Limit: mib(q.Bytes)},
		"image_stage_total":     {Usage: mib(use.Reserved), Limit: mib(q.Bytes)},
		"image_count_total":     {Usage: use.Images, Limit: max(q.Images, -1)},
		"image_count_uploading": {Usage: use.Uploads, Limit: max(q.Uploads, -1)},
	}})
	return nil
}
