package export

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/transfer/bucket"
)

// toBucket writes the file as an object and its manifest beside it.
func (r *running) toBucket(ctx context.Context) error {
	b, err := r.bucket()
	if err != nil {
		return err
	}
	defer b.Close()
	key, opt := r.sp.Bucket.Object, r.sp.write(r.view.Media)
	for again := false; ; again = true {
		err := r.assemble(ctx, b, key, opt)
		if errors.Is(err, bucket.ErrNoUpload) && !again {
			// The bucket forgot what there was: all of it goes once more.
			if err := r.note(ctx, func(tx *catalog.Tx) error { return catalog.SetExportUpload(ctx, tx, r.row.ID, "", 0) }); err != nil {
				return err
			}
			r.row.Upload = ""
			continue
		}
		if err != nil {
			return err
		}
		break
	}
	text, err := json.MarshalIndent(r.manifest, "", "  ")
	if err != nil {
		return err
	}
	opt.ContentType = "application/json"
	return patiently(ctx, func() error { return b.Put(ctx, key+bucket.ManifestSuffix, append(text, '\n'), opt) })
}

func (r *running) bucket() (*bucket.Bucket, error) {
	if r.s.cfg.Buckets == nil || r.sp.Bucket == nil {
		return nil, kuva.E(kuva.CodeForbidden, "bucket.off")
	}
	return r.s.cfg.Buckets.Bucket(r.row.Project, *r.sp.Bucket, r.sec.Keys, true)
}

// assemble sends what the bucket does not have and puts the object together.
func (r *running) assemble(ctx context.Context, b *bucket.Bucket, key string, opt bucket.WriteOptions) error {
	parts, err := r.noted(ctx)
	if err != nil {
		return err
	}
	if r.row.Upload != "" && !whole(parts, r.row.Size) {
		if parts, err = r.verify(ctx, b, key, parts); err != nil {
			return err
		}
		if r.view.Size < 0 { // its bytes are not known to come out the same
			if err := b.Abort(ctx, key, r.row.Upload); err != nil {
				return err
			}
			r.row.Upload, parts = "", nil
		}
	}
	c := cut(r.view.Size, partSize, maxParts)
	if r.row.Upload == "" {
		parts = nil
		if err := b.MayWrite(ctx, key, opt); err != nil {
			return err
		}
		if r.row.Upload, err = b.Begin(ctx, key, opt); err != nil {
			return err
		}
		err := r.note(ctx, func(tx *catalog.Tx) error { return catalog.SetExportUpload(ctx, tx, r.row.ID, r.row.Upload, c.size) })
		if err != nil {
			return errors.Join(err, b.Abort(context.WithoutCancel(ctx), key, r.row.Upload))
		}
	} else if r.row.PartSize > 0 && r.view.Size >= 0 { // as an earlier release may have cut it
		c.size = r.row.PartSize
	}
	if !whole(parts, r.row.Size) {
		send := func(ctx context.Context, p *piece) (tag string, err error) {
			err = patiently(ctx, func() error {
				tag, err = b.Part(ctx, key, r.row.Upload, p.n, p.open(ctx), p.size, p.sum)
				return err
			})
			return tag, err
		}
		if parts, err = r.send(ctx, c, parts, send); err != nil {
			return err
		}
	}
	tags := make([]bucket.PartTag, len(parts))
	for i, p := range parts {
		tags[i] = bucket.PartTag{N: p.N, Tag: p.Tag}
		if _, err := hex.Decode(tags[i].Sum[:], []byte(p.Sum)); err != nil {
			return err
		}
	}
	r.run.Say("put the object together", "bytes")
	tag, err := b.Finish(ctx, key, r.row.Upload, tags, r.row.Size, opt)
	if err != nil {
		return err
	}
	return r.describe(parts, tag)
}

// noted reads the parts that were acknowledged.
func (r *running) noted(ctx context.Context) (parts []catalog.ExportPart, err error) {
	err = r.s.cfg.DB.View(ctx, func(tx *catalog.Tx) error {
		parts, err = catalog.ExportParts(ctx, tx, r.row.ID)
		return err
	})
	return parts, err
}

// verify keeps the parts that the bucket has as they were noted.
func (r *running) verify(ctx context.Context, b *bucket.Bucket, key string, parts []catalog.ExportPart) ([]catalog.ExportPart, error) {
	tags, sizes, err := b.Parts(ctx, key, r.row.Upload)
	if err != nil {
		return nil, err
	}
	var out []catalog.ExportPart
	for _, p := range parts {
		if tags[p.N] == p.Tag && sizes[p.N] == p.Size {
			out = append(out, p)
		}
	}
	return out, nil
}

// whole reports whether parts are all of a file of so many bytes.
func whole(parts []catalog.ExportPart, size int64) bool {
	var n int64
	for i, p := range parts {
		if p.N != i+1 {
			return false
		}
		n += p.Size
	}
	return size >= 0 && len(parts) > 0 && n == size
}

// send sends the parts that are not among those there already, noting each, and
// returns all.
func (r *running) send(ctx context.Context, c cutting, there []catalog.ExportPart, put func(ctx context.Context, p *piece) (tag string, err error)) ([]catalog.ExportPart, error) {
	known := map[int]catalog.ExportPart{}
	var done atomic.Int64
	for _, p := range there {
		known[p.N] = p
	}
	from, sum, err := prefix(known)
	if err != nil {
		return nil, err
	}
	for n := 1; n < from; n++ {
		done.Add(known[n].Size)
	}
	total := max(r.row.Size, 0)
	r.run.Say("export", "bytes")
	r.run.Progress(done.Load(), total)
	one := func(ctx context.Context, p *piece) error {
		want := hex.EncodeToString(p.sum[:])
		if was, ok := known[p.n]; !ok || was.Sum != want || was.Size != p.size {
			tag, err := put(ctx, p)
			if err != nil {
				return err
			}
			part := catalog.ExportPart{N: p.n, Size: p.size, Tag: tag, Sum: want, State: base64.StdEncoding.EncodeToString(p.state)}
			err = r.note(ctx, func(tx *catalog.Tx) error {
				return errors.Join(catalog.AddExportPart(ctx, tx, r.row.ID, part), catalog.AddExportSent(ctx, tx, r.row.ID, p.size))
			})
			if err != nil {
				return err
			}
		}
		r.run.Progress(done.Add(p.size), total)
		return nil
	}
	if err := r.pour(ctx, c, from, sum, one); err != nil {
		return nil, err
	}
	parts, err := r.noted(ctx)
	if err != nil {
		return nil, err
	}
	if r.row.Size < 0 {
		for _, p := range parts {
			r.row.Size += p.Size
		}
		r.row.Size++ // it was -1
		if err := r.note(ctx, func(tx *catalog.Tx) error { return catalog.SetExportSize(ctx, tx, r.row.ID, r.row.Size) }); err != nil {
			return nil, err
		}
	}
	if !whole(parts, r.row.Size) {
		return nil, errors.New("the parts are not the whole file")
	}
	return parts, nil
}

// pour gives the file in parts.
func (r *running) pour(ctx context.Context, c cutting, from int, sum hash.Hash, one sender) error {
	switch {
	case r.view.Size < 0:
		return streamed(ctx, r.view, func(in io.Reader) error {
			return held(ctx, in, c.sizes, c.lanes, 1, sum, one)
		})
	case from > 1 && int64(from-1)*c.size >= r.view.Size:
		return nil
	}
	return pieces(ctx, r.view, c, from, sum, one)
}

// prefix is the number of the first part that is not known, and the digest of
// all before it.
func prefix(known map[int]catalog.ExportPart) (from int, sum hash.Hash, err error) {
	var state []byte
	for from = 1; ; from++ {
		p, ok := known[from]
		if !ok {
			break
		}
		if state, err = base64.StdEncoding.DecodeString(p.State); err != nil {
			return 0, nil, err
		}
	}
	sum, err = newSum(state)
	return from, sum, err
}

// patiently repeats what may pass: five times, up to half a minute.
func patiently(ctx context.Context, do func() error) error {
	for try := 0; ; try++ {
		err := do()
		if kuva.CodeOf(err) != kuva.CodeUnavailable || errors.Is(err, bucket.ErrNoUpload) || try == 5 {
			return err
		}
		pause := time.Duration(300<<try) * time.Millisecond
		wait := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return context.Cause(ctx)
		}
	}
}
