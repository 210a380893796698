package server

import (
	"net/http"
	"strings"
)

// front gives people who open an address of the service in a browser the
// portal's page, and hands everybody else's calls to next. The Image API's own
// paths are next's for browsers, too.
func front(page, next http.Handler) http.Handler {
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
