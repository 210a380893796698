package rest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"kuva"
	"kuva/message"
)

// TestErrorsInLanguage: every API says its sentences in the caller's language,
// English to those who name none, and kuva's own code beside them.
func TestErrorsInLanguage(t *testing.T) {
	e := kuva.E(kuva.CodeNotFound, "rest.not_found")
	for name, writer := range map[string]ErrorWriter{"kuva": KuvaErrors, "glance": GlanceErrors, "keystone": KeystoneErrors} {
		for header, want := range map[string]message.Language{"": message.English, "fi": "fi", "pt-PT, de;q=0.1": "pt-BR"} {
			door := Door{Errors: writer}
			h := door.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { door.Fail(w, r, e) }))
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Accept", "application/json")
			if header != "" {
				r.Header.Set("Accept-Language", header)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if !strings.Contains(w.Body.String(), e.Text.In(want)) || w.Header().Get("Content-Language") != string(want) || w.Header().Get(headerCode) != "not_found" {
				t.Errorf("%s, %q: %s\n%v", name, header, w.Body, w.Header())
			}
		}
	}
}
