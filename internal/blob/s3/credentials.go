package s3

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

// credentials finds who asks: the configuration's keys, its file, or the
// environment's keys.
func (c *Config) credentials() (*credentials.Credentials, error) {
	switch {
	case c.CredentialsFile != "" && c.AccessKey != "":
		return nil, errors.New("credentials: give either a file or two keys")
	case c.CredentialsFile != "":
		f := &credentialsFile{path: c.CredentialsFile}
		if _, err := f.Retrieve(); err != nil {
			return nil, fmt.Errorf("credentials: %w", err)
		}
		return credentials.New(f), nil
	case c.AccessKey != "" && c.SecretKey != "":
		return credentials.NewStaticV4(c.AccessKey, string(c.SecretKey), ""), nil
	case c.AccessKey != "" || c.SecretKey != "":
		return nil, errors.New("credentials: access key and secret key belong together")
	}
	access, secret := os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")
	if access == "" || secret == "" {
		return nil, errors.New("there are no credentials for the bucket: name a file of credentials, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	return credentials.NewStaticV4(access, secret, os.Getenv("AWS_SESSION_TOKEN")), nil
}

// credentialsFile reads a file of keys again every minute, so that keys can be
// changed without a restart. While it cannot be read the old ones stay.
type credentialsFile struct {
	path string
	last credentials.Value
	at   time.Time
}

// Retrieve implements credentials.Provider.
func (f *credentialsFile) Retrieve() (credentials.Value, error) {
	f.at = time.Now()
	text, err := os.ReadFile(f.path)
	if err == nil {
		var v credentials.Value
		if v, err = parseCredentials(text); err == nil {
			f.last = v
			return v, nil
		}
		err = fmt.Errorf("%s: %w", f.path, err)
	}
	if f.last.AccessKeyID != "" {
		return f.last, nil
	}
	return f.last, err
}

// RetrieveWithCredContext implements credentials.Provider.
func (f *credentialsFile) RetrieveWithCredContext(*credentials.CredContext) (credentials.Value, error) {
	return f.Retrieve()
}

// IsExpired implements credentials.Provider.
func (f *credentialsFile) IsExpired() bool { return time.Since(f.at) > time.Minute }

// parseCredentials reads the first section of a file as Amazon's tools write
// it; a section's head may be missing. Other names are passed over, among them
// those that would have a program run.
func parseCredentials(text []byte) (v credentials.Value, err error) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for sections := 0; lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "[") {
			if sections++; sections > 1 || v.AccessKeyID != "" {
				break
			}
		}
		name, value, _ := strings.Cut(line, "=")
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "aws_access_key_id":
			v.AccessKeyID = value
		case "aws_secret_access_key":
			v.SecretAccessKey = value
		case "aws_session_token":
			v.SessionToken = value
		}
	}
	if lines.Err() != nil || v.AccessKeyID == "" || v.SecretAccessKey == "" {
		return credentials.Value{}, errors.New("it should hold the lines aws_access_key_id = … and aws_secret_access_key = …")
	}
	v.SignerType = credentials.SignatureV4
	return v, nil
}
