package servertest_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"kuva/internal/server/servertest"
)

// TestBadInput sends what is wrong, over the wire, to the running program: each
// gets a clear answer and loses nothing, and at the end nothing is held for it.
func TestBadInput(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	p := servertest.Start(t, servertest.Config{Data: data, YAML: "quota:\n  bytes: 30000000\n"})
	admin := p.Login(t, servertest.Admin)
	blue, green := admin.MustMember(t, "blue"), admin.MustMember(t, "green")
	whole := servertest.Content(1, 3<<20)
	good := blue.MustCreate(t, servertest.Fields{"name": "good"})
	blue.MustUpload(t, good, whole)

	t.Run("token", func(t *testing.T) {
		for name, token := range map[string]string{"none": "", "wrong": "gAAAAA-wrong", "long": strings.Repeat("x", 5000), "hostile": "' OR 1=1 --"} {
			c := *blue
			c.Token = token
			for _, path := range []string{"/v2/images", "/v2/images/" + good, "/v2/images/" + good + "/file", "/kuva/v1/quota", "/identity/v3/projects"} {
				if a, err := c.Do(http.MethodGet, path, nil, nil); err != nil || a.Status != http.StatusUnauthorized {
					t.Errorf("token %s, %s: %v, %v", name, path, a, err)
				}
			}
		}
	})
	t.Run("foreign", func(t *testing.T) { foreignIsUnknown(t, green, good) })
	t.Run("json", func(t *testing.T) { badJSON(t, blue, good) })

	// Uploads that are not what they announce, one after the other into the
	// same image, which stays as it was.
	id := blue.MustCreate(t, servertest.Fields{"name": "victim"})
	queued := func(t *testing.T) {
		t.Helper()
		servertest.Eventually(t, "queued again, with a reason", func() bool {
			img := blue.MustShow(t, id)
			return img.Status == "queued" && img.LastFailure != ""
		})
		if q, err := blue.Quota(); err != nil || q.Use.Reserved != 0 || q.Use.Uploads != 0 || q.Use.Bytes != int64(len(whole)) {
			t.Errorf("the quota counts %+v, %v", q.Use, err)
		}
	}
	t.Run("truncated", func(t *testing.T) {
		conn := put(t, blue, id, "Content-Length: 1000000\r\n", whole[:400_000])
		closeWrite(t, conn)
		queued(t)
		if f := blue.MustShow(t, id).LastFailure; !strings.Contains(f, "400000") {
			t.Errorf("the reason does not say how much arrived: %s", f)
		}
	})
	t.Run("disconnected at 4 GiB", func(t *testing.T) {
		q, err := admin.Do(http.MethodPut, "/kuva/v1/quota?project="+blue.Project, nil, servertest.Fields{"limits": servertest.Fields{"bytes": -1}})
		if err != nil || !q.OK() {
			t.Fatal(q, err)
		}
		conn := put(t, blue, id, "Content-Length: 4294967296\r\n", whole)
		_ = conn.(*net.TCPConn).SetLinger(0) // a reset, as of a machine that died
		waitSaving(t, blue, id)
		_ = conn.Close()
		queued(t)
		q, err = admin.Do(http.MethodPut, "/kuva/v1/quota?project="+blue.Project, nil, servertest.Fields{"limits": servertest.Fields{"bytes": nil}})
		if err != nil || !q.OK() {
			t.Fatal(q, err)
		}
	})
	t.Run("longer than announced", func(t *testing.T) {
		header := http.Header{"Content-Type": {"application/octet-stream"}, "X-Openstack-Image-Size": {"1000"}}
		a, err := blue.Do(http.MethodPut, "/v2/images/"+id+"/file", header, io.MultiReader(bytes.NewReader(whole[:5000])))
		if err != nil || a.Status != http.StatusBadRequest || !bytes.Contains(a.Body, []byte("1000")) {
			t.Errorf("%v, %v", a, err)
		}
		queued(t)
	})
	t.Run("broken chunk", func(t *testing.T) {
		conn := put(t, blue, id, "Transfer-Encoding: chunked\r\n", []byte("5\r\nhello\r\nzz\r\n"))
		if status := answer(t, conn); status/100 != 4 {
			t.Errorf("status %d", status)
		}
		queued(t)
	})
	t.Run("quota in mid-stream", func(t *testing.T) {
		a, err := blue.Do(http.MethodPut, "/v2/images/"+id+"/file", http.Header{"Content-Type": {"application/octet-stream"}},
			io.LimitReader(endless{}, 60_000_000)) // of unknown length
		if err == nil && a.Status != http.StatusRequestEntityTooLarge {
			t.Errorf("%v, %v", a, err) // a broken pipe while sending is as good
		}
		queued(t)
		if f := blue.MustShow(t, id).LastFailure; !strings.Contains(f, "30000000") {
			t.Errorf("the reason does not name the quota: %s", f)
		}
	})
	t.Run("quota announced", func(t *testing.T) {
		conn := put(t, blue, id, "Content-Length: 60000000\r\nExpect: 100-continue\r\n", nil)
		if status := answer(t, conn); status != http.StatusRequestEntityTooLarge {
			t.Errorf("status %d", status)
		}
	})
	t.Run("slow header", func(t *testing.T) {
		conn := dial(t, blue)
		began := time.Now()
		_, _ = io.WriteString(conn, "GET /v2/images HTTP/1.1\r\nHost: kuva\r\nX-Slow: ")
		_ = conn.SetReadDeadline(began.Add(20 * time.Second))
		for time.Since(began) < 20*time.Second {
			if _, err := io.WriteString(conn, "x"); err != nil {
				break
			}
			time.Sleep(200 * time.Millisecond)
		}
		if took := time.Since(began); took < 5*time.Second || took > 15*time.Second {
			t.Errorf("a header that never ends was listened to for %v", took)
		}
	})

	// After all that the image can be filled, and nothing else is there.
	blue.MustUpload(t, id, whole)
	blue.MustDownload(t, id, whole)
	blue.MustDownload(t, good, whole)
	q, err := blue.Quota()
	if err != nil || q.Use.Bytes != int64(2*len(whole)) || q.Use.Images != 2 || q.Use.Reserved != 0 {
		t.Errorf("the quota counts %+v, %v", q.Use, err)
	}
	if n, files, err := servertest.Size(filepath.Join(data, "store", "tmp"), nil); err != nil || files != 0 {
		t.Errorf("%d files of %d bytes are still being written, %v", files, n, err)
	}
	if strings.Contains(p.Log(), "panic") {
		t.Error("the log tells of a panic")
	}
	p.MustStop(t)
}

var (
	requestID = regexp.MustCompile(`req-[0-9a-f-]{36}`)
	anyUUID   = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
)

// foreignIsUnknown: whatever is asked of another project's image is answered
// as for one that does not exist, byte for byte.
func foreignIsUnknown(t *testing.T, c *servertest.Client, foreign string) {
	unknown := uuid.NewString()
	patch := `[{"op":"replace","path":"/name","value":"mine"}]`
	for _, call := range []struct{ method, path, kind, body string }{
		{"GET", "/v2/images/%s", "", ""},
		{"GET", "/v2/images/%s/file", "", ""},
		{"GET", "/v2/images/%s/members", "", ""},
		{"DELETE", "/v2/images/%s", "", ""},
		{"PATCH", "/v2/images/%s", "application/openstack-images-v2.1-json-patch", patch},
		{"PUT", "/v2/images/%s/file", "application/octet-stream", "bytes"},
		{"PUT", "/v2/images/%s/tags/mine", "", ""},
		{"DELETE", "/v2/images/%s/tags/mine", "", ""},
		{"POST", "/v2/images/%s/members", "application/json", `{"member":"x"}`},
		{"POST", "/v2/images/%s/actions/deactivate", "", ""},
		{"GET", "/kuva/v1/images/%s", "", ""},
		{"GET", "/kuva/v1/images/%s/activity", "", ""},
	} {
		var got [2]string
		for i, id := range []string{foreign, unknown} {
			header := http.Header{}
			if call.kind != "" {
				header.Set("Content-Type", call.kind)
			}
			var body any
			if call.body != "" {
				body = strings.NewReader(call.body)
			}
			a, err := c.Do(call.method, fmt.Sprintf(call.path, id), header, body)
			if err != nil {
				t.Fatal(err)
			}
			if a.Status != http.StatusNotFound {
				t.Errorf("%s %s: %v", call.method, call.path, a)
			}
			a.Header.Del("Date")
			text := requestID.ReplaceAllString(fmt.Sprint(a.Status, a.Header, string(a.Body)), "REQUEST")
			got[i] = anyUUID.ReplaceAllString(text, "ID")
		}
		if got[0] != got[1] {
			t.Errorf("%s %s tells a foreign image from an unknown one:\n%s\n%s", call.method, call.path, got[0], got[1])
		}
	}
}

func badJSON(t *testing.T, c *servertest.Client, id string) {
	before := c.MustShow(t, id)
	patchKind := "application/openstack-images-v2.1-json-patch"
	for _, call := range []struct{ method, path, kind, body string }{
		{"POST", "/v2/images", "application/json", `{"name":`},
		{"POST", "/v2/images", "application/json", `[1,2`},
		{"POST", "/v2/images", "application/json", `"x"`},
		{"POST", "/v2/images", "application/json", strings.Repeat("[", 20_000)},
		{"POST", "/v2/images", "application/json", `{"name":7}`},
		{"POST", "/v2/images", "application/json", "{\"name\":\"a\\u0000b\"}"},
		{"POST", "/v2/images", "application/json", `{"id":"../../etc/passwd"}`},
		{"PATCH", "/v2/images/" + id, patchKind, `{`},
		{"PATCH", "/v2/images/" + id, patchKind, `{"op":"replace"}`},
		{"PATCH", "/v2/images/" + id, patchKind, `[{"op":"explode","path":"/name","value":"x"}]`},
		{"PATCH", "/v2/images/" + id, patchKind, `[{"op":"replace","path":"name","value":"x"}]`},
		{"PATCH", "/v2/images/" + id, patchKind, `[{"op":"replace","path":"/name","value":"half"},{"op":"replace","path":"/status","value":"active"}]`},
		{"PATCH", "/v2/images/" + id, "text/plain", `[]`},
		{"PATCH", "/v2/images/" + id, patchKind, "\x00\xff\xfe"},
	} {
		a, err := c.Do(call.method, call.path, http.Header{"Content-Type": {call.kind}}, strings.NewReader(call.body))
		if err != nil || a.Status/100 != 4 || len(bytes.TrimSpace(a.Body)) == 0 {
			t.Errorf("%s %.60s: %v, %v", call.method, call.body, a, err)
		}
	}
	if after := c.MustShow(t, id); after.Name != before.Name || after.UpdatedAt != before.UpdatedAt {
		t.Errorf("a change that was refused has changed %+v to %+v", before, after)
	}
	for _, unknown := range []string{uuid.NewString(), "nonsense", "%00", "%2e%2e%2f", strings.Repeat("a", 3000)} {
		a, err := c.Do(http.MethodGet, "/v2/images/"+unknown, nil, nil)
		if err != nil || a.Status/100 != 4 {
			t.Errorf("image %.20s: %v, %v", unknown, a, err)
		}
	}
}

// endless is bytes without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func dial(t *testing.T, c *servertest.Client) net.Conn {
	t.Helper()
	u, err := url.Parse(c.URL)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// put writes the head of an upload and some bytes of its body by hand.
func put(t *testing.T, c *servertest.Client, id, length string, body []byte) net.Conn {
	t.Helper()
	conn := dial(t, c)
	_, err := fmt.Fprintf(conn, "PUT /v2/images/%s/file HTTP/1.1\r\nHost: kuva\r\nX-Auth-Token: %s\r\nContent-Type: application/octet-stream\r\n%s\r\n", id, c.Token, length)
	if err == nil {
		_, err = conn.Write(body)
	}
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func closeWrite(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
}

// answer reads the status of the one answer.
func answer(t *testing.T, conn net.Conn) int {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}
