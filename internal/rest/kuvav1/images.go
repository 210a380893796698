package kuvav1

import (
	"net/http"

	"kuva/api"
	"kuva/internal/images"
	"kuva/internal/rest"
	"kuva/message"
)

func (a *API) image(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	d, err := a.images.Details(ctx, p, r.PathValue("id"))
	if err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusOK, wireDetails(d, rest.LanguageOf(r)))
	return nil
}

func wireDetails(d *images.Details, lang message.Language) api.ImageDetails {
	img := d.Image
	out := api.ImageDetails{
		ID: img.ID, Name: img.Name, Project: img.Owner, Status: string(img.Status), Origin: text(string(img.Origin)), Recovered: img.Recovered,
	}
	if !d.Owned {
		return out
	}
	own := &api.OwnedDetails{
		BaseImage: text(img.BaseImage), Instance: text(img.InstanceUUID), Lineage: []api.Ancestor{}, Reads: img.Reads, ReadAt: moment(img.ReadAt),
	}
	for _, x := range d.Lineage {
		own.Lineage = append(own.Lineage, api.Ancestor{ID: x.ID, Name: x.Name, Status: string(x.Status)})
	}
	if f := img.LastFailure; f != nil {
		own.LastFailure = &api.ImageFailure{Code: string(f.Code), Sentence: message.Told(f.Sentence, lang), At: f.At, Received: f.Received}
	}
	if c := d.Cost; c != nil {
		own.Cost = &api.Cost{Stored: c.Stored, Unique: c.Unique, UniqueError: c.UniqueError}
	}
	out.Owned = own
	return out
}
