// Package encrypted recognises files that somebody encrypted as a whole, by
// their first bytes, so that whoever is about to bring one hears it before the
// bytes travel: nothing but its key makes a disk of it.
package encrypted

import (
	"bytes"
	"encoding/binary"
)

// HeadLen is how many bytes of a file Detect wants to see. Fewer are enough
// where the file is shorter; with fewer of a longer one some OpenPGP messages
// to many recipients are missed.
const HeadLen = 4096

// Names of what Detect knows, for people.
const (
	OpenSSL = "OpenSSL" // openssl enc
	Age     = "age"     // age-encryption.org/v1
	OpenPGP = "OpenPGP" // GnuPG and others, RFC 9580
	LUKS    = "LUKS"    // a volume of dm-crypt
)

// texts are what files begin with that are told by that alone.
var texts = []struct{ name, head string }{
	{OpenSSL, "Salted__"},
	{OpenSSL, "U2FsdGVkX1"}, // the same in base64
	{Age, "age-encryption.org/v1\n"},
	{Age, "-----BEGIN AGE ENCRYPTED FILE-----"},
	{OpenPGP, "-----BEGIN PGP MESSAGE-----"},
	{LUKS, "LUKS\xba\xbe"},
}

// Detect tells by the first bytes of a file what it is encrypted with: one of
// the names above, or "".
func Detect(head []byte) string {
	for _, t := range texts {
		if bytes.HasPrefix(head, []byte(t.head)) {
			return t.name
		}
	}
	if openPGP(head) {
		return OpenPGP
	}
	return ""
}

// Packets of OpenPGP (RFC 9580 §5) that an encrypted message is made of.
const (
	tagPublicKeySession = 1
	tagSymmetricSession = 3
	tagEncrypted        = 9
	tagMarker           = 10
	tagProtected        = 18
	tagAEAD             = 20 // GnuPG's own
)

// maxRecipients of one message are followed.
const maxRecipients = 64

// openPGP follows the packets of a binary message: session keys, and then the
// encrypted data. One byte with its high bit set would not be proof enough, so
// at least one session key must be well formed, and what follows the last that
// is in head must belong to the message too.
func openPGP(head []byte) bool {
	keys := 0
	for range maxRecipients {
		tag, body, next, ok := packet(head)
		if !ok {
			return false
		}
		switch tag {
		case tagMarker:
			if !bytes.Equal(body, []byte("PGP")) {
				return false
			}
		case tagPublicKeySession, tagSymmetricSession:
			if !sessionKey(tag, body) {
				return false
			}
			keys++
			if next > len(head) { // the rest is beyond what there is to see
				return true
			}
		case tagProtected, tagAEAD:
			return keys > 0 && len(body) > 0 && (body[0] == 1 || body[0] == 2)
		case tagEncrypted:
			return keys > 0
		default:
			return false
		}
		if next >= len(head) {
			return keys > 0
		}
		head = head[next:]
	}
	return keys > 0
}

// packet reads the header in front of head (RFC 9580 §4.2). body is what there
// is to see of the packet, next where another begins; a packet of unknown
// length has none.
func packet(head []byte) (tag byte, body []byte, next int, ok bool) {
	if len(head) < 2 || head[0]&0x80 == 0 {
		return 0, nil, 0, false
	}
	size, skip := 0, 0
	if head[0]&0x40 != 0 {
		tag = head[0] & 0x3f
		switch l := head[1]; {
		case l < 192:
			size, skip = int(l), 2
		case l < 224 && len(head) >= 3:
			size, skip = (int(l)-192)<<8+int(head[2])+192, 3
		case l == 255 && len(head) >= 6:
			size, skip = int(min(binary.BigEndian.Uint32(head[2:]), 1<<30)), 6
		case l >= 224 && l < 255: // the first of several pieces
			size, skip = 1<<(l&0x1f), 2
		default:
			return 0, nil, 0, false
		}
	} else {
		tag = head[0] >> 2 & 0xf
		switch kind := head[0] & 3; {
		case kind == 0:
			size, skip = int(head[1]), 2
		case kind == 1 && len(head) >= 3:
			size, skip = int(binary.BigEndian.Uint16(head[1:])), 3
		case kind == 2 && len(head) >= 5:
			size, skip = int(min(binary.BigEndian.Uint32(head[1:]), 1<<30)), 5
		case kind == 3:
			size, skip = 1<<30, 1
		default:
			return 0, nil, 0, false
		}
	}
	next = skip + size
	return tag, head[skip:min(next, len(head))], next, true
}

// sessionKey holds the key of a message to its rules: version, algorithm and
// how long it may be.
func sessionKey(tag byte, b []byte) bool {
	if len(b) < 2 {
		return false
	}
	if tag == tagSymmetricSession {
		switch b[0] {
		case 4: // cipher, then a string-to-key specifier of four kinds
			return len(b) >= 4 && b[1] >= 1 && b[1] <= 13 && (b[2] == 0 || b[2] == 1 || b[2] == 3 || b[2] == 4) && len(b) < 200
		case 5, 6:
			return len(b) >= 8 && len(b) < 200
		}
		return false
	}
	switch b[0] {
	case 3: // key id, algorithm
		return len(b) >= 12 && algorithm(b[9])
	case 6:
		// Length of a fingerprint with its version, fingerprint, algorithm.
		n := int(b[1])
		return (n == 0 || n == 21 || n == 33) && len(b) >= 4+n && algorithm(b[2+n])
	}
	return false
}

// algorithm tells those that encrypt (RFC 9580 §9.1).
func algorithm(b byte) bool {
	switch b {
	case 1, 2, 16, 18, 25, 26:
		return true
	}
	return false
}
