package kuvav1

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"kuva"
	"kuva/api"
	"kuva/internal/catalog"
	"kuva/internal/images"
	"kuva/internal/job"
	"kuva/internal/transfer/upload"
	"kuva/message"
)

// The kinds of events that tell of a change. See openapi.yaml for all.
const (
	eventJob   = "job"
	eventImage = "image"
	eventReset = "reset"
	// eventUpload tells how far an upload is.
	eventUpload = "upload"
)

const (
	// queueSize is how many events wait for one client before it counts as
	// slow. [256: a portal reads hundreds a second; at a kilobyte each that is
	// 256 KiB a client]
	queueSize = 256
	// keepEvents is how many of the newest events are kept for clients that
	// come back.
	keepEvents = 1024
	// settle is how long the queue's first look at its table may take. Changes
	// before it are not told, so the first client waits for it before it loads
	// its lists.
	settle = 200 * time.Millisecond
)

// event is one change, as all clients get it.
type event struct {
	id      string
	kind    string
	project string // whose, "" for the service's own
	data    []byte // JSON; nil for a reset, which each client gets in its language
}

// hub follows jobs, images and uploads while there are clients, and a while longer, and
// hands each change to the clients that it is for. A client that does not keep
// up is dropped; nobody waits for it.
//
//	job.Queue.Subscribe ──┐
//	                      ├─► publish ─► ring (keepEvents)
//	images.Watch ─────────┤         └──► client queues (queueSize)
//	upload.Service.Watch ─┘
type hub struct {
	ctx        context.Context //nolint:containedctx // ends with the door
	images     *images.Service
	uploads    *upload.Service // may be nil
	queue      *job.Queue
	perProject int
	look       time.Duration
	linger     time.Duration

	mu      sync.Mutex
	clients map[*client]struct{}
	streams map[string]int // by the project of the token
	epoch   string         // random, of this run of the pump; "" while it does not run
	seq     uint64         // of the newest event of the epoch
	ring    []event        // the newest ones, oldest first
	ready   chan struct{}  // closed when changes are followed
	halt    context.CancelFunc
	idle    *time.Timer // ends the pump when nobody came back
}

// client is one stream.
type client struct {
	holder  string // project of the token, for the cap
	project string // whose events it gets, "" for all
	queue   chan event
	begin   string // id of the place where it joined
}

func newHub(ctx context.Context, cfg Config) *hub {
	return &hub{
		ctx: ctx, images: cfg.Images, uploads: cfg.Uploads, queue: cfg.Jobs, perProject: cfg.Streams, look: cfg.Look, linger: cfg.Linger,
		clients: map[*client]struct{}{}, streams: map[string]int{},
	}
}

// join adds a client whose token is for holder and who gets the events of
// project. missed are those that came after last, the id of the newest event
// that it has seen; ok is false where that cannot be told. The caller leaves
// again.
func (h *hub) join(ctx context.Context, holder, project, last string) (c *client, missed []event, ok bool, err error) {
	h.mu.Lock()
	if h.ctx.Err() != nil {
		h.mu.Unlock()
		return nil, nil, false, kuva.E(kuva.CodeUnavailable, "kuvav1.stopping")
	}
	if h.streams[holder] >= h.perProject {
		h.mu.Unlock()
		return nil, nil, false, kuva.E(kuva.CodeThrottled, "kuvav1.streams", "limit", h.perProject)
	}
	h.pump()
	c = &client{holder: holder, project: project, queue: make(chan event, queueSize), begin: h.id(h.seq)}
	missed, ok = h.since(c, last)
	h.clients[c] = struct{}{}
	h.streams[holder]++
	ready := h.ready
	h.mu.Unlock()
	select {
	case <-ready:
		return c, missed, ok, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-h.ctx.Done():
		err = kuva.E(kuva.CodeUnavailable, "kuvav1.stopping")
	}
	h.leave(c)
	return nil, nil, false, err
}

// leave takes a client away, once.
func (h *hub) leave(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.clients, c)
	if h.streams[c.holder]--; h.streams[c.holder] <= 0 {
		delete(h.streams, c.holder)
	}
	if len(h.streams) > 0 || h.idle != nil {
		return
	}
	h.idle = time.AfterFunc(h.linger, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.streams) > 0 || h.idle == nil {
			return
		}
		h.halt()
		h.idle, h.epoch, h.ring = nil, "", nil
	})
}

// id names a place in the sequence, for Last-Event-ID.
func (h *hub) id(seq uint64) string { return h.epoch + "-" + strconv.FormatUint(seq, 10) }

// position is where a client is that has taken all its events; ok is false
// while some wait for it.
func (h *hub) position(c *client) (id string, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.id(h.seq), len(c.queue) == 0
}

// since finds what a client missed after the event last. A client that never
// saw one missed nothing.
func (h *hub) since(c *client, last string) (missed []event, ok bool) {
	if last == "" {
		return nil, true
	}
	epoch, text, _ := strings.Cut(last, "-")
	seq, err := strconv.ParseUint(text, 10, 64)
	if err != nil || epoch != h.epoch || seq > h.seq || h.seq-seq > uint64(len(h.ring)) {
		return nil, false
	}
	for _, e := range h.ring[len(h.ring)-int(h.seq-seq):] {
		if c.wants(e) {
			missed = append(missed, e)
		}
	}
	return missed, true
}

func (c *client) wants(e event) bool {
	return e.kind == eventReset || c.project == "" || e.project == c.project
}

// publish hands a change to the clients that it is for.
func (h *hub) publish(kind, project string, v any) {
	e := event{kind: kind, project: project}
	if v != nil {
		var err error
		if e.data, err = json.Marshal(v); err != nil {
			panic(fmt.Sprintf("event %s: %v", kind, err)) // of our own types, which always encode
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seq++
	e.id = h.id(h.seq)
	if h.ring = append(h.ring, e); len(h.ring) > keepEvents {
		h.ring = h.ring[1:]
	}
	for c := range h.clients {
		if !c.wants(e) {
			continue
		}
		select {
		case c.queue <- e:
		default:
			delete(h.clients, c)
			close(c.queue) // what waits in it is still sent
		}
	}
}

// pump begins to follow changes, unless that goes on already.
func (h *hub) pump() {
	if h.idle != nil {
		h.idle.Stop()
		h.idle = nil
	}
	if h.epoch != "" {
		return
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	h.epoch, h.seq, h.ring = hex.EncodeToString(b[:]), 0, nil
	h.ready = make(chan struct{})
	var ctx context.Context
	ctx, h.halt = context.WithCancel(h.ctx)
	var followed sync.WaitGroup
	followed.Add(2)
	go h.followJobs(ctx, followed.Done)
	go h.images.Watch(ctx, h.look, followed.Done, func(img kuva.Image) { h.publish(eventImage, img.Owner, wireImage(img)) })
	if h.uploads != nil {
		followed.Add(1)
		go h.uploads.Watch(ctx, h.look, followed.Done, func(u *catalog.Upload) { h.publish(eventUpload, u.Project, wireUpload(u, message.English)) })
	}
	ready := h.ready
	go func() {
		followed.Wait()
		close(ready)
	}()
}

func (h *hub) followJobs(ctx context.Context, ready func()) {
	for again := false; ctx.Err() == nil; again = true {
		changes, end := h.queue.Subscribe()
		if again { // the queue dropped us: nobody knows what was missed
			h.publish(eventReset, "", nil)
		} else {
			time.AfterFunc(settle, ready)
		}
		h.takeJobs(ctx, changes)
		end()
	}
}

// takeJobs returns when the subscription or ctx ends.
func (h *hub) takeJobs(ctx context.Context, changes <-chan job.Job) {
	for {
		select {
		case <-ctx.Done():
			return
		case j, open := <-changes:
			if !open {
				return
			}
			h.publish(eventJob, j.Project, wireJob(j, message.English))
		}
	}
}

func wireImage(img kuva.Image) api.ImageEvent {
	return api.ImageEvent{
		ID: img.ID, Name: img.Name, Project: img.Owner, Status: string(img.Status), Visibility: string(img.Visibility),
		Size: known(img.Size), UpdatedAt: img.UpdatedAt,
	}
}
