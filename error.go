package kuva

import (
	"errors"

	"kuva/message"
)

// Code says what kind of failure an Error is. The list is closed: each door
// has one table from code to its own status, and a test holds the tables
// complete.
type Code string

// The closed list of codes.
const (
	CodeInvalid         Code = "invalid"         // the request cannot be understood
	CodeUnauthenticated Code = "unauthenticated" // no valid token or password
	CodeForbidden       Code = "forbidden"       // known, but not allowed
	CodeNotFound        Code = "not_found"       // not there, or not to be known of
	CodeConflict        Code = "conflict"        // the state does not allow it now
	CodeGone            Code = "gone"            // deleted while it was used
	CodeQuota           Code = "quota_exceeded"  // the project's quota is used up
	CodeTooLarge        Code = "too_large"       // larger than allowed for one thing
	CodeStorageFull     Code = "storage_full"    // the store has no room
	CodeUnsupported     Code = "unsupported"     // media type or format not taken
	CodeRange           Code = "range"           // a byte range that does not exist
	CodeDigest          Code = "digest_mismatch" // bytes are not those announced
	CodeThrottled       Code = "throttled"       // too many calls, try later
	CodeReadOnly        Code = "read_only"       // the depot takes no writes now
	CodeUnavailable     Code = "unavailable"     // a part of the service is not there now
	CodeDamaged         Code = "damaged"         // stored bytes failed their check
	CodeCancelled       Code = "cancelled"       // the caller went away or the job was cancelled
	CodeInternal        Code = "internal"        // ours; the log knows more
)

// Codes lists every code, in the order of their declaration.
var Codes = []Code{
	CodeInvalid, CodeUnauthenticated, CodeForbidden, CodeNotFound, CodeConflict, CodeGone, CodeQuota, CodeTooLarge,
	CodeStorageFull, CodeUnsupported, CodeRange, CodeDigest, CodeThrottled, CodeReadOnly, CodeUnavailable, CodeDamaged,
	CodeCancelled, CodeInternal,
}

// Error is what use cases return: a code from the closed list, a sentence for
// the caller (a key of the message files with its arguments) and a cause for
// the log, which the caller never sees.
type Error struct {
	Code  Code
	Text  message.Text
	Cause error
}

// E makes an Error. key names a sentence of the message files and args are
// its arguments as name, value, name, value.
//
//	kuva.E(kuva.CodeTooLarge, "image.too_large", "limit", n)
func E(code Code, key string, args ...any) *Error {
	return &Error{Code: code, Text: message.New(key, args...)}
}

// Because returns a copy of e with the cause set, for the log.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.Cause = cause
	return &c
}

// Error gives code, English sentence and cause, for logs.
func (e *Error) Error() string {
	s := string(e.Code) + ": " + e.Text.In(message.English)
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// CodeOf returns the code of the outermost Error in err's chain, CodeInternal
// where there is none, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}
