package identityv3

import (
	"net/http"
	"net/url"

	"kuva"
	"kuva/internal/identity"
	"kuva/internal/rest"
)

// projectInput is what clients send in POST and PATCH. Pointers tell absent
// from empty. A parent is what clients send by habit; only the domain may be
// one.
type projectInput struct {
	Project struct {
		Name        *string   `json:"name"`
		Description *string   `json:"description"`
		Enabled     *bool     `json:"enabled"`
		DomainID    *string   `json:"domain_id"`
		ParentID    *string   `json:"parent_id"`
		IsDomain    *bool     `json:"is_domain"`
		Tags        *[]string `json:"tags"`
		Options     object    `json:"options"`
	} `json:"project"`

	immutable *bool
}

// unsupported names the first thing asked for that kuva does not do.
func (in *projectInput) unsupported() (err error) {
	p := &in.Project
	switch {
	case p.IsDomain != nil && *p.IsDomain:
		return unsupported("projects that act as domains")
	case p.ParentID != nil && *p.ParentID != "" && *p.ParentID != or(p.DomainID, identity.DefaultDomainID):
		return unsupported("projects inside projects")
	}
	in.immutable, err = immutable(p.Options)
	return err
}

func projectFilter(q url.Values) (identity.ProjectFilter, error) {
	p, err := page(q)
	return identity.ProjectFilter{
		Page: p, DomainID: q.Get("domain_id"), Name: q.Get("name"), Enabled: boolean(q, "enabled"),
		Tags: commas(q, "tags"), AnyTags: commas(q, "tags-any"), NotTags: commas(q, "not-tags"), NotAnyTags: commas(q, "not-tags-any"),
	}, err
}

func projectID(x identity.Project) string { return x.ID }

func (d *door) createProject(w http.ResponseWriter, r *http.Request) error {
	var in projectInput
	if err := read(r, "create_project", &in); err != nil {
		return err
	}
	p, err := d.identity.CreateProject(r.Context(), caller(r), identity.Project{
		Name: or(in.Project.Name, ""), Description: or(in.Project.Description, ""),
		DomainID: or(in.Project.DomainID, ""), Enabled: or(in.Project.Enabled, true),
		Immutable: or(in.immutable, false), Tags: or(in.Project.Tags, nil),
	})
	return made(w, r, http.StatusCreated, "project", p, err, d.project)
}

func (d *door) showProject(w http.ResponseWriter, r *http.Request) error {
	p, err := d.identity.Project(r.Context(), caller(r), r.PathValue("project"))
	return made(w, r, http.StatusOK, "project", p, err, d.project)
}

func (d *door) listProjects(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	f, err := projectFilter(q)
	if err != nil {
		return err
	}
	switch parent := q.Get("parent_id"); {
	case f.DomainID == "":
		f.DomainID = parent // every project's parent is its domain
	case parent != "" && parent != f.DomainID:
		f.Names = append(f.Names, identity.NameFilter{Op: "equals"}) // none: no name is empty
	}
	found, err := d.identity.Projects(r.Context(), caller(r), f)
	if v := boolean(q, "is_domain"); v != nil && *v {
		found = nil
	}
	return pages(d, w, r, "projects", found, err, f.Page, projectID, d.project)
}

func (d *door) userProjects(w http.ResponseWriter, r *http.Request) error {
	f, err := projectFilter(r.URL.Query())
	if err != nil {
		return err
	}
	found, err := d.identity.ProjectsOf(r.Context(), caller(r), r.PathValue("user"), f)
	return pages(d, w, r, "projects", found, err, f.Page, projectID, d.project)
}

func (d *door) updateProject(w http.ResponseWriter, r *http.Request) error {
	var in projectInput
	if err := read(r, "update_project", &in); err != nil {
		return err
	}
	if in.Project.DomainID != nil {
		return unsupported("moving projects to another domain")
	}
	p, err := d.identity.UpdateProject(r.Context(), caller(r), r.PathValue("project"), identity.ProjectChange{
		Name: in.Project.Name, Description: in.Project.Description, Enabled: in.Project.Enabled, Immutable: in.immutable, Tags: in.Project.Tags,
	})
	return made(w, r, http.StatusOK, "project", p, err, d.project)
}

func (d *door) deleteProject(w http.ResponseWriter, r *http.Request) error {
	return done(w, d.identity.DeleteProject(r.Context(), caller(r), r.PathValue("project")))
}

func (d *door) listTags(w http.ResponseWriter, r *http.Request) error {
	p, err := d.identity.Project(r.Context(), caller(r), r.PathValue("project"))
	if err != nil {
		return err
	}
	return d.tags(w, r, p)
}

func (d *door) tags(w http.ResponseWriter, r *http.Request, p *identity.Project) error {
	return answer(w, http.StatusOK, object{"tags": append([]string{}, p.Tags...), "links": d.links(r)})
}

func (d *door) setTags(w http.ResponseWriter, r *http.Request) error {
	var in tagsInput
	if err := read(r, "update_project_tags", &in); err != nil {
		return err
	}
	p, err := d.identity.UpdateProject(r.Context(), caller(r), r.PathValue("project"), identity.ProjectChange{Tags: &in.Tags})
	if err != nil {
		return err
	}
	return d.tags(w, r, p)
}

type tagsInput struct {
	Tags []string `json:"tags"`
}

func (in *tagsInput) unsupported() error { return nil }

func (d *door) deleteTags(w http.ResponseWriter, r *http.Request) error {
	_, err := d.identity.UpdateProject(r.Context(), caller(r), r.PathValue("project"), identity.ProjectChange{Tags: &[]string{}})
	return done(w, err)
}

func (d *door) checkTag(w http.ResponseWriter, r *http.Request) error {
	p, err := d.identity.Project(r.Context(), caller(r), r.PathValue("project"))
	if err != nil {
		return err
	}
	for _, tag := range p.Tags {
		if tag == r.PathValue("tag") {
			return done(w, nil)
		}
	}
	tag := r.PathValue("tag")
	return kuva.E(kuva.CodeNotFound, "identity.tag_not_found", "id", tag[:min(len(tag), identity.MaxName)])
}

func (d *door) addTag(w http.ResponseWriter, r *http.Request) error {
	if err := d.identity.AddTag(r.Context(), caller(r), r.PathValue("project"), r.PathValue("tag")); err != nil {
		return err
	}
	w.Header().Set("Location", rest.PublicURL(d.PublicURL, r)+r.URL.EscapedPath())
	w.WriteHeader(http.StatusCreated)
	return nil
}

func (d *door) removeTag(w http.ResponseWriter, r *http.Request) error {
	return done(w, d.identity.RemoveTag(r.Context(), caller(r), r.PathValue("project"), r.PathValue("tag")))
}
