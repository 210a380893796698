// Package catalogue is the file in which an operator lists images that are to
// be had elsewhere: what they are, where they lie, and the digest that they must
// have. Users import from it by name and need to trust no address.
//
//	images:
//	  - name: debian-12
//	    os: Debian
//	    version: "12"
//	    architecture: x86_64
//	    url: https://cloud.debian.org/images/cloud/bookworm/…/debian-12-genericcloud-amd64.qcow2
//	    hash: sha512:3a…
//	    licence: https://www.debian.org/legal/licenses/
//	    signature: SHA512SUMS of the same folder is signed by the Debian Cloud Team
//	    disk_format: qcow2
//	    min_disk: 2
//	    min_ram: 512
//	    properties: {hw_disk_bus: virtio}
package catalogue

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"

	"kuva/internal/images"
)

// The bounds of a file.
const (
	MaxFile       = 256 << 10 // bytes
	MaxEntries    = 1000
	maxText       = 255 // bytes of a text that is not an address
	maxNote       = 2000
	maxURL        = 2000
	maxProperties = 64
	maxMinimum    = 1 << 20 // GiB and MiB
	maxDepth      = 2       // brackets inside each other
)

// Entry is one image that is to be had elsewhere.
type Entry struct {
	Name         string
	OS           string
	Version      string
	Architecture string // as in os_… properties: x86_64, aarch64
	URL          string // http or https
	Algorithm    string // of Hash: sha256 or sha512
	Hash         string // of the bytes at URL, in hexadecimal
	Licence      string
	Signature    string // how a person checks where the hash is from; "" if nothing is said
	DiskFormat   string // "" is told by the content
	MinDisk      int64  // GiB
	MinRAM       int64  // MiB
	Properties   map[string]string
}

// file and record are what stands in the file.
type file struct {
	Images []record `yaml:"images"`
}

type record struct {
	Name         text            `yaml:"name"`
	OS           text            `yaml:"os"`
	Version      text            `yaml:"version"`
	Architecture text            `yaml:"architecture"`
	URL          text            `yaml:"url"`
	Hash         text            `yaml:"hash"`
	Licence      text            `yaml:"licence"`
	Signature    text            `yaml:"signature"`
	DiskFormat   text            `yaml:"disk_format"`
	MinDisk      number          `yaml:"min_disk"`
	MinRAM       number          `yaml:"min_ram"`
	Properties   map[string]text `yaml:"properties"`
}

// text is a value with the line that it stands in.
type text struct {
	s    string
	line int
}

// UnmarshalYAML implements the decoder's interface.
func (t *text) UnmarshalYAML(n ast.Node) error {
	t.line = n.GetToken().Position.Line
	if _, scalar := n.(ast.ScalarNode); !scalar {
		return fmt.Errorf("line %d: this is no text", t.line)
	}
	return yaml.NodeToValue(n, &t.s)
}

type number struct {
	n    int64
	line int
}

// UnmarshalYAML implements the decoder's interface.
func (t *number) UnmarshalYAML(n ast.Node) error {
	t.line = n.GetToken().Position.Line
	if _, ok := n.(*ast.IntegerNode); !ok {
		return fmt.Errorf("line %d: this is no whole number", t.line)
	}
	return yaml.NodeToValue(n, &t.n)
}

// Parse reads a catalogue file. Nothing in it is guessed or passed over: an
// unknown field, a missing one or a bad value is an error with line and field.
// Anchors, aliases and tags of YAML are refused, and so is what is larger or
// deeper than a catalogue is.
func Parse(b []byte) ([]Entry, error) {
	if len(b) > MaxFile {
		return nil, fmt.Errorf("larger than %d bytes", MaxFile)
	}
	if err := plain(string(b)); err != nil {
		return nil, err
	}
	var f file
	if err := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict()).Decode(&f); err != nil && !errors.Is(err, io.EOF) { // nothing stands in it
		return nil, errors.New(strings.TrimSpace(yaml.FormatError(err, false, true)))
	}
	if len(f.Images) > MaxEntries {
		return nil, fmt.Errorf("more than %d images", MaxEntries)
	}
	lines := map[string]int{}
	out := make([]Entry, len(f.Images))
	for i := range f.Images {
		r := &f.Images[i]
		e, err := r.entry()
		if err != nil {
			return nil, fmt.Errorf("image %d: %w", i+1, err)
		}
		if line, there := lines[e.Name]; there {
			return nil, fmt.Errorf("line %d: name: %s stands in line %d already", r.Name.line, e.Name, line)
		}
		lines[e.Name] = r.Name.line
		out[i] = e
	}
	return out, nil
}

// plain refuses the parts of YAML that a catalogue has no use for, before
// anything is built of them.
func plain(s string) error {
	depth, entry, header := 0, 0, 0
	for _, t := range lexer.Tokenize(s) {
		at := func(what string) error { return fmt.Errorf("line %d: %s", t.Position.Line, what) }
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType, token.TagType, token.MappingKeyType:
			return at("anchors, aliases, merged maps, tags and complex keys are not taken")
		case token.MappingStartType, token.SequenceStartType:
			if depth++; depth > maxDepth {
				return at("too many brackets inside each other")
			}
		case token.MappingEndType, token.SequenceEndType:
			depth--
		case token.SequenceEntryType:
			if entry == t.Position.Line {
				return at("a list directly inside a list")
			}
			entry = t.Position.Line
		case token.DocumentHeaderType:
			if header++; header > 1 {
				return at("a second document")
			}
		}
		if t.Position.Column > maxURL+maxText || t.Position.IndentNum > 32 {
			return at("this stands too far to the right")
		}
	}
	return nil
}

var (
	namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,99}$`)
	sums        = map[string]int{"sha256": 32, "sha512": 64}
)

// entry checks a record.
func (r *record) entry() (e Entry, err error) {
	e = Entry{
		Name: r.Name.s, OS: r.OS.s, Version: r.Version.s, Architecture: r.Architecture.s, URL: r.URL.s, Licence: r.Licence.s,
		Signature: r.Signature.s, DiskFormat: r.DiskFormat.s, MinDisk: r.MinDisk.n, MinRAM: r.MinRAM.n, Properties: map[string]string{},
	}
	bad := func(t text, field, why string) error {
		line := t.line
		if line == 0 {
			line = r.Name.line
		}
		if line == 0 {
			return fmt.Errorf("%s: %s", field, why)
		}
		return fmt.Errorf("line %d: %s: %s", line, field, why)
	}
	for _, f := range []struct {
		field string
		text  text
		most  int
		need  bool
	}{
		{"name", r.Name, maxText, true},
		{"os", r.OS, maxText, true},
		{"version", r.Version, maxText, true},
		{"architecture", r.Architecture, maxText, true},
		{"url", r.URL, maxURL, true},
		{"hash", r.Hash, maxText, true},
		{"licence", r.Licence, maxNote, true},
		{"signature", r.Signature, maxNote, false},
		{"disk_format", r.DiskFormat, maxText, false},
	} {
		switch {
		case f.need && f.text.s == "":
			return e, bad(f.text, f.field, "is missing")
		case len(f.text.s) > f.most || strings.ContainsFunc(f.text.s, control):
			return e, bad(f.text, f.field, fmt.Sprintf("write one line of at most %d bytes", f.most))
		}
	}
	if !namePattern.MatchString(e.Name) {
		return e, bad(r.Name, "name", "write small letters, digits, dots, dashes and underscores, at most 100, a letter or digit first")
	}
	u, err := url.Parse(e.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return e, bad(r.URL, "url", "write it as https://HOST/PATH, without a user and a fragment")
	}
	var ok bool
	if e.Algorithm, e.Hash, ok = digest(r.Hash.s); !ok {
		return e, bad(r.Hash, "hash", "write sha256: or sha512: and the digest in hexadecimal")
	}
	if e.DiskFormat != "" && !slices.Contains(images.DiskFormats, e.DiskFormat) {
		return e, bad(r.DiskFormat, "disk_format", "choose one of "+strings.Join(images.DiskFormats, ", "))
	}
	for field, n := range map[string]number{"min_disk": r.MinDisk, "min_ram": r.MinRAM} {
		if n.n < 0 || n.n > maxMinimum {
			return e, bad(text{line: n.line}, field, fmt.Sprintf("write a number from 0 to %d", maxMinimum))
		}
	}
	if len(r.Properties) > maxProperties {
		return e, bad(text{}, "properties", fmt.Sprintf("more than %d", maxProperties))
	}
	for _, key := range slices.Sorted(maps.Keys(r.Properties)) {
		value := r.Properties[key]
		if key == "" || len(key) > maxText || len(value.s) > maxText || strings.ContainsFunc(key+value.s, control) {
			return e, bad(value, "properties", fmt.Sprintf("write names and values of at most %d bytes, each in one line", maxText))
		}
		e.Properties[key] = value.s
	}
	return e, nil
}

func control(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }

// digest takes a hash apart.
func digest(s string) (algorithm, sum string, ok bool) {
	algorithm, sum, _ = strings.Cut(s, ":")
	sum = strings.ToLower(sum)
	b, err := hex.DecodeString(sum)
	return algorithm, sum, err == nil && len(b) > 0 && len(b) == sums[algorithm]
}
