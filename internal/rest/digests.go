package rest

import (
	"crypto/md5"  //nolint:gosec // the Image API names content by it
	"crypto/sha1" //nolint:gosec // a sender may announce it
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"

	"kuva"
	"kuva/internal/images"
)

// digestSizes are the algorithms of the Digest header (RFC 3230) that are
// enforced, as package images names them, with their length in bytes.
var digestSizes = map[string]struct {
	algo string
	size int
}{
	"md5": {"md5", md5.Size}, "sha": {"sha1", sha1.Size}, "sha-256": {"sha256", sha256.Size}, "sha-512": {"sha512", sha512.Size},
}

// maxDigests bounds the entries of a Digest header.
const maxDigests = 16

// Announced reads the digests that an upload was sent with: Content-MD5 (in
// hex as the reference sends it, or in base64 as RFC 1864 has it), Digest, and
// x-kuva-sha512 in hex. Algorithms that are not known are left out, as RFC
// 3230 wants it; a known one that is malformed is an error, because its sender
// expects it to be enforced.
func Announced(header http.Header) ([]images.Digest, error) {
	var out []images.Digest
	add := func(field, algo, value string, size int) error {
		sum, ok := sumOf(strings.TrimSpace(value), size)
		if !ok {
			return kuva.E(kuva.CodeInvalid, "imagev2.digest", "header", field)
		}
		out = append(out, images.Digest{Algo: algo, Sum: sum})
		return nil
	}
	if value := header.Get("Content-MD5"); value != "" {
		if err := add("Content-MD5", "md5", value, md5.Size); err != nil {
			return nil, err
		}
	}
	if value := header.Get("X-Kuva-Sha512"); value != "" {
		if err := add("x-kuva-sha512", "sha512", value, sha512.Size); err != nil {
			return nil, err
		}
	}
	entries := strings.SplitN(strings.Join(header.Values("Digest"), ","), ",", maxDigests+1)
	if len(entries) > maxDigests {
		return nil, kuva.E(kuva.CodeInvalid, "imagev2.digest", "header", "Digest")
	}
	for _, entry := range entries {
		name, value, _ := strings.Cut(strings.TrimSpace(entry), "=")
		known, ok := digestSizes[strings.ToLower(name)]
		if !ok {
			continue
		}
		if err := add("Digest", known.algo, value, known.size); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// sumOf reads a digest of size bytes in hex or base64. The two cannot be
// confused: they differ in length.
func sumOf(value string, size int) ([]byte, bool) {
	if len(value) == hex.EncodedLen(size) {
		sum, err := hex.DecodeString(value)
		return sum, err == nil
	}
	if len(value) != base64.StdEncoding.EncodedLen(size) {
		return nil, false
	}
	sum, err := base64.StdEncoding.Strict().DecodeString(value)
	return sum, err == nil && len(sum) == size
}
