package rest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// The headers of cross-origin requests: those of the reference service, and
// what a page needs to upload and read content itself, by tus too.
var (
	corsMethods = []string{"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"}
	corsAllowed = []string{
		"Accept-Encoding", "Accept-Language", "Content-MD5", "Content-Type", "Range", "X-Auth-Token", "X-Identity-Status", "X-Roles",
		"X-Service-Catalog", "X-Subject-Token", "X-Tenant-Id", "X-User-Id", "X-OpenStack-Image-Size", "X-OpenStack-Request-ID",
		"Tus-Resumable", "Upload-Checksum", "Upload-Concat", "Upload-Defer-Length", "Upload-Length", "Upload-Metadata", "Upload-Offset",
		"X-HTTP-Method-Override",
	}
	corsExposed = []string{
		"X-Image-Meta-Checksum", "X-Auth-Token", "X-Subject-Token", "X-Service-Token", "X-OpenStack-Request-ID", "Content-MD5",
		"Content-Range", "Location", "OpenStack-image-import-methods",
		"Tus-Checksum-Algorithm", "Tus-Extension", "Tus-Max-Size", "Tus-Resumable", "Tus-Version", "Upload-Concat", "Upload-Defer-Length",
		"Upload-Expires", "Upload-Length", "Upload-Metadata", "Upload-Offset", "X-Image-Id",
	}
)

// corsAge is how long browsers may remember what they were told, in seconds.
const corsAge = "3600"

// CheckOrigins refuses what is no origin: scheme and host, and the port where
// it is not the scheme's own, as browsers send it; or "*" for all.
func CheckOrigins(origins []string) error {
	for _, o := range origins {
		u, err := url.Parse(o)
		if o == "*" || err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && o == u.Scheme+"://"+strings.ToLower(u.Host) {
			continue
		}
		return fmt.Errorf("origin %q: write it as https://HOST or https://HOST:PORT, or * for all", o)
	}
	return nil
}

// CORS lets pages of other origins call the service, from browsers: those
// listed, or all by "*". Without origins it is next itself. Cookies are never
// let through: a token in a header is what a page shows that it may call.
func CORS(origins []string, next http.Handler) http.Handler {
	if len(origins) == 0 {
		return next
	}
	all := slices.Contains(origins, "*")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		origin := r.Header.Get("Origin")
		if origin == "" || !all && !slices.Contains(origins, origin) {
			next.ServeHTTP(w, r)
			return
		}
		if all {
			origin = "*"
		}
		h.Set("Access-Control-Allow-Origin", origin)
		if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
			h.Set("Access-Control-Expose-Headers", strings.Join(corsExposed, ", "))
			next.ServeHTTP(w, r)
			return
		}
		// The browser asks before it sends; the call itself is checked later.
		h.Set("Access-Control-Allow-Methods", strings.Join(corsMethods, ", "))
		h.Set("Access-Control-Allow-Headers", strings.Join(corsAllowed, ", "))
		h.Set("Access-Control-Max-Age", corsAge)
		h.Set("Content-Length", "0")
		w.WriteHeader(http.StatusOK)
	})
}
