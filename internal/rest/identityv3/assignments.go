package identityv3

import (
	"net/http"

	"kuva"
	"kuva/internal/identity"
)

// grantOf reads a grant from the path: whichever of its parts a route has.
func grantOf(r *http.Request) identity.Grant {
	return identity.Grant{
		User: r.PathValue("user"), Group: r.PathValue("group"),
		Project: r.PathValue("project"), Domain: r.PathValue("domain"), Role: r.PathValue("role"),
	}
}

func (d *door) listGrants(w http.ResponseWriter, r *http.Request) error {
	found, err := d.identity.RolesGiven(r.Context(), caller(r), grantOf(r))
	return list(d, w, r, "roles", found, err, d.role)
}

func (d *door) checkGrant(w http.ResponseWriter, r *http.Request) error {
	return done(w, d.identity.Given(r.Context(), caller(r), grantOf(r)))
}

func (d *door) grant(w http.ResponseWriter, r *http.Request) error {
	return done(w, d.identity.Give(r.Context(), caller(r), grantOf(r)))
}

func (d *door) revokeGrant(w http.ResponseWriter, r *http.Request) error {
	return done(w, d.identity.Take(r.Context(), caller(r), grantOf(r)))
}

// inherited refuses what kuva lacks: projects have no projects below them.
func (d *door) inherited(_ http.ResponseWriter, r *http.Request) error {
	if !caller(r).Admin {
		return kuva.E(kuva.CodeForbidden, "identity.forbidden", "action", "inherited_grant")
	}
	return unsupported("roles that projects inherit")
}

func (d *door) listAssignments(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	effective, names := boolean(q, "effective"), boolean(q, "include_names")
	found, err := d.identity.Assignments(r.Context(), caller(r), identity.AssignmentFilter{
		Grant: identity.Grant{
			User: q.Get("user.id"), Group: q.Get("group.id"), Role: q.Get("role.id"),
			Project: q.Get("scope.project.id"), Domain: q.Get("scope.domain.id"),
		},
		System: q.Has("scope.system"), Effective: effective != nil && *effective,
	})
	if q.Has("scope.OS-INHERIT:inherited_to") { // nothing is inherited
		found = nil
	}
	return list(d, w, r, "role_assignments", found, err, func(r *http.Request, x identity.Assignment) any {
		return d.assignment(r, x, names != nil && *names)
	})
}

// assignment names only what the caller wants to have named.
func (d *door) assignment(r *http.Request, x identity.Assignment, names bool) object {
	thing := func(id, name, domain, domainName string) object {
		o := object{"id": id}
		if names {
			o["name"] = name
			if domain != "" {
				o["domain"] = idName{domain, domainName}
			}
		}
		return o
	}
	out, scope := object{"role": thing(x.Role.ID, x.Role.Name, "", "")}, object{}
	path := "/system"
	switch {
	case x.Project != nil:
		scope["project"] = thing(x.Project.ID, x.Project.Name, x.Project.DomainID, x.Project.DomainName)
		path = "/projects/" + x.Project.ID
	case x.Domain != nil:
		scope["domain"] = thing(x.Domain.ID, x.Domain.Name, "", "")
		path = "/domains/" + x.Domain.ID
	default:
		scope["system"] = object{"all": true}
	}
	if x.Group != nil {
		out["group"] = thing(x.Group.ID, x.Group.Name, x.Group.DomainID, x.GroupDomainName)
		path += "/groups/" + x.Group.ID
	} else {
		out["user"] = thing(x.User.ID, x.User.Name, x.User.DomainID, x.User.DomainName)
		path += "/users/" + x.User.ID
	}
	out["scope"], out["links"] = scope, object{"assignment": d.base(r) + path + "/roles/" + x.Role.ID}
	return out
}
