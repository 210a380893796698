package imagev2

import (
	"context"
	"io"
	"mime"
	"net/http"
	"strconv"
	"sync"
	"time"

	"kuva"
	"kuva/internal/images"
)

// headerSize announces the length of an upload whose Content-Length is not
// known.
const headerSize = "X-Openstack-Image-Size"

// upload fills an image with the bytes of the body.
func (h *handler) upload(w http.ResponseWriter, r *http.Request) error {
	return h.send(w, r, func(ctx context.Context, p kuva.Principal, src images.Source) error {
		_, err := h.images.Ingest(ctx, p, r.PathValue("id"), src)
		return err
	})
}

// source reads what the headers say of the content.
func source(r *http.Request) (images.Source, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/octet-stream" {
		return images.Source{}, kuva.E(kuva.CodeUnsupported, "imagev2.data_type")
	}
	if r.Header.Get("X-Image-Meta-Store") != "" {
		return images.Source{}, kuva.E(kuva.CodeInvalid, "imagev2.no_stores")
	}
	// The origin is left open: an image that names its instance becomes a
	// snapshot by its content.
	src := images.Source{Size: r.ContentLength}
	if value := r.Header.Get(headerSize); value != "" {
		size, err := strconv.ParseInt(value, 10, 64)
		if err != nil || size < 0 || r.ContentLength >= 0 && size != r.ContentLength {
			return images.Source{}, kuva.E(kuva.CodeInvalid, "imagev2.size_header")
		}
		src.Size = size
	}
	src.Digests, err = announced(r.Header)
	return src, err
}

// stalling is a body whose reads fail where the sender moves no byte for too
// long, and at once after interrupt.
type stalling struct {
	body  io.Reader
	conn  *http.ResponseController
	stall time.Duration

	mu      sync.Mutex
	stopped bool
	set     time.Time // when the deadline was moved last
}

func newStalling(body io.Reader, conn *http.ResponseController, stall time.Duration) *stalling {
	return &stalling{body: body, conn: conn, stall: stall}
}

func (s *stalling) Read(p []byte) (int, error) {
	if err := s.extend(); err != nil {
		return 0, err
	}
	return s.body.Read(p)
}

// extend moves the deadline, at most some times a second: a timer for each
// read would be noticed.
func (s *stalling) extend() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return http.ErrBodyReadAfterClose
	}
	// The deadline is the connection's own business: it follows the clock of
	// the machine, and a jump of it costs at most this one upload.
	now := time.Now()
	if now.Sub(s.set) < s.stall/16 {
		return nil
	}
	s.set = now
	_ = s.conn.SetReadDeadline(now.Add(s.stall)) // writers of tests have none
	return nil
}

// interrupt makes a Read that waits return, and all further ones fail.
func (s *stalling) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	_ = s.conn.SetReadDeadline(time.Unix(1, 0))
}

// release takes the deadline away from the connection, which may serve more
// requests.
func (s *stalling) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		_ = s.conn.SetReadDeadline(time.Time{})
	}
	s.stopped = true
}
