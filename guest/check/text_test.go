package check

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var argument = regexp.MustCompile(`\{[a-z_]+\}`)

func arguments(s string) []string {
	return slices.Compact(slices.Sorted(slices.Values(argument.FindAllString(s, -1))))
}

// Every check has its words in every language, with the same arguments and the
// same ways to mend; and there are no words without a check.
func TestWords(t *testing.T) {
	for _, c := range All {
		byLang := texts()[c.ID]
		english := byLang["en"]
		if english.Mend[""] == "" {
			t.Errorf("%s: no way to mend", c.ID)
		}
		for _, lang := range Languages {
			w, ok := byLang[lang]
			if !ok {
				t.Errorf("%s: not in %s", c.ID, lang)
				continue
			}
			if got, want := slices.Sorted(maps.Keys(w.Mend)), slices.Sorted(maps.Keys(english.Mend)); !slices.Equal(got, want) {
				t.Errorf("%s, %s: guides %q, English has %q", c.ID, lang, got, want)
			}
			pairs := map[string][2]string{"title": {w.Title, english.Title}, "consequence": {w.Consequence, english.Consequence}}
			for g, text := range w.Mend {
				pairs["mend "+g] = [2]string{text, english.Mend[g]}
			}
			for part, p := range pairs {
				if got, want := arguments(p[0]), arguments(p[1]); !slices.Equal(got, want) {
					t.Errorf("%s, %s, %s: arguments %q, English has %q", c.ID, lang, part, got, want)
				}
				if strings.TrimSpace(p[0]) == "" || p[0] != strings.TrimSpace(p[0]) {
					t.Errorf("%s, %s, %s: %q", c.ID, lang, part, p[0])
				}
				if lang != "en" && p[0] == p[1] && len(strings.Fields(withoutCommands(p[0]))) > 3 {
					t.Errorf("%s, %s, %s is English", c.ID, lang, part)
				}
				if commands(p[0]) != commands(p[1]) {
					t.Errorf("%s, %s, %s: the commands are %q, in English %q", c.ID, lang, part, commands(p[0]), commands(p[1]))
				}
			}
		}
		if len(byLang) != len(Languages) {
			t.Errorf("%s has languages %q", c.ID, slices.Sorted(maps.Keys(byLang)))
		}
	}
	for id := range texts() {
		if !slices.ContainsFunc(All, func(c *Check) bool { return c.ID == id }) {
			t.Errorf("text/%s.json belongs to no check", id)
		}
	}
}

// commands are the lines to type, which are the same in every language.
func commands(text string) string {
	var out []string
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, "    ") {
			out = append(out, strings.TrimSpace(l))
		}
	}
	return strings.Join(out, "\n")
}

func withoutCommands(text string) string {
	var out []string
	for l := range strings.Lines(text) {
		if !strings.HasPrefix(l, "    ") {
			out = append(out, l)
		}
	}
	return strings.Join(out, "")
}

// shared are the texts that several checks may have in common, looked at one
// by one: general words on what to do.
var shared = []string{}

// No two checks say the same in more than three words: who copies a text has
// not said what this finding means.
func TestNoTwoAlike(t *testing.T) {
	for _, lang := range Languages {
		seen := map[string]string{}
		for _, c := range All {
			w := texts()[c.ID][lang]
			for _, text := range append([]string{w.Title, w.Consequence}, slices.Sorted(maps.Values(w.Mend))...) {
				text = strings.TrimSpace(withoutCommands(text))
				if len(strings.Fields(text)) <= 3 || slices.Contains(shared, text) {
					continue
				}
				if other := seen[text]; other != "" && other != c.ID {
					t.Errorf("%s: %s and %s both say %q", lang, other, c.ID, text)
				}
				seen[text] = c.ID
			}
		}
	}
}

// Ids are unique, their first word is the severity's, and the source file is
// named after the id.
func TestIDs(t *testing.T) {
	ids := map[string]bool{}
	for _, c := range All {
		kind, subject, _ := strings.Cut(c.ID, "-")
		if Severity(kind) != c.Severity || ids[c.ID] {
			t.Errorf("%s has severity %s", c.ID, c.Severity)
		}
		ids[c.ID] = true
		if file := strings.ReplaceAll(subject, "-", "_") + ".go"; !exists(file) {
			t.Errorf("%s: there is no %s", c.ID, file)
		}
		for _, row := range c.Rows {
			if !regexp.MustCompile(`^(S[0-4]|X)-\d+$`).MatchString(row) {
				t.Errorf("%s: row %q", c.ID, row)
			}
		}
	}
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

func TestCut(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "a\x00b\nc\u202ed": "a b c d", "bad\xff": "bad\uFFFD",
		strings.Repeat("ä", 150): strings.Repeat("ä", 98) + "…",
	} {
		if got := Cut(in); got != want {
			t.Errorf("%q gives %q", in, got)
		}
	}
}
