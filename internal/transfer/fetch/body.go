package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"time"

	"kuva"
)

// body is content as it comes. It is used by one goroutine.
type body struct {
	f      *Fetcher
	ctx    context.Context //nolint:containedctx // of the one transfer
	cancel context.CancelFunc
	origin *url.URL
	opt    Options

	size int64  // -1 unknown
	etag string // "" where the content cannot be resumed

	in   io.ReadCloser      // of the newest answer
	stop context.CancelFunc // its request's

	off     int64 // bytes handed out
	fails   int   // in a row
	err     error // that ended it
	waited  time.Duration
	arrived int64 // in the window of waited
}

// Read implements io.Reader. A connection that breaks off is followed by
// another where the server gave the content a strong tag and a length.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	for {
		n, err := b.read(p)
		b.off += int64(n)
		if b.opt.MaxSize >= 0 && b.off > b.opt.MaxSize {
			b.err = kuva.E(kuva.CodeTooLarge, "fetch.too_large", "limit", b.opt.MaxSize)
			return 0, b.err
		}
		if n > 0 {
			b.fails = 0
		}
		if err == nil {
			return n, nil
		}
		if errors.Is(err, io.EOF) && (b.size < 0 || b.off == b.size) {
			b.err = io.EOF
			return n, io.EOF
		}
		if b.err = b.resume(err); b.err != nil || n > 0 {
			return n, b.err
		}
	}
}

// resume opens the rest of the content, or says why it cannot.
func (b *body) resume(why error) error {
	b.end()
	for {
		if b.ctx.Err() != nil {
			return broken(context.Cause(b.ctx))
		}
		if b.fails++; b.size < 0 || b.etag == "" || b.off >= b.size || b.fails > b.f.cfg.Resumes {
			b.f.cfg.Log.LogAttrs(b.ctx, slog.LevelWarn, "fetch broke off", slog.String("host", b.origin.Hostname()),
				slog.Int64("at", b.off), slog.Int64("size", b.size), slog.String("error", quiet(why).Error()))
			return broken(quiet(why))
		}
		b.f.cfg.Log.LogAttrs(b.ctx, slog.LevelInfo, "fetch goes on", slog.String("host", b.origin.Hostname()),
			slog.Int64("from", b.off), slog.String("error", quiet(why).Error()))
		pause := time.NewTimer(min(time.Duration(b.fails)*time.Second, b.f.cfg.Idle) / 2)
		select {
		case <-pause.C:
		case <-b.ctx.Done():
			pause.Stop()
			continue
		}
		if why = b.again(b.off); why == nil {
			b.waited, b.arrived = 0, 0
			return nil
		}
	}
}

// read is one Read of the connection within the limits of time. Only waiting
// for the other side counts: how long the bytes take from here on is not its
// fault.
func (b *body) read(p []byte) (int, error) {
	idle := time.AfterFunc(b.f.cfg.Idle, b.stop)
	begun := time.Now()
	n, err := b.in.Read(p)
	if !idle.Stop() && err != nil && b.ctx.Err() == nil {
		err = fmt.Errorf("no byte came for %v", b.f.cfg.Idle)
	}
	b.waited += time.Since(begun)
	b.arrived += int64(n)
	if b.waited >= b.f.cfg.Window {
		rate := float64(b.arrived) / b.waited.Seconds()
		if rate < float64(b.f.cfg.MinRate) && !errors.Is(err, io.EOF) {
			b.etag = "" // who is slow now is slow after another request, too
			return n, fmt.Errorf("only %.0f bytes a second came", rate)
		}
		b.waited, b.arrived = 0, 0
	}
	return n, err
}

// end closes the newest answer.
func (b *body) end() {
	b.stop()
	_ = b.in.Close()
}

// Close ends the transfer.
func (b *body) Close() error {
	b.end()
	b.cancel()
	if b.err == nil {
		b.err = io.ErrClosedPipe
	}
	return nil
}
