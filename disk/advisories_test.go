package disk_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestAdvisoryList holds the list of known attacks in docs/testing.md to the
// tests that there are.
func TestAdvisoryList(t *testing.T) {
	page, err := os.ReadFile("../docs/testing.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^\| (S-1[0-5][0-9]) \|.*$`)
	test := regexp.MustCompile("`([a-z0-9/]+) (Test[A-Za-z0-9]+)`")
	rows := row.FindAllSubmatch(page, -1)
	if len(rows) < 30 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, r := range rows {
		tests := test.FindAllSubmatch(r[0], -1)
		if len(tests) == 0 {
			t.Errorf("%s has no test", r[1])
		}
		for _, m := range tests {
			files, err := filepath.Glob(filepath.Join("..", string(m[1]), "*_test.go"))
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, file := range files {
				b, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				found = found || strings.Contains(string(b), "\nfunc "+string(m[2])+"(")
			}
			if !found {
				t.Errorf("%s: there is no %s in %s", r[1], m[2], m[1])
			}
		}
	}
}
