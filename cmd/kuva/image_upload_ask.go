package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"kuva/api"
	"kuva/client"
	"kuva/disk"
	"kuva/disk/formats"
)

// The ways in which a file becomes an image.
const (
	methodAuto = "auto"
	methodPut  = "put" // the file as it is, to any cloud
	methodAsk  = "ask" // the disk in it, and of that only what the cloud lacks
)

// sending is how a file is uploaded.
type sending struct {
	method    string
	bandwidth string
	terms     string // version that the user accepts
	rate      int64  // bytes a second, 0 is any number
	events    bool   // as JSON, instead of progress
}

func (s *sending) check() (err error) {
	switch s.method {
	case methodAuto, methodPut, methodAsk:
	default:
		return usagef("there is no method %q: choose auto, put or ask", s.method)
	}
	if s.bandwidth != "" {
		if s.rate, err = parseRate(s.bandwidth); err != nil {
			return err
		}
	}
	return nil
}

// parseRate reads bytes a second as "20MiB/s", "500k" or "1G".
func parseRate(text string) (int64, error) {
	t := strings.TrimSuffix(strings.ToLower(strings.TrimSpace(text)), "/s")
	t = strings.TrimSuffix(strings.TrimSuffix(t, "b"), "i")
	unit := int64(1)
	if n := len(t); n > 0 {
		if i := strings.IndexByte("kmgt", t[n-1]); i >= 0 {
			unit, t = 1<<(10*(i+1)), t[:n-1]
		}
	}
	v, err := strconv.ParseFloat(t, 64)
	if rate := v * float64(unit); err == nil && rate >= 1 && rate < 1<<62 {
		return int64(rate), nil
	}
	return 0, usagef("the bandwidth %q is none: say bytes a second, as 20MiB/s", text)
}

// asksFirst opens the disk in a file where it is to be sent by asking first: nil
// where the file is sent as it is.
func (s *sending) asksFirst(ctx context.Context, c *client.Client, n client.NewImage, in io.ReadCloser, bytes int64, named bool) (disk.Disk, error) {
	if s.method == methodPut {
		return nil, nil
	}
	d, why := s.diskIn(ctx, n, in, bytes, named)
	if d != nil {
		can, err := c.CanAsk(ctx)
		if err != nil {
			return nil, err
		}
		if can {
			return d, nil
		}
		why = "the cloud takes no uploads that ask first"
	}
	if s.method == methodAsk {
		return nil, fmt.Errorf("%s: leave --method out, or say --method put", why)
	}
	return nil, nil
}

// diskIn opens a file as a disk, or says why it cannot be sent as one. An image
// shows a disk as qcow2 or raw; a file of another format goes as it is where the
// user named that format, and so does a disc.
func (s *sending) diskIn(ctx context.Context, n client.NewImage, in io.ReadCloser, bytes int64, named bool) (disk.Disk, string) {
	f, ok := in.(*os.File)
	if !ok || bytes <= 0 {
		return nil, "standard input and pipes are sent as they are"
	}
	format := formats.ByName(n.DiskFormat)
	if n.ContainerFormat != "bare" || shows(n.DiskFormat) == "" && (named || format == nil || format.Open == nil || n.DiskFormat == "iso") {
		return nil, "only disks that are to be raw or qcow2 are asked for first"
	}
	d, err := format.Open(ctx, f, bytes, disk.OpenOptions{Budget: disk.NewBudget(disk.Limits{})})
	if err != nil {
		return nil, fmt.Sprintf("%s: %v", f.Name(), err)
	}
	if d.Size() == 0 {
		return nil, "the disk is empty"
	}
	return d, ""
}

// shows is the format that an image of a disk is asked to show: that of the file
// where it can; "" leaves it to the service.
func shows(format string) string {
	if format == "raw" || format == "qcow2" {
		return format
	}
	return ""
}

// identity names a file as it is now: another one of the same name, or of
// another size or time, is not gone on with.
func identity(f *os.File) string {
	info, err := f.Stat()
	at, pathErr := filepath.Abs(f.Name())
	if err != nil || pathErr != nil || !info.Mode().IsRegular() {
		return ""
	}
	host, _ := os.Hostname()
	sum := sha256.Sum256([]byte(host + "\x00" + at))
	return fmt.Sprintf("file %s, %d bytes, %s", hex.EncodeToString(sum[:8]), info.Size(), info.ModTime().UTC().Format(time.RFC3339Nano))
}

// askUpload sends a disk.
func (s *sending) askUpload(cmd *cobra.Command, c *client.Client, n client.NewImage, f *os.File, d disk.Disk, quiet bool) (api.Image, error) {
	opt := client.AskOptions{Image: n, Native: shows(n.DiskFormat), Source: identity(f), Bandwidth: s.rate, Terms: s.terms}
	if n.ID != "" {
		img, err := fillable(cmd, c, n)
		if err != nil {
			return img, err
		}
		opt.Fill = img.ID
	}
	p := newProgress(cmd, quiet || s.events, "upload", d.Size())
	p.more = func(x client.AskProgress) string {
		if x.Making {
			return "the service makes the image"
		}
		return fmt.Sprintf("%s sent, %s needed not travel", size(x.Sent), size(x.Saved))
	}
	events := &eventLines{out: cmd.OutOrStdout(), on: s.events}
	begun := ""
	opt.Began = func(u api.Upload, resumed bool) {
		begun = u.ID
		events.say(map[string]any{"event": "began", "upload": u.ID, "image": u.ImageID, "resumed": resumed, "received": u.Received})
		if resumed {
			p.say(fmt.Sprintf("going on with upload %s, of which %s are there", u.ID, size(u.Received)))
		}
	}
	opt.Progress = func(x client.AskProgress) {
		p.ask(x)
		tell := events.often
		if x.Making {
			tell = events.say
		}
		tell(map[string]any{"event": "progress", "done": x.Done, "total": x.Total, "sent": x.Sent, "saved": x.Saved, "making": x.Making})
	}
	img, err := c.AskUpload(cmd.Context(), d, opt)
	p.end()
	if err != nil {
		events.say(map[string]any{"event": "failed", "upload": begun, "message": err.Error()})
		if begun != "" && opt.Source != "" && !refusedForGood(err) {
			err = fmt.Errorf("%w\nWhat came is kept. Go on with the same command: it sends what is missing", err)
		}
		return img, judged(err)
	}
	events.say(map[string]any{"event": "done", "upload": begun, "image": img})
	return img, nil
}

// refusedForGood reports whether the same command would fail again.
func refusedForGood(err error) bool {
	var said *client.Error
	return errors.As(err, &said) && said.Status/100 == 4
}

// eventLines prints events as JSON, one a line.
type eventLines struct {
	on  bool
	out io.Writer

	mu   sync.Mutex
	last time.Time
}

func (e *eventLines) say(event map[string]any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.print(event)
}

// often is say for what comes often: at most four times a second.
func (e *eventLines) often(event map[string]any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if now := time.Now(); now.Sub(e.last) >= time.Second/4 {
		e.last = now
		e.print(event)
	}
}

func (e *eventLines) print(event map[string]any) {
	if !e.on {
		return
	}
	if b, err := json.Marshal(event); err == nil {
		fmt.Fprintln(e.out, string(b))
	}
}

// paced reads no more than so many bytes a second.
type paced struct {
	io.Reader
	rate int64
	free time.Time
}

func (p *paced) Read(b []byte) (int, error) {
	if now := time.Now(); p.free.After(now) {
		time.Sleep(p.free.Sub(now))
	} else {
		p.free = now
	}
	n, err := p.Reader.Read(b[:min(int64(len(b)), max(p.rate/10, 1))])
	p.free = p.free.Add(time.Duration(float64(n) / float64(p.rate) * float64(time.Second)))
	return n, err
}
