package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// newTransport makes the store's own transport. The environment's http_proxy
// means nothing to it.
func (c *Config) newTransport() (*http.Transport, error) {
	t := &http.Transport{
		DialContext:           dialer(c.Stall),
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       c.Stall,
		MaxIdleConns:          256,
		MaxIdleConnsPerHost:   256,
		DisableCompression:    true,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
		WriteBufferSize:       64 << 10,
		ReadBufferSize:        64 << 10,
	}
	if c.CAFile == "" {
		return t, nil
	}
	text, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("authorities to trust: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("there is no certificate in %s: it should hold PEM text", c.CAFile)
	}
	t.TLSClientConfig.RootCAs = pool
	return t, nil
}

// dialer gives connections that fail when no byte moves for as long as stall:
// a peer that went away without a word holds nobody up for ever.
func dialer(stall time.Duration) func(context.Context, string, string) (net.Conn, error) {
	d := &net.Dialer{Timeout: min(stall, 10*time.Second), KeepAlive: 30 * time.Second}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &movingConn{c, stall}, nil
	}
}

type movingConn struct {
	net.Conn
	stall time.Duration
}

// Both directions get new time: while a long body is sent nothing is read.
func (c *movingConn) Read(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *movingConn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// strict refuses an answer of 2xx that is no S3 service's: a proxy's page,
// which the client would take for a listing of nothing or a delete.
type strict struct{ http.RoundTripper }

func (t strict) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := t.RoundTripper.RoundTrip(r)
	if err != nil || res.StatusCode/100 != 2 {
		return res, err
	}
	q := r.URL.Query()
	inXML := r.Method == http.MethodPost || r.Method == http.MethodGet && (q.Has("list-type") || q.Has("uploads"))
	if kind := res.Header.Get("Content-Type"); inXML && !strings.Contains(kind, "xml") || strings.HasPrefix(kind, "text/html") {
		_ = res.Body.Close()
		return nil, fmt.Errorf("%w: it is of the kind %q", errWrongAnswer, kind)
	}
	return res, nil
}
