package check

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// owed are the requirement rows on what is inside images, each of which some
// check must answer. X-7, the log of changes, belongs to repairs.
var owed = strings.Fields(`S0-14 S0-15 S0-16 S0-17 S0-18 S0-19 S0-20 S0-21 S0-22 S0-23 S0-24 S0-25 S0-26 S0-27 S0-28
	S1-8 S1-9 S1-10 S1-11 S1-12 S1-13
	S2-11 S2-12 S2-13 S2-14 S2-15 S2-16 S2-17 S2-18 S2-19 S2-20 S2-21 S2-22 S2-23 S2-24 S2-25 S2-26 S2-27 S2-28 S2-29 S2-30 S2-31 S2-32 S2-33
	S2-36 S2-45 S2-46 S2-47 S2-71 S2-72
	S3-10 S3-11 S3-28 S3-29 S3-30 S3-31 S3-33 S3-34
	S4-4 S4-22 S4-23 S4-24 S4-25 S4-26 S4-27 S4-28 S4-29 S4-30 S4-31 S4-32 S4-33 S4-34 S4-35 S4-36
	X-1 X-2 X-3 X-4 X-5 X-6 X-8 X-9 X-10 X-11`)

func TestRows(t *testing.T) {
	for _, row := range owed {
		if !slices.ContainsFunc(All, func(c *Check) bool { return slices.Contains(c.Rows, row) }) {
			t.Errorf("no check answers %s", row)
		}
	}
}

// TestDocument holds docs/checks.md to the checks.
func TestDocument(t *testing.T) {
	var b strings.Builder
	b.WriteString("# What the doctor looks for\n\nEach finding has a stable id, whose first word says what it means: it keeps the machine from\nstarting (boot), keeps people out (access), makes cloning unsafe (clone), gives a secret away (secret),\nor could be better (advice). `kuva inspect` tells them with the place, the consequence and how to mend\nthem by hand. This page is written by `go test ./guest/check -update`.\n\n| id | system | what is found | rows |\n|---|---|---|---|\n")
	for _, severity := range Severities {
		for _, c := range All {
			if c.Severity != severity {
				continue
			}
			system := c.Family
			if system == "" {
				system = "any"
			}
			title := argument.ReplaceAllString(texts()[c.ID]["en"].Title, "…")
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", c.ID, system, title, strings.Join(c.Rows, ", "))
		}
	}
	const file = "../../docs/checks.md"
	if f := flag.Lookup("update"); f != nil && f.Value.String() == "true" { // the flag of guesttest
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || string(got) != b.String() {
		t.Errorf("docs/checks.md is not up to date; run go test ./guest/check -update (%v)", err)
	}
}
