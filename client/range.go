package client

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"kuva/api"
)

const (
	// rangeBlock is the unit in which content is fetched and kept.
	rangeBlock = 1 << 20
	// rangeAhead is how many blocks one request fetches where a reader goes
	// from front to back.
	rangeAhead = 4
	// rangeKept is how many blocks are kept.
	rangeKept = 32
)

// ErrNoRanges means that a service hands out its images only whole.
var ErrNoRanges = errors.New("the service hands out no parts of an image: download it first")

// ErrNoView means that a service does not compute an image in a format.
var ErrNoView = errors.New("the service has no such view of the image")

// Content is the content of an image, readable anywhere by HTTP ranges. What
// was read last stays in memory, 32 MiB at most. It is safe for concurrent
// use. Other than in a Download no digest is checked, since not all is read.
type Content struct {
	ctx  context.Context
	c    *Client
	img  api.Image
	url  string
	size int64
	opt  DownloadOptions

	mu    sync.Mutex
	tag   string                  // of what was read so far
	by    map[int64]*list.Element // of *block, by its number
	order list.List               // last used first
}

// block is one that is there, or on its way until done is closed.
type block struct {
	n    int64
	done chan struct{}
	b    []byte
	err  error
}

// Content opens the content of an image, which the caller has just read. ctx
// ends all reading.
func (c *Client) Content(ctx context.Context, img api.Image) (*Content, error) {
	if img.Size < 0 {
		return nil, fmt.Errorf("image %s: %w: it is %s", img.ID, ErrNoContent, img.Status)
	}
	return c.newContent(ctx, img, c.contentURL(img.ID), img.Size), nil
}

// View opens an image as a file of another format, as a kuva computes it while
// it is read. ErrNoView where the service does not: others send the file as it
// is, whatever is asked.
func (c *Client) View(ctx context.Context, img api.Image, format string) (*Content, error) {
	x := c.newContent(ctx, img, c.contentURL(img.ID)+"?"+url.Values{"format": {format}}.Encode(), -1)
	if err := x.measure(); err != nil {
		return nil, fmt.Errorf("image %s as %s: %w", img.ID, format, err)
	}
	return x, nil
}

func (c *Client) newContent(ctx context.Context, img api.Image, url string, size int64) *Content {
	x := &Content{ctx: ctx, c: c, img: img, url: url, size: size, by: map[int64]*list.Element{}}
	x.opt.fill()
	return x
}

// measure asks for the first byte, whose answer tells the length. One of the
// image's own length is no view.
func (x *Content) measure() error {
	resp, err := x.c.send(x.ctx, func() bool { return true }, func() (*http.Request, error) {
		req, err := http.NewRequestWithContext(x.ctx, http.MethodGet, x.url, nil)
		if err == nil {
			req.Header.Set("Range", "bytes=0-0")
		}
		return req, err
	})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, total, _ := strings.Cut(resp.Header.Get("Content-Range"), "/")
	n, err := strconv.ParseInt(total, 10, 64)
	if resp.StatusCode != http.StatusPartialContent || err != nil || n <= 0 || n == x.img.Size {
		return ErrNoView
	}
	x.size = n
	return nil
}

// Size is the length in bytes.
func (x *Content) Size() int64 { return x.size }

// ReadAt implements io.ReaderAt.
func (x *Content) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("negative offset %d", off)
	}
	read := 0
	for read < len(p) && off < x.size {
		b, err := x.block(off/rangeBlock, (off+int64(len(p)-read)-1)/rangeBlock)
		if err != nil {
			return read, fmt.Errorf("read image %s: %w", x.img.ID, err)
		}
		n := copy(p[read:], b[off%rangeBlock:])
		read, off = read+n, off+int64(n)
	}
	if read < len(p) {
		return read, io.EOF
	}
	return read, nil
}

// block gives block n, fetching it, and those up to want that are not there
// either, in one request.
func (x *Content) block(n, want int64) ([]byte, error) {
	x.mu.Lock()
	if e, ok := x.by[n]; ok {
		x.order.MoveToFront(e)
		x.mu.Unlock()
		b := e.Value.(*block)
		select {
		case <-b.done:
			return b.b, b.err
		case <-x.ctx.Done():
			return nil, x.ctx.Err()
		}
	}
	if _, ok := x.by[n-1]; ok || n == 0 {
		want = max(want, n+rangeAhead-1)
	}
	want = min(want, n+rangeAhead-1, (x.size-1)/rangeBlock)
	var blocks []*block
	for i := n; i <= want && (i == n || x.by[i] == nil); i++ {
		b := &block{n: i, done: make(chan struct{})}
		x.by[i] = x.order.PushFront(b)
		blocks = append(blocks, b)
	}
	for x.order.Len() > rangeKept {
		old := x.order.Remove(x.order.Back()).(*block)
		delete(x.by, old.n)
	}
	x.mu.Unlock()

	err := x.fetch(blocks)
	for _, b := range blocks {
		b.err = err
		close(b.done)
		if err != nil {
			x.forget(b)
		}
	}
	return blocks[0].b, err
}

// forget lets a block that did not come be fetched again.
func (x *Content) forget(b *block) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e := x.by[b.n]; e != nil && e.Value == b {
		x.order.Remove(e)
		delete(x.by, b.n)
	}
}

// fetch reads neighbouring blocks, with as many tries as a download has.
func (x *Content) fetch(blocks []*block) error {
	from := blocks[0].n * rangeBlock
	all := make([]byte, min(int64(len(blocks))*rangeBlock, x.size-from))
	for try := 1; ; try++ {
		err := x.get(all, from)
		if err == nil {
			break
		}
		if !worthAnother(x.ctx, err) || errors.Is(err, ErrNoRanges) || try > x.opt.Tries {
			return err
		}
		select {
		case <-x.ctx.Done():
			return x.ctx.Err()
		case <-time.After(x.opt.Pause << min(try-1, 5)):
		}
	}
	for _, b := range blocks {
		n := min(rangeBlock, len(all))
		b.b, all = all[:n:n], all[n:]
	}
	return nil
}

// get fills p with the bytes from an offset on, by one request.
func (x *Content) get(p []byte, from int64) error {
	ctx, cancel := context.WithCancelCause(x.ctx)
	defer cancel(nil)
	defer time.AfterFunc(x.opt.Stall, func() { cancel(errStalled) }).Stop()
	resp, err := x.c.send(ctx, func() bool { return true }, func() (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, x.url, nil)
		if err == nil {
			req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", from, from+int64(len(p))-1))
		}
		return req, err
	})
	if err != nil {
		return causeOf(ctx, err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusPartialContent:
		if err := sameRange(resp.Header.Get("Content-Range"), from, x.size); err != nil {
			return err
		}
	case http.StatusOK:
		if from != 0 || int64(len(p)) < x.size {
			return ErrNoRanges
		}
	default:
		return refused(resp)
	}
	if err := x.sameTag(resp.Header.Get("ETag")); err != nil {
		return err
	}
	if _, err := io.ReadFull(resp.Body, p); err != nil {
		return causeOf(ctx, err)
	}
	return nil
}

// sameTag holds the service to one content.
func (x *Content) sameTag(tag string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.tag == "" {
		x.tag = tag
	}
	if tag != x.tag {
		return fmt.Errorf("%w: it was changed while it was read", ErrDiffers)
	}
	return nil
}
