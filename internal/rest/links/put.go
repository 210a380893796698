package links

import (
	"net/http"

	"kuva/api"
	"kuva/internal/images"
	"kuva/internal/rest"
)

// put fills the image that a link is for with the body, and says what it is
// then.
func (a *API) put(w http.ResponseWriter, r *http.Request) error {
	if err := a.fill(w, r); err != nil {
		rest.HangUp(w, r)
		return err
	}
	return nil
}

func (a *API) fill(w http.ResponseWriter, r *http.Request) error {
	u, err := a.open(r, true)
	if err != nil {
		return err
	}
	src := images.Source{Size: r.ContentLength}
	if src.Digests, err = rest.Announced(r.Header); err != nil {
		return err
	}
	ctx := r.Context()
	body := rest.NewStalling(rest.StillBody(r.Body, func() error { return u.Still(ctx) }), http.NewResponseController(w), a.cfg.Stall)
	src.Content, src.Interrupt = body, body.Interrupt
	img, err := u.Fill(ctx, src)
	body.Release()
	if err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusCreated, api.LinkUpload{
		Image: img.ID, Status: string(img.Status), Size: img.Size, MD5: img.MD5, HashAlgo: img.HashAlgo, HashValue: img.HashValue,
	})
	return nil
}
