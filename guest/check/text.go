package check

import (
	"embed"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
)

// Words are what people read about a finding, in one language.
type Words struct {
	Title       string `json:"title"`       // what was found
	Consequence string `json:"consequence"` // what it leads to
	// Mend is how to mend it by hand, by guide; "" is the usual way. Several
	// lines; commands stand on lines that begin with four blanks.
	Mend map[string]string `json:"mend"`
}

// Languages that findings are told in, as BCP 47 tags.
var Languages = []string{"en", "pt-BR", "de", "fi"}

//go:embed text/*.json
var textFiles embed.FS

// texts are the words by check and language: one file a check, so that its
// four languages stay together.
var texts = sync.OnceValue(func() map[string]map[string]Words {
	all := map[string]map[string]Words{}
	entries, err := textFiles.ReadDir("text")
	if err != nil {
		panic(err) // it is in the binary
	}
	for _, e := range entries {
		b, err := textFiles.ReadFile("text/" + e.Name())
		if err != nil {
			panic(err)
		}
		m := map[string]Words{}
		if err := json.Unmarshal(b, &m); err != nil {
			panic(fmt.Sprintf("text/%s: %v", e.Name(), err))
		}
		all[strings.TrimSuffix(e.Name(), ".json")] = m
	}
	return all
})

// Told is a finding in words.
type Told struct {
	Title       string `json:"title"`
	Consequence string `json:"consequence"`
	Mend        string `json:"mend"`
}

// In tells a finding in a language, in English where it is unknown.
func (f *Finding) In(lang string) Told {
	words, ok := texts()[f.ID][lang]
	if !ok {
		words = texts()[f.ID]["en"]
	}
	mend, ok := words.Mend[f.Guide]
	if !ok {
		mend = words.Mend[""]
	}
	return Told{f.fill(words.Title), f.fill(words.Consequence), f.fill(mend)}
}

func (f *Finding) fill(text string) string {
	if !strings.Contains(text, "{") {
		return text
	}
	var pairs []string
	for name, value := range f.Args {
		pairs = append(pairs, "{"+name+"}", value)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}
