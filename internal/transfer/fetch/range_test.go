package fetch

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kuva"
	"kuva/message"
)

// ranged reads one stretch.
func ranged(t *testing.T, f *Fetcher, address string, v Version, off, n int64) ([]byte, error) {
	t.Helper()
	r, err := f.Range(t.Context(), address, whatever, v, off, n)
	if err != nil {
		return nil, err
	}
	defer r.Close() //nolint:errcheck // it was only read
	return io.ReadAll(r)
}

// TestRange: stretches come as they are asked for, whatever breaks meanwhile,
// and are bound to the version by a tag or a date.
func TestRange(t *testing.T) {
	content := data(2 << 20)
	day := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		tag string
		mod time.Time
	}{
		"tag":         {`"v1"`, time.Time{}},
		"date":        {"", day},
		"weak tag":    {`W/"v1"`, day},
		"neither":     {"", time.Time{}},
		"date of now": {"", time.Now().Add(time.Hour)},
	} {
		can := name == "tag" || name == "date"
		server := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if c.tag != "" {
				w.Header().Set("ETag", c.tag)
			}
			http.ServeContent(&cut{w, 300 << 10}, r, "", c.mod, bytes.NewReader(content))
		})
		f := here(t, server)
		r, info, err := f.Open(t.Context(), server, whatever)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Close()
		if info.Ranges != can || info.Size != int64(len(content)) {
			t.Errorf("%s: %+v", name, info)
		}
		if !can {
			continue
		}
		for _, s := range [][2]int64{{0, 1}, {0, 2 << 20}, {777_777, 1 << 20}, {2<<20 - 1, 1}} {
			if got, err := ranged(t, f, server, info.Version, s[0], s[1]); err != nil || !bytes.Equal(got, content[s[0]:s[0]+s[1]]) {
				t.Errorf("%s %v: %d bytes, %v", name, s, len(got), err)
			}
		}
		if _, err := f.Range(t.Context(), server, whatever, info.Version, 1<<20, 1<<20+1); err == nil {
			t.Errorf("%s: a range beyond the end", name)
		}
	}
}

// TestRangeFaults: servers that change the content, ignore ranges, lie about
// them or send more or less.
func TestRangeFaults(t *testing.T) {
	content := data(1 << 20)
	v := Version{Size: int64(len(content)), Tag: `"one"`}
	said := func(w http.ResponseWriter, text string) {
		w.Header().Set("Content-Range", text)
		w.WriteHeader(http.StatusPartialContent)
	}
	for name, c := range map[string]struct {
		want kuva.Code
		h    http.HandlerFunc
	}{
		"changed, all of it": {kuva.CodeConflict, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"two"`)
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
		}},
		"changed, a range": {kuva.CodeConflict, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"two"`)
			said(w, "bytes 1000-1999/1048576")
			_, _ = w.Write(content[1000:2000])
		}},
		"ranges ignored": {kuva.CodeUnavailable, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"one"`)
			_, _ = w.Write(content)
		}},
		"no tag": {kuva.CodeUnavailable, func(w http.ResponseWriter, _ *http.Request) {
			said(w, "bytes 1000-1999/1048576")
			_, _ = w.Write(content[1000:2000])
		}},
		"other length": {kuva.CodeUnavailable, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"one"`)
			said(w, "bytes 1000-1999/*")
			_, _ = w.Write(content[1000:2000])
		}},
		"too few": {kuva.CodeUnavailable, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"one"`)
			said(w, strings.Replace(strings.TrimPrefix(r.Header.Get("Range"), "bytes="), "", "bytes ", 1)+"/1048576")
		}},
		"too many": {"", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"one"`)
			said(w, "bytes 1000-1999/1048576")
			_, _ = w.Write(content[1000:9000])
		}},
		"away": {kuva.CodeUnavailable, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://10.0.0.1/", http.StatusFound)
		}},
		"inside": {kuva.CodeUnavailable, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusForbidden) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, c.h)
			begun := time.Now()
			f := here(t, server, func(c *Config) { c.Resumes, c.Failure = 2, time.Second })
			got, err := ranged(t, f, server, v, 1000, 1000)
			if kuva.CodeOf(err) != c.want && (c.want != "" || err != nil) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			if err == nil && !bytes.Equal(got, content[1000:2000]) {
				t.Errorf("%d bytes", len(got))
			}
			// S-216: one time for all that cannot be opened.
			if took := time.Since(begun); name != "too few" && c.want == kuva.CodeUnavailable && (took < 900*time.Millisecond || took > 2*time.Second) {
				t.Errorf("told after %v", took)
			}
			var told *kuva.Error // whose cause is for the log alone
			if errors.As(err, &told) && strings.Contains(told.Text.In(message.English), "10.0.0.1") {
				t.Errorf("%v", err)
			}
		})
	}
}

// turncoat resolves a name to where the test wants it at that moment.
type turncoat struct{ at atomic.Pointer[netip.Addr] }

func (r *turncoat) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{*r.at.Load()}, nil
}

// TestRangeChecksAnew is S-212: each range passes the whole gate again, and a
// name that has turned to an inner address meanwhile is not followed.
func TestRangeChecksAnew(t *testing.T) {
	content := data(1 << 20)
	var asked atomic.Int64
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("ETag", `"one"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	})
	names := &turncoat{}
	good, bad := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")
	names.at.Store(&good)
	f := here(t, server, func(c *Config) {
		c.Resolver, c.DenyNetworks, c.Resumes = names, prefixes("127.0.0.2/32"), 1
	})
	address := strings.Replace(server, "127.0.0.1", "mirror.test", 1)
	r, info, err := f.Open(t.Context(), address, whatever)
	if err != nil || !info.Ranges {
		t.Fatal(info, err)
	}
	_ = r.Close()
	if got, err := ranged(t, f, address, info.Version, 10, 1000); err != nil || !bytes.Equal(got, content[10:1010]) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	names.at.Store(&bad)
	before := asked.Load()
	if _, err := ranged(t, f, address, info.Version, 10, 1000); kuva.CodeOf(err) != kuva.CodeUnavailable || asked.Load() != before {
		t.Errorf("%v, %d requests", err, asked.Load()-before)
	}
}
