package rest

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestSlowBody: a sender of JSON that stops in the middle is answered in time,
// and so is one that announced a body where none belongs.
func TestSlowBody(t *testing.T) {
	door := &Door{Name: "test", BodyWithin: 100 * time.Millisecond}
	rt := NewRouter(door)
	rt.HandleFunc("POST /json", func(_ http.ResponseWriter, r *http.Request) error {
		_, err := ReadBody(r)
		return err
	})
	rt.HandleFunc("GET /none", func(w http.ResponseWriter, r *http.Request) error {
		if err := NoBody(r); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
	s := httptest.NewServer(door.Wrap(rt))
	defer s.Close()
	for _, line := range []string{"POST /json", "GET /none"} {
		c, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprintf(c, "%s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n", line)
		began := time.Now()
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if resp.StatusCode != http.StatusBadRequest || time.Since(began) > 5*time.Second {
			t.Errorf("%s: %s after %v", line, resp.Status, time.Since(began))
		}
	}
}
