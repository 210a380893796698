package images

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"sync"
	"sync/atomic"
)

// newHash returns the hash of a digest's name, nil where kuva has none. MD5
// and SHA-1 are here because clients announce and compare them; nothing is
// secured by them.
func newHash(algo string) hash.Hash {
	switch algo {
	case "md5":
		return md5.New()
	case "sha1":
		return sha1.New()
	case "sha256":
		return sha256.New()
	case "sha512":
		return sha512.New()
	}
	return nil
}

// Content is taken in pieces of pieceSize; each upload has pieces of them, so
// that reading, hashing and storing go on beside each other. An upload holds
// one MiB here, beside what the depot's writer holds.
const (
	pieceSize = 256 << 10
	pieces    = 4
)

var piecePool = sync.Pool{New: func() any { return new([pieceSize]byte) }}

// piece is a buffer that is free again when all who look at it are done.
type piece struct {
	buf  *[pieceSize]byte
	n    int
	refs atomic.Int32
	home chan *piece
}

func (b *piece) done() {
	if b.refs.Add(-1) == 0 {
		b.home <- b // never blocks: there is a place for every piece
	}
}

// digester computes several digests of one stream, each in a goroutine of its
// own.
type digester struct {
	algos []string
	sums  []hash.Hash
	feeds []chan *piece
	free  chan *piece
	wg    sync.WaitGroup
	ended bool
}

// newDigester begins the digests of the algorithms, which are known and
// distinct.
func newDigester(algos []string) *digester {
	d := &digester{algos: algos, free: make(chan *piece, pieces)}
	for range pieces {
		d.free <- &piece{buf: piecePool.Get().(*[pieceSize]byte), home: d.free}
	}
	for _, a := range algos {
		h, feed := newHash(a), make(chan *piece, pieces)
		d.sums, d.feeds = append(d.sums, h), append(d.feeds, feed)
		d.wg.Go(func() {
			for b := range feed {
				h.Write(b.buf[:b.n])
				b.done()
			}
		})
	}
	return d
}

// piece waits for a free buffer. Whoever takes it gives it to add or calls its
// done.
func (d *digester) piece() *piece {
	b := <-d.free
	b.n = 0
	b.refs.Store(1)
	return b
}

// add lets all digests take the piece. The caller still holds it, to read,
// until it calls done.
func (d *digester) add(b *piece) {
	b.refs.Add(int32(len(d.feeds)))
	for _, f := range d.feeds {
		f <- b
	}
}

// end waits for the digests and gives the buffers back. It may be called
// twice. Every piece must be done.
func (d *digester) end() {
	if d.ended {
		return
	}
	d.ended = true
	for _, f := range d.feeds {
		close(f)
	}
	d.wg.Wait()
	for range pieces {
		piecePool.Put((<-d.free).buf)
	}
}

// sum is the digest by an algorithm's name, after end.
func (d *digester) sum(algo string) []byte {
	for i, a := range d.algos {
		if a == algo {
			return d.sums[i].Sum(nil)
		}
	}
	return nil
}
