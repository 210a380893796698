package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"

	"kuva/internal/blob"
)

// markName is the user metadata that tells one put of a key from another.
const markName = "Kuva-Put"

const (
	maxParts    = 10_000 // that an upload may have
	abortWithin = 10 * time.Second
)

var errDone = errors.New("writer is done")

// Create implements blob.Store.
func (s *Store) Create(ctx context.Context, key string) (blob.Writer, error) {
	if err := ready(ctx, key); err != nil {
		return nil, fmt.Errorf("create %s: %w", key, err)
	}
	return &writer{s: s, ctx: ctx, key: key, mark: rand.Text()}, nil
}

// writer fills one buffer while another one is sent.
type writer struct {
	s    *Store
	ctx  context.Context
	key  string
	mark string
	buf  []byte // of the next part, or of all
	part *[]byte
	bad  error
	done bool

	upload string // id, "" until there is more than one part
	sent   []minio.CompletePart
	under  chan error // the part under way; nil: none
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		if err := w.fails(); err != nil {
			return n, fmt.Errorf("write %s: %w", w.key, err)
		}
		if len(w.buf) == w.s.cfg.PartSize {
			if w.bad = w.send(); w.bad != nil {
				return n, fmt.Errorf("write %s: %w", w.key, w.bad)
			}
		}
		k := min(len(p), w.s.cfg.PartSize-len(w.buf))
		w.room(k)
		w.buf = append(w.buf, p[:k]...)
		p, n = p[k:], n+k
	}
	if err := w.fails(); err != nil {
		return n, fmt.Errorf("write %s: %w", w.key, err)
	}
	return n, nil
}

func (w *writer) fails() error {
	switch {
	case w.done:
		return errDone
	case w.bad == nil:
		w.bad = w.ctx.Err()
	}
	return w.bad
}

// room makes the buffer long enough for n bytes more: a small blob takes a
// small one, a long one takes parts from the pool.
func (w *writer) room(n int) {
	if w.part != nil || cap(w.buf)-len(w.buf) >= n {
		return
	}
	if want := max(len(w.buf)+n, 2*cap(w.buf)); want <= w.s.cfg.PartSize/8 {
		w.buf = append(make([]byte, 0, want), w.buf...)
		return
	}
	w.part = w.s.parts.Get().(*[]byte)
	w.buf = append((*w.part)[:0], w.buf...)
}

// send sends the buffer as the next part once the one before is stored.
func (w *writer) send() error {
	if err := w.wait(); err != nil {
		return err
	}
	if w.upload == "" {
		if err := w.begin(); err != nil {
			return err
		}
	}
	if len(w.sent) == maxParts {
		return fmt.Errorf("longer than %d parts of %d bytes", maxParts, w.s.cfg.PartSize)
	}
	b, part, number := w.buf, w.part, len(w.sent)+1
	w.buf, w.part = nil, nil
	w.sent = append(w.sent, minio.CompletePart{PartNumber: number})
	stored := &w.sent[number-1]
	under := make(chan error, 1)
	w.under = under
	go func() {
		etag, clean, err := w.put(number, b)
		stored.ETag = etag // nobody looks before err was received
		if part != nil && clean {
			w.s.parts.Put(part)
		}
		under <- err
	}()
	return nil
}

// wait waits for the part under way.
func (w *writer) wait() error {
	if w.under == nil {
		return nil
	}
	err := <-w.under
	w.under = nil
	return err
}

func (w *writer) begin() error {
	return w.s.try(w.ctx, func() (err error) {
		w.upload, err = w.s.core.NewMultipartUpload(w.ctx, w.s.cfg.Bucket, w.s.object(w.key), minio.PutObjectOptions{
			UserMetadata: map[string]string{markName: w.mark},
		})
		if err == nil && w.upload == "" {
			err = errWrongAnswer
		}
		return err
	})
}

// put sends one part. clean says that nobody reads b any more: a try that
// failed may still be on its way out.
func (w *writer) put(number int, b []byte) (etag string, clean bool, err error) {
	sum := sha256.Sum256(b)
	opts := minio.PutObjectPartOptions{Sha256Hex: hex.EncodeToString(sum[:]), DisableContentSha256: true}
	tries := 0
	err = w.s.try(w.ctx, func() error {
		tries++
		part, err := w.s.core.PutObjectPart(w.ctx, w.s.cfg.Bucket, w.s.object(w.key), w.upload, number, bytes.NewReader(b), int64(len(b)), opts)
		if err == nil && part.ETag == "" {
			err = errWrongAnswer
		}
		etag = part.ETag
		return err
	})
	return etag, tries == 1 && err == nil, err
}

// Commit implements blob.Writer.
func (w *writer) Commit() error {
	err := w.fails()
	if err == nil && w.upload != "" {
		if err = w.send(); err == nil {
			err = w.wait()
		}
	}
	if err == nil {
		err = w.publish()
	}
	if err == nil {
		w.upload = "" // it has become the object
	}
	w.Abort()
	if err != nil {
		return fmt.Errorf("commit %s: %w", w.key, err)
	}
	return nil
}

// publish makes the object, if the key is free. Once a try has ended without a
// clear answer, the object's mark says whose it is.
func (w *writer) publish() error {
	sum := sha256.Sum256(w.buf)
	hash := hex.EncodeToString(sum[:])
	opts := onlyIfFree()
	unclear := false
	return w.s.try(w.ctx, func() (err error) {
		var made minio.UploadInfo
		if w.upload != "" {
			made, err = w.s.core.CompleteMultipartUpload(w.ctx, w.s.cfg.Bucket, w.s.object(w.key), w.upload, w.sent, opts)
		} else {
			opts.UserMetadata = map[string]string{markName: w.mark}
			made, err = w.s.core.PutObject(w.ctx, w.s.cfg.Bucket, w.s.object(w.key), bytes.NewReader(w.buf), int64(len(w.buf)), "", hash, opts)
		}
		if err == nil && made.ETag == "" {
			err = errWrongAnswer
		}
		switch {
		case err == nil:
			return nil
		case unclear && saidCode(err, minio.PreconditionFailed, minio.NoSuchUpload):
			return w.whose(err)
		case saidCode(err, minio.PreconditionFailed):
			return blob.ErrExists
		}
		unclear = unclear || !refused(err)
		return err
	})
}

// onlyIfFree are the options of a put that replaces nothing. The hash of what
// is sent goes along, so the client need not sign it piece by piece.
func onlyIfFree() minio.PutObjectOptions {
	opts := minio.PutObjectOptions{DisableContentSha256: true}
	opts.SetMatchETagExcept("*")
	return opts
}

// refused tells whether an error says that nothing was stored, and nothing
// will be. A conflict says that another request was as quick.
func refused(err error) bool {
	r, ok := said(err)
	return ok && r.StatusCode >= 400 && r.StatusCode < 500 && r.StatusCode != http.StatusConflict && r.Code != "BadRequest"
}

// whose looks who has made the object after all.
func (w *writer) whose(why error) error {
	info, err := w.s.head(w.ctx, w.key)
	switch {
	case errors.Is(err, blob.ErrNotFound) && saidCode(why, minio.PreconditionFailed):
		return errWrongAnswer // or it went again; once more
	case errors.Is(err, blob.ErrNotFound):
		return &refusal{"the upload is gone, and the object is not there"}
	case err != nil:
		return &refusal{"whether it was stored is not known: " + err.Error()}
	case info.UserMetadata[markName] == w.mark:
		return nil
	}
	return blob.ErrExists
}

// Abort implements blob.Writer.
func (w *writer) Abort() {
	if w.done {
		return
	}
	w.done = true
	_ = w.wait() // a part that lands after the abort would stay
	w.buf, w.part = nil, nil
	if w.upload == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), abortWithin)
	defer cancel()
	err := w.s.core.AbortMultipartUpload(ctx, w.s.cfg.Bucket, w.s.object(w.key), w.upload)
	if err != nil && !saidCode(err, minio.NoSuchUpload) {
		w.s.cfg.Log.Debug("an upload stays until it is swept", "key", w.key, "error", plain(err))
	}
}
