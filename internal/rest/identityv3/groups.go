package identityv3

import (
	"net/http"
	"net/url"

	"kuva/internal/identity"
)

type groupInput struct {
	Group struct {
		Name        *string `json:"name"`
		Description *string `json:"description"`
		DomainID    *string `json:"domain_id"`
	} `json:"group"`
}

func (in *groupInput) unsupported() error { return nil }

func groupFilter(q url.Values) (identity.GroupFilter, error) {
	p, err := page(q)
	return identity.GroupFilter{Page: p, DomainID: q.Get("domain_id"), Name: q.Get("name")}, err
}

func groupID(x identity.Group) string { return x.ID }

func (d *door) listGroups(w http.ResponseWriter, r *http.Request) error {
	f, err := groupFilter(r.URL.Query())
	if err != nil {
		return err
	}
	found, err := d.identity.Groups(r.Context(), caller(r), f)
	return pages(d, w, r, "groups", found, err, f.Page, groupID, d.group)
}

func (d *door) userGroups(w http.ResponseWriter, r *http.Request) error {
	f, err := groupFilter(r.URL.Query())
	if err != nil {
		return err
	}
	found, err := d.identity.GroupsOf(r.Context(), caller(r), r.PathValue("user"), f)
	return pages(d, w, r, "groups", found, err, f.Page, groupID, d.group)
}

func (d *door) createGroup(w http.ResponseWriter, r *http.Request) error {
	var in groupInput
	if err := read(r, "create_group", &in); err != nil {
		return err
	}
	x, err := d.identity.CreateGroup(r.Context(), caller(r), identity.Group{
		Name: or(in.Group.Name, ""), Description: or(in.Group.Description, ""), DomainID: or(in.Group.DomainID, ""),
	})
	return made(w, r, http.StatusCreated, "group", x, err, d.group)
}

func (d *door) showGroup(w http.ResponseWriter, r *http.Request) error {
	x, err := d.identity.Group(r.Context(), caller(r), r.PathValue("group"))
	return made(w, r, http.StatusOK, "group", x, err, d.group)
}

func (d *door) updateGroup(w http.ResponseWriter, r *http.Request) error {
	var in groupInput
	if err := read(r, "update_group", &in); err != nil {
		return err
	}
	if in.Group.DomainID != nil {
		return unsupported("moving groups to another domain")
	}
	x, err := d.identity.UpdateGroup(r.Context(), caller(r), r.PathValue("group"), identity.GroupChange{Name: in.Group.Name, Description: in.Group.Description})
	return made(w, r, http.StatusOK, "group", x, err, d.group)
}

func (d *door) deleteGroup(w http.ResponseWriter, r *http.Request) error {
	return done(w, d.identity.DeleteGroup(r.Context(), caller(r), r.PathValue("group")))
}

func (d *door) listMembers(w http.ResponseWriter, r *http.Request) error {
	f, err := userFilter(r.URL.Query())
	if err != nil {
		return err
	}
	f.Group = r.PathValue("group")
	found, err := d.identity.Users(r.Context(), caller(r), f)
	return pages(d, w, r, "users", found, err, f.Page, userID, d.user)
}

func (d *door) checkMember(w http.ResponseWriter, r *http.Request) error {
	return done(w, d.identity.IsMember(r.Context(), caller(r), r.PathValue("group"), r.PathValue("user")))
}

func (d *door) addMember(w http.ResponseWriter, r *http.Request) error {
	return done(w, d.identity.AddMember(r.Context(), caller(r), r.PathValue("group"), r.PathValue("user")))
}

func (d *door) removeMember(w http.ResponseWriter, r *http.Request) error {
	return done(w, d.identity.RemoveMember(r.Context(), caller(r), r.PathValue("group"), r.PathValue("user")))
}
