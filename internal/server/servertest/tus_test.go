package servertest_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kuva/internal/server/servertest"
)

// relay is a line between client and server that can be cut.
type relay struct {
	net.Listener
	to atomic.Value // string, host:port

	mu    sync.Mutex
	conns map[net.Conn]bool
}

func newRelay(t *testing.T) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{Listener: l, conns: map[net.Conn]bool{}}
	go r.serve()
	t.Cleanup(func() { _ = l.Close(); r.cut() })
	return r
}

func (r *relay) serve() {
	for {
		in, err := r.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", r.to.Load().(string))
		if err != nil {
			_ = in.Close()
			continue
		}
		r.mu.Lock()
		r.conns[in], r.conns[out] = true, true
		r.mu.Unlock()
		for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
			go func() {
				_, _ = io.Copy(way[0], way[1])
				_, _ = in.Close(), out.Close()
				r.mu.Lock()
				delete(r.conns, in)
				delete(r.conns, out)
				r.mu.Unlock()
			}()
		}
	}
}

// cut breaks all lines; what is under way on them is lost.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
}

var errLeft = errors.New("the client leaves")

// leaving is content that calls a function at an offset, whose error ends it.
type leaving struct {
	io.Reader
	off, at int64
	do      func() error
}

func (l *leaving) Read(p []byte) (int, error) {
	if l.off >= l.at && l.do != nil {
		do := l.do
		l.do = nil
		if err := do(); err != nil {
			return 0, err
		}
	}
	n, err := l.Reader.Read(p)
	l.off += int64(n)
	return n, err
}

// TestKillTus: an upload by tus goes on wherever the client, the server or the
// line dies, sends at most 64 MiB again and comes out the same.
func TestKillTus(t *testing.T) {
	size, kills := int64(256<<20), 10
	if servertest.Soak() {
		size, kills = 2<<30, 60
	}
	const mayLose = 64 << 20
	seed := uint64(time.Now().UnixNano())
	dice := rand.New(rand.NewPCG(seed, 4))
	t.Logf("seed %d", seed)
	config := servertest.Config{Data: filepath.Join(t.TempDir(), "data")}
	p := servertest.Start(t, config)
	defer func() { p.MustStop(t) }()
	line := newRelay(t)
	host := func() string { return p.URL[len("http://"):] }
	line.to.Store(host())
	c := p.Login(t, servertest.Admin).At("http://" + line.Addr().String())
	content := patterned{seed, size}

	tus := func(method, path string, body io.Reader, h ...string) (servertest.Answer, error) {
		header := http.Header{"Tus-Resumable": {"1.0.0"}}
		for i := 0; i < len(h); i += 2 {
			header.Set(h[i], h[i+1])
		}
		return c.Do(method, path, header, body)
	}
	var a servertest.Answer
	var err error
	// "name dHVz" is "tus", "disk_format cmF3" and "native cmF3" are "raw".
	a, err = tus("POST", "/files", nil, "Upload-Length", strconv.FormatInt(size, 10), "Upload-Metadata", "name dHVz,disk_format cmF3,native cmF3")
	if err != nil || a.Status != http.StatusCreated {
		t.Fatal(a, err)
	}
	path, image := a.Header.Get("Location"), a.Header.Get("X-Image-Id")

	offset := func() int64 {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			a, err := tus("HEAD", path, nil)
			if err == nil && a.Status == http.StatusOK {
				off, err := strconv.ParseInt(a.Header.Get("Upload-Offset"), 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				return off
			}
			if time.Now().After(end) {
				t.Fatal(a, err)
			}
		}
	}
	// Points of the whole, so that each kind of death meets each part of it.
	points := make([]int64, kills)
	for i := range points {
		points[i] = size*int64(i)/int64(kills) + dice.Int64N(size/int64(kills))
	}
	var again, worst, sent int64
	for i := 0; ; {
		off := offset()
		// More may be there than this call sent: what one before it sent.
		if again = sent - off; i > 0 {
			if worst = max(worst, again); again > mayLose {
				t.Errorf("death %d at %d: %d MiB are lost", i, sent, again>>20)
			}
		}
		if off == size {
			break
		}
		body := &leaving{Reader: io.NewSectionReader(content, off, size-off), off: off, at: size + 1}
		if i < kills {
			body.at = max(points[i], off)
			body.do = []func() error{
				func() error { return errLeft },
				func() error { p.Kill(); return nil },
				func() error { line.cut(); return nil },
			}[i%3]
		}
		a, err := tus("PATCH", path, struct{ io.Reader }{body}, "Upload-Offset", fmt.Sprint(off), "Content-Type", "application/offset+octet-stream")
		sent = body.off
		switch {
		case err == nil && a.Status == http.StatusNoContent:
		case i < kills && body.do == nil:
			if i%3 == 1 {
				p = servertest.Start(t, config)
				line.to.Store(host())
			}
			i++
		case err == nil && a.Status == http.StatusConflict: // the call before was still being noticed dead
		default:
			t.Fatal(a, err)
		}
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		img, err := c.Show(image)
		if err != nil {
			t.Fatal(err)
		}
		if img.Status == "active" {
			break
		}
		if img.Status == "queued" || time.Now().After(end) {
			t.Fatalf("the image is %s: %s", img.Status, img.LastFailure)
		}
	}
	if err := c.Download(image, io.NewSectionReader(content, 0, size)); err != nil {
		t.Error(err)
	}
	t.Logf("%d deaths, at most %d MiB again", kills, worst>>20)
}

// TestKillTusBegin: an upload and its image begin together and end together,
// whenever the server dies.
func TestKillTusBegin(t *testing.T) {
	kills := 4
	if servertest.Soak() {
		kills = 400
	}
	config := servertest.Config{Data: filepath.Join(t.TempDir(), "data")}
	p := servertest.Start(t, config)
	defer func() { p.MustStop(t) }()
	c := p.Login(t, servertest.Admin)
	begun := int64(0)
	for round := range kills {
		stop := make(chan struct{})
		var clients sync.WaitGroup
		var n atomic.Int64
		for k := range 4 {
			clients.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					h := http.Header{"Tus-Resumable": {"1.0.0"}, "Upload-Length": {"10"}}
					if k == 3 {
						h.Set("Upload-Concat", "partial")
					}
					a, err := c.Do("POST", "/files", h, nil)
					if err != nil || a.Status != http.StatusCreated {
						continue // it is dead
					}
					n.Add(1)
					if i%3 > 0 {
						_, _ = c.Do("DELETE", a.Header.Get("Location"), http.Header{"Tus-Resumable": {"1.0.0"}}, nil)
					}
				}
			})
		}
		for n.Load() < int64(20+7*round) {
			time.Sleep(time.Millisecond)
		}
		p.Kill()
		close(stop)
		clients.Wait()
		begun += n.Load()
		p = servertest.Start(t, config)
		c = c.At(p.URL)
		var page struct {
			Uploads []struct {
				ID    string  `json:"id"`
				Image *string `json:"image_id"`
			} `json:"uploads"`
		}
		if err := c.JSON(http.StatusOK, "GET", "/kuva/v1/uploads?state=open&limit=1000", nil, &page); err != nil {
			t.Fatal(err)
		}
		filled := map[string]bool{}
		for _, u := range page.Uploads {
			if u.Image != nil {
				filled[*u.Image] = true
			}
		}
		images, err := c.List()
		if err != nil {
			t.Fatal(err)
		}
		for _, img := range images {
			if img.Status != "uploading" || !filled[img.ID] {
				t.Errorf("kill %d: image %s is %s and has no upload", round, img.ID, img.Status)
			}
			delete(filled, img.ID)
		}
		if len(filled) > 0 {
			t.Errorf("kill %d: %d uploads without their image", round, len(filled))
		}
	}
	t.Logf("%d uploads begun", begun)
}

// TestStopTus: a stop does not wait for uploads, and keeps what came of them.
func TestStopTus(t *testing.T) {
	config := servertest.Config{Data: filepath.Join(t.TempDir(), "data")}
	p := servertest.Start(t, config)
	c := p.Login(t, servertest.Admin)
	a, err := c.Do("POST", "/files", http.Header{"Tus-Resumable": {"1.0.0"}, "Upload-Length": {"10000000"}}, nil)
	if err != nil || a.Status != http.StatusCreated {
		t.Fatal(a, err)
	}
	path, sent := a.Header.Get("Location"), 100_000
	r, body := io.Pipe()
	done := make(chan servertest.Answer, 1)
	go func() {
		a, _ := c.Do("PATCH", path, http.Header{"Tus-Resumable": {"1.0.0"}, "Upload-Offset": {"0"}, "Content-Type": {"application/offset+octet-stream"}}, r)
		done <- a
	}()
	if _, err := body.Write(make([]byte, sent)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	began := time.Now()
	p.MustStop(t)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("a stop took %v", took)
	}
	_ = body.CloseWithError(errLeft)
	if a := <-done; a.Status/100 == 2 {
		t.Errorf("%v", a)
	}
	p = servertest.Start(t, config)
	defer func() { p.MustStop(t) }()
	a, err = c.At(p.URL).Do("HEAD", path, http.Header{"Tus-Resumable": {"1.0.0"}}, nil)
	// A little may have been on its way still.
	if got, _ := strconv.Atoi(a.Header.Get("Upload-Offset")); err != nil || got == 0 || got > sent {
		t.Errorf("stands at %d, %v", got, err)
	}
}
