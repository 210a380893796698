package server

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"kuva"
	"kuva/internal/identity"
	"kuva/internal/images"
	"kuva/internal/rest"
)

// Config says how the service runs. Data is needed; the rest has defaults.
// The YAML file and the environment (KUVA_ and the name in capitals, as
// KUVA_LISTEN) use the names of the tags; flags go before the environment,
// the environment before the file.
type Config struct {
	// Data is the folder that the service owns: database, store, keys.
	Data string `yaml:"data"`
	// Listen is host:port [127.0.0.1:9292].
	Listen string `yaml:"listen"`
	// PublicURL is the address that clients use, where it is another than
	// the listener's, e.g. behind a proxy: https://images.example.org.
	PublicURL string `yaml:"public_url"`
	// TLSCert and TLSKey are PEM files; with both the listener speaks TLS.
	TLSCert string `yaml:"tls_cert"`
	TLSKey  string `yaml:"tls_key"`
	// InsecureHTTP lets a listener that is neither loopback nor TLS start.
	InsecureHTTP bool `yaml:"insecure_http"`
	// Database is sqlite:PATH or postgres://… [sqlite: in Data].
	Database string `yaml:"database"`
	// Store is a folder, or s3://BUCKET/PREFIX [store in Data]. Nodes share it.
	Store string `yaml:"store"`
	// S3 says how Store's bucket is reached.
	S3 S3Config `yaml:"s3"`
	// CacheSize is how many bytes of a bucket's packs this node keeps in Data
	// [1 GiB], below 0 none.
	CacheSize int64 `yaml:"cache_size"`
	// Keys is the folder of the wrapping keys [keys in Data]. Nodes share it.
	Keys string `yaml:"keys"`
	// HashAlgo is the second digest of new images: sha512 or sha256.
	HashAlgo string `yaml:"hash_algo"`
	// TokenTTL is how long a token lives [1h].
	TokenTTL Duration `yaml:"token_ttl"`
	// CollectEvery is the time between two cycles of the collector [1h].
	CollectEvery Duration `yaml:"collect_every"`
	// Quota is in force for projects that the operator gave no other.
	Quota QuotaConfig `yaml:"quota"`
	// Import says what content may be fetched, and from where.
	Import ImportConfig `yaml:"import"`
	// Peers are other regions that images are sent to, by name.
	Peers map[string]PeerConfig `yaml:"peers"`
	// Buckets are the operator's S3 buckets that users may import from and
	// export to, by name.
	Buckets map[string]BucketConfig `yaml:"buckets"`
	// Terms are what people accept before they send content by the portal or the
	// kuva command.
	Terms TermsConfig `yaml:"terms"`
	// Catalogue is a file that lists images to be imported by name; a relative
	// path begins at the data folder.
	Catalogue string `yaml:"catalogue"`
	// Links are addresses that are good without a token.
	Links LinksConfig `yaml:"links"`
	// Uploads says what holds for content that comes in parts.
	Uploads UploadsConfig `yaml:"uploads"`
	// Formats are what images may be.
	Formats FormatsConfig `yaml:"formats"`
	// Inspect says what is made of what is inside images.
	Inspect InspectConfig `yaml:"inspect"`
	// Identity says who keeps the users.
	Identity IdentityConfig `yaml:"identity"`
	// Policy is a file with rules in the language of oslo.policy that are to
	// hold instead of kuva's own; a relative path begins at the data folder.
	Policy string `yaml:"policy"`
	// CORSOrigins are the origins whose pages may call, such as
	// https://cloud.example.org; * is all [none].
	CORSOrigins []string `yaml:"cors_origins"`
	// LogFormat is text or json [text].
	LogFormat string `yaml:"log_format"`
}

// QuotaConfig is the site's default quota. 0 keeps kuva's own default, below 0
// is unlimited.
type QuotaConfig struct {
	Images      int64 `yaml:"images"`
	Bytes       int64 `yaml:"bytes"`
	ImageSize   int64 `yaml:"image_size"`
	VirtualSize int64 `yaml:"virtual_size"`
	Uploads     int64 `yaml:"uploads"`
}

// FormatsConfig lists the formats that are accepted, by the Image API's names.
// What is left out is all of the Image API, for a project what holds for the
// site.
type FormatsConfig struct {
	Disk      []string `yaml:"disk"`
	Container []string `yaml:"container"`
	// Projects have lists of their own, by their ids.
	Projects map[string]ProjectFormatsConfig `yaml:"projects"`
}

// ProjectFormatsConfig is what one project may send.
type ProjectFormatsConfig struct {
	Disk      []string `yaml:"disk"`
	Container []string `yaml:"container"`
}

func (f FormatsConfig) formats() (site images.Formats, projects map[string]images.Formats, err error) {
	site = images.Formats{Disk: f.Disk, Container: f.Container}
	if err := site.Check(); err != nil {
		return site, nil, fmt.Errorf("formats: %w", err)
	}
	projects = map[string]images.Formats{}
	for id, p := range f.Projects {
		own := images.Formats{Disk: p.Disk, Container: p.Container}
		if err := own.Check(); err != nil {
			return site, nil, fmt.Errorf("formats of project %s: %w", id, err)
		}
		projects[id] = own
	}
	return site, projects, nil
}

func (q QuotaConfig) quota() kuva.Quota {
	out := kuva.DefaultQuota
	for _, v := range []struct {
		to   *int64
		from int64
	}{{&out.Images, q.Images}, {&out.Bytes, q.Bytes}, {&out.ImageSize, q.ImageSize}, {&out.VirtualSize, q.VirtualSize}, {&out.Uploads, q.Uploads}} {
		if v.from != 0 {
			*v.to = v.from
		}
	}
	return out
}

// Duration is a time.Duration that is written as "1h30m".
type Duration time.Duration

// UnmarshalYAML implements the decoder's interface.
func (d *Duration) UnmarshalYAML(b []byte) error {
	var s string
	if err := yaml.Unmarshal(b, &s); err != nil {
		return err
	}
	v, err := time.ParseDuration(s)
	if err != nil || v <= 0 {
		return fmt.Errorf("%q is not a time such as 90s or 1h30m", s)
	}
	*d = Duration(v)
	return nil
}

// LoadConfig reads the YAML file (none for "") and lays the environment over
// it. Errors name line and column.
func LoadConfig(path string, getenv func(string) string) (Config, error) {
	var c Config
	if path != "" {
		b, err := os.ReadFile(path)
		if err != nil {
			return c, err
		}
		d := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict())
		if err := d.Decode(&c); err != nil && len(bytes.TrimSpace(b)) > 0 {
			return c, fmt.Errorf("%s: %s", path, yaml.FormatError(err, false, true))
		}
	}
	c.Identity.Secret = identity.Secret(getenv("KUVA_IDENTITY_SECRET"))
	for name, to := range map[string]*string{
		"KUVA_DATA": &c.Data, "KUVA_LISTEN": &c.Listen, "KUVA_PUBLIC_URL": &c.PublicURL, "KUVA_TLS_CERT": &c.TLSCert,
		"KUVA_TLS_KEY": &c.TLSKey, "KUVA_DATABASE": &c.Database, "KUVA_STORE": &c.Store, "KUVA_KEYS": &c.Keys, "KUVA_HASH_ALGO": &c.HashAlgo, "KUVA_LOG_FORMAT": &c.LogFormat,
	} {
		if v := getenv(name); v != "" {
			*to = v
		}
	}
	for name, to := range map[string]*Duration{"KUVA_TOKEN_TTL": &c.TokenTTL, "KUVA_COLLECT_EVERY": &c.CollectEvery} {
		if v := getenv(name); v != "" {
			if err := to.UnmarshalYAML([]byte(v)); err != nil {
				return c, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return c, nil
}

// fill sets the defaults and refuses what cannot be meant.
func (c *Config) fill() error {
	if c.Data == "" {
		return errors.New("say where the data are to be kept: --data DIR")
	}
	abs, err := filepath.Abs(c.Data)
	if err != nil {
		return err
	}
	c.Data = abs
	if c.Listen == "" {
		c.Listen = "127.0.0.1:9292"
	}
	if c.Database == "" {
		c.Database = "sqlite:" + filepath.Join(c.Data, "kuva.db")
	}
	if err := c.checkStore(); err != nil {
		return err
	}
	if c.CollectEvery == 0 {
		c.CollectEvery = Duration(time.Hour)
	}
	if c.HashAlgo == "" {
		c.HashAlgo = kuva.DefaultHashAlgo
	}
	if c.HashAlgo != "sha512" && c.HashAlgo != "sha256" {
		return fmt.Errorf("hash_algo is %q: choose sha512 or sha256", c.HashAlgo)
	}
	imports, err := c.Import.imports(nil)
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	if _, err := c.buckets(imports.Web, nil); err != nil {
		return err
	}
	if _, err := c.Inspect.inspection(); err != nil {
		return fmt.Errorf("inspect: %w", err)
	}
	if _, _, err := c.Formats.formats(); err != nil {
		return err
	}
	if err := c.Links.check(); err != nil {
		return err
	}
	if err := c.Uploads.check(); err != nil {
		return err
	}
	if err := rest.CheckOrigins(c.CORSOrigins); err != nil {
		return fmt.Errorf("cors_origins: %w", err)
	}
	if c.LogFormat != "" && c.LogFormat != "text" && c.LogFormat != "json" {
		return fmt.Errorf("log_format is %q: choose text or json", c.LogFormat)
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("TLS needs both --tls-cert and --tls-key")
	}
	if c.PublicURL != "" {
		u, err := url.Parse(c.PublicURL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			return fmt.Errorf("public URL %q: write it as https://HOST or https://HOST/PATH", c.PublicURL)
		}
		c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	}
	return c.checkListener()
}

// checkListener refuses to send passwords and tokens in the clear over a
// network unless the operator says so.
func (c *Config) checkListener() error {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("listen address %q: write it as HOST:PORT", c.Listen)
	}
	if c.TLSCert != "" || c.InsecureHTTP || host == "localhost" {
		return nil
	}
	if a, err := netip.ParseAddr(host); err == nil && a.IsLoopback() {
		return nil
	}
	return fmt.Errorf("%s is reachable from other machines and speaks no TLS: give --tls-cert and --tls-key, or say --insecure-http if something before it speaks TLS", c.Listen)
}

// The places inside the data folder.
func (c *Config) storeDir() string   { return c.inData(cmp.Or(c.Store, "store")) }
func (c *Config) keyDir() string     { return c.inData(cmp.Or(c.Keys, "keys")) }
func (c *Config) cloudsFile() string { return filepath.Join(c.Data, "clouds.yaml") }
func (c *Config) draftFile() string  { return filepath.Join(c.Data, "clouds.yaml.first") }
func (c *Config) nodeFile() string   { return filepath.Join(c.Data, "node") }
func (c *Config) lockFile() string   { return filepath.Join(c.Data, "serve.lock") }

// makeData makes the data folder, durable and for the owner alone.
func (c *Config) makeData() error {
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	for dir := c.Data; ; dir = filepath.Dir(dir) {
		if err := syncDir(dir); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	// Some file systems refuse to sync folders that they keep in memory.
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrInvalid) {
		return err
	}
	return nil
}
