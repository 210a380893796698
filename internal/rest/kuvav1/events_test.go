package kuvav1

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kuva"
	"kuva/api"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
	"kuva/internal/images"
	"kuva/internal/rest"
)

// sse is one event as a client reads it.
type sse struct {
	id, kind, data string
	at             time.Time
}

// follow is a client of the stream. Its events come on a channel, which is
// closed when the stream ends.
type follower struct {
	w      *world
	events chan sse
	beats  atomic.Int64
	close  context.CancelFunc
	header http.Header
}

func (w *world) follow(u *user, query string, headers ...string) *follower {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	res, err := http.DefaultClient.Do(w.request(u, "GET", "/kuva/v1/events"+query, "", headers...).WithContext(ctx))
	if err != nil {
		w.t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" || res.Header.Get("X-Accel-Buffering") != "no" {
		body, _ := io.ReadAll(res.Body)
		w.t.Fatalf("stream: %d %v %s", res.StatusCode, res.Header, body)
	}
	f := &follower{w: w, events: make(chan sse, 10_000), close: cancel, header: res.Header}
	w.t.Cleanup(cancel)
	go func() {
		defer close(f.events)
		defer res.Body.Close() //nolint:errcheck // it was only read
		f.read(res.Body)
	}()
	return f
}

func (f *follower) read(r io.Reader) {
	var e sse
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch {
		case lines.Text() == ": heartbeat":
			f.beats.Add(1)
		case name == "id":
			e.id = value
		case name == "event":
			e.kind = value
		case name == "data":
			e.data = value
		case lines.Text() == "" && e.kind != "":
			e.at = time.Now()
			f.events <- e
			e = sse{}
		}
	}
}

// next waits for an event and holds its data to openapi.yaml.
func (f *follower) next() sse {
	f.w.t.Helper()
	select {
	case e, open := <-f.events:
		if !open {
			f.w.t.Fatal("the stream ended without a word")
		}
		doc, _ := described()
		schema := map[string]string{"begin": "StreamBegin", "job": "Job", "image": "ImageEvent", "upload": "Upload", "reset": "StreamNote", "end": "StreamNote"}[e.kind]
		f.w.schema(doc, schema, []byte(e.data))
		if (e.id == "") != (e.kind == "end") {
			f.w.t.Errorf("%s with the id %q", e.kind, e.id)
		}
		return e
	case <-time.After(20 * time.Second):
		f.w.t.Fatal("no event came")
	}
	return sse{}
}

// kind waits for an event of a kind, past others.
func (f *follower) kind(kind string) sse {
	f.w.t.Helper()
	for {
		if e := f.next(); e.kind == kind {
			return e
		}
	}
}

// image waits until an image is told to have a status.
func (f *follower) image(id, status string) sse {
	f.w.t.Helper()
	for {
		e := f.kind("image")
		var img api.ImageEvent
		if err := json.Unmarshal([]byte(e.data), &img); err != nil {
			f.w.t.Fatal(err)
		}
		if img.ID == id && img.Status == status {
			return e
		}
	}
}

// job waits until a job is told to have a state.
func (f *follower) job(id, state string) sse {
	f.w.t.Helper()
	for {
		e := f.kind("job")
		var j api.Job
		if err := json.Unmarshal([]byte(e.data), &j); err != nil {
			f.w.t.Fatal(err)
		}
		if j.ID == id && j.State == state {
			return e
		}
	}
}

// ended waits for the last event, which says why, and the end after it.
func (f *follower) ended(reason string) time.Time {
	f.w.t.Helper()
	e := f.kind("end")
	var n api.StreamNote
	if err := json.Unmarshal([]byte(e.data), &n); err != nil || n.Reason != reason || n.Message == "" {
		f.w.t.Errorf("ended with %s, want %s", e.data, reason)
	}
	if more, open := <-f.events; open {
		f.w.t.Errorf("%v after the end", more)
	}
	return e.at
}

// TestEvents: a project is told what happens to its jobs and images, on both
// engines, an administrator everything, and others nothing of it.
func TestEvents(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		w := startOn(t, db, time.Now, func(c *Config) { c.Heartbeat = 100 * time.Millisecond })
		alice, bob, admin := w.follow(w.alice, ""), w.follow(w.bob, ""), w.follow(w.admin, "")
		for _, f := range []*follower{alice, bob, admin} {
			if e := f.next(); e.kind != "begin" {
				t.Fatalf("first came %v", e)
			}
		}
		id := w.image(w.alice, "", func(n *images.NewImage) { n.Visibility = kuva.VisibilityPrivate })
		alice.image(id, "queued")

		// An upload that goes on is seen while it does.
		r, body := io.Pipe()
		done := make(chan error)
		go func() {
			_, err := w.images.Ingest(t.Context(), w.principal(w.alice), id, images.Source{Content: r, Size: -1})
			done <- err
		}()
		_, _ = io.WriteString(body, "content")
		alice.image(id, "saving")
		_ = body.CloseWithError(io.ErrUnexpectedEOF)
		if err := <-done; err == nil {
			t.Fatal("a broken upload was taken")
		}
		alice.image(id, "queued")
		if _, err := w.images.Ingest(t.Context(), w.principal(w.alice), id, images.Source{Content: strings.NewReader("content"), Size: 7}); err != nil {
			t.Fatal(err)
		}
		alice.image(id, "active")
		admin.image(id, "active")

		job := w.enqueue(kindHold, w.alice.project)
		alice.job(job, "running")
		w.want(http.StatusAccepted, w.alice, "DELETE", "/kuva/v1/jobs/"+job, "")
		alice.job(job, "cancelled")
		service := w.enqueue(kindFail, "")
		admin.job(service, "failed")

		if err := w.images.Delete(t.Context(), w.principal(w.alice), id); err != nil {
			t.Fatal(err)
		}
		alice.image(id, "deleted")
		last := w.enqueue(kindFail, w.bob.project)
		if e := bob.next(); !strings.Contains(e.data, last) {
			t.Errorf("bob was told %v", e)
		}
		until(t, "heartbeats", func() bool { return bob.beats.Load() >= 2 })
		for len(alice.events) > 0 {
			if e := alice.next(); strings.Contains(e.data, last) || strings.Contains(e.data, service) {
				t.Errorf("alice was told %v", e)
			}
		}
	})
}

// TestEventsResume: who comes back with the id of the last event gets what it
// missed, once; who cannot is told to load anew.
func TestEventsResume(t *testing.T) {
	w := start(t, func(c *Config) { c.Linger = 20 * time.Second })
	f := w.follow(w.alice, "")
	f.kind("begin")
	first := w.image(w.alice, "")
	seen := f.image(first, "queued")
	f.close()
	until(t, "client leaves", func() bool { w.door.hub.mu.Lock(); defer w.door.hub.mu.Unlock(); return len(w.door.hub.clients) == 0 })
	second := w.image(w.alice, "")
	foreign := w.image(w.bob, "")
	until(t, "change is noticed", func() bool { w.door.hub.mu.Lock(); defer w.door.hub.mu.Unlock(); return len(w.door.hub.ring) >= 3 })

	f = w.follow(w.alice, "", "Last-Event-ID", seen.id)
	begin := f.next()
	e := f.next()
	if begin.kind != "begin" || !strings.Contains(e.data, second) {
		t.Errorf("got %v, then %v", begin, e)
	}
	third := w.image(w.alice, "")
	if e := f.next(); !strings.Contains(e.data, third) || strings.Contains(e.data, foreign) {
		t.Errorf("got %v", e)
	}
	for _, bad := range []string{"x", "-", "0123456789abcdef-1", begin.id + "0000", strings.Replace(begin.id, "-", "--", 1), strings.Repeat("9", 1000)} {
		f := w.follow(w.alice, "", "Last-Event-ID", bad, "Accept-Language", "en")
		f.kind("begin")
		if e := f.next(); e.kind != "reset" || !strings.Contains(e.data, "missed") {
			t.Errorf("%.30s: got %v", bad, e)
		}
		f.close()
	}
}

// TestEventsLinger: what nobody listens to is not followed for long.
func TestEventsLinger(t *testing.T) {
	w := start(t, func(c *Config) { c.Linger = 50 * time.Millisecond })
	f := w.follow(w.alice, "")
	begin := f.kind("begin")
	f.close()
	until(t, "the hub rests", func() bool { w.door.hub.mu.Lock(); defer w.door.hub.mu.Unlock(); return w.door.hub.epoch == "" })
	f = w.follow(w.alice, "", "Last-Event-ID", begin.id)
	f.kind("begin")
	f.kind("reset")
	id := w.image(w.alice, "")
	f.image(id, "queued")
}

// TestEventsRevoked: a stream ends within 5 s of its token's end, with a word.
func TestEventsRevoked(t *testing.T) {
	w := start(t)
	f := w.follow(w.bob, "", "Accept-Language", "en")
	f.kind("begin")
	began := time.Now()
	if err := w.identity.Revoke(t.Context(), w.principal(w.bob), w.bob.token); err != nil {
		t.Fatal(err)
	}
	if took := f.ended("token").Sub(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// expiring says that a token has ended once it is told so.
type expiring struct {
	rest.Authenticator
	over atomic.Pointer[error]
}

func (e *expiring) Check(ctx context.Context, token string) (kuva.Principal, error) {
	if err := e.over.Load(); err != nil {
		return kuva.Principal{}, *err
	}
	return e.Authenticator.Check(ctx, token)
}

// TestEventsChecked: an expired token ends the stream, and so does a check
// that cannot be made.
func TestEventsChecked(t *testing.T) {
	for reason, err := range map[string]error{
		"token":       kuva.E(kuva.CodeUnauthenticated, "identity.unauthenticated"),
		"unavailable": catalog.ErrUnavailable,
	} {
		auth := &expiring{}
		w := start(t, func(c *Config) { auth.Authenticator = c.Auth; c.Auth = auth })
		f := w.follow(w.alice, "")
		f.kind("begin")
		auth.over.Store(&err)
		f.ended(reason)
	}
}

// TestEventsCap: a project has so many streams and no more; those of others do
// not count, and one that ended makes room.
func TestEventsCap(t *testing.T) {
	w := start(t, func(c *Config) { c.Streams = 2 })
	one, two := w.follow(w.alice, ""), w.follow(w.rita, "")
	one.kind("begin")
	two.kind("begin")
	a := w.want(http.StatusTooManyRequests, w.alice, "GET", "/kuva/v1/events", "")
	var e api.Error
	a.into(t, &e)
	if e.Code != "throttled" || !strings.Contains(e.Message, "2") {
		t.Errorf("got %+v", e)
	}
	w.follow(w.bob, "").kind("begin")
	one.close()
	until(t, "room", func() bool {
		w.door.hub.mu.Lock()
		defer w.door.hub.mu.Unlock()
		return w.door.hub.streams[w.alice.project] == 1
	})
	w.follow(w.alice, "").kind("begin")
}

// TestEventsSlow: a client that does not read is dropped with a last word, and
// holds nobody up.
func TestEventsSlow(t *testing.T) {
	w := start(t)
	res, err := http.DefaultClient.Do(w.request(w.alice, "GET", "/kuva/v1/events", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	quick := w.follow(w.bob, "")
	quick.kind("begin")
	// Large events fill the buffers of the connection, then the queue.
	big := strings.Repeat("x", 64<<10)
	began, n := time.Now(), 0
	for dropped := false; !dropped; n++ {
		w.door.hub.publish(eventImage, w.alice.project, api.ImageEvent{ID: "slow", Name: big, Project: w.alice.project, Status: "queued", Visibility: "private"})
		w.door.hub.mu.Lock()
		dropped = len(w.door.hub.clients) == 1
		w.door.hub.mu.Unlock()
		if n > 100_000 {
			t.Fatal("nobody is ever dropped")
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("publishing %d events took %v: somebody was waited for", n, took)
	}
	w.door.hub.publish(eventImage, w.bob.project, api.ImageEvent{ID: "quick", Status: "queued", Visibility: "private"})
	quick.image("quick", "queued")
	f := &follower{w: w, events: make(chan sse, 100_000)}
	f.read(res.Body)
	close(f.events)
	var last sse
	for e := range f.events {
		last = e
	}
	if last.kind != "end" || !strings.Contains(last.data, `"slow"`) {
		t.Errorf("the last event was %s %.100s", last.kind, last.data)
	}
}

// TestEventsClose: a service that stops says so, and takes no new streams.
func TestEventsClose(t *testing.T) {
	w := start(t)
	f := w.follow(w.alice, "", "Accept-Language", "en")
	f.kind("begin")
	w.door.Close()
	f.ended("stopping")
	w.door.Close()
	a := w.want(http.StatusServiceUnavailable, w.alice, "GET", "/kuva/v1/events", "")
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	w.want(http.StatusOK, w.alice, "GET", "/kuva/v1/jobs", "")
}

// TestRing: an id is resumed from exactly where the ring still knows all that
// followed it.
func TestRing(t *testing.T) {
	h := newHub(t.Context(), Config{})
	h.epoch = "e"
	c := &client{project: "p"}
	for i := range keepEvents + 10 {
		h.publish(eventImage, []string{"p", "other"}[i%2], nil)
	}
	for seq, want := range map[int]int{9: -1, 10: keepEvents / 2, 11: keepEvents/2 - 1, keepEvents + 9: 0, keepEvents + 10: 0, keepEvents + 11: -1} {
		missed, ok := h.since(c, fmt.Sprintf("e-%d", seq))
		if ok != (want >= 0) || ok && len(missed) != want {
			t.Errorf("after %d: %d missed, %v, want %d", seq, len(missed), ok, want)
		}
	}
	if missed, ok := h.since(c, ""); !ok || missed != nil {
		t.Errorf("a new client missed %d, %v", len(missed), ok)
	}
}
