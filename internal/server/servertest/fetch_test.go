package servertest_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kuva/internal/server/servertest"
)

// patterned is content of any length that takes no memory.
type patterned struct {
	seed uint64
	size int64
}

const patternPiece = 64 << 10

// ReadAt implements io.ReaderAt.
func (e patterned) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) && off < e.size {
		i := off / patternPiece
		b := servertest.Random(e.seed+uint64(i), patternPiece)
		k := copy(p[n:min(int64(len(p)), int64(n)+e.size-off)], b[off%patternPiece:])
		n, off = n+k, off+int64(k)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (e patterned) reader() *io.SectionReader { return io.NewSectionReader(e, 0, e.size) }

// mirror serves content by ranges and notes which piece it sent in which life of
// the program.
type mirror struct {
	content patterned
	life    atomic.Int32
	sent    atomic.Int64

	mu    sync.Mutex
	last  []int32 // by piece: the life that it was sent in last, 0 is none
	again []int64 // by life: bytes that a later one asked for again
	most  int     // connections at a time
	now   int
}

func newMirror(content patterned) *mirror {
	m := &mirror{content: content, last: make([]int32, (content.size+patternPiece-1)/patternPiece), again: make([]int64, 1000)}
	m.life.Store(1)
	return m
}

// ServeHTTP implements http.Handler.
func (m *mirror) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	m.now++
	m.most = max(m.most, m.now)
	m.mu.Unlock()
	defer func() { m.mu.Lock(); m.now--; m.mu.Unlock() }()
	w.Header().Set("ETag", fmt.Sprintf(`"%d"`, m.content.seed))
	http.ServeContent(w, r, "", time.Time{}, &noting{m.content.reader(), m, m.life.Load(), 0})
}

// noting counts what is read of the content to be sent.
type noting struct {
	*io.SectionReader
	m    *mirror
	life int32
	at   int64
}

func (n *noting) Seek(off int64, whence int) (int64, error) {
	at, err := n.SectionReader.Seek(off, whence)
	n.at = at
	return at, err
}

func (n *noting) Read(p []byte) (int, error) {
	k, err := n.SectionReader.Read(p[:min(len(p), patternPiece)])
	n.m.sent.Add(int64(k))
	n.m.mu.Lock()
	defer n.m.mu.Unlock()
	for i := n.at / patternPiece; k > 0 && i <= (n.at+int64(k)-1)/patternPiece; i++ {
		if was := n.m.last[i]; was != 0 && was != n.life {
			n.m.again[was] += patternPiece
		}
		n.m.last[i] = n.life
	}
	n.at += int64(k)
	return k, err
}

// TestKillFetch: a fetch by URL that a kill stops at any point goes on with the
// next start, asks for at most 64 MiB again and comes out the same.
func TestKillFetch(t *testing.T) {
	size, kills := int64(256<<20), 10
	if servertest.Soak() {
		size, kills = 2<<30, 60
	}
	const mayLose = 64 << 20
	seed := uint64(time.Now().UnixNano())
	dice := rand.New(rand.NewPCG(seed, 3))
	t.Logf("seed %d", seed)
	data := filepath.Join(t.TempDir(), "data")
	for done, round := 0, uint64(0); done < kills; round++ {
		m := newMirror(patterned{seed + round<<32, size})
		site := httptest.NewServer(m)
		port := site.URL[len("http://127.0.0.1:"):]
		config := servertest.Config{Data: data, YAML: "import:\n  ports: [" + port + "]\n  allow_networks: [127.0.0.0/8]\n"}
		p := servertest.Start(t, config)
		c := p.Login(t, servertest.Admin)
		idle, peak := p.Memory()
		sum := sha256.New()
		if _, err := io.Copy(sum, m.content.reader()); err != nil {
			t.Fatal(err)
		}
		id := c.MustCreate(t, servertest.Fields{"name": "fetched", "disk_format": nil, "container_format": nil})
		a, err := c.Do("POST", "/kuva/v1/images/"+id+"/import", nil, servertest.Fields{"url": site.URL + "/disk.raw", "digest": "sha256:" + hex.EncodeToString(sum.Sum(nil))})
		if err != nil || a.Status != http.StatusAccepted {
			t.Fatal(a, err)
		}
		for {
			at := m.sent.Load() + 24<<20 + dice.Int64N(56<<20)
			img := fetched(t, c, id, func() bool { return done < kills && m.sent.Load() >= at })
			_, most := p.Memory()
			peak = max(peak, most)
			if img.Status == "active" {
				break
			}
			p.Kill()
			done++
			m.life.Add(1)
			p = servertest.Start(t, config)
			c = c.At(p.URL)
		}
		if err := c.Download(id, m.content.reader()); err != nil {
			t.Error(err)
		}
		m.mu.Lock()
		worst := int64(0)
		for life, n := range m.again {
			worst = max(worst, n)
			if n > mayLose {
				t.Errorf("the kill of life %d cost %d MiB", life, n>>20)
			}
		}
		t.Logf("%d kills; %d MiB sent for %d, at most %d MiB again after one; %d connections; memory %d MiB, then %d at most", m.life.Load()-1, m.sent.Load()>>20, size>>20, worst>>20, m.most, idle>>20, peak>>20)
		if peak-idle > 64<<20 {
			t.Error("it takes too much memory")
		}
		if m.most < 2 {
			t.Error("one connection did it all")
		}
		m.mu.Unlock()
		if err := c.Delete(id); err != nil {
			t.Error(err)
		}
		p.MustStop(t)
		site.Close()
	}
}

// fetched waits until an import has ended well, or stop says so.
func fetched(t *testing.T, c *servertest.Client, id string, stop func() bool) servertest.Image {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(2 * time.Millisecond) {
		if stop() {
			return servertest.Image{Status: "importing"}
		}
		img, err := c.Show(id)
		if err != nil {
			t.Fatal(err)
		}
		if img.Status == "active" {
			return img
		}
		if img.Status != "importing" || time.Now().After(end) {
			t.Fatalf("the image is %s: %s", img.Status, img.LastFailure)
		}
	}
}
