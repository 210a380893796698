package depot

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"kuva/internal/blob/mem"
	"kuva/internal/blob/s3"
	"kuva/internal/testkit/faultys3"
)

// TestHistoriesOverABucket runs random histories over blob/s3 and a service
// that refuses, loses and cuts answers, stores and deletes late and lists what
// was, with crashes and without any patience, so that every unknown outcome
// reaches the depot: nothing acknowledged is lost, nothing half-made is
// visible, and at rest the bucket holds what images need.
func TestHistoriesOverABucket(t *testing.T) {
	defer func(d time.Duration) { minio.DefaultRetryUnit = d }(minio.DefaultRetryUnit)
	minio.DefaultRetryUnit = 0 // the client sleeps even after its only try
	storm := faultys3.Storm{
		Refuse: .01, Lose: .02, Cut: .01, Page: .01,
		Store: mem.Faults{CommitLost: .02, CommitStored: .02, CommitLate: .02, DeleteLate: .1, ListLag: .1, Short: .01, MaxDelay: 10},
	}
	histories := 6
	if os.Getenv("KUVA_SOAK") != "" {
		histories = 1000
	}
	srv := faultys3.Start(t, 1)
	var failures, crashes, steps int
	for seed := range uint64(histories) {
		srv.Empty(seed)
		store, err := s3.Open(s3.Config{
			Bucket: srv.Bucket, Endpoint: srv.Endpoint, PathStyle: true, AccessKey: "a", SecretKey: "s", Patience: -1, PartSize: 4000,
		})
		if err != nil {
			t.Fatal(err)
		}
		y := newYardOver(t, yardFolder(t), store)
		y.open(nil)
		r := rand.New(rand.NewPCG(seed, 11))
		for range 60 {
			steps++
			if r.IntN(3) > 0 {
				srv.SetStorm(storm)
			}
			cut := 0
			if r.IntN(4) == 0 {
				cut = 1 + r.IntN(25)
			}
			y.plug.arm(cut, 0)
			err := bucketStep(y, r)
			gone := y.plug.isCut()
			y.plug.disarm()
			srv.SetStorm(faultys3.Storm{})
			if gone {
				crashes++
			} else if err != nil {
				failures++
				if errors.Is(err, ErrReadOnly) || errors.Is(err, ErrDamaged) {
					y.fatalf("%v", err)
				}
			}
			y.settleRows()
			if gone {
				y.recover(0)
			}
			y.check()
			y.outboxNow()
			if r.IntN(5) == 0 {
				y.checkBytes(y.Depot)
			}
		}
		srv.Settle()
		y.quiesce(seed%2 == 0)
		y.close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d steps, %d failures, %d crashes; requests by fate: %v", steps, failures, crashes, srv.Faults())
	if failures < 10*histories/6 || crashes < 10*histories/6 {
		t.Errorf("only %d failures and %d crashes: the test shows nothing", failures, crashes)
	}
}

// bucketStep does one thing that somebody may do.
func bucketStep(y *yard, r *rand.Rand) error {
	content := []int{r.IntN(12), r.IntN(12), -500, r.IntN(12), r.IntN(12)}
	m := newestLive(y)
	switch kind := r.IntN(8); {
	case kind == 0 && m != nil:
		y.note("delete %s", m.id)
		return y.change(y.Depot, m, modelState{deleted: true})
	case kind == 1 && m != nil:
		y.note("rename %s", m.id)
		return y.change(y.Depot, m, modelState{name: "other"})
	case kind == 2 && m != nil:
		y.note("snapshot of %s", m.id)
		return y.put(y.Depot, m.project, "x", append(append([]int{}, m.content...), content...), m.ref)
	case kind == 3:
		y.note("abandon")
		return y.abandon(y.Depot, "p", content)
	case kind <= 5:
		y.note("collect")
		y.clock.at += time.Minute * time.Duration(r.IntN(20))
		_, err := y.Collect(context.Background(), CollectOptions{Compact: r.IntN(2) == 0, Audit: r.IntN(3) == 0})
		return err
	}
	y.note("put %v", content)
	return y.put(y.Depot, []string{"p", "q", ""}[r.IntN(3)], "x", content, 0)
}
