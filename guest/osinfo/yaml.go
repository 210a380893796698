package osinfo

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a YAML file: its length in bytes, how deep it goes, and how many
// aliases it may have, each of which repeats what it stands for.
const (
	maxYAML    = 1 << 20
	maxDepth   = 100
	maxAliases = 20
)

// yamlOf reads a YAML file into maps, lists and values.
func yamlOf(b []byte) (any, error) {
	if len(b) > maxYAML {
		return nil, fmt.Errorf("%d bytes of YAML are too many", len(b))
	}
	aliases, depth, deepest := 0, 0, 0
	for _, t := range lexer.Tokenize(string(b)) {
		switch t.Type {
		case token.AliasType, token.MergeKeyType:
			aliases++
		case token.MappingStartType, token.SequenceStartType:
			depth++
		case token.MappingEndType, token.SequenceEndType:
			depth--
		}
		deepest = max(deepest, depth, t.Position.IndentNum)
	}
	if aliases > maxAliases || deepest > maxDepth {
		return nil, errors.New("YAML with too many aliases, or too deep")
	}
	var doc any
	if err := yaml.Unmarshal(b, &doc); err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		return nil, errors.New(first)
	}
	return doc, nil
}

func pathError(file string, err error) error {
	return &fs.PathError{Op: "parse", Path: file, Err: err}
}

// at goes down a document by keys, nil where there is none.
func at(v any, keys ...string) any {
	for _, k := range keys {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[k]
	}
	return v
}

func mapping(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

// text is a value as people would write it; a list is joined by blanks.
func text(v any) string {
	switch v := v.(type) {
	case nil, map[string]any:
		return ""
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = text(v[i])
		}
		return cut(strings.Join(parts, " "))
	}
	return cut(fmt.Sprint(v))
}

func yes(v any) bool {
	switch strings.ToLower(text(v)) {
	case "true", "yes", "on":
		return true
	}
	return false
}
