package identityv3

import (
	"net/http"

	"kuva/internal/identity"
)

func (d *door) listRoles(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	found, err := d.identity.Roles(r.Context(), caller(r), q.Get("name"))
	if err != nil {
		return err
	}
	if domain := q.Get("domain_id"); domain != "" { // all roles are global
		found = nil
	}
	return list(d, w, r, "roles", found, d.role)
}

func (d *door) showRole(w http.ResponseWriter, r *http.Request) error {
	x, err := d.identity.Role(r.Context(), caller(r), r.PathValue("role"))
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, object{"role": d.role(r, *x)})
}

func (d *door) listGrants(w http.ResponseWriter, r *http.Request) error {
	found, err := d.identity.RolesOn(r.Context(), caller(r), r.PathValue("project"), r.PathValue("user"))
	if err != nil {
		return err
	}
	return list(d, w, r, "roles", found, d.role)
}

func (d *door) checkGrant(w http.ResponseWriter, r *http.Request) error {
	return done(w, d.identity.Assigned(r.Context(), caller(r), r.PathValue("project"), r.PathValue("user"), r.PathValue("role")))
}

func (d *door) grant(w http.ResponseWriter, r *http.Request) error {
	return done(w, d.identity.Assign(r.Context(), caller(r), r.PathValue("project"), r.PathValue("user"), r.PathValue("role")))
}

func (d *door) revokeGrant(w http.ResponseWriter, r *http.Request) error {
	return done(w, d.identity.Unassign(r.Context(), caller(r), r.PathValue("project"), r.PathValue("user"), r.PathValue("role")))
}

func done(w http.ResponseWriter, err error) error {
	if err != nil {
		return err
	}
	return noContent(w)
}

type assignmentBody struct {
	Role  idName `json:"role"`
	User  any    `json:"user"`
	Scope struct {
		Project any `json:"project"`
	} `json:"scope"`
	Links struct {
		Assignment string `json:"assignment"`
	} `json:"links"`
}

func (d *door) listAssignments(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	// There are no groups, and no roles on domains or on the system.
	if q.Has("group.id") || q.Has("scope.domain.id") || q.Has("scope.system") {
		if err := adminOnly(r, "role.list_assignments"); err != nil {
			return err
		}
		return list(d, w, r, "role_assignments", nil, asIs)
	}
	effective, names := boolean(q, "effective"), boolean(q, "include_names")
	found, err := d.identity.Assignments(r.Context(), caller(r), identity.AssignmentFilter{
		User: q.Get("user.id"), Project: q.Get("scope.project.id"), Role: q.Get("role.id"),
		Effective: effective != nil && *effective,
	})
	if err != nil {
		return err
	}
	return list(d, w, r, "role_assignments", found, func(r *http.Request, x identity.Assignment) any {
		var b assignmentBody
		b.Links.Assignment = d.base(r) + "/projects/" + x.Project.ID + "/users/" + x.User.ID + "/roles/" + x.Role.ID
		if names != nil && *names {
			b.Role = idName{x.Role.ID, x.Role.Name}
			b.User = owned{x.User.ID, x.User.Name, idName{x.User.DomainID, x.User.DomainName}}
			b.Scope.Project = owned{x.Project.ID, x.Project.Name, idName{x.Project.DomainID, x.Project.DomainName}}
			return b
		}
		return object{
			"role": object{"id": x.Role.ID}, "user": object{"id": x.User.ID},
			"scope": object{"project": object{"id": x.Project.ID}}, "links": b.Links,
		}
	})
}
