package servertest_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"

	"kuva/internal/server/servertest"
)

func TestMain(m *testing.M) { os.Exit(servertest.Main(m)) }

// state is what an image is, as far as its owner was told.
type state struct {
	gone bool
	name string
	seed uint64
	size int // below 0: nothing in it
}

func (s state) String() string {
	switch {
	case s.gone:
		return "gone"
	case s.size < 0:
		return fmt.Sprintf("queued as %q", s.name)
	}
	return fmt.Sprintf("active as %q with %d bytes of seed %d", s.name, s.size, s.seed)
}

// tracked is one image and what it may be: one state where the last call on it
// was answered, two where it was not.
type tracked struct {
	id  string
	may []state
}

func (i *tracked) settled() bool { return len(i.may) == 1 }

// fleet is clients that work at once, each on images of its own, so that what
// was acknowledged to one of them is what must be there.
type fleet struct {
	size func(*rand.Rand) int
	most int // images of one client

	workers []*worker
}

type worker struct {
	f      *fleet
	dice   *rand.Rand
	images []*tracked
	acked  int // calls that were answered with success
}

// newFleet makes n clients whose calls depend on the seed alone.
func newFleet(n int, seed uint64, most int, size func(*rand.Rand) int) *fleet {
	f := &fleet{size: size, most: most}
	for i := range n {
		f.workers = append(f.workers, &worker{f: f, dice: rand.New(rand.NewPCG(seed, uint64(i)))})
	}
	return f
}

// work lets all clients work until the server goes away. It returns an answer
// that no client may get, power or not.
func (f *fleet) work(c *servertest.Client) error {
	errs := make([]error, len(f.workers))
	var wg sync.WaitGroup
	for i, w := range f.workers {
		wg.Go(func() {
			for errs[i] == nil {
				var more bool
				if more, errs[i] = w.step(c); !more {
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (f *fleet) acked() (n int) {
	for _, w := range f.workers {
		n += w.acked
	}
	return n
}

// step makes one call; more is false where it was not answered, or with a
// failure of the server.
func (w *worker) step(c *servertest.Client) (more bool, err error) {
	var idle []*tracked
	for _, img := range w.images {
		if img.settled() && !img.may[0].gone {
			idle = append(idle, img)
		}
	}
	var call func() error
	var img *tracked
	var next state
	switch {
	case len(idle) == 0 || len(idle) < w.f.most && w.dice.IntN(3) == 0:
		img = &tracked{id: uuid.NewString(), may: []state{{gone: true}}}
		w.images = append(w.images, img)
		next = state{name: "image " + img.id[:8], size: -1}
		call = func() error {
			_, err := c.Create(servertest.Fields{"id": img.id, "name": next.name})
			return err
		}
	default:
		img = idle[w.dice.IntN(len(idle))]
		next = img.may[0]
		switch d := w.dice.IntN(4); {
		case next.size < 0: // most of what is made gets filled
			next.seed, next.size = w.dice.Uint64(), w.f.size(w.dice)
			content := servertest.Content(next.seed, next.size)
			call = func() error { return c.Upload(img.id, bytes.NewReader(content)) }
		case d == 0 || len(idle) >= w.f.most:
			next = state{gone: true}
			call = func() error { return c.Delete(img.id) }
		default:
			next.name = fmt.Sprintf("renamed %d", w.dice.Uint32())
			call = func() error { return c.Patch(img.id, servertest.Fields{"name": next.name}) }
		}
	}
	img.may = append(img.may, next)
	err = call()
	switch status := servertest.StatusOf(err); {
	case err == nil:
		img.may = []state{next}
		w.acked++
		return true, nil
	case status == 0 || status >= 500:
		return false, nil
	default:
		return false, fmt.Errorf("image %s, %v to %v: %w", img.id, img.may[0], next, err)
	}
}

// check compares the server with what was promised: every image is one of the
// things that it may be and reads back whole, nothing else is there, and the
// quota is the sum. Afterwards all are settled.
func (f *fleet) check(c *servertest.Client) error {
	var all []*tracked
	for _, w := range f.workers {
		all = append(all, w.images...)
	}
	errs := make([]error, 4)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			for n := i; n < len(all) && errs[i] == nil; n += len(errs) {
				errs[i] = checkImage(c, all[n])
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	there := map[string]bool{}
	var count, sum int64
	for _, w := range f.workers {
		w.images = slices.DeleteFunc(w.images, func(img *tracked) bool { return img.may[0].gone && w.dice.IntN(4) > 0 })
		for _, img := range w.images {
			if s := img.may[0]; !s.gone {
				there[img.id] = true
				count++
				sum += int64(max(s.size, 0))
			}
		}
	}
	list, err := c.List()
	if err != nil {
		return err
	}
	for _, img := range list {
		if !there[img.ID] {
			return fmt.Errorf("image %s is %s and was never made, or deleted", img.ID, img.Status)
		}
	}
	if len(list) != len(there) {
		return fmt.Errorf("%d images are listed, %d were made", len(list), len(there))
	}
	q, err := c.Quota()
	if err != nil {
		return err
	}
	if u := q.Use; u.Images != count || u.Bytes != sum || u.Reserved != 0 || u.Uploads != 0 {
		return fmt.Errorf("the quota counts %+v; there are %d images with %d bytes and no uploads", u, count, sum)
	}
	return nil
}

func checkImage(c *servertest.Client, img *tracked) error {
	found, err := observe(c, img)
	if err != nil {
		return fmt.Errorf("image %s, which may be %v: %w", img.id, img.may, err)
	}
	if !slices.Contains(img.may, found) {
		return fmt.Errorf("image %s is %v; it may be %v", img.id, found, img.may)
	}
	img.may = []state{found}
	return nil
}

// observe finds out what an image is, by all that the API shows of it.
func observe(c *servertest.Client, img *tracked) (state, error) {
	got, err := c.Show(img.id)
	if servertest.StatusOf(err) == http.StatusNotFound {
		return state{gone: true}, nil
	}
	if err != nil {
		return state{}, err
	}
	found := state{name: got.Name, size: -1}
	switch got.Status {
	case "queued":
		if got.Size != nil || got.Checksum != nil {
			return found, fmt.Errorf("queued, with the size or checksum of a content")
		}
		return found, nil
	case "active":
	default:
		return found, fmt.Errorf("its status is %s", got.Status)
	}
	// The content that it may have: at most one of the states has one.
	for _, s := range img.may {
		if s.size < 0 || s.gone {
			continue
		}
		found.seed, found.size = s.seed, s.size
		if got.Size == nil || *got.Size != int64(s.size) {
			return found, fmt.Errorf("its size is wrong: %+v", got)
		}
		return found, c.Download(img.id, bytes.NewReader(servertest.Content(s.seed, s.size)))
	}
	return found, fmt.Errorf("active, and was never filled")
}

func bytesReader(s state) *bytes.Reader { return bytes.NewReader(servertest.Content(s.seed, s.size)) }
