package client

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// service is an identity and image service with what clients need of both,
// and with faults. It polices its callers: no call without a token.
type service struct {
	*httptest.Server
	t *testing.T

	mu      sync.Mutex
	tokens  int // handed out; only the newest is good
	images  map[string]map[string]any
	content map[string][]byte
	order   []string
	page    int

	cut       []int64 // each download ends after so many bytes, then in peace
	noRanges  bool
	flip      bool                                              // one bit of what is sent
	fill      func(w http.ResponseWriter, r *http.Request) bool // before a PUT is taken; true: answered
	keepOther bool                                              // a PUT is kept wrongly
	ranges    []string                                          // as asked for
}

func newService(t *testing.T) *service {
	s := &service{t: t, images: map[string]map[string]any{}, content: map[string][]byte{}, page: 2}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /identity/v3/auth/tokens", s.login)
	mux.HandleFunc("GET /image/", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusMultipleChoices)
		fmt.Fprintf(w, `{"versions":[{"id":"v2.9","status":"CURRENT","links":[{"rel":"self","href":"%s/image/v2/"}]}]}`, s.URL)
	})
	mux.HandleFunc("POST /image/v2/images", s.create)
	mux.HandleFunc("GET /image/v2/images", s.list)
	mux.HandleFunc("GET /image/v2/images/{id}", s.show)
	mux.HandleFunc("PUT /image/v2/images/{id}/file", s.put)
	mux.HandleFunc("GET /image/v2/images/{id}/file", s.get)
	mux.HandleFunc("DELETE /image/v2/images/{id}", s.delete)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		good := r.Header.Get("X-Auth-Token") == fmt.Sprint("token-", s.tokens)
		s.mu.Unlock()
		if !good && !strings.HasPrefix(r.URL.Path, "/identity") {
			w.Header().Set("Connection", "close")
			http.Error(w, `{"error":{"code":401,"message":"The request you have made requires authentication."}}`, http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *service) login(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Auth struct {
			Identity struct {
				Methods  []string
				Password struct {
					User struct {
						Name, Password string
						Domain         struct{ ID, Name string }
					}
				}
				Credential struct{ ID, Secret string } `json:"application_credential"`
			}
			Scope json.RawMessage
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		s.t.Error(err)
	}
	id := body.Auth.Identity
	ok := id.Password.User.Name == "ada" && id.Password.User.Password == "right" && id.Password.User.Domain.ID+id.Password.User.Domain.Name != "" ||
		id.Credential.ID == "cred" && id.Credential.Secret == "right"
	if !ok {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error":{"code":401,"message":"The request you have made requires authentication.","title":"Unauthorized"}}`)
		return
	}
	s.mu.Lock()
	s.tokens++
	w.Header().Set("X-Subject-Token", fmt.Sprint("token-", s.tokens))
	s.mu.Unlock()
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"token":{"expires_at":"2099-01-01T00:00:00.000000Z","catalog":[{"type":"image","name":"x","endpoints":[
		{"interface":"public","region":"RegionOne","region_id":"RegionOne","url":"%s/image"}]}]}}`, s.URL)
}

func (s *service) create(w http.ResponseWriter, r *http.Request) {
	var body map[string]any
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		s.t.Error(err)
	}
	if body["disk_format"] == "floppy" {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "<html>\n <head>\n  <title>400 Bad Request</title>\n </head>\n <body>\n  <h1>400 Bad Request</h1>\n  Invalid disk format &quot;floppy&quot;<br /><br />\n\n </body>\n</html>")
		return
	}
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(s.add(body, nil))
}

// add makes an image; content nil leaves it queued.
func (s *service) add(img map[string]any, content []byte) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, _ := img["id"].(string)
	if id == "" {
		id = fmt.Sprintf("00000000-0000-4000-8000-%012d", len(s.images)+1)
	}
	img["id"], img["status"], img["created_at"], img["updated_at"] = id, "queued", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"
	s.images[id] = img
	s.order = append(s.order, id)
	if content != nil {
		s.keep(id, content)
	}
	return img
}

func (s *service) keep(id string, content []byte) {
	sum := sha512.Sum512(content)
	img := s.images[id]
	img["status"], img["size"], img["os_hash_algo"], img["os_hash_value"] = "active", len(content), "sha512", hex.EncodeToString(sum[:])
	s.content[id] = content
}

func (s *service) list(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := r.URL.Query()
	seen := q.Get("marker") == ""
	var page []map[string]any
	for _, id := range s.order {
		if seen && (q.Get("name") == "" || s.images[id]["name"] == q.Get("name")) {
			page = append(page, s.images[id])
		}
		seen = seen || id == q.Get("marker")
	}
	out := map[string]any{"images": page, "first": "/v2/images"}
	if len(page) > s.page {
		out["images"], out["next"] = page[:s.page], "/v2/images?marker="+page[s.page-1]["id"].(string)
	}
	_ = json.NewEncoder(w).Encode(out)
}

func (s *service) show(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	img, ok := s.images[r.PathValue("id")]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"message":"No image found with ID x","code":"404 Not Found"}`)
		return
	}
	_ = json.NewEncoder(w).Encode(img)
}

func (s *service) delete(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.images, r.PathValue("id"))
	w.WriteHeader(http.StatusNoContent)
}

func (s *service) put(w http.ResponseWriter, r *http.Request) {
	if s.fill != nil && s.fill(w, r) {
		return
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keepOther {
		b = append(bytes.Clone(b[:len(b)-1]), b[len(b)-1]^1)
	}
	s.keep(r.PathValue("id"), b)
	w.WriteHeader(http.StatusNoContent)
}

func (s *service) get(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	b, cut := s.content[r.PathValue("id")], int64(-1)
	if len(s.cut) > 0 {
		cut, s.cut = s.cut[0], s.cut[1:]
	}
	s.ranges = append(s.ranges, r.Header.Get("Range"))
	s.mu.Unlock()
	status, all := http.StatusOK, int64(len(b))
	if s.flip {
		b = bytes.Clone(b)
		b[len(b)/2] ^= 1
	}
	if from, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes="); ok && !s.noRanges {
		from, to, _ := strings.Cut(from, "-")
		n, err := strconv.ParseInt(from, 10, 64)
		last := all - 1
		if err == nil && to != "" {
			last, err = strconv.ParseInt(to, 10, 64)
		}
		if err != nil {
			s.t.Error(err)
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", n, last, all))
		b, status = b[n:last+1], http.StatusPartialContent
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	if cut >= 0 && cut < int64(len(b)) {
		_, _ = w.Write(b[:cut])
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(b)
}

// setenv describes the service by OS_ variables and nothing else.
func (s *service) setenv(more ...string) {
	for _, name := range []string{"OS_CLOUD", "OS_CLIENT_CONFIG_FILE", "OS_TOKEN", "OS_CACERT", "OS_REGION_NAME", "OS_INTERFACE", "OS_PROJECT_ID"} {
		s.t.Setenv(name, "")
	}
	for _, v := range append([]string{"OS_AUTH_URL=" + s.URL + "/identity/v3", "OS_USERNAME=ada", "OS_PASSWORD=right", "OS_PROJECT_NAME=p"}, more...) {
		name, value, _ := strings.Cut(v, "=")
		s.t.Setenv(name, value)
	}
}

func (s *service) connect() *Client {
	s.t.Helper()
	s.setenv()
	c, err := Connect(s.t.Context(), Settings{})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}
