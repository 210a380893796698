package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"kuva"
)

// Open asks for the content at an address and returns it as it comes. The
// context holds until the reader is closed.
//
// Everything that goes wrong out there (no such name, a forbidden address,
// refused, silent, not found, too many redirects) is one error, CodeInvalid,
// told after the same time, so that nobody learns from it what answers where
// inside the operator's network; the log has the cause. Reading fails with
// CodeUnavailable where the content broke off and could not be resumed, and
// CodeTooLarge where it is larger than MaxSize.
func (f *Fetcher) Open(ctx context.Context, address string, opt Options) (io.ReadCloser, Info, error) {
	begun := time.Now()
	b, info, err := f.open(ctx, address, opt)
	if err == nil {
		return b, info, nil
	}
	f.logFailed(ctx, hostOf(address), err)
	if err := f.hold(ctx, begun); err != nil {
		return nil, Info{}, err
	}
	if kuva.CodeOf(err) == kuva.CodeTooLarge {
		return nil, Info{}, err
	}
	return nil, Info{}, failed(quiet(err))
}

// logFailed tells the operator why an address could not be opened.
func (f *Fetcher) logFailed(ctx context.Context, host string, why error) {
	f.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "fetch failed", slog.String("host", host), slog.String("error", quiet(why).Error()))
}

// hold waits until a failure that began so may be told: always after the same
// time, or a multiple of it.
func (f *Fetcher) hold(ctx context.Context, begun time.Time) error {
	wait := time.NewTimer(f.cfg.Failure - time.Since(begun)%f.cfg.Failure)
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (f *Fetcher) open(ctx context.Context, address string, opt Options) (*body, Info, error) {
	origin, err := f.cfg.parse(address)
	if err != nil {
		return nil, Info{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, f.cfg.Total, errors.New("took longer than allowed in all"))
	b := &body{f: f, ctx: ctx, cancel: cancel, origin: origin, opt: opt}
	if err := b.begin(); err != nil {
		cancel()
		return nil, Info{}, err
	}
	return b, Info{Version: b.version, Ranges: b.ranges}, nil
}

// get follows redirects from origin to an answer that is not one. Each hop is
// checked like the first; only hops to origin get the caller's header.
func (f *Fetcher) get(ctx context.Context, origin *url.URL, own, more http.Header) (*http.Response, error) {
	u := origin
	for hop := 0; ; hop++ {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return nil, err
		}
		if sameOrigin(u, origin) {
			for name, values := range own {
				req.Header[name] = values
			}
		}
		for name, values := range more {
			req.Header[name] = values
		}
		req.Header.Set("Accept-Encoding", "identity")
		req.Header.Set("User-Agent", "kuva")
		res, err := f.client.Do(req)
		if err != nil {
			return nil, err
		}
		switch res.StatusCode {
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		default:
			return res, nil
		}
		_ = res.Body.Close()
		if hop == f.cfg.Redirects {
			return nil, errors.New("too many redirects")
		}
		if u, err = f.next(u, res.Header.Get("Location")); err != nil {
			return nil, fmt.Errorf("redirect: %w", err)
		}
	}
}

// next is where a redirect leads to.
func (f *Fetcher) next(from *url.URL, location string) (*url.URL, error) {
	if location == "" {
		return nil, errors.New("leads nowhere")
	}
	for _, r := range location {
		if r <= ' ' || r >= 0x7f || r == '\\' {
			return nil, errors.New("holds characters that no address has")
		}
	}
	if len(location) > maxURL {
		return nil, errors.New("longer than 8 KiB")
	}
	to, err := from.Parse(location)
	if err != nil {
		return nil, errors.New("malformed")
	}
	if from.Scheme == "https" && to.Scheme != "https" && !f.cfg.Downgrade {
		return nil, errors.New("leads from https to " + to.Scheme)
	}
	return to, f.cfg.check(to)
}

// begin takes the first answer.
func (b *body) begin() error {
	ctx, stop := context.WithCancel(b.ctx)
	res, err := b.f.get(ctx, b.origin, b.opt.Header, nil)
	if err != nil {
		stop()
		return err
	}
	err = plain(res)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", res.StatusCode)
	}
	if err == nil && b.opt.MaxSize >= 0 && res.ContentLength > b.opt.MaxSize {
		err = kuva.E(kuva.CodeTooLarge, "fetch.too_large", "limit", b.opt.MaxSize)
	}
	if err != nil {
		_ = res.Body.Close()
		stop()
		return err
	}
	b.in, b.stop = res.Body, stop
	b.version, b.end = Version{Size: res.ContentLength, Tag: tagOf(res)}, res.ContentLength
	b.ranges = b.version.Tag != "" && b.version.Size >= 0 && strings.EqualFold(strings.TrimSpace(res.Header.Get("Accept-Ranges")), "bytes")
	return nil
}

// plain refuses encodings: the bytes that are counted and checked are those
// that are kept.
func plain(res *http.Response) error {
	if e := res.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return fmt.Errorf("content encoding %.20q", e)
	}
	return nil
}

// again asks for the rest of the stretch from off. What comes must be the same
// content from that byte on, or nothing.
func (b *body) again(off int64) error {
	more := http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", off, b.end-1)}, "If-Range": {b.version.Tag}}
	ctx, stop := context.WithCancel(b.ctx)
	// From the beginning, because what a redirect led to may be of limited use.
	res, err := b.f.get(ctx, b.origin, b.opt.Header, more)
	if err != nil {
		stop()
		return err
	}
	err = plain(res)
	want := fmt.Sprintf("bytes %d-%d/%d", off, b.end-1, b.version.Size)
	tag := tagOf(res)
	switch got := res.Header.Get("Content-Range"); {
	case err != nil:
	case res.StatusCode/100 == 2 && tag != "" && tag != b.version.Tag:
		err = errChanged
	case res.StatusCode != http.StatusPartialContent:
		err = fmt.Errorf("status %d for a range", res.StatusCode)
	case got != want:
		err = fmt.Errorf("range %.80q, not %q", got, want)
	case tag != b.version.Tag:
		err = errors.New("no tag with a range")
	}
	if err != nil {
		_ = res.Body.Close()
		stop()
		return err
	}
	b.in, b.stop = res.Body, stop
	return nil
}

// quiet takes the address out of errors of net/http: its query may be a
// secret.
func quiet(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// hostOf is what the log is told of an address.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || len(u.Host) > 255 {
		return "?"
	}
	return u.Hostname()
}
