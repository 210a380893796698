package kuvav1

import (
	_ "embed"
	"fmt"
	"net/http"
	"strconv"
	"sync"

	"github.com/goccy/go-yaml"

	"kuva/api"
	"kuva/internal/rest"
)

// The document is written by hand; see the package comment.
//
//go:embed openapi.yaml
var openapi []byte

// openapiJSON is the same document for programs without a YAML parser.
var openapiJSON = sync.OnceValue(func() []byte {
	b, err := yaml.YAMLToJSON(openapi)
	if err != nil {
		panic(fmt.Sprintf("openapi.yaml: %v", err)) // a test reads it
	}
	return b
})

func (a *API) version(w http.ResponseWriter, r *http.Request) error {
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	self := rest.PublicURL(a.door.PublicURL, r) + Prefix
	v := api.Version{ID: "v1", Status: "CURRENT", Service: "kuva", Links: []api.Link{{Rel: "self", Href: self}}}
	for _, name := range []string{"jobs", "events", "usage", "quota", "uploads"} {
		v.Links = append(v.Links, api.Link{Rel: name, Href: self + "/" + name})
	}
	v.Links = append(v.Links,
		api.Link{Rel: "describedby", Href: self + "/openapi.yaml"}, api.Link{Rel: "describedby", Href: self + "/openapi.json"})
	rest.WriteJSON(w, http.StatusOK, v)
	return nil
}

func (a *API) documentYAML(w http.ResponseWriter, _ *http.Request) error {
	document(w, "application/yaml", openapi)
	return nil
}

func (a *API) documentJSON(w http.ResponseWriter, _ *http.Request) error {
	document(w, "application/json", openapiJSON())
	return nil
}

func document(w http.ResponseWriter, kind string, b []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	_, _ = w.Write(b) // the caller may be gone
}
