package message

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Told gives a sentence that was kept in English in another language: it looks
// for the English sentence that it was made of, and fills that one's arguments
// into the translation. What was made of none comes back as it is. So records
// hold one sentence, which logs and programs can read, and people are told
// theirs, also of what failed before a translation was there.
func Told(sentence string, lang Language) string {
	if lang == English || sentence == "" || len(sentence) > maxTold {
		return sentence
	}
	if key, ok := plain()[sentence]; ok {
		return New(key).In(lang)
	}
	for _, p := range patterns() {
		if !strings.HasPrefix(sentence, p.begin) || !strings.HasSuffix(sentence, p.end) {
			continue
		}
		found := p.form.FindStringSubmatch(sentence)
		if found == nil {
			continue
		}
		text := New(p.key)
		for i, name := range p.form.SubexpNames() {
			if name != "" {
				text.Args = append(text.Args, name, found[i])
			}
		}
		return text.In(lang)
	}
	return sentence
}

// maxTold bounds what Told looks at, in bytes: arguments may be anything.
const maxTold = 4 << 10

// plain are the English sentences without arguments, with their keys.
var plain = sync.OnceValue(func() map[string]string {
	out := map[string]string{}
	for key, s := range load()[English] {
		if !strings.Contains(s, "{") {
			out[s] = key
		}
	}
	return out
})

// pattern recognises what was made of one English sentence.
type pattern struct {
	key        string
	begin, end string // before the first argument, after the last
	fixed      int    // letters that are not arguments
	form       *regexp.Regexp
}

var argument = regexp.MustCompile(`\{(\w+)\}`)

// patterns are those with arguments, the most telling first.
var patterns = sync.OnceValue(func() []pattern {
	var out []pattern
	for key, s := range load()[English] {
		at := argument.FindAllStringSubmatchIndex(s, -1)
		if at == nil {
			continue
		}
		p := pattern{key: key, begin: s[:at[0][0]], end: s[at[len(at)-1][1]:]}
		var form strings.Builder
		form.WriteString(`(?s)\A`)
		last, seen := 0, map[string]bool{}
		for _, m := range at {
			form.WriteString(regexp.QuoteMeta(s[last:m[0]]))
			p.fixed += m[0] - last
			last = m[1]
			if name := s[m[2]:m[3]]; seen[name] { // the same again, which cannot be asked for
				form.WriteString(`.*?`)
			} else {
				seen[name] = true
				form.WriteString(`(?P<` + name + `>.*?)`)
			}
		}
		p.fixed += len(s) - last
		form.WriteString(regexp.QuoteMeta(s[last:]) + `\z`)
		p.form = regexp.MustCompile(form.String())
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b pattern) int {
		if a.fixed != b.fixed {
			return b.fixed - a.fixed
		}
		return strings.Compare(a.key, b.key)
	})
	return out
})
