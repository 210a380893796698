package portaltest

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kuva/internal/server/servertest"
	"kuva/internal/testkit"
	"kuva/internal/testkit/browser"
)

// payloads would each run a program where a text is taken for markup, an
// attribute, an address or a template.
var payloads = []string{
	`<img src=x onerror=pwned(1)>`,
	`"><script>pwned(2)</script>`,
	`' onmouseover='pwned(3)' x='`,
	`javascript:pwned(4)`,
	`{{constructor.constructor('pwned(5)')()}} ${pwned(5)}`,
	`<svg/onload=pwned(6)>`,
}

// hostileDisk makes a file system whose every name and text is a payload.
func hostileDisk(t testing.TB) []byte {
	t.Helper()
	testkit.Need(t, "mke2fs")
	root := filepath.Join(t.TempDir(), "root")
	for path, text := range map[string]string{
		"etc/os-release":         "ID=debian\nVERSION_ID='" + strings.ReplaceAll(payloads[0], "'", "") + "'\nPRETTY_NAME=\"Debian <img src=x onerror=pwned(11)>\"\n",
		"etc/hostname":           payloads[5] + "\n",
		"etc/machine-id":         "0123456789abcdef0123456789abcdef\n",
		"etc/passwd":             "root:x:0:0::/root:/bin/sh\n" + payloads[5] + ":x:1000:1000::/home/x:/bin/sh\n",
		"etc/shadow":             "root:$6$salt$abcdefghijklmnop:1::::::\n",
		"etc/fstab":              "/dev/<svg/onload=pwned(12)> / ext4 defaults 0 0\n",
		"etc/network/interfaces": "auto " + payloads[5] + "\niface " + payloads[5] + " inet static\n address 10.0.0.1\n",
		"etc/cloud/cloud.cfg":    "datasource_list: ['<svg/onload=pwned(13)>']\nbootcmd:\n  - \"echo <img src=x onerror=pwned(14)>\"\n",
		"var/lib/dpkg/status":    "Package: <svg/onload=pwned(15)>\nStatus: install ok installed\nVersion: <img src=x onerror=pwned(16)>\nArchitecture: amd64\n\nPackage: cloud-init\nStatus: install ok installed\nVersion: 22.4\nArchitecture: all\n",
		"root/.ssh/<img src=x onerror=pwned(17)>":  "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
		"root/.bash_history":                       "mysql -pS3cret <script>pwned(18)</script>\n",
		"etc/sysconfig/<svg onload=pwned(19)>.cfg": "x\n",
	} {
		file := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	disk := filepath.Join(t.TempDir(), "hostile.img")
	out, err := exec.Command(testkit.Program("mke2fs"), "-q", "-t", "ext4", "-d", root, "-L", "<b onload=x>", disk, "8m").CombinedOutput()
	if err != nil {
		t.Fatalf("mke2fs: %v\n%s", err, out)
	}
	content, err := os.ReadFile(disk)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// TestHostileTexts is S-241: whatever people and images say is shown as what
// it is, in lists, on the image's page, in dialogs and messages. The browser
// fails the test where a text runs or a policy is broken.
func TestHostileTexts(t *testing.T) {
	t.Parallel()
	w := start(t)
	content := hostileDisk(t)
	var ids []string
	for i, payload := range payloads {
		f := servertest.Fields{
			"name": payload, "tags": []string{payload}, "description": payload, "os_distro": payload, "hw_disk_bus": "virtio",
			"visibility": []string{"private", "community", "shared"}[i%3],
		}
		f["x"+payload] = payload
		id := w.client.MustCreate(t, f)
		ids = append(ids, id)
		if i == 0 {
			w.client.MustUpload(t, id, content)
		}
		if f["visibility"] == "shared" {
			call(t, w.client, "POST", "/v2/images/"+id+"/members", servertest.Fields{"member": payload})
		}
	}
	servertest.Eventually(t, "the report", func() bool {
		a, err := w.client.Do("GET", "/kuva/v1/images/"+ids[0]+"/report", nil, nil)
		return err == nil && a.OK()
	})

	p := w.logIn(t, w.user, browser.Look{Lang: "pt-BR"})
	for _, list := range []string{"private", "community", "shared"} {
		p.Open(w.url + "/images/" + list)
		if list == "private" {
			for _, payload := range payloads {
				p.See(payload)
			}
		}
	}
	p.Open(w.url + "/images/private?q=" + "%3Cimg%20src%3Dx%20onerror%3Dpwned(20)%3E")
	p.Wait("main", "*")
	for i, id := range ids {
		p.Open(w.url + "/images/" + id)
		p.Wait("heading", strings.Join(strings.Fields(payloads[i]), " "))
		p.See(payloads[i])
	}
	for _, part := range []string{"report", "disk", "packages", "downloads", "sharing", "activity"} {
		p.Open(w.url + "/images/" + ids[0] + "?tab=" + part)
		p.Wait("heading", payloads[0])
		switch part {
		case "report":
			p.See("onload=pwned(6)")
			_ = browser.Eval[any](p, "document.querySelectorAll('details').forEach(d => { d.open = true })")
			p.See("<img src=x onerror=pwned(17)>")
		case "packages":
			p.See("<svg/onload=pwned(15)>")
			p.See("<img src=x onerror=pwned(16)>")
		case "disk":
			p.See("<b onload=x>")
		}
	}
	p.Open(w.url + "/images/" + ids[2] + "?tab=sharing")
	p.See(payloads[2])

	// Messages repeat what people typed.
	p.Open(w.url + "/images/" + ids[0])
	p.Click("button", say("pt-BR", "image.share"))
	d := p.In("dialog", say("pt-BR", "image.share"))
	d.Type(say("pt-BR", "image.share.project"), payloads[1])
	d.Click("button", say("pt-BR", "image.share"))
	p.See(say("pt-BR", "image.shared.done", "project", payloads[1]))
	menu(p, "pt-BR", "image.delete")
	p.In("dialog", "*onerror*").Click("button", say("pt-BR", "image.delete"))
	p.See(say("pt-BR", "image.deleted", "name", payloads[0]))
}

// TestOtherSites is S-242: a page of another origin cannot use the session of
// who is logged in, and none can show the portal in a frame.
func TestOtherSites(t *testing.T) {
	t.Parallel()
	w := start(t)
	evil := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		_, _ = rw.Write([]byte(`<!doctype html><title>other</title><p>Other</p><iframe src="` + w.url + `/images"></iframe>`))
	}))
	t.Cleanup(evil.Close)
	p := w.logIn(t, w.user, browser.Look{})
	p.Open(evil.URL) // another port of the same host: the same site, not the same origin
	p.Allow("frame-ancestors|Refused to (frame|display)|Framing|CORS policy|ERR_FAILED|ERR_BLOCKED|favicon|status of 40")
	for _, attack := range []string{
		`fetch(URL + '/portal/session/token', {method: 'POST', credentials: 'include', headers: {'Content-Type': 'application/json'}, body: '{}'})`,
		`fetch(URL + '/portal/session/token', {method: 'POST', credentials: 'include', mode: 'no-cors', body: '{}'})`,
		`fetch(URL + '/portal/session', {method: 'DELETE', credentials: 'include', mode: 'cors'})`,
		`fetch(URL + '/image/v2/images', {credentials: 'include'})`,
		`fetch(URL + '/kuva/v1/jobs', {credentials: 'include'})`,
	} {
		js := strings.ReplaceAll(attack, "URL", "'"+w.url+"'")
		if got := browser.Eval[string](p, js+`.then(r => r.text()).then(t => t ? 'read ' + t : 'nothing', e => 'refused')`); strings.HasPrefix(got, "read") {
			t.Errorf("%s: %s", attack, got)
		}
	}
	if text := browser.Eval[string](p, `(() => { try { return document.querySelector('iframe').contentDocument.body.innerText } catch { return '' } })()`); text != "" {
		t.Errorf("a frame shows %q", text)
	}
	p.Open(w.url + "/images/private")
	p.Wait("navigation", say("en", "nav")) // still logged in
}

// TestLogInStaysHere is S-243: no address leads away from the portal, before
// or after the log-in.
func TestLogInStaysHere(t *testing.T) {
	t.Parallel()
	w := start(t)
	for _, path := range []string{"//example.com/", "/?next=https://example.com", "/images//example.com", "/%2f%2fexample.com", "/login?return=//example.com"} {
		p := browser.Shared(t).Page(t, browser.Look{})
		p.Open(w.url + path)
		if browser.Eval[bool](p, "!!document.getElementById('app')") { // else it is no page of ours
			logIn(p, w.user, "en")
		}
		if !strings.HasPrefix(p.URL(), w.url) {
			t.Errorf("%s leads to %s", path, p.URL())
		}
	}
}

// TestContentIsNoPage is S-244: an image that holds a page is never one, by
// whatever address it is fetched.
func TestContentIsNoPage(t *testing.T) {
	t.Parallel()
	w := start(t)
	id := w.client.MustCreate(t, servertest.Fields{"name": "index.html"})
	w.client.MustUpload(t, id, append([]byte("<!doctype html><script>pwned('content')</script>"), make([]byte, 1<<20)...))
	var link struct{ URL string }
	a, err := w.client.Do("POST", "/kuva/v1/links", nil, servertest.Fields{"image": id, "read": true})
	if err != nil || !a.OK() {
		t.Fatal(a, err)
	}
	decode(t, a.Body, &link)
	p := w.logIn(t, w.user, browser.Look{})
	p.Allow("ERR_ABORTED")
	for _, address := range []string{link.URL, w.url + "/image/v2/images/" + id + "/file", w.url + "/kuva/v1/images/" + id + "/file"} {
		header := http.Header{"Accept": {"text/html"}}
		res, err := w.client.Send("GET", strings.TrimPrefix(address, w.url), header, nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		h := res.Header
		if res.StatusCode != http.StatusOK || !strings.HasPrefix(h.Get("Content-Disposition"), "attachment") || h.Get("X-Content-Type-Options") != "nosniff" || strings.Contains(h.Get("Content-Type"), "html") {
			t.Errorf("%s: %d %v", address, res.StatusCode, h)
		}
	}
	// The browser takes it for a download and stays where it is.
	before := p.URL()
	_ = browser.Eval[any](p, "(location.href = '"+link.URL+"', new Promise(done => setTimeout(done, 500)))")
	if p.URL() != before {
		t.Errorf("the browser shows %s", p.URL())
	}
}
