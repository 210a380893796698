package kuvav1

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"kuva"
	"kuva/api"
	"kuva/internal/rest"
	"kuva/message"
)

const (
	// checkEvery is how often a stream asks whether its token still stands.
	// With the 4 s for which a checked token is believed, a revocation on
	// another node ends the stream within 5 s.
	checkEvery = 500 * time.Millisecond
	// writeWithin is how long a client may take none of our bytes.
	writeWithin = 10 * time.Second
	// comeBack is what the client is told to wait before it connects again.
	comeBack = 2 * time.Second
)

// events answers with a stream of server-sent events that has no end of its
// own: a begin, then a job or image for each change, a heartbeat where it is
// quiet, an end with the reason where the service ends it.
func (a *API) events(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	q, err := parseQuery(r.URL.RawQuery, "project")
	if err != nil {
		return err
	}
	project, err := a.images.MayFollow(p, q["project"])
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would hold events back
	if r.Method == http.MethodHead {
		return nil
	}
	last := r.Header.Get("Last-Event-ID")
	c, missed, resumed, err := a.hub.join(ctx, p.ProjectID, project, last)
	if err != nil {
		w.Header().Del("X-Accel-Buffering")
		return err
	}
	defer a.hub.leave(c)
	s := &stream{a: a, c: c, p: p, token: rest.CallOf(ctx).Token(), lang: rest.LanguageOf(r), w: w, rc: http.NewResponseController(w)}
	// The connection may carry other calls afterwards.
	defer func() { _ = s.rc.SetWriteDeadline(time.Time{}) }()
	if err := s.begin(missed, resumed); err != nil {
		return nil // the client is gone, and the answer has begun
	}
	s.run(ctx)
	return nil
}

// stream is one client's connection.
type stream struct {
	a     *API
	c     *client
	p     kuva.Principal
	token string
	lang  message.Language
	w     http.ResponseWriter
	rc    *http.ResponseController
}

func (s *stream) begin(missed []event, resumed bool) error {
	if _, err := fmt.Fprintf(s.w, "retry: %d\n", comeBack.Milliseconds()); err != nil {
		return err
	}
	err := s.send(s.c.begin, "begin", api.StreamBegin{Project: text(s.c.project), Heartbeat: s.a.cfg.Heartbeat.Seconds()})
	if err == nil && !resumed {
		err = s.note(s.c.begin, eventReset, "missed")
	}
	for _, e := range missed {
		if err == nil {
			err = s.event(e)
		}
	}
	return err
}

// run sends until the client goes, does not keep up, loses its token, or the
// service stops.
func (s *stream) run(ctx context.Context) {
	heart, check := time.NewTicker(s.a.cfg.Heartbeat), time.NewTicker(checkEvery)
	defer heart.Stop()
	defer check.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-s.a.stopping:
			_ = s.note("", "end", "stopping")
			return
		case e, open := <-s.c.queue:
			if !open {
				_ = s.note("", "end", "slow")
				return
			}
			err = s.event(e)
		case <-heart.C:
			err = s.heartbeat()
		case <-check.C:
			if why := s.stands(ctx); why != "" {
				_ = s.note("", "end", why)
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// stands says why the stream must end, "" where it may go on.
func (s *stream) stands(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	now, err := s.a.cfg.Auth.Check(ctx, s.token)
	switch {
	case kuva.CodeOf(err) == kuva.CodeUnauthenticated:
		return "token"
	case err != nil: // who cannot be checked gets nothing
		return "unavailable"
	case now.ProjectID != s.p.ProjectID || now.Admin != s.p.Admin:
		return "token"
	}
	return ""
}

// event sends one change.
func (s *stream) event(e event) error {
	if e.kind == eventReset {
		return s.note(e.id, eventReset, "missed")
	}
	return s.write(e.id, e.kind, e.data)
}

// heartbeat shows that the stream lives. Its id moves the place that the client
// comes back to, without an event.
func (s *stream) heartbeat() error {
	id, ok := s.a.hub.position(s.c)
	if !ok {
		id = ""
	}
	return s.write(id, "", nil)
}

// The sentences that go with reset and end.
var notes = map[string]message.Text{
	"missed":      message.New("kuvav1.events_missed"),
	"slow":        message.New("kuvav1.events_slow"),
	"stopping":    message.New("kuvav1.events_stopping"),
	"token":       message.New("kuvav1.events_token"),
	"unavailable": message.New("kuvav1.events_unavailable"),
}

func (s *stream) note(id, kind, reason string) error {
	return s.send(id, kind, api.StreamNote{Reason: reason, Message: notes[reason].In(s.lang)})
}

func (s *stream) send(id, kind string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.write(id, kind, data)
}

// write sends one event, or a comment where there is no kind.
func (s *stream) write(id, kind string, data []byte) error {
	var b bytes.Buffer
	if id != "" {
		fmt.Fprintf(&b, "id: %s\n", id)
	}
	if kind == "" {
		b.WriteString(": heartbeat\n\n")
	} else {
		fmt.Fprintf(&b, "event: %s\ndata: %s\n\n", kind, data) // JSON has no line breaks
	}
	_ = s.rc.SetWriteDeadline(time.Now().Add(writeWithin)) // where it is not supported, the queue is the bound
	if _, err := s.w.Write(b.Bytes()); err != nil {
		return err
	}
	return s.rc.Flush()
}
