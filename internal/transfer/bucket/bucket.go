// Package bucket reads and writes objects of S3 buckets: those that the
// operator configured, and those that users name with keys of their own, which
// are reached through the checks of package fetch.
//
//	set.go     which buckets there are, who may use them
//	bucket.go  one bucket: look, list, write in parts
//	read.go    content that goes on where it broke off
//	error.go   what went wrong, in words
//
// Keys go to the origin that they were given for and to no other, and are in
// no error and no log.
package bucket

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5" //nolint:gosec // the tags of S3 are made by it
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/encrypt"

	"kuva"
	"kuva/internal/images"
)

// Bucket is one bucket as one caller reaches it. Its methods may be called at
// the same time. Close it.
type Bucket struct {
	core   *minio.Core
	bucket string
	prefix string // of all keys, of a configured bucket
	label  string // what people call it
	log    *slog.Logger
	secure bool
	carry  *carrier
	// strange is how the first failure to get an answer is told, where the
	// bucket is a user's; nil for one of the operator's.
	strange func(ctx context.Context, begun time.Time, why error) error
}

// tries is how often the library sends a call that did not get an answer, or
// got one that says to try again.
const tries = 3

// callTime bounds a call that moves no content.
const callTime = 2 * time.Minute

type connection struct {
	endpoint *url.URL
	region   string
	style    string
	keys     images.BucketKeys
}

// connect makes the client; it asks nobody.
func (b *Bucket) connect(c connection) error {
	lookup := minio.BucketLookupAuto
	switch c.style {
	case "path":
		lookup = minio.BucketLookupPath
	case "virtual":
		lookup = minio.BucketLookupDNS
	}
	keys := credentials.NewStaticV4(c.keys.Access, c.keys.Secret, c.keys.Session)
	core, err := minio.NewCore(c.endpoint.Host, &minio.Options{
		Creds: keys, Secure: c.endpoint.Scheme == "https", Region: cmp.Or(c.region, "us-east-1"), BucketLookup: lookup,
		Transport: b.carry, MaxRetries: tries,
	})
	if err != nil {
		return err
	}
	core.SetS3EnableDualstack(false)
	b.core, b.secure = core, c.endpoint.Scheme == "https"
	return nil
}

// Close gives the connections back.
func (b *Bucket) Close() { b.carry.CloseIdleConnections() }

// Label is what people call the bucket.
func (b *Bucket) Label() string { return b.label }

// Object is what is known of one object.
type Object struct {
	Key        string // without the prefix of a configured bucket
	Size       int64  // bytes
	ETag       string // without quotes
	ModifiedAt time.Time
	// Sealed is how the bucket encrypts it by itself: "", AES256, aws:kms.
	Sealed string
}

// Stat looks at an object. CodeConflict where there is none, the keys may not
// read it, or it is encrypted with a key that only its owner has.
func (b *Bucket) Stat(ctx context.Context, key string) (Object, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	begun := time.Now()
	info, err := b.core.StatObject(ctx, b.bucket, b.prefix+key, minio.StatObjectOptions{})
	if minio.ToErrorResponse(err).StatusCode == http.StatusBadRequest {
		// HEAD has no room for a reason; GET says whether it is SSE-C.
		var body io.ReadCloser
		opt := minio.GetObjectOptions{}
		if rangeErr := opt.SetRange(0, 0); rangeErr != nil {
			return Object{}, rangeErr
		}
		if body, _, _, err = b.core.GetObject(ctx, b.bucket, b.prefix+key, opt); err == nil {
			_ = body.Close()
			err = errors.New("HEAD is refused and GET is not")
		}
	}
	if err != nil {
		return Object{}, b.failed(ctx, begun, key, err)
	}
	if info.Metadata.Get(headerCustomer) != "" {
		return Object{}, kuva.E(kuva.CodeConflict, "bucket.customer_key", "object", key)
	}
	return Object{key, info.Size, info.ETag, info.LastModified, info.Metadata.Get(headerSealed)}, nil
}

const (
	headerSealed   = "X-Amz-Server-Side-Encryption"
	headerCustomer = "X-Amz-Server-Side-Encryption-Customer-Algorithm"
)

// List returns at most limit objects whose keys begin with prefix and come
// after marker in the order of their bytes, and whether there are more.
func (b *Bucket) List(ctx context.Context, prefix, marker string, limit int) (list []Object, more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	begun := time.Now()
	opt := minio.ListObjectsOptions{Prefix: b.prefix + prefix, Recursive: true, MaxKeys: min(limit+1, 1000)}
	if marker != "" {
		opt.StartAfter = b.prefix + marker
	}
	for o := range b.core.ListObjectsIter(ctx, b.bucket, opt) {
		if o.Err != nil {
			return nil, false, b.failed(ctx, begun, "", o.Err)
		}
		key, ours := strings.CutPrefix(o.Key, b.prefix)
		if !ours || strings.HasSuffix(key, "/") && o.Size == 0 || strings.HasSuffix(key, ManifestSuffix) {
			continue
		}
		if len(list) == limit {
			return list, true, nil
		}
		list = append(list, Object{Key: key, Size: o.Size, ETag: strings.Trim(o.ETag, `"`), ModifiedAt: o.LastModified})
	}
	return list, false, nil
}

// Exists checks that the bucket is there and may be asked with these keys.
func (b *Bucket) Exists(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	begun := time.Now()
	ok, err := b.core.BucketExists(ctx, b.bucket)
	if err != nil {
		return b.failed(ctx, begun, "", err)
	}
	if !ok {
		return kuva.E(kuva.CodeConflict, "bucket.no_bucket", "bucket", b.label)
	}
	return nil
}

// WriteOptions are how an object is to be written.
type WriteOptions struct {
	ContentType string
	Overwrite   bool
	// Sealed asks the bucket to encrypt: "" its own way, AES256 with its own
	// keys, aws:kms with the key of the id, or its default one for "".
	Sealed, KeyID string
}

func (o WriteOptions) put(final bool) (minio.PutObjectOptions, error) {
	opt := minio.PutObjectOptions{ContentType: o.ContentType}
	switch o.Sealed {
	case "AES256":
		opt.ServerSideEncryption = encrypt.NewSSE()
	case "aws:kms":
		kms, err := encrypt.NewSSEKMS(o.KeyID, nil)
		if err != nil {
			return opt, err
		}
		opt.ServerSideEncryption = kms
	}
	if final && !o.Overwrite {
		opt.SetMatchETagExcept("*")
	}
	return opt, nil
}

// Begin begins an object in parts, and returns its upload's id.
func (b *Bucket) Begin(ctx context.Context, key string, o WriteOptions) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	begun := time.Now()
	opt, err := o.put(false)
	if err != nil {
		return "", kuva.E(kuva.CodeInvalid, "bucket.key_id").Because(err)
	}
	id, err := b.core.NewMultipartUpload(ctx, b.bucket, b.prefix+key, opt)
	if err == nil && id == "" {
		err = errors.New("an upload without an id")
	}
	return id, b.failed(ctx, begun, key, err)
}

// slowest is how slow a part may get there, in bytes a second, before it is
// sent anew.
const slowest = 64 << 10

// Part sends one part, of which sum is the MD5, once; the caller sends it again
// where that may help. It returns the part's tag. ErrNoUpload where the upload
// is not known any more; CodeUnavailable for whatever may be better next time,
// an answer that is not of these bytes included.
func (b *Bucket) Part(ctx context.Context, key, upload string, n int, content io.ReadSeeker, size int64, sum [16]byte) (tag string, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute+time.Duration(size/slowest)*time.Second)
	defer cancel()
	begun := time.Now()
	opt := minio.PutObjectPartOptions{Md5Base64: base64.StdEncoding.EncodeToString(sum[:])}
	if held, ok := content.(*bytes.Reader); ok && !b.secure {
		// Without TLS the bytes are signed: as a whole, because not every service
		// knows the form that is signed piece by piece.
		whole := sha256.New()
		if _, err := held.WriteTo(whole); err != nil {
			return "", err
		}
		if _, err := held.Seek(0, io.SeekStart); err != nil {
			return "", err
		}
		opt.Sha256Hex, opt.DisableContentSha256 = hex.EncodeToString(whole.Sum(nil)), true
	}
	part, err := b.core.PutObjectPart(ctx, b.bucket, b.prefix+key, upload, n, content, size, opt)
	if err != nil {
		return "", b.failed(ctx, begun, key, err)
	}
	tag = strings.Trim(part.ETag, `"`)
	switch {
	case tag == "" || len(tag) > 1024:
		return "", kuva.E(kuva.CodeUnavailable, "bucket.odd", "bucket", b.label).Because(errors.New("a part without a tag"))
	case b.tagged(tag) && tag != hex.EncodeToString(sum[:]):
		return "", kuva.E(kuva.CodeUnavailable, "bucket.differs", "bucket", b.label).Because(errors.New("a part came back with the tag " + tag))
	}
	return tag, nil
}

// tagged reports whether a tag must be the MD5 of the bytes: tags of encrypted
// parts need not be, but for Amazon's own keys.
func (b *Bucket) tagged(tag string) bool {
	raw, err := hex.DecodeString(tag)
	return err == nil && len(raw) == md5.Size && !b.carry.encrypts.Load()
}

// PartTag is one part that the bucket has.
type PartTag struct {
	N   int
	Tag string
	Sum [16]byte // MD5 of its bytes
}

// Parts lists what the bucket has of an upload: tags by the parts' numbers, and
// their sizes. ErrNoUpload where it does not know the upload.
func (b *Bucket) Parts(ctx context.Context, key, upload string) (tags map[int]string, sizes map[int]int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	tags, sizes = map[int]string{}, map[int]int64{}
	for marker := 0; ; {
		begun := time.Now()
		page, err := b.core.ListObjectParts(ctx, b.bucket, b.prefix+key, upload, marker, 1000)
		if err != nil {
			return nil, nil, b.failed(ctx, begun, key, err)
		}
		for _, p := range page.ObjectParts {
			tags[p.PartNumber], sizes[p.PartNumber] = strings.Trim(p.ETag, `"`), p.Size
		}
		if !page.IsTruncated || page.NextPartNumberMarker <= marker {
			return tags, sizes, nil
		}
		marker = page.NextPartNumberMarker
	}
}

// Finish puts the parts together: from then on the object is there, whole, and
// not before. Where the answer is lost it is looked for. It returns the
// object's tag.
func (b *Bucket) Finish(ctx context.Context, key, upload string, parts []PartTag, size int64, o WriteOptions) (tag string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 3*boundFinish)
	defer cancel()
	begun := time.Now()
	opt, err := o.put(true)
	if err != nil {
		return "", err
	}
	opt.ServerSideEncryption = nil // was said at the beginning
	list := make([]minio.CompletePart, len(parts))
	all := make([]byte, 0, len(parts)*md5.Size)
	plain := true
	for i, p := range parts {
		list[i] = minio.CompletePart{PartNumber: p.N, ETag: p.Tag}
		all = append(all, p.Sum[:]...)
		plain = plain && b.tagged(p.Tag)
	}
	sum := md5.Sum(all) //nolint:gosec // the tags of S3 are made so
	want := fmt.Sprintf("%x-%d", sum, len(parts))
	info, err := b.core.CompleteMultipartUpload(ctx, b.bucket, b.prefix+key, upload, list, opt)
	tag = strings.Trim(info.ETag, `"`)
	if err != nil {
		err = b.failed(ctx, begun, key, err)
		if !unsure(err) {
			return "", err
		}
	}
	there, statErr := b.appeared(ctx, key)
	count := fmt.Sprintf("-%d", len(parts))
	switch {
	case errors.Is(statErr, errNoObject) && (err == nil || errors.Is(err, ErrNoUpload)):
		return "", kuva.E(kuva.CodeUnavailable, "bucket.differs", "bucket", b.label).Because(ErrNoUpload) // all of it once more
	case err == nil && statErr != nil:
		return "", statErr
	case err == nil && there.Size == size && (!plain || tag == want || !strings.HasSuffix(tag, count)):
		return there.ETag, nil
	case err == nil:
		return "", kuva.E(kuva.CodeUnavailable, "bucket.differs", "bucket", b.label).Because(fmt.Errorf("%d bytes with the tag %s, not %d with %s", there.Size, tag, size, want))
	case statErr == nil && there.Size == size && (there.ETag == want || !plain && strings.HasSuffix(there.ETag, count)):
		return there.ETag, nil // the answer was lost, not the object
	}
	return "", err
}

// appeared is Stat for an object that another request for the same, whose
// answer was lost, may just be putting together.
func (b *Bucket) appeared(ctx context.Context, key string) (o Object, err error) {
	for pause := 100 * time.Millisecond; ; pause *= 2 {
		if o, err = b.Stat(ctx, key); !errors.Is(err, errNoObject) || pause > 3*time.Second {
			return o, err
		}
		wait := time.NewTimer(pause)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return o, context.Cause(ctx)
		}
	}
}

// boundFinish is how long one attempt to put parts together may take.
const boundFinish = 5 * time.Minute

// unsure tells that an object may be there in spite of an error.
func unsure(err error) bool {
	return errors.Is(err, ErrNoUpload) || errors.Is(err, errExists) || kuva.CodeOf(err) == kuva.CodeUnavailable
}

// Abort forgets an upload and what came of it; one that is gone is no error.
func (b *Bucket) Abort(ctx context.Context, key, upload string) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	begun := time.Now()
	err := b.failed(ctx, begun, key, b.core.AbortMultipartUpload(ctx, b.bucket, b.prefix+key, upload))
	if errors.Is(err, ErrNoUpload) {
		return nil
	}
	return err
}

// Put writes a small object, replacing one that is there.
func (b *Bucket) Put(ctx context.Context, key string, content []byte, o WriteOptions) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	begun := time.Now()
	opt, err := o.put(false)
	if err != nil {
		return err
	}
	sum := md5.Sum(content) //nolint:gosec // S3 compares it
	_, err = b.core.PutObject(ctx, b.bucket, b.prefix+key, bytes.NewReader(content), int64(len(content)), base64.StdEncoding.EncodeToString(sum[:]), "", opt)
	return b.failed(ctx, begun, key, err)
}

// Remove deletes an object.
func (b *Bucket) Remove(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	begun := time.Now()
	return b.failed(ctx, begun, key, b.core.RemoveObject(ctx, b.bucket, b.prefix+key, minio.RemoveObjectOptions{}))
}

// MayWrite checks, before a byte is sent, that the bucket is there, that the
// object is not unless it may be replaced, and that the keys may write it: by
// an upload that is begun and given up.
func (b *Bucket) MayWrite(ctx context.Context, key string, o WriteOptions) error {
	if err := b.Exists(ctx); err != nil {
		return err
	}
	if !o.Overwrite {
		_, err := b.Stat(ctx, key)
		switch {
		case err == nil:
			return kuva.E(kuva.CodeConflict, "bucket.exists", "object", key).Because(errExists)
		case !errors.Is(err, errNoObject) && !errors.Is(err, errDenied): // who may only write is not told what is there
			return err
		}
	}
	upload, err := b.Begin(ctx, key, o)
	if err != nil {
		return err
	}
	if err := b.Abort(ctx, key, upload); err != nil {
		b.log.LogAttrs(ctx, slog.LevelInfo, "upload to a bucket is left behind", slog.String("bucket", b.label), slog.String("error", err.Error()))
	}
	return nil
}
