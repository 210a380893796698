package depot

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/zeebo/blake3"

	"kuva/chunk"
)

// ErrDamaged means that stored bytes failed their check: they are never
// handed out.
var ErrDamaged = errors.New("stored bytes are damaged")

// A sealed chunk is: encoding 1, nonce 12, ciphertext, tag 16. The encoding
// is part of the associated data. The nonce is random although each chunk has
// a key of its own, because a later writer may compress the same chunk to
// other bytes under the same key.
const (
	encodingRaw  = 0
	encodingZstd = 1
	nonceLen     = 12
	tagLen       = 16
	sealOverhead = 1 + nonceLen + tagLen
	maxSealedLen = chunk.Size + sealOverhead
)

// realmKeys are the secrets of one key id of one realm. They never leave the
// process.
type realmKeys struct {
	realm   int64
	keyID   int64
	nameKey [32]byte // one for all key ids of a realm
	dataKey [32]byte
	packMAC [32]byte
}

func newRealmKeys(realm, keyID int64, nameKey, dataKey [32]byte) (*realmKeys, error) {
	k := &realmKeys{realm: realm, keyID: keyID, nameKey: nameKey, dataKey: dataKey}
	mac, err := hkdf.Key(sha256.New, dataKey[:], nil, "kuva pack mac", 32)
	if err != nil {
		return nil, err
	}
	copy(k.packMAC[:], mac)
	return k, nil
}

// name hashes a chunk's plain hash under the realm's name key.
func (k *realmKeys) name(h chunk.Hash) Name { return Name(chunk.Keyed(&k.nameKey, h)) }

func (k *realmKeys) aead(purpose string, salt []byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, k.dataKey[:], salt, purpose, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func (k *realmKeys) chunkAD(name Name, encoding byte) []byte {
	ad := make([]byte, 0, 49)
	ad = binary.LittleEndian.AppendUint64(ad, uint64(k.realm))
	ad = binary.LittleEndian.AppendUint64(ad, uint64(k.keyID))
	ad = append(ad, name[:]...)
	return append(ad, encoding)
}

// seal appends the sealed form of the chunk plain to dst.
func (k *realmKeys) seal(dst []byte, name Name, plain []byte) ([]byte, error) {
	aead, err := k.aead("kuva chunk", name[:])
	if err != nil {
		return nil, err
	}
	encoding, body := compress(plain)
	dst = append(dst, encoding)
	at := len(dst)
	dst = append(dst, make([]byte, nonceLen)...)
	if _, err := rand.Read(dst[at:]); err != nil {
		return nil, err
	}
	nonce := dst[at : at+nonceLen : at+nonceLen]
	dst = aead.Seal(dst, nonce, body, k.chunkAD(name, encoding))
	if encoding == encodingZstd {
		scratch.Put(&body)
	}
	return dst, nil
}

// open appends the chunk, whose length must be plainLen, to dst. Sealed is
// overwritten. Any mismatch is ErrDamaged.
func (k *realmKeys) open(dst []byte, name Name, sealed []byte, plainLen int) ([]byte, error) {
	if len(sealed) < sealOverhead {
		return nil, fmt.Errorf("chunk %x: %w: cut short", name[:8], ErrDamaged)
	}
	aead, err := k.aead("kuva chunk", name[:])
	if err != nil {
		return nil, err
	}
	nonce, body, start := sealed[1:1+nonceLen], sealed[1+nonceLen:], len(dst)
	switch sealed[0] {
	case encodingRaw:
		dst, err = aead.Open(dst, nonce, body, k.chunkAD(name, encodingRaw))
		if err != nil {
			return nil, fmt.Errorf("chunk %x: %w", name[:8], ErrDamaged)
		}
	case encodingZstd:
		packed, err := aead.Open(body[:0], nonce, body, k.chunkAD(name, encodingZstd))
		if err != nil {
			return nil, fmt.Errorf("chunk %x: %w", name[:8], ErrDamaged)
		}
		if dst, err = decoderZstd.DecodeAll(packed, dst); err != nil {
			return nil, fmt.Errorf("chunk %x: %w: %w", name[:8], ErrDamaged, err)
		}
	default:
		return nil, fmt.Errorf("chunk %x: %w: encoding %d", name[:8], ErrDamaged, sealed[0])
	}
	if len(dst)-start != plainLen {
		return nil, fmt.Errorf("chunk %x: %w: %d bytes instead of %d", name[:8], ErrDamaged, len(dst)-start, plainLen)
	}
	return dst, nil
}

// A sealed record (root, card) is: magic 8, realm 8, key id 8, nonce 12,
// ciphertext, tag. Its blob key is part of the associated data, so a record
// cannot be moved to another place.
const recordHeaderLen = 8 + 8 + 8 + nonceLen

func (k *realmKeys) sealRecord(magic, blobKey string, body []byte) ([]byte, error) {
	if len(magic) != 8 {
		return nil, fmt.Errorf("magic %q is not 8 bytes", magic)
	}
	aead, err := k.aead("kuva record "+magic, nil)
	if err != nil {
		return nil, err
	}
	b := append([]byte(magic), make([]byte, 28)...)
	binary.LittleEndian.PutUint64(b[8:], uint64(k.realm))
	binary.LittleEndian.PutUint64(b[16:], uint64(k.keyID))
	if _, err := rand.Read(b[24:recordHeaderLen]); err != nil {
		return nil, err
	}
	encoding, packed := compress(body)
	ad := append(append(append([]byte{}, b[:24]...), blobKey...), encoding)
	b = append(b, encoding)
	return aead.Seal(b, b[24:recordHeaderLen:recordHeaderLen], packed, ad), nil
}

// recordKeys says which realm and key id a record names, before it is opened.
func recordKeys(magic string, b []byte) (realm, keyID int64, err error) {
	if len(b) < recordHeaderLen+1+tagLen || !bytes.Equal(b[:8], []byte(magic)) {
		return 0, 0, fmt.Errorf("%w: no %s record", ErrDamaged, magic)
	}
	return int64(binary.LittleEndian.Uint64(b[8:])), int64(binary.LittleEndian.Uint64(b[16:])), nil
}

// maxRecordLen bounds what a record may unpack to: the root of an object of
// some 2 million segments.
const maxRecordLen = 256 << 20

func (k *realmKeys) openRecord(magic, blobKey string, b []byte) ([]byte, error) {
	if _, _, err := recordKeys(magic, b); err != nil {
		return nil, err
	}
	aead, err := k.aead("kuva record "+magic, nil)
	if err != nil {
		return nil, err
	}
	encoding := b[recordHeaderLen]
	ad := append(append(append([]byte{}, b[:24]...), blobKey...), encoding)
	body, err := aead.Open(nil, b[24:recordHeaderLen], b[recordHeaderLen+1:], ad)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", blobKey, ErrDamaged)
	}
	if encoding == encodingZstd {
		if body, err = decoderZstd.DecodeAll(body, nil); err != nil {
			return nil, fmt.Errorf("%s: %w: %w", blobKey, ErrDamaged, err)
		}
	}
	return body, nil
}

// macPack authenticates a pack's index and the part of its trailer before the
// MAC, at its place in the store.
func (k *realmKeys) macPack(blobKey string, index, trailer []byte) [32]byte {
	h, err := blake3.NewKeyed(k.packMAC[:])
	if err != nil {
		panic(err) // the key is 32 bytes
	}
	_, _ = h.WriteString(blobKey)
	_, _ = h.Write([]byte{0})
	_, _ = h.Write(index)
	_, _ = h.Write(trailer)
	var sum [32]byte
	h.Sum(sum[:0])
	return sum
}

// compress packs p where that saves at least 5 %. The result of encodingZstd
// is a buffer of the scratch pool.
func compress(p []byte) (encoding byte, body []byte) {
	buf := scratch.Get().(*[]byte)
	out, ok := chunk.Pack((*buf)[:0], p)
	if !ok {
		scratch.Put(&out)
		return encodingRaw, p
	}
	return encodingZstd, out
}
