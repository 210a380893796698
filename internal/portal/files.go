package portal

import (
	"bytes"
	"compress/gzip"
	"embed"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"

	"kuva"
)

//go:embed all:dist
var dist embed.FS

// file is one file of the pages, with its compressed form made when it is
// first asked for.
type file struct {
	media string
	plain []byte
	small func() []byte // nil where it is no smaller
}

// files are those of dist by their path in it.
type files map[string]*file

// mediaTypes are those of what the pages are made of, whatever the system says.
var mediaTypes = map[string]string{
	".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
	".html": "text/html; charset=utf-8", ".json": "application/json", ".woff2": "font/woff2", ".png": "image/png",
}

func embedded() *files {
	out := files{}
	err := fs.WalkDir(dist, "dist", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		plain, err := dist.ReadFile(name)
		if err != nil {
			return err
		}
		media := mediaTypes[path.Ext(name)]
		if media == "" {
			if media = mime.TypeByExtension(path.Ext(name)); media == "" {
				media = "application/octet-stream"
			}
		}
		out[strings.TrimPrefix(name, "dist/")] = &file{media: media, plain: plain, small: sync.OnceValue(func() []byte { return compress(plain) })}
		return nil
	})
	if err != nil {
		panic("portal: embedded files: " + err.Error()) // they are part of the program
	}
	return &out
}

func compress(plain []byte) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is valid
	_, _ = z.Write(plain)                                 // a buffer takes all
	_ = z.Close()
	if b.Len() >= len(plain) {
		return nil
	}
	return b.Bytes()
}

// asset answers with a file that is named by its hash, so that browsers may
// keep it for ever.
func (p *Portal) asset(w http.ResponseWriter, r *http.Request) error {
	f := (*p.files)["assets/"+r.PathValue("file")]
	if f == nil {
		return kuva.E(kuva.CodeNotFound, "rest.not_found")
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	f.send(w, r)
	return nil
}

func (p *Portal) icon(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "public, max-age=86400")
	(*p.files)["icon.svg"].send(w, r)
	return nil
}

// index answers with the page, which names the files of this version: nobody
// may keep it.
func (p *Portal) index(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("Permissions-Policy", permissionsPolicy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	(*p.files)["index.html"].send(w, r)
	return nil
}

func (f *file) send(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.media)
	h.Set("Vary", "Accept-Encoding")
	body := f.plain
	if takesGzip(r.Header.Get("Accept-Encoding")) {
		if small := f.small(); small != nil {
			body = small
			h.Set("Content-Encoding", "gzip")
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body) // the browser may be gone
}

// takesGzip reads an Accept-Encoding header as browsers send it.
func takesGzip(header string) bool {
	if len(header) > 256 {
		return false
	}
	for part := range strings.SplitSeq(header, ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.TrimSpace(name) == "gzip" {
			return strings.ReplaceAll(weight, " ", "") != "q=0"
		}
	}
	return false
}
