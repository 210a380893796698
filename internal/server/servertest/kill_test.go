package servertest_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"kuva/api"
	"kuva/internal/server/servertest"
	"kuva/internal/testkit/loopfs"
)

// uploadSize makes uploads that take long enough to be met by a kill.
func uploadSize(dice *rand.Rand) int {
	if dice.IntN(3) == 0 {
		return 1 + dice.IntN(64<<10)
	}
	return 256<<10 + dice.IntN(6<<20)
}

// TestKill kills the program under eight clients, again and again: each start
// is quick and needs nobody, what was acknowledged reads back identical,
// uploads that were cut off are queued again and say so, and a job that was
// killed in its middle goes on. At the end, what the store holds is what images
// refer to, after the collector had its cycles.
func TestKill(t *testing.T) {
	seed := servertest.Seed(t)
	dice := rand.New(rand.NewPCG(seed, 77))
	data := filepath.Join(bigDir(t, 4<<30), "data")
	f := newFleet(8, seed, 8, uploadSize)
	var user *servertest.Client
	var slowest time.Duration
	var interrupted int
	cycles := servertest.Count(40, 10_000)
	for cycle := range cycles + 1 {
		p := servertest.Start(t, servertest.Config{Data: data})
		slowest = max(slowest, p.ReadyIn)
		if p.ReadyIn > 2*time.Second {
			t.Errorf("cycle %d: ready only after %v", cycle, p.ReadyIn)
		}
		if user == nil {
			user = p.Login(t, servertest.Admin)
		}
		user = user.At(p.URL)
		if err := f.check(user); err != nil {
			t.Fatalf("cycle %d: %v", cycle, err)
		}
		if cycle == cycles {
			quiet(t, p, user, data, f)
			break
		}
		saving := make(chan map[string]bool, 1)
		time.AfterFunc(time.Duration(30+dice.IntN(600))*time.Millisecond, func() {
			saving <- savingImages(user)
			p.Kill()
		})
		if err := f.work(user); err != nil {
			t.Fatalf("cycle %d: %v", cycle, err)
		}
		p.Kill()
		n, err := checkInterrupted(t, data, user, <-saving, &slowest)
		if err != nil {
			t.Fatalf("cycle %d: %v", cycle, err)
		}
		interrupted += n
	}
	t.Logf("%d kills, %d calls acknowledged, %d uploads met in their middle, slowest start %v", cycles, f.acked(), interrupted, slowest)
	if f.acked() < cycles || interrupted == 0 {
		t.Error("the kills met hardly anything: the test shows nothing")
	}
}

// bigDir is a folder on an ext4 of its own, where this machine lets us have
// one, so that no other disk's habits decide.
func bigDir(t *testing.T, size int64) string {
	t.Helper()
	if os.Getuid() == 0 {
		return loopfs.Ext4(t, size)
	}
	return t.TempDir()
}

// savingImages are those that an upload fills just now.
func savingImages(c *servertest.Client) map[string]bool {
	out := map[string]bool{}
	list, err := c.List()
	if err != nil {
		return out // too busy, or gone: there is always the next cycle
	}
	for _, img := range list {
		if img.Status == "saving" {
			out[img.ID] = true
		}
	}
	return out
}

// checkInterrupted starts the program and sees what became of the uploads that
// were under way: each came to its end, or is queued and says why.
func checkInterrupted(t *testing.T, data string, c *servertest.Client, saving map[string]bool, slowest *time.Duration) (queued int, err error) {
	if len(saving) == 0 {
		return 0, nil
	}
	p, err := servertest.TryStart(t, servertest.Config{Data: data})
	if err != nil {
		return 0, err
	}
	defer p.Kill()
	*slowest = max(*slowest, p.ReadyIn)
	for id := range saving {
		img, err := c.At(p.URL).Show(id)
		switch {
		case err != nil:
			return queued, err
		case img.Status == "queued" && img.LastFailure != "":
			queued++
		case img.Status != "active":
			return queued, fmt.Errorf("image %s was being filled when the program was killed; now it is %s, with the last failure %q", id, img.Status, img.LastFailure)
		}
	}
	return queued, nil
}

// quiet sees what remains when nobody works: the store's files are what the
// ledger knows, what no image refers to goes with the collector's cycles, and
// with the last image the last byte.
func quiet(t *testing.T, p *servertest.Process, c *servertest.Client, data string, f *fleet) {
	t.Helper()
	blobs := filepath.Join(data, "store", "blobs")
	settled := func(what string, done func(api.Depot) bool) {
		for cycle := 0; ; cycle++ {
			d, err := c.Depot()
			if err != nil {
				t.Fatal(err)
			}
			packs, n, err := servertest.Size(filepath.Join(blobs, "pack"), nil)
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			known := d.Live.Bytes + d.Garbage + d.Condemned.Bytes
			t.Logf("%s, after %d cycles: %d bytes in %d packs; the ledger: %+v", what, cycle, packs, n, d)
			if d.Open.Count == 0 && d.Condemned.Count == 0 && packs == known && done(d) {
				return
			}
			if cycle == 6 {
				t.Fatalf("%d bytes lie in the packs, of which %d are known to the ledger; %d are garbage", packs, known, d.Garbage)
			}
			if err := c.Collect(api.Collect{Compact: true, Audit: true}); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Packs that are nearly full of what is needed are not written anew for
	// the rest of them.
	settled("at work", func(d api.Depot) bool { return d.Garbage <= d.Live.Bytes/50 })
	if err := f.check(c); err != nil {
		t.Fatalf("after the collector: %v", err)
	}
	// Uploads that were cut off left nothing behind beside the packs either.
	if n, files, err := servertest.Size(filepath.Join(data, "store", "tmp"), nil); err != nil || files > 0 {
		t.Errorf("%d files with %d bytes are left of writing, %v", files, n, err)
	}
	list, err := c.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, img := range list {
		if err := c.Delete(img.ID); err != nil {
			t.Fatal(err)
		}
	}
	settled("all deleted", func(d api.Depot) bool { return d.Live.Bytes+d.Garbage == 0 })
	if n, files, err := servertest.Size(filepath.Join(blobs, "recipe"), nil); err == nil && files > 0 {
		t.Errorf("%d recipes with %d bytes are left of no image", files, n)
	}
	p.MustStop(t)
}

// A job that a kill stops in its middle goes on within 30 s of the next start,
// and no byte of its image is in doubt meanwhile.
func TestKillJob(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	p := servertest.Start(t, servertest.Config{Data: data})
	c := p.Login(t, servertest.Admin)
	content := servertest.Random(1, 160<<20)
	id := c.MustCreate(t, servertest.Fields{"name": "to be public"})
	c.MustUpload(t, id, content)
	if err := c.Patch(id, servertest.Fields{"visibility": "public"}); err != nil {
		t.Fatal(err)
	}
	job := waitRunning(t, c)
	p.Kill()
	killed := time.Now()

	p = servertest.Start(t, servertest.Config{Data: data})
	c = c.At(p.URL)
	var reads sync.WaitGroup
	reads.Go(func() {
		if err := c.Download(id, bytes.NewReader(content)); err != nil {
			t.Errorf("read beside the job: %v", err)
		}
	})
	again, err := c.WaitJob(job.ID, 60*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	reads.Wait()
	idle := again.StartedAt.Sub(killed)
	t.Logf("killed at %d of %d bytes; attempt %d began %v after the kill", job.Progress.Done, len(content), again.Attempt, idle)
	if idle > 30*time.Second || again.Attempt < 2 {
		t.Errorf("attempt %d began %v after the kill", again.Attempt, idle)
	}
	c.MustDownload(t, id, content)
	p.MustStop(t)
}

// waitRunning waits for the job that moves content to be under way. Its
// progress is written once a second, when a quick machine has ended it already.
func waitRunning(t *testing.T, c *servertest.Client) api.Job {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		jobs, err := c.Jobs("image.move")
		if err != nil {
			t.Fatal(err)
		}
		if len(jobs) == 0 || jobs[0].State == "pending" {
			continue
		}
		if jobs[0].State != "running" {
			t.Fatalf("the job ended before it could be killed: %+v", jobs[0])
		}
		return jobs[0]
	}
	t.Fatal("no job moves the content")
	return api.Job{}
}
