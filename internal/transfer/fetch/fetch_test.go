package fetch

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kuva"
)

// here is a configuration that reaches a server of the test, quick in all its
// limits.
func here(t *testing.T, server string, change ...func(*Config)) *Fetcher {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	port, err := portOf(u)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Ports: []uint16{port}, AllowNetworks: prefixes("127.0.0.0/8"), Connect: 2 * time.Second, Header: 500 * time.Millisecond,
		Idle: 200 * time.Millisecond, Window: time.Second, Failure: time.Millisecond,
	}
	for _, c := range change {
		c(&cfg)
	}
	return New(cfg)
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

func read(t *testing.T, f *Fetcher, address string, opt Options) ([]byte, error) {
	t.Helper()
	r, info, err := f.Open(t.Context(), address, opt)
	if err != nil {
		return nil, err
	}
	defer r.Close() //nolint:errcheck // it was only read
	b, err := io.ReadAll(r)
	if err == nil && info.Size >= 0 && info.Size != int64(len(b)) {
		t.Errorf("%d bytes came of %d", len(b), info.Size)
	}
	return b, err
}

func data(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

var whatever = Options{MaxSize: -1}

// TestResume is S-215: content whose connection is cut again and again comes
// whole, by ranges that are bound to its tag.
func TestResume(t *testing.T) {
	content := data(3 << 20)
	var requests atomic.Int64
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n := requests.Add(1)
		w.Header().Set("ETag", `"one"`)
		if n > 1 && (r.Header.Get("If-Range") != `"one"` || r.Header.Get("Range") == "") {
			t.Errorf("request %d came with %v", n, r.Header)
		}
		if r.Header.Get("Accept-Encoding") != "identity" {
			t.Errorf("encoding asked for: %q", r.Header.Get("Accept-Encoding"))
		}
		http.ServeContent(&cut{w, 700 << 10}, r, "", time.Time{}, bytes.NewReader(content))
	})
	got, err := read(t, here(t, server), server, whatever)
	if err != nil || !bytes.Equal(got, content) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if n := requests.Load(); n < 4 {
		t.Errorf("only %d requests", n)
	}
}

// cut ends the connection after so many bytes.
type cut struct {
	http.ResponseWriter
	left int
}

func (c *cut) Write(p []byte) (int, error) {
	if c.left -= len(p); c.left < 0 {
		panic(http.ErrAbortHandler)
	}
	n, err := c.ResponseWriter.Write(p)
	c.ResponseWriter.(http.Flusher).Flush()
	return n, err
}

// TestFaulty: what servers do wrong is an error, never content.
func TestFaulty(t *testing.T) {
	content := data(1 << 20)
	part := func(w http.ResponseWriter, n int) {
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		_, _ = w.Write(content[:n])
		w.(http.Flusher).Flush()
	}
	ranged := func(change func(w http.ResponseWriter, off int)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"one"`)
			if r.Header.Get("Range") == "" {
				part(w, 1000)
				panic(http.ErrAbortHandler)
			}
			var off int
			_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &off)
			change(w, off)
		}
	}
	send := func(w http.ResponseWriter, off int, said string) {
		w.Header().Set("Content-Range", said)
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(content[off:])
	}
	for name, h := range map[string]http.HandlerFunc{
		"cut without a tag": func(w http.ResponseWriter, _ *http.Request) { part(w, 1000); panic(http.ErrAbortHandler) },
		"cut with a weak tag": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `W/"one"`)
			part(w, 1000)
			panic(http.ErrAbortHandler)
		},
		"silent in the middle":      func(w http.ResponseWriter, r *http.Request) { part(w, 1000); <-r.Context().Done() },
		"silent from the beginning": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"a byte now and then": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"one"`)
			part(w, 10)
			for i := 0; r.Context().Err() == nil && i < 100; i++ {
				time.Sleep(50 * time.Millisecond)
				_, _ = w.Write(content[10+i : 11+i])
				w.(http.Flusher).Flush()
			}
		},
		// Always a little, and then another connection.
		"a byte a connection": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"one"`)
			http.ServeContent(&cut{w, 1}, r, "", time.Time{}, bytes.NewReader(content))
		},
		"gzip": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(content)
		},
		"status 206 unasked": func(w http.ResponseWriter, _ *http.Request) { send(w, 0, "bytes 0-9/10") },
		"status 404":         func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) },
		"status 204":         func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
		"a huge header": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 1<<20))
			_, _ = w.Write(content)
		},
		"all again instead of a range": ranged(func(w http.ResponseWriter, _ int) { _, _ = w.Write(content) }),
		"another range": ranged(func(w http.ResponseWriter, off int) {
			send(w, off-1, fmt.Sprintf("bytes %d-%d/%d", off-1, len(content)-1, len(content)))
		}),
		"another length": ranged(func(w http.ResponseWriter, off int) {
			send(w, off, fmt.Sprintf("bytes %d-%d/%d", off, len(content), len(content)+1))
		}),
		"other content": ranged(func(w http.ResponseWriter, off int) {
			w.Header().Set("ETag", `"two"`)
			send(w, off, fmt.Sprintf("bytes %d-%d/%d", off, len(content)-1, len(content)))
		}),
		"416 for ever": ranged(func(w http.ResponseWriter, _ int) { w.WriteHeader(416) }),
		"a loop":       func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) },
		"nowhere":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(302) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, h)
			begun := time.Now()
			got, err := read(t, here(t, server), server, whatever)
			code := kuva.CodeOf(err)
			if name == "other content" {
				if code != kuva.CodeConflict {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			} else if code != kuva.CodeInvalid && code != kuva.CodeUnavailable {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			if took := time.Since(begun); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// TestSize: the limit holds whatever the server says of the length.
func TestSize(t *testing.T) {
	content := data(100_000)
	for name, h := range map[string]http.HandlerFunc{
		"said": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100000")
			_, _ = w.Write(content)
		},
		"unsaid": func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush(); _, _ = w.Write(content) },
	} {
		server := serve(t, h)
		if _, err := read(t, here(t, server), server, Options{MaxSize: 99_999}); kuva.CodeOf(err) != kuva.CodeTooLarge {
			t.Errorf("%s: %v", name, err)
		}
		if got, err := read(t, here(t, server), server, Options{MaxSize: 100_000}); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

// TestTotal: however well it goes, there is an end.
func TestTotal(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			_, _ = w.Write(make([]byte, 64<<10))
			time.Sleep(10 * time.Millisecond)
		}
	})
	f := here(t, server, func(c *Config) { c.Total = 300 * time.Millisecond })
	if _, err := read(t, f, server, whatever); kuva.CodeOf(err) != kuva.CodeUnavailable {
		t.Error(err)
	}
}

// TestHeaders is S-213 and S-218: what the caller sends along stays with the
// origin that it was meant for.
func TestHeaders(t *testing.T) {
	var seen atomic.Value
	other := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r.Header.Clone())
		_, _ = io.WriteString(w, "other")
	})
	var own string
	own = serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			w.Header().Set("Set-Cookie", "a=b")
			http.Redirect(w, r, other, http.StatusTemporaryRedirect)
		case "/back":
			http.Redirect(w, r, own+"/here", http.StatusFound)
		default:
			_, _ = io.WriteString(w, r.Header.Get("X-Auth-Token"))
		}
	})
	otherURL, _ := url.Parse(other)
	port, _ := portOf(otherURL)
	f := here(t, own, func(c *Config) { c.Ports = append(c.Ports, port) })
	opt := Options{MaxSize: -1, Header: http.Header{"X-Auth-Token": {"secret"}, "Authorization": {"secret"}}}
	if got, err := read(t, f, own+"/back", opt); err != nil || string(got) != "secret" {
		t.Errorf("to the origin itself went %q, %v", got, err)
	}
	if _, err := read(t, f, own+"/away", opt); err != nil {
		t.Fatal(err)
	}
	for name, values := range seen.Load().(http.Header) {
		if strings.Contains(fmt.Sprint(values), "secret") || name == "Cookie" || name == "Referer" {
			t.Errorf("the other host got %s: %q", name, values)
		}
	}
}

// fixed resolves every name to one address.
type fixed string

func (a fixed) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr(string(a))}, nil
}

// TestTLS is S-217: certificates are checked, for the name that was asked.
func TestTLS(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/down" {
			http.Redirect(w, r, "http://example.com"+r.URL.Port()+"/", http.StatusFound)
			return
		}
		_, _ = io.WriteString(w, "sealed "+r.Proto)
	}))
	srv.EnableHTTP2 = true
	srv.Config.ErrorLog = nil
	srv.StartTLS()
	t.Cleanup(srv.Close)
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	trusting := here(t, srv.URL, func(c *Config) { c.Resolver, c.Roots = fixed("127.0.0.1"), roots })
	if got, err := read(t, trusting, "https://example.com:"+port+"/", whatever); err != nil || !strings.HasPrefix(string(got), "sealed") {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := read(t, trusting, "https://other.test:"+port+"/", whatever); err == nil {
		t.Error("a certificate for another name was taken")
	}
	var untrusted *tls.CertificateVerificationError
	if _, err := read(t, here(t, srv.URL), srv.URL, whatever); !errors.As(err, &untrusted) {
		t.Errorf("a certificate of nobody: %v", err)
	}
	if _, err := read(t, trusting, "https://example.com:"+port+"/down", whatever); err == nil || !strings.Contains(err.Error(), "from https to http") {
		t.Errorf("down to http: %v", err)
	}
}

// TestOneMessage is S-216: a port that is closed, one that is silent, an
// address that is forbidden, a name that is none and an answer of 404 are the
// same error after the same time, with the cause in the log alone.
func TestOneMessage(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close() //nolint:errcheck // it ends here
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	missing := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) })
	var log bytes.Buffer
	port := func(address string) uint16 { return netip.MustParseAddrPort(address).Port() }
	f := here(t, missing, func(c *Config) {
		c.Failure, c.Header = time.Second, 300*time.Millisecond
		c.Log = slog.New(slog.NewTextHandler(&log, nil))
		c.Ports = append(c.Ports, 80, port(silent.Addr().String()), port(closed.Addr().String()))
	})
	var all sync.WaitGroup
	for _, address := range []string{
		"http://" + silent.Addr().String(), "http://" + closed.Addr().String(), missing + "/secret", "http://10.0.0.1/", "http://nosuch.invalid/",
	} {
		all.Go(func() {
			begun := time.Now()
			_, _, err := f.Open(t.Context(), address, whatever)
			took := time.Since(begun)
			var e *kuva.Error
			if !errors.As(err, &e) || e.Code != kuva.CodeInvalid || e.Text.Key != "fetch.failed" {
				t.Errorf("%s: %v", address, err)
			}
			if took < time.Second || took > 1500*time.Millisecond {
				t.Errorf("%s is told after %v", address, took)
			}
			if strings.Contains(fmt.Sprint(err), "secret") {
				t.Errorf("the address stands in %v", err)
			}
		})
	}
	all.Wait()
	for _, cause := range []string{"timeout awaiting response headers", "connection refused", "not public: 10.0.0.1", "status 404", "nosuch.invalid"} {
		if !strings.Contains(log.String(), cause) {
			t.Errorf("the log does not tell of %q: %s", cause, log.String())
		}
	}
	if strings.Contains(log.String(), "/secret") {
		t.Error("the log has the whole address")
	}
}

// TestProxy is S-219: the environment's proxy is nothing; one that the
// operator names is the only address that is dialled.
func TestProxy(t *testing.T) {
	var through atomic.Int64
	proxy := serve(t, func(w http.ResponseWriter, r *http.Request) {
		through.Add(1)
		_, _ = io.WriteString(w, "for "+r.URL.String())
	})
	direct := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "direct") })
	t.Setenv("HTTP_PROXY", proxy)
	t.Setenv("http_proxy", proxy)
	t.Setenv("ALL_PROXY", proxy)
	if got, err := read(t, here(t, direct), direct, whatever); err != nil || string(got) != "direct" || through.Load() != 0 {
		t.Errorf("%q, %v, %d through the environment's proxy", got, err, through.Load())
	}
	p, _ := url.Parse(proxy)
	named := New(Config{Proxy: p, Failure: time.Millisecond, Resolver: fixed("10.0.0.1")})
	if got, err := read(t, named, "http://example.org/x", whatever); err != nil || string(got) != "for http://example.org/x" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := read(t, named, "http://169.254.169.254/", whatever); err == nil {
		t.Error("an address that is forbidden went to the proxy")
	}
}

// TestLists: hosts, networks, schemes and ports of the site.
func TestLists(t *testing.T) {
	for _, c := range []struct {
		cfg Config
		yes []string
		no  []string
	}{
		{Config{}, []string{"http://a.test/", "https://a.test:443/x?y", "http://8.8.8.8/", "http://a.test.:80/", "http://[2606:4700::1111]/"}, []string{"ftp://a.test/", "http://a.test:8080/", "http://10.0.0.1/", "http://a.test:080/", "http://a.test:/"}},
		{Config{Schemes: []string{"https"}, Ports: []uint16{8443}}, []string{"https://a.test:8443/"}, []string{"http://a.test:8443/", "https://a.test/"}},
		{Config{AllowHosts: []string{"a.test", ".b.test"}, DenyHosts: []string{"a.test"}}, []string{"http://a.test/", "http://x.y.b.test/", "http://A.TEST./"}, []string{"http://b.test/", "http://xb.test/", "http://8.8.8.8/"}},
		{
			Config{AllowHosts: []string{"a.test:8080", ".b.test", "8.8.8.8:81", "[2606:4700::1111]:8443"}},
			[]string{"http://a.test:8080/", "https://x.b.test/", "http://8.8.8.8:81/", "https://[2606:4700::1111]:8443/"},
			[]string{"http://a.test/", "https://a.test:8443/", "http://x.b.test:8080/", "http://x.a.test:8080/", "http://8.8.8.8/", "https://[2606:4700::1111]/"},
		},
		{Config{DenyHosts: []string{"a.test:80"}}, []string{"https://a.test/"}, []string{"http://a.test/"}},
		{Config{DenyHosts: []string{".a.test", "8.8.8.8"}}, []string{"http://a.test/"}, []string{"http://x.a.test/", "http://X.A.test./", "http://8.8.8.8/", "http://[::ffff:8.8.8.8]/"}},
		{Config{AllowNetworks: prefixes("10.1.0.0/16"), DenyNetworks: prefixes("10.1.2.0/24", "8.0.0.0/8")}, []string{"http://10.1.1.1/"}, []string{"http://10.1.2.3/", "http://10.2.0.1/", "http://8.8.8.8/"}},
	} {
		f := New(c.cfg)
		for _, a := range c.yes {
			if err := f.Check(a); err != nil {
				t.Errorf("%+v: %s: %v", c.cfg, a, err)
			}
		}
		for _, a := range c.no {
			if err := f.Check(a); kuva.CodeOf(err) != kuva.CodeInvalid {
				t.Errorf("%+v: %s: %v", c.cfg, a, err)
			}
		}
	}
}

// FuzzCheck: whatever is written, no address that Check lets through names a
// host in numbers that is not public, and nothing panics.
func FuzzCheck(f *testing.F) {
	for _, h := range spellings() {
		f.Add("http://" + h + "/")
	}
	f.Add("https://example.org:443/a%20b?c#d")
	site := New(Config{})
	f.Fuzz(func(t *testing.T, address string) {
		if site.Check(address) != nil {
			return
		}
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if a, err := netip.ParseAddr(strings.TrimSuffix(u.Hostname(), ".")); err == nil && !Public(a) {
			t.Errorf("%q is let through", address)
		}
		if u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
			t.Errorf("%q is let through", address)
		}
	})
}
