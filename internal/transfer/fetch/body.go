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

	version Version // Size -1 unknown; Tag "" where the content cannot be resumed
	end     int64   // of what is read, -1 unknown

	ranges bool // the server says that it has ranges

	in   io.ReadCloser      // of the newest answer
	stop context.CancelFunc // its request's

	off     int64 // in the content, of the next byte to hand out
	fails   int   // in a row
	err     error // that ended it
	waited  time.Duration
	arrived int64 // in the window of waited
}

// Tag names the version of the content, as Version does.
func (b *body) Tag() string { return b.version.Tag }

// Ranges reports whether stretches of the content can be read by themselves.
func (b *body) Ranges() bool { return b.ranges }

// Read implements io.Reader. A connection that breaks off is followed by
// another where the server said which version of the content this is.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	if b.end >= 0 {
		if b.off >= b.end {
			b.err = io.EOF
			return 0, io.EOF
		}
		p = p[:min(int64(len(p)), b.end-b.off)]
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
		if errors.Is(err, io.EOF) && (b.end < 0 || b.off == b.end) {
			b.err = io.EOF
			return n, io.EOF
		}
		if b.err = b.resume(err); b.err != nil || n > 0 {
			return n, b.err
		}
	}
}

// resume opens the rest of the content, or says why it cannot. How an address
// that is asked anew fails is told no sooner than a first failure, for the same
// reason.
func (b *body) resume(why error) error {
	b.hangUp()
	begun, asked := time.Now(), false
	for {
		if b.ctx.Err() != nil {
			return broken(context.Cause(b.ctx))
		}
		if b.fails++; b.end < 0 || b.version.Tag == "" || b.off >= b.end || b.fails > b.f.cfg.Resumes || errors.Is(why, errChanged) {
			b.f.cfg.Log.LogAttrs(b.ctx, slog.LevelWarn, "fetch broke off", slog.String("host", b.origin.Hostname()),
				slog.Int64("at", b.off), slog.Int64("size", b.version.Size), slog.String("error", quiet(why).Error()))
			if errors.Is(why, errChanged) {
				return changed(why)
			}
			if asked && b.f.hold(b.ctx, begun) != nil {
				return broken(context.Cause(b.ctx))
			}
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
		asked = true
		if why = b.again(b.off); why == nil {
			b.waited += time.Since(begun) // or a byte a connection would be quick enough
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
			b.version.Tag = "" // who is slow now is slow after another request, too
			return n, fmt.Errorf("only %.0f bytes a second came", rate)
		}
		b.waited, b.arrived = 0, 0
	}
	return n, err
}

// hangUp closes the newest answer.
func (b *body) hangUp() {
	b.stop()
	_ = b.in.Close()
}

// Close ends the transfer.
func (b *body) Close() error {
	b.hangUp()
	b.cancel()
	if b.err == nil {
		b.err = io.ErrClosedPipe
	}
	return nil
}
