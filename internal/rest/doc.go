// Package rest is what all doors share: the frame around every call (request
// id, log line, metrics, recovery from panics, limits, security headers), the
// check of the caller's token, the reading of JSON and the writing of errors.
// It translates and never decides; the doors in the directories below it do
// the same for one API each.
//
//	Door.Wrap ── request id ── log+metrics ── recover ── headers ── limits ── Router ── Door.Authenticate ── handler
//
// A Call travels in the request's context and carries what the frame learns
// on the way: the request id, the matched route, the principal, the error.
package rest
