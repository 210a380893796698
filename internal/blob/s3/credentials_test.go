package s3

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kuva/internal/blob"
	"kuva/internal/testkit/s3server"
)

// TestCredentials holds where keys may come from, that a file's new keys are
// taken without a restart, and that no text shows a secret.
func TestCredentials(t *testing.T) {
	const secret = "a-very-secret-key"
	path := filepath.Join(t.TempDir(), "credentials")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# mine\n[default]\naws_access_key_id=one\naws_secret_access_key = " + secret + "\n[other]\naws_access_key_id=no\n")
	f := &credentialsFile{path: path}
	if v, err := f.Retrieve(); err != nil || v.AccessKeyID != "one" || v.SecretAccessKey != secret || f.IsExpired() {
		t.Errorf("%q, %v", v.AccessKeyID, err)
	}
	write("aws_access_key_id = two\naws_secret_access_key = other\n")
	f.at = f.at.Add(-2 * time.Minute)
	if v, err := f.Retrieve(); err != nil || v.AccessKeyID != "two" {
		t.Errorf("after a change %q, %v", v.AccessKeyID, err)
	}
	write("gone " + secret)
	if v, err := f.Retrieve(); err != nil || v.AccessKeyID != "two" {
		t.Errorf("while it cannot be read %q, %v", v.AccessKeyID, err)
	}
	if _, err := Open(Config{Bucket: "b", CredentialsFile: path}); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("a file without keys: %v", err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	if _, err := Open(Config{Bucket: "b"}); err == nil || !strings.Contains(err.Error(), "AWS_ACCESS_KEY_ID") {
		t.Errorf("without any keys: %v", err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "env")
	t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
	if _, err := Open(Config{Bucket: "b"}); err != nil {
		t.Error(err)
	}
	if text := fmt.Sprintf("%v %+v %#v", Config{SecretKey: secret}, Config{SecretKey: secret}, Config{SecretKey: secret}); strings.Contains(text, secret) {
		t.Errorf("a printed configuration shows the secret: %s", text)
	}
}

// FuzzParseCredentials holds that whatever the file is, keys come whole or an
// error comes.
func FuzzParseCredentials(f *testing.F) {
	for _, text := range []string{"", "[default]\naws_access_key_id = a\naws_secret_access_key = b\n", "aws_access_key_id=a", "[a]\n[b]\n=\n", "\x00=\n["} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := parseCredentials(text)
		if err == nil && (v.AccessKeyID == "" || v.SecretAccessKey == "") || err != nil && (v.AccessKeyID != "" || v.SecretAccessKey != "") {
			t.Errorf("%+v, %v", v, err)
		}
	})
}

// TestVirtualStyle asks the bucket by a name of its own.
func TestVirtualStyle(t *testing.T) {
	srv := s3server.StartWith(t, s3server.Config{Domain: "s3.kuva.test"})
	cfg := config(t, srv)
	address := strings.TrimPrefix(srv.Endpoint, "http://")
	cfg.Endpoint, cfg.PathStyle = "http://s3.kuva.test", false
	s := open(t, cfg)
	var asked []string
	s.transport.DialContext = func(ctx context.Context, network, name string) (net.Conn, error) {
		asked = append(asked, name)
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	if err := blob.Put(ctx, s, "a/b", []byte("virtual")); err != nil {
		t.Fatal(err)
	}
	if b, err := blob.Get(ctx, s, "a/b", 100); err != nil || string(b) != "virtual" {
		t.Errorf("%q, %v", b, err)
	}
	if len(asked) == 0 || asked[0] != cfg.Bucket+".s3.kuva.test:80" {
		t.Errorf("asked %v", asked)
	}
	if _, err := os.Stat(filepath.Join(srv.Folder(cfg.Bucket), cfg.Prefix, "a", "b")); err != nil {
		t.Error(err)
	}
}
