package kuvav1

import (
	"testing"

	"kuva/internal/policy"
)

// TestRoutesHaveRules: no route is outside the table of the policy.
func TestRoutesHaveRules(t *testing.T) {
	a := New(Config{})
	defer a.Close()
	for _, r := range append(a.open.Routes(), a.routes.Routes()...) {
		if !policy.Known(r) {
			t.Errorf("%s has no rule: give it one in internal/policy/table.go", r)
		}
	}
}
