package client

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gophercloud/gophercloud/v2"

	"kuva/api"
	"kuva/chunk"
	"kuva/disk"
)

// AskOptions say more about an upload that asks first.
type AskOptions struct {
	// Image is the record of the new image.
	Image NewImage
	// Fill is the id of a queued image to fill instead; Image means nothing then.
	Fill string
	// Native is the format that the image shows, raw or qcow2; "" leaves it to
	// the service.
	Native string
	// Exact keeps d's bytes as they are: d is not a disk but a file, whose format
	// the image's record says.
	Exact bool
	// SHA512 is what a file must have, in hexadecimal; "" does not say.
	SHA512 string
	// Terms is the version of the service's terms that the user accepts, "" where
	// it has none.
	Terms string
	// Source names the disk as it is now: where an open upload of the project
	// has the same name and size, that one goes on. "" begins anew.
	Source string
	// Parallel is how many parts are on their way at a time. 0 is 4.
	Parallel int
	// Bandwidth is how many bytes a second are sent at most. 0 is any number.
	Bandwidth int64
	// Patience is for how long a part is tried again while nothing gets
	// through. 0 is two minutes.
	Patience time.Duration
	// Began is called once, when there is an upload; resumed tells that it was
	// there already. nil is fine.
	Began func(u api.Upload, resumed bool)
	// Progress is called with how far it is, from any goroutine. nil is fine.
	Progress func(AskProgress)
}

// AskProgress is how far an upload is.
type AskProgress struct {
	Done   int64 // bytes of the disk that are durable, holes included
	Total  int64 // bytes of the disk
	Sent   int64 // bytes of chunks that travelled, as they did
	Saved  int64 // bytes of chunks that did not need to
	Making bool  // all is there, and the service makes the image
}

// ErrNoAsk means that the service takes no uploads that ask first.
var ErrNoAsk = errors.New("the service takes no uploads that ask first")

// AskUpload makes an image of a disk, of any format, and sends of it only what
// the service lacks: it cuts the disk into chunks, asks for each part which of
// them the project can use already, and sends the others, packed, several parts
// at a time. Stretches of zeros do not travel. Parts are durable as they come,
// so an upload that was broken off goes on where it was, in the next call with
// the same Source too. It takes about 16 MiB of memory, whatever the disk's size.
//
// The image is returned when it is active. ErrNoAsk where the service is no kuva
// that takes such uploads: use Upload. What the connection breaks is tried
// again for as long as Patience says.
func (c *Client) AskUpload(ctx context.Context, d disk.Disk, opt AskOptions) (api.Image, error) {
	if opt.Parallel <= 0 {
		opt.Parallel = 4
	}
	if opt.Patience <= 0 {
		opt.Patience = 2 * time.Minute
	}
	u := &asking{c: c, d: d, opt: opt, pace: newPace(opt.Bandwidth), room: newRoom(inFlight), digests: map[int64]doneStretch{}}
	u.limit.Store(firstPart)
	img, err := u.run(ctx)
	if err != nil {
		return img, fmt.Errorf("upload: %w", err)
	}
	return img, nil
}

// CanAsk reports whether the service takes uploads that ask first.
func (c *Client) CanAsk(ctx context.Context) (bool, error) {
	var v api.Version
	_, err := c.image.Get(ctx, strings.TrimSuffix(c.kuvaURL(), "/"), &v, nil)
	var unreached *url.Error
	if errors.As(err, &unreached) {
		return false, answered(err)
	}
	if err != nil { // another service says whatever it says there, in JSON or not
		return false, ctx.Err()
	}
	for _, l := range v.Links {
		if l.Rel == "uploads" && v.Service == "kuva" {
			return true, nil
		}
	}
	return false, nil
}

// inFlight is how many bytes of chunks are on their way at most, as they are
// before packing: what a failure may send again.
const inFlight = 64 << 20

// asking is one upload.
type asking struct {
	c    *Client
	d    disk.Disk
	opt  AskOptions
	id   string
	pace *pace
	room *room

	limit atomic.Int64 // bytes of chunks in the next part
	done  atomic.Int64
	sent  atomic.Int64
	saved atomic.Int64

	mu      sync.Mutex
	digests map[int64]doneStretch // durable parts, by offset
}

type doneStretch struct {
	end    int64
	digest chunk.Hash
}

func (u *asking) run(ctx context.Context) (api.Image, error) {
	up, err := u.begin(ctx)
	if err != nil {
		return api.Image{}, err
	}
	u.id = up.ID
	todo, err := u.missing()
	if err != nil {
		return api.Image{}, err
	}
	u.tell(false)
	if up.State == "open" {
		if err := u.sendAll(ctx, todo); err != nil {
			return api.Image{}, err
		}
	}
	u.tell(true)
	return u.finish(ctx)
}

func (u *asking) tell(making bool) {
	if u.opt.Progress != nil {
		u.opt.Progress(AskProgress{Done: u.done.Load(), Total: u.d.Size(), Sent: u.sent.Load(), Saved: u.saved.Load(), Making: making})
	}
}

// begin finds the upload that goes on, or makes one.
func (u *asking) begin(ctx context.Context) (up api.Upload, err error) {
	ok := false
	if u.opt.Source != "" {
		if up, ok, err = u.find(ctx); err != nil {
			return up, err
		}
	}
	if ok {
		u.id = up.ID
		if err := u.durable(ctx); err != nil {
			return up, err
		}
	} else if up, err = u.create(ctx); err != nil {
		return up, err
	}
	if u.opt.Began != nil {
		u.opt.Began(up, ok)
	}
	return up, nil
}

// sourceKey is where an upload says what disk it is of.
const sourceKey = "source"

func (u *asking) create(ctx context.Context) (up api.Upload, err error) {
	body := api.NewUpload{Size: u.d.Size(), Metadata: u.metadata()}
	err = u.again(ctx, func() error {
		_, err := u.c.image.Post(ctx, u.c.kuvaURL("uploads"), body, &up, &gophercloud.RequestOpts{OkCodes: []int{http.StatusCreated}})
		var said *Error
		if err = answered(err); errors.As(err, &said) && said.Status == http.StatusNotFound && u.opt.Fill == "" {
			return ErrNoAsk
		}
		return err
	})
	return up, err
}

func (u *asking) metadata() map[string]string {
	m := map[string]string{}
	if u.opt.Fill != "" {
		m["image"] = u.opt.Fill
	} else {
		n := u.opt.Image
		for key, v := range map[string]string{
			"name": n.Name, "disk_format": n.DiskFormat, "container_format": n.ContainerFormat, "visibility": n.Visibility, "tags": strings.Join(n.Tags, ","),
		} {
			m[key] = v
		}
		for key, v := range map[string]int64{"min_disk": n.MinDisk, "min_ram": n.MinRAM} {
			if v != 0 {
				m[key] = strconv.FormatInt(v, 10)
			}
		}
		if n.Protected {
			m["protected"] = "true"
		}
		for key, v := range n.Properties {
			m["property_"+key] = v
		}
	}
	m["native"], m["sha512"], m["terms"], m[sourceKey] = u.opt.Native, u.opt.SHA512, u.opt.Terms, u.opt.Source
	if u.opt.Exact {
		m["content"] = "exact"
	}
	for key, v := range m {
		if v == "" {
			delete(m, key)
		}
	}
	return m
}

// find looks for an upload of the same disk that was broken off.
func (u *asking) find(ctx context.Context) (found api.Upload, ok bool, err error) {
	for at := u.c.kuvaURL("uploads?state=open&limit=1000"); at != ""; {
		var page api.Uploads
		err := u.again(ctx, func() error {
			_, err := u.c.image.Get(ctx, at, &page, nil)
			var said *Error
			if err = answered(err); errors.As(err, &said) && said.Status == http.StatusNotFound {
				return ErrNoAsk
			}
			return err
		})
		if err != nil {
			return found, false, err
		}
		for _, up := range page.Uploads {
			same := up.Protocol == "ask" && up.Metadata[sourceKey] == u.opt.Source && up.Size != nil && *up.Size == u.d.Size()
			if same && up.Metadata["image"] == u.opt.Fill && up.Metadata["native"] == u.opt.Native && (u.opt.Fill != "" || up.Name == u.opt.Image.Name) {
				return up, true, nil
			}
		}
		at = u.next(page.Next)
	}
	return found, false, nil
}

// next makes an address of a path that the service gave.
func (u *asking) next(path *string) string {
	if path == nil {
		return ""
	}
	_, behind, _ := strings.Cut(*path, "/kuva/v1/")
	return u.c.kuvaURL(behind)
}

// durable reads which parts are there.
func (u *asking) durable(ctx context.Context) error {
	for at := u.url("parts?limit=1000"); at != ""; {
		var page api.UploadParts
		err := u.again(ctx, func() error {
			_, err := u.c.image.Get(ctx, at, &page, nil)
			return answered(err)
		})
		if err != nil {
			return err
		}
		for _, p := range page.Parts {
			sum, err := hex.DecodeString(p.Digest)
			if err != nil || len(sum) != len(chunk.Hash{}) || p.Off < 0 || p.Size <= 0 || p.Off > u.d.Size()-p.Size {
				return errors.New("the service tells of parts that cannot be")
			}
			u.keep(p.Off, p.Size, chunk.Hash(sum))
		}
		at = u.next(page.Next)
	}
	return nil
}

// keep notes a durable part.
func (u *asking) keep(off, size int64, digest chunk.Hash) {
	u.mu.Lock()
	u.digests[off] = doneStretch{off + size, digest}
	u.mu.Unlock()
	u.done.Add(size)
}

// url is an address below the upload's.
func (u *asking) url(parts ...string) string {
	return u.c.kuvaURL(append([]string{"uploads", url.PathEscape(u.id)}, parts...)...)
}

// missing lists what is not durable. A part begins where a piece does, so the
// pieces of the gaps are those of the whole.
func (u *asking) missing() (todo []stretch, err error) {
	at := int64(0)
	for at < u.d.Size() {
		if p, ok := u.digests[at]; ok {
			at = p.end
			continue
		}
		end := u.d.Size()
		for off := range u.digests {
			if off > at {
				end = min(end, off)
			}
		}
		if at%chunk.Block != 0 {
			return nil, errors.New("the parts of the upload that are there were cut by another program: delete it, and begin anew")
		}
		todo = append(todo, stretch{at, end})
		at = end
	}
	return todo, nil
}

// sendAll sends what is missing.
func (u *asking) sendAll(ctx context.Context, todo []stretch) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	parts := make(chan *askPart)
	var senders sync.WaitGroup
	for range u.opt.Parallel {
		senders.Go(func() {
			for p := range parts {
				p.hashing.Wait()
				if ctx.Err() != nil {
					continue
				}
				if err := u.sendPart(ctx, p); err != nil {
					cancel(err)
				}
			}
		})
	}
	err := cutParts(ctx, u.d, todo, &u.limit, parts)
	close(parts)
	senders.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// sendPart makes a part durable.
func (u *asking) sendPart(ctx context.Context, p *askPart) error {
	body := api.EncodeAsk(p.off, p.entries)
	digest := chunk.Sum(body)
	var lacking int64
	for vanished := 0; ; vanished++ {
		asked, err := u.ask(ctx, p, body)
		if err != nil {
			return err
		}
		if asked.Durable {
			break
		}
		if lacking, err = u.lacking(p, asked.Lacking); err != nil {
			return err
		}
		err = u.put(ctx, p, asked.Lacking, lacking)
		var said *Error
		if errors.As(err, &said) && said.Status == http.StatusConflict && vanished < 5 {
			continue // what was there is there no more, or the ask was forgotten
		}
		if err != nil {
			return err
		}
		break
	}
	// Parts grow while there is nothing to send.
	if lacking == 0 {
		u.limit.Store(min(2*u.limit.Load(), api.MostPartData))
	} else if lacking > p.data/4 {
		u.limit.Store(firstPart)
	}
	u.saved.Add(p.data - lacking)
	u.keep(p.off, p.size, digest)
	u.tell(false)
	return nil
}

func (u *asking) ask(ctx context.Context, p *askPart, body []byte) (asked api.Asked, err error) {
	err = u.again(ctx, func() error {
		resp, err := u.c.send(ctx, func() bool { return true }, func() (*http.Request, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.url("parts", strconv.FormatInt(p.number(), 10), "ask"), bytes.NewReader(body))
			if err == nil {
				req.Header.Set("Content-Type", api.AskMedia)
			}
			return req, err
		})
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode/100 != 2 {
			return tooMany(resp, refused(resp))
		}
		asked = api.Asked{}
		return readJSON(resp.Body, &asked)
	})
	return asked, err
}

// lacking counts the bytes that are to be sent.
func (u *asking) lacking(p *askPart, bits []byte) (n int64, err error) {
	i := 0
	for _, e := range p.entries {
		if e.Hole {
			continue
		}
		if i/8 >= len(bits) {
			return 0, errors.New("the service's answer " + base64.StdEncoding.EncodeToString(bits) + " is too short for the part")
		}
		if bits[i/8]&(1<<(i%8)) != 0 {
			n += e.Len
		}
		i++
	}
	return n, nil
}

// put sends the chunks of a part that the bits choose.
func (u *asking) put(ctx context.Context, p *askPart, bits []byte, bytes int64) error {
	if err := u.room.take(ctx, bytes); err != nil {
		return err
	}
	defer u.room.give(bytes)
	return u.again(ctx, func() error {
		var sent atomic.Int64
		var readErr atomic.Pointer[error]
		resp, err := u.c.send(ctx, func() bool { return sent.Load() == 0 }, func() (*http.Request, error) {
			r, w := io.Pipe()
			go func() {
				err := u.frames(ctx, w, p, bits, &sent)
				if errors.Is(err, errRead) {
					readErr.Store(&err)
				}
				_ = w.CloseWithError(err) // nil is the end
			}()
			req, err := http.NewRequestWithContext(ctx, http.MethodPut, u.url("parts", strconv.FormatInt(p.number(), 10)), r)
			if err == nil {
				req.Header.Set("Content-Type", api.ChunksMedia)
				req.Header.Set("Expect", "100-continue")
			}
			return req, err
		})
		if e := readErr.Load(); e != nil {
			err = *e // our side's fault
		}
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode/100 != 2 {
			return tooMany(resp, refused(resp))
		}
		return nil
	})
}

// frames reads the chunks again and writes them.
func (u *asking) frames(ctx context.Context, w io.Writer, p *askPart, bits []byte, sent *atomic.Int64) error {
	buf, out := make([]byte, chunk.Size), make([]byte, 0, chunk.Size+16)
	off, i := p.off, 0
	for _, e := range p.entries {
		if !e.Hole {
			if bits[i/8]&(1<<(i%8)) != 0 {
				if err := disk.ReadFull(u.d, buf[:e.Len], off); err != nil {
					return fmt.Errorf("%w: %w", errRead, err)
				}
				out = api.AppendFrame(out[:0], buf[:e.Len])
				if err := u.pace.wait(ctx, len(out)); err != nil {
					return err
				}
				n, err := w.Write(out)
				sent.Add(int64(n))
				u.sent.Add(int64(n))
				if err != nil {
					return err
				}
				u.tell(false)
			}
			i++
		}
		off += e.Len
	}
	return nil
}

// finish ends the upload and waits for the image.
func (u *asking) finish(ctx context.Context) (img api.Image, err error) {
	var sums []chunk.Hash
	for at := int64(0); at < u.d.Size(); {
		p, ok := u.digests[at]
		if !ok {
			return img, fmt.Errorf("the part at %d was not sent", at)
		}
		sums, at = append(sums, p.digest), p.end
	}
	var up api.Upload
	err = u.again(ctx, func() error {
		_, err := u.c.image.Post(ctx, u.url("finish"), api.FinishUpload{Digest: api.FinishDigest(sums).String()}, &up, &gophercloud.RequestOpts{OkCodes: []int{http.StatusAccepted}})
		return answered(err)
	})
	if err != nil {
		return img, err
	}
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		switch {
		case up.State == "failed" && up.Failure != nil:
			return img, fmt.Errorf("%s (%s)", printable(up.Failure.Message), up.Failure.Code)
		case up.State == "failed" || up.ImageID == nil:
			return img, errors.New("the service gave the upload up")
		case up.State == "done":
			return u.c.Show(ctx, *up.ImageID)
		}
		if err := sleep(ctx, wait); err != nil {
			return img, err
		}
		err := u.again(ctx, func() error {
			_, err := u.c.image.Get(ctx, u.url(), &up, nil)
			return answered(err)
		})
		if err != nil {
			return img, err
		}
	}
}

// again tries until it works, or is refused for good, or nothing has worked for
// as long as the upload is patient.
func (u *asking) again(ctx context.Context, try func() error) error {
	began := time.Now()
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := try()
		if err == nil || ctx.Err() != nil || final(err) {
			return err
		}
		pause := wait/2 + rand.N(wait)
		var busy *busyError
		if errors.As(err, &busy) {
			pause, began = busy.after+rand.N(wait), time.Now() // the service lives
		}
		if time.Since(began)+pause > u.opt.Patience {
			return err
		}
		if e := sleep(ctx, pause); e != nil {
			return err
		}
	}
}

// final reports whether trying again makes no sense.
func final(err error) bool {
	var said *Error
	var busy *busyError
	switch {
	case errors.Is(err, errRead) || errors.Is(err, ErrNoAsk):
		return true
	case errors.As(err, &busy):
		return false
	case errors.As(err, &said):
		return said.Status/100 == 4 && said.Status != http.StatusRequestTimeout && said.Status != http.StatusTooManyRequests
	}
	return false
}

// busyError is a refusal that says when to come back.
type busyError struct {
	err   error
	after time.Duration
}

func (b *busyError) Error() string { return b.err.Error() }
func (b *busyError) Unwrap() error { return b.err }

// tooMany reads Retry-After of an answer that has one.
func tooMany(resp *http.Response, err error) error {
	s, e := strconv.Atoi(resp.Header.Get("Retry-After"))
	if e != nil || s < 0 || s > 3600 || resp.StatusCode != http.StatusTooManyRequests {
		return err
	}
	return &busyError{err, time.Duration(s) * time.Second}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
