// Package link is pre-authenticated links: an address that gives the content of
// one image, or takes it, to whoever has it. A link is bound to reading, to
// writing or to both, to one image, to a format, to a time and, where its
// maker wants it, to a number of uses.
//
//	Make ── secret, once ──► /l/SECRET/NAME ──► Open ── the maker's rights, now ──► Use.View, Use.Begin
//	          │                                   │
//	          └─ SHA-256 in the row ──────────────┘ looked up by it
//
// A link is never worth more than its maker: whatever it is used for is decided
// with the rights that the maker has at that time. Links of an image end with
// it, with its deactivation and where it changes hands.
//
// # Uses
//
// A use is one download, or one upload. It is counted before the first byte. A
// download that breaks off can be gone on with, by ranges (Range, and If-Range if
// it is sent) of the same bytes (their ETag) from the same address, within 15
// minutes after the last byte, and within 24 hours from the first; neither the
// count nor the end of the link's time stands in the way of that, as with
// tokens, and its revocation does. An upload that fails gives its use back.
//
// Unknown, expired, revoked and used up links are all answered alike; see Refused.
package link

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"strings"
	"time"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/images"
	"kuva/internal/policy"
)

// The bounds of links.
const (
	DefaultAge = 24 * time.Hour      // where the maker names no time
	MaxAge     = 30 * 24 * time.Hour // that a site allows, if it does not say less
	MaxUses    = 1_000_000           // that a count may be
	MaxLinks   = 10_000              // of one project that have not expired
	MaxPage    = 1000                // links of one page

	resume  = 15 * time.Minute   // how long a use that broke off may be gone on with
	longest = 24 * time.Hour     // how long one use may last in all
	keep    = 7 * 24 * time.Hour // how long links are listed after they expired
	purge   = time.Hour          // between two looks for those that are not
	refresh = resume / 3         // between two notes that bytes still flow
	ending  = 5 * time.Second    // for a note when the caller may be gone
)

// Path is where links lead to, below the service's address.
const Path = "/l"

// Prefix begins every secret, so that scanners for leaked secrets find it.
const Prefix = "kvl_"

const secretLen = len(Prefix) + 43 // 256 bits, base64url without padding

// Config is what links stand on. DB and Images are needed.
type Config struct {
	DB     *catalog.DB
	Images *images.Service
	// Policy says who may do what; nil is the table's defaults.
	Policy *policy.Policy
	// Again says what the maker of a link may do now. nil believes what it
	// could do then, where another service keeps the users and nobody can be
	// asked without a token.
	Again func(ctx context.Context, was kuva.Principal) (kuva.Principal, error)
	// MaxAge is the longest time that a link may have; 0 is the constant's.
	MaxAge time.Duration
	// Off refuses to make links and to honour those that there are.
	Off bool
	// Now is the wall clock; nil is time.Now.
	Now func() time.Time
	// Log may be nil.
	Log *slog.Logger
}

// Service is the use cases. Its methods may be called at the same time.
type Service struct {
	cfg Config
	db  *catalog.DB
}

// New makes the use cases; it touches only memory.
func New(cfg Config) *Service {
	if cfg.MaxAge <= 0 {
		cfg.MaxAge = MaxAge
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{cfg: cfg, db: cfg.DB}
}

func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }

// Refused is the one answer to a link that is not good: unknown, expired,
// revoked, used up, for something else, or of a maker who lost the right.
func Refused() *kuva.Error { return kuva.E(kuva.CodeNotFound, "link.refused") }

// Secret is what the address of a link ends in. However it is printed, logged
// or encoded, it shows as three asterisks; Reveal is the only way to its value.
type Secret string

func newSecret() Secret {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand crashes the program instead
	return Secret(Prefix + base64.RawURLEncoding.EncodeToString(b[:]))
}

// Reveal returns the value.
func (s Secret) Reveal() string { return string(s) }

// String hides the value.
func (Secret) String() string { return "***" }

// GoString hides the value from %#v.
func (Secret) GoString() string { return `"***"` }

// LogValue hides the value from slog.
func (Secret) LogValue() slog.Value { return slog.StringValue("***") }

// MarshalText hides the value from encoders.
func (Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }

// digest is the form in which the database knows a secret. Whatever is sent is
// hashed, so that what cannot be a secret takes the same time.
func (s Secret) digest() string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawStdEncoding.EncodeToString(sum[:])
}

// FileName makes a file's name of an image's, which a stranger may have chosen:
// letters, digits, dots and dashes, nothing that hides the file or leads out
// of a folder, and the ending of the format. An image without such a name is
// called by its id.
func FileName(img *kuva.Image, ending string) string {
	const most = 100
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
			return r
		case r == ' ', r == '/', r == '+', r == ':':
			return '-'
		}
		return -1
	}, img.Name)
	name = strings.TrimLeft(name[:min(len(name), most)], ".-")
	ending = strings.TrimPrefix(ending, ".")
	if ending != "" {
		name = strings.TrimSuffix(name, "."+ending)
	}
	if strings.Trim(name, ".-_") == "" {
		name = img.ID
	}
	if ending != "" {
		name += "." + ending
	}
	return name
}
