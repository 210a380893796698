package rest

import (
	"encoding/json"
	"html"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"kuva"
	"kuva/api"
	"kuva/message"
)

// ErrorWriter writes one error in the manner of one API. The headers that all
// APIs share are set by then.
type ErrorWriter func(w http.ResponseWriter, r *http.Request, status int, e *kuva.Error)

// in gives the sentence of an error in the caller's language, and says which
// that is. Clients of OpenStack name none and get English.
func in(w http.ResponseWriter, r *http.Request, e *kuva.Error) string {
	lang := LanguageOf(r)
	w.Header().Set("Content-Language", string(lang))
	return e.Text.In(lang)
}

// KeystoneErrors writes {"error":{"code","message","title"}}, as the Identity
// API v3 does.
func KeystoneErrors(w http.ResponseWriter, r *http.Request, status int, e *kuva.Error) {
	var body struct {
		Error struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
			Title   string `json:"title"`
		} `json:"error"`
	}
	body.Error.Code, body.Error.Title = status, title(status)
	body.Error.Message = in(w, r, e)
	WriteJSON(w, status, body)
}

// GlanceErrors writes what the reference service's HTTP library does: a small
// HTML page, from which glanceclient strips the tags and shows the rest; JSON
// for those who ask for nothing else (gophercloud), plain text for those who
// take neither.
func GlanceErrors(w http.ResponseWriter, r *http.Request, status int, e *kuva.Error) {
	line := strconv.Itoa(status) + " " + title(status)
	text := in(w, r, e)
	switch accepts(r.Header.Get("Accept")) {
	case "application/json":
		WriteJSON(w, status, struct {
			Message string `json:"message"`
			Code    string `json:"code"`
			Title   string `json:"title"`
		}{text, line, title(status)})
	case "text/html":
		writeText(w, status, "text/html; charset=UTF-8", "<html>\n <head>\n  <title>"+line+"</title>\n </head>\n <body>\n  <h1>"+
			line+"</h1>\n  "+html.EscapeString(text)+"<br /><br />\n\n\n </body>\n</html>")
	default:
		writeText(w, status, "text/plain; charset=UTF-8", line+"\n\n"+text+"\n\n")
	}
}

// accepts picks the first of HTML and JSON that an Accept header names; a
// missing header takes anything.
func accepts(header string) string {
	if header == "" {
		return "text/html"
	}
	if len(header) > 1024 {
		header = header[:1024]
	}
	for part := range strings.SplitSeq(header, ",") {
		t, _, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		switch t {
		case "*/*", "text/*", "text/html":
			return "text/html"
		case "application/*", "application/json":
			return "application/json"
		}
	}
	return ""
}

// KuvaErrors writes {"code","message","request_id"} with the message in the
// caller's language.
func KuvaErrors(w http.ResponseWriter, r *http.Request, status int, e *kuva.Error) {
	WriteJSON(w, status, struct {
		Code      kuva.Code `json:"code"`
		Message   string    `json:"message"`
		RequestID string    `json:"request_id"`
	}{e.Code, in(w, r, e), CallOf(r.Context()).RequestID})
}

// LanguageOf picks the language of kuva that the caller likes best, English
// where it names none of them.
func LanguageOf(r *http.Request) message.Language {
	header := r.Header.Get("Accept-Language")
	if len(header) > 256 {
		header = header[:256]
	}
	best, bestQ := message.English, 0.0
	for part := range strings.SplitSeq(header, ",") {
		tag, q := strings.TrimSpace(part), 1.0
		if t, params, ok := strings.Cut(tag, ";"); ok {
			tag = strings.TrimSpace(t)
			v, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(params), "q="), 64)
			if err != nil {
				continue
			}
			q = v
		}
		if lang, ok := spoken(tag); ok && q > bestQ {
			best, bestQ = lang, q
		}
	}
	return best
}

func spoken(tag string) (message.Language, bool) {
	base, _, _ := strings.Cut(strings.ToLower(tag), "-")
	for _, lang := range message.Languages {
		if b, _, _ := strings.Cut(strings.ToLower(string(lang)), "-"); b == base {
			return lang, true
		}
	}
	return "", false
}

// WriteJSON answers with v as JSON. v must be something that always encodes;
// where it does not, that is a bug and panics.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	var b []byte
	if a, ok := v.(api.Appender); ok {
		b = a.AppendJSON(make([]byte, 0, 4<<10))
	} else {
		var err error
		if b, err = json.Marshal(v); err != nil {
			panic(err)
		}
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, _ = w.Write(b) // the caller may be gone; nothing more can be said to it
}

func writeText(w http.ResponseWriter, status int, contentType, body string) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}

func title(status int) string {
	if t := http.StatusText(status); t != "" {
		return t
	}
	return "Client Closed Request"
}
