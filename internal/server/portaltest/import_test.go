package portaltest

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/minio/minio-go/v7"

	"kuva/internal/server/servertest"
	"kuva/internal/testkit"
	"kuva/internal/testkit/browser"
	"kuva/internal/testkit/diskimage"
	"kuva/internal/testkit/s3server"
)

// sources is a world with places to import from: a bucket with folders, a web
// server, a catalogue.
type sources struct {
	*world
	web string
}

func startSources(t testing.TB) sources {
	t.Helper()
	testkit.Need(t, "chromium")
	tiny := diskimage.Tiny(t).QCOW2
	content, err := os.ReadFile(tiny)
	if err != nil {
		t.Fatal(err)
	}
	s3 := s3server.Start(t)
	for _, key := range []string{"images/debian-12-generic.qcow2", "images/old/disk.qcow2", "notes.txt"} {
		if _, err := s3.Client().FPutObject(t.Context(), s3.Bucket, key, tiny, minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if filepath.Base(r.URL.Path) == "missing.qcow2" {
			http.NotFound(w, r)
			return
		}
		http.ServeFile(w, r, tiny)
	}))
	t.Cleanup(web.Close)
	at, err := url.Parse(web.URL)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	keys := write("keys", fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", s3.Access, s3.Secret))
	catalogue := write("catalogue.yaml", fmt.Sprintf("images:\n  - name: alpine-3.20\n    os: Alpine Linux\n    version: \"3.20\"\n    architecture: x86_64\n"+
		"    url: %s/alpine.qcow2\n    hash: sha256:%x\n    licence: https://www.example.org/licence\n", web.URL, sha256.Sum256(content)))
	p := servertest.Start(t, servertest.Config{Data: filepath.Join(dir, "data"), YAML: fmt.Sprintf(
		"import:\n  ports: [%s]\n  allow_networks: [127.0.0.0/8]\ncatalogue: %s\nbuckets:\n  obs-images:\n    endpoint: %s\n    region: %s\n    bucket: %s\n    credentials: %s\n    path_style: true\n",
		at.Port(), catalogue, s3.Endpoint, s3.Region, s3.Bucket, keys)})
	w := &world{t: t, url: p.URL, admin: p.Login(t, servertest.Admin)}
	w.client, w.user = w.member("blue")
	return sources{w, web.URL}
}

// made waits until the wizard says that the image is ready, and returns it.
func (w sources) made(t *testing.T, p *browser.Page, lang, name string) servertest.Image {
	t.Helper()
	p.Wait("heading", say(lang, "import.done"))
	list, err := w.client.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, img := range list {
		if img.Name == name {
			if img.Status != "active" {
				t.Errorf("%s is %s", name, img.Status)
			}
			return img
		}
	}
	t.Fatalf("no image %s among %+v", name, list)
	return servertest.Image{}
}

// TestImportWizard walks through the wizard in each language: the guide of four
// parts (S2-9), the bucket and the file in it (S2-40, S2-41), system and version
// prefilled with "Other" kept (S2-42), name and description (S2-43), automatic
// configuration shown (S2-44 … S2-48), review and progress (S2-49).
func TestImportWizard(t *testing.T) {
	t.Parallel()
	w := startSources(t)
	others := map[string]string{"en": "Other", "pt-BR": "Outro", "de": "Andere", "fi": "Muu"}
	rule := map[string]string{
		"en": "cloud-init is not installed.", "pt-BR": "O cloud-init não está instalado.", "de": "cloud-init ist nicht installiert.", "fi": "cloud-init ei ole asennettuna.",
	}
	now := map[string]string{"en": "Create now", "pt-BR": "Criar agora", "de": "Jetzt erstellen", "fi": "Luo nyt"}
	for _, lang := range languages {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			p := w.logIn(t, w.user, browser.Look{Lang: lang})
			p.Click("link", say(lang, "nav.import"))
			p.Wait("heading", say(lang, "import.title"))

			// S2-9: what the doctor looks for, with the commands to type.
			p.Click("tab", "2. "+say(lang, "import.part.linux"))
			p.See(say(lang, "import.linux.text"))
			p.Click("DisclosureTriangle", rule[lang]+"*")
			p.See("sudo apt-get install cloud-init")
			p.Click("tab", "3. "+say(lang, "import.part.upload"))
			p.See("kuva inspect disk.qcow2")
			p.Click("tab", "4. "+say(lang, "import.part.create"))
			p.See(say(lang, "import.automatic.does"))

			// S2-40, S2-41: the bucket, then the file in it.
			p.Click("link", say(lang, "import.begin"))
			p.Wait("heading", say(lang, "import.step.source"))
			p.Click("button", say(lang, "import.next"))
			p.See(say(lang, "import.lacks.object"))
			p.Click("button", "images/")
			p.Click("radio", "*debian-12-generic.qcow2*")
			p.Click("button", say(lang, "import.next"))

			// S2-42: told by the file's name; another one is kept.
			p.See(say(lang, "import.os.guessed"))
			if f := p.Field(say(lang, "image.fact.os")); f.Value != "Debian" && f.Value != "debian" {
				t.Errorf("the system is prefilled as %+v", f)
			}
			name := "web-" + lang
			if lang == "pt-BR" {
				p.Choose(say(lang, "image.fact.os"), others[lang])
				p.Type(say(lang, "import.other.os"), "haiku")
			}
			p.Type(say(lang, "image.name"), name)
			p.Type(say(lang, "image.fact.description"), "From the bucket & more")

			// S2-44: shown, with the reason.
			if e := p.Wait("checkbox", say(lang, "import.automatic")); !e.Disabled || e.Description != say(lang, "import.automatic.why") {
				t.Errorf("automatic configuration: %+v", e)
			}
			p.Click("button", say(lang, "import.next"))

			// S2-49: all of it once more, then progress.
			p.Wait("heading", say(lang, "import.step.review"))
			p.See("images/debian-12-generic.qcow2")
			p.See(name)
			p.Click("button", now[lang])
			img := w.made(t, p, lang, name)
			want := map[bool]string{false: "debian", true: "haiku"}[lang == "pt-BR"]
			var shown map[string]any
			a, err := w.client.Do("GET", "/v2/images/"+img.ID, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			decode(t, a.Body, &shown)
			if shown["os_distro"] != want || shown["description"] != "From the bucket & more" || shown["visibility"] != "private" {
				t.Errorf("the image has %v", shown)
			}
			p.Click("link", say(lang, "import.to_image"))
			p.Wait("heading", name)
		})
	}
}

// TestImportElsewhere: from an address and from the catalogue; an import
// that is cancelled leaves no empty image behind when another one is chosen.
func TestImportElsewhere(t *testing.T) {
	t.Parallel()
	w := startSources(t)
	p := w.logIn(t, w.user, browser.Look{Lang: "en"})
	source := func() {
		p.Click("radio", "From a web address*")
	}
	next := func() { p.Click("button", say("en", "import.next")) }

	p.Open(w.url + "/import?step=source")
	source()
	p.Type(say("en", "import.url"), w.web+"/missing.qcow2")
	next()
	p.Type(say("en", "image.name"), "fetched")
	next()
	p.Click("button", say("en", "import.create"))
	p.Click("button", say("en", "import.cancel"))
	p.Wait("heading", say("en", "import.cancelled"))
	p.Click("button", say("en", "images.again"))
	p.Type(say("en", "import.url"), w.web+"/ubuntu-24.04-server.img")
	next()
	p.See("Ubuntu")
	next()
	p.Click("button", say("en", "import.create"))
	w.made(t, p, "en", "fetched")
	if list, err := w.client.List(); err != nil || len(list) != 1 {
		t.Errorf("images: %+v, %v", list, err)
	}

	p.Click("button", say("en", "import.another"))
	p.Click("radio", "From the catalogue*")
	p.Click("radio", "alpine-3.20*")
	next()
	p.See(say("en", "import.entry.system", "os", "Alpine Linux", "version", "3.20"))
	p.Type(say("en", "image.fact.description"), "From the list")
	next()
	p.Click("button", say("en", "import.create"))
	img := w.made(t, p, "en", "alpine-3.20")
	var shown map[string]any
	a, err := w.client.Do("GET", "/v2/images/"+img.ID, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	decode(t, a.Body, &shown)
	if shown["catalogue"] != "alpine-3.20" || shown["description"] != "From the list" {
		t.Errorf("the image has %v", shown)
	}
}
