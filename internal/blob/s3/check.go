package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"

	"kuva/internal/blob"
)

// Rights are the actions of a bucket policy that a store needs.
const Rights = "s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload on its objects, s3:ListBucket and s3:ListBucketMultipartUploads on the bucket"

// checkPatience is shorter than that of the work: somebody waits for a start.
const checkPatience = 5 * time.Second

// Check tries all that a store needs of the service on an object of its own,
// whose name is no key, and says in plain words what is wrong. A service that
// lets a put replace an object passes for none: two nodes could destroy each
// other's blobs.
func (s *Store) Check(ctx context.Context) error {
	name := s.prefix + "PROBE-" + rand.Text()
	first := []byte("kuva was here")
	defer func() { // whatever happened, nothing shall stay
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortWithin)
		defer cancel()
		_ = s.core.RemoveObject(ctx, s.cfg.Bucket, name, minio.RemoveObjectOptions{})
	}()
	for _, step := range []struct {
		does string
		do   func() error
	}{
		{"list", func() error { return s.probeList(ctx) }},
		{"write", func() error { return ignore(s.probePut(ctx, name, first), minio.PreconditionFailed) }}, // a put that was repeated
		{"read", func() error { return s.probeRead(ctx, name, first) }},
		{"write", func() error { return mustRefuse(s.probePut(ctx, name, []byte("once more")), "") }},
		{"write in parts", func() error { return s.probeParts(ctx, name) }},
		{"read", func() error { return s.probeRead(ctx, name, first) }},
		{"delete", func() error {
			return s.core.RemoveObject(ctx, s.cfg.Bucket, name, minio.RemoveObjectOptions{})
		}},
	} {
		var raw error
		if err := s.tryFor(ctx, min(s.cfg.Patience, checkPatience), func() error { raw = step.do(); return raw }); err != nil {
			return s.explain(step.does, raw)
		}
	}
	return nil
}

func (s *Store) probeList(ctx context.Context) error {
	for object := range s.core.ListObjectsIter(ctx, s.cfg.Bucket, minio.ListObjectsOptions{Prefix: s.prefix, MaxKeys: 1, Recursive: true, FetchOwner: new(bool)}) {
		return object.Err
	}
	return ctx.Err()
}

func (s *Store) probePut(ctx context.Context, name string, b []byte) error {
	sum := sha256.Sum256(b)
	_, err := s.core.PutObject(ctx, s.cfg.Bucket, name, bytes.NewReader(b), int64(len(b)), "", hex.EncodeToString(sum[:]), onlyIfFree())
	return err
}

// mustRefuse wants the answer that a key is taken.
func mustRefuse(err error, how string) error {
	switch {
	case saidCode(err, minio.PreconditionFailed):
		return nil
	case err == nil || saidCode(err, "NotImplemented", "InvalidArgument"):
		return &refusal{"the S3 service does not honour If-None-Match" + how + ": a write could replace another node's; choose one that knows conditional writes, or a newer version of it"}
	}
	return err
}

func (s *Store) probeParts(ctx context.Context, name string) error {
	id, err := s.core.NewMultipartUpload(ctx, s.cfg.Bucket, name, minio.PutObjectOptions{})
	if err != nil {
		return err
	}
	b := []byte("in parts")
	part, err := s.core.PutObjectPart(ctx, s.cfg.Bucket, name, id, 1, bytes.NewReader(b), int64(len(b)), minio.PutObjectPartOptions{})
	if err == nil {
		_, err = s.core.CompleteMultipartUpload(ctx, s.cfg.Bucket, name, id, []minio.CompletePart{{PartNumber: 1, ETag: part.ETag}}, onlyIfFree())
		err = mustRefuse(err, " when it completes an upload in parts")
	}
	abort := s.core.AbortMultipartUpload(ctx, s.cfg.Bucket, name, id)
	if err == nil {
		err = ignore(abort, minio.NoSuchUpload)
	}
	return err
}

func (s *Store) probeRead(ctx context.Context, name string, want []byte) error {
	opts := minio.GetObjectOptions{}
	opts.Set("Range", fmt.Sprintf("bytes=1-%d", len(want)-1))
	body, _, _, err := s.core.GetObject(ctx, s.cfg.Bucket, name, opts)
	if err != nil {
		return err
	}
	defer body.Close()
	got, err := io.ReadAll(io.LimitReader(body, int64(len(want))))
	if err == nil && !bytes.Equal(got, want[1:]) {
		err = fmt.Errorf("%w: what was written comes back as other bytes", errWrongAnswer)
	}
	return err
}

func ignore(err error, code string) error {
	if saidCode(err, code) {
		return nil
	}
	return err
}

// explain says what an operator can do about an error of Check.
func (s *Store) explain(does string, err error) error {
	at := s.cfg.Endpoint
	if at == "" {
		at = "Amazon S3 in " + s.cfg.Region
	}
	var r minio.ErrorResponse
	errors.As(err, &r)
	var refusal *refusal
	var network *net.OpError
	var cert *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var dns *net.DNSError
	switch {
	case errors.Is(err, context.Canceled), errors.As(err, &refusal):
		return err
	case errors.As(err, &cert), errors.As(err, &authority):
		return fmt.Errorf("the certificate of %s is not trusted: name its authority's file as ca_cert: %w", at, err)
	case errors.As(err, &dns):
		return fmt.Errorf("the name of %s is not found: correct the endpoint, or set path_style if only the bucket's own name is unknown: %w", at, err)
	case errors.As(err, &network):
		return fmt.Errorf("%s cannot be reached: see whether it runs, and correct the endpoint: %w", at, err)
	case r.Code == minio.NoSuchBucket:
		return fmt.Errorf("there is no bucket %q at %s: make it first, or correct the name", s.cfg.Bucket, at)
	case r.Region != "" && r.Region != s.cfg.Region && r.StatusCode != http.StatusOK:
		return fmt.Errorf("the bucket %q is in the region %q, not in %q: set the region", s.cfg.Bucket, r.Region, s.cfg.Region)
	case r.Code == "AuthorizationHeaderMalformed", r.Code == "InvalidRegion", r.Code == "PermanentRedirect", r.Code == "IllegalLocationConstraintException":
		return fmt.Errorf("%s refuses the region %q: set the one that the bucket is in (%s)", at, s.cfg.Region, r.Message)
	case r.Code == "InvalidAccessKeyId", r.Code == "XAdminUserNotFound":
		return fmt.Errorf("%s does not know the access key: correct the credentials", at)
	case r.Code == "SignatureDoesNotMatch":
		return fmt.Errorf("%s does not accept the signature: the secret key is wrong, or something on the way changes requests", at)
	case r.Code == "RequestTimeTooSkewed":
		return fmt.Errorf("the clocks of %s and of this machine differ too much: set them right", at)
	case r.Code == minio.AccessDenied, r.StatusCode == http.StatusForbidden:
		return fmt.Errorf("the credentials may not %s in %s: they need %s", does, s, Rights)
	case r.Code == "NotImplemented":
		return fmt.Errorf("%s cannot %s as kuva must: %s", at, does, r.Message)
	}
	return fmt.Errorf("%s, tried to %s: %w", s, does, plain(err))
}

var _ blob.Store = (*Store)(nil)
