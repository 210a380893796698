package identityv3

import "net/http"

func (d *door) listDomains(w http.ResponseWriter, r *http.Request) error {
	found, err := d.identity.Domains(r.Context(), caller(r), r.URL.Query().Get("name"))
	if err != nil {
		return err
	}
	return list(d, w, r, "domains", found, d.domain)
}

func (d *door) showDomain(w http.ResponseWriter, r *http.Request) error {
	x, err := d.identity.Domain(r.Context(), caller(r), r.PathValue("domain"))
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, object{"domain": d.domain(r, *x)})
}
