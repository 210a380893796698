package identityv3

import (
	"net/http"
	"strings"

	"kuva"
	"kuva/internal/identity"
	"kuva/internal/rest"
)

// Region is the region of the first start.
const Region = identity.DefaultRegion

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

// url is an endpoint's address; those below kuva's own are at the address by
// which the caller came, or at the configured one.
func (d *door) url(r *http.Request, u string) string {
	if strings.HasPrefix(u, "/") {
		return rest.PublicURL(d.PublicURL, r) + u
	}
	return u
}

func (d *door) catalog(r *http.Request, user, project string) ([]service, error) {
	entries, err := d.identity.Catalog(r.Context(), user, project)
	out := make([]service, 0, len(entries))
	for _, x := range entries {
		s := service{ID: x.ID, Type: x.Kind, Name: x.Name, Endpoints: []endpoint{}}
		for _, e := range x.Endpoints {
			s.Endpoints = append(s.Endpoints, endpoint{ID: e.ID, Interface: e.Interface, Region: e.Region, RegionID: e.Region, URL: d.url(r, e.URL)})
		}
		out = append(out, s)
	}
	return out, err
}

func (d *door) showCatalog(w http.ResponseWriter, r *http.Request) error {
	c, err := d.catalog(r, caller(r).UserID, caller(r).ProjectID)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, object{"catalog": c, "links": d.links(r)})
}

type regionInput struct {
	Region struct {
		ID          *string `json:"id"`
		Parent      *string `json:"parent_region_id"`
		Description *string `json:"description"`
		URL         *string `json:"url"`     // clients send null
		Enabled     *bool   `json:"enabled"` // and true
	} `json:"region"`
}

func (in *regionInput) unsupported() error {
	if in.Region.URL != nil && *in.Region.URL != "" {
		return unsupported("addresses of regions")
	}
	if in.Region.Enabled != nil && !*in.Region.Enabled {
		return unsupported("disabled regions")
	}
	return nil
}

func (d *door) listRegions(w http.ResponseWriter, r *http.Request) error {
	found, err := d.identity.Regions(r.Context(), caller(r), r.URL.Query().Get("parent_region_id"))
	return list(d, w, r, "regions", found, err, d.region)
}

func (d *door) showRegion(w http.ResponseWriter, r *http.Request) error {
	x, err := d.identity.Region(r.Context(), caller(r), r.PathValue("region"))
	return made(w, r, http.StatusOK, "region", x, err, d.region)
}

// createRegion is POST, and PUT with the id in the path.
func (d *door) createRegion(w http.ResponseWriter, r *http.Request) error {
	var in regionInput
	if err := read(r, "create_region", &in); err != nil {
		return err
	}
	id, path := or(in.Region.ID, ""), r.PathValue("region")
	if path != "" && id != "" && id != path {
		return kuva.E(kuva.CodeInvalid, "identity.other_id")
	}
	if path != "" {
		id = path
	}
	x, err := d.identity.PutRegion(r.Context(), caller(r), identity.Region{
		ID: id, Parent: or(in.Region.Parent, ""), Description: or(in.Region.Description, ""),
	}, false)
	return made(w, r, http.StatusCreated, "region", x, err, d.region)
}

func (d *door) updateRegion(w http.ResponseWriter, r *http.Request) error {
	var in regionInput
	if err := read(r, "update_region", &in); err != nil {
		return err
	}
	old, err := d.identity.Region(r.Context(), caller(r), r.PathValue("region"))
	if err != nil {
		return err
	}
	if in.Region.ID != nil && *in.Region.ID != old.ID {
		return kuva.E(kuva.CodeInvalid, "identity.other_id")
	}
	x, err := d.identity.PutRegion(r.Context(), caller(r), identity.Region{
		ID: old.ID, Parent: or(in.Region.Parent, old.Parent), Description: or(in.Region.Description, old.Description),
	}, true)
	return made(w, r, http.StatusOK, "region", x, err, d.region)
}

func (d *door) deleteRegion(w http.ResponseWriter, r *http.Request) error {
	return done(w, d.identity.DeleteRegion(r.Context(), caller(r), r.PathValue("region")))
}

type serviceInput struct {
	Service struct {
		Type        *string `json:"type"`
		Name        *string `json:"name"`
		Description *string `json:"description"`
		Enabled     *bool   `json:"enabled"`
	} `json:"service"`
}

func (in *serviceInput) unsupported() error { return nil }

func (d *door) listServices(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	found, err := d.identity.Services(r.Context(), caller(r), identity.ServiceFilter{Kind: q.Get("type"), Name: q.Get("name")})
	return list(d, w, r, "services", found, err, d.service)
}

func (d *door) showService(w http.ResponseWriter, r *http.Request) error {
	x, err := d.identity.CloudService(r.Context(), caller(r), r.PathValue("service"))
	return made(w, r, http.StatusOK, "service", x, err, d.service)
}

func (d *door) createService(w http.ResponseWriter, r *http.Request) error {
	var in serviceInput
	if err := read(r, "create_service", &in); err != nil {
		return err
	}
	s := in.Service
	x, err := d.identity.PutService(r.Context(), caller(r), identity.CloudService{
		Kind: or(s.Type, ""), Name: or(s.Name, ""), Description: or(s.Description, ""), Enabled: or(s.Enabled, true),
	})
	return made(w, r, http.StatusCreated, "service", x, err, d.service)
}

func (d *door) updateService(w http.ResponseWriter, r *http.Request) error {
	var in serviceInput
	if err := read(r, "update_service", &in); err != nil {
		return err
	}
	old, err := d.identity.CloudService(r.Context(), caller(r), r.PathValue("service"))
	if err != nil {
		return err
	}
	s := in.Service
	x, err := d.identity.PutService(r.Context(), caller(r), identity.CloudService{
		ID: old.ID, Kind: or(s.Type, old.Kind), Name: or(s.Name, old.Name), Description: or(s.Description, old.Description), Enabled: or(s.Enabled, old.Enabled),
	})
	return made(w, r, http.StatusOK, "service", x, err, d.service)
}

func (d *door) deleteService(w http.ResponseWriter, r *http.Request) error {
	return done(w, d.identity.DeleteService(r.Context(), caller(r), r.PathValue("service")))
}

type endpointInput struct {
	Endpoint struct {
		ServiceID   *string `json:"service_id"`
		Interface   *string `json:"interface"`
		Region      *string `json:"region"` // an older name of region_id
		RegionID    *string `json:"region_id"`
		URL         *string `json:"url"`
		Name        *string `json:"name"`
		Description *string `json:"description"`
		Enabled     *bool   `json:"enabled"`
	} `json:"endpoint"`
}

func (in *endpointInput) unsupported() error {
	if in.Endpoint.Description != nil && *in.Endpoint.Description != "" {
		return unsupported("descriptions of endpoints")
	}
	if in.Endpoint.RegionID == nil {
		in.Endpoint.RegionID = in.Endpoint.Region
	}
	return nil
}

func (d *door) listEndpoints(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	found, err := d.identity.Endpoints(r.Context(), caller(r), identity.EndpointFilter{
		ServiceID: q.Get("service_id"), Region: q.Get("region_id"), Interface: q.Get("interface"),
	})
	return list(d, w, r, "endpoints", found, err, d.endpoint)
}

func (d *door) showEndpoint(w http.ResponseWriter, r *http.Request) error {
	x, err := d.identity.Endpoint(r.Context(), caller(r), r.PathValue("endpoint"))
	return made(w, r, http.StatusOK, "endpoint", x, err, d.endpoint)
}

func (d *door) createEndpoint(w http.ResponseWriter, r *http.Request) error {
	var in endpointInput
	if err := read(r, "create_endpoint", &in); err != nil {
		return err
	}
	e := in.Endpoint
	x, err := d.identity.PutEndpoint(r.Context(), caller(r), identity.Endpoint{
		ServiceID: or(e.ServiceID, ""), Region: or(e.RegionID, ""), Interface: or(e.Interface, ""), URL: or(e.URL, ""), Name: or(e.Name, ""), Enabled: or(e.Enabled, true),
	})
	return made(w, r, http.StatusCreated, "endpoint", x, err, d.endpoint)
}

func (d *door) updateEndpoint(w http.ResponseWriter, r *http.Request) error {
	var in endpointInput
	if err := read(r, "update_endpoint", &in); err != nil {
		return err
	}
	old, err := d.identity.Endpoint(r.Context(), caller(r), r.PathValue("endpoint"))
	if err != nil {
		return err
	}
	e := in.Endpoint
	x, err := d.identity.PutEndpoint(r.Context(), caller(r), identity.Endpoint{
		ID: old.ID, ServiceID: or(e.ServiceID, old.ServiceID), Region: or(e.RegionID, old.Region), Interface: or(e.Interface, old.Interface),
		URL: or(e.URL, old.URL), Name: or(e.Name, old.Name), Enabled: or(e.Enabled, old.Enabled),
	})
	return made(w, r, http.StatusOK, "endpoint", x, err, d.endpoint)
}

func (d *door) deleteEndpoint(w http.ResponseWriter, r *http.Request) error {
	return done(w, d.identity.DeleteEndpoint(r.Context(), caller(r), r.PathValue("endpoint")))
}
