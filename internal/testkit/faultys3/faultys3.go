// Package faultys3 is an S3 service in memory that behaves as badly as one may
// behind a bad line: it answers 5xx or not at all, whether or not it did what
// was asked, cuts answers short, lets a proxy's page answer, is slow, stores
// and deletes late, and lists what was. What it stores lies in a mem.Store,
// whose faults it shows as an S3 service would.
//
// It knows what package s3 asks of a service, checks the hash of what it is
// sent, and believes any signature.
package faultys3

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"kuva/internal/blob"
	"kuva/internal/blob/mem"
)

// Storm is how bad it is: chances, 0 to 1, that a request meets a fate.
type Storm struct {
	Refuse float64       // 500 or 503, nothing was done
	Lose   float64       // it was done, and the answer is lost or a 500
	Cut    float64       // it was done, and the answer ends in its middle
	Page   float64       // a proxy answers with a page of its own: 200, 404 or 502
	Slow   time.Duration // the longest that an answer is late
	// Store is what happens to blobs themselves.
	Store mem.Faults
}

// Server is a running service with one bucket. Any keys are good.
type Server struct {
	Endpoint string
	Bucket   string

	mu      sync.Mutex
	store   *mem.Store
	storm   Storm
	dice    *rand.Rand
	uploads map[string]*upload
	counts  map[string]int
}

type upload struct {
	key, mark string
	parts     map[int][]byte
	begun     time.Time
}

// Start starts a service for the time of the test. seed decides its faults.
func Start(t testing.TB, seed uint64) *Server {
	s := &Server{Bucket: "kuva", store: mem.New(seed), dice: rand.New(rand.NewPCG(seed, 3)), uploads: map[string]*upload{}, counts: map[string]int{}}
	h := httptest.NewUnstartedServer(s)
	h.Config.ErrorLog = nil
	h.Start()
	t.Cleanup(h.Close)
	s.Endpoint = h.URL
	return s
}

// Empty forgets everything, and the storm.
func (s *Server) Empty(seed uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store, s.storm, s.uploads = mem.New(seed), Storm{}, map[string]*upload{}
}

// SetStorm sets what requests meet from now on.
func (s *Server) SetStorm(storm Storm) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.storm = storm
	s.store.SetFaults(storm.Store)
}

// Settle lets everything happen that was to happen later.
func (s *Server) Settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store.Settle()
}

// Uploads is how many uploads in parts are under way.
func (s *Server) Uploads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.uploads)
}

// Faults counts the requests that met each fate.
func (s *Server) Faults() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := map[string]int{}
	for fate, n := range s.counts {
		counts[fate] = n
	}
	return counts
}

// fate draws what becomes of a request.
func (s *Server) fate() (fate string, late time.Duration, which int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.dice.Float64()
	for _, f := range []struct {
		name   string
		chance float64
	}{{"refuse", s.storm.Refuse}, {"lose", s.storm.Lose}, {"cut", s.storm.Cut}, {"page", s.storm.Page}} {
		if x -= f.chance; x < 0 {
			fate = f.name
			s.counts[fate]++
			break
		}
	}
	if s.storm.Slow > 0 {
		late = rand.N(s.storm.Slow)
	}
	return fate, late, s.dice.IntN(6)
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fate, late, which := s.fate()
	if late > 0 {
		time.Sleep(late)
	}
	switch fate {
	case "refuse":
		_, _ = io.Copy(io.Discard, r.Body)
		answer{status: 500 + 3*(which%2), code: []string{"InternalError", "SlowDown"}[which%2]}.write(w, r)
		return
	case "page":
		_, _ = io.Copy(io.Discard, r.Body)
		page := "<html><body>The proxy is so sorry.</body></html>"
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Length", strconv.Itoa(len(page)))
		w.WriteHeader([]int{200, 404, 502}[which%3])
		_, _ = io.WriteString(w, page)
		return
	}
	a := s.handle(r)
	switch {
	case a.lost || fate == "lose" && which%2 == 0:
		panic(http.ErrAbortHandler)
	case fate == "lose":
		a = answer{status: 500, code: "InternalError"}
	case fate == "cut":
		a.cut = true
	}
	a.write(w, r)
}

// answer is what a request gets.
type answer struct {
	status int
	code   string // of an error
	header map[string]string
	body   []byte
	cut    bool // in the middle of the body
	lost   bool // no answer at all
}

func (a answer) write(w http.ResponseWriter, r *http.Request) {
	if a.code != "" {
		a.body = fmt.Appendf(nil, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>it is %s</Message><RequestId>1</RequestId></Error>", a.code, a.code)
	}
	if a.header["Content-Type"] == "" {
		w.Header().Set("Content-Type", "application/xml")
	}
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	if w.Header().Get("Content-Length") == "" && a.status != http.StatusNoContent {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	if r.Method == http.MethodHead {
		return
	}
	if a.cut {
		_, _ = w.Write(a.body[:len(a.body)/2])
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(a.body)
}

func xmlAnswer(v any) answer {
	b, err := xml.Marshal(v)
	if err != nil {
		return answer{status: 500, code: "InternalError"}
	}
	return answer{status: 200, body: append([]byte(xml.Header), b...)}
}

func (s *Server) handle(r *http.Request) answer {
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<20))
	if err != nil {
		return answer{lost: true}
	}
	if want := r.Header.Get("X-Amz-Content-Sha256"); len(want) == 64 {
		if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != want {
			return answer{status: 400, code: "XAmzContentSHA256Mismatch"}
		}
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if bucket != s.Bucket {
		return answer{status: 404, code: "NoSuchBucket"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q := r.URL.Query()
	switch {
	case key == "" && q.Has("uploads"):
		return s.listUploads(q.Get("prefix"))
	case key == "":
		return s.list(q.Get("prefix"), max(q.Get("start-after"), q.Get("continuation-token")))
	case q.Has("uploads"), q.Has("uploadId"):
		return s.multipart(r, key, body)
	case r.Method == http.MethodPut:
		return s.put(key, r.Header.Get(markHeader), body)
	case r.Method == http.MethodDelete:
		if err := s.store.Delete(context.Background(), key); err != nil {
			return s.failed(err)
		}
		return answer{status: 204}
	}
	return s.get(key, r.Header.Get("Range"), r.Method == http.MethodHead)
}

// failed shows an error of the store as a service would.
func (s *Server) failed(err error) answer {
	switch {
	case errors.Is(err, blob.ErrNotFound):
		return answer{status: 404, code: "NoSuchKey"}
	case errors.Is(err, blob.ErrExists):
		return answer{status: 412, code: "PreconditionFailed"}
	case errors.Is(err, blob.ErrKey):
		return answer{status: 400, code: "ObjectParentIsFile"}
	}
	s.counts["store"]++
	switch s.dice.IntN(3) {
	case 0:
		return answer{lost: true}
	case 1:
		return answer{status: 503, code: "SlowDown"}
	}
	return answer{status: 500, code: "InternalError"}
}
