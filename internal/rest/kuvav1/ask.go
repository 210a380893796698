package kuvav1

import (
	"mime"
	"net/http"
	"strconv"

	"kuva"
	"kuva/api"
	"kuva/internal/rest"
)

// beginUpload makes an upload that asks first.
func (a *API) beginUpload(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	var body api.NewUpload
	if err := rest.ReadJSON(r, &body, rest.KnownFields); err != nil {
		return err
	}
	u, err := a.cfg.Asks.Begin(ctx, p, body.Size, body.Metadata)
	if err != nil {
		return err
	}
	w.Header().Set("Location", Prefix+"/uploads/"+u.ID)
	rest.WriteJSON(w, http.StatusCreated, wireUpload(u, rest.LanguageOf(r)))
	return nil
}

// partNumber reads the number of a part in a path.
func partNumber(r *http.Request) (int64, error) {
	text := r.PathValue("n")
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || strconv.FormatUint(n, 10) != text {
		return 0, kuva.E(kuva.CodeInvalid, "kuvav1.part_number")
	}
	return int64(n), nil
}

// bodyIs refuses bodies of other media types.
func bodyIs(r *http.Request, media string) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != media {
		return kuva.E(kuva.CodeUnsupported, "kuvav1.media_type", "type", media)
	}
	return nil
}

// askPart says what of a part is lacking.
func (a *API) askPart(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	n, err := partNumber(r)
	if err != nil {
		return err
	}
	if err := bodyIs(r, api.AskMedia); err != nil {
		return err
	}
	body, err := rest.ReadBody(r)
	if err != nil {
		return err
	}
	asked, err := a.cfg.Asks.Ask(ctx, p, r.PathValue("id"), n, body)
	if err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusOK, api.Asked{Durable: asked.Durable, Lacking: asked.Lacking})
	return nil
}

// putPart takes the lacking chunks of a part. Nothing is read before its first
// byte is wanted, so that who sent Expect: 100-continue learns of a refusal
// before anything travels.
func (a *API) putPart(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	n, err := partNumber(r)
	if err != nil {
		return err
	}
	if err := bodyIs(r, api.ChunksMedia); err != nil {
		return err
	}
	body := rest.NewStalling(rest.GuardedBody(r), http.NewResponseController(w), a.cfg.Stall)
	defer body.Release()
	if err := a.cfg.Asks.Put(ctx, p, r.PathValue("id"), n, body); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// parts lists which parts are durable.
func (a *API) parts(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	q, err := parseQuery(r.URL.RawQuery, "limit", "marker")
	if err != nil {
		return err
	}
	limit, err := q.limit()
	if err != nil {
		return err
	}
	from := int64(0)
	if text, ok := q["marker"]; ok {
		at, err := strconv.ParseInt(text, 10, 62)
		if err != nil || at < 0 {
			return kuva.E(kuva.CodeInvalid, "kuvav1.part_marker")
		}
		from = at + 1
	}
	list, err := a.cfg.Asks.Parts(ctx, p, r.PathValue("id"), from, limit)
	if err != nil {
		return err
	}
	out := api.UploadParts{Parts: make([]api.UploadPart, len(list))}
	for i, x := range list {
		out.Parts[i] = api.UploadPart{Off: x.Off, Size: x.Size, Digest: x.Digest}
	}
	if len(list) == limit {
		out.Next = q.next(r, strconv.FormatInt(list[limit-1].Off, 10))
	}
	rest.WriteJSON(w, http.StatusOK, out)
	return nil
}

// finishUpload ends an upload that asked first.
func (a *API) finishUpload(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	var body api.FinishUpload
	if err := rest.ReadJSON(r, &body, rest.KnownFields); err != nil {
		return err
	}
	u, err := a.cfg.Asks.Finish(ctx, p, r.PathValue("id"), body.Digest)
	if err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusAccepted, wireUpload(u, rest.LanguageOf(r)))
	return nil
}
