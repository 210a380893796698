package servertest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"kuva/internal/depot"
	"kuva/internal/server/servertest"
)

// The database is deleted: store and keys alone bring back every image with
// its owner, name, members and bytes. Renamed ones have their new name, deleted
// ones stay deleted.
func TestRebuild(t *testing.T) {
	const perMinute = 50_000 // the least
	// Filled in memory, brought back on a disk.
	data := filepath.Join(memoryDir(t), "data")
	p := servertest.Start(t, servertest.Config{Data: data, YAML: "quota:\n  images: -1\n"})
	c := p.Login(t, servertest.Admin)
	const friend = "0123456789abcdef0123456789abcdef"

	images := make([]tracked, servertest.Count(800, 20_000))
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for w := range errs {
		wg.Go(func() {
			for n := w; n < len(images) && errs[w] == nil; n += len(errs) {
				images[n], errs[w] = makeForRebuild(c, n, friend)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	waitCards(t, data, len(images))
	p.MustStop(t)

	filled := data
	data = filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(data, os.DirFS(filled)); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(filepath.Join(data, "kuva.db"+suffix)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	if _, err := servertest.TryStart(t, servertest.Config{Data: data}); err == nil {
		t.Fatal("the service starts without its database, as if it were new")
	}
	began := time.Now()
	rebuild := exec.Command(servertest.Binary(t), "depot", "rebuild", "--data", data, "--json")
	out, err := rebuild.Output()
	took := time.Since(began)
	if err != nil {
		t.Fatalf("rebuild: %v\n%s", err, out)
	}
	var rep depot.RebuildReport
	if err := json.Unmarshal(out, &rep); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	// A machine that does other things as well is no slower in CPU time.
	cpu := rebuild.ProcessState.UserTime() + rebuild.ProcessState.SystemTime()
	rate, rateCPU := float64(len(images))/took.Minutes(), float64(len(images))/cpu.Minutes()
	t.Logf("%d images with %d objects came back in %v, %v of the CPU: %.0f images a minute, %.0f a minute of the CPU",
		rep.Images, rep.Objects, took, cpu, rate, rateCPU)
	if rate < perMinute && rateCPU < perMinute {
		t.Errorf("%.0f images a minute, at least %d are wanted", rate, perMinute)
	}

	p = servertest.Start(t, servertest.Config{Data: data})
	again := p.Login(t, servertest.Admin)
	for w := range errs {
		wg.Go(func() {
			for n := w; n < len(images) && errs[w] == nil; n += len(errs) {
				errs[w] = cameBack(again, n, images[n], c.Project, friend)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	p.MustStop(t)
}

// makeForRebuild makes image n and what happens to it: every third is renamed,
// every fifth shared, every seventh deleted, every eleventh has no content.
func makeForRebuild(c *servertest.Client, n int, friend string) (tracked, error) {
	s := state{name: fmt.Sprintf("image %d", n), size: -1, seed: uint64(n)}
	f := servertest.Fields{"name": s.name}
	if n%5 == 0 {
		f["visibility"] = "shared"
	}
	img, err := c.Create(f)
	if err != nil {
		return tracked{}, err
	}
	if n%11 != 0 {
		s.size = 1 + n%3000
		if err := c.Upload(img.ID, bytesReader(s)); err != nil {
			return tracked{}, err
		}
	} else {
		s.seed = 0
	}
	if n%5 == 0 {
		a, err := c.Do(http.MethodPost, "/v2/images/"+img.ID+"/members", nil, servertest.Fields{"member": friend})
		if err != nil || !a.OK() {
			return tracked{}, fmt.Errorf("share: %v, %w", a, err)
		}
	}
	if n%3 == 0 {
		s.name = fmt.Sprintf("renamed %d", n)
		if err := c.Patch(img.ID, servertest.Fields{"name": s.name}); err != nil {
			return tracked{}, err
		}
	}
	if n%7 == 0 {
		s = state{gone: true}
		err = c.Delete(img.ID)
	}
	return tracked{id: img.ID, may: []state{s}}, err
}

func cameBack(c *servertest.Client, n int, img tracked, owner, friend string) error {
	if err := checkImage(c, &img); err != nil || img.may[0].gone {
		return err
	}
	got, err := c.Show(img.id)
	if err != nil {
		return err
	}
	if got.Owner != owner {
		return fmt.Errorf("image %s belongs to %s, not to %s", img.id, got.Owner, owner)
	}
	var members struct {
		Members []struct {
			MemberID string `json:"member_id"`
		} `json:"members"`
	}
	a, err := c.Do(http.MethodGet, "/v2/images/"+img.id+"/members", nil, nil)
	if err != nil {
		return err
	}
	_ = json.Unmarshal(a.Body, &members)
	if shared := len(members.Members) == 1 && members.Members[0].MemberID == friend; shared != (n%5 == 0) {
		return fmt.Errorf("image %d, %s: members %s", n, img.id, a)
	}
	d, err := c.Details(img.id)
	if err == nil && !d.Recovered {
		err = fmt.Errorf("image %s is not marked as recovered", img.id)
	}
	return err
}
