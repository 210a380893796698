package identityv3

import (
	"net/http"
	"net/url"
	"strings"

	"kuva"
	"kuva/internal/identity"
	"kuva/internal/rest"
)

// projectInput is what clients send in POST and PATCH. Pointers tell absent
// from empty. Options, tags and the parent are what clients send by habit;
// only their empty or natural values mean something here.
type projectInput struct {
	Project struct {
		Name        *string  `json:"name"`
		Description *string  `json:"description"`
		Enabled     *bool    `json:"enabled"`
		DomainID    *string  `json:"domain_id"`
		ParentID    *string  `json:"parent_id"`
		IsDomain    *bool    `json:"is_domain"`
		Tags        []string `json:"tags"`
		Options     object   `json:"options"`
	} `json:"project"`
}

// unsupported names the first thing asked for that kuva does not do.
func (in *projectInput) unsupported() error {
	p := &in.Project
	switch {
	case p.IsDomain != nil && *p.IsDomain:
		return unsupported("projects that act as domains")
	case len(p.Tags) > 0:
		return unsupported("tags of projects")
	case len(p.Options) > 0:
		return unsupported("options of projects")
	case p.ParentID != nil && *p.ParentID != "" && *p.ParentID != or(p.DomainID, identity.DefaultDomainID):
		return unsupported("projects inside projects")
	}
	return nil
}

func unsupported(what string) error {
	return kuva.E(kuva.CodeInvalid, "identity.unsupported", "what", what)
}

func or[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

func (d *door) createProject(w http.ResponseWriter, r *http.Request) error {
	if err := adminOnly(r, "project.create"); err != nil {
		return err // before the body, which tells strangers what is taken
	}
	var in projectInput
	if err := rest.ReadJSON(r, &in, rest.KnownFields); err != nil {
		return err
	}
	if err := in.unsupported(); err != nil {
		return err
	}
	p, err := d.identity.CreateProject(r.Context(), caller(r), identity.Project{
		Name: or(in.Project.Name, ""), Description: or(in.Project.Description, ""),
		DomainID: or(in.Project.DomainID, ""), Enabled: or(in.Project.Enabled, true),
	})
	if err != nil {
		return err
	}
	return answer(w, http.StatusCreated, object{"project": d.project(r, *p)})
}

func (d *door) showProject(w http.ResponseWriter, r *http.Request) error {
	p, err := d.identity.Project(r.Context(), caller(r), r.PathValue("project"))
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, object{"project": d.project(r, *p)})
}

func (d *door) listProjects(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	found, err := d.identity.Projects(r.Context(), caller(r), identity.ProjectFilter{
		DomainID: q.Get("domain_id"), Name: q.Get("name"), Enabled: boolean(q, "enabled"),
	})
	if err != nil {
		return err
	}
	if parent := q.Get("parent_id"); parent != "" {
		kept := found[:0]
		for _, p := range found {
			if p.DomainID == parent {
				kept = append(kept, p)
			}
		}
		found = kept
	}
	return list(d, w, r, "projects", found, d.project)
}

func (d *door) userProjects(w http.ResponseWriter, r *http.Request) error {
	found, err := d.identity.ProjectsOf(r.Context(), caller(r), r.PathValue("user"))
	if err != nil {
		return err
	}
	return list(d, w, r, "projects", found, d.project)
}

func (d *door) updateProject(w http.ResponseWriter, r *http.Request) error {
	if err := adminOnly(r, "project.update"); err != nil {
		return err
	}
	var in projectInput
	if err := rest.ReadJSON(r, &in, rest.KnownFields); err != nil {
		return err
	}
	if err := in.unsupported(); err != nil {
		return err
	}
	if in.Project.DomainID != nil {
		return unsupported("moving projects to another domain")
	}
	p, err := d.identity.UpdateProject(r.Context(), caller(r), r.PathValue("project"), identity.ProjectChange{
		Name: in.Project.Name, Description: in.Project.Description, Enabled: in.Project.Enabled,
	})
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, object{"project": d.project(r, *p)})
}

func (d *door) deleteProject(w http.ResponseWriter, r *http.Request) error {
	if err := d.identity.DeleteProject(r.Context(), caller(r), r.PathValue("project")); err != nil {
		return err
	}
	return noContent(w)
}

// boolean reads a filter; Keystone takes everything but 0 and false for true.
func boolean(q url.Values, name string) *bool {
	if !q.Has(name) {
		return nil
	}
	v := strings.ToLower(q.Get(name))
	on := v != "0" && v != "false"
	return &on
}
