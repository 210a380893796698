package kuvav1

import (
	"net/http"

	"kuva"
	"kuva/api"
	"kuva/internal/images"
	"kuva/internal/rest"
)

// copyImage makes a new image of the same content. The body may be left out.
func (a *API) copyImage(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	var body api.CopyImage
	if r.ContentLength != 0 {
		if err := rest.ReadJSON(r, &body, rest.KnownFields); err != nil {
			return err
		}
	}
	img, err := a.images.Copy(ctx, p, r.PathValue("id"), body.Name)
	if err != nil {
		return err
	}
	status := http.StatusCreated
	if img.Status == kuva.StatusImporting { // a job goes on with it
		status = http.StatusAccepted
	}
	w.Header().Set("Location", Prefix+"/images/"+img.ID)
	rest.WriteJSON(w, status, wireDetails(&images.Details{Image: img}, rest.LanguageOf(r)))
	return nil
}

func (a *API) offerMove(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	var body api.MoveImage
	if err := rest.ReadJSON(r, &body, rest.KnownFields); err != nil {
		return err
	}
	o, err := a.images.OfferMove(ctx, p, r.PathValue("id"), body.Project)
	if err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusCreated, wireOffer(&o))
	return nil
}

func (a *API) moveOffer(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	o, err := a.images.MoveOffer(ctx, p, r.PathValue("id"))
	if err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusOK, wireOffer(&o))
	return nil
}

func (a *API) endMove(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	if err := a.images.EndMove(ctx, p, r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) acceptMove(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	img, err := a.images.AcceptMove(ctx, p, r.PathValue("id"))
	if err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusOK, wireDetails(&images.Details{Image: img}, rest.LanguageOf(r)))
	return nil
}

func (a *API) moves(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	q, err := parseQuery(r.URL.RawQuery, "limit", "marker")
	if err != nil {
		return err
	}
	limit, err := q.limit()
	if err != nil {
		return err
	}
	list, more, err := a.images.MoveOffers(ctx, p, q["marker"], limit)
	if err != nil {
		return err
	}
	out := api.MoveOffers{Moves: make([]api.MoveOffer, len(list))}
	for i := range list {
		out.Moves[i] = wireOffer(&list[i])
	}
	if more != "" {
		out.Next = q.next(r, more)
	}
	rest.WriteJSON(w, http.StatusOK, out)
	return nil
}

func wireOffer(o *images.Offer) api.MoveOffer {
	return api.MoveOffer{
		Image: o.Image, Name: o.Name, From: o.Owner, To: o.Project, Size: known(o.Size), DiskFormat: text(o.DiskFormat),
		ContainerFormat: text(o.ContainerFormat), CreatedAt: o.CreatedAt,
	}
}
