package export

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // S3's tags are made by it
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/transfer/fetch"
)

// Time bounds of one request to a signed address.
const (
	signedSlowest = 64 << 10 // bytes a second that must go on average
	signedCall    = 5 * time.Minute
	maxAnswer     = 64 << 10 // bytes of an answer that are read
)

// signed is the way to the addresses of one export.
type signed struct {
	client  *http.Client
	bound   *fetch.Bound
	fetcher *fetch.Fetcher
	host    string
}

func (r *running) signed() (*signed, error) {
	if r.s.cfg.Web == nil || r.sec.Signed == nil {
		return nil, kuva.E(kuva.CodeForbidden, "export.urls_off")
	}
	g := r.sec.Signed
	address := g.Put
	if address == "" {
		address = g.Complete
	}
	bound, err := r.s.cfg.Web.Bind(address)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: bound, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &signed{client, bound, r.s.cfg.Web, r.sp.Host}, nil
}

// answer is what came back.
type answer struct {
	tag   string // without quotes
	plain bool   // the tag of unencrypted bytes
	body  []byte
}

// do sends one request. Nothing of the address is in its errors.
func (g *signed) do(ctx context.Context, method, address string, body io.Reader, size int64, media string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, signedCall+time.Duration(size/signedSlowest)*time.Second)
	defer cancel()
	begun := time.Now()
	if body == nil {
		body, size = http.NoBody, 0
	}
	if c, ok := body.(io.Closer); ok {
		defer c.Close() //nolint:errcheck // it was only read
	}
	gone := &counted{Reader: body}
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return answer{}, kuva.E(kuva.CodeInvalid, "export.put_or_parts")
	}
	if size > 0 {
		req.Body, req.ContentLength = io.NopCloser(gone), size
	}
	if media != "" {
		req.Header.Set("Content-Type", media)
	}
	req.Header.Set("User-Agent", "kuva")
	res, err := g.client.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the address
		}
		var coded *kuva.Error
		switch cause := context.Cause(ctx); {
		case errors.As(err, &coded): // the file could not be read
			return answer{}, coded
		case errors.Is(cause, context.Canceled) || cause != nil && !errors.Is(cause, context.DeadlineExceeded):
			return answer{}, cause
		case gone.n.Load() > 0:
			return answer{}, kuva.E(kuva.CodeUnavailable, "export.broken", "host", g.host).Because(errors.New(err.Error()))
		}
		return answer{}, g.fetcher.Fail(ctx, begun, g.host, err)
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	sealed := res.Header.Get("X-Amz-Server-Side-Encryption")
	out := answer{strings.Trim(res.Header.Get("ETag"), `"`), sealed == "", text}
	switch {
	case res.StatusCode >= 500, res.StatusCode == http.StatusTooManyRequests, res.StatusCode == http.StatusRequestTimeout:
		return out, kuva.E(kuva.CodeUnavailable, "export.broken", "host", g.host).Because(fmt.Errorf("status %d", res.StatusCode))
	case res.StatusCode/100 == 3:
		return out, kuva.E(kuva.CodeConflict, "export.redirected", "host", g.host)
	case res.StatusCode/100 != 2:
		return out, kuva.E(kuva.CodeConflict, "export.url_refused", "host", g.host, "status", res.StatusCode).Because(fmt.Errorf("%.300q", text))
	case err != nil:
		return out, kuva.E(kuva.CodeUnavailable, "export.broken", "host", g.host).Because(err)
	}
	return out, nil
}

// counted counts what was read of it.
type counted struct {
	io.Reader
	n atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// toSigned writes the file to addresses that somebody else signed.
func (r *running) toSigned(ctx context.Context) error {
	g, err := r.signed()
	if err != nil {
		return err
	}
	defer g.bound.CloseIdleConnections()
	if r.row.Size < 0 {
		if err := r.measure(ctx); err != nil {
			return err
		}
	}
	if r.sec.Signed.Put != "" {
		return r.putSigned(ctx, g)
	}
	return r.partsSigned(ctx, g)
}

// measure makes a file without a length once to learn it: signed addresses
// take no body whose length is not announced.
func (r *running) measure(ctx context.Context) error {
	r.run.Say("measure the compressed file", "bytes")
	var out counter
	size, err := r.view.WriteTo(ctx, &out)
	if err != nil {
		return err
	}
	r.row.Size = size
	return r.note(ctx, func(tx *catalog.Tx) error { return catalog.SetExportSize(ctx, tx, r.row.ID, size) })
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// file runs f on the whole file from its beginning.
func (r *running) file(ctx context.Context, f func(in io.Reader) error) error {
	if r.view.Size < 0 {
		return streamed(ctx, r.view, f)
	}
	in, err := r.view.Reader(ctx, 0, r.view.Size)
	if err != nil {
		return err
	}
	return errors.Join(f(in), in.Close())
}

// putSigned sends the file by one PUT, which begins again where it breaks.
func (r *running) putSigned(ctx context.Context, g *signed) error {
	r.run.Say("export", "bytes")
	r.run.Progress(0, r.row.Size)
	sum, err := newSum(nil)
	if err != nil {
		return err
	}
	part := md5.New() //nolint:gosec // as above
	var got answer
	err = r.file(ctx, func(in io.Reader) error {
		got, err = g.do(ctx, http.MethodPut, r.sec.Signed.Put, &watched{io.TeeReader(in, io.MultiWriter(sum, part)), r, 0}, r.row.Size, r.view.Media)
		return err
	})
	if err != nil {
		return err
	}
	if err := r.note(ctx, func(tx *catalog.Tx) error { return catalog.AddExportSent(ctx, tx, r.row.ID, r.row.Size) }); err != nil {
		return err
	}
	if err := g.same(got, part.Sum(nil)); err != nil {
		return err
	}
	r.manifest.Size, r.manifest.SHA256, r.manifest.ETag, r.manifest.MadeAt = r.row.Size, hex.EncodeToString(sum.Sum(nil)), got.tag, r.s.now()
	return nil
}

// watched tells the job how far it is.
type watched struct {
	io.Reader
	r    *running
	done int64
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	w.done += int64(n)
	w.r.run.Progress(w.done, w.r.row.Size)
	return n, err
}

// same compares the tag that came back with the MD5 of what was sent, where
// the tag is one.
func (g *signed) same(got answer, sum []byte) error {
	raw, err := hex.DecodeString(got.tag)
	if err == nil && len(raw) == md5.Size && got.plain && !bytes.Equal(raw, sum) {
		return kuva.E(kuva.CodeUnavailable, "export.differs", "host", g.host).Because(errors.New("it came back with the tag " + got.tag))
	}
	return nil
}

// What a row notes as its upload: parts are being sent, and the whole was asked
// for.
const (
	sending = "sending"
	asked   = "asked"
)

// leastSigned is the least that S3 takes as a part that is not the last.
const leastSigned = 5 << 20

// partsSigned sends the file to the addresses of parts and asks for the whole.
func (r *running) partsSigned(ctx context.Context, g *signed) error {
	urls := r.sec.Signed
	c := cut(r.row.Size, leastSigned, len(urls.Parts))
	if r.row.PartSize > 0 {
		c.size = r.row.PartSize
	}
	parts, err := r.noted(ctx)
	if err != nil {
		return err
	}
	if r.row.PartSize == 0 || r.view.Size < 0 {
		parts = nil
		if err := r.note(ctx, func(tx *catalog.Tx) error { return catalog.SetExportUpload(ctx, tx, r.row.ID, sending, c.size) }); err != nil {
			return err
		}
	}
	if r.view.Size < 0 && !c.held {
		return kuva.E(kuva.CodeTooLarge, "export.few_urls", "urls", (r.row.Size+heldMost-1)/heldMost)
	}
	if !whole(parts, r.row.Size) {
		put := func(ctx context.Context, p *piece) (tag string, err error) {
			err = patiently(ctx, func() error {
				got, err := g.do(ctx, http.MethodPut, urls.Parts[p.n-1], p.open(ctx), p.size, "")
				if err != nil {
					return err
				}
				if got.tag == "" || len(got.tag) > 1024 {
					return kuva.E(kuva.CodeConflict, "export.no_tag", "host", g.host)
				}
				tag = got.tag
				return g.same(got, p.sum[:])
			})
			return tag, err
		}
		if parts, err = r.send(ctx, c, parts, put); err != nil {
			return err
		}
	}
	r.run.Say("put the object together", "bytes")
	body, err := completion(parts)
	if err != nil {
		return err
	}
	before := r.row.Upload == asked
	if err := r.note(ctx, func(tx *catalog.Tx) error { return catalog.MarkExportUpload(ctx, tx, r.row.ID, asked) }); err != nil {
		return err
	}
	var got answer
	err = patiently(ctx, func() error {
		got, err = g.do(ctx, http.MethodPost, urls.Complete, bytes.NewReader(body), int64(len(body)), "application/xml")
		return err
	})
	if before && kuva.CodeOf(err) == kuva.CodeConflict { // the upload may be gone because it was put together
		return kuva.E(kuva.CodeConflict, "export.unsure", "host", g.host).Because(err)
	}
	if err != nil {
		return err
	}
	var done struct {
		XMLName xml.Name
		ETag    string
		Code    string
	}
	if err := xml.Unmarshal(got.body, &done); err != nil || done.XMLName.Local != "CompleteMultipartUploadResult" {
		// S3 may say after a 200 that it did not work.
		return kuva.E(kuva.CodeUnavailable, "export.broken", "host", g.host).Because(fmt.Errorf("answer to the list of parts: %.300q", got.body))
	}
	return r.describe(parts, strings.Trim(done.ETag, `"`))
}

// completion is the list of parts as S3 wants it.
func completion(parts []catalog.ExportPart) ([]byte, error) {
	type part struct {
		PartNumber int
		ETag       string
	}
	var list struct {
		XMLName xml.Name `xml:"CompleteMultipartUpload"`
		Part    []part
	}
	for _, p := range parts {
		list.Part = append(list.Part, part{p.N, `"` + p.Tag + `"`})
	}
	return xml.Marshal(list)
}

// abortSigned asks for the parts to be forgotten, where there is an address
// for that.
func (r *running) abortSigned(ctx context.Context) error {
	if r.sec.Signed.Abort == "" {
		return nil
	}
	g, err := r.signed()
	if err != nil {
		return err
	}
	defer g.bound.CloseIdleConnections()
	_, err = g.do(ctx, http.MethodDelete, r.sec.Signed.Abort, nil, 0, "")
	return err
}
