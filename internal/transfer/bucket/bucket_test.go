package bucket

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // the tags of S3
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kuva"
	"kuva/internal/images"
	"kuva/internal/testkit/s3server"
	"kuva/internal/transfer/fetch"
)

func data(n int) []byte {
	b := make([]byte, n)
	var seed [32]byte
	seed[0] = byte(n)
	_, _ = rand.NewChaCha8(seed).Read(b)
	return b
}

// site is a set with one configured bucket at an address, which users may name
// themselves as well.
func site(t *testing.T, s *s3server.Server, address string, change ...func(*Config)) *Set {
	t.Helper()
	c := Config{Endpoint: address, Region: s.Region, Bucket: s.Bucket, Prefix: "kuva/", Keys: images.BucketKeys{Access: s.Access, Secret: s.Secret}, Read: true, Write: true}
	for _, f := range change {
		f(&c)
	}
	set, err := New(map[string]Config{"here": c}, web(t, address), nil)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func web(t *testing.T, address string) *fetch.Fetcher {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	return fetch.New(fetch.Config{
		Ports: []uint16{uint16(port)}, AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Failure: 50 * time.Millisecond,
	})
}

func open(t *testing.T, set *Set, at images.BucketObject, keys images.BucketKeys) *Bucket {
	t.Helper()
	b, err := set.Bucket("p", at, keys, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// write writes an object in parts of 5 MiB.
func write(ctx context.Context, b *Bucket, key string, content []byte, o WriteOptions) error {
	const size = 5 << 20
	upload, err := b.Begin(ctx, key, o)
	if err != nil {
		return err
	}
	var parts []PartTag
	for n := 1; (n-1)*size < max(len(content), 1); n++ {
		piece := content[(n-1)*size : min(n*size, len(content))]
		p := PartTag{N: n, Sum: md5.Sum(piece)} //nolint:gosec // as above
		if p.Tag, err = b.Part(ctx, key, upload, n, bytes.NewReader(piece), int64(len(piece)), p.Sum); err != nil {
			return errors.Join(err, b.Abort(ctx, key, upload))
		}
		parts = append(parts, p)
	}
	_, err = b.Finish(ctx, key, upload, parts, int64(len(content)), o)
	if err != nil {
		return errors.Join(err, b.Abort(ctx, key, upload))
	}
	return nil
}

func read(ctx context.Context, b *Bucket, key string) ([]byte, error) {
	o, err := b.Stat(ctx, key)
	if err != nil {
		return nil, err
	}
	r, err := b.Read(ctx, o)
	if err != nil {
		return nil, err
	}
	defer r.Close() //nolint:errcheck // it was only read
	return io.ReadAll(r)
}

// TestBucket: an object written in parts comes back, is listed, is there once,
// and the ways to be refused.
func TestBucket(t *testing.T) {
	s := s3server.Start(t)
	ctx := t.Context()
	set := site(t, s, s.Endpoint)
	b := open(t, set, images.BucketObject{Name: "here", Object: "a/b.raw"}, images.BucketKeys{})
	content := data(12 << 20)
	if err := b.MayWrite(ctx, "a/b.raw", WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := write(ctx, b, "a/b.raw", content, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if got, err := read(ctx, b, "a/b.raw"); err != nil || !bytes.Equal(got, content) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	for _, err := range []error{b.MayWrite(ctx, "a/b.raw", WriteOptions{}), write(ctx, b, "a/b.raw", data(5), WriteOptions{})} {
		if kuva.CodeOf(err) != kuva.CodeConflict || !errors.Is(err, errExists) {
			t.Errorf("what is there was taken: %v", err)
		}
	}
	if err := write(ctx, b, "a/b.raw", content[:7<<20], WriteOptions{Overwrite: true}); err != nil {
		t.Errorf("overwrite: %v", err)
	}
	if err := b.Put(ctx, "a/b.raw"+ManifestSuffix, []byte("{}"), WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a/c", "b", "a/a"} {
		if err := b.Put(ctx, key, []byte(key), WriteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	var keys []string
	marker, more := "", true
	for pages := 0; more; pages++ {
		var list []Object
		var err error
		if list, more, err = set.Objects(ctx, "p", "here", "a/", marker, 2); err != nil || pages > 3 {
			t.Fatal(err)
		}
		for _, o := range list {
			keys = append(keys, o.Key)
			marker = o.Key
		}
	}
	if !slices.Equal(keys, []string{"a/a", "a/b.raw", "a/c"}) {
		t.Errorf("listed: %q", keys)
	}
	uploads, err := b.core.ListMultipartUploads(ctx, s.Bucket, "", "", "", "", 10)
	if err != nil || len(uploads.Uploads) != 0 {
		t.Errorf("left behind: %+v, %v", uploads.Uploads, err)
	}
}

// TestRefusals: each has its own word, and the keys are in none.
func TestRefusals(t *testing.T) {
	s := s3server.Start(t)
	ctx := t.Context()
	own := func(change func(*images.BucketObject, *images.BucketKeys)) error {
		at := images.BucketObject{Endpoint: s.Endpoint, Region: s.Region, Bucket: s.Bucket, Object: "x"}
		keys := images.BucketKeys{Access: s.Access, Secret: s.Secret}
		change(&at, &keys)
		b, err := site(t, s, s.Endpoint).Bucket("p", at, keys, true)
		if err != nil {
			return err
		}
		defer b.Close()
		if err := b.MayWrite(ctx, at.Object, WriteOptions{}); err != nil {
			return err
		}
		_, err = b.Stat(ctx, at.Object)
		return err
	}
	for name, c := range map[string]struct {
		change func(*images.BucketObject, *images.BucketKeys)
		code   kuva.Code
		key    string
	}{
		"no object":    {func(*images.BucketObject, *images.BucketKeys) {}, kuva.CodeConflict, "bucket.no_object"},
		"no bucket":    {func(at *images.BucketObject, _ *images.BucketKeys) { at.Bucket = "no-such-bucket" }, kuva.CodeConflict, "bucket.no_bucket"},
		"wrong secret": {func(_ *images.BucketObject, k *images.BucketKeys) { k.Secret = "wr0ng-canary" }, kuva.CodeConflict, ""},
		"nobody":       {func(_ *images.BucketObject, k *images.BucketKeys) { *k = images.BucketKeys{} }, kuva.CodeConflict, ""},
		"private": {func(at *images.BucketObject, _ *images.BucketKeys) {
			at.Endpoint = strings.Replace(s.Endpoint, "127.0.0.1", "10.0.0.1", 1)
		}, kuva.CodeInvalid, "fetch.refused"},
		"other port": {func(at *images.BucketObject, _ *images.BucketKeys) { at.Endpoint = "http://127.0.0.1:1" }, kuva.CodeInvalid, "fetch.refused"},
		"a path":     {func(at *images.BucketObject, _ *images.BucketKeys) { at.Endpoint += "/x" }, kuva.CodeInvalid, "bucket.bad_endpoint"},
		"half a key": {func(_ *images.BucketObject, k *images.BucketKeys) { k.Secret = "" }, kuva.CodeInvalid, "bucket.bad_keys"},
		"odd bucket": {func(at *images.BucketObject, _ *images.BucketKeys) { at.Bucket = "../x" }, kuva.CodeInvalid, "bucket.bad_bucket"},
		"odd object": {func(at *images.BucketObject, _ *images.BucketKeys) { at.Object = "a/../b" }, kuva.CodeInvalid, "bucket.bad_object"},
		"both":       {func(at *images.BucketObject, _ *images.BucketKeys) { at.Name = "here" }, kuva.CodeInvalid, "bucket.name_or_endpoint"},
		"unknown": {func(at *images.BucketObject, k *images.BucketKeys) {
			*at, *k = images.BucketObject{Name: "there", Object: "x"}, images.BucketKeys{}
		}, kuva.CodeNotFound, "bucket.not_found"},
	} {
		err := own(c.change)
		var e *kuva.Error
		if !errors.As(err, &e) || e.Code != c.code || c.key != "" && e.Text.Key != c.key {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), s.Secret) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error tells the secret", name)
		}
	}
	closed := site(t, s, s.Endpoint, func(c *Config) { c.Projects, c.Write = []string{"p"}, false })
	at := images.BucketObject{Name: "here", Object: "x"}
	if err := closed.CheckWrite("p", at, images.BucketKeys{}); kuva.CodeOf(err) != kuva.CodeForbidden {
		t.Errorf("write to what is read-only: %v", err)
	}
	if err := closed.Check("q", at, images.BucketKeys{}); kuva.CodeOf(err) != kuva.CodeNotFound || len(closed.List("q")) != 0 {
		t.Errorf("another project's bucket: %v", err)
	}
}

// faulty stands before the S3 server and does with each request what f says
// before it lets it through, or in its place.
func faulty(t *testing.T, s *s3server.Server, f func(w http.ResponseWriter, r *http.Request, through http.Handler)) string {
	t.Helper()
	u, err := url.Parse(s.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	through := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(u); r.Out.Host = r.In.Host }}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f(w, r, through) }))
	t.Cleanup(srv.Close)
	return srv.URL
}

// TestResume: content whose connection breaks again and again comes whole; an
// object that is another one meanwhile is told.
func TestResume(t *testing.T) {
	s := s3server.Start(t)
	ctx := t.Context()
	content := data(9 << 20)
	direct := open(t, site(t, s, s.Endpoint), images.BucketObject{Name: "here", Object: "x"}, images.BucketKeys{})
	if err := write(ctx, direct, "x", content, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	var cuts atomic.Int64
	address := faulty(t, s, func(w http.ResponseWriter, r *http.Request, through http.Handler) {
		if r.Method == http.MethodGet && cuts.Add(1) < 6 {
			w = &cut{w, 1 << 20}
		}
		through.ServeHTTP(w, r)
	})
	b := open(t, site(t, s, address), images.BucketObject{Name: "here", Object: "x"}, images.BucketKeys{})
	if got, err := read(ctx, b, "x"); err != nil || !bytes.Equal(got, content) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if cuts.Load() < 6 {
		t.Errorf("only %d answers", cuts.Load())
	}
	o, err := b.Stat(ctx, "x")
	if err != nil {
		t.Fatal(err)
	}
	cuts.Store(0)
	r, err := b.Read(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := write(ctx, direct, "x", data(9<<20-1), WriteOptions{Overwrite: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); !errors.Is(err, ErrChanged) {
		t.Errorf("an object that changed: %v", err)
	}
}

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

// TestFaults: errors that pass are outlived, an answer that is lost is looked
// for, wrong tags are found, and nothing is half there.
func TestFaults(t *testing.T) {
	s := s3server.Start(t)
	ctx := t.Context()
	content := data(6 << 20)
	var calls atomic.Int64
	for name, f := range map[string]struct {
		fault func(w http.ResponseWriter, r *http.Request, through http.Handler)
		code  kuva.Code // "" is success
	}{
		"every other call answers 503": {func(w http.ResponseWriter, r *http.Request, through http.Handler) {
			if calls.Add(1)%2 == 0 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			through.ServeHTTP(w, r)
		}, ""},
		"the answer to the end is lost": {func(w http.ResponseWriter, r *http.Request, through http.Handler) {
			if r.Method == http.MethodPost && r.URL.Query().Has("uploadId") {
				through.ServeHTTP(httptest.NewRecorder(), r)
				panic(http.ErrAbortHandler)
			}
			through.ServeHTTP(w, r)
		}, ""},
		"parts come back with other tags": {func(w http.ResponseWriter, r *http.Request, through http.Handler) {
			if r.URL.Query().Has("partNumber") {
				w = &retag{w}
			}
			through.ServeHTTP(w, r)
		}, kuva.CodeUnavailable},
		"nothing but 500": {func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.WriteHeader(http.StatusInternalServerError)
		}, kuva.CodeUnavailable},
		"a redirect to elsewhere": {func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			http.Redirect(w, r, s.Endpoint, http.StatusTemporaryRedirect)
		}, kuva.CodeConflict},
		"not S3": {func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			_, _ = io.WriteString(w, "<html>hello")
		}, kuva.CodeUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			key := strings.ReplaceAll(name, " ", "-")
			b := open(t, site(t, s, faulty(t, s, f.fault)), images.BucketObject{Name: "here", Object: key}, images.BucketKeys{})
			err := write(ctx, b, key, content, WriteOptions{})
			if kuva.CodeOf(err) != f.code {
				t.Fatalf("write: %v", err)
			}
			direct := open(t, site(t, s, s.Endpoint), images.BucketObject{Name: "here", Object: key}, images.BucketKeys{})
			got, readErr := read(ctx, direct, key)
			if there := readErr == nil; there != (f.code == "") || there && !bytes.Equal(got, content) {
				t.Errorf("afterwards %d bytes are there, %v", len(got), readErr)
			}
		})
	}
}

// retag changes the tag of an answer.
type retag struct{ http.ResponseWriter }

func (r *retag) WriteHeader(status int) {
	if r.Header().Get("ETag") != "" {
		r.Header().Set("ETag", `"00000000000000000000000000000000"`)
	}
	r.ResponseWriter.WriteHeader(status)
}

// TestCustomerKey: an object that only its owner can decrypt is told before
// anything is read.
func TestCustomerKey(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusBadRequest)
		if r.Method == http.MethodGet { // as Amazon answers; HEAD has no body
			_, _ = io.WriteString(w, `<Error><Code>InvalidRequest</Code><Message>The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.</Message></Error>`)
		}
	}))
	defer srv.Close()
	s := &s3server.Server{Region: "x", Bucket: "some-bucket", Access: "a", Secret: "s"}
	_, err := site(t, s, srv.URL).Open(t.Context(), "p", images.BucketObject{Name: "here", Object: "x"}, images.BucketKeys{})
	var e *kuva.Error
	if !errors.As(err, &e) || e.Text.Key != "bucket.customer_key" {
		t.Errorf("%v", err)
	}
}
