package rest

import (
	"io"
	"net/http"
	"sync"
	"time"
)

// Stalling is a body whose reads fail where the sender moves no byte for too
// long, and at once after Interrupt.
// Interrupt may be called by any goroutine.
type Stalling struct {
	body  io.Reader
	conn  *http.ResponseController
	stall time.Duration

	mu      sync.Mutex
	stopped bool
	set     time.Time // when the deadline was moved last
}

// NewStalling makes one of a body that comes over conn and may stand still for
// stall.
func NewStalling(body io.Reader, conn *http.ResponseController, stall time.Duration) *Stalling {
	return &Stalling{body: body, conn: conn, stall: stall}
}

// Read implements io.Reader.
func (s *Stalling) Read(p []byte) (int, error) {
	if err := s.extend(); err != nil {
		return 0, err
	}
	return s.body.Read(p)
}

// extend moves the deadline, at most some times a second: a timer for each
// read would be noticed.
func (s *Stalling) extend() error {
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

// Interrupt makes a Read that waits return, and all further ones fail.
func (s *Stalling) Interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	_ = s.conn.SetReadDeadline(time.Unix(1, 0))
}

// Release takes the deadline away from the connection, which may serve more
// requests.
func (s *Stalling) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		_ = s.conn.SetReadDeadline(time.Time{})
	}
	s.stopped = true
}

// HangUp ends the connection with the answer: what the caller still sends is
// not worth reading. HTTP/2 ends the one stream by itself.
func HangUp(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
}
