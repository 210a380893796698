package tus

import (
	"testing"

	"kuva/internal/policy"
)

// TestRoutesHaveRules: no route is outside the table of the policy, and the
// table has none that the door lacks.
func TestRoutesHaveRules(t *testing.T) {
	routes := map[string]bool{}
	for _, r := range New(Config{}).Routes() {
		routes[r] = true
		if !policy.Known(r) {
			t.Errorf("%s has no rule: give it one in internal/policy/table.go", r)
		}
	}
	for _, r := range policy.Routes(Prefix) {
		if !routes[r] {
			t.Errorf("the policy names %s, which is no route", r)
		}
	}
}
