package policy

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table into docs/policy.md")

// TestDocs: the table that operators read is the one that holds.
func TestDocs(t *testing.T) {
	const file, begin, end = "../../docs/policy.md", "-update -->\n", "<!-- end -->"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(b), begin)
	is, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatal("docs/policy.md has no place for the table")
	}
	var want strings.Builder
	want.WriteString("\n| rule | default | asked by |\n|---|---|---|\n")
	for _, e := range slices.Concat(helpers, Table) {
		routes := "other rules"
		if len(e.Routes) > 0 {
			routes = "`" + strings.Join(e.Routes, "`, `") + "`"
		}
		fmt.Fprintf(&want, "| `%s` | `%s` | %s |\n", e.Rule, e.Default, routes)
	}
	want.WriteString("\n")
	if is == want.String() {
		return
	}
	if !*update {
		t.Fatal("the table in docs/policy.md is an older one: go test ./internal/policy -run TestDocs -update")
	}
	if err := os.WriteFile(file, []byte(before+begin+want.String()+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestDocsExample: the file that the page shows is one.
func TestDocsExample(t *testing.T) {
	b, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "```yaml\n")
	example, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("there is no example")
	}
	if _, err := Read([]byte(example)); err != nil {
		t.Error(err)
	}
}
