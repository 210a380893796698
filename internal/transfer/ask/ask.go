// Package ask takes disks from clients that ask first: a client names the chunks
// of a stretch of its disk by their plain hashes, hears which of them the
// project's realm and the platform's lack, and sends those.
//
//	ask.go    what a part is made of, and what of it is to be sent
//	put.go    the chunks that were lacking; each is verified
//	finish.go which parts are durable, and the end
//	rate.go   how many chunks a project may ask for
//
// A hash finds what the two realms hold and nothing else: their names are keyed,
// so other projects' chunks are as unknown as chunks that nobody has, in the
// answer and in what it takes to find it. What the project's own realm holds its
// members can read anyway, and the platform's images are everybody's.
//
// What was asked is kept in the catalogue until the part is durable, so any
// process takes the chunks. Between ask and chunks nothing is leased: a chunk
// that went meanwhile is asked for again.
package ask

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"kuva"
	"kuva/api"
	"kuva/chunk"
	"kuva/internal/catalog"
	"kuva/internal/depot"
	"kuva/internal/images"
	"kuva/internal/transfer/upload"
)

// Config is what the use cases stand on. All but Now, Log, Rate and Burst are
// needed.
type Config struct {
	DB      *catalog.DB
	Depot   *depot.Depot
	Images  *images.Service
	Uploads *upload.Service
	Log     *slog.Logger
	Now     func() time.Time
	// Rate is how many chunks a second a project may ask for on each node, in
	// the mean, and Burst how many at once. 0 is DefaultRate and DefaultBurst.
	Rate, Burst int64
}

// What holds where the operator says nothing else: three times what a 10 Gbit/s
// line brings, and one disk of 32 GiB at once.
const (
	DefaultRate  = 20_000
	DefaultBurst = 200_000
)

// asksKept is how many asked parts an upload may have that are not durable. The
// oldest is forgotten, and asked again.
const asksKept = 64

// MostParts is the number that a part's number is below.
const MostParts = 1 << 30

// Service is the use cases. Its methods may be called at the same time.
type Service struct {
	cfg  Config
	rate rate
}

// New makes the use cases.
func New(cfg Config) *Service {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rate == 0 {
		cfg.Rate = DefaultRate
	}
	if cfg.Burst == 0 {
		cfg.Burst = DefaultBurst
	}
	return &Service{cfg: cfg}
}

// Begin begins an upload of a disk of size bytes. See upload.Service.Begin for
// the metadata and the errors.
func (s *Service) Begin(ctx context.Context, p kuva.Principal, size int64, metadata map[string]string) (*catalog.Upload, error) {
	if size <= 0 {
		return nil, kuva.E(kuva.CodeInvalid, "upload.disk_size")
	}
	return s.cfg.Uploads.Begin(ctx, p, upload.Begin{Protocol: upload.ProtocolAsk, Size: size, Disk: true, Metadata: metadata})
}

// Asked is what there is to do about a part.
type Asked struct {
	Durable bool   // nothing
	Lacking []byte // a bit for each chunk, the lowest of a byte first: to be sent
}

// Ask keeps what part n of an upload is made of, in the form of api.EncodeAsk,
// and says which chunks of it are to be sent: those that are lacking, each once.
// A part of which nothing lacks is durable at once. Asking again for a part that
// is durable is fine; CodeConflict where that was made of something else.
func (s *Service) Ask(ctx context.Context, p kuva.Principal, id string, n int64, body []byte) (Asked, error) {
	u, realm, err := s.cfg.Uploads.OpenDisk(ctx, p, id)
	if err != nil {
		return Asked{}, err
	}
	part, err := api.DecodeAsk(body)
	if err != nil {
		return Asked{}, kuva.E(kuva.CodeInvalid, "upload.ask_malformed").Because(err)
	}
	switch {
	case n < 0 || n >= MostParts:
		return Asked{}, kuva.E(kuva.CodeInvalid, "upload.part_number", "limit", int64(MostParts))
	case part.Off+part.Size > u.Size:
		return Asked{}, kuva.E(kuva.CodeInvalid, "upload.part_outside", "size", u.Size)
	}
	var was *catalog.UploadAsk
	err = s.cfg.DB.View(ctx, func(tx *catalog.Tx) (err error) {
		if was, err = catalog.GetAsk(ctx, tx, id, n); errors.Is(err, catalog.ErrNoAsk) {
			was, err = nil, nil
		}
		return err
	})
	if err != nil {
		return Asked{}, err
	}
	if was != nil && was.Durable {
		return s.again(was, part)
	}
	if err := s.rate.take(p.ProjectID, int64(part.Chunks), s.cfg.Rate, s.cfg.Burst, time.Now()); err != nil {
		return Asked{}, err
	}
	for round := 0; ; round++ {
		send, lacks, err := s.lacking(ctx, realm, part, round < 3)
		if err != nil {
			return Asked{}, err
		}
		a := &catalog.UploadAsk{N: n, Off: part.Off, Size: part.Size, Digest: part.Digest.String()}
		if lacks {
			a.Ask, a.Lacking = body, send.bits()
			err := s.cfg.DB.Update(ctx, func(tx *catalog.Tx) error {
				if now, err := catalog.GetAsk(ctx, tx, id, n); err == nil && now.Durable {
					return nil // the same part came by another call
				}
				return catalog.PutAsk(ctx, tx, id, a, s.cfg.Now(), asksKept)
			})
			return Asked{Lacking: a.Lacking}, err
		}
		err = s.keep(ctx, p, u, realm, a, part, func(ctx context.Context, w *depot.Writer) error { return pour(w, part, send, nil) })
		if errors.Is(err, errVanished) {
			continue // something went that was there
		}
		return Asked{Durable: err == nil}, err
	}
}

// again answers for a part that is durable.
func (s *Service) again(was *catalog.UploadAsk, part *api.AskedPart) (Asked, error) {
	if was.Digest != part.Digest.String() {
		return Asked{}, kuva.E(kuva.CodeConflict, "upload.part_overlaps", "offset", was.Off, "size", was.Size)
	}
	return Asked{Durable: true}, nil
}

// lacking says which chunks are to be sent, and whether there are any. Without
// looking it is all.
func (s *Service) lacking(ctx context.Context, realm string, part *api.AskedPart, look bool) (send chosen, any bool, err error) {
	names := make([]depot.Named, 0, part.Chunks)
	for _, e := range part.Entries {
		if !e.Hole {
			names = append(names, depot.Named{Hash: e.Hash, Len: int(e.Len)})
		}
	}
	lacks := slices.Repeat([]bool{true}, len(names))
	if look {
		if lacks, err = s.cfg.Depot.Lacks(ctx, realm, 0, names); err != nil {
			return nil, false, err
		}
	}
	seen := make(map[depot.Named]bool, len(names))
	for i, n := range names {
		if seen[n] { // it is there when its turn comes
			lacks[i] = false
		}
		seen[n] = true
		any = any || lacks[i]
	}
	return lacks, any, nil
}

// chosen says of each chunk of a part whether it is sent.
type chosen []bool

func (c chosen) bits() []byte {
	b := make([]byte, (len(c)+7)/8)
	for i, on := range c {
		if on {
			b[i/8] |= 1 << (i % 8)
		}
	}
	return b
}

// chosenOf is the inverse of bits, for n chunks.
func chosenOf(bits []byte, n int) chosen {
	c := make(chosen, n)
	for i := range c {
		c[i] = i/8 < len(bits) && bits[i/8]&(1<<(i%8)) != 0
	}
	return c
}

// keep makes a part durable: its object, its row, and what it was made of.
func (s *Service) keep(ctx context.Context, p kuva.Principal, u *catalog.Upload, realm string, a *catalog.UploadAsk, part *api.AskedPart, into func(ctx context.Context, w *depot.Writer) error) error {
	ctx, done := s.cfg.Uploads.Attach(ctx, u, nil)
	defer done()
	a.Ask, a.Lacking, a.Durable = nil, nil, true
	_, err := s.cfg.Images.KeepPart(ctx, images.Part{
		Project: realm, Holder: catalog.UploadHolder(u.ID), Pour: into, Size: part.Size, Most: -1, Off: part.Off,
		Still: func() error { return s.cfg.Uploads.Still(ctx, u.ID, 0) },
		Commit: func(tx *catalog.Tx, object, size int64) error {
			if size != part.Size {
				return kuva.E(kuva.CodeInternal, "upload.ask_malformed").Because(errors.New("part of " + strconv.FormatInt(size, 10) + " bytes"))
			}
			if now, err := catalog.GetAsk(ctx, tx, u.ID, a.N); err == nil && now.Durable && now.Digest != a.Digest {
				return kuva.E(kuva.CodeConflict, "upload.part_overlaps", "offset", now.Off, "size", now.Size)
			}
			added, err := s.cfg.Uploads.AddPart(ctx, tx, p, u.ID, catalog.UploadPart{Off: a.Off, Size: a.Size, Object: object}, part.Data)
			if err != nil {
				return err
			}
			if !added {
				return errThere
			}
			return catalog.PutAsk(ctx, tx, u.ID, a, s.cfg.Now(), asksKept)
		},
	})
	if errors.Is(err, errThere) {
		return s.there(ctx, u.ID, a)
	}
	if cause := context.Cause(ctx); err != nil && cause != nil && kuva.CodeOf(cause) != kuva.CodeInternal {
		return cause
	}
	return err
}

// errThere undoes a part that another call has made durable.
var errThere = errors.New("the part is there")

// there looks at who was faster: the same part is as good.
func (s *Service) there(ctx context.Context, id string, a *catalog.UploadAsk) error {
	return s.cfg.DB.View(ctx, func(tx *catalog.Tx) error {
		now, err := catalog.DurableAsks(ctx, tx, id, a.Off, 1)
		if err != nil {
			return err
		}
		if len(now) != 1 || now[0].Off != a.Off || now[0].Digest != a.Digest {
			return kuva.E(kuva.CodeConflict, "upload.part_overlaps", "offset", a.Off, "size", a.Size)
		}
		return nil
	})
}

// heldOf lists the chunks of a part that are neither sent nor come behind one
// that is.
func heldOf(part *api.AskedPart, send chosen) (names []depot.Named) {
	sent := map[depot.Named]bool{}
	i := 0
	for _, e := range part.Entries {
		if e.Hole {
			continue
		}
		n := depot.Named{Hash: e.Hash, Len: int(e.Len)}
		if send[i] {
			sent[n] = true
		} else if !sent[n] {
			names = append(names, n)
		}
		i++
	}
	return names
}

// errVanished means that a chunk that was there is there no more.
var errVanished = errors.New("a chunk went meanwhile")

// frames gives the chunks that were sent.
type frames interface {
	Next(dst []byte, n int) ([]byte, error)
	End() error
}

// pour writes a part: chunks that were chosen from the frames, each verified, the
// others by their names.
func pour(w *depot.Writer, part *api.AskedPart, send chosen, from frames) error {
	buf := make([]byte, 0, chunk.Size)
	if held := heldOf(part, send); len(held) > 0 { // all at once: alone they may not be found
		missing, err := w.Look(held)
		if err == nil && len(missing) > 0 {
			err = errVanished
		}
		if err != nil {
			return err
		}
	}
	var names []depot.Named
	named := func() error {
		if len(names) == 0 {
			return nil
		}
		missing, err := w.Named(names)
		names = names[:0]
		if err == nil && len(missing) > 0 {
			err = errVanished
		}
		return err
	}
	i := 0
	for _, e := range part.Entries {
		if !e.Hole && !send[i] {
			names = append(names, depot.Named{Hash: e.Hash, Len: int(e.Len)})
			i++
			continue
		}
		if err := named(); err != nil {
			return err
		}
		if e.Hole {
			if err := errors.Join(w.Cut(), w.Skip(e.Len), w.Cut()); err != nil {
				return err
			}
			continue
		}
		i++
		data, err := from.Next(buf[:0], int(e.Len))
		if err != nil {
			return err
		}
		if chunk.Sum(data) != e.Hash {
			return kuva.E(kuva.CodeDigest, "upload.chunk_digest", "digest", e.Hash.String())
		}
		if err := w.WriteChunk(data, e.Hash); err != nil {
			return err
		}
	}
	if err := named(); err != nil {
		return err
	}
	if from != nil {
		return from.End()
	}
	return nil
}
