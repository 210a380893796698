package faultys3

import (
	"context"
	"crypto/md5" //nolint:gosec // an ETag is one
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"kuva/internal/blob"
)

// markHeader is the only user metadata that objects may have. It lies in front
// of their bytes, in head bytes.
const (
	markHeader = "X-Amz-Meta-Kuva-Put"
	head       = 64
)

func (s *Server) put(key, mark string, body []byte) answer {
	whole := append(fmt.Appendf(nil, "%-*s", head, mark), body...)
	if err := blob.Put(context.Background(), s.store, key, whole); err != nil {
		return s.failed(err)
	}
	return answer{status: 200, header: map[string]string{"ETag": etag(body)}}
}

func etag(b []byte) string { return fmt.Sprintf("%q", fmt.Sprintf("%x", md5.Sum(b))) } //nolint:gosec

func (s *Server) get(key, ranges string, properties bool) answer {
	ctx := context.Background()
	mark := make([]byte, head)
	if properties {
		if _, err := s.store.Stat(ctx, key); err != nil {
			return s.failed(err)
		}
	}
	size, there := s.store.Stored()[key]
	if !there {
		return s.failed(blob.ErrNotFound)
	}
	size -= head
	a := answer{status: 200, header: map[string]string{
		"ETag": etag([]byte(key)), "Last-Modified": time.Now().UTC().Format(http.TimeFormat), "Content-Type": "application/octet-stream",
	}}
	first, last := int64(0), size-1
	if n, _ := fmt.Sscanf(ranges, "bytes=%d-%d", &first, &last); n == 2 {
		if first >= size {
			return answer{status: 416, code: "InvalidRange"}
		}
		last = min(last, size-1)
		a.status = 206
		a.header["Content-Range"] = fmt.Sprintf("bytes %d-%d/%d", first, last, size)
	}
	want := last - first + 1
	a.header["Content-Length"] = strconv.FormatInt(want, 10)
	if properties {
		if n, _ := s.store.ReadAt(ctx, key, mark, 0); n < head {
			return s.failed(io.ErrUnexpectedEOF)
		}
		a.header[markHeader] = string(trim(mark))
		return a
	}
	a.body = make([]byte, want)
	n, err := s.store.ReadAt(ctx, key, a.body, head+first)
	if int64(n) == want {
		return a
	}
	if err == io.EOF { // it came short: the answer promises all and ends before
		a.cut = true
		a.body = a.body[:n]
		return a
	}
	return s.failed(err)
}

func trim(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == ' ' {
		b = b[:len(b)-1]
	}
	return b
}

// perPage makes pages small, so that listings have several.
const perPage = 50

func (s *Server) list(prefix, after string) answer {
	type object struct {
		Key          string
		Size         int64
		LastModified time.Time
		ETag         string
	}
	var page struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		Name, Prefix          string
		KeyCount, MaxKeys     int
		IsTruncated           bool
		NextContinuationToken string `xml:",omitempty"`
		Contents              []object
	}
	page.Name, page.Prefix, page.MaxKeys = s.Bucket, prefix, perPage
	for info, err := range s.store.List(context.Background(), prefix) {
		if err != nil {
			return s.failed(err)
		}
		if info.Key <= after {
			continue
		}
		if len(page.Contents) == perPage {
			page.IsTruncated = true
			page.NextContinuationToken = page.Contents[perPage-1].Key
			break
		}
		page.Contents = append(page.Contents, object{info.Key, info.Size - head, time.Now().UTC(), etag([]byte(info.Key))})
	}
	page.KeyCount = len(page.Contents)
	return xmlAnswer(page)
}

func (s *Server) multipart(r *http.Request, key string, body []byte) answer {
	q := r.URL.Query()
	if q.Has("uploads") {
		id := fmt.Sprintf("upload-%d-%d", len(s.uploads), s.dice.Uint64())
		s.uploads[id] = &upload{key: key, mark: r.Header.Get(markHeader), parts: map[int][]byte{}, begun: time.Now()}
		return xmlAnswer(struct {
			XMLName     xml.Name `xml:"InitiateMultipartUploadResult"`
			Bucket, Key string
			UploadID    string `xml:"UploadId"`
		}{Bucket: s.Bucket, Key: key, UploadID: id})
	}
	id := q.Get("uploadId")
	u := s.uploads[id]
	if u == nil || u.key != key {
		return answer{status: 404, code: "NoSuchUpload"}
	}
	switch r.Method {
	case http.MethodPut:
		number, err := strconv.Atoi(q.Get("partNumber"))
		if err != nil {
			return answer{status: 400, code: "InvalidArgument"}
		}
		u.parts[number] = body
		return answer{status: 200, header: map[string]string{"ETag": etag(body)}}
	case http.MethodDelete:
		delete(s.uploads, id)
		return answer{status: 204}
	}
	return s.complete(id, u, body)
}

func (s *Server) complete(id string, u *upload, body []byte) answer {
	var ask struct {
		Part []struct {
			PartNumber int
			ETag       string
		}
	}
	if err := xml.Unmarshal(body, &ask); err != nil {
		return answer{status: 400, code: "MalformedXML"}
	}
	var whole []byte
	for _, p := range ask.Part {
		part, ok := u.parts[p.PartNumber]
		if e, err := strconv.Unquote(etag(part)); !ok || err != nil || e != p.ETag {
			return answer{status: 400, code: "InvalidPart"}
		}
		whole = append(whole, part...)
	}
	a := s.put(u.key, u.mark, whole)
	switch {
	case a.status == 200:
		delete(s.uploads, id)
		return xmlAnswer(struct {
			XMLName           xml.Name `xml:"CompleteMultipartUploadResult"`
			Bucket, Key, ETag string
		}{Bucket: s.Bucket, Key: u.key, ETag: etag(whole)})
	case a.status != 412 && s.dice.IntN(2) == 0: // who knows what it did
		delete(s.uploads, id)
	}
	return a
}

func (s *Server) listUploads(prefix string) answer {
	type one struct {
		Key       string
		UploadID  string `xml:"UploadId"`
		Initiated time.Time
	}
	var page struct {
		XMLName xml.Name `xml:"ListMultipartUploadsResult"`
		Bucket  string
		Upload  []one
	}
	page.Bucket = s.Bucket
	for id, u := range s.uploads {
		if len(u.key) >= len(prefix) && u.key[:len(prefix)] == prefix {
			page.Upload = append(page.Upload, one{u.key, id, u.begun.UTC()})
		}
	}
	slices.SortFunc(page.Upload, func(a, b one) int { return a.Initiated.Compare(b.Initiated) })
	return xmlAnswer(page)
}
