package imagev2

import (
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"kuva"
	"kuva/internal/rest"
)

// download sends the content of an image, or one range of it. The bytes go
// from the depot's reader to the connection in the pieces in which they were
// opened. What fails before the first byte is answered as an error; later the
// connection is broken off, so that half an image never looks like a whole
// one.
func (h *handler) download(w http.ResponseWriter, r *http.Request) error {
	ctx, p := h.who(r)
	content, err := h.images.Download(ctx, p, r.PathValue("id"))
	if err != nil {
		return err
	}
	if !content.HasData() {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	size := content.Image.Size
	s, err := parseSpan(r.Header, size)
	if err != nil {
		if kuva.CodeOf(err) == kuva.CodeRange {
			w.Header().Set("Content-Range", "bytes */"+strconv.FormatInt(size, 10))
		}
		return err
	}
	header := func() { downloadHeader(w.Header(), content.Image, s) }
	if r.Method == http.MethodHead {
		header()
		w.WriteHeader(s.status())
		return nil
	}
	reader, err := content.Reader(ctx, s.off, s.n)
	if err != nil {
		return err
	}
	defer reader.Close() //nolint:errcheck // it was only read
	out := &sending{w: w, conn: http.NewResponseController(w), status: s.status(), header: header, stall: h.stall}
	n, err := io.Copy(out, reader)
	_ = out.conn.SetWriteDeadline(time.Time{})
	if err == nil && n != s.n {
		err = io.ErrUnexpectedEOF
	}
	switch {
	case err == nil:
		out.begin() // content of no bytes
		return nil
	case !out.begun:
		return err
	}
	if ctx.Err() == nil {
		level := slog.LevelWarn // the caller went away, or stands still
		if kuva.CodeOf(err) == kuva.CodeDamaged {
			level = slog.LevelError
		}
		h.log.LogAttrs(ctx, level, "download broken off", slog.String("image", content.Image.ID),
			slog.String("request", rest.CallOf(ctx).RequestID), slog.Int64("sent", n), slog.String("error", err.Error()))
	}
	panic(http.ErrAbortHandler)
}

func (s span) status() int {
	if s.part {
		return http.StatusPartialContent
	}
	return http.StatusOK
}

func downloadHeader(h http.Header, img *kuva.Image, s span) {
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.FormatInt(s.n, 10))
	h.Set("Accept-Ranges", "bytes")
	if img.MD5 != "" {
		h.Set("Content-MD5", img.MD5)
	}
	if s.part {
		h.Set("Content-Range", s.contentRange(img.Size))
	}
	// Content of strangers must never run in the origin of the portal,
	// whatever a browser makes of it.
	name := img.ID
	if img.DiskFormat != "" {
		name += "." + img.DiskFormat
	}
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
}

// sending writes the header with the first bytes, and moves the connection's
// deadline while bytes move.
type sending struct {
	w      http.ResponseWriter
	conn   *http.ResponseController
	status int
	header func()
	stall  time.Duration
	begun  bool
	set    time.Time
}

func (s *sending) begin() {
	if s.begun {
		return
	}
	s.begun = true
	s.header()
	s.w.WriteHeader(s.status)
}

func (s *sending) Write(p []byte) (int, error) {
	s.begin()
	if now := time.Now(); now.Sub(s.set) >= s.stall/16 {
		s.set = now
		_ = s.conn.SetWriteDeadline(now.Add(s.stall)) // writers of tests have none
	}
	return s.w.Write(p)
}
