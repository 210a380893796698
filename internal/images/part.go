package images

import (
	"context"
	"io"

	"kuva/chunk"
	"kuva/internal/catalog"
	"kuva/internal/depot"
)

// Part is a stretch of an upload on its way into the depot. It becomes an
// object that no image has, kept by a pin.
type Part struct {
	Project string // whose realm takes it
	Holder  string // who pins the object from the commit on
	// Content is read to its end.
	Content io.Reader
	// Pour writes the part instead, where it is no stream.
	Pour func(ctx context.Context, w *depot.Writer) error
	// Size is how many bytes Content has, below 0 unknown; fewer and more are
	// CodeInvalid.
	Size int64
	// Most is how many bytes it may have, below 0 any number; more are
	// CodeTooLarge.
	Most   int64
	Parent int64 // an object that it probably resembles, 0 if none
	// Blocks tells that Content is a piece of a disk's file, which is cut so
	// that the same disk in other formats shares its chunks; Off is where it
	// begins in that file.
	Blocks bool
	Off    int64
	// Still, if not nil, is asked every few seconds; its error ends the part.
	Still func() error
	// Commit notes the object in the transaction that makes it exist and pins
	// it. It may be called more than once; its error drops the part.
	Commit func(tx *catalog.Tx, object, size int64) error
}

// KeepPart takes a part into the depot and returns how many bytes it read of
// Content. It is durable when nil returns; after an error nothing is kept.
// Space is the caller's to reserve. Several parts of one upload may be kept at
// the same time.
func (s *Service) KeepPart(ctx context.Context, p Part) (received int64, err error) {
	in := intake{
		project: p.Project, parent: p.Parent, content: p.Content, pour: p.Pour, size: p.Size, most: p.Most, blocks: p.Blocks, at: p.Off, still: p.Still,
		commit: func(tx *catalog.Tx, c committed) error {
			if err := s.depot.Pin(ctx, tx, c.Ref, p.Holder); err != nil {
				return err
			}
			return p.Commit(tx, c.Ref, c.Size)
		},
	}
	received, err = s.store(ctx, in)
	return received, coded(ctx, err)
}

// latticeAt is the lattice of a file from an offset on.
func latticeAt(off int64, head []byte, to chunk.Sink) *chunk.Lattice {
	if off == 0 {
		return latticeFor(head, to)
	}
	return &chunk.Lattice{To: to, Start: (chunk.Block - off%chunk.Block) % chunk.Block}
}
