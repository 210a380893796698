// Package portaltest uses the portal as people do: in a browser, on the real
// program, by the words that are to be seen, in four languages.
//
// Words of the documents stand in the tests as the documents have them; all
// others are looked up in the portal's catalogues by say.
package portaltest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"kuva/internal/server/servertest"
	"kuva/internal/testkit"
	"kuva/internal/testkit/browser"
)

func TestMain(m *testing.M) { os.Exit(browser.Main(m)) }

// languages that the portal speaks.
var languages = []string{"en", "pt-BR", "de", "fi"}

// world is a running program with a project.
type world struct {
	t      testing.TB
	url    string
	admin  *servertest.Client
	client *servertest.Client // of a member of the project blue
	user   servertest.User
}

// start starts the program. One of them serves all languages of a test.
func start(t testing.TB) *world {
	t.Helper()
	testkit.Need(t, "chromium")
	p := servertest.Start(t, servertest.Config{Data: filepath.Join(t.TempDir(), "data")})
	w := &world{t: t, url: p.URL, admin: p.Login(t, servertest.Admin)}
	w.client, w.user = w.member("blue")
	return w
}

// member makes a project with a member.
func (w *world) member(project string) (*servertest.Client, servertest.User) {
	w.t.Helper()
	return w.admin.MustMember(w.t, project), servertest.User{Name: project + "-user", Password: "p-" + project + "-secret", Project: project}
}

// logIn opens the portal and logs a user in through its page.
func (w *world) logIn(t testing.TB, who servertest.User, look browser.Look) *browser.Page {
	t.Helper()
	p := browser.Shared(t).Page(t, look)
	p.Open(w.url + "/")
	logIn(p, who, look.Lang)
	return p
}

func logIn(p *browser.Page, who servertest.User, lang string) {
	p.Type(say(lang, "login.user"), who.Name)
	p.Type(say(lang, "login.password"), who.Password)
	p.Click("button", say(lang, "login.action"))
	p.Wait("navigation", say(lang, "nav"))
}

var catalogues = sync.OnceValue(func() map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, lang := range languages {
		b, err := os.ReadFile(filepath.Join("..", "..", "portal", "web", "src", "text", lang+".json"))
		if err != nil {
			panic(err)
		}
		texts := map[string]string{}
		if err := json.Unmarshal(b, &texts); err != nil {
			panic(err)
		}
		all[lang] = texts
	}
	return all
})

// say is the portal's text of a key in a language, with parameters given as
// name and value one after the other. The language pseudo is German with
// longer words.
func say(lang, key string, params ...string) string {
	pseudo := lang == "pseudo"
	if pseudo {
		lang = "de"
	}
	if lang == "" {
		lang = "en"
	}
	text, ok := catalogues()[lang][key]
	if !ok {
		panic("there is no text " + key + " in " + lang)
	}
	if pseudo {
		text = lengthen(text)
	}
	for i := 0; i+1 < len(params); i += 2 {
		text = strings.ReplaceAll(text, "{"+params[i]+"}", params[i+1])
	}
	return text
}

var word = regexp.MustCompile(`\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}|\p{L}+`)

// lengthen is what the portal does to its texts where the address has
// ?pseudo: 40 % more letters in each word outside {braces}.
func lengthen(text string) string {
	return word.ReplaceAllStringFunc(text, func(part string) string {
		if part[0] == '{' {
			return part
		}
		n := utf8.RuneCountInString(part)
		return part + string([]rune(strings.Repeat("ëoñaü", 9))[:(2*n+4)/5])
	})
}
