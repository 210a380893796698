package server

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"kuva/internal/images"
	"kuva/internal/transfer"
	"kuva/internal/transfer/bucket"
	"kuva/internal/transfer/fetch"
)

// BucketConfig is an S3 bucket that users import from and export to, by its
// name.
type BucketConfig struct {
	// Endpoint is https://HOST or http://HOST:PORT.
	Endpoint string `yaml:"endpoint"`
	// Region [us-east-1].
	Region string `yaml:"region"`
	Bucket string `yaml:"bucket"`
	// Prefix begins the keys of all objects; users do not see it.
	Prefix string `yaml:"prefix"`
	// PathStyle asks for ENDPOINT/BUCKET, else BUCKET.ENDPOINT [as the
	// endpoint is known for, else true].
	PathStyle *bool `yaml:"path_style"`
	// Credentials is a file as the AWS tools have it, with aws_access_key_id
	// and aws_secret_access_key. Without one the bucket is asked as nobody.
	Credentials string `yaml:"credentials"`
	// CACert is a PEM file of authorities that are trusted as well.
	CACert string `yaml:"ca_cert"`
	// Projects are the ids of those that may use it [all].
	Projects []string `yaml:"projects"`
	// Read lets users import from it [true], Write export to it [false].
	Read  *bool `yaml:"read"`
	Write bool  `yaml:"write"`
}

// buckets makes the set of buckets. web is the opener of users' addresses, nil
// where they may name none.
func (c *Config) buckets(web images.Opener, log *slog.Logger) (*bucket.Set, error) {
	configs := map[string]bucket.Config{}
	for name, b := range c.Buckets {
		one, err := b.config()
		if err != nil {
			return nil, fmt.Errorf("buckets: %s: %w", name, err)
		}
		configs[name] = one
	}
	var f *fetch.Fetcher
	if o, ok := web.(transfer.Opener); ok {
		f = o.Fetcher
	}
	set, err := bucket.New(configs, f, log)
	if err != nil {
		return nil, fmt.Errorf("buckets: %w", err)
	}
	return set, nil
}

func (b BucketConfig) config() (bucket.Config, error) {
	out := bucket.Config{
		Endpoint: b.Endpoint, Region: b.Region, Bucket: b.Bucket, Prefix: b.Prefix, Projects: b.Projects,
		Read: b.Read == nil || *b.Read, Write: b.Write,
	}
	if b.PathStyle != nil {
		out.Style = "virtual"
		if *b.PathStyle {
			out.Style = "path"
		}
	}
	var err error
	if b.Credentials != "" {
		if out.Keys, err = readKeys(b.Credentials); err != nil {
			return out, fmt.Errorf("credentials: %w", err)
		}
	}
	if b.CACert != "" {
		out.Roots, err = roots(b.CACert)
	}
	return out, err
}

// readKeys reads the first section of a credentials file. What it says of the
// file's content never repeats it.
func readKeys(path string) (keys images.BucketKeys, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return keys, err
	}
	sections := 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			if sections++; sections > 1 {
				break
			}
		}
		name, value, _ := strings.Cut(line, "=")
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "aws_access_key_id":
			keys.Access = value
		case "aws_secret_access_key":
			keys.Secret = value
		case "aws_session_token":
			keys.Session = value
		}
	}
	if keys.Access == "" || keys.Secret == "" {
		return keys, errors.New(path + " must hold the lines aws_access_key_id = … and aws_secret_access_key = …")
	}
	return keys, nil
}

// roots are the system's authorities and those of a PEM file.
func roots(path string) (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("ca_cert: %w", err)
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca_cert: %s holds no certificate", path)
	}
	return pool, nil
}
