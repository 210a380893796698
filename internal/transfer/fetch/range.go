package fetch

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"kuva"
)

// Version is one state of the content at an address.
type Version struct {
	Size int64 // bytes, -1 where the server does not say
	// Tag is its strong ETag or else its Last-Modified, "" where it has none
	// that can be relied on.
	Tag string
}

// errChanged: the address has other content by now.
var errChanged = errors.New("the content changed")

// changed is the error for content that is not the version any more that was
// asked for.
func changed(why error) error { return kuva.E(kuva.CodeConflict, "fetch.changed").Because(why) }

// maxTag bounds a tag, in bytes.
const maxTag = 1024

// tagOf reads the tag of an answer. A weak ETag says only that contents mean the
// same, and a date says nothing of changes within its second (RFC 9110 §8.8.2.2),
// so that one must be older than the answer.
func tagOf(res *http.Response) string {
	if tag := res.Header.Get("ETag"); tag != "" {
		if strings.HasPrefix(tag, `"`) && len(tag) <= maxTag {
			return tag
		}
		return ""
	}
	text := res.Header.Get("Last-Modified")
	at, err := http.ParseTime(text)
	if err != nil || len(text) > maxTag {
		return ""
	}
	now, err := http.ParseTime(res.Header.Get("Date"))
	if err != nil || now.Sub(at) < time.Second {
		return ""
	}
	return text
}

// Range reads the n bytes from off of one version of the content at an address,
// which Open has told of. The request passes every check of Open anew. Reading
// is as with Open, and goes on after broken connections. CodeConflict means that
// the address has other content by now, CodeUnavailable everything else that
// goes wrong out there.
func (f *Fetcher) Range(ctx context.Context, address string, opt Options, v Version, off, n int64) (io.ReadCloser, error) {
	if v.Tag == "" || off < 0 || n <= 0 || off > v.Size-n {
		return nil, errors.New("fetch: a range outside of the content")
	}
	begun := time.Now()
	origin, err := f.cfg.parse(address)
	if err != nil {
		return nil, f.Fail(ctx, begun, hostOf(address), err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, f.cfg.Total, errors.New("took longer than allowed in all"))
	b := &body{f: f, ctx: ctx, cancel: cancel, origin: origin, opt: opt, version: v, ranges: true, off: off, end: off + n}
	if err := b.again(off); err != nil {
		b.in, b.stop = http.NoBody, func() {}
		if err = b.resume(err); err != nil {
			cancel()
			return nil, err
		}
	}
	return b, nil
}
