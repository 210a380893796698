package upload

import (
	"bufio"
	"bytes"
	"errors"
	"hash"
	"io"
	"sync"

	"kuva"
	"kuva/internal/images"
)

// body is what a sender sends, handed out a part at a time. One part reads at a
// time.
type body struct {
	r    *bufio.Reader
	want *images.Digest
	sum  hash.Hash // nil where want is
	err  error     // that it ended in, io.EOF where it is whole
	seen bool      // the digest was compared
}

func newBody(c Chunk) (*body, error) {
	b := &body{r: bufio.NewReader(c.Content), want: c.Digest}
	if b.want == nil {
		return b, nil
	}
	if b.sum = images.NewHash(b.want.Algo); b.sum == nil || b.sum.Size() != len(b.want.Sum) {
		return nil, kuva.E(kuva.CodeInvalid, "image.bad_digest", "algo", shown(b.want.Algo))
	}
	if c.Size < 0 {
		return nil, kuva.E(kuva.CodeInvalid, "upload.digest_length")
	}
	return b, nil
}

// more waits for the next byte.
func (b *body) more() bool {
	if b.err == nil {
		_, b.err = b.r.Peek(1)
	}
	return b.err == nil
}

// broken is the error that the body ended in, nil where it is whole.
func (b *body) broken() error {
	if b.err == io.EOF {
		return nil
	}
	return b.err
}

// check compares the digest, once.
func (b *body) check() error {
	if b.sum == nil || b.seen {
		return nil
	}
	b.seen = true
	if !bytes.Equal(b.sum.Sum(nil), b.want.Sum) {
		return kuva.E(kuva.CodeDigest, "image.digest_mismatch", "algo", b.want.Algo)
	}
	return nil
}

// part is the stretch of a body that becomes one part.
type part struct {
	b      *body
	limit  int64
	beyond error // where the body has more than limit; nil where it may
	prev   *step // becomes durable before this one
	n      int64 // bytes read

	over chan struct{} // closed when no more of the body is read
	once sync.Once
	end  error // that it ends in, from then on
}

// part begins a part of at most limit bytes.
func (b *body) part(limit int64, beyond error, prev *step) *part {
	return &part{b: b, limit: limit, beyond: beyond, prev: prev, over: make(chan struct{})}
}

// Read implements io.Reader. It ends with the part before: what follows a part
// that was not kept is not kept either.
func (pt *part) Read(p []byte) (int, error) {
	if pt.end == nil && pt.b.err == nil && pt.n < pt.limit {
		n, err := pt.b.r.Read(p[:min(int64(len(p)), pt.limit-pt.n)])
		pt.n += int64(n)
		if pt.b.sum != nil {
			pt.b.sum.Write(p[:n])
		}
		if pt.b.err = err; n > 0 || err == nil {
			return n, nil
		}
	}
	if pt.end == nil {
		pt.end = pt.judge()
		pt.close()
		if err := pt.prev.wait(); err != nil {
			pt.end = err
		}
	}
	return 0, pt.end
}

// judge says how the part ends: in io.EOF where it is to be kept.
func (pt *part) judge() error {
	b := pt.b
	if pt.beyond != nil && b.more() {
		b.err = pt.beyond
	}
	var coded *kuva.Error
	if err := b.broken(); err != nil && (b.want != nil || errors.As(err, &coded)) {
		return err
	}
	if b.err == io.EOF {
		if err := b.check(); err != nil {
			return err
		}
	}
	return io.EOF
}

// close lets the next part begin. It may be called twice, and by others where
// nobody reads to the end.
func (pt *part) close() { pt.once.Do(func() { close(pt.over) }) }
