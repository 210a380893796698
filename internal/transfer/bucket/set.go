package bucket

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"kuva"
	"kuva/internal/images"
	"kuva/internal/transfer/fetch"
)

// ManifestSuffix follows an object's key in that of its manifest.
const ManifestSuffix = ".kuva.json"

// Config is a bucket that the operator configured.
type Config struct {
	Endpoint string // https://HOST or http://HOST:PORT
	Region   string // "" is us-east-1
	Bucket   string
	Prefix   string // of all keys, not shown to users
	Style    string // path, virtual; "" is what the endpoint is known for, else path
	Keys     images.BucketKeys
	Roots    *x509.CertPool // nil is the system's
	Projects []string       // ids of those that may use it; none are all
	Read     bool           // images may be imported from it
	Write    bool           // images may be exported to it
}

// Set is all buckets that users of a site may name. Its methods may be called
// at the same time.
type Set struct {
	named map[string]named
	web   *fetch.Fetcher // to users' buckets; nil where they may name none
	log   *slog.Logger
}

type named struct {
	Config
	fetcher  *fetch.Fetcher
	endpoint *url.URL
}

var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// New makes the set. web reaches what users name, nil lets them name nothing;
// log may be nil. It asks nobody.
func New(configs map[string]Config, web *fetch.Fetcher, log *slog.Logger) (*Set, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Set{named: map[string]named{}, web: web, log: log}
	for name, c := range configs {
		if !namePattern.MatchString(name) {
			return nil, fmt.Errorf("%q is no name of a bucket: use letters, digits, dots, dashes", name)
		}
		n, err := c.open(log)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		s.named[name] = n
	}
	return s, nil
}

// open reaches the endpoint and nothing else, wherever that is: the operator
// named it.
func (c Config) open(log *slog.Logger) (named, error) {
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || strings.Trim(u.Path, "/") != "" {
		return named{}, errors.New("write the endpoint as https://HOST or https://HOST:PORT")
	}
	switch {
	case c.Bucket == "":
		return named{}, errors.New("say which bucket")
	case !slices.Contains(styles, c.Style):
		return named{}, errors.New("style: choose path or virtual")
	case !c.Read && !c.Write:
		return named{}, errors.New("neither read nor write: nobody can use it")
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	at, err := netip.ParseAddrPort("0.0.0.0:" + port)
	if err != nil {
		return named{}, errors.New("the port of the endpoint is no number")
	}
	hosts := []string{u.Hostname(), "." + u.Hostname()}
	for _, family := range families(u.Hostname()) {
		hosts = append(hosts, "."+family)
	}
	f := fetch.New(fetch.Config{
		Schemes: []string{u.Scheme}, Ports: []uint16{at.Port()}, AllowHosts: hosts, Roots: c.Roots, Log: log,
		AllowNetworks: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")},
	})
	if err := f.Check(c.Endpoint); err != nil {
		return named{}, err
	}
	return named{c, f, u}, nil
}

var styles = []string{"", "path", "virtual"}

// families are the domains below which a service keeps the addresses of its
// regions; the library chooses among them by the region.
func families(host string) []string {
	host = strings.ToLower(host)
	for _, family := range []string{"amazonaws.com", "amazonaws.com.cn"} {
		if strings.HasSuffix(host, "."+family) {
			return []string{family}
		}
	}
	return nil
}

// Info is what users are told of a configured bucket.
type Info struct {
	Name, Endpoint, Region, Bucket string
	Read, Write                    bool
}

// List returns the buckets that a project may use, by name.
func (s *Set) List(project string) []Info {
	out := []Info{}
	for _, name := range slices.Sorted(maps.Keys(s.named)) {
		if n := s.named[name]; n.mayUse(project) {
			out = append(out, Info{name, n.Endpoint, n.Region, n.Bucket, n.Read, n.Write})
		}
	}
	return out
}

func (n named) mayUse(project string) bool {
	return len(n.Projects) == 0 || slices.Contains(n.Projects, project)
}

// Check implements images.Buckets.
func (s *Set) Check(project string, at images.BucketObject, keys images.BucketKeys) error {
	return s.check(project, at, keys, false)
}

// CheckWrite is Check for objects that are to be written.
func (s *Set) CheckWrite(project string, at images.BucketObject, keys images.BucketKeys) error {
	return s.check(project, at, keys, true)
}

func (s *Set) check(project string, at images.BucketObject, keys images.BucketKeys, write bool) error {
	if !ValidKey(at.Object) {
		return kuva.E(kuva.CodeInvalid, "bucket.bad_object")
	}
	if at.Name != "" {
		n, ok := s.named[at.Name]
		switch {
		case at.Endpoint != "" || at.Bucket != "" || at.Region != "" || at.Style != "" || keys != (images.BucketKeys{}):
			return kuva.E(kuva.CodeInvalid, "bucket.name_or_endpoint")
		case !ok || !n.mayUse(project):
			return notFound(at.Name)
		case write && !n.Write:
			return kuva.E(kuva.CodeForbidden, "bucket.read_only", "bucket", at.Name)
		case !write && !n.Read:
			return kuva.E(kuva.CodeForbidden, "bucket.write_only", "bucket", at.Name)
		}
		return nil
	}
	if s.web == nil {
		return kuva.E(kuva.CodeForbidden, "bucket.off")
	}
	if err := s.web.Check(at.Endpoint); err != nil {
		return err
	}
	u, err := url.Parse(at.Endpoint)
	if err != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return kuva.E(kuva.CodeInvalid, "bucket.bad_endpoint")
	}
	if !bucketPattern.MatchString(at.Bucket) || !regionPattern.MatchString(at.Region) || !slices.Contains(styles, at.Style) {
		return kuva.E(kuva.CodeInvalid, "bucket.bad_bucket")
	}
	if (keys.Access == "") != (keys.Secret == "") || len(keys.Access)+len(keys.Secret)+len(keys.Session) > 8<<10 || !printable(keys.Access+keys.Secret+keys.Session) {
		return kuva.E(kuva.CodeInvalid, "bucket.bad_keys")
	}
	return nil
}

var (
	bucketPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	regionPattern = regexp.MustCompile(`^[a-z0-9-]{0,64}$`)
)

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

// ValidKey reports whether an object may have a name: it is a key of S3 that
// means the same in a path, and leaves room for its manifest's.
func ValidKey(key string) bool {
	if key == "" || len(key) > 1024-len(ManifestSuffix) || !utf8.ValidString(key) || strings.HasPrefix(key, "/") || strings.HasSuffix(key, "/") {
		return false
	}
	for _, part := range strings.Split(key, "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return !strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' })
}

func notFound(name string) error {
	return kuva.E(kuva.CodeNotFound, "bucket.not_found", "bucket", name)
}

// Bucket makes the client for one object's bucket, after the checks of Check or
// CheckWrite. It asks nobody. Close it.
func (s *Set) Bucket(project string, at images.BucketObject, keys images.BucketKeys, write bool) (*Bucket, error) {
	if err := s.check(project, at, keys, write); err != nil {
		return nil, err
	}
	c := connection{region: at.Region, style: at.Style, keys: keys}
	f := s.web
	b := &Bucket{bucket: at.Bucket, label: at.Bucket, log: s.log}
	if n, ok := s.named[at.Name]; ok && at.Name != "" {
		c = connection{endpoint: n.endpoint, region: n.Region, style: n.Style, keys: n.Keys}
		f, b.bucket, b.prefix, b.label = n.fetcher, n.Bucket, n.Prefix, at.Name
	} else {
		var err error
		if c.endpoint, err = url.Parse(at.Endpoint); err != nil {
			return nil, kuva.E(kuva.CodeInvalid, "bucket.bad_endpoint")
		}
		b.strange = func(ctx context.Context, begun time.Time, why error) error {
			if b.carry.answered.Load() {
				return kuva.E(kuva.CodeUnavailable, "bucket.broken", "bucket", b.label).Because(errors.New(told(why)))
			}
			return f.Fail(ctx, begun, c.endpoint.Hostname(), errors.New(told(why)))
		}
	}
	bound, err := f.Bind(c.endpoint.Scheme+"://"+c.endpoint.Host, append(families(c.endpoint.Hostname()), c.endpoint.Hostname())...)
	if err != nil {
		return nil, err
	}
	b.carry = &carrier{Bound: bound, amazon: len(families(c.endpoint.Hostname())) > 0}
	if err := b.connect(c); err != nil {
		return nil, kuva.E(kuva.CodeInvalid, "bucket.bad_endpoint").Because(err)
	}
	return b, nil
}

// carrier sees the answers go by.
type carrier struct {
	*fetch.Bound
	amazon   bool
	answered atomic.Bool // somebody who speaks HTTP is there
	encrypts atomic.Bool // tags need not be digests
}

// RoundTrip implements http.RoundTripper.
func (c *carrier) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := c.Bound.RoundTrip(req)
	if err != nil {
		return res, err
	}
	if h := res.Header; h.Get("X-Amz-Request-Id") != "" || strings.Contains(h.Get("Content-Type"), "xml") || res.StatusCode < 300 {
		c.answered.Store(true)
	}
	if how := res.Header.Get(headerSealed); how != "" && (how != "AES256" || !c.amazon) {
		c.encrypts.Store(true)
	}
	return res, nil
}

// Open implements images.Buckets.
func (s *Set) Open(ctx context.Context, project string, at images.BucketObject, keys images.BucketKeys) (*images.BucketContent, error) {
	b, err := s.Bucket(project, at, keys, false)
	if err != nil {
		return nil, err
	}
	c, err := b.content(ctx, at.Object)
	if err != nil {
		b.Close()
		return nil, err
	}
	c.ReadCloser = &closing{c.ReadCloser, b}
	return c, nil
}

// content looks at the object and its manifest, and begins to read.
func (b *Bucket) content(ctx context.Context, key string) (*images.BucketContent, error) {
	o, err := b.Stat(ctx, key)
	if err != nil {
		return nil, err
	}
	m, err := b.manifest(ctx, key)
	if err != nil {
		return nil, err
	}
	if m != nil && m.Size != o.Size {
		m = nil // of what was there before
	}
	r, err := b.Read(ctx, o)
	if err != nil {
		return nil, err
	}
	return &images.BucketContent{ReadCloser: r, Size: o.Size, Manifest: m}, nil
}

// manifest reads what lies beside an object; nil where nothing does, or
// nothing of ours.
func (b *Bucket) manifest(ctx context.Context, key string) (*images.Manifest, error) {
	o, err := b.Stat(ctx, key+ManifestSuffix)
	if err != nil {
		if kuva.CodeOf(err) == kuva.CodeConflict { // none, or none that these keys may see
			err = nil
		}
		return nil, err
	}
	if o.Size > images.MaxManifest {
		return nil, nil
	}
	r, err := b.Read(ctx, o)
	if err != nil {
		return nil, err
	}
	defer r.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return images.ParseManifest(text), nil
}

type closing struct {
	io.ReadCloser
	b *Bucket
}

func (c *closing) Close() error {
	err := c.ReadCloser.Close()
	c.b.Close()
	return err
}

// Objects lists objects of a configured bucket that a project may read.
func (s *Set) Objects(ctx context.Context, project, name, prefix, marker string, limit int) ([]Object, bool, error) {
	n, ok := s.named[name]
	if !ok || !n.mayUse(project) {
		return nil, false, notFound(name)
	}
	b, err := s.Bucket(project, images.BucketObject{Name: name, Object: "list"}, images.BucketKeys{}, !n.Read)
	if err != nil {
		return nil, false, err
	}
	defer b.Close()
	return b.List(ctx, prefix, marker, limit)
}
