package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"kuva"
)

// How content is read: a byte must come within idle, and after so many
// failures in a row without one it is given up.
const (
	idle    = 30 * time.Second
	resumes = 8
)

// reader is the content of one object. It is used by one goroutine.
type reader struct {
	b      *Bucket
	ctx    context.Context //nolint:containedctx // of the one transfer
	cancel context.CancelFunc
	o      Object

	in    io.ReadCloser // nil between two answers
	off   int64
	fails int
	err   error
}

// Read opens an object's content. A connection that breaks is followed by a
// range of the same object, by its tag, from the byte where it broke. Errors of
// reading are CodeUnavailable where it does not go on, CodeConflict where the
// object is another one meanwhile. The first answer has come when it returns.
func (b *Bucket) Read(ctx context.Context, o Object) (io.ReadCloser, error) {
	r := &reader{b: b, o: o}
	r.ctx, r.cancel = context.WithCancel(ctx)
	if o.Size == 0 {
		return r, nil
	}
	begun := time.Now()
	if err := r.open(); err != nil {
		r.cancel()
		return nil, b.failed(ctx, begun, o.Key, err)
	}
	return r, nil
}

// open asks for what is left.
func (r *reader) open() error {
	opt := minio.GetObjectOptions{}
	if r.o.ETag != "" {
		if err := opt.SetMatchETag(r.o.ETag); err != nil {
			return err
		}
	}
	if err := opt.SetRange(r.off, r.o.Size-1); err != nil {
		return err
	}
	in, info, header, err := r.b.core.GetObject(r.ctx, r.b.bucket, r.b.prefix+r.o.Key, opt)
	if err != nil {
		if minio.ToErrorResponse(err).Code == minio.PreconditionFailed {
			return kuva.E(kuva.CodeConflict, "bucket.changed", "object", r.o.Key).Because(ErrChanged)
		}
		return err
	}
	want := fmt.Sprintf("bytes %d-%d/%d", r.off, r.o.Size-1, r.o.Size)
	switch got := header.Get("Content-Range"); {
	case got == "" && r.off == 0 && info.Size == r.o.Size: // all of it
	case got != want:
		err = fmt.Errorf("range %.80q, not %q", got, want)
	case r.o.ETag != "" && strings.Trim(info.ETag, `"`) != r.o.ETag:
		err = kuva.E(kuva.CodeConflict, "bucket.changed", "object", r.o.Key).Because(ErrChanged)
	}
	if err != nil {
		_ = in.Close()
		return err
	}
	r.in = in
	return nil
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if r.err != nil || len(p) == 0 {
		return 0, r.err
	}
	for {
		if r.off == r.o.Size {
			r.err = io.EOF
			return 0, io.EOF
		}
		n, err := r.read(p[:min(int64(len(p)), r.o.Size-r.off)])
		r.off += int64(n)
		if n > 0 {
			r.fails = 0
			return n, nil
		}
		if r.err = r.again(err); r.err != nil {
			return 0, r.err
		}
	}
}

// read is one Read of the connection, which is given up where no byte comes.
func (r *reader) read(p []byte) (int, error) {
	if r.in == nil {
		if err := r.open(); err != nil {
			return 0, err
		}
	}
	in := r.in
	quiet := time.AfterFunc(idle, func() { _ = in.Close() })
	n, err := r.in.Read(p)
	quiet.Stop()
	if err != nil {
		_ = r.in.Close()
		r.in = nil
	}
	return n, err
}

// again waits a little, or says why there is no use in it.
func (r *reader) again(why error) error {
	if cause := context.Cause(r.ctx); cause != nil {
		return cause
	}
	var final *kuva.Error
	if errors.As(why, &final) {
		return final
	}
	status := minio.ToErrorResponse(why).StatusCode
	if r.fails++; r.fails > resumes || status >= 400 && status < 500 {
		var err *kuva.Error
		if errors.As(r.b.failed(r.ctx, time.Now(), r.o.Key, why), &err) && status != 0 {
			return err
		}
		return kuva.E(kuva.CodeUnavailable, "bucket.broken", "bucket", r.b.label).Because(errors.New(told(why)))
	}
	wait := time.NewTimer(min(time.Duration(r.fails*r.fails)*50*time.Millisecond, 5*time.Second))
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
}

// Close ends the transfer.
func (r *reader) Close() error {
	r.cancel()
	if r.in != nil {
		_ = r.in.Close()
		r.in = nil
	}
	if r.err == nil {
		r.err = io.ErrClosedPipe
	}
	return nil
}
