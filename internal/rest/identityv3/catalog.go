package identityv3

import (
	"net/http"
	"net/url"

	"kuva"
	"kuva/internal/identity"
	"kuva/internal/rest"
)

// Region is the one region.
const Region = "RegionOne"

// service is one entry of the catalogue.
type service struct {
	ID        string     `json:"id"`
	Type      string     `json:"type"`
	Name      string     `json:"name"`
	Endpoints []endpoint `json:"endpoints"`
}

type endpoint struct {
	ID        string `json:"id"`
	Interface string `json:"interface"`
	Region    string `json:"region"`
	RegionID  string `json:"region_id"`
	URL       string `json:"url"`
}

// catalog lists the services at the address by which the caller came, or at
// the configured one. Ids are the same on every site.
func (d *door) catalog(r *http.Request) []service {
	public := rest.PublicURL(d.PublicURL, r)
	var out []service
	for _, s := range []struct{ kind, name, path string }{
		{"identity", "keystone", Prefix + "/v3"}, // the names that clients' examples use
		{"image", "glance", "/image"},
	} {
		x := service{ID: identity.StableID("service " + s.kind), Type: s.kind, Name: s.name}
		for _, iface := range []string{"public", "internal", "admin"} {
			x.Endpoints = append(x.Endpoints, endpoint{
				ID: identity.StableID("endpoint " + s.kind + " " + iface), Interface: iface,
				Region: Region, RegionID: Region, URL: public + s.path,
			})
		}
		out = append(out, x)
	}
	return out
}

func (d *door) showCatalog(w http.ResponseWriter, r *http.Request) error {
	return answer(w, http.StatusOK, object{"catalog": d.catalog(r), "links": d.links(r)})
}

func adminOnly(r *http.Request, action string) error {
	if caller(r).Admin {
		return nil
	}
	return kuva.E(kuva.CodeForbidden, "identity.forbidden", "action", action)
}

func (d *door) services(r *http.Request) []object {
	var out []object
	q := r.URL.Query()
	for _, s := range d.catalog(r) {
		if is(q, "type", s.Type) && is(q, "name", s.Name) {
			out = append(out, object{
				"id": s.ID, "type": s.Type, "name": s.Name, "enabled": true, "description": "",
				"links": selfLink{d.base(r) + "/services/" + s.ID},
			})
		}
	}
	return out
}

func (d *door) endpoints(r *http.Request) []object {
	var out []object
	q := r.URL.Query()
	for _, s := range d.catalog(r) {
		for _, e := range s.Endpoints {
			if is(q, "service_id", s.ID) && is(q, "interface", e.Interface) && is(q, "region_id", e.RegionID) {
				out = append(out, object{
					"id": e.ID, "interface": e.Interface, "region": e.Region, "region_id": e.RegionID, "service_id": s.ID,
					"url": e.URL, "enabled": true, "links": selfLink{d.base(r) + "/endpoints/" + e.ID},
				})
			}
		}
	}
	return out
}

func (d *door) regions(r *http.Request) []object {
	return []object{{"id": Region, "description": "", "parent_region_id": nil, "links": selfLink{d.base(r) + "/regions/" + Region}}}
}

// is reports whether a filter is absent or asks for this value.
func is(q url.Values, name, value string) bool { return !q.Has(name) || q.Get(name) == value }

func (d *door) listServices(w http.ResponseWriter, r *http.Request) error {
	if err := adminOnly(r, "service.list"); err != nil {
		return err
	}
	return list(d, w, r, "services", d.services(r), asIs)
}

func (d *door) showService(w http.ResponseWriter, r *http.Request) error {
	if err := adminOnly(r, "service.get"); err != nil {
		return err
	}
	return one(w, "service", r.PathValue("service"), d.services(r))
}

func (d *door) listEndpoints(w http.ResponseWriter, r *http.Request) error {
	if err := adminOnly(r, "endpoint.list"); err != nil {
		return err
	}
	return list(d, w, r, "endpoints", d.endpoints(r), asIs)
}

func (d *door) showEndpoint(w http.ResponseWriter, r *http.Request) error {
	if err := adminOnly(r, "endpoint.get"); err != nil {
		return err
	}
	return one(w, "endpoint", r.PathValue("endpoint"), d.endpoints(r))
}

// The regions are open to everybody with a token, as in Keystone.
func (d *door) listRegions(w http.ResponseWriter, r *http.Request) error {
	return list(d, w, r, "regions", d.regions(r), asIs)
}

func (d *door) showRegion(w http.ResponseWriter, r *http.Request) error {
	return one(w, "region", r.PathValue("region"), d.regions(r))
}

func asIs(_ *http.Request, x object) object { return x }

func one(w http.ResponseWriter, kind, id string, all []object) error {
	for _, x := range all {
		if x["id"] == id {
			return answer(w, http.StatusOK, object{kind: x})
		}
	}
	return kuva.E(kuva.CodeNotFound, "identity."+kind+"_not_found", "id", id[:min(len(id), identity.MaxName)])
}
