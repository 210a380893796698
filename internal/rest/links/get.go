package links

import (
	"io"
	"net/http"
	"strings"

	"kuva/internal/rest"
	"kuva/internal/transfer/link"
)

// get sends the file that a link is for, or one range of it. What a query says
// means nothing: the maker of the link said it all.
func (a *API) get(w http.ResponseWriter, r *http.Request) error {
	if err := rest.NoBody(r); err != nil {
		return err
	}
	u, err := a.open(r, false)
	if err != nil {
		return err
	}
	ctx := r.Context()
	v, err := u.View(ctx)
	if err != nil {
		return err
	}
	if !v.HasData() { // of an image that the link may fill first
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	// A range of the same bytes goes on with a download.
	ifRange := r.Header.Get("If-Range")
	ranged := r.Header.Get("Range") != "" && v.Size >= 0 && (ifRange == "" || ifRange == v.ETag)
	f := &rest.File{
		Size: v.Size, ETag: v.ETag, Media: v.Media, Name: link.FileName(v.Image, strings.TrimPrefix(v.Name, v.Image.ID)),
		Reader: func(off, n int64) (io.ReadCloser, error) {
			if err := u.Begin(ctx, v.ETag, ranged); err != nil {
				return nil, err
			}
			return v.Reader(ctx, off, n)
		},
		WriteTo: func(w io.Writer) (int64, error) {
			if err := u.Begin(ctx, v.ETag, false); err != nil {
				return 0, err
			}
			return v.WriteTo(ctx, w)
		},
		Stall: a.cfg.Stall, Log: a.log, About: v.Image.ID,
	}
	if v.AsSent() {
		f.MD5 = v.Image.MD5
	}
	defer func() { u.Done() }()
	return rest.SendFile(w, r, f)
}
