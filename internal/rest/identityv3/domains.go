package identityv3

import (
	"net/http"

	"kuva/internal/identity"
)

type domainInput struct {
	Domain struct {
		Name        *string  `json:"name"`
		Description *string  `json:"description"`
		Enabled     *bool    `json:"enabled"`
		Tags        []string `json:"tags"`
		Options     object   `json:"options"`
	} `json:"domain"`

	immutable *bool
}

func (in *domainInput) unsupported() (err error) {
	if len(in.Domain.Tags) > 0 {
		return unsupported("tags of domains")
	}
	in.immutable, err = immutable(in.Domain.Options)
	return err
}

func (d *door) listDomains(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	p, err := page(q)
	if err != nil {
		return err
	}
	found, err := d.identity.Domains(r.Context(), caller(r), identity.DomainFilter{Page: p, Name: q.Get("name"), Enabled: boolean(q, "enabled")})
	return pages(d, w, r, "domains", found, err, p, func(x identity.Domain) string { return x.ID }, d.domain)
}

func (d *door) createDomain(w http.ResponseWriter, r *http.Request) error {
	var in domainInput
	if err := read(r, "create_domain", &in); err != nil {
		return err
	}
	x, err := d.identity.CreateDomain(r.Context(), caller(r), identity.Domain{
		Name: or(in.Domain.Name, ""), Description: or(in.Domain.Description, ""), Enabled: or(in.Domain.Enabled, true), Immutable: or(in.immutable, false),
	})
	return made(w, r, http.StatusCreated, "domain", x, err, d.domain)
}

func (d *door) showDomain(w http.ResponseWriter, r *http.Request) error {
	x, err := d.identity.Domain(r.Context(), caller(r), r.PathValue("domain"))
	return made(w, r, http.StatusOK, "domain", x, err, d.domain)
}

func (d *door) updateDomain(w http.ResponseWriter, r *http.Request) error {
	var in domainInput
	if err := read(r, "update_domain", &in); err != nil {
		return err
	}
	x, err := d.identity.UpdateDomain(r.Context(), caller(r), r.PathValue("domain"), identity.DomainChange{
		Name: in.Domain.Name, Description: in.Domain.Description, Enabled: in.Domain.Enabled, Immutable: in.immutable,
	})
	return made(w, r, http.StatusOK, "domain", x, err, d.domain)
}

func (d *door) deleteDomain(w http.ResponseWriter, r *http.Request) error {
	return done(w, d.identity.DeleteDomain(r.Context(), caller(r), r.PathValue("domain")))
}
