package depot

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"kuva/internal/blob"
)

// packWriter streams one pack into the store. It is used by one goroutine.
type packWriter struct {
	ref     PackRef
	keys    *realmKeys
	w       blob.Writer
	size    int64
	entries []packEntry
}

// newPackWriter begins the pack ref, whose row is announced already.
func newPackWriter(ctx context.Context, d *Depot, ref PackRef, keys *realmKeys) (*packWriter, error) {
	w, err := d.store.Create(ctx, ref.Key())
	if err != nil {
		return nil, err
	}
	p := &packWriter{ref: ref, keys: keys, w: w}
	if err := p.write(appendPackHeader(nil, ref)); err != nil {
		w.Abort()
		return nil, err
	}
	return p, nil
}

func (p *packWriter) write(b []byte) error {
	n, err := p.w.Write(b)
	p.size += int64(n)
	return err
}

// add appends a sealed chunk. The pack must have room: callers close it at
// Config.PackSize.
func (p *packWriter) add(name Name, sealed []byte, plainLen uint32, segment bool) (Loc, error) {
	if p.size+int64(len(sealed)) > maxPackLen {
		return Loc{}, fmt.Errorf("pack %016x would pass %d bytes", p.ref.ID, maxPackLen)
	}
	loc := Loc{Pack: p.ref, Offset: uint32(p.size), Sealed: uint32(len(sealed)), Plain: plainLen}
	if err := p.write(sealed); err != nil {
		return Loc{}, err
	}
	p.entries = append(p.entries, packEntry{Name: name, Offset: loc.Offset, Sealed: loc.Sealed, Plain: plainLen, Segment: segment})
	return loc, nil
}

// finish writes index and trailer and makes the pack durable.
func (p *packWriter) finish(ctx context.Context, s blob.Store) (size int64, chunks int, err error) {
	index := appendPackIndex(make([]byte, 0, len(p.entries)*packEntryLen+trailerLen), p.entries)
	trailer := appendTrailer(nil, p.size, len(p.entries), p.size+int64(len(index))+trailerLen)
	mac := p.keys.macPack(p.ref.Key(), index, trailer)
	tail := append(append(index, trailer...), mac[:]...)
	if err := p.write(tail); err != nil {
		return 0, 0, err
	}
	err = p.w.Commit()
	if err != nil && errors.Is(err, blob.ErrExists) && sameTail(ctx, s, p.ref.Key(), p.size, mac) {
		err = nil // an earlier try of ours had landed
	}
	return p.size, len(p.entries), err
}

func (p *packWriter) abort() { p.w.Abort() }

// sameTail says whether the pack that is in the store is the one just
// written: length and MAC agree.
func sameTail(ctx context.Context, s blob.Store, key string, size int64, mac [32]byte) bool {
	info, err := s.Stat(ctx, key)
	if err != nil || info.Size != size {
		return false
	}
	var got [32]byte
	n, err := s.ReadAt(ctx, key, got[:], size-int64(len(got)))
	return n == len(got) && (err == nil || errors.Is(err, io.EOF)) && got == mac
}

func appendTrailer(b []byte, indexAt int64, count int, size int64) []byte {
	b = append(b, trailerMagic...)
	b = binary.LittleEndian.AppendUint64(b, uint64(indexAt))
	b = binary.LittleEndian.AppendUint64(b, uint64(count))
	return binary.LittleEndian.AppendUint64(b, uint64(size))
}

// readPackIndex reads and authenticates the index of a pack. A pack that is
// not there is blob.ErrNotFound; one that fails its check is ErrDamaged.
func (d *Depot) readPackIndex(ctx context.Context, ref PackRef) ([]packEntry, error) {
	keys, err := d.keysOf(ctx, ref.Realm, ref.KeyID)
	if err != nil {
		return nil, err
	}
	key := ref.Key()
	info, err := d.store.Stat(ctx, key)
	if err != nil {
		return nil, err
	}
	damaged := func(why string) error { return fmt.Errorf("%s: %w: %s", key, ErrDamaged, why) }
	if info.Size < packHeaderLen+trailerLen || info.Size > maxPackLen+maxPackLen/4 {
		return nil, damaged("its length is impossible")
	}
	head, trailer := make([]byte, packHeaderLen), make([]byte, trailerLen)
	if err := readFull(ctx, d.store, key, head, 0); err != nil {
		return nil, err
	}
	if err := checkPackHeader(head, ref); err != nil {
		return nil, damaged("header")
	}
	if err := readFull(ctx, d.store, key, trailer, info.Size-trailerLen); err != nil {
		return nil, err
	}
	indexAt, count := int64(binary.LittleEndian.Uint64(trailer[8:])), int64(binary.LittleEndian.Uint64(trailer[16:]))
	if string(trailer[:8]) != trailerMagic || int64(binary.LittleEndian.Uint64(trailer[24:])) != info.Size ||
		indexAt < packHeaderLen || count < 0 || count > info.Size/packEntryLen || indexAt+count*packEntryLen+trailerLen != info.Size {
		return nil, damaged("trailer")
	}
	index := make([]byte, count*packEntryLen)
	if err := readFull(ctx, d.store, key, index, indexAt); err != nil {
		return nil, err
	}
	if mac := keys.macPack(key, index, trailer[:trailerLen-32]); string(mac[:]) != string(trailer[trailerLen-32:]) {
		return nil, damaged("index")
	}
	entries, err := decodePackIndex(index, indexAt)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return entries, nil
}

// readFull fills p from the blob's offset off. A blob that ends before is
// damaged: the depot only reads where it knows that bytes must be.
func readFull(ctx context.Context, s blob.Store, key string, p []byte, off int64) error {
	n, err := s.ReadAt(ctx, key, p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: %w: it ends at %d", key, ErrDamaged, off+int64(n))
	}
	return err
}
