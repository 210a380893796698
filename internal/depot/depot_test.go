package depot

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"sync"
	"testing"

	"kuva/chunk"
	"kuva/internal/blob"
	"kuva/internal/blob/mem"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
)

// testKeys is a key service in memory.
type testKeys struct {
	mu   sync.Mutex
	keys map[string]cipher.AEAD
}

func newTestKeys() *testKeys { return &testKeys{keys: map[string]cipher.AEAD{}} }

func (k *testKeys) Create(context.Context) (string, error) {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	block, err := aes.NewCipher(secret)
	if err != nil {
		return "", err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return "", err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	name := fmt.Sprintf("key%d", len(k.keys)+1)
	k.keys[name] = aead
	return name, nil
}

func (k *testKeys) get(name string) (cipher.AEAD, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if a := k.keys[name]; a != nil {
		return a, nil
	}
	return nil, ErrKeyGone
}

func (k *testKeys) Wrap(_ context.Context, name string, plain, ad []byte) ([]byte, error) {
	a, err := k.get(name)
	if err != nil {
		return nil, err
	}
	return a.Seal(nil, nil, plain, ad), nil
}

func (k *testKeys) Unwrap(_ context.Context, name string, wrapped, ad []byte) ([]byte, error) {
	a, err := k.get(name)
	if err != nil {
		return nil, err
	}
	p, err := a.Open(nil, nil, wrapped, ad)
	if err != nil {
		return nil, ErrDamaged
	}
	return p, nil
}

func (k *testKeys) Destroy(_ context.Context, name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.keys, name)
	return nil
}

// world is a depot with what it stands on.
type world struct {
	*Depot
	tb    testing.TB
	db    *catalog.DB
	store blob.Store
	keys  *testKeys
}

func newWorld(tb testing.TB, db *catalog.DB) *world {
	tb.Helper()
	w := &world{tb: tb, db: db, store: mem.New(1), keys: newTestKeys()}
	w.open(Config{})
	return w
}

// open opens the depot anew, as a restarted process does.
func (w *world) open(cfg Config) {
	w.tb.Helper()
	if w.Depot != nil {
		_ = w.Depot.Close()
	}
	cfg.DB, cfg.Store, cfg.Keys, cfg.Node = w.db, w.store, w.keys, "test"
	if cfg.PackSize == 0 {
		cfg.PackSize = 4 << 20
	}
	d, err := Open(context.Background(), cfg)
	if err != nil {
		w.tb.Fatal(err)
	}
	w.Depot = d
	w.tb.Cleanup(func() { _ = d.Close() })
}

// put stores p and returns what the commit made.
func (w *world) put(project string, p []byte) ObjectInfo {
	w.tb.Helper()
	o, err := w.tryPut(project, p)
	if err != nil {
		w.tb.Fatal(err)
	}
	return o
}

func (w *world) tryPut(project string, p []byte) (ObjectInfo, error) {
	wr, err := w.Create(context.Background(), CreateOptions{Project: project, Kind: KindExact})
	if err != nil {
		return ObjectInfo{}, err
	}
	defer wr.Abort()
	// Odd pieces, so that boundaries of calls and of chunks differ.
	for i, q := 0, p; len(q) > 0; i++ {
		n := min(len(q), 100_003+i%7)
		if _, err := wr.Write(q[:n]); err != nil {
			return ObjectInfo{}, err
		}
		q = q[n:]
	}
	return wr.Commit(Digests{HashAlgo: "sha512", Hash: []byte("h")}, nil)
}

// mustRead checks that the object is p, read in order and at random.
func (w *world) mustRead(ref int64, p []byte) {
	w.tb.Helper()
	if err := w.readsBack(ref, p); err != nil {
		w.tb.Fatal(err)
	}
}

func (w *world) readsBack(ref int64, p []byte) error {
	o, err := w.OpenObject(context.Background(), ref)
	if err != nil {
		return err
	}
	if o.Size() != int64(len(p)) {
		return fmt.Errorf("size %d instead of %d", o.Size(), len(p))
	}
	r := o.Reader(context.Background(), 0, o.Size())
	defer r.Close()
	var b bytes.Buffer
	if _, err := r.WriteTo(&b); err != nil {
		return err
	}
	if !bytes.Equal(b.Bytes(), p) {
		return errors.New("other bytes came back")
	}
	for range 8 {
		if len(p) == 0 {
			break
		}
		off := mrand.IntN(len(p))
		q := make([]byte, mrand.IntN(min(len(p)-off, 3*chunk.Size)+1))
		if _, err := o.ReadAt(q, int64(off)); err != nil {
			return err
		}
		if !bytes.Equal(q, p[off:off+len(q)]) {
			return fmt.Errorf("other bytes at %d", off)
		}
		r := o.Reader(context.Background(), int64(off), int64(len(q)))
		got, err := io.ReadAll(r)
		r.Close()
		if err != nil || !bytes.Equal(got, p[off:off+len(q)]) {
			return fmt.Errorf("reader at %d: %w", off, err)
		}
	}
	return nil
}

func randomBytes(n int, seed uint64) []byte {
	r := mrand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), byte(seed >> 24)})
	b := make([]byte, n)
	_, _ = r.Read(b)
	return b
}

// textBytes compresses to about a half.
func textBytes(n int, seed uint64) []byte {
	b := randomBytes(n, seed)
	for i := range b {
		b[i] = 'a' + b[i]&15
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		w := newWorld(t, db)
		mixed := textBytes(9<<20, 1)
		clear(mixed[1<<20 : 5<<20])
		copy(mixed[6<<20:], randomBytes(1<<20, 2))
		tail := append(randomBytes(300, 3), make([]byte, 3<<20)...)
		for name, p := range map[string][]byte{
			"empty": nil, "1": {7}, "zero": {0}, "4K": randomBytes(4096, 4), "chunk-1": randomBytes(chunk.Size-1, 5),
			"chunk": randomBytes(chunk.Size, 6), "chunk+1": randomBytes(chunk.Size+1, 7), "zeros": make([]byte, 5<<20+17),
			"text": textBytes(3<<20+1, 8), "mixed": mixed, "zeros at the end": tail, "random": randomBytes(13<<20+5, 9),
		} {
			t.Run(name, func(t *testing.T) {
				o := w.put("p1", p)
				w.mustRead(o.Ref, p)
			})
		}
	})
}

func TestHolesOfADisk(t *testing.T) {
	w := newWorld(t, catalogtest.SQLite(t))
	wr, err := w.Create(context.Background(), CreateOptions{Project: "p", Kind: KindDisk})
	if err != nil {
		t.Fatal(err)
	}
	defer wr.Abort()
	data := randomBytes(70_000, 1)
	const size = 1 << 40
	for _, step := range []error{
		wr.Skip(123), func() error { _, err := wr.Write(data); return err }(), wr.Skip(size - 123 - int64(len(data)) - 5),
		func() error { _, err := wr.Write([]byte("hello")); return err }(),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	o, err := wr.Commit(Digests{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if o.Size != size || o.Stored > 80_000 {
		t.Fatalf("size %d, stored %d", o.Size, o.Stored)
	}
	obj, err := w.OpenObject(context.Background(), o.Ref)
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 123+len(data)+100)
	if _, err := obj.ReadAt(p, 0); err != nil {
		t.Fatal(err)
	}
	if want := append(append(make([]byte, 123), data...), make([]byte, 100)...); !bytes.Equal(p, want) {
		t.Fatal("other bytes at the front")
	}
	end := make([]byte, 10)
	n, err := obj.ReadAt(end, size-5)
	if n != 5 || !errors.Is(err, io.EOF) || string(end[:5]) != "hello" {
		t.Fatalf("%d %v %q", n, err, end)
	}
}

// TestStoredOnce: the same content again costs at most 1 % beyond the fixed
// record of an object.
func TestStoredOnce(t *testing.T) {
	w := newWorld(t, catalogtest.SQLite(t))
	for _, n := range []int{1, 4 << 10, 256 << 10, 1 << 20, 50 << 20} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			p := randomBytes(n, uint64(n))
			first := w.put("p", p)
			again := w.put("p", p)
			if again.Fresh*100 > first.Fresh {
				t.Errorf("first %d bytes, again %d", first.Fresh, again.Fresh)
			}
			w.mustRead(again.Ref, p)
			other := w.put("other", p)
			if other.Fresh < first.Fresh*99/100 {
				t.Errorf("another project stored %d bytes instead of %d: projects share", other.Fresh, first.Fresh)
			}
		})
	}
}

// TestSnapshotCostsItsChanges: stored bytes of a changed copy are at most 1.1
// times the changed chunks.
func TestSnapshotCostsItsChanges(t *testing.T) {
	w := newWorld(t, catalogtest.SQLite(t))
	p := randomBytes(300<<20, 1)
	w.put("p", p)
	for snap := range 3 {
		r := mrand.New(mrand.NewPCG(uint64(snap), 7))
		changed := map[int]bool{}
		for range 60 {
			i := r.IntN(len(p) / chunk.Size)
			changed[i] = true
			copy(p[i*chunk.Size+100:], randomBytes(5000, r.Uint64()))
		}
		o := w.put("p", p)
		if limit := int64(len(changed)) * chunk.Size * 11 / 10; o.Fresh > limit {
			t.Errorf("snapshot %d stored %d bytes for %d changed chunks", snap, o.Fresh, len(changed))
		}
		w.mustRead(o.Ref, p)
	}
}

func TestRepeatsInsideOneObject(t *testing.T) {
	w := newWorld(t, catalogtest.SQLite(t))
	one := randomBytes(chunk.Size, 1)
	p := bytes.Repeat(one, 100)
	o := w.put("p", p)
	if o.Fresh > 2*chunk.Size {
		t.Errorf("stored %d bytes", o.Fresh)
	}
	w.mustRead(o.Ref, p)
}

// TestPlatformIsShared: what the platform holds costs a project nothing, and
// projects see nothing of each other.
func TestPlatformIsShared(t *testing.T) {
	w := newWorld(t, catalogtest.SQLite(t))
	p := randomBytes(20<<20, 1)
	w.put("", p)
	o := w.put("p", p)
	if o.Fresh > 20<<20/100 {
		t.Errorf("stored %d bytes of a public image's content anew", o.Fresh)
	}
	w.mustRead(o.Ref, p)
	back := w.put("", randomBytes(5<<20, 2))
	private := w.put("q", randomBytes(5<<20, 3))
	if public := w.put("", randomBytes(5<<20, 3)); public.Fresh < 5<<20 {
		t.Errorf("the platform found a project's chunks: %d, %d, %d", public.Fresh, private.Fresh, back.Fresh)
	}
}

func TestLostLease(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		w := newWorld(t, db)
		wr, err := w.Create(context.Background(), CreateOptions{Project: "p", Kind: KindExact})
		if err != nil {
			t.Fatal(err)
		}
		defer wr.Abort()
		if _, err := wr.Write(randomBytes(1<<20, 1)); err != nil {
			t.Fatal(err)
		}
		if err := w.expireOwn(context.Background()); err != nil {
			t.Fatal(err)
		}
		if _, err := wr.Commit(Digests{}, nil); !errors.Is(err, ErrLeaseLost) {
			t.Fatalf("commit after the lease expired: %v", err)
		}
	})
}

func TestCommitUndoneByItsCaller(t *testing.T) {
	w := newWorld(t, catalogtest.SQLite(t))
	wr, err := w.Create(context.Background(), CreateOptions{Project: "p", Kind: KindExact})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wr.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	no, ref := errors.New("no"), int64(0)
	_, err = wr.Commit(Digests{}, func(_ *catalog.Tx, o ObjectInfo) error { ref = o.Ref; return no })
	if !errors.Is(err, no) {
		t.Fatal(err)
	}
	if _, err := w.OpenObject(context.Background(), ref); !errors.Is(err, ErrNotFound) {
		t.Fatalf("object of an undone commit: %v", err)
	}
}

// TestSuspectPackIsNotReused: a re-upload heals damage.
func TestSuspectPackIsNotReused(t *testing.T) {
	w := newWorld(t, catalogtest.SQLite(t))
	p := randomBytes(3<<20, 1)
	first := w.put("p", p)
	err := w.db.Update(context.Background(), func(tx *catalog.Tx) error {
		_, err := tx.Exec(context.Background(), `UPDATE pack SET suspect = $1`, true)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if again := w.put("p", p); again.Fresh < first.Fresh*99/100 {
		t.Errorf("stored %d bytes over a suspect pack of %d", again.Fresh, first.Fresh)
	}
}

func TestManyWritersAtOnce(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		w := newWorld(t, db)
		common := randomBytes(6<<20, 1)
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				p := append(append([]byte{}, common...), randomBytes(i*400_000, uint64(i))...)
				o, err := w.tryPut("p", p)
				if err == nil {
					err = w.readsBack(o.Ref, p)
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}
