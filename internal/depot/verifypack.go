package depot

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"kuva/chunk"
	"kuva/internal/blob"
)

// storeReader reads a blob as io.ReaderAt.
type storeReader struct {
	ctx context.Context
	s   blob.Store
	key string
}

func (r storeReader) ReadAt(p []byte, off int64) (int, error) {
	return r.s.ReadAt(r.ctx, r.key, p, off)
}

// verifyPack reads one pack from end to end. Its parts must cover it without
// a gap, so that there is no byte that nothing checks.
func (v *verifier) verifyPack(ctx context.Context, p packRow) error {
	d := v.d
	entries, err := d.readPackIndex(ctx, p.ref)
	if err != nil {
		if !isDamage(err) {
			return err
		}
		there, askErr := d.stillThere(ctx, p.ref.ID)
		if askErr != nil {
			return askErr
		}
		if there {
			v.damaged(ctx, p, -1, err)
		}
		return nil
	}
	slices.SortFunc(entries, func(a, b packEntry) int { return cmp.Compare(a.Offset, b.Offset) })
	size := int64(packHeaderLen)
	for _, e := range entries {
		if int64(e.Offset) != size {
			v.damaged(ctx, p, -1, fmt.Errorf("%w: gap at %d", ErrDamaged, size))
			return nil
		}
		size += int64(e.Sealed)
	}
	if end := size + int64(len(entries))*packEntryLen + trailerLen; end != p.bytes || p.chunks > 0 && p.chunks != int64(len(entries)) {
		v.report(Finding{Key: p.ref.Key(), Err: fmt.Errorf("the database says %d bytes and %d chunks, the pack %d and %d", p.bytes, p.chunks, end, len(entries))})
	}
	whole, err := v.verifyChunks(ctx, p, entries, size)
	if err != nil {
		return err
	}
	v.mu.Lock()
	v.rep.Packs++
	v.rep.Chunks += int64(len(entries))
	v.mu.Unlock()
	if whole && p.suspect {
		return v.healed(ctx, p)
	}
	return nil
}

func (v *verifier) verifyChunks(ctx context.Context, p packRow, entries []packEntry, end int64) (bool, error) {
	keys, err := v.d.keysOf(ctx, p.ref.Realm, p.ref.KeyID)
	if err != nil {
		return false, err
	}
	key, whole := p.ref.Key(), true
	r := bufio.NewReaderSize(io.NewSectionReader(storeReader{ctx, v.d.store, key}, packHeaderLen, end-packHeaderLen), 1<<20)
	var sealed, plain []byte
	for _, e := range entries {
		sealed = slices.Grow(sealed[:0], int(e.Sealed))[:e.Sealed]
		if _, err := io.ReadFull(r, sealed); err != nil {
			if isNotFound(err) {
				there, askErr := v.d.stillThere(ctx, p.ref.ID)
				if askErr != nil || !there {
					return false, askErr // collected meanwhile
				}
			} else if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				if ctx.Err() != nil {
					return false, ctx.Err()
				}
				v.report(Finding{Key: key, Err: err})
				return false, nil
			}
			v.damaged(ctx, p, -1, fmt.Errorf("%w at %d: %w", ErrDamaged, e.Offset, err))
			return false, nil
		}
		if plain, err = openEntry(keys, e, sealed, plain); err != nil {
			whole = false
			v.damaged(ctx, p, int64(e.Offset), fmt.Errorf("at %d: %w", e.Offset, err))
		}
		if err := v.pace(ctx, int64(e.Sealed)); err != nil {
			return false, err
		}
	}
	return whole, nil
}

// openEntry opens a chunk and compares its content with its name, which opening
// alone does not: whoever has the key can seal anything under any name.
func openEntry(keys *realmKeys, e packEntry, sealed, buf []byte) ([]byte, error) {
	plain, err := keys.open(buf[:0], e.Name, sealed, int(e.Plain))
	if err != nil {
		return buf, err
	}
	if keys.name(chunk.Sum(plain)) != e.Name {
		return plain, fmt.Errorf("%w: content does not match its name", ErrDamaged)
	}
	if e.Segment {
		if _, err := decodeSegment(plain); err != nil {
			return plain, err
		}
	}
	return plain, nil
}
