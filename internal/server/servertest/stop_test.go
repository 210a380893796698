package servertest_test

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"testing"
	"time"

	"kuva/internal/server/servertest"
)

// slowly hands out a content in pieces, with a pause before each.
type slowly struct {
	content []byte
	piece   int
	pause   time.Duration
	at      int
}

func (s *slowly) Read(p []byte) (int, error) {
	if s.at == len(s.content) {
		return 0, io.EOF
	}
	time.Sleep(s.pause)
	n := copy(p[:min(len(p), s.piece)], s.content[s.at:])
	s.at += n
	return n, nil
}

// SIGTERM during an upload: it goes on to its end, and the program ends with
// code 0.
func TestStopWaitsForUploads(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	p := servertest.Start(t, servertest.Config{Data: data})
	c := p.Login(t, servertest.Admin)
	id := c.MustCreate(t, servertest.Fields{"name": "slow"})
	body := &slowly{content: servertest.Content(1, 4<<20), piece: 64 << 10, pause: 20 * time.Millisecond}
	done := make(chan error, 1)
	go func() { done <- c.Upload(id, body) }()
	waitSaving(t, c, id)
	began := time.Now()
	p.MustStop(t)
	if err := <-done; err != nil {
		t.Errorf("the upload under way: %v", err)
	}
	t.Logf("stopped %v after SIGTERM", time.Since(began))

	p = servertest.Start(t, servertest.Config{Data: data})
	c.At(p.URL).MustDownload(t, id, body.content)
	p.MustStop(t)
}

// An upload that stands still cannot hold the stop up for more than half a
// minute: it is cut off, and at the next start its image waits to be filled.
func TestStopCutsOff(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	p := servertest.Start(t, servertest.Config{Data: data})
	c := p.Login(t, servertest.Admin)
	id := c.MustCreate(t, servertest.Fields{"name": "stalled"})
	content := servertest.Content(1, 4<<20)
	put(t, c, id, fmt.Sprintf("Content-Length: %d\r\n", len(content)), content[:1<<20])
	waitSaving(t, c, id)
	began := time.Now()
	code, err := p.Stop(40 * time.Second)
	took := time.Since(began)
	if err != nil || code != 0 || took > 35*time.Second {
		t.Errorf("stopped after %v with code %d, %v", took, code, err)
	}

	p = servertest.Start(t, servertest.Config{Data: data})
	c = c.At(p.URL)
	if img := c.MustShow(t, id); img.Status != "queued" || img.LastFailure == "" {
		t.Errorf("after the start: %+v", img)
	}
	q, err := c.Quota()
	if err != nil || q.Use.Reserved != 0 || q.Use.Uploads != 0 {
		t.Errorf("space is still held: %+v, %v", q.Use, err)
	}
	if err := c.Upload(id, bytes.NewReader(content)); err != nil {
		t.Errorf("fill it again: %v", err)
	}
	c.MustDownload(t, id, content)
	p.MustStop(t)
}

func waitSaving(t *testing.T, c *servertest.Client, id string) {
	t.Helper()
	servertest.Eventually(t, "upload begun", func() bool { return c.MustShow(t, id).Status == "saving" })
}
