package identityv3

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"kuva"
	"kuva/internal/identity"
	"kuva/internal/rest"
)

// page reads limit, marker and the filters name__contains and so on.
func page(q url.Values) (identity.Page, error) {
	p := identity.Page{Marker: q.Get("marker")}
	if q.Has("limit") {
		n, err := strconv.Atoi(q.Get("limit"))
		if err != nil || n < 1 {
			return p, kuva.E(kuva.CodeInvalid, "identity.bad_filter", "filter", "limit")
		}
		p.Limit = min(n, identity.MaxList)
	}
	for _, name := range slices.Sorted(keys(q)) {
		if op, ok := strings.CutPrefix(name, "name__"); ok {
			p.Names = append(p.Names, identity.NameFilter{Op: op, Value: q.Get(name)})
		}
	}
	return p, nil
}

func keys(q url.Values) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range q {
			if !yield(k) {
				return
			}
		}
	}
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

// commas takes a list such as tags=a,b apart.
func commas(q url.Values, name string) []string {
	if !q.Has(name) {
		return nil
	}
	return strings.Split(q.Get(name), ",")
}

// list writes a collection.
func list[T, B any](d *door, w http.ResponseWriter, r *http.Request, name string, items []T, err error, body func(*http.Request, T) B) error {
	if err != nil {
		return err
	}
	out := make([]B, 0, len(items))
	for _, x := range items {
		out = append(out, body(r, x))
	}
	return answer(w, http.StatusOK, object{name: out, "links": d.links(r)})
}

// pages is list for collections that come in pages.
func pages[T, B any](d *door, w http.ResponseWriter, r *http.Request, name string, items []T, err error, p identity.Page, id func(T) string, body func(*http.Request, T) B) error {
	if err != nil {
		return err
	}
	out := make([]B, 0, len(items))
	for _, x := range items {
		out = append(out, body(r, x))
	}
	all := object{name: out}
	links := d.links(r)
	switch {
	case p.Limit > 0 && len(items) == p.Limit:
		q := r.URL.Query()
		q.Set("marker", id(items[len(items)-1]))
		next := links.Self + "?" + q.Encode()
		links.Next = &next
	case p.Limit == 0 && len(items) == identity.MaxList:
		all["truncated"] = true
	}
	all["links"] = links
	return answer(w, http.StatusOK, all)
}

func (d *door) links(r *http.Request) links {
	return links{Self: rest.PublicURL(d.PublicURL, r) + r.URL.EscapedPath()}
}

// done answers 204, or with the error.
func done(w http.ResponseWriter, err error) error {
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// made answers with one object, or with the error.
func made[T, B any](w http.ResponseWriter, r *http.Request, status int, kind string, x *T, err error, body func(*http.Request, T) B) error {
	if err != nil {
		return err
	}
	return answer(w, status, object{kind: body(r, *x)})
}

// read is the body of a call that only administrators may make: strangers are
// refused before they learn what is taken.
func read(r *http.Request, action string, in interface{ unsupported() error }) error {
	if !caller(r).Admin {
		return kuva.E(kuva.CodeForbidden, "identity.forbidden", "action", action)
	}
	if err := rest.ReadJSON(r, in, rest.KnownFields); err != nil {
		return err
	}
	return in.unsupported()
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

// immutable reads Keystone's options of projects, domains and roles: there is
// one. null takes it off.
func immutable(options object) (*bool, error) {
	v, there := options["immutable"]
	if len(options) > 1 || len(options) == 1 && !there {
		return nil, unsupported("options other than immutable")
	}
	if !there {
		return nil, nil //nolint:nilnil // absent
	}
	on, ok := v.(bool)
	if !ok && v != nil {
		return nil, unsupported("an option immutable that is neither true nor false")
	}
	return &on, nil
}

func optionsOf(on bool) object {
	if on {
		return object{"immutable": true}
	}
	return object{}
}
