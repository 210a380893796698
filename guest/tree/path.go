package tree

import (
	"errors"
	"io/fs"
	"strings"

	"kuva/disk"
)

// maxLinks is how many symbolic links one path may go through, as on Linux.
const maxLinks = 40

// ErrLoop is Linux's ELOOP: a path goes through more than 40 symbolic links.
var ErrLoop = errors.New("too many levels of symbolic links")

// place is where a path stands: a node of a mounted file system.
type place struct {
	vol *volume
	id  ID
}

// step is a place on the way down, with the name that led to it.
type step struct {
	place
	name string
}

// validPath is fs.ValidPath for names of any bytes.
func validPath(name string) bool {
	if name == "." {
		return true
	}
	for elem := range strings.SplitSeq(name, "/") {
		if !validName(elem) {
			return false
		}
	}
	return true
}

// validName tells names that a path may have from those that only damage or
// malice puts into a folder.
func validName(elem string) bool {
	return elem != "" && elem != "." && elem != ".." && !strings.ContainsAny(elem, "/\x00")
}

// resolve walks a path. follow says whether a symbolic link at its end is
// followed too.
func (f *FS) resolve(name string, follow bool) (place, error) {
	way, err := f.walk(name, follow)
	if err != nil {
		return place{}, err
	}
	return way[len(way)-1].place, nil
}

func (f *FS) walk(name string, follow bool) ([]step, error) {
	if !validPath(name) {
		return nil, fs.ErrInvalid
	}
	way := []step{{place: f.top()}}
	if name == "." {
		return way, nil
	}
	links := 0
	rest := strings.Split(name, "/") // what is left to walk, the next name last
	reverse(rest)
	for len(rest) > 0 {
		elem := rest[len(rest)-1]
		rest = rest[:len(rest)-1]
		switch elem {
		case "", ".":
			continue
		case "..":
			if len(way) > 1 {
				way = way[:len(way)-1]
			}
			continue
		}
		if err := f.b.Step(1); err != nil {
			return nil, err
		}
		if err := f.b.Depth(len(way)); err != nil {
			return nil, err
		}
		here := way[len(way)-1].place
		e, err := here.vol.lookup(here.id, elem)
		if err != nil {
			return nil, err
		}
		if e.Type == Symlink && (follow || len(rest) > 0) {
			if links++; links > maxLinks {
				return nil, ErrLoop
			}
			target, err := here.vol.r.Readlink(e.ID)
			if err != nil {
				return nil, err
			}
			if target == "" {
				return nil, fs.ErrNotExist
			}
			if strings.HasPrefix(target, "/") {
				way = way[:1]
			}
			parts := strings.Split(target, "/")
			// Each link may be a long path, and 40 of them are bounded by this.
			if err := f.b.Step(int64(len(parts))); err != nil {
				return nil, err
			}
			reverse(parts)
			rest = append(rest, parts...)
			continue
		}
		next := f.mounted(place{here.vol, e.ID})
		if e.Type == Dir {
			for _, s := range way {
				if s.place == next {
					return nil, disk.Malform(here.vol.info.Type, "folder %s lies inside itself", disk.Quote([]byte(elem)))
				}
			}
		} else if len(rest) > 0 {
			return nil, errNotDir
		}
		way = append(way, step{next, elem})
	}
	return way, nil
}

// errNotDir is Linux's ENOTDIR: a path goes on behind something that is no
// folder. It is a name that does not exist for whoever asks.
var errNotDir error = notDir{}

type notDir struct{}

func (notDir) Error() string        { return "not a folder" }
func (notDir) Is(target error) bool { return target == fs.ErrNotExist }

func reverse(s []string) {
	for i, j := 0, len(s)-1; i < j; i, j = i+1, j-1 {
		s[i], s[j] = s[j], s[i]
	}
}
