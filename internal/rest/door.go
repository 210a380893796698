package rest

import (
	"cmp"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"kuva"
)

// The limits that hold for every call.
const (
	MaxRequestID  = 64       // bytes of an incoming X-Openstack-Request-ID
	MaxURL        = 16 << 10 // bytes of path and query
	MaxParameters = 100      // of the query
)

// HeaderRequestID names the header with the id of a call, in both directions.
const HeaderRequestID = "X-Openstack-Request-Id"

// headerCode says which of kuva's codes an error is, in the APIs too whose
// bodies have no room for it.
const headerCode = "X-Kuva-Code"

// Door is the frame around one API. Its fields are set once, before the first
// call; its methods may be used by many goroutines.
type Door struct {
	// Name labels the metrics and log lines: "identityv3".
	Name string
	// Errors writes the API's error bodies. Nil means KuvaErrors.
	Errors ErrorWriter
	// Log gets one line a call. Nil drops them.
	Log *slog.Logger
	// Metrics may be nil.
	Metrics *Metrics
	// PublicURL is the configured address of the service, "" to take it from
	// each request.
	PublicURL string
	// BodyWithin bounds the arrival of small bodies; 0 is the constant's.
	BodyWithin time.Duration
}

// Wrap puts the frame around next. The answer to every call carries a request
// id, also one that is refused before it reaches next.
func (d *Door) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		call := &Call{}
		r = r.WithContext(withCall(r.Context(), call))
		rec := &recorder{ResponseWriter: w}
		call.control, call.patient = http.NewResponseController(rec), cmp.Or(d.BodyWithin, BodyWithin)
		defer d.finish(rec, r, call, began)
		defer d.recover(rec, r)
		d.headers(rec, r)
		incoming := r.Header.Get(HeaderRequestID)
		call.RequestID = requestID(incoming)
		rec.Header().Set(HeaderRequestID, call.RequestID)
		if len(incoming) > MaxRequestID {
			d.FailStatus(rec, r, http.StatusRequestHeaderFieldsTooLarge, kuva.E(kuva.CodeInvalid, "rest.request_id_long", "limit", MaxRequestID))
			return
		}
		if len(r.RequestURI) > MaxURL {
			d.FailStatus(rec, r, http.StatusRequestURITooLong, kuva.E(kuva.CodeInvalid, "rest.url_long", "limit", MaxURL))
			return
		}
		if strings.Count(r.URL.RawQuery, "&") >= MaxParameters {
			d.Fail(rec, r, kuva.E(kuva.CodeInvalid, "rest.too_many_parameters", "limit", MaxParameters))
			return
		}
		next.ServeHTTP(rec, r)
	})
}

// requestID takes over a caller's id where it is harmless in a log and a
// header, so that one id follows a request through several services.
func requestID(incoming string) string {
	if incoming == "" || len(incoming) > MaxRequestID {
		return "req-" + uuid.NewString()
	}
	for _, c := range []byte(incoming) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.') {
			return "req-" + uuid.NewString()
		}
	}
	if strings.HasPrefix(incoming, "req-") {
		return incoming
	}
	return "req-" + incoming
}

func (d *Door) headers(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Add("Vary", "X-Auth-Token")
	if r.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

func (d *Door) recover(rec *recorder, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so too
		panic(p)
	}
	d.Metrics.panicked(d.Name)
	if d.Log != nil {
		// The value of the panic may hold anything, a password too: its type
		// and the stack, which shows no contents, say enough.
		d.Log.Error("panic", "door", d.Name, "request", CallOf(r.Context()).RequestID, "type", typeName(p), "stack", string(debug.Stack()))
	}
	if rec.status != 0 {
		panic(http.ErrAbortHandler) // half an answer must not look whole
	}
	d.Fail(rec, r, kuva.E(kuva.CodeInternal, "internal"))
}

func (d *Door) finish(rec *recorder, r *http.Request, call *Call, began time.Time) {
	status := rec.status
	if status == 0 {
		status = http.StatusOK
	}
	took := time.Since(began)
	d.Metrics.observe(d.Name, call.Pattern, status, took)
	if d.Log == nil {
		return
	}
	level := slog.LevelInfo
	if status >= 500 {
		level = slog.LevelError
	}
	if !d.Log.Enabled(r.Context(), level) {
		return
	}
	// The path and the query are left out: links carry secrets in them.
	attrs := []slog.Attr{
		slog.String("door", d.Name), slog.String("method", r.Method), slog.String("route", call.Pattern),
		slog.Int("status", status), slog.Int64("bytes", rec.bytes), slog.Float64("ms", float64(took.Microseconds())/1000),
		slog.String("request", call.RequestID), slog.String("user", call.Principal.UserID),
		slog.String("project", call.Principal.ProjectID), slog.String("address", Address(r)),
	}
	if call.err != nil {
		attrs = append(attrs, slog.String("error", call.err.Error()))
	}
	d.Log.LogAttrs(r.Context(), level, "request", attrs...)
}

// Fail answers with the status that the code of err stands for.
func (d *Door) Fail(w http.ResponseWriter, r *http.Request, err error) {
	e := asError(err)
	d.FailStatus(w, r, Status(e.Code), e.Because(err))
}

// FailStatus answers with a status of the door's own choice, for the few that
// no code stands for (405, 414, 431).
func (d *Door) FailStatus(w http.ResponseWriter, r *http.Request, status int, e *kuva.Error) {
	call := CallOf(r.Context())
	call.err = e
	h := w.Header()
	h.Set(headerCode, string(e.Code))
	if status == http.StatusUnauthorized && h.Get(headerLogIn) == "" {
		h.Set(headerLogIn, `Keystone uri="`+PublicURL(d.PublicURL, r)+`/identity"`)
	}
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		h.Set("Retry-After", strconv.Itoa(retryAfter(e)))
	}
	if d.Errors == nil {
		KuvaErrors(w, r, status, e)
		return
	}
	d.Errors(w, r, status, e)
}
