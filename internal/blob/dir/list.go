package dir

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"kuva/internal/blob"
	"kuva/internal/blob/fsys"
)

// List implements blob.Store. It reads one folder at a time and holds those on the
// way down. What is not a blob's file is left out.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		if err := blob.CheckPrefix(prefix); err != nil {
			yield(blob.Info{}, err)
			return
		}
		s.walk(ctx, prefix, yield)
	}
}

// walk yields what is below a folder, "" or ending in a slash. It is false when
// there is to be no more.
func (s *Store) walk(ctx context.Context, folder string, yield func(blob.Info, error) bool) bool {
	err := s.ready(ctx, false)
	var list []fsys.Info
	if err == nil {
		list, err = s.fs.List(strings.TrimSuffix(pathOf(folder), "/"))
	}
	if err = absentIsNil(err); err != nil {
		yield(blob.Info{}, fmt.Errorf("list %q: %w", folder, err))
		return false
	}
	// Keys are in order if a folder is sorted as its keys begin: "a/…" comes
	// after "a-b" and before "a0".
	for i := range list {
		if list[i].Kind == fsys.Dir {
			list[i].Name += "/"
		}
	}
	slices.SortFunc(list, func(a, b fsys.Info) int { return strings.Compare(a.Name, b.Name) })
	for _, fi := range list {
		key := folder + fi.Name
		switch {
		case fi.Kind == fsys.Dir:
			if blob.CheckPrefix(key) == nil && !s.walk(ctx, key, yield) {
				return false
			}
		case fi.Kind == fsys.Regular && blob.CheckKey(key) == nil && !s.commits.hidden(key):
			if !yield(blob.Info{Key: key, Size: fi.Size}, nil) {
				return false
			}
		}
	}
	return true
}

// absentIsNil lets a folder that is gone, or never was, be an empty one.
func absentIsNil(err error) error {
	if err != nil && errors.Is(absent(err), blob.ErrNotFound) {
		return nil
	}
	return err
}
