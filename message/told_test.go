package message_test

import (
	"strings"
	"testing"

	"kuva/message"
)

// TestTold: every English sentence is recognised with whatever was filled in,
// and told as the language tells it.
func TestTold(t *testing.T) {
	english := message.Sentences(message.English)
	for _, lang := range message.Languages {
		for key, s := range english {
			text := message.New(key)
			for _, name := range []string{"name", "url", "reason", "limit", "project", "format", "list", "id", "image"} {
				text.Args = append(text.Args, name, "<"+name+"-17>")
			}
			for rest := s; strings.Contains(rest, "{"); {
				_, rest, _ = strings.Cut(rest, "{")
				name, _, _ := strings.Cut(rest, "}")
				text.Args = append(text.Args, name, "<"+name+"-17>")
			}
			if got, want := message.Told(text.In(message.English), lang), text.In(lang); got != want && english[key] != "" && !twin(english, key) {
				t.Errorf("%s, %s: got %q, want %q", lang, key, got, want)
			}
		}
	}
	for _, s := range []string{"", "x", "No sentence of ours {name}.", strings.Repeat("x", 1<<20), "\x00\xff"} {
		if got := message.Told(s, message.German); got != s {
			t.Errorf("%.40q became %.40q", s, got)
		}
	}
}

// twin says whether another sentence reads the same in English.
func twin(all map[string]string, key string) bool {
	for k, s := range all {
		if k != key && s == all[key] {
			return true
		}
	}
	return false
}

func FuzzTold(f *testing.F) {
	f.Add("The content is not qcow2: it has no magic.")
	f.Add("{name}")
	f.Fuzz(func(t *testing.T, s string) {
		if message.Told(s, message.English) != s {
			t.Error("English changed")
		}
		message.Told(s, message.Finnish)
	})
}
