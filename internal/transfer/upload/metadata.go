package upload

import (
	"encoding/hex"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/images"
)

// What a sender says of an upload, by key. Everything else is kept and shown,
// and means nothing: tus clients add keys of their own.
const (
	KeyName       = "name"
	KeyFilename   = "filename" // the name where there is none
	KeyDiskFormat = "disk_format"
	KeyContainer  = "container_format"
	KeyVisibility = "visibility"
	KeyImage      = "image" // id of a queued image to fill; its record stays as it is
	KeyMinDisk    = "min_disk"
	KeyMinRAM     = "min_ram"
	KeyTags       = "tags"      // separated by commas
	KeyProtected  = "protected" // true or false
	KeyProperty   = "property_" // and the name of an extra property
	KeyNative     = "native"    // qcow2 or raw
	KeyTerms      = "terms"     // version of the site's terms, which the sender accepts
	KeyContent    = "content"   // exact keeps the bytes as they were sent
)

// digests are the keys of announced digests, with their length in bytes.
var digests = map[string]int{"md5": 16, "sha256": 32, "sha512": 64}

// The bounds of what is kept of it.
const (
	maxKeys     = 512
	maxMetadata = 256 << 10 // bytes of keys and values together
)

// wish is metadata understood.
type wish struct {
	image   string
	new     images.NewImage
	options catalog.UploadOptions
}

// ofRecord are the keys that say what an image's record is to be.
var ofRecord = []string{KeyName, KeyContainer, KeyVisibility, KeyMinDisk, KeyMinRAM, KeyTags, KeyProtected}

// parse reads metadata. Whether the record can be so is the images' to say.
func parse(m map[string]string) (w wish, err error) {
	if err := bounded(m); err != nil {
		return w, err
	}
	n := &w.new
	n.Name = m[KeyName]
	if file := m[KeyFilename]; n.Name == "" && file != "" {
		n.Name = path.Base(strings.ReplaceAll(file, `\`, "/"))
	}
	n.DiskFormat, n.ContainerFormat = m[KeyDiskFormat], m[KeyContainer]
	if n.ContainerFormat == "" {
		n.ContainerFormat = "bare"
	}
	n.Visibility = kuva.Visibility(m[KeyVisibility])
	for key, to := range map[string]*int64{KeyMinDisk: &n.MinDisk, KeyMinRAM: &n.MinRAM} {
		if v := m[key]; v != "" {
			if *to, err = strconv.ParseInt(v, 10, 32); err != nil {
				return w, badValue(key)
			}
		}
	}
	if v := m[KeyTags]; v != "" {
		for tag := range strings.SplitSeq(v, ",") {
			n.Tags = append(n.Tags, strings.TrimSpace(tag))
		}
	}
	switch m[KeyProtected] {
	case "true":
		n.Protected = true
	case "", "false":
	default:
		return w, badValue(KeyProtected)
	}
	for key, value := range m {
		if name, ok := strings.CutPrefix(key, KeyProperty); ok {
			if n.Properties == nil {
				n.Properties = map[string]string{}
			}
			n.Properties[name] = value
		}
	}
	w.image = m[KeyImage]
	if w.image != "" {
		for _, key := range ofRecord {
			if m[key] != "" {
				return w, kuva.E(kuva.CodeInvalid, "upload.image_has", "name", key)
			}
		}
		if n.Properties != nil {
			return w, kuva.E(kuva.CodeInvalid, "upload.image_has", "name", KeyProperty+"…")
		}
	}
	w.options, err = parseOptions(m)
	w.options.DiskFormat, w.options.ContainerFormat = n.DiskFormat, n.ContainerFormat
	return w, err
}

func parseOptions(m map[string]string) (o catalog.UploadOptions, err error) {
	switch m[KeyContent] {
	case "exact":
		o.Exact = true
	case "", "disk":
	default:
		return o, badValue(KeyContent)
	}
	switch o.Native = m[KeyNative]; o.Native {
	case "", "qcow2", "raw":
	default:
		return o, badValue(KeyNative)
	}
	for algo, size := range digests {
		v := strings.ToLower(m[algo])
		if v == "" {
			continue
		}
		if sum, err := hex.DecodeString(v); err != nil || len(sum) != size {
			return o, kuva.E(kuva.CodeInvalid, "image.bad_digest", "algo", algo)
		}
		if o.Digests == nil {
			o.Digests = map[string]string{}
		}
		o.Digests[algo] = v
	}
	return o, nil
}

func bounded(m map[string]string) error {
	sum := 0
	for key, value := range m {
		sum += len(key) + len(value)
		if !plain(key) || !plain(value) {
			return kuva.E(kuva.CodeInvalid, "upload.metadata_text", "name", shown(key))
		}
	}
	if len(m) > maxKeys || sum > maxMetadata {
		return kuva.E(kuva.CodeTooLarge, "upload.metadata_large", "keys", maxKeys, "limit", maxMetadata)
	}
	return nil
}

// plain reports whether s can be stored as it is on both engines.
func plain(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

func badValue(key string) error {
	return kuva.E(kuva.CodeInvalid, "upload.metadata_value", "name", key)
}

// shown keeps a name of any length and content out of a sentence.
func shown(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s[:min(len(s), 64)])
}
