package links

import (
	"io"
	"net/http"
	"testing"
)

// slow is a body that calls then between its two halves.
type slow struct {
	first []byte
	then  func()
	state int
}

func (s *slow) Read(p []byte) (int, error) {
	s.state++
	switch s.state {
	case 1:
		return copy(p, s.first), nil
	case 2:
		s.then()
		return copy(p, s.first), nil
	}
	return 0, io.EOF
}

// put sends a body of unknown length and returns the status, 0 where the
// connection ended without one.
func put(t *testing.T, at string, body io.Reader) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, at, body)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	_ = res.Body.Close()
	return res.StatusCode
}
