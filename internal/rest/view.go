package rest

import (
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"kuva"
	"kuva/disk"
	"kuva/internal/images"
)

// maxSetting bounds a setting of a view, in bytes.
const maxSetting = 255

// SendView answers a download: with what was sent or, where the query has a
// format, with the disk in it as a file of that format, computed while it is
// sent. "compress" asks for a compressed file; what else the query says are
// settings of the format. 204 where the image has no content.
func SendView(w http.ResponseWriter, r *http.Request, service *images.Service, stall time.Duration, log *slog.Logger) error {
	format, o, err := viewQuery(r.URL.Query())
	if err != nil {
		return err
	}
	ctx, p := r.Context(), PrincipalOf(r.Context())
	v, err := service.OpenView(ctx, p, r.PathValue("id"), format, o)
	if err != nil {
		return err
	}
	if !v.HasData() {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	f := &File{
		Size: v.Size, ETag: v.ETag, Media: v.Media, Name: v.Name,
		Reader:  func(off, n int64) (io.ReadCloser, error) { return v.Reader(ctx, off, n) },
		WriteTo: func(w io.Writer) (int64, error) { return v.WriteTo(ctx, w) },
		Stall:   stall, Log: log, About: v.Image.ID,
	}
	if v.AsSent() { // the download as all clients know it
		f.Media, f.MD5 = "application/octet-stream", v.Image.MD5
	}
	return SendFile(w, r, f)
}

// viewQuery reads what view a query asks for.
func viewQuery(q url.Values) (format string, o images.ViewOptions, err error) {
	for name, values := range q {
		switch {
		case len(values) != 1 || len(name) > maxSetting || len(values[0]) > maxSetting:
			return "", o, kuva.E(kuva.CodeInvalid, "rest.view_parameter")
		case name == "format":
			if format = values[0]; format == "" {
				return "", o, kuva.E(kuva.CodeInvalid, "image.view_unknown", "format", `""`, "list", strings.Join(images.ViewFormats(), ", "))
			}
		case name == "compress":
			if !slices.Contains([]string{"true", "1", "false", "0"}, values[0]) {
				return "", o, kuva.E(kuva.CodeInvalid, "rest.view_compress")
			}
			o.Compress = values[0] == "true" || values[0] == "1"
		default:
			if o.Settings == nil {
				o.Settings = disk.Settings{}
			}
			o.Settings[name] = values[0]
		}
	}
	if format == "" && (o.Compress || o.Settings != nil) {
		return "", o, kuva.E(kuva.CodeInvalid, "rest.view_format")
	}
	return format, o, nil
}
