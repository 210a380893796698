package bucket

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"kuva"
)

// Causes that callers ask for with errors.Is.
var (
	// ErrNoUpload: the bucket does not know this upload (any more).
	ErrNoUpload = errors.New("no such upload")
	// ErrChanged: the object is not the one that was begun to be read.
	ErrChanged = errors.New("the object changed")

	errExists   = errors.New("the object exists")
	errNoObject = errors.New("no such object")
	errDenied   = errors.New("access denied")
)

// failed says in words what went wrong; nil stays nil. An answer of a server
// that speaks S3 is told to the caller. Without an answer the log alone has the
// cause.
func (b *Bucket) failed(ctx context.Context, begun time.Time, key string, err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); errors.Is(cause, context.Canceled) || cause != nil && !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	r := minio.ToErrorResponse(err)
	b.log.LogAttrs(ctx, slog.LevelWarn, "bucket", slog.String("bucket", b.label), slog.Int("status", r.StatusCode), slog.String("code", word(r.Code)),
		slog.String("error", told(err)))
	because := func(mark error, code kuva.Code, sentence string, args ...any) error {
		return kuva.E(code, sentence, args...).Because(errors.Join(mark, errors.New(told(err))))
	}
	switch r.Code {
	case minio.NoSuchBucket:
		return because(nil, kuva.CodeConflict, "bucket.no_bucket", "bucket", b.label)
	case minio.NoSuchKey:
		return because(errNoObject, kuva.CodeConflict, "bucket.no_object", "object", key)
	case minio.NoSuchUpload:
		return because(ErrNoUpload, kuva.CodeUnavailable, "bucket.broken", "bucket", b.label)
	case minio.AccessDenied, "AllAccessDisabled", "AccountProblem":
		return because(errDenied, kuva.CodeConflict, "bucket.denied", "bucket", b.label)
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "AuthorizationHeaderMalformed":
		return because(errDenied, kuva.CodeConflict, "bucket.keys", "bucket", b.label)
	case minio.PreconditionFailed, "ConditionalRequestConflict":
		return because(errExists, kuva.CodeConflict, "bucket.exists", "object", key)
	case "RequestTimeTooSkewed", "RequestTimeout", "SlowDown", "BadDigest", "IncompleteBody", "XAmzContentChecksumMismatch", "OperationAborted":
		return because(nil, kuva.CodeUnavailable, "bucket.broken", "bucket", b.label)
	case "QuotaExceeded", "XMinioStorageFull":
		return because(nil, kuva.CodeConflict, "bucket.full", "bucket", b.label)
	}
	switch {
	case r.StatusCode == http.StatusBadRequest && strings.Contains(r.Message, "Server Side Encryption"), r.StatusCode == http.StatusBadRequest && strings.Contains(r.Code, "SSE"):
		return because(nil, kuva.CodeConflict, "bucket.customer_key", "object", key)
	case r.StatusCode >= 500 || r.StatusCode == http.StatusTooManyRequests || r.StatusCode == http.StatusRequestTimeout:
		return because(nil, kuva.CodeUnavailable, "bucket.broken", "bucket", b.label)
	case r.StatusCode == 0 && b.strange != nil:
		return b.strange(ctx, begun, err)
	case r.StatusCode == 0:
		return because(nil, kuva.CodeUnavailable, "bucket.broken", "bucket", b.label)
	}
	return because(nil, kuva.CodeConflict, "bucket.refused", "bucket", b.label, "code", word(r.Code))
}

// told is an error for the log. What a library says of an HTTP request may
// hold its URL.
func told(err error) string {
	var inner interface{ Unwrap() error }
	text := err.Error()
	if errors.As(err, &inner) && strings.Contains(text, "://") {
		if cause := inner.Unwrap(); cause != nil {
			text = cause.Error()
		}
	}
	return text[:min(len(text), 500)]
}

// word is a code that another service chose, as far as it looks like one.
func word(code string) string {
	ok := func(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' }
	if code == "" || len(code) > 64 || strings.ContainsFunc(code, func(r rune) bool { return !ok(r) }) {
		return "?"
	}
	return code
}
