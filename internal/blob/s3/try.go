package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/minio/minio-go/v7"

	"kuva/internal/blob"
)

// errWrongAnswer means that an answer was not what was asked for: a proxy or
// a line that cut it short.
var errWrongAnswer = errors.New("the S3 service's answer makes no sense")

// refusal is an error that no repetition mends.
type refusal struct{ why string }

func (r *refusal) Error() string { return r.why }

// try makes a request that may be repeated, until it is answered or the
// patience is over. Its errors are those of package blob, or plain ones.
func (s *Store) try(ctx context.Context, request func() error) error {
	return s.tryFor(ctx, s.cfg.Patience, request)
}

// firstPause is the pause after the first try, which doubles.
const firstPause = 50 * time.Millisecond

func (s *Store) tryFor(ctx context.Context, patience time.Duration, request func() error) error {
	var deadline time.Time
	for wait := s.pause; ; wait = min(2*wait, 5*time.Second) {
		err := request()
		if deadline.IsZero() { // the patience is for failing, not for working
			deadline = time.Now().Add(patience)
		}
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !passing(err) || time.Now().Add(wait).After(deadline) {
			return plain(err)
		}
		if !pause(ctx, wait) {
			return ctx.Err()
		}
	}
}

// pause waits for about d; false says that ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d/2 + rand.N(d/2+1))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// said gives the error that the service itself has worded; ok is false for
// anything else, such as what the client makes of an answer without words.
func said(err error) (r minio.ErrorResponse, ok bool) {
	ok = errors.As(err, &r) && r.XMLName.Local == "Error" && r.Code != ""
	return r, ok
}

// saidCode tells whether the service gave one of the codes.
func saidCode(err error, codes ...string) bool {
	r, ok := said(err)
	return ok && slices.Contains(codes, r.Code)
}

// passing tells whether another try may do better: failures of the line and of
// the service, not its refusals.
func passing(err error) bool {
	var cert *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var refusal *refusal
	switch {
	case errors.As(err, &cert), errors.As(err, &authority), errors.As(err, &refusal), errors.Is(err, blob.ErrExists), errors.Is(err, blob.ErrNotFound):
		return false
	case errors.Is(err, errCame), errors.Is(err, errWrongAnswer):
		return true
	}
	r, ok := said(err)
	if !ok {
		// Not worded by the service. 403 and redirects come without a body for
		// HEAD, and do not pass.
		if errors.As(err, &r) && r.StatusCode >= 300 && r.StatusCode < 500 {
			return r.StatusCode == http.StatusNotFound || r.StatusCode == http.StatusRequestTimeout || r.StatusCode == http.StatusTooManyRequests || r.StatusCode == http.StatusConflict
		}
		return true
	}
	switch r.Code {
	case "ConditionalRequestConflict", "OperationAborted", "SlowDown", "RequestTimeout", "InternalError", "Throttling",
		"BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody", "InvalidDigest",
		"BadRequest": // no code of Amazon's: the answer to what a server made of a broken connection
		return true
	}
	return (r.StatusCode >= 500 || r.StatusCode == http.StatusTooManyRequests || r.StatusCode == http.StatusRequestTimeout) &&
		r.StatusCode != http.StatusNotImplemented && r.StatusCode != http.StatusInsufficientStorage
}

// plain turns the service's errors into those of package blob, and the others
// into a text that says what to look at.
func plain(err error) error {
	r, ok := said(err)
	if !ok {
		if errors.As(err, &r) && r.StatusCode != 0 && !errors.Is(err, errWrongAnswer) {
			return fmt.Errorf("the S3 service answers %d %s", r.StatusCode, http.StatusText(r.StatusCode))
		}
		return err
	}
	switch r.Code {
	case minio.NoSuchKey:
		return blob.ErrNotFound
	case "QuotaExceeded", "NoSpaceLeftOnDevice", "XMinioStorageFull", "StorageFull", "EntityTooLarge":
		return fmt.Errorf("%w: %s", blob.ErrFull, r.Message)
	case "ExistingObjectIsDirectory", "ObjectParentIsFile", "XMinioParentIsObject", "XMinioObjectExistsAsDirectory":
		return fmt.Errorf("%w: %s", blob.ErrKey, r.Message)
	}
	if r.StatusCode == http.StatusInsufficientStorage {
		return fmt.Errorf("%w: %s", blob.ErrFull, r.Message)
	}
	return fmt.Errorf("the S3 service says %s: %s", r.Code, r.Message)
}
