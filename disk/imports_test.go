package disk_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestOpensNothing (S-101 to S-104): no package below disk can open a file, a
// connection or a program, since none imports what it would take. Packages of
// tests end in "test".
func TestOpensNothing(t *testing.T) {
	forbidden := []string{"os", "os/exec", "io/ioutil", "net", "net/http", "plugin", "path/filepath", "unsafe"}
	// Seeking in a file that is open already.
	allowed := map[string][]string{"syscall": {"raw/holes_linux.go"}, "golang.org/x/sys/unix": {"raw/holes_linux.go"}}
	files := 0
	err := filepath.WalkDir(".", func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && (e.Name() == "testdata" || strings.HasSuffix(e.Name(), "test")) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		files++
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range parsed.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			may, special := allowed[path]
			if slices.Contains(forbidden, path) || special && !slices.Contains(may, filepath.ToSlash(file)) {
				t.Errorf("%s imports %s", file, path)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 10 {
		t.Errorf("only %d files found", files)
	}
}
