// Package message holds every sentence that people read, in files, one a
// language. A sentence has a key ("image.not_found") and arguments that are
// filled in by name: "{name}".
package message

import (
	"embed"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
)

// Language is a BCP 47 tag of one of the languages that kuva speaks.
type Language string

// The languages of kuva. English is complete by test; the others fall back
// to it for a sentence that they lack.
const (
	English    Language = "en"
	Portuguese Language = "pt-BR"
	German     Language = "de"
	Finnish    Language = "fi"
)

// Languages lists the languages of kuva.
var Languages = []Language{English, Portuguese, German, Finnish}

//go:embed *.json
var files embed.FS

var load = sync.OnceValue(func() map[Language]map[string]string {
	all := map[Language]map[string]string{}
	for _, lang := range Languages {
		b, err := files.ReadFile(string(lang) + ".json")
		if err != nil {
			continue // not written yet; the test of this package lists what exists
		}
		m := map[string]string{}
		if err := json.Unmarshal(b, &m); err != nil {
			panic(fmt.Sprintf("message file %s.json: %v", lang, err))
		}
		all[lang] = m
	}
	return all
})

// Sentences returns the raw sentences of a language by key, nil where there
// is no file. The map must not be changed.
func Sentences(lang Language) map[string]string { return load()[lang] }

// Text is one sentence, not yet in any language.
type Text struct {
	Key  string
	Args []any // name, value, name, value
}

// New makes a Text. Args come as name, value, name, value.
func New(key string, args ...any) Text { return Text{Key: key, Args: args} }

// In returns the sentence in the language, in English where the language
// lacks it, and the key itself where English lacks it too.
func (t Text) In(lang Language) string {
	s, ok := load()[lang][t.Key]
	if !ok {
		if s, ok = load()[English][t.Key]; !ok {
			return t.Key
		}
	}
	if !strings.Contains(s, "{") {
		return s
	}
	pairs := make([]string, 0, len(t.Args))
	for i := 0; i+1 < len(t.Args); i += 2 {
		pairs = append(pairs, fmt.Sprintf("{%v}", t.Args[i]), fmt.Sprint(t.Args[i+1]))
	}
	return strings.NewReplacer(pairs...).Replace(s)
}
