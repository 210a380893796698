package images

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"

	"kuva"
	"kuva/internal/catalog"
)

// gathering fetches the stretches of one version of content that are not there
// yet, over several connections, each cut into parts.
type gathering struct {
	s    *Service
	f    *filling
	up   *catalog.Upload
	img  *catalog.Image
	size int64
	// piece is how many bytes a part has.
	piece int64
	open  func(ctx context.Context, off, n int64) (io.ReadCloser, error)

	mu      sync.Mutex
	missing []gap // in order
	lines   int   // that are at work
	done    int64 // bytes that are here
	ranges  int   // that came
	err     error // that ends all
	last    error // that ended a line
}

type gap struct{ off, end int64 }

// all returns when every part is durable. first, if not nil, is the content from
// its beginning, opened already, which this closes.
func (g *gathering) all(ctx context.Context, first io.ReadCloser) error {
	if err := g.plan(ctx); err != nil {
		return err
	}
	g.f.run.Say("fetch content", "bytes")
	g.f.run.Progress(g.done, g.size)
	if first != nil && (len(g.missing) == 0 || g.missing[0].off != 0) {
		_ = first.Close()
		first = nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for lines := fetchLines; len(g.missing) > 0; lines = 1 {
		before := g.done
		var wg sync.WaitGroup
		g.lines = min(lines, len(g.missing))
		for range g.lines {
			todo, _ := g.take()
			r := first // the line that is open already takes the beginning
			first = nil
			wg.Go(func() { g.line(ctx, cancel, todo, r) })
		}
		wg.Wait()
		switch {
		case g.err != nil:
			return g.err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case len(g.missing) > 0 && g.done == before:
			return g.last
		}
	}
	return nil
}

// plan finds out what is not there.
func (g *gathering) plan(ctx context.Context) error {
	file, err := g.s.openParts(ctx, g.up.ID)
	if err != nil {
		return err
	}
	at := int64(0)
	lacks := func(end int64) {
		for at < end {
			next := min(at+fetchParts*g.piece, end)
			g.missing = append(g.missing, gap{at, next})
			at = next
		}
	}
	for _, p := range file.parts {
		lacks(p.Off)
		at = p.Off + p.Size
		g.done += p.Size
	}
	lacks(g.size)
	return nil
}

// rangeless reports, after all has failed, whether no range ever came: not now,
// and not in an attempt before this one either.
func (g *gathering) rangeless() bool { return g.ranges == 0 && g.done <= fetchParts*g.piece }

func (g *gathering) take() (gap, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.missing) == 0 {
		return gap{}, false
	}
	todo := g.missing[0]
	g.missing = g.missing[1:]
	return todo, true
}

// line fetches one stretch after another. A source that does not like so many
// connections loses those that it breaks; the last one that goes on takes what
// they left.
func (g *gathering) line(ctx context.Context, cancel context.CancelFunc, todo gap, r io.ReadCloser) {
	for more := true; more; todo, more = g.take() {
		rest, err := g.stretch(ctx, todo, r)
		r = nil
		if err == nil {
			continue
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		g.lines--
		if kuva.CodeOf(err) == kuva.CodeUnavailable && ctx.Err() == nil {
			g.missing, g.last = append([]gap{rest}, g.missing...), err
			if g.lines > 0 {
				g.s.log.Info("fetch goes on with fewer connections", "image", g.f.id, "connections", g.lines, slog.Any("error", err))
			}
			return
		}
		if g.err == nil && ctx.Err() == nil {
			g.err = err
		}
		cancel()
		return
	}
	g.mu.Lock()
	g.lines--
	g.mu.Unlock()
}

// stretch fetches one into parts, and returns what is left of it after an error.
func (g *gathering) stretch(ctx context.Context, todo gap, r io.ReadCloser) (gap, error) {
	if r == nil {
		var err error
		if r, err = g.open(ctx, todo.off, todo.end-todo.off); err != nil {
			return todo, err
		}
		g.mu.Lock()
		g.ranges++
		g.mu.Unlock()
	}
	defer r.Close() //nolint:errcheck // it was only read
	for todo.off < todo.end {
		n := min(g.piece, todo.end-todo.off)
		if err := g.part(ctx, r, todo.off, n); err != nil {
			return todo, err
		}
		todo.off += n
	}
	return todo, nil
}

// part makes n bytes durable.
func (g *gathering) part(ctx context.Context, r io.Reader, off, n int64) error {
	in := &counted{r: io.LimitReader(r, n), g: g}
	_, err := g.s.KeepPart(ctx, Part{
		Project: realmFor(g.img), Holder: catalog.UploadHolder(g.up.ID), Content: in, Size: n, Most: -1,
		Blocks: opens(g.img.DiskFormat, g.img.ContainerFormat), Off: off,
		Commit: func(tx *catalog.Tx, object, size int64) error {
			if err := g.f.run.Advanced(ctx, tx); err != nil {
				return err
			}
			up, err := catalog.LockUpload(ctx, tx, g.up.ID)
			if err != nil {
				return err
			}
			if up.State != catalog.UploadFinishing {
				return errLost()
			}
			up.Received, up.UpdatedAt = up.Received+size, g.s.now()
			if err := catalog.UpdateUpload(ctx, tx, up); err != nil {
				return err
			}
			return catalog.InsertPart(ctx, tx, g.up.ID, catalog.UploadPart{Off: off, Size: size, Object: object})
		},
	})
	if err != nil {
		g.arrived(-in.n)
		if in.err != nil && ctx.Err() == nil && !errors.Is(in.err, io.EOF) {
			return in.err // as the source says it
		}
	}
	return err
}

func (g *gathering) arrived(n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.done += n
	g.f.run.Progress(g.done, g.size)
}

// counted tells how much came.
type counted struct {
	r   io.Reader
	g   *gathering
	n   int64
	err error
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	c.g.arrived(int64(n))
	if err != nil {
		c.err = err
	}
	return n, err
}
