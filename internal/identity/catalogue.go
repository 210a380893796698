package identity

import (
	"context"
	"net/url"
	"strings"

	"kuva"
	"kuva/internal/catalog"
)

// DefaultRegion is the region of the first start.
const DefaultRegion = "RegionOne"

// Region is a part of a cloud.
type Region struct {
	ID          string
	Parent      string // id, "" if none
	Description string
}

// CloudService is a service of the cloud, kuva's own or another.
type CloudService struct {
	ID          string
	Kind        string // type: image, identity, compute, …
	Name        string
	Description string
	Enabled     bool
}

// Endpoint is an address of a service.
type Endpoint struct {
	ID        string
	ServiceID string
	Region    string // "" if none
	Interface string // public, internal, admin
	// URL is absolute, or from "/" on below kuva's own address. In token
	// catalogues $(project_id)s and the like are filled in, as in Keystone.
	URL     string
	Name    string
	Enabled bool
}

// CatalogEntry is an enabled service with its enabled endpoints.
type CatalogEntry struct {
	CloudService
	Endpoints []Endpoint
}

// The catalogue of the first start. Ids are the same on every site.
var firstServices = []struct{ kind, name, path string }{
	{"identity", "keystone", "/identity/v3"}, // the names that clients' examples use
	{"image", "glance", "/image"},
}

var interfaces = []string{"public", "internal", "admin"}

func insertCatalogue(ctx context.Context, tx *catalog.Tx) error {
	if _, err := tx.Exec(ctx, `INSERT INTO region (id, parent, description) VALUES ($1, '', '')`, DefaultRegion); err != nil {
		return err
	}
	for _, x := range firstServices {
		id := StableID("service " + x.kind)
		if _, err := tx.Exec(ctx, `INSERT INTO service (id, kind, name, description, enabled) VALUES ($1, $2, $3, '', $4)`, id, x.kind, x.name, true); err != nil {
			return err
		}
		for _, face := range interfaces {
			if _, err := tx.Exec(ctx, `INSERT INTO endpoint (id, service, region, interface, url, name, enabled) VALUES ($1, $2, $3, $4, $5, '', $6)`,
				StableID("endpoint "+x.kind+" "+face), id, DefaultRegion, face, x.path, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// Catalog lists the enabled services and endpoints for a token of user and
// project ("" for none): endpoints whose URL asks for a project are left out
// of the catalogue of a token without one.
func (s *Service) Catalog(ctx context.Context, user, project string) ([]CatalogEntry, error) {
	var out []CatalogEntry
	err := s.db.View(ctx, func(tx *catalog.Tx) error {
		out = nil
		services, err := readServices(ctx, tx, `enabled`)
		if err != nil {
			return err
		}
		endpoints, err := readEndpoints(ctx, tx, `enabled`)
		if err != nil {
			return err
		}
		for _, x := range services {
			entry := CatalogEntry{CloudService: x}
			for _, e := range endpoints {
				if e.ServiceID != x.ID {
					continue
				}
				var ok bool
				if e.URL, ok = fillURL(e.URL, user, project); ok {
					entry.Endpoints = append(entry.Endpoints, e)
				}
			}
			out = append(out, entry)
		}
		return nil
	})
	return out, err
}

// fillURL puts user and project into a URL; ok is false where it asks for what
// there is not.
func fillURL(u, user, project string) (_ string, ok bool) {
	if !strings.ContainsAny(u, "$%") {
		return u, true
	}
	for _, v := range []struct{ name, value string }{{"project_id", project}, {"tenant_id", project}, {"user_id", user}} {
		for _, form := range []string{"$(" + v.name + ")s", "%(" + v.name + ")s"} {
			if strings.Contains(u, form) {
				if v.value == "" {
					return "", false
				}
				u = strings.ReplaceAll(u, form, v.value)
			}
		}
	}
	return u, true
}

// Regions lists the regions, for everybody with a token; parent "" takes all.
func (s *Service) Regions(ctx context.Context, p kuva.Principal, parent string) ([]Region, error) {
	if err := mayReadCatalog(p); err != nil {
		return nil, err
	}
	var out []Region
	err := s.db.View(ctx, func(tx *catalog.Tx) (err error) {
		out, err = readRegions(ctx, tx, `$1 = '' OR parent = $1`, parent)
		return err
	})
	return out, err
}

// Region returns one.
func (s *Service) Region(ctx context.Context, p kuva.Principal, id string) (*Region, error) {
	if err := mayReadCatalog(p); err != nil {
		return nil, err
	}
	var out *Region
	err := s.db.View(ctx, func(tx *catalog.Tx) (err error) {
		out, err = readRegion(ctx, tx, id)
		return err
	})
	return out, err
}

// PutRegion makes a region (its id is the caller's choice, or "") or, for
// replace, changes one.
func (s *Service) PutRegion(ctx context.Context, p kuva.Principal, in Region, replace bool) (*Region, error) {
	rule, action := "create_region", "region.create"
	if replace {
		rule, action = "update_region", "region.update"
	}
	if err := mayAdminister(p, rule); err != nil {
		return nil, err
	}
	if in.ID == "" {
		in.ID = newID()
	}
	if strings.ContainsAny(in.ID, "/") {
		return nil, kuva.E(kuva.CodeInvalid, "identity.bad_name", "limit", MaxName)
	}
	if err := checkNames(in.ID, in.Description); err != nil {
		return nil, err
	}
	err := s.change(ctx, p, action, func(tx *catalog.Tx) (string, error) {
		if in.Parent != "" {
			if _, err := readRegion(ctx, tx, in.Parent); err != nil {
				return "", err
			}
			below, err := exists(ctx, tx, `WITH RECURSIVE up(id) AS (SELECT CAST($1 AS TEXT) UNION SELECT r.parent FROM region r JOIN up ON up.id = r.id) SELECT 1 FROM up WHERE id = $2`, in.Parent, in.ID)
			if err != nil {
				return "", err
			}
			if below {
				return "", kuva.E(kuva.CodeInvalid, "identity.region_circle")
			}
		}
		if replace {
			n, err := tx.Exec(ctx, `UPDATE region SET parent = $1, description = $2 WHERE id = $3`, in.Parent, in.Description, in.ID)
			if err == nil && n == 0 {
				err = notFound("region", in.ID)
			}
			return in.ID, err
		}
		n, err := tx.Exec(ctx, `INSERT INTO region (id, parent, description) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, in.ID, in.Parent, in.Description)
		if err == nil && n == 0 {
			err = kuva.E(kuva.CodeConflict, "identity.region_exists", "id", in.ID)
		}
		return in.ID, err
	})
	if err != nil {
		return nil, err
	}
	return &in, nil
}

// DeleteRegion removes a region that no endpoint and no other region is in.
func (s *Service) DeleteRegion(ctx context.Context, p kuva.Principal, id string) error {
	if err := mayAdminister(p, "delete_region"); err != nil {
		return err
	}
	return s.change(ctx, p, "region.delete", func(tx *catalog.Tx) (string, error) {
		if _, err := readRegion(ctx, tx, id); err != nil {
			return "", err
		}
		used, err := exists(ctx, tx, `SELECT 1 FROM endpoint WHERE region = $1 UNION SELECT 1 FROM region WHERE parent = $1`, id)
		if err != nil {
			return "", err
		}
		if used {
			return "", kuva.E(kuva.CodeForbidden, "identity.region_in_use", "id", id)
		}
		_, err = tx.Exec(ctx, `DELETE FROM region WHERE id = $1`, id)
		return id, err
	})
}

// ServiceFilter narrows a list; "" takes all.
type ServiceFilter struct{ Kind, Name string }

// Services lists the services of the catalogue. Only administrators may; others
// have the catalogue of their token.
func (s *Service) Services(ctx context.Context, p kuva.Principal, f ServiceFilter) ([]CloudService, error) {
	if err := mayAdminister(p, "list_services"); err != nil {
		return nil, err
	}
	var out []CloudService
	err := s.db.View(ctx, func(tx *catalog.Tx) (err error) {
		out, err = readServices(ctx, tx, `($1 = '' OR kind = $1) AND ($2 = '' OR name = $2)`, f.Kind, f.Name)
		return err
	})
	return out, err
}

// CloudService returns one.
func (s *Service) CloudService(ctx context.Context, p kuva.Principal, id string) (*CloudService, error) {
	if err := mayAdminister(p, "get_service"); err != nil {
		return nil, err
	}
	var out *CloudService
	err := s.db.View(ctx, func(tx *catalog.Tx) (err error) {
		out, err = readService(ctx, tx, id)
		return err
	})
	return out, err
}

// PutService makes a service (ID "") or changes one.
func (s *Service) PutService(ctx context.Context, p kuva.Principal, in CloudService) (*CloudService, error) {
	rule, action := "create_service", "service.create"
	if in.ID != "" {
		rule, action = "update_service", "service.update"
	}
	if err := mayAdminister(p, rule); err != nil {
		return nil, err
	}
	if err := checkNames(in.Kind, in.Description); err != nil {
		return nil, err
	}
	if len(in.Name) > MaxName || !printable(in.Name, false) {
		return nil, kuva.E(kuva.CodeInvalid, "identity.bad_name", "limit", MaxName)
	}
	err := s.change(ctx, p, action, func(tx *catalog.Tx) (string, error) {
		if in.ID != "" {
			n, err := tx.Exec(ctx, `UPDATE service SET kind = $1, name = $2, description = $3, enabled = $4 WHERE id = $5`, in.Kind, in.Name, in.Description, in.Enabled, in.ID)
			if err == nil && n == 0 {
				err = notFound("service", in.ID)
			}
			return in.ID, err
		}
		in.ID = newID()
		_, err := tx.Exec(ctx, `INSERT INTO service (id, kind, name, description, enabled) VALUES ($1, $2, $3, $4, $5)`, in.ID, in.Kind, in.Name, in.Description, in.Enabled)
		return in.ID, err
	})
	if err != nil {
		return nil, err
	}
	return &in, nil
}

// DeleteService removes a service with its endpoints.
func (s *Service) DeleteService(ctx context.Context, p kuva.Principal, id string) error {
	if err := mayAdminister(p, "delete_service"); err != nil {
		return err
	}
	return s.change(ctx, p, "service.delete", func(tx *catalog.Tx) (string, error) {
		if _, err := readService(ctx, tx, id); err != nil {
			return "", err
		}
		return id, execAll(ctx, tx, id, `DELETE FROM endpoint WHERE service = $1`, `DELETE FROM service WHERE id = $1`)
	})
}

// EndpointFilter narrows a list; "" takes all.
type EndpointFilter struct{ ServiceID, Region, Interface string }

// Endpoints lists the endpoints of the catalogue. Only administrators may.
func (s *Service) Endpoints(ctx context.Context, p kuva.Principal, f EndpointFilter) ([]Endpoint, error) {
	if err := mayAdminister(p, "list_endpoints"); err != nil {
		return nil, err
	}
	var out []Endpoint
	err := s.db.View(ctx, func(tx *catalog.Tx) (err error) {
		out, err = readEndpoints(ctx, tx, `($1 = '' OR service = $1) AND ($2 = '' OR region = $2) AND ($3 = '' OR interface = $3)`, f.ServiceID, f.Region, f.Interface)
		return err
	})
	return out, err
}

// Endpoint returns one.
func (s *Service) Endpoint(ctx context.Context, p kuva.Principal, id string) (*Endpoint, error) {
	if err := mayAdminister(p, "get_endpoint"); err != nil {
		return nil, err
	}
	var out *Endpoint
	err := s.db.View(ctx, func(tx *catalog.Tx) error {
		found, err := readEndpoints(ctx, tx, `id = $1`, id)
		if err == nil && len(found) == 0 {
			return notFound("endpoint", id)
		}
		if err == nil {
			out = &found[0]
		}
		return err
	})
	return out, err
}

// PutEndpoint makes an endpoint (ID "") or changes one.
func (s *Service) PutEndpoint(ctx context.Context, p kuva.Principal, in Endpoint) (*Endpoint, error) {
	rule, action := "create_endpoint", "endpoint.create"
	if in.ID != "" {
		rule, action = "update_endpoint", "endpoint.update"
	}
	if err := mayAdminister(p, rule); err != nil {
		return nil, err
	}
	if err := checkEndpoint(in); err != nil {
		return nil, err
	}
	err := s.change(ctx, p, action, func(tx *catalog.Tx) (string, error) {
		// A service or region that is not there is a mistake in the body.
		if there, err := exists(ctx, tx, `SELECT 1 FROM service WHERE id = $1`, in.ServiceID); err != nil {
			return "", err
		} else if !there {
			return "", kuva.E(kuva.CodeInvalid, "identity.service_not_found", "id", short(in.ServiceID))
		}
		if there, err := exists(ctx, tx, `SELECT 1 FROM region WHERE id = $1`, in.Region); err != nil {
			return "", err
		} else if !there && in.Region != "" {
			return "", kuva.E(kuva.CodeInvalid, "identity.region_not_found", "id", short(in.Region))
		}
		if in.ID != "" {
			n, err := tx.Exec(ctx, `UPDATE endpoint SET service = $1, region = $2, interface = $3, url = $4, name = $5, enabled = $6 WHERE id = $7`,
				in.ServiceID, in.Region, in.Interface, in.URL, in.Name, in.Enabled, in.ID)
			if err == nil && n == 0 {
				err = notFound("endpoint", in.ID)
			}
			return in.ID, err
		}
		in.ID = newID()
		_, err := tx.Exec(ctx, `INSERT INTO endpoint (id, service, region, interface, url, name, enabled) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			in.ID, in.ServiceID, in.Region, in.Interface, in.URL, in.Name, in.Enabled)
		return in.ID, err
	})
	if err != nil {
		return nil, err
	}
	return &in, nil
}

func checkEndpoint(e Endpoint) error {
	face := e.Interface == "public" || e.Interface == "internal" || e.Interface == "admin"
	filled, _ := fillURL(e.URL, "u", "p")
	u, err := url.Parse(filled)
	ok := err == nil && len(e.URL) <= 2048 && printable(e.URL, false) && u.User == nil && u.Fragment == "" &&
		(strings.HasPrefix(e.URL, "/") && !strings.HasPrefix(e.URL, "//") || (u.Scheme == "http" || u.Scheme == "https") && u.Host != "")
	if !face || !ok || len(e.Name) > MaxName || !printable(e.Name, false) {
		return kuva.E(kuva.CodeInvalid, "identity.bad_endpoint")
	}
	return nil
}

// DeleteEndpoint removes an endpoint.
func (s *Service) DeleteEndpoint(ctx context.Context, p kuva.Principal, id string) error {
	if err := mayAdminister(p, "delete_endpoint"); err != nil {
		return err
	}
	return s.change(ctx, p, "endpoint.delete", func(tx *catalog.Tx) (string, error) {
		n, err := tx.Exec(ctx, `DELETE FROM endpoint WHERE id = $1`, id)
		if err == nil && n == 0 {
			err = notFound("endpoint", id)
		}
		return id, err
	})
}

func readRegion(ctx context.Context, tx *catalog.Tx, id string) (*Region, error) {
	found, err := readRegions(ctx, tx, `id = $1`, id)
	if err == nil && len(found) == 0 {
		err = notFound("region", id)
	}
	if err != nil {
		return nil, err
	}
	return &found[0], nil
}

func readRegions(ctx context.Context, tx *catalog.Tx, where string, args ...any) (out []Region, err error) {
	err = each(ctx, tx, `SELECT id, parent, description FROM region WHERE `+where+` ORDER BY id LIMIT `+number(MaxList), args, func(scan func(...any) error) error {
		var r Region
		err := scan(&r.ID, &r.Parent, &r.Description)
		out = append(out, r)
		return err
	})
	return out, err
}

func readService(ctx context.Context, tx *catalog.Tx, id string) (*CloudService, error) {
	found, err := readServices(ctx, tx, `id = $1`, id)
	if err == nil && len(found) == 0 {
		err = notFound("service", id)
	}
	if err != nil {
		return nil, err
	}
	return &found[0], nil
}

func readServices(ctx context.Context, tx *catalog.Tx, where string, args ...any) (out []CloudService, err error) {
	err = each(ctx, tx, `SELECT id, kind, name, description, enabled FROM service WHERE `+where+` ORDER BY kind, name, id LIMIT `+number(MaxList), args, func(scan func(...any) error) error {
		var x CloudService
		err := scan(&x.ID, &x.Kind, &x.Name, &x.Description, &x.Enabled)
		out = append(out, x)
		return err
	})
	return out, err
}

func readEndpoints(ctx context.Context, tx *catalog.Tx, where string, args ...any) (out []Endpoint, err error) {
	err = each(ctx, tx, `SELECT id, service, region, interface, url, name, enabled FROM endpoint WHERE `+where+` ORDER BY service, region, interface DESC, id LIMIT `+number(MaxList), args,
		func(scan func(...any) error) error {
			var e Endpoint
			err := scan(&e.ID, &e.ServiceID, &e.Region, &e.Interface, &e.URL, &e.Name, &e.Enabled)
			out = append(out, e)
			return err
		})
	return out, err
}
