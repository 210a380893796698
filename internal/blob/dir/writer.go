package dir

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"kuva/internal/blob"
	"kuva/internal/blob/fsys"
)

// writer is a blob that is being written. Writes go straight to the file: callers
// write big pieces.
type writer struct {
	s    *Store
	ctx  context.Context
	key  string
	tmp  string
	f    fsys.File
	err  error // the first failure: what is in the file is not trusted after it
	done bool
}

// Create implements blob.Store.
func (s *Store) Create(ctx context.Context, key string) (blob.Writer, error) {
	if err := s.ready(ctx, true); err != nil {
		return nil, fmt.Errorf("create %s: %w", key, err)
	}
	if err := blob.CheckKey(key); err != nil {
		return nil, err
	}
	tmp := path.Join(tmpDir, rand.Text())
	f, err := s.fs.Create(tmp)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", key, full(err))
	}
	return &writer{s: s, ctx: ctx, key: key, tmp: tmp, f: f}, nil
}

func (w *writer) Write(p []byte) (int, error) {
	if w.done {
		return 0, fmt.Errorf("write %s: %w", w.key, fs.ErrClosed)
	}
	if w.err == nil {
		w.err = w.ctx.Err()
	}
	if w.err != nil {
		return 0, fmt.Errorf("write %s: %w", w.key, w.err)
	}
	n, err := w.f.Write(p)
	if err != nil {
		w.err = full(err)
		return n, fmt.Errorf("write %s: %w", w.key, w.err)
	}
	return n, nil
}

// Commit implements blob.Writer.
func (w *writer) Commit() error {
	if w.done {
		return fmt.Errorf("commit %s: %w", w.key, fs.ErrClosed)
	}
	defer w.Abort() // takes the name in tmp, whatever comes
	if w.err == nil {
		w.err = w.s.ready(w.ctx, true)
	}
	if w.err == nil {
		w.err = full(w.f.Sync())
	}
	if w.err == nil {
		w.err = full(w.publish())
	}
	if w.err != nil {
		return fmt.Errorf("commit %s: %w", w.key, w.err)
	}
	return nil
}

// publish gives the file its own name, for good.
func (w *writer) publish() error {
	s, name := w.s, pathOf(w.key)
	leftover := s.commits.begin(w.key)
	defer func() { s.commits.end(w.key, leftover) }()
	if leftover {
		if leftover = s.cfg.Shared || s.takeBack(name) != nil; leftover {
			return errors.New("an earlier commit of this key failed and could not be undone")
		}
	}

	folder, err := s.folders.hold(path.Dir(name))
	defer s.folders.release(path.Dir(name))
	if err != nil {
		return err
	}
	// Looked at before the link, so that after one that failed the name is known
	// to be ours.
	switch fi, err := s.fs.Stat(name); {
	case err == nil:
		return taken(folder, fi)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	s.commits.hide(w.key)
	before := folder.failures()
	err = s.fs.Link(w.tmp, name)
	if errors.Is(err, fs.ErrExist) { // by another process
		if err := folder.sync(s.fs, before); err != nil {
			return err
		}
		return blob.ErrExists
	}
	if err != nil && s.cfg.Shared { // the name, if there is one, may be another's
		leftover = true
		return err
	}
	if err == nil {
		err = folder.sync(s.fs, before)
	}
	if err != nil {
		// Even a link that failed may be there.
		leftover = s.takeBack(name) != nil
		s.files.forget(w.key)
	}
	return err
}

// takeBack takes a name that was never reported stored.
func (s *Store) takeBack(name string) error {
	err := s.fs.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// taken answers for a key that has a name already. It means that the blob is
// stored, so it must hold after a loss of power too.
func taken(folder *folder, fi fsys.Info) error {
	switch {
	case fi.Kind != fsys.Regular:
		return fmt.Errorf("%w: it is a folder of others", blob.ErrKey)
	case folder.doubt != nil:
		return fmt.Errorf("taken, and perhaps not durable: %w", folder.doubt)
	}
	return blob.ErrExists
}

// Abort implements blob.Writer.
func (w *writer) Abort() {
	if w.done {
		return
	}
	w.done = true
	// What cannot be closed or removed here is removed by the next Open.
	_ = w.f.Close()
	_ = w.s.fs.Remove(w.tmp)
}
