package servertest_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"

	"kuva/api"
	"kuva/chunk"
	"kuva/client"
	"kuva/disk"
	"kuva/disk/raw"
	"kuva/internal/server/servertest"
	"kuva/internal/testkit/diskimage"
)

// wire is a network of one line: what goes over it is counted, and it can be
// cut.
type wire struct {
	URL string

	target atomic.Pointer[string] // host and port
	up     atomic.Int64           // bytes from clients
	down   atomic.Int64

	mu    sync.Mutex
	conns map[net.Conn]bool
}

func newWire(t *testing.T, url string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	w := &wire{URL: "http://" + l.Addr().String(), conns: map[net.Conn]bool{}}
	w.to(url)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go w.serve(c)
		}
	}()
	return w
}

func (w *wire) to(url string) {
	at := strings.TrimPrefix(url, "http://")
	w.target.Store(&at)
}

func (w *wire) serve(c net.Conn) {
	s, err := net.Dial("tcp", *w.target.Load())
	if err != nil {
		_ = c.Close()
		return
	}
	w.mu.Lock()
	w.conns[c], w.conns[s] = true, true
	w.mu.Unlock()
	var both sync.WaitGroup
	flow := func(to, from net.Conn, n *atomic.Int64) {
		defer both.Done()
		_, _ = io.Copy(to, io.TeeReader(from, countTo{n}))
		_ = to.Close()
		_ = from.Close()
	}
	both.Add(2)
	go flow(s, c, &w.up)
	go flow(c, s, &w.down)
	both.Wait()
	w.mu.Lock()
	delete(w.conns, c)
	delete(w.conns, s)
	w.mu.Unlock()
}

type countTo struct{ n *atomic.Int64 }

func (c countTo) Write(p []byte) (int, error) { c.n.Add(int64(len(p))); return len(p), nil }

// cut breaks all connections.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
}

// kuvaClient logs in over a wire.
func kuvaClient(t *testing.T, url string) *client.Client {
	t.Helper()
	provider, err := openstack.NewClient(url + "/identity/v3")
	if err != nil {
		t.Fatal(err)
	}
	err = openstack.Authenticate(t.Context(), provider, gophercloud.AuthOptions{
		IdentityEndpoint: url + "/identity/v3", Username: servertest.Admin.Name, Password: servertest.Admin.Password, DomainName: "Default", AllowReauth: true,
		Scope: &gophercloud.AuthScope{ProjectName: servertest.Admin.Project, DomainName: "Default"},
	})
	if err != nil {
		t.Fatal(err)
	}
	image, err := openstack.NewImageV2(provider, gophercloud.EndpointOpts{})
	if err != nil {
		t.Fatal(err)
	}
	return client.New(image)
}

func rawDisk(t *testing.T, path string) disk.Disk {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	d, err := raw.Open(t.Context(), f, info.Size(), disk.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestAskInterrupted kills the client, the server and the network at ten random
// points each of an upload: it goes on where it was, and the disk is whole.
func TestAskInterrupted(t *testing.T) {
	t.Parallel() // each waits much
	size := servertest.Count(256, 2048) << 20
	kills := 10
	const again = 64 << 20 // that one failure may cost
	for n, how := range []string{"client", "server", "network"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "disk.raw")
			if err := os.WriteFile(path, servertest.Random(servertest.Seed(t)+uint64(n), size), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg := servertest.Config{Data: filepath.Join(t.TempDir(), "data")}
			p := servertest.Start(t, cfg)
			w := newWire(t, p.URL)
			c := kuvaClient(t, w.URL)
			d := rawDisk(t, path)
			before := w.up.Load()
			dice := rand.New(rand.NewPCG(servertest.Seed(t), uint64(n)))
			var points []int64 // durable bytes at which something dies
			for i := range kills {
				points = append(points, int64(size)*int64(i)/int64(kills)+dice.Int64N(int64(size/kills)))
			}
			resumed, next := 0, 0
			var img api.Image
			for {
				ctx, cancel := context.WithCancel(t.Context())
				var mu sync.Mutex
				opt := client.AskOptions{
					Image: client.NewImage{Name: "disk", DiskFormat: "raw", ContainerFormat: "bare"}, Native: "raw", Source: "the disk",
					Began: func(_ api.Upload, on bool) {
						if on {
							resumed++
						}
					},
					Progress: func(x client.AskProgress) {
						mu.Lock()
						defer mu.Unlock()
						if next == len(points) || x.Done < points[next] || x.Making {
							return
						}
						next++
						switch how {
						case "client":
							cancel()
						case "network":
							w.cut()
						case "server":
							p.Kill()
							p = servertest.Start(t, cfg)
							w.to(p.URL)
						}
					},
				}
				var err error
				img, err = c.AskUpload(ctx, d, opt)
				killed := ctx.Err() != nil
				cancel()
				if killed {
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				break
			}
			if sent := w.up.Load() - before; sent > int64(size)+int64(next)*again {
				t.Errorf("%d bytes were sent of %d, with %d failures", sent, size, next)
			} else {
				t.Logf("%d failures, %d runs resumed: %d MiB sent of %d", next, resumed, sent>>20, size>>20)
			}
			if next < kills-2 || how == "client" && resumed < next-1 {
				t.Errorf("%d failures, %d runs resumed", next, resumed)
			}
			x := disks{Client: p.Login(t, servertest.Admin)}
			x.same(t, img.ID, path)
			p.MustStop(t)
		})
	}
}

// TestAskWire: what travels of a disk that the project has in another format, and
// of one that is nearly equal.
func TestAskWire(t *testing.T) {
	t.Parallel() // beside tests that mostly wait
	data := filepath.Join(t.TempDir(), "data")
	x := disks{servertest.Start(t, servertest.Config{Data: data}).Login(t, servertest.Admin), data}
	w := newWire(t, x.URL)
	c := kuvaClient(t, w.URL)
	base := diskimage.Debian(t)
	x.put(t, "debian", "qcow2", base.QCOW2, nil)
	up := func(name, path string) (p client.AskProgress, wire int64) {
		t.Helper()
		before := w.up.Load() + w.down.Load()
		began := time.Now()
		img, err := c.AskUpload(t.Context(), rawDisk(t, path), client.AskOptions{
			Image: client.NewImage{Name: name, DiskFormat: "raw", ContainerFormat: "bare"}, Native: "raw", Progress: func(x client.AskProgress) {
				if x.Making {
					p = x
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		took := time.Since(began)
		wire = w.up.Load() + w.down.Load() - before
		t.Logf("%s: %d bytes on the wire, %d of chunks, %d found, %.1f s", name, wire, p.Sent, p.Saved, took.Seconds())
		if p.Sent > 0 { // of the other one nothing came that was not compared before
			x.same(t, img.ID, path)
		}
		return p, wire
	}
	all := chunksOf(t, base.Raw)
	var total int64
	for _, c := range all {
		total += c.size
	}
	if p, _ := up("as raw", base.Raw); float64(p.Saved) < 0.99*float64(total) {
		t.Errorf("%d of %d bytes were found of a disk that is there as qcow2", p.Saved, total)
	}
	have := map[chunk.Hash]bool{}
	for _, c := range all {
		have[c.hash] = true
	}
	changed, _ := diskimage.Snapshots(t, base)
	var fresh, n int64
	for _, c := range chunksOf(t, changed.Raw) {
		n++
		if !have[c.hash] {
			have[c.hash] = true
			fresh += c.sent
		}
	}
	_, wire := up("after edits", changed.Raw)
	if most := fresh*105/100 + 40*n; wire > most {
		t.Errorf("%d bytes on the wire for %d of changed chunks and %d names: more than %d", wire, fresh, n, most)
	}
}

type cutChunk struct {
	hash chunk.Hash
	size int64
	sent int64 // as a frame
}

// chunksOf cuts a raw disk.
func chunksOf(t *testing.T, path string) (all []cutChunk) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c := &chunk.Cutter{Emit: func(p chunk.Piece) error {
		if p.Data != nil {
			all = append(all, cutChunk{chunk.Sum(p.Data), p.Len, int64(len(api.AppendFrame(nil, p.Data)))})
		}
		return nil
	}}
	l := &chunk.Lattice{To: c}
	if _, err := io.Copy(l, f); err != nil {
		t.Fatal(err)
	}
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := c.Cut(); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestAskSparse: what holds nothing costs no time.
func TestAskSparse(t *testing.T) {
	part := servertest.Count(96, 2048) << 20
	wide := int64(servertest.Count(20, 100)) << 30
	p := servertest.Start(t, servertest.Config{Data: filepath.Join(t.TempDir(), "data")})
	c := kuvaClient(t, p.URL)
	path := filepath.Join(t.TempDir(), "disk.raw")
	took := func(seed uint64, size int64) time.Duration {
		t.Helper()
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		content := servertest.Random(seed, part)
		const stretch = 8 << 20
		n := int64(part / stretch)
		for i := range n {
			if _, err := f.WriteAt(content[i*stretch:(i+1)*stretch], (size-stretch)/max(n-1, 1)*i/chunk.Block*chunk.Block); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := c.AskUpload(t.Context(), rawDisk(t, path), client.AskOptions{Image: client.NewImage{Name: "sparse"}, Native: "raw"}); err != nil {
			t.Fatal(err)
		}
		return time.Since(began)
	}
	took(1, int64(part)) // what is done once only
	alone, sparse := took(2, int64(part)), took(3, wide)
	alone, sparse = min(alone, took(4, int64(part))), min(sparse, took(5, wide))
	t.Logf("%d MiB of data alone took %v, in a disk of %d GiB %v", part>>20, alone, wide>>30, sparse)
	if sparse > alone*12/10+time.Second/4 {
		t.Errorf("%d MiB of data alone took %v, in a disk of %d GiB %v", part>>20, alone, wide>>30, sparse)
	}
}
