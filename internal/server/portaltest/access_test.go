package portaltest

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"kuva/internal/server/servertest"
	"kuva/internal/testkit"
	"kuva/internal/testkit/browser"
)

// TestAccess: a program gets in with the files and the commands of the page,
// until its credential is deleted.
func TestAccess(t *testing.T) {
	t.Parallel()
	testkit.Need(t, "curl")
	w := start(t)
	w.client.MustCreate(t, servertest.Fields{"name": "Seen-by-programs", "visibility": "private"})
	p := w.logIn(t, w.user, browser.Look{Lang: "fi"})
	dir := t.TempDir()

	p.In("navigation", say("fi", "nav")).Click("link", say("fi", "access.title"))
	p.Wait("heading", say("fi", "access.title"))
	p.See(w.client.Project)
	p.See(say("fi", "access.none"))
	curl := browser.Eval[string](p, "[...document.querySelectorAll('pre')].at(-1).textContent")

	// The files that the page makes are taken where it makes them.
	_ = browser.Eval[any](p, "(window.made = [], ((f) => URL.createObjectURL = (b) => (made.push(b), f(b)))(URL.createObjectURL.bind(URL)), 0)")
	p.Click("button", say("fi", "access.create"))
	d := p.In("dialog", say("fi", "access.create"))
	d.Click("button", say("fi", "access.create.action"))
	d.See(say("fi", "access.name.missing"))
	d.Type(say("fi", "image.name"), "nightly")
	d.Click("button", say("fi", "access.create.action"))
	d = p.In("dialog", "nightly")
	d.See(say("fi", "access.once"))
	d.Click("button", "clouds.yaml")
	d.Click("button", "openrc")
	clouds, openrc := browser.Eval[string](p, "made[0].text()"), browser.Eval[string](p, "made[1].text()")
	for name, text := range map[string]string{"clouds.yaml": clouds, "openrc": openrc} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d.Click("button", say("fi", "access.kept"))
	p.WaitGone("dialog", "*")
	secret := regexp.MustCompile(`application_credential_secret: "([^"]{20,})"`).FindStringSubmatch(clouds)
	if secret == nil || browser.Eval[bool](p, "document.documentElement.innerHTML.includes('"+secret[1]+"')") {
		t.Errorf("the secret is still in the page, or was not in the file: %q", clouds)
	}

	run := func(command string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "bash", "-c", command)
		cmd.Dir = dir
		cmd.Env = []string{"PATH=" + filepath.Dir(servertest.Binary(t)) + ":" + os.Getenv("PATH"), "HOME=" + dir}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	byCurl := "export OS_PASSWORD=of-another-cloud\n" + curl // openrc puts it away
	byKuva := "export OS_CLIENT_CONFIG_FILE=$PWD/clouds.yaml OS_CLOUD=kuva; kuva image list"
	for _, command := range []string{byCurl, byKuva} {
		if out, err := run(command); err != nil || !strings.Contains(out, "Seen-by-programs") {
			t.Errorf("%s\n%v: %s", command, err, out)
		}
	}

	p.Click("button", say("fi", "access.delete", "name", "nightly"))
	p.In("dialog", "*").Click("button", say("fi", "image.delete"))
	p.See(say("fi", "access.none"))
	for _, command := range []string{byCurl, byKuva} {
		if out, err := run(command); err == nil || strings.Contains(out, "Seen-by-programs") {
			t.Errorf("after the credential was deleted %s\nanswers %s", command, out)
		}
	}
}
