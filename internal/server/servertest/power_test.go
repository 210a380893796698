package servertest_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"kuva/internal/server/servertest"
	"kuva/internal/testkit/lossyfs"
)

// small sizes mostly, and some that take several packs' worth of writes.
func powerSize(dice *rand.Rand) int {
	switch dice.IntN(8) {
	case 0:
		return 1 + dice.IntN(4096)
	case 1:
		return 4<<20 + dice.IntN(8<<20)
	}
	return 1 + dice.IntN(1<<20)
}

// outage is a data folder on a disk that loses its power again and again.
type outage struct {
	t    *testing.T
	disk *lossyfs.FS
	dice *rand.Rand
	f    *fleet
	user *servertest.Client // its token must survive as well

	slowest time.Duration
}

func newOutage(t *testing.T, seed uint64, config lossyfs.Config) *outage {
	return &outage{
		t: t, disk: lossyfs.Test(t, config), dice: rand.New(rand.NewPCG(seed, 99)), f: newFleet(4, seed, 10, powerSize),
	}
}

// cycle starts the program on what the disk has kept, compares it with what
// was promised, lets the clients work and cuts the power, at some moment after
// n operations of the disk (0: after some time).
func (o *outage) cycle(n int, seed int64) error {
	cut := make(<-chan struct{})
	if n > 0 {
		cut = o.disk.CutAfter(n)
	}
	p, err := servertest.TryStart(o.t, servertest.Config{Data: filepath.Join(o.disk.Dir(), "data")})
	if err != nil {
		select {
		case <-cut: // the power went while it started
			return o.disk.Crash(seed)
		default:
			return err
		}
	}
	o.slowest = max(o.slowest, p.ReadyIn)
	defer p.Kill()
	if n > 0 {
		go func() { <-cut; p.Kill() }()
	}
	cutBefore := func(err error) error {
		select {
		case <-cut:
			return o.disk.Crash(seed)
		default:
			return err
		}
	}
	if o.user == nil {
		if o.user, err = servertest.TryLogin(p.URL, servertest.Admin); err != nil {
			return cutBefore(err)
		}
	}
	o.user = o.user.At(p.URL)
	if err := o.f.check(o.user); err != nil {
		return cutBefore(err)
	}
	if n == 0 {
		time.AfterFunc(time.Duration(50+o.dice.IntN(500))*time.Millisecond, func() { o.disk.Cut(); p.Kill() })
	}
	err = o.f.work(o.user)
	o.disk.Cut()
	p.Kill()
	return errors.Join(err, o.disk.Crash(seed))
}

// The power of the whole machine goes while clients work, or while the program
// starts: what was acknowledged (images, their bytes, changes, deletions, the
// token) is there at the next start, and nothing is half there.
func TestPowerLoss(t *testing.T) {
	seed := servertest.Seed(t)
	o := newOutage(t, seed, lossyfs.Config{})
	cycles := servertest.Count(30, 2000)
	for cycle := range cycles {
		n := 0
		switch {
		case cycle%3 == 0: // inside the start, or soon after
			n = 100 + o.dice.IntN(900)
		}
		if err := o.cycle(n, int64(cycle)*int64(cycle%2)); err != nil { // every other one keeps nothing by luck
			t.Fatalf("cycle %d: %v", cycle, err)
		}
	}
	// Once more, with the power on, so that the last cut is judged.
	if err := o.finish(); err != nil {
		t.Fatalf("after the last cycle: %v", err)
	}
	t.Logf("%d power cuts, %d calls acknowledged, slowest start %v, %+v", cycles, o.f.acked(), o.slowest, o.disk.Stats())
	if o.f.acked() < cycles {
		t.Error("hardly anything was acknowledged: the test shows nothing")
	}
}

func (o *outage) finish() error {
	p, err := servertest.TryStart(o.t, servertest.Config{Data: filepath.Join(o.disk.Dir(), "data")})
	if err != nil {
		return err
	}
	defer p.Kill()
	if err := o.f.check(o.user.At(p.URL)); err != nil {
		return err
	}
	if code, err := p.Stop(30 * time.Second); err != nil || code != 0 {
		return fmt.Errorf("exit code %d: %w", code, err)
	}
	return nil
}

// The power goes inside the very first start, at each operation of the disk
// (in CI at some of them): the next start makes everything as if it were the
// first, and what it says of how to log in is true.
func TestPowerLossFirstStart(t *testing.T) {
	dice := rand.New(rand.NewPCG(servertest.Seed(t), 5))
	disk := lossyfs.Test(t, lossyfs.Config{})
	data := filepath.Join(disk.Dir(), "data")
	for n := 1; ; n += 1 + dice.IntN(servertest.Count(80, 1)) {
		whole := firstStart(t, disk, data, n)
		p, err := servertest.TryStart(t, servertest.Config{Data: data, Env: []string{"KUVA_ADMIN_PASSWORD="}})
		if err != nil {
			t.Fatalf("power cut after operation %d of the first start: %v", n, err)
		}
		if _, err := servertest.TryLogin(p.URL, cloudsUser(t, data)); err != nil {
			t.Fatalf("power cut after operation %d of the first start: log in as clouds.yaml says: %v", n, err)
		}
		p.Kill()
		if err := os.RemoveAll(data); err != nil {
			t.Fatal(err)
		}
		if whole {
			t.Logf("a first start has fewer than %d operations", n)
			return
		}
	}
}

// firstStart starts the program on an empty disk and cuts the power after n
// operations. It tells whether the start was over before.
func firstStart(t *testing.T, disk *lossyfs.FS, data string, n int) (whole bool) {
	t.Helper()
	cut := disk.CutAfter(n)
	p, err := servertest.TryStart(t, servertest.Config{Data: data, Env: []string{"KUVA_ADMIN_PASSWORD="}})
	if err == nil {
		p.Kill()
	}
	select {
	case <-cut:
	default:
		if err != nil {
			t.Fatal(err)
		}
		whole = true
	}
	disk.Cut()
	if err := disk.Crash(0); err != nil {
		t.Fatal(err)
	}
	return whole
}

// cloudsUser reads how clouds.yaml logs in.
func cloudsUser(t *testing.T, data string) servertest.User {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(data, "clouds.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Clouds map[string]struct {
			Auth struct {
				Username    string `yaml:"username"`
				Password    string `yaml:"password"`
				ProjectName string `yaml:"project_name"`
			} `yaml:"auth"`
		} `yaml:"clouds"`
	}
	if err := yaml.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	a := file.Clouds["kuva"].Auth
	return servertest.User{Name: a.Username, Password: a.Password, Project: a.ProjectName}
}

// A program that forgets one kind of sync is caught: TestPowerLoss can fail.
func TestPowerLossMutants(t *testing.T) {
	for name, ignore := range map[string]func(path string, dir bool) bool{
		"packs":       func(path string, dir bool) bool { return !dir && strings.HasPrefix(path, "data/store/") },
		"directories": func(_ string, dir bool) bool { return dir },
		"database":    func(path string, dir bool) bool { return !dir && strings.HasPrefix(path, "data/kuva.db") },
	} {
		t.Run(name, func(t *testing.T) {
			// The first start is honest: what is to be found is content that is
			// lost, not a data folder without its first files.
			var forgetful atomic.Bool
			o := newOutage(t, servertest.Seed(t), lossyfs.Config{
				IgnoreSync: func(path string, dir bool) bool { return forgetful.Load() && ignore(path, dir) },
			})
			const most = 12
			for cycle := range most {
				if err := o.cycle(0, 0); err != nil {
					line, _, _ := strings.Cut(err.Error(), "\n")
					t.Logf("caught after %d power cuts: %s", cycle, line)
					if o.disk.Stats().IgnoredSyncs == 0 {
						t.Error("no sync was ignored: something else is wrong")
					}
					return
				}
				forgetful.Store(true)
			}
			t.Errorf("%d power cuts lost nothing: %+v", most, o.disk.Stats())
		})
	}
}
