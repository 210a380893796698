package check

import (
	"slices"
	"strings"
	"testing"

	"kuva/guest/fact"
	"kuva/guest/guesttest"
)

// guest is what a test hands to one check.
type guest struct {
	os    fact.OS
	files guesttest.Files
	modes map[string]guesttest.Mode
	facts func(f *fact.Facts) // fills in more facts
}

// run runs one check on a guest.
func run(t *testing.T, c *Check, g guest) []Finding {
	t.Helper()
	if g.os.Family == "" {
		g.os.Family = "linux"
	}
	facts := &fact.Facts{OS: &g.os}
	if g.facts != nil {
		g.facts(facts)
	}
	s := &Subject{Facts: facts, FS: guesttest.Root(g.files, g.modes), check: c}
	if err := c.Run(s); err != nil {
		t.Fatalf("%s: %v", c.ID, err)
	}
	if !slices.Contains(All, c) {
		t.Errorf("%s is not in All", c.ID)
	}
	for _, f := range s.found {
		words := f.In("en")
		for _, text := range []string{words.Title, words.Consequence, words.Mend} {
			if a := arguments(text); len(a) > 0 {
				t.Errorf("%s: %q was not filled in", c.ID, a)
			}
		}
	}
	return s.found
}

// want holds that a check finds exactly these places, as "path:line value".
// No places mean no finding.
func want(t *testing.T, c *Check, g guest, places ...string) {
	t.Helper()
	var got []string
	for _, f := range run(t, c, g) {
		for _, e := range f.Evidence {
			got = append(got, e.String())
		}
	}
	if !slices.Equal(got, places) {
		t.Errorf("%s finds\n\t%s\nwant\n\t%s", c.ID, strings.Join(got, "\n\t"), strings.Join(places, "\n\t"))
	}
}
