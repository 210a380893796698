package tus

import (
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/images"
	"kuva/internal/transfer/upload"
)

// The protocol's headers.
const (
	headerOffset   = "Upload-Offset"
	headerLength   = "Upload-Length"
	headerDefer    = "Upload-Defer-Length"
	headerMetadata = "Upload-Metadata"
	headerConcat   = "Upload-Concat"
	headerChecksum = "Upload-Checksum"
	headerExpires  = "Upload-Expires"
	// headerImage is not the protocol's: the id of the image that the upload
	// fills.
	headerImage = "X-Image-Id"

	mediaType = "application/offset+octet-stream"
)

// checksums are the algorithms of Upload-Checksum, with their length.
var checksums = map[string]int{"sha1": 20, "sha256": 32, "sha512": 64, "md5": 16}

func bad(header string) error { return kuva.E(kuva.CodeInvalid, "tus.header", "name", header) }

// number reads a header that is a count of bytes, -1 where it is not there.
func number(h http.Header, name string) (int64, error) {
	v := h.Values(name)
	if len(v) == 0 {
		return -1, nil
	}
	n, err := strconv.ParseInt(v[0], 10, 64)
	if len(v) != 1 || err != nil || n < 0 || v[0][0] < '0' {
		return 0, bad(name)
	}
	return n, nil
}

// length reads how long an upload will be: -1 where that is to be said later.
func length(h http.Header) (int64, error) {
	n, err := number(h, headerLength)
	if err != nil {
		return 0, err
	}
	later := h.Values(headerDefer)
	switch {
	case len(later) > 0 && (len(later) != 1 || later[0] != "1" || n >= 0):
		return 0, bad(headerDefer)
	case len(later) == 0 && n < 0:
		return 0, bad(headerLength)
	}
	return n, nil
}

// parseMetadata reads Upload-Metadata: keys, each with a value in base64 or
// none, separated by commas.
func parseMetadata(text string) (map[string]string, error) {
	out := map[string]string{}
	if strings.TrimSpace(text) == "" {
		return out, nil
	}
	for pair := range strings.SplitSeq(text, ",") {
		key, encoded, _ := strings.Cut(strings.TrimSpace(pair), " ")
		value, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
		if _, twice := out[key]; key == "" || twice || err != nil || strings.ContainsFunc(key, notASCII) {
			return nil, bad(headerMetadata)
		}
		out[key] = string(value)
	}
	return out, nil
}

func notASCII(r rune) bool { return r <= ' ' || r > '~' }

func formatMetadata(m map[string]string) string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if strings.ContainsFunc(key, notASCII) || strings.Contains(key, ",") || key == "" {
			continue // not from here
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(key)
		if m[key] != "" {
			b.WriteByte(' ')
			b.WriteString(base64.StdEncoding.EncodeToString([]byte(m[key])))
		}
	}
	return b.String()
}

// parseChecksum reads Upload-Checksum: an algorithm and a digest in base64.
func parseChecksum(text string) (*images.Digest, error) {
	algo, encoded, _ := strings.Cut(text, " ")
	sum, err := base64.StdEncoding.DecodeString(encoded)
	if size := checksums[algo]; err != nil || size == 0 || len(sum) != size {
		return nil, kuva.E(kuva.CodeInvalid, "tus.checksum", "list", strings.Join(slices.Sorted(maps.Keys(checksums)), ", "))
	}
	return &images.Digest{Algo: algo, Sum: sum}, nil
}

// parseConcat reads Upload-Concat: partial, or final and the addresses of
// uploads, of which only the last element says something.
func parseConcat(text string) (partial bool, ids []string, err error) {
	if text == "" || text == "partial" {
		return text != "", nil, nil
	}
	list, ok := strings.CutPrefix(text, "final;")
	if !ok {
		return false, nil, bad(headerConcat)
	}
	for _, address := range strings.Fields(list) {
		_, id, ok := strings.Cut(address, Prefix+"/")
		if !ok || strings.Contains(id, "/") || id == "" || len(ids) >= upload.MaxPartials {
			return false, nil, bad(headerConcat)
		}
		ids = append(ids, id)
	}
	if ids == nil {
		return false, nil, bad(headerConcat)
	}
	return false, ids, nil
}

// state writes how an upload stands into the headers of an answer.
func state(h http.Header, u *catalog.Upload) {
	h.Set(headerOffset, strconv.FormatInt(u.Received, 10))
	if u.State == catalog.UploadOpen {
		h.Set(headerExpires, u.ExpiresAt.Truncate(time.Second).Format(http.TimeFormat))
	}
	if u.Image != "" {
		h.Set(headerImage, u.Image)
	}
}
