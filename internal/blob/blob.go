// Package blob is the lowest floor of keeping: immutable byte strings under
// keys. Packs, recipes, cards and wrapped keys are blobs; what they mean is the
// depot's business.
//
// A key is used for one byte string, for ever. It is a relative slash path of
// lower-case letters, digits, '-', '_' and '.', never empty between slashes, never
// "." or "..", at most 200 bytes. No key is a folder of another: beside "a/b" there is
// no "a"; stores that can tell say ErrKey.
package blob

import (
	"context"
	"errors"
	"io"
	"iter"
)

// Errors that stores return, wrapped with the key at hand.
var (
	// ErrNotFound means that no blob has the key now.
	ErrNotFound = errors.New("blob not found")
	// ErrExists means that the key is taken. After a Commit with unknown
	// outcome it may be taken by the caller's own bytes: look at length and
	// content before giving up.
	ErrExists = errors.New("blob exists")
	// ErrFull means that the store has no room. Nothing became visible.
	ErrFull = errors.New("store is full")
	// ErrKey means that the key is not of the form that the package says.
	ErrKey = errors.New("bad blob key")
)

// Info is what a store says of a blob without reading it.
type Info struct {
	Key  string
	Size int64
}

// Store keeps blobs. All methods may be called at the same time by many
// goroutines and many nodes.
//
// Durability: after Writer.Commit returned nil, every later ReadAt and Stat sees
// the whole blob, also after power loss. An error leaves the outcome unknown:
// the blob may be there, may never come, or may come later. Delete may take
// effect late. List may lag behind Commit and Delete. Nobody but the caller
// retries.
type Store interface {
	// Create begins a blob. Nothing is visible before Commit. It fails with
	// ErrKey; whether the key is taken is decided by Commit.
	Create(ctx context.Context, key string) (Writer, error)
	// ReadAt fills p from the blob's offset off, as io.ReaderAt does: fewer
	// bytes come only with an error, io.EOF at the end. ErrNotFound if there
	// is no such blob.
	ReadAt(ctx context.Context, key string, p []byte, off int64) (int, error)
	// Stat says the size of a blob, ErrNotFound if there is none.
	Stat(ctx context.Context, key string) (Info, error)
	// List yields the blobs whose key begins with prefix (a folder ending in a
	// slash, or "" for all), in ascending order of their keys. After an error
	// it yields no more. What comes or goes meanwhile may be shown or not; what
	// is there all the time is shown. Any other prefix is ErrKey.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]
	// Delete removes a blob. It is no error if there is none. Late means: also after
	// the next loss of power, or after any time on an object store; a read
	// that runs beside it may still succeed.
	Delete(ctx context.Context, key string) error
}

// Writer takes the bytes of one blob. It is used by one goroutine.
type Writer interface {
	io.Writer
	// Commit makes the blob durable, then visible. ErrExists if the key is
	// taken; the taken blob is durable, and never changed. After a Write that
	// failed it fails too.
	Commit() error
	// Abort gives the bytes up. After Commit it does nothing, so it is safe to
	// defer.
	Abort()
}

// ReserveReleaser and ReserveRefiller are what a store on a disk can do besides: it
// holds room back (64 MiB unless configured) so that a collector, which must write to
// free space, works on a full disk. While the reserve is released the caller lets
// nobody write but the collector.
type (
	// ReserveReleaser gives the room to the next writer.
	ReserveReleaser interface{ ReleaseReserve() error }
	// ReserveRefiller takes it again: ErrFull, and nothing taken, if there is not
	// enough; nil at once if it is whole.
	ReserveRefiller interface{ RefillReserve() error }
)

// Put stores b under key in one go.
func Put(ctx context.Context, s Store, key string, b []byte) error {
	w, err := s.Create(ctx, key)
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := w.Write(b); err != nil {
		return err
	}
	return w.Commit()
}

// Get reads a whole blob of at most limit bytes; a longer one is an error.
func Get(ctx context.Context, s Store, key string, limit int64) ([]byte, error) {
	info, err := s.Stat(ctx, key)
	if err != nil {
		return nil, err
	}
	if info.Size > limit {
		return nil, errors.New("blob " + key + " is longer than expected")
	}
	b := make([]byte, info.Size)
	if n, err := s.ReadAt(ctx, key, b, 0); n < len(b) {
		return nil, err
	}
	return b, nil
}
