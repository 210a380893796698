package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"kuva/api"
)

// DownloadOptions say more about a download. The zero value is a good one.
type DownloadOptions struct {
	// Have is what an earlier download brought: it is read and hashed, and
	// only the rest is fetched.
	Have io.Reader
	// Progress is called with the bytes that are there, those of Have
	// included.
	Progress func(done int64)
	// Retry is called before the download is taken up again after err.
	Retry func(err error)
	// Tries is how often in a row it may be taken up without one more byte
	// [6].
	Tries int
	// Pause is the wait before the first of these tries; it doubles [500 ms].
	Pause time.Duration
	// Bandwidth is how many bytes a second are taken at most. 0 is any number.
	Bandwidth int64
	// Stall is how long no byte may come before the connection counts as
	// broken [2 min].
	Stall time.Duration
}

func (o *DownloadOptions) fill() {
	if o.Tries <= 0 {
		o.Tries = 6
	}
	if o.Pause <= 0 {
		o.Pause = 500 * time.Millisecond
	}
	if o.Stall <= 0 {
		o.Stall = 2 * time.Minute
	}
	if o.Progress == nil {
		o.Progress = func(int64) {}
	}
	if o.Retry == nil {
		o.Retry = func(error) {}
	}
}

// Download writes the content of an image to w: in order, each byte once,
// whatever happens to connections meanwhile. It ends with ErrDiffers where
// size or digest are not those of img, which the caller has just read; what is
// in w then is not the image.
func (c *Client) Download(ctx context.Context, img api.Image, w io.Writer, opt DownloadOptions) error {
	opt.fill()
	if err := c.download(ctx, img, w, opt); err != nil {
		return fmt.Errorf("download image %s: %w", img.ID, err)
	}
	return nil
}

func (c *Client) download(ctx context.Context, img api.Image, w io.Writer, opt DownloadOptions) error {
	if img.Size < 0 {
		return fmt.Errorf("%w: it is %s", ErrNoContent, img.Status)
	}
	in := &incoming{ctx: ctx, to: w, sum: digestOf(img), progress: opt.Progress, size: img.Size}
	if opt.Have != nil {
		in.to = io.Discard
		if _, err := io.Copy(in, opt.Have); err != nil {
			return err
		}
		in.to = w
	}
	in.pace = newPace(opt.Bandwidth)
	for try := 0; in.done < in.size; {
		before := in.done
		err := c.fetch(ctx, img, in, opt.Stall)
		if err == nil {
			break
		}
		if !worthAnother(ctx, err) {
			return err
		}
		if in.done > before {
			try = 0
		}
		if try++; try > opt.Tries {
			return fmt.Errorf("given up after %d tries at byte %d of %d: %w", opt.Tries, in.done, in.size, err)
		}
		opt.Retry(err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(opt.Pause << min(try-1, 5)):
		}
	}
	if in.done != in.size {
		return fmt.Errorf("%w: %d bytes came, it has %d", ErrDiffers, in.done, in.size)
	}
	return in.sum.check()
}

// errStalled means that nothing came for too long.
var errStalled = errors.New("the connection brings nothing")

// fetch gets the rest once.
func (c *Client) fetch(ctx context.Context, img api.Image, in *incoming, stall time.Duration) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(stall, func() { cancel(errStalled) })
	defer watch.Stop()

	resp, err := c.send(ctx, func() bool { return true }, func() (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.contentURL(img.ID), nil)
		if err == nil && in.done > 0 {
			req.Header.Set("Range", fmt.Sprintf("bytes=%d-", in.done))
		}
		return req, err
	})
	if err != nil {
		return causeOf(ctx, err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		// A service without ranges begins anew: what is there is passed by.
		in.skip = in.done
	case http.StatusPartialContent:
		if err := sameRange(resp.Header.Get("Content-Range"), in.done, in.size); err != nil {
			return err
		}
		in.skip = 0
	case http.StatusNoContent:
		return ErrNoContent
	default:
		return refused(resp)
	}
	buf := make([]byte, 1<<20)
	for {
		n, readErr := resp.Body.Read(buf)
		watch.Reset(stall)
		if n > 0 {
			if _, err := in.Write(buf[:n]); err != nil {
				return err
			}
		}
		if readErr == io.EOF {
			if in.done < in.size {
				return io.ErrUnexpectedEOF
			}
			return nil
		}
		if readErr != nil {
			return causeOf(ctx, readErr)
		}
	}
}

// causeOf says why a context of ours was cancelled, if that is what err is.
func causeOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// sameRange holds the service to what was asked for.
func sameRange(header string, from, size int64) error {
	unit, rest, _ := strings.Cut(header, " ")
	span, total, _ := strings.Cut(rest, "/")
	first, _, _ := strings.Cut(span, "-")
	if n, err := strconv.ParseInt(first, 10, 64); unit != "bytes" || err != nil || n != from {
		return fmt.Errorf("%w: the service sent %q, asked for bytes from %d on", ErrDiffers, header, from)
	}
	if n, err := strconv.ParseInt(total, 10, 64); total != "*" && (err != nil || n != size) {
		return fmt.Errorf("%w: the service sent %q of %d bytes", ErrDiffers, header, size)
	}
	return nil
}

// worthAnother tells a broken connection or a service that restarts from a
// refusal and from our own side's faults.
func worthAnother(ctx context.Context, err error) bool {
	var said *Error
	var ours *localError
	switch {
	case ctx.Err() != nil, errors.As(err, &ours), errors.Is(err, ErrDiffers), errors.Is(err, ErrNoContent):
		return false
	case errors.As(err, &said):
		switch said.Status {
		case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return false
	}
	return true
}

// localError is a failure to write what came.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

// incoming hashes, counts and passes on what comes.
type incoming struct {
	ctx      context.Context //nolint:containedctx // of the one download
	pace     *pace           // nil while what is there already is read
	to       io.Writer
	sum      *digest
	progress func(int64)
	size     int64
	done     int64
	skip     int64 // bytes that are there already
}

func (in *incoming) Write(p []byte) (int, error) {
	all := len(p)
	if in.skip > 0 {
		n := min(in.skip, int64(len(p)))
		in.skip -= n
		p = p[n:]
	}
	if in.done+int64(len(p)) > in.size {
		return 0, fmt.Errorf("%w: more than its %d bytes came", ErrDiffers, in.size)
	}
	if _, err := in.to.Write(p); err != nil {
		return 0, &localError{err}
	}
	if in.sum != nil {
		_, _ = in.sum.hash.Write(p) // hashes do not fail
	}
	in.done += int64(len(p))
	in.progress(in.done)
	if in.pace != nil {
		return all, in.pace.wait(in.ctx, len(p))
	}
	return all, nil
}
