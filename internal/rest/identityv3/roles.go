package identityv3

import (
	"net/http"

	"kuva/internal/identity"
)

type roleInput struct {
	Role struct {
		Name        *string `json:"name"`
		Description *string `json:"description"`
		DomainID    *string `json:"domain_id"`
		Options     object  `json:"options"`
	} `json:"role"`

	immutable *bool
}

func (in *roleInput) unsupported() (err error) {
	if in.Role.DomainID != nil {
		return unsupported("roles of one domain")
	}
	in.immutable, err = immutable(in.Role.Options)
	return err
}

func (d *door) listRoles(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	p, err := page(q)
	if err != nil {
		return err
	}
	found, err := d.identity.Roles(r.Context(), caller(r), identity.RoleFilter{Page: p, Name: q.Get("name")})
	if domain := q.Get("domain_id"); domain != "" { // all roles are global
		found = nil
	}
	return pages(d, w, r, "roles", found, err, p, func(x identity.Role) string { return x.ID }, d.role)
}

func (d *door) createRole(w http.ResponseWriter, r *http.Request) error {
	var in roleInput
	if err := read(r, "create_role", &in); err != nil {
		return err
	}
	x, err := d.identity.CreateRole(r.Context(), caller(r), identity.Role{
		Name: or(in.Role.Name, ""), Description: or(in.Role.Description, ""), Immutable: or(in.immutable, false),
	})
	return made(w, r, http.StatusCreated, "role", x, err, d.role)
}

func (d *door) showRole(w http.ResponseWriter, r *http.Request) error {
	x, err := d.identity.Role(r.Context(), caller(r), r.PathValue("role"))
	return made(w, r, http.StatusOK, "role", x, err, d.role)
}

func (d *door) updateRole(w http.ResponseWriter, r *http.Request) error {
	var in roleInput
	if err := read(r, "update_role", &in); err != nil {
		return err
	}
	x, err := d.identity.UpdateRole(r.Context(), caller(r), r.PathValue("role"), identity.RoleChange{
		Name: in.Role.Name, Description: in.Role.Description, Immutable: in.immutable,
	})
	return made(w, r, http.StatusOK, "role", x, err, d.role)
}

func (d *door) deleteRole(w http.ResponseWriter, r *http.Request) error {
	return done(w, d.identity.DeleteRole(r.Context(), caller(r), r.PathValue("role")))
}

// inferenceBody is one role with what it implies.
type inferenceBody struct {
	Prior   roleBody `json:"prior_role"`
	Implies any      `json:"implies"` // one role, or a list
}

func (d *door) listInferences(w http.ResponseWriter, r *http.Request) error {
	found, err := d.identity.Inferences(r.Context(), caller(r), "")
	if err != nil {
		return err
	}
	out := []inferenceBody{}
	for i := 0; i < len(found); {
		prior, implies := found[i].Prior, []roleBody{}
		for ; i < len(found) && found[i].Prior.ID == prior.ID; i++ {
			implies = append(implies, d.role(r, found[i].Implied))
		}
		out = append(out, inferenceBody{d.role(r, prior), implies})
	}
	return answer(w, http.StatusOK, object{"role_inferences": out, "links": d.links(r)})
}

func (d *door) listImplied(w http.ResponseWriter, r *http.Request) error {
	prior, err := d.identity.Role(r.Context(), caller(r), r.PathValue("role"))
	if err != nil {
		return err
	}
	found, err := d.identity.Inferences(r.Context(), caller(r), prior.ID)
	if err != nil {
		return err
	}
	implies := []roleBody{}
	for _, x := range found {
		implies = append(implies, d.role(r, x.Implied))
	}
	return answer(w, http.StatusOK, object{"role_inference": inferenceBody{d.role(r, *prior), implies}, "links": d.links(r)})
}

func (d *door) inference(r *http.Request, x identity.Inference) inferenceBody {
	return inferenceBody{d.role(r, x.Prior), d.role(r, x.Implied)}
}

func (d *door) showImplied(w http.ResponseWriter, r *http.Request) error {
	x, err := d.identity.Inference(r.Context(), caller(r), r.PathValue("role"), r.PathValue("implied"))
	return made(w, r, http.StatusOK, "role_inference", x, err, d.inference)
}

func (d *door) imply(w http.ResponseWriter, r *http.Request) error {
	x, err := d.identity.Imply(r.Context(), caller(r), r.PathValue("role"), r.PathValue("implied"))
	return made(w, r, http.StatusCreated, "role_inference", x, err, d.inference)
}

func (d *door) unimply(w http.ResponseWriter, r *http.Request) error {
	return done(w, d.identity.Unimply(r.Context(), caller(r), r.PathValue("role"), r.PathValue("implied")))
}
