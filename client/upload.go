package client

import (
	"context"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"kuva/api"
)

// UploadOptions say more about an upload.
type UploadOptions struct {
	// Size is how many bytes come, -1 if that is not known.
	Size int64
	// Progress is called with the bytes sent so far, from another goroutine
	// than the caller's. nil is fine.
	Progress func(sent int64)
}

// LastFailure is the property in which a kuva says why an upload failed.
const LastFailure = "kuva_last_failure"

// Upload fills a queued image with content and returns the image as it is then. It
// is compared with the bytes sent: ErrDiffers where size or digest differ. On
// any error the image stays queued, and may be filled again. Where the
// connection broke, the error is what the service noted as the reason, if it
// did.
//
// A service whose digest is not SHA-512 is believed about its digest, unless
// content is an io.Seeker, which is read again then.
func (c *Client) Upload(ctx context.Context, id string, content io.Reader, opt UploadOptions) (api.Image, error) {
	body := &outgoing{from: content, progress: opt.Progress}
	sum := sha512.New()
	body.sum = sum
	err := c.put(ctx, id, body, opt.Size)
	if err != nil {
		return api.Image{}, fmt.Errorf("upload to image %s: %w", id, c.whyFailed(ctx, id, err))
	}
	img, err := c.Show(ctx, id)
	if err != nil {
		return img, fmt.Errorf("the content was sent, but: %w", err)
	}
	sent := body.sent.Load()
	switch {
	case img.Size >= 0 && img.Size != sent:
		err = fmt.Errorf("%w: %d bytes were sent, it has %d", ErrDiffers, sent, img.Size)
	case strings.EqualFold(img.HashAlgo, "sha512"):
		err = (&digest{"sha512", img.HashValue, sum}).check()
	default:
		err = reread(content, sent, digestOf(img))
	}
	if err != nil {
		return img, fmt.Errorf("image %s: %w", id, err)
	}
	return img, nil
}

// put sends the content.
func (c *Client) put(ctx context.Context, id string, body *outgoing, size int64) error {
	resp, err := c.send(ctx, func() bool { return body.sent.Load() == 0 }, func() (*http.Request, error) {
		var r io.Reader = body
		if size == 0 {
			r = http.NoBody
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, c.contentURL(id), r)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Content-Type", "application/octet-stream")
		req.Header.Set("Expect", "100-continue")
		if size >= 0 {
			req.ContentLength = size
			req.Header.Set("X-Openstack-Image-Size", strconv.FormatInt(size, 10))
		}
		return req, nil
	})
	if err != nil {
		if readErr := body.failed(); readErr != nil { // our side's fault
			return readErr
		}
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return refused(resp)
	}
	return nil
}

// whyFailed asks the image for the reason where the service did not answer.
func (c *Client) whyFailed(ctx context.Context, id string, err error) error {
	var said *Error
	if errors.As(err, &said) || ctx.Err() != nil || errors.Is(err, errRead) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for {
		img, showErr := c.Show(ctx, id)
		if showErr != nil {
			return err
		}
		if img.Status != "saving" { // else it has not noticed yet
			if why := printable(img.Properties[LastFailure]); why != "" {
				return fmt.Errorf("%s (%w)", why, err)
			}
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// reread compares a digest that was not taken on the way.
func reread(content io.Reader, sent int64, d *digest) error {
	s, ok := content.(io.Seeker)
	if !ok || d == nil {
		return nil
	}
	if _, err := s.Seek(-sent, io.SeekCurrent); err != nil {
		return nil // a pipe; it can be read once only
	}
	if _, err := io.CopyN(d.hash, content, sent); err != nil {
		return fmt.Errorf("read the content again: %w", err)
	}
	return d.check()
}

var errRead = errors.New("read the content")

// outgoing hashes and counts what the transport reads.
type outgoing struct {
	from     io.Reader
	sum      io.Writer
	progress func(int64)
	sent     atomic.Int64
	err      atomic.Pointer[error]
}

func (o *outgoing) Read(p []byte) (int, error) {
	n, err := o.from.Read(p)
	_, _ = o.sum.Write(p[:n]) // hashes do not fail
	sent := o.sent.Add(int64(n))
	if o.progress != nil && n > 0 {
		o.progress(sent)
	}
	if err != nil && err != io.EOF {
		err = fmt.Errorf("%w: %w", errRead, err)
		o.err.Store(&err)
	}
	return n, err
}

func (o *outgoing) failed() error {
	if p := o.err.Load(); p != nil {
		return *p
	}
	return nil
}
