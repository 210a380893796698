package fetch

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kuva"
	"kuva/internal/testkit"
)

// spellings are hosts that lead to addresses which nobody outside may reach,
// or to none at all, in all the ways that they have been written in
// (S-211, S-214). None of them may be connected to.
func spellings() []string {
	var out []string
	v4 := []string{
		"127.0.0.1", "127.0.0.53", "127.255.255.254", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.254",
		"192.168.0.1", "192.168.255.254", "169.254.169.254", "169.254.0.1", "100.64.0.1", "100.127.255.254", "0.0.0.0",
		"0.1.2.3", "192.0.0.1", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.19.255.254", "198.51.100.1", "203.0.113.1",
		"224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
	}
	for _, text := range v4 {
		a := netip.MustParseAddr(text).As4()
		n := uint32(a[0])<<24 | uint32(a[1])<<16 | uint32(a[2])<<8 | uint32(a[3])
		tail := fmt.Sprintf("%02x%02x:%02x%02x", a[0], a[1], a[2], a[3])
		out = append(
			out,
			text, text+".", // plain, rooted
			fmt.Sprint(n), fmt.Sprintf("0x%08x", n), fmt.Sprintf("0%o", n), // one number
			fmt.Sprintf("0x%x.0x%x.0x%x.0x%x", a[0], a[1], a[2], a[3]), fmt.Sprintf("0%o.0%o.0%o.0%o", a[0], a[1], a[2], a[3]),
			fmt.Sprintf("%d.%d", a[0], n&0xffffff), fmt.Sprintf("%d.%d.%d", a[0], a[1], n&0xffff), // short
			"[::ffff:"+text+"]", "[::ffff:"+tail+"]", "[0:0:0:0:0:ffff:"+tail+"]", // mapped
			"[::"+text+"]",                            // compatible
			"[64:ff9b::"+tail+"]",                     // NAT64
			"[64:ff9b:1::"+tail+"]",                   // NAT64, local
			"[2002:"+tail+"::1]",                      // 6to4
			"[2001:0:"+tail+"::1]",                    // Teredo's server
			"[2001::ffff:"+tail+"]",                   // Teredo's end
			"[::ffff:0:"+text+"]",                     // SIIT
			"[fe80::5efe:"+tail+"]",                   // ISATAP
			text+".inner.test",                        // a name that leads there
			"%"+fmt.Sprintf("%02x", text[0])+text[1:], // percent-encoded
		)
	}
	return append(
		out,
		"[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[fc00::1]", "[fd00:ec2::254]", "[fe80::1]", "[fe80::1%25eth0]", "[fe80::1%25lo]",
		"[fec0::1]", "[ff02::1]", "[2001:db8::1]", "[3fff::1]", "[100::1]", "[5f00::1]", "[2001:20::1]", "[2001:10::1]",
		"[2620:4f:8000::1]", "[::1%25lo]", "[::ffff:127.0.0.1%25lo]", "::1", "::ffff:127.0.0.1", "localhost", "localhost.", "LOCALHOST", "ip6-localhost",
		"good.test@127.0.0.1", "good.test:pw@127.0.0.1", "127.0.0.1:80@127.0.0.1", "127.0.0.1%23.good.test", "127.0.0.1\\@good.test", "good.test\\.127.0.0.1",
		"127。0。0。1", "①②⑦.⓪.⓪.①", "ⓛocalhost", "127.0.0.1%2egood.test", "127%2e0%2e0%2e1", "127.0.0.1%00.good.test", "127.0.0.1%0d%0aHost:x",
		"127.0.0.1\t", " 127.0.0.1", "127.1", "127.0.1", "0", "0x0", "00", "1", "127.0.0.1.", "127.0.0.01", "0127.0.0.1", "0x7f.1", "0x7f000001",
		"017700000001", "2130706433", "4294967295", "4294967296", "127.0.0.256", "127.0.0.1.1", "0x", "0x.0x.0x.0x", "[127.0.0.1]", "[::ffff:7f00:1",
		"::ffff:7f00:1]", "[]", "", ".", "..", "127.0.0.1,good.test", "mixed.test", "mixed6.test", "many.test",
	)
}

// public is where the only server is that may be asked.
const public = "8.8.8.8"

// names is the resolver of the test; it says ever other things of
// rebind.test.
type names struct {
	mu    sync.Mutex
	asked int
}

func (n *names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	good := netip.MustParseAddr(public)
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if text, ok := strings.CutSuffix(host, ".inner.test"); ok {
		a, err := netip.ParseAddr(text)
		return []netip.Addr{a}, err
	}
	switch host {
	case "good.test":
		return []netip.Addr{good}, nil
	case "mixed.test":
		return []netip.Addr{good, netip.MustParseAddr("10.0.0.1")}, nil
	case "mixed6.test":
		return []netip.Addr{good, netip.IPv6Loopback()}, nil
	case "many.test": // the last of many
		out := make([]netip.Addr, 100)
		for i := range out {
			out[i] = good
		}
		return append(out, netip.MustParseAddr("127.0.0.1")), nil
	case "rebind.test":
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.asked++; n.asked%2 == 1 {
			return []netip.Addr{good}, nil
		}
		return []netip.Addr{netip.MustParseAddr("169.254.169.254")}, nil
	case "localhost", "ip6-localhost":
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	// What is no name of ours leads inside, too, as a resolver of C would have it.
	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}

// TestForbidden is S-211 … S-214: in a network where every address of the
// world is this machine's and answers on ports 80 and 443, no spelling,
// redirect or change of a name's address makes the fetcher connect to one that
// is not public.
func TestForbidden(t *testing.T) {
	testkit.NeedRoot(t)
	testkit.Need(t, "ip")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestInNamespace$", "-test.v")
	cmd.Env = append(os.Environ(), "KUVA_TEST_NAMESPACE=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestInNamespace") {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Log(string(out))
}

// world accepts connections to every address and notes those that nobody may
// reach.
type world struct {
	mu        sync.Mutex
	forbidden []string
	public    int
}

func (w *world) note(at net.Addr) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a, err := netip.ParseAddrPort(at.String())
	if err == nil && a.Addr().Unmap() == netip.MustParseAddr(public) {
		w.public++
		return
	}
	w.forbidden = append(w.forbidden, at.String())
}

func (w *world) taken() (forbidden []string, public int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	forbidden, public = w.forbidden, w.public
	w.forbidden, w.public = nil, 0
	return forbidden, public
}

// listen answers /to?URL with a redirect and all else with a text.
func (w *world) listen(t *testing.T, address string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			w.note(c.LocalAddr())
			go answer(c)
		}
	}()
}

func answer(c net.Conn) {
	defer c.Close() //nolint:errcheck // it ends here
	req, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return
	}
	if to, ok := strings.CutPrefix(req.URL.RawQuery, "to="); ok {
		to, _ = url.QueryUnescape(to)
		fmt.Fprintf(c, "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", to)
		return
	}
	_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nopen")
}

// TestInNamespace is TestForbidden, inside.
func TestInNamespace(t *testing.T) {
	if os.Getenv("KUVA_TEST_NAMESPACE") == "" {
		return // run by TestForbidden
	}
	for _, args := range []string{"link set lo up", "route add local 0.0.0.0/0 dev lo", "-6 route add local ::/0 dev lo"} {
		if out, err := exec.CommandContext(t.Context(), "ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", args, err, out)
		}
	}
	w := &world{}
	for _, port := range []string{"80", "443"} {
		w.listen(t, "[::]:"+port)
	}
	cfg := Config{Resolver: &names{}, Failure: 10 * time.Microsecond, Connect: 2 * time.Second, Header: 2 * time.Second}
	f := New(cfg)
	fetch := func(f *Fetcher, address string) error {
		r, _, err := f.Open(t.Context(), address, Options{MaxSize: -1})
		if err == nil {
			_, err = io.ReadAll(r)
			_ = r.Close()
		}
		return err
	}
	// The world is there, and counts.
	if err := fetch(f, "http://good.test/"); err != nil {
		t.Fatalf("a public address: %v", err)
	}
	all := cfg
	all.AllowNetworks = prefixes("0.0.0.0/0", "::/0")
	for _, address := range []string{"http://10.0.0.1/", "http://[fd00:ec2::254]/", "http://169.254.169.254.inner.test/", "http://[64:ff9b::a00:1]/"} {
		if err := fetch(New(all), address); err != nil {
			t.Fatalf("%s where all is allowed: %v", address, err)
		}
	}
	if bad, good := w.taken(); len(bad) != 4 || good != 1 {
		t.Fatalf("the listeners saw %q and %d", bad, good)
	}

	hosts := spellings()
	if len(hosts) < 200 {
		t.Errorf("only %d spellings", len(hosts))
	}
	tries := 0
	for _, h := range hosts {
		addresses := []string{"http://" + h + "/", "https://" + h + "/", "http://" + h + ":80/", "http:" + h, "//" + h + "/", "http:///" + h, "hTTp://" + h}
		for _, a := range addresses {
			tries++
			if err := fetch(f, a); err == nil {
				t.Errorf("%q was fetched", a)
			}
			tries++
			if err := fetch(f, "http://good.test/?to="+url.QueryEscape(a)); err == nil {
				// A redirect without a scheme, or to an empty host, leads to good.test itself.
				if bad, _ := w.taken(); len(bad) > 0 {
					t.Errorf("%q was fetched by a redirect: %q", a, bad)
				}
			}
		}
		if bad, _ := w.taken(); len(bad) > 0 {
			t.Errorf("%q led to %q", h, bad)
		}
	}
	// Rebinding: the name is asked once a hop, and what it said is dialled.
	for range 50 {
		_ = fetch(f, "http://rebind.test/")
		_ = fetch(f, "http://rebind.test/?to="+url.QueryEscape("http://rebind.test/"))
		_ = fetch(f, "http://good.test/?to="+url.QueryEscape("http://rebind.test/?to=http://rebind.test/"))
	}
	bad, good := w.taken()
	if len(bad) > 0 || good == 0 {
		t.Errorf("a name that changes led to %q, %d times to what is public", bad, good)
	}
	// More hops than are allowed, and other schemes and ports.
	for _, to := range []string{"ftp://good.test/", "file:///etc/passwd", "gopher://good.test/", "http://good.test:22/", "http://good.test:0/", "http://good.test:65536/", "http://u:p@good.test/", "javascript:1", "http://good.test/\r\nX: y"} {
		if err := fetch(f, to); kuva.CodeOf(err) != kuva.CodeInvalid {
			t.Errorf("%q: %v", to, err)
		}
		if err := fetch(f, "http://good.test/?to="+url.QueryEscape(to)); err == nil && !strings.Contains(to, "\r") {
			t.Errorf("a redirect to %q was followed", to)
		}
	}
	loop := "http://good.test/"
	for range 6 {
		loop = "http://good.test/?to=" + url.QueryEscape(loop)
	}
	if err := fetch(f, loop); !strings.Contains(fmt.Sprint(errors.Unwrap(err)), "too many redirects") {
		t.Errorf("six hops: %v", err)
	}
	t.Logf("%d spellings, %d requests", len(hosts), tries)
}
