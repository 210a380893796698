package ask

import (
	"bufio"
	"context"
	"errors"
	"io"

	"kuva"
	"kuva/api"
	"kuva/internal/catalog"
	"kuva/internal/depot"
)

// Put takes the chunks that part n lacks, as frames in their order, and makes
// the part durable. Chunks are verified as they come: CodeDigest for bytes that
// are not those that were named, CodeInvalid for what is no frame, of another
// length, too few or too many. CodeConflict where nothing was asked for the
// part, or where a chunk that was there is no more: ask again. Nothing of it is
// kept then. A part that is durable is left as it is, and nothing is read.
//
// What body holds is bounded by the ask, whatever is sent: no more of it is
// read.
func (s *Service) Put(ctx context.Context, p kuva.Principal, id string, n int64, body io.Reader) error {
	u, realm, err := s.cfg.Uploads.OpenDisk(ctx, p, id)
	if err != nil {
		return err
	}
	var a *catalog.UploadAsk
	err = s.cfg.DB.View(ctx, func(tx *catalog.Tx) (err error) {
		a, err = catalog.GetAsk(ctx, tx, id, n)
		return err
	})
	if errors.Is(err, catalog.ErrNoAsk) {
		return kuva.E(kuva.CodeConflict, "upload.ask_first")
	}
	if err != nil || a.Durable {
		return err
	}
	part, err := api.DecodeAsk(a.Ask)
	if err != nil {
		return err
	}
	send := chosenOf(a.Lacking, part.Chunks)
	if err := s.stillHeld(ctx, realm, part, send); err != nil {
		return err
	}
	in := api.NewFrameReader(bufio.NewReaderSize(body, 64<<10))
	err = s.keep(ctx, p, u, realm, a, part, func(_ context.Context, w *depot.Writer) error { return pour(w, part, send, in) })
	switch {
	case errors.Is(err, errVanished):
		return errVanishedNow()
	case errors.Is(err, api.ErrAsk):
		return kuva.E(kuva.CodeInvalid, "upload.frames_malformed").Because(err)
	case errors.Is(err, io.ErrUnexpectedEOF) && kuva.CodeOf(err) == kuva.CodeInternal:
		return kuva.E(kuva.CodeInvalid, "upload.frames_short").Because(err)
	}
	return err
}

func errVanishedNow() error { return kuva.E(kuva.CodeConflict, "upload.chunks_vanished") }

// stillHeld refuses a part before its first byte where chunks went that are not
// sent.
func (s *Service) stillHeld(ctx context.Context, realm string, part *api.AskedPart, send chosen) error {
	names := heldOf(part, send)
	if len(names) == 0 {
		return nil
	}
	lacks, err := s.cfg.Depot.Lacks(ctx, realm, 0, names)
	if err != nil {
		return err
	}
	for _, l := range lacks {
		if l {
			return errVanishedNow()
		}
	}
	return nil
}
