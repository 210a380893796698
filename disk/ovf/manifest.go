package ovf

import (
	"crypto/sha1" //nolint:gosec // what manifests of VirtualBox and of OVF 1.0 have
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"strings"

	"kuva/disk"
)

// MaxManifest is how long a manifest may be.
const MaxManifest = 1 << 20

// Manifest is the list of a package's sums, by the names of files.
type Manifest struct {
	// Sums in the order of the manifest.
	Sums []Sum
}

// Sum of a file.
type Sum struct {
	File      string
	Algorithm string // SHA1, SHA256 or SHA512
	Hex       string // lower case
}

// New makes a hash of the sum's algorithm.
func (s *Sum) New() hash.Hash { return algorithms[s.Algorithm]() }

var algorithms = map[string]func() hash.Hash{"SHA1": sha1.New, "SHA256": sha256.New, "SHA512": sha512.New}

// ParseManifest reads lines such as "SHA256(disk1.vmdk)= 0a1b…" (DSP0243 §5.1),
// with blanks around the name or without.
func ParseManifest(text []byte) (*Manifest, error) {
	if len(text) > MaxManifest {
		return nil, disk.Refuse(name, disk.ReasonLimit, "a manifest of %d bytes", len(text))
	}
	m := &Manifest{}
	seen := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		algorithm, rest, ok1 := strings.Cut(line, "(")
		at := strings.LastIndexByte(rest, ')')
		if !ok1 || at < 0 {
			return nil, disk.Malform(name, "the manifest has the line %s", quote(line))
		}
		file, sum := rest[:at], strings.TrimSpace(rest[at+1:])
		sum, ok := strings.CutPrefix(sum, "=")
		algorithm = strings.ToUpper(strings.TrimSpace(algorithm))
		algorithm = strings.Replace(algorithm, "SHA-", "SHA", 1)
		sum = strings.ToLower(strings.TrimSpace(sum))
		make, known := algorithms[algorithm]
		if !known {
			return nil, disk.Refuse(name, disk.ReasonFeature, "the manifest has sums of %s", quote(algorithm))
		}
		if b, err := hex.DecodeString(sum); !ok || err != nil || len(b) != make().Size() || file == "" || seen[file] {
			return nil, disk.Malform(name, "the manifest has the line %s", quote(line))
		}
		seen[file] = true
		m.Sums = append(m.Sums, Sum{File: file, Algorithm: algorithm, Hex: sum})
	}
	return m, nil
}
