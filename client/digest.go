package client

import (
	"crypto/md5"  //nolint:gosec // what older services show
	"crypto/sha1" //nolint:gosec // the same
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"

	"kuva/api"
)

// digest is a sum of content and what it should be.
type digest struct {
	algo, want string
	hash       hash.Hash
}

// digestOf picks the best digest that an image shows; nil where it shows none
// that is known here.
func digestOf(img api.Image) *digest {
	if h := newHash(img.HashAlgo); h != nil && img.HashValue != "" {
		return &digest{strings.ToLower(img.HashAlgo), img.HashValue, h}
	}
	if img.Checksum != "" {
		return &digest{"md5", img.Checksum, newHash("md5")}
	}
	return nil
}

func newHash(algo string) hash.Hash {
	switch strings.ToLower(algo) {
	case "sha512":
		return sha512.New()
	case "sha384":
		return sha512.New384()
	case "sha256":
		return sha256.New()
	case "sha1":
		return sha1.New()
	case "md5":
		return md5.New()
	}
	return nil
}

// check compares; a nil digest agrees with everything.
func (d *digest) check() error {
	if d == nil {
		return nil
	}
	if got := hex.EncodeToString(d.hash.Sum(nil)); !strings.EqualFold(got, d.want) {
		return fmt.Errorf("%w: %s is %s here, %s there", ErrDiffers, d.algo, got, d.want)
	}
	return nil
}
