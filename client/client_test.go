package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kuva/api"
)

func TestConnect(t *testing.T) {
	s := newService(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "clouds.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "URL", s.URL)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`clouds:
  mine:
    auth: {auth_url: URL/identity/v3, username: ada, password: right, project_name: p}
  wrong:
    auth: {auth_url: URL/identity/v3, username: ada, password: wrong, project_name: p, user_domain_name: Default}
  robot:
    auth_type: v3applicationcredential
    auth: {auth_url: URL/identity/v3, application_credential_id: cred, application_credential_secret: right}
  nowhere:
    auth: {username: ada}
`)
	for _, c := range []struct {
		name, cloud string
		env         []string
		want        string // of the error
	}{
		{"environment", "", nil, ""},
		{"file", "mine", []string{"OS_CLIENT_CONFIG_FILE=" + file, "OS_AUTH_URL=", "OS_USERNAME=", "OS_PASSWORD=", "OS_PROJECT_NAME="}, ""},
		{"file by variable", "", []string{"OS_CLOUD=mine", "OS_CLIENT_CONFIG_FILE=" + file, "OS_PASSWORD="}, ""},
		{"application credential", "robot", []string{"OS_CLIENT_CONFIG_FILE=" + file, "OS_USERNAME=", "OS_PASSWORD=", "OS_PROJECT_NAME="}, ""},
		{"variable before file", "wrong", []string{"OS_CLIENT_CONFIG_FILE=" + file}, ""},
		{"wrong password", "wrong", []string{"OS_CLIENT_CONFIG_FILE=" + file, "OS_PASSWORD="}, "requires authentication. (401)"},
		{"no such cloud", "yours", []string{"OS_CLIENT_CONFIG_FILE=" + file}, `cloud "yours" not found`},
		{"no address", "nowhere", []string{"OS_CLIENT_CONFIG_FILE=" + file, "OS_AUTH_URL="}, "no auth_url"},
		{"nothing", "", []string{"OS_AUTH_URL="}, "no cloud is named"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.t = t
			s.setenv(c.env...)
			cl, err := Connect(t.Context(), Settings{Cloud: c.cloud})
			if c.want == "" {
				if err == nil {
					_, err = cl.Find(t.Context(), "nothing")
				}
				if !errors.Is(err, ErrNotFound) {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if strings.Contains(err.Error(), "right") || strings.Contains(err.Error(), "wrong\"") {
				t.Error("the password is in the error")
			}
		})
	}
}

func TestFindAndList(t *testing.T) {
	s := newService(t)
	c := s.connect()
	ctx := t.Context()
	for _, name := range []string{"a", "b", "b", "c", "d"} {
		s.add(map[string]any{"name": name}, nil)
	}
	var names []string
	for img, err := range c.List(ctx, Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, img.Name)
	}
	if want := []string{"a", "b", "b", "c", "d"}; !slices.Equal(names, want) {
		t.Errorf("list: got %q, want %q", names, want)
	}
	img, err := c.Find(ctx, "d")
	if err != nil || img.Name != "d" {
		t.Errorf("find d: %v, %v", img.Name, err)
	}
	if byID, err := c.Find(ctx, img.ID); err != nil || byID.ID != img.ID {
		t.Errorf("find by id: %v, %v", byID.ID, err)
	}
	var several *AmbiguousError
	if _, err := c.Find(ctx, "b"); !errors.As(err, &several) || len(several.Images) != 2 || !strings.Contains(err.Error(), several.Images[1].ID) {
		t.Errorf("find b: %v", err)
	}
	if _, err := c.Find(ctx, "7a1b2c3d-0000-4000-8000-123456789abc"); !errors.Is(err, ErrNotFound) {
		t.Errorf("find an unknown id: %v", err)
	}
	if _, err := c.Create(ctx, NewImage{Name: "f", DiskFormat: "floppy"}); err == nil || err.Error() != `create image: Invalid disk format "floppy" (400)` {
		t.Errorf("a page of HTML: %v", err)
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func TestUpload(t *testing.T) {
	s := newService(t)
	c := s.connect()
	content := random(3 << 20)
	for _, size := range []int64{int64(len(content)), -1, 0} {
		img, err := c.Create(t.Context(), NewImage{Name: "x"})
		if err != nil {
			t.Fatal(err)
		}
		send := content
		if size == 0 {
			send = nil
		}
		var last int64
		img, err = c.Upload(t.Context(), img.ID, bytes.NewReader(send), UploadOptions{Size: size, Progress: func(n int64) { last = n }})
		if err != nil || img.Status != "active" || last != int64(len(send)) || !bytes.Equal(s.content[img.ID], send) {
			t.Errorf("size %d: %v, %s, progress %d", size, err, img.Status, last)
		}
	}
}

// A token that ran out is replaced before the first byte is sent.
func TestUploadReplacesToken(t *testing.T) {
	s := newService(t)
	c := s.connect()
	id := s.add(map[string]any{}, nil)["id"].(string)
	s.mu.Lock()
	s.tokens++ // the client's is not good any more
	s.mu.Unlock()
	// A pipe cannot be read again.
	content := random(1 << 20)
	if _, err := c.Upload(t.Context(), id, io.MultiReader(bytes.NewReader(content)), UploadOptions{Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
}

func TestUploadFails(t *testing.T) {
	content := random(4 << 20)
	for _, c := range []struct {
		name  string
		fault func(s *service, id string)
		from  io.Reader
		want  string
	}{
		{"refused", func(s *service, _ string) {
			s.fill = func(w http.ResponseWriter, _ *http.Request) bool {
				w.WriteHeader(http.StatusRequestEntityTooLarge)
				_, _ = io.WriteString(w, `{"message":"Too much.\u001b[2J"}`)
				return true
			}
		}, bytes.NewReader(content), "Too much.[2J (413)"},
		{"broken off", func(s *service, id string) {
			s.fill = func(_ http.ResponseWriter, r *http.Request) bool {
				_, _ = io.CopyN(io.Discard, r.Body, 1<<20)
				s.mu.Lock()
				s.images[id][LastFailure] = "The store has no room."
				s.mu.Unlock()
				panic(http.ErrAbortHandler)
			}
		}, bytes.NewReader(content), "The store has no room. ("},
		{"kept wrongly", func(s *service, _ string) { s.keepOther = true }, bytes.NewReader(content), "content differs"},
		{"own side", func(*service, string) {}, io.MultiReader(bytes.NewReader(content[:1000]), badReader{}), "read the content: disk on fire"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newService(t)
			cl := s.connect()
			id := s.add(map[string]any{}, nil)["id"].(string)
			c.fault(s, id)
			_, err := cl.Upload(t.Context(), id, c.from, UploadOptions{Size: int64(len(content))})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

type badReader struct{}

func (badReader) Read([]byte) (int, error) { return 0, errors.New("disk on fire") }

func TestUploadIsCancelled(t *testing.T) {
	s := newService(t)
	c := s.connect()
	id := s.add(map[string]any{}, nil)["id"].(string)
	ctx, cancel := context.WithCancel(t.Context())
	s.fill = func(_ http.ResponseWriter, r *http.Request) bool {
		_, _ = io.CopyN(io.Discard, r.Body, 1000)
		cancel()
		_, _ = io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler)
	}
	if _, err := c.Upload(ctx, id, endless{}, UploadOptions{Size: -1}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestDownload(t *testing.T) {
	content := random(5<<20 + 17)
	for _, c := range []struct {
		name   string
		fault  func(s *service)
		have   int
		ranges []string
		want   error
	}{
		{"whole", func(*service) {}, 0, []string{""}, nil},
		{"broken off twice", func(s *service) { s.cut = []int64{1 << 20, 5} }, 0, nil, nil},
		{"taken up", func(*service) {}, 1000, []string{"bytes=1000-"}, nil},
		{"no ranges there", func(s *service) { s.cut, s.noRanges = []int64{1 << 20}, true }, 0, nil, nil},
		{"never a byte", func(s *service) { s.cut = make([]int64, 20) }, 0, nil, io.EOF},
		{"flipped", func(s *service) { s.flip = true }, 0, nil, ErrDiffers},
		{"all there", func(*service) {}, len(content), []string{}, nil},
		{"too much there", func(*service) {}, len(content) + 1, []string{}, ErrDiffers},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newService(t)
			cl := s.connect()
			id := s.add(map[string]any{}, content)["id"].(string)
			c.fault(s)
			img, err := cl.Show(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			opt := DownloadOptions{Pause: time.Microsecond, Tries: 3}
			all := append(bytes.Clone(content), 0)
			var got bytes.Buffer
			if c.have > 0 {
				got.Write(all[:c.have])
				opt.Have = bytes.NewReader(all[:c.have])
			}
			err = cl.Download(t.Context(), img, &got, opt)
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if c.want == nil && !bytes.Equal(got.Bytes(), content) {
				t.Error("other bytes")
			}
			if c.ranges != nil && !slices.Equal(s.ranges, c.ranges) {
				t.Errorf("asked for %q, want %q", s.ranges, c.ranges)
			}
		})
	}
	t.Run("no content", func(t *testing.T) {
		s := newService(t)
		err := s.connect().Download(t.Context(), api.Image{ID: "x", Size: -1, Status: "queued"}, io.Discard, DownloadOptions{})
		if !errors.Is(err, ErrNoContent) {
			t.Error(err)
		}
	})
	t.Run("stalled", func(t *testing.T) {
		s := newService(t)
		cl := s.connect()
		img := api.Image{ID: "x", Size: 10}
		stop := make(chan struct{})
		s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			_, _ = w.Write([]byte("12345"))
			_ = http.NewResponseController(w).Flush()
			<-stop
		})
		defer close(stop)
		err := cl.Download(t.Context(), img, io.Discard, DownloadOptions{Tries: 1, Pause: 1, Stall: 20 * time.Millisecond})
		if err == nil || !strings.Contains(err.Error(), "brings nothing") && !strings.Contains(err.Error(), "differs") {
			t.Error(err)
		}
	})
	t.Run("full disk", func(t *testing.T) {
		s := newService(t)
		cl := s.connect()
		id := s.add(map[string]any{}, content)["id"].(string)
		img, err := cl.Show(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if err := cl.Download(t.Context(), img, badWriter{}, DownloadOptions{}); err == nil || !strings.Contains(err.Error(), "no room") || len(s.ranges) != 1 {
			t.Errorf("%v after %d requests", err, len(s.ranges))
		}
	})
}

type badWriter struct{}

func (badWriter) Write([]byte) (int, error) { return 0, errors.New("no room") }
