package rest

import (
	"context"
	"errors"
	"net/http"
	"time"

	"kuva"
	"kuva/internal/catalog"
)

// StatusClientGone is what the log shows for a call whose caller went away
// before the answer. Nobody reads it on the wire.
const StatusClientGone = 499

// statuses is the one table from code to HTTP status. A full store and a used
// up quota are both 413, as the Image API v2 has it.
var statuses = map[kuva.Code]int{
	kuva.CodeInvalid:         http.StatusBadRequest,
	kuva.CodeUnauthenticated: http.StatusUnauthorized,
	kuva.CodeForbidden:       http.StatusForbidden,
	kuva.CodeNotFound:        http.StatusNotFound,
	kuva.CodeConflict:        http.StatusConflict,
	kuva.CodeGone:            http.StatusGone,
	kuva.CodeQuota:           http.StatusRequestEntityTooLarge,
	kuva.CodeTooLarge:        http.StatusRequestEntityTooLarge,
	kuva.CodeStorageFull:     http.StatusRequestEntityTooLarge,
	kuva.CodeUnsupported:     http.StatusUnsupportedMediaType,
	kuva.CodeRange:           http.StatusRequestedRangeNotSatisfiable,
	kuva.CodeDigest:          http.StatusBadRequest,
	kuva.CodeThrottled:       http.StatusTooManyRequests,
	kuva.CodeReadOnly:        http.StatusServiceUnavailable,
	kuva.CodeUnavailable:     http.StatusServiceUnavailable,
	kuva.CodeDamaged:         http.StatusInternalServerError,
	kuva.CodeCancelled:       StatusClientGone,
	kuva.CodeInternal:        http.StatusInternalServerError,
}

// Status returns the HTTP status of a code, 500 for one that is not listed.
func Status(code kuva.Code) int {
	if s, ok := statuses[code]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// asError finds the kuva.Error in err's chain, or says what is wrong with the
// database below, which every use case may meet. What else has no code is
// internal: the caller sees one line, the log the cause.
func asError(err error) *kuva.Error {
	var e *kuva.Error
	switch {
	case errors.As(err, &e):
		return &kuva.Error{Code: e.Code, Text: e.Text}
	case errors.Is(err, context.Canceled):
		return kuva.E(kuva.CodeCancelled, "rest.cancelled")
	case errors.Is(err, catalog.ErrFull):
		return kuva.E(kuva.CodeStorageFull, "rest.database_full")
	case errors.Is(err, catalog.ErrUnavailable), errors.Is(err, catalog.ErrOutcomeUnknown), errors.Is(err, context.DeadlineExceeded):
		return kuva.E(kuva.CodeUnavailable, "rest.database_unavailable")
	case errors.Is(err, catalog.ErrDamaged):
		return kuva.E(kuva.CodeDamaged, "rest.database_damaged")
	}
	return kuva.E(kuva.CodeInternal, "internal")
}

// retryAfter asks the chain of err how long to wait, in whole seconds, at
// least 1. An error says it by a method RetryAfter() time.Duration.
func retryAfter(err error) int {
	var waiter interface{ RetryAfter() time.Duration }
	if !errors.As(err, &waiter) {
		return 1
	}
	return max(1, int((waiter.RetryAfter()+time.Second-1)/time.Second))
}
