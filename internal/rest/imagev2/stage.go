package imagev2

import (
	"context"
	"net/http"

	"kuva"
	"kuva/internal/images"
	"kuva/internal/rest"
)

// stage takes content for a later import.
func (h *handler) stage(w http.ResponseWriter, r *http.Request) error {
	return h.send(w, r, func(ctx context.Context, p kuva.Principal, src images.Source) error {
		return h.images.Stage(ctx, p, r.PathValue("id"), src)
	})
}

// send hands the body to a use case that takes content. Nothing is read before
// it wants the first byte, so that a caller who sent Expect: 100-continue
// learns of a refusal before it sends anything. Any refusal closes the
// connection: the rest of the body is not worth waiting for.
func (h *handler) send(w http.ResponseWriter, r *http.Request, to func(ctx context.Context, p kuva.Principal, src images.Source) error) error {
	src, err := source(r)
	if err == nil {
		body := rest.NewStalling(rest.GuardedBody(r), http.NewResponseController(w), h.stall)
		src.Content, src.Interrupt = body, body.Interrupt
		ctx, p := h.who(r)
		err = to(ctx, p, src)
		body.Release()
	}
	if err != nil {
		rest.HangUp(w, r)
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
