package message_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kuva/message"
)

// use is one call in the sources that makes a sentence.
type use struct {
	at   token.Position
	key  string   // exact, or
	like string   // a pattern where the key is put together
	args []string // names that are given
	open bool     // args are not all to be seen here
}

// sources are all calls of kuva.E and message.New outside tests, and every
// string constant there is, since a key may be named apart from its call.
func sources(t *testing.T) (uses []use, constants map[string]bool) {
	t.Helper()
	constants = map[string]bool{}
	files := token.NewFileSet()
	err := filepath.WalkDir("..", func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && (e.Name() == "testdata" || file != ".." && strings.HasPrefix(e.Name(), ".")) {
			return filepath.SkipDir
		}
		if e.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		parsed, err := parser.ParseFile(files, file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BasicLit:
				if s, ok := constant(n); ok {
					constants[s] = true
				}
			case *ast.CallExpr:
				if u, ok := sentence(parsed.Name.Name, n); ok {
					u.at = files.Position(n.Pos())
					uses = append(uses, u)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return uses, constants
}

// sentence reads a call of kuva.E(code, key, args…) or message.New(key, args…).
func sentence(pkg string, call *ast.CallExpr) (use, bool) {
	var name string
	switch f := call.Fun.(type) {
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok {
			name = x.Name + "." + f.Sel.Name
		}
	case *ast.Ident:
		name = pkg + "." + f.Name
	}
	at := 0
	switch name {
	case "kuva.E":
		at = 1
	case "message.New":
	default:
		return use{}, false
	}
	if len(call.Args) <= at {
		return use{}, false
	}
	u := use{open: call.Ellipsis.IsValid()}
	for i, arg := range call.Args[at+1:] {
		if i%2 == 0 {
			s, ok := constant(arg)
			u.args, u.open = append(u.args, s), u.open || !ok
		}
	}
	key := call.Args[at]
	if s, ok := constant(key); ok {
		u.key = s
		return u, true
	}
	if u.like = pattern(key); strings.Trim(u.like, ".*") == "" {
		return use{}, false // a key handed on: whoever names it names it by a constant
	}
	return u, true
}

func constant(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}

// pattern is a regular expression for "a"+x+"b".
func pattern(e ast.Expr) string {
	if b, ok := e.(*ast.BinaryExpr); ok && b.Op == token.ADD {
		return pattern(b.X) + pattern(b.Y)
	}
	if s, ok := constant(e); ok {
		return regexp.QuoteMeta(s)
	}
	return ".*"
}

var placeholder = regexp.MustCompile(`\{([a-z_0-9]*)\}`)

// arguments are the names in a sentence, sorted, each once.
func arguments(sentence string) []string {
	var names []string
	for _, m := range placeholder.FindAllStringSubmatch(sentence, -1) {
		names = append(names, m[1])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// TestEnglish: each key that the sources use has a sentence, which takes only
// arguments that are given, and no sentence lies unused.
func TestEnglish(t *testing.T) {
	english := message.Sentences(message.English)
	uses, constants := sources(t)
	if len(uses) < 100 {
		t.Fatalf("only %d uses found: the test looks at the wrong place", len(uses))
	}
	put := map[string]bool{} // keys that are put together
	for _, u := range uses {
		var keys []string
		switch {
		case u.key != "":
			keys = []string{u.key}
		default:
			like := regexp.MustCompile("^" + u.like + "$")
			for key := range english {
				if like.MatchString(key) {
					keys, put[key] = append(keys, key), true
				}
			}
			if len(keys) == 0 {
				t.Errorf("%s: no sentence for %s", u.at, u.like)
			}
		}
		for _, key := range keys {
			text, there := english[key]
			if !there {
				t.Errorf("%s: %q has no sentence in en.json", u.at, key)
				continue
			}
			for _, name := range arguments(text) {
				if !u.open && !slices.Contains(u.args, name) {
					t.Errorf("%s: the sentence %q wants {%s}, which is not given", u.at, key, name)
				}
			}
		}
	}
	for key := range english {
		if !constants[key] && !put[key] {
			t.Errorf("nobody uses %q of en.json", key)
		}
	}
}

// TestLanguages: each language has every sentence, with the same arguments.
func TestLanguages(t *testing.T) {
	english := message.Sentences(message.English)
	for _, lang := range message.Languages[1:] {
		other := message.Sentences(lang)
		if other == nil {
			t.Errorf("%s.json is not there", lang)
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(english)) {
			text, there := other[key]
			if !there {
				t.Errorf("%s.json lacks %q: %s", lang, key, english[key])
				continue
			}
			if want, got := arguments(english[key]), arguments(text); !slices.Equal(want, got) {
				t.Errorf("%s.json, %q: has the arguments %v, English %v", lang, key, got, want)
			}
		}
		for _, key := range slices.Sorted(maps.Keys(other)) {
			if _, there := english[key]; !there {
				t.Errorf("%s.json has %q, which English has not", lang, key)
			}
		}
	}
}

// TestForm: sentences are whole sentences, and none holds a stray brace.
func TestForm(t *testing.T) {
	for _, lang := range message.Languages {
		for key, text := range message.Sentences(lang) {
			if text != strings.TrimSpace(text) || !strings.HasSuffix(text, ".") {
				t.Errorf("%s.json, %q is not a sentence: %q", lang, key, text)
			}
			if rest := placeholder.ReplaceAllString(text, ""); strings.ContainsAny(rest, "{}") {
				t.Errorf("%s.json, %q has a brace of its own: %q", lang, key, text)
			}
		}
	}
}

func TestIn(t *testing.T) {
	text := message.New("image.quota_images", "limit", 7)
	if got := text.In(message.English); got != "The project may have 7 images, and this would be one more. Delete images or ask for a larger quota." {
		t.Errorf("got %q", got)
	}
	if got := text.In("tlh"); got != text.In(message.English) {
		t.Errorf("an unknown language got %q", got)
	}
	if got := message.New("no.such.key").In(message.German); got != "no.such.key" {
		t.Errorf("got %q", got)
	}
}
