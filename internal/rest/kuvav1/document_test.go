package kuvav1

import (
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"kuva"
	"kuva/api"
)

// TestDocument: openapi.yaml is valid, and describes exactly the routes that
// there are, with the parameters that they have in their path.
func TestDocument(t *testing.T) {
	doc, _ := described()
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	var in []string
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			in = append(in, method+" "+path)
		}
	}
	slices.Sort(in)
	d := New(Config{})
	defer d.Close()
	routes := slices.Concat(d.open.Routes(), d.routes.Routes())
	slices.Sort(routes)
	if !slices.Equal(in, routes) {
		t.Errorf("the document has\n%s\nthe door\n%s", strings.Join(in, "\n"), strings.Join(routes, "\n"))
	}
	for _, route := range d.open.Routes() {
		method, path, _ := strings.Cut(route, " ")
		if s := doc.Paths.Value(path).GetOperation(method).Security; s == nil || len(*s) != 0 {
			t.Errorf("%s needs no token, and the document does not say so", route)
		}
	}
	for _, route := range d.routes.Routes() {
		method, path, _ := strings.Cut(route, " ")
		if s := doc.Paths.Value(path).GetOperation(method).Security; s != nil {
			t.Errorf("%s needs a token, and the document says otherwise", route)
		}
	}
}

// TestCodes: the closed list of codes stands in the document.
func TestCodes(t *testing.T) {
	doc, _ := described()
	var in []kuva.Code
	for _, v := range doc.Components.Schemas["Code"].Value.Enum {
		in = append(in, kuva.Code(v.(string)))
	}
	if !slices.Equal(in, kuva.Codes) {
		t.Errorf("the document has %v", in)
	}
}

// TestWire: every schema that a struct of package api stands for has the
// struct's members, all required, and no others.
func TestWire(t *testing.T) {
	doc, _ := described()
	for _, v := range []any{
		api.Version{},
		api.Error{},
		api.Job{},
		api.Jobs{},
		api.ImageEvent{},
		api.StreamBegin{},
		api.StreamNote{},
		api.ImageDetails{},
		api.Upload{},
		api.Uploads{},
		api.Asked{},
		api.UploadPart{},
		api.UploadParts{},
		api.FinishUpload{},
		api.Views{},
		api.View{},
		api.MoveOffer{},
		api.MoveOffers{},
		api.MoveImage{},
		api.Catalogue{},
		api.CatalogueEntry{},
		api.AccessLink{},
		api.AccessLinks{},
		api.LinkUpload{},
		api.Views{},
		api.View{},
		api.Export{},
		api.Exports{},
		api.Manifest{},
		api.ManifestImage{},
		api.Bucket{},
		api.Buckets{},
		api.ListedObject{},
		api.ListedObjects{},
		api.Activity{},
		api.Usage{},
		api.Quota{},
		api.Depot{},
		api.Tally{},
		api.CollectPlan{},
	} {
		typ := reflect.TypeOf(v)
		var members []string
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			members = append(members, name)
		}
		s := doc.Components.Schemas[typ.Name()]
		if s == nil {
			t.Errorf("no schema %s", typ.Name())
			continue
		}
		var in []string
		for name := range s.Value.Properties {
			in = append(in, name)
		}
		required := slices.Clone(s.Value.Required)
		for _, list := range [][]string{members, in, required} {
			slices.Sort(list)
		}
		if !slices.Equal(members, in) || !slices.Equal(members, required) {
			t.Errorf("%s has %v, its schema %v, of which %v are required", typ.Name(), members, in, required)
		}
	}
}

// TestDiscovery: what needs no token, and that the JSON document is the YAML
// one.
func TestDiscovery(t *testing.T) {
	w := start(t)
	w.golden("version", w.want(http.StatusOK, nil, "GET", "/kuva/v1", "").body)
	if got := w.want(http.StatusOK, nil, "GET", "/kuva/v1/openapi.yaml", ""); string(got.body) != string(openapi) {
		t.Error("another document is served")
	}
	got := w.want(http.StatusOK, nil, "GET", "/kuva/v1/openapi.json", "")
	doc, err := openapi3.NewLoader().LoadFromData(got.body)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := described()
	a, err1 := json.Marshal(doc)
	b, err2 := json.Marshal(want)
	if err1 != nil || err2 != nil || string(a) != string(b) {
		t.Errorf("the two documents differ: %v %v", err1, err2)
	}
	w.want(http.StatusUnauthorized, nil, "GET", "/kuva/v1/nothing", "")
	w.want(http.StatusNotFound, w.alice, "GET", "/kuva/v1/nothing", "")
	w.want(http.StatusNotFound, w.alice, "GET", "/kuva/v1/", "")
	if a := w.want(http.StatusMethodNotAllowed, nil, "POST", "/kuva/v1", ""); !regexp.MustCompile("GET").MatchString(a.header.Get("Allow")) {
		t.Errorf("Allow: %q", a.header.Get("Allow"))
	}
	w.want(http.StatusMethodNotAllowed, w.alice, "PUT", "/kuva/v1/jobs", "{}")
}
