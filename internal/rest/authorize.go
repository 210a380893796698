package rest

import (
	"net/http"
	"strings"

	"kuva"
	"kuva/internal/policy"
)

// Authorize asks the rules of a route, after Authenticate and before next,
// about the project, user or domain that the path names. It is for doors whose
// use cases do not ask the policy themselves. A route without a rule lets
// everybody through; tests hold doors to have none.
func (d *Door) Authorize(p *policy.Policy, route string, next http.Handler) http.Handler {
	rules := policy.RuleOf(route)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		on := policy.Target{Project: r.PathValue("project"), User: r.PathValue("user"), Domain: r.PathValue("domain")}
		for _, rule := range rules {
			if !p.Allows(PrincipalOf(r.Context()), rule, on) {
				d.Fail(w, r, kuva.E(kuva.CodeForbidden, "identity.forbidden", "action", strings.TrimPrefix(string(rule), "identity:")))
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}
