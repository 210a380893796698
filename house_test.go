package kuva_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// house is the import table: floors from the top down, each a list of chains.
// A package may import every floor below its own and, inside its floor, what
// stands to the right of it in a chain that both stand in. An entry stands
// for the packages under it as well, which may import each other.
var house = [][][]string{
	// wiring, and the tools of the repository
	{{"cmd/kuva", "internal/server"}, {"scripts"}},
	// doors: translate, never decide
	{{"internal/portal", "internal/rest"}},
	// use cases: decide, in transactions
	{{"internal/instances", "internal/transfer", "internal/images", "internal/identity", "internal/audit", "internal/policy"}, {"internal/metadef", "internal/audit", "internal/policy"}},
	// keeping
	{{"internal/job", "internal/depot", "internal/catalog", "internal/blob"}},
	// words
	{{"client", "api", "."}},
	// libraries that know nothing of the service
	{{"guest", "disk"}, {"nbd", "disk"}, {"chunk"}, {"message"}},
}

// helper tells whether a package is there for tests only: the suites beside
// the seams and the kit that they share. Helpers may import what they test,
// and only tests and other helpers may import them.
func helper(pkg string) bool {
	return under(pkg, "internal/testkit") || strings.HasSuffix(path.Base(pkg), "test")
}

func under(pkg, entry string) bool {
	return pkg == entry || strings.HasPrefix(pkg, entry+"/")
}

// floorOf finds the floor of a package and the entry that it stands for there.
func floorOf(pkg string) (floor int, entry string, ok bool) {
	for floor, chains := range house {
		for _, entry := range slices.Concat(chains...) {
			if under(pkg, entry) {
				return floor, entry, true
			}
		}
	}
	return 0, "", false
}

// allowed says why one package of the module may not import another, or nil.
func allowed(from, to string) error {
	if helper(from) {
		return nil
	}
	if helper(to) {
		return fmt.Errorf("%s is for tests only", to)
	}
	fromFloor, fromEntry, ok := floorOf(from)
	if !ok {
		return fmt.Errorf("%s has no place in the table of house_test.go", from)
	}
	toFloor, toEntry, ok := floorOf(to)
	if !ok {
		return fmt.Errorf("%s has no place in the table of house_test.go", to)
	}
	if fromFloor < toFloor || fromEntry == toEntry {
		return nil
	}
	if fromFloor > toFloor {
		return fmt.Errorf("imports point down, %s is on a higher floor", to)
	}
	for _, chain := range house[fromFloor] {
		a, b := slices.Index(chain, fromEntry), slices.Index(chain, toEntry)
		if a >= 0 && b >= 0 && a < b {
			return nil
		}
	}
	return fmt.Errorf("inside a floor left may import right, and %s does not stand right of %s", toEntry, fromEntry)
}

// TestHouse holds the imports of every file to the table. Files of tests may
// import what they like.
func TestHouse(t *testing.T) {
	const module = "kuva"
	files := 0
	err := filepath.WalkDir(".", func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := e.Name()
		if e.IsDir() {
			hidden := file != "." && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_"))
			if hidden || name == "testdata" || name == "node_modules" || file == "bin" || file == "data" {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		files++
		pkg := filepath.ToSlash(filepath.Dir(file))
		if _, _, ok := floorOf(pkg); !ok && !helper(pkg) {
			t.Errorf("%s: package %s has no place in the table of house_test.go", file, pkg)
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if !under(imported, module) {
				continue
			}
			to := "."
			if imported != module {
				to = strings.TrimPrefix(imported, module+"/")
			}
			if err := allowed(pkg, to); err != nil {
				t.Errorf("%s imports %s: %v", file, imported, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 10 {
		t.Errorf("only %d files found: the test looks at the wrong place", files)
	}
}

func TestHouseTable(t *testing.T) {
	tests := []struct {
		from, to string
		ok       bool
	}{
		{"cmd/kuva", "internal/server", true},
		{"internal/server", "cmd/kuva", false},
		{"internal/server", "internal/rest/imagev2", true},
		{"internal/rest/imagev2", "internal/images", true},
		{"internal/rest/imagev2", "internal/rest", true},
		{"internal/rest/imagev2", "internal/portal", false},
		{"internal/images", "internal/rest/imagev2", false},
		{"internal/images", "internal/identity", true},
		{"internal/identity", "internal/images", false},
		{"internal/transfer", "internal/audit", true},
		{"internal/depot", "internal/catalog", true},
		{"internal/catalog", "internal/depot", false},
		{"internal/depot", "internal/blob/dir", true},
		{"internal/blob", "internal/blob/dir", true},
		{"internal/depot", "internal/images", false},
		{"internal/depot", ".", true},
		{"api", ".", true},
		{".", "api", false},
		{".", "message", true},
		{"message", ".", false},
		{"client", "internal/depot", false},
		{"guest/ext4", "disk", true},
		{"disk/qcow2", "guest", false},
		{"guest", "nbd", false},
		{"chunk", "disk", false},
		{"internal/images", "internal/testkit/lossyfs", false},
		{"internal/images", "internal/catalog/catalogtest", false},
		{"internal/catalog/catalogtest", "internal/testkit", true},
		{"internal/news", "chunk", false},
		{"internal/images", "internal/news", false},
		{"internal/imagesque", "chunk", false},
	}
	for _, tt := range tests {
		if err := allowed(tt.from, tt.to); (err == nil) != tt.ok {
			t.Errorf("%s imports %s: %v", tt.from, tt.to, err)
		}
	}
}
