package kuvav1

import (
	"net/http"

	"kuva"
	"kuva/api"
	"kuva/internal/rest"
	"kuva/internal/transfer/catalogue"
)

func (a *API) catalogue(w http.ResponseWriter, r *http.Request) error {
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	list := a.cfg.Catalogue.List()
	out := api.Catalogue{Images: make([]api.CatalogueEntry, len(list))}
	for i := range list {
		out.Images[i] = wireCatalogue(&list[i])
	}
	rest.WriteJSON(w, http.StatusOK, out)
	return nil
}

func (a *API) catalogueEntry(w http.ResponseWriter, r *http.Request) error {
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	e, err := a.cfg.Catalogue.Find(r.PathValue("name"))
	if err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusOK, wireCatalogue(e))
	return nil
}

// importEntry makes an image of an entry. The body may be left out.
func (a *API) importEntry(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	var body api.ImportEntry
	if r.ContentLength != 0 {
		if err := rest.ReadJSON(r, &body, rest.KnownFields); err != nil {
			return err
		}
	}
	_, j, err := a.cfg.Catalogue.Import(ctx, p, catalogue.Wish{Entry: r.PathValue("name"), Name: body.Name, Visibility: kuva.Visibility(body.Visibility)})
	if err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusAccepted, wireJob(j, rest.LanguageOf(r)))
	return nil
}

func wireCatalogue(e *catalogue.Entry) api.CatalogueEntry {
	return api.CatalogueEntry{
		Name: e.Name, OS: e.OS, Version: e.Version, Architecture: e.Architecture, URL: e.URL, Hash: e.Algorithm + ":" + e.Hash, Licence: e.Licence,
		Signature: text(e.Signature), DiskFormat: text(e.DiskFormat), MinDisk: e.MinDisk, MinRAM: e.MinRAM, Properties: e.Properties,
	}
}
