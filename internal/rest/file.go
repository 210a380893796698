package rest

import (
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"kuva"
)

// DefaultStall is how long a transfer may stand still.
const DefaultStall = 2 * time.Minute

// File is content that a door hands out.
type File struct {
	// Size in bytes. Below 0 it is not known before the end: then there are no
	// ranges, and WriteTo is used instead of Reader.
	Size int64
	// ETag names the bytes, quoted; "" where nothing does. A weak one is not
	// good for ranges.
	ETag  string
	Media string // media type
	Name  string // that browsers keep it by
	MD5   string // hex, "" if not known; told with whole files and with parts

	Reader  func(off, n int64) (io.ReadCloser, error)
	WriteTo func(w io.Writer) (int64, error)

	// Stall breaks the sending off where the other side takes no byte for so
	// long.
	Stall time.Duration
	// Log is told of downloads that were broken off, About is what they were
	// of.
	Log   *slog.Logger
	About string
}

// SendFile answers with a file, or one range of it. The bytes go from the
// reader to the connection in the pieces in which they were opened. What fails
// before the first byte is returned, to be answered as an error; later the
// connection is broken off, so that half a file never looks like a whole one.
func SendFile(w http.ResponseWriter, r *http.Request, f *File) error {
	if f.ETag != "" && matches(r.Header.Values("If-None-Match"), f.ETag) {
		w.Header().Set("ETag", f.ETag)
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	s := Span{N: f.Size}
	if f.Size >= 0 && f.sameAs(r.Header.Get("If-Range")) {
		var err error
		if s, err = ParseSpan(r.Header, f.Size); err != nil {
			if kuva.CodeOf(err) == kuva.CodeRange {
				w.Header().Set("Content-Range", "bytes */"+strconv.FormatInt(f.Size, 10))
			}
			return err
		}
	}
	if r.Method == http.MethodHead {
		f.head(w.Header(), s)
		w.WriteHeader(s.status())
		return nil
	}
	out := &sending{w: w, conn: http.NewResponseController(w), f: f, s: s}
	n, err := f.send(out, s)
	_ = out.conn.SetWriteDeadline(time.Time{})
	switch {
	case err == nil:
		out.begin() // content of no bytes
		return nil
	case !out.begun:
		return err
	}
	if r.Context().Err() == nil {
		level := slog.LevelWarn // the caller went away, or stands still
		if kuva.CodeOf(err) == kuva.CodeDamaged {
			level = slog.LevelError
		}
		f.Log.LogAttrs(r.Context(), level, "download broken off", slog.String("image", f.About),
			slog.String("request", CallOf(r.Context()).RequestID), slog.Int64("sent", n), slog.String("error", err.Error()))
	}
	panic(http.ErrAbortHandler)
}

func (f *File) send(out *sending, s Span) (int64, error) {
	if f.Size < 0 {
		return f.WriteTo(out)
	}
	reader, err := f.Reader(s.Off, s.N)
	if err != nil {
		return 0, err
	}
	defer reader.Close() //nolint:errcheck // it was only read
	n, err := io.Copy(out, reader)
	if err == nil && n != s.N {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// sameAs tells whether a range still means the file that the caller has begun
// to fetch. Times are not told, so none can be meant.
func (f *File) sameAs(ifRange string) bool {
	return ifRange == "" || ifRange == f.ETag && !strings.HasPrefix(ifRange, "W/")
}

// matches compares by the weak rule of RFC 9110 §13.1.2.
func matches(values []string, tag string) bool {
	tag = strings.TrimPrefix(tag, "W/")
	for _, value := range values {
		for one := range strings.SplitSeq(value, ",") {
			if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == tag {
				return true
			}
		}
	}
	return false
}

func (f *File) head(h http.Header, s Span) {
	h.Set("Content-Type", f.Media)
	if f.Size >= 0 {
		h.Set("Content-Length", strconv.FormatInt(s.N, 10))
		h.Set("Accept-Ranges", "bytes")
	} else {
		h.Set("Accept-Ranges", "none")
	}
	if f.ETag != "" {
		h.Set("ETag", f.ETag)
	}
	if f.MD5 != "" {
		h.Set("Content-MD5", f.MD5)
	}
	if s.Part {
		h.Set("Content-Range", s.contentRange(f.Size))
	}
	// Content of strangers must never run in the origin of the portal,
	// whatever a browser makes of it.
	h.Set("Content-Disposition", `attachment; filename="`+f.Name+`"`)
}

// sending writes the header with the first bytes, and moves the connection's
// deadline while bytes move.
type sending struct {
	w     http.ResponseWriter
	conn  *http.ResponseController
	f     *File
	s     Span
	begun bool
	set   time.Time
}

func (s *sending) begin() {
	if s.begun {
		return
	}
	s.begun = true
	s.f.head(s.w.Header(), s.s)
	s.w.WriteHeader(s.s.status())
}

func (s *sending) Write(p []byte) (int, error) {
	s.begin()
	if now := time.Now(); now.Sub(s.set) >= s.f.Stall/16 {
		s.set = now
		_ = s.conn.SetWriteDeadline(now.Add(s.f.Stall)) // writers of tests have none
	}
	return s.w.Write(p)
}
