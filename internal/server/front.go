package server

import (
	"html"
	"net/http"
	"strings"

	"kuva/internal/rest"
	"kuva/message"
)

// front answers people who open an address of the service in a browser, and
// hands everybody else's calls to next. The Image API's own paths are next's
// for browsers, too.
func front(door rest.Door, next http.Handler) http.Handler {
	door.Name = "front"
	page := door.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lang := rest.LanguageOf(r)
		text := message.New("server.front", "url", rest.PublicURL(door.PublicURL, r)).In(lang)
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Language", string(lang))
		h.Add("Vary", "Accept, Accept-Language")
		_, _ = w.Write([]byte("<!DOCTYPE html>\n<html lang=\"" + string(lang) + "\">\n<meta charset=\"utf-8\">\n<title>kuva</title>\n<h1>kuva</h1>\n<p>" +
			html.EscapeString(text) + "</p>\n</html>\n")) // the caller may be gone
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isBrowser(r) && !ofImageAPI(r.URL.Path) {
			page.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isBrowser reports whether the caller asks for a page: programs that take
// anything send */*.
func isBrowser(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	for part := range strings.SplitSeq(r.Header.Get("Accept"), ",") {
		kind, _, _ := strings.Cut(part, ";")
		if strings.TrimSpace(kind) == "text/html" {
			return true
		}
	}
	return false
}

// ofImageAPI reports whether a path is one that the Image API answers itself.
func ofImageAPI(path string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return first == "image" || first == "versions" || first == "v2" || strings.HasPrefix(first, "v2.")
}
