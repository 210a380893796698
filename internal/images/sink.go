package images

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"kuva"
	"kuva/chunk"
	"kuva/internal/catalog"
	"kuva/internal/depot"
)

// intake is content on its way into the depot, with what surrounds it.
type intake struct {
	project string    // whose realm it goes to, "" is the platform
	parent  int64     // an object that it probably resembles, 0 if none
	content io.Reader // read to its end
	// pour writes the object itself, instead of content: then there are no
	// digests and no limits but its own.
	pour    func(ctx context.Context, w *depot.Writer) error
	kind    depot.Kind // of the object, "" is exact
	layout  uint32     // version of the native view of a disk
	size    int64      // announced length, below 0 unknown
	most    int64      // bytes that it may have, below 0 any number
	algo    string     // of the second digest, "" makes none at all
	digests []Digest   // announced, enforced

	// begin is called before the first byte is read, with the lease that the
	// image is to name. Nil does nothing, as with the next two.
	begin func(lease int64) error
	// room is called before bytes beyond those reserved are kept, with the
	// number to reserve for; it returns for how many there is room now.
	room func(need int64) (reserved int64, err error)
	// still is called every few seconds and ends the intake by its error.
	still func() error
	// blocks tells that the content is the file of a disk from an offset on,
	// which is cut so that the same disk in other formats shares its chunks.
	blocks bool
	at     int64
	// check looks at the whole content before it becomes an image's, and
	// tells what it saw. Its error drops the content. Nil checks nothing.
	check func(o *depot.Object) (seen, error)
	// commit makes the object an image's content, in the transaction that
	// makes it exist. It may be called more than once.
	commit func(tx *catalog.Tx, c committed) error
}

// committed is what commit is told of the new object.
type committed struct {
	depot.ObjectInfo
	digests bool // there are some: those that follow
	md5     [16]byte
	hash    []byte
	seen
}

// seen is what a look at content told.
type seen struct {
	virtual int64 // size of the disk, -1 while unknown
	size    int64 // of the file that the image shows of a disk, -1 where that is the object
}

// unseen is what is known of content that nobody looked at.
var unseen = seen{virtual: -1, size: -1}

// stillEvery is how often an upload that receives bytes looks whether its
// image is still there. Another node may have deleted it.
const stillEvery = 5 * time.Second

// store is the one sink: all content comes into the depot through here. It
// returns how many bytes it took from in.content. After an error nothing is
// kept; what was written is the collector's.
func (s *Service) store(ctx context.Context, in intake) (received int64, err error) {
	kind := in.kind
	if kind == "" {
		kind = depot.KindExact
	}
	w, err := s.depot.Create(ctx, depot.CreateOptions{Project: in.project, Kind: kind, Parent: in.parent, View: in.layout})
	if err != nil {
		return 0, err
	}
	defer w.Abort()
	if in.begin != nil {
		if err := in.begin(w.Lease()); err != nil {
			return 0, err
		}
	}
	c := committed{seen: unseen}
	if in.pour != nil {
		err = in.pour(ctx, w)
		received = w.Size()
	} else {
		received, err = s.takeDigesting(ctx, &in, w, &c)
	}
	if err != nil {
		return received, err
	}
	if in.check != nil {
		// It is in the depot, nothing points at it, and an error drops it.
		o, err := w.Written()
		if err != nil {
			return received, err
		}
		if c.seen, err = in.check(o); err != nil {
			return received, err
		}
	}
	var digests depot.Digests
	if c.digests {
		digests = depot.Digests{MD5: c.md5, HashAlgo: in.algo, Hash: c.hash}
	}
	_, err = w.Commit(digests, func(tx *catalog.Tx, o depot.ObjectInfo) error {
		c.ObjectInfo = o
		return in.commit(tx, c)
	})
	return received, err
}

// takeDigesting takes the content and compares its digests with those announced.
func (s *Service) takeDigesting(ctx context.Context, in *intake, w *depot.Writer, c *committed) (received int64, err error) {
	algos := digestAlgos(in.digests)
	if in.algo != "" {
		algos = append([]string{"md5", in.algo}, algos...)
	}
	slices.Sort(algos)
	d := newDigester(slices.Compact(algos))
	defer d.end()
	if received, err = s.take(ctx, in, w, d); err != nil {
		return received, err
	}
	d.end()
	for _, x := range in.digests {
		if !bytes.Equal(d.sum(x.Algo), x.Sum) {
			return received, kuva.E(kuva.CodeDigest, "image.digest_mismatch", "algo", x.Algo)
		}
	}
	if in.algo != "" {
		c.digests, c.md5, c.hash = true, [16]byte(d.sum("md5")), d.sum(in.algo)
	}
	return received, nil
}

func digestAlgos(digests []Digest) []string {
	var out []string
	for _, d := range digests {
		out = append(out, d.Algo)
	}
	return out
}

// take moves the content into the writer and the digests, within the limits.
func (s *Service) take(ctx context.Context, in *intake, w *depot.Writer, d *digester) (received int64, err error) {
	var reserved int64
	var out io.Writer = w
	var lattice *chunk.Lattice
	looked := time.Now()
	for {
		if ctx.Err() != nil {
			return received, context.Cause(ctx)
		}
		b := d.piece()
		// One byte more than there may be is asked for, to see whether it comes.
		want := int64(pieceSize)
		for _, end := range []int64{in.size, in.most} {
			if end >= 0 {
				want = min(want, end+1-received)
			}
		}
		var readErr error
		b.n, readErr = fill(in.content, b.buf[:want])
		received += int64(b.n)
		if in.blocks && lattice == nil {
			lattice = latticeAt(in.at, b.buf[:b.n], w)
			out = lattice
		}
		err := in.keep(b, out, d, received, &reserved)
		b.done()
		if err != nil {
			return received, err
		}
		if readErr != nil {
			if err := in.ended(ctx, received, readErr); err != nil || lattice == nil {
				return received, err
			}
			return received, lattice.Flush()
		}
		if in.still != nil && time.Since(looked) >= stillEvery {
			looked = time.Now()
			if err := in.still(); err != nil {
				return received, err
			}
		}
	}
}

// keep checks the limits with a piece that arrived, then stores it.
func (in *intake) keep(b *piece, w io.Writer, d *digester, received int64, reserved *int64) (err error) {
	if in.size >= 0 && received > in.size {
		return kuva.E(kuva.CodeInvalid, "image.longer", "size", in.size)
	}
	if in.most >= 0 && received > in.most {
		return kuva.E(kuva.CodeTooLarge, "image.too_large", "limit", in.most)
	}
	if in.room != nil && received > *reserved {
		if *reserved, err = in.room(received); err != nil {
			return err
		}
	}
	if b.n == 0 {
		return nil
	}
	d.add(b)
	_, err = w.Write(b.buf[:b.n])
	return err
}

// ended judges how the content ended: nil where it is whole.
func (in *intake) ended(ctx context.Context, received int64, err error) error {
	var coded *kuva.Error
	switch {
	case err == io.EOF && in.size >= 0 && received < in.size, errors.Is(err, io.ErrUnexpectedEOF) && ctx.Err() == nil:
		if in.size < 0 {
			return kuva.E(kuva.CodeInvalid, "image.truncated", "received", received).Because(err)
		}
		return kuva.E(kuva.CodeInvalid, "image.shorter", "size", in.size, "received", received).Because(err)
	case err == io.EOF:
		return nil
	case errors.As(err, &coded): // the door's own, for example of a revoked token
		return err
	case ctx.Err() != nil && errors.As(context.Cause(ctx), &coded): // deleted meanwhile
		return coded
	}
	return kuva.E(kuva.CodeCancelled, "image.sender_gone", "received", received).Because(err)
}

// fill reads until p is full or the content ends, whose error it returns.
func fill(r io.Reader, p []byte) (n int, err error) {
	for empty := 0; n < len(p) && err == nil; {
		var k int
		k, err = r.Read(p[n:])
		if k < 0 || k > len(p)-n {
			return n, errors.New("content's Read returned an impossible count")
		}
		n += k
		if k > 0 {
			empty = 0
		} else if empty++; empty > 100 && err == nil {
			err = io.ErrNoProgress
		}
	}
	return n, err
}
