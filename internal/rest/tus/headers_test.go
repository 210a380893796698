package tus

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"kuva/internal/transfer/upload"
)

// FuzzMetadata: what is read is what is written again.
func FuzzMetadata(f *testing.F) {
	for _, s := range []string{"", "name YQ==", "filename d29ybGRfZG9taW5hdGlvbl9wbGFuLnBkZg==,is_confidential", "a,b ,c YQ==", "name %%%", ",", "a YQ,b YQ==", "ä YQ=="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := parseMetadata(text)
		if err != nil {
			return
		}
		again, err := parseMetadata(formatMetadata(m))
		if err != nil || !maps.Equal(m, again) {
			t.Fatalf("%q is %v, and then %v, %v", text, m, again, err)
		}
	})
}

// FuzzHeaders: no header makes a panic, an id with a slash or a size below 0.
func FuzzHeaders(f *testing.F) {
	for _, s := range []string{"partial", "final;/files/a /files/b", "final;https://x/files/a", "final;", "final;/files/../x", "sha1 AAAA", "md5 ", "1", "-1", "+1", "0x1", "99999999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, ids, err := parseConcat(text)
		for _, id := range ids {
			if err != nil || id == "" || strings.ContainsAny(id, "/ ") {
				t.Errorf("%q names %q, %v", text, id, err)
			}
		}
		if len(ids) > upload.MaxPartials {
			t.Errorf("%d partial uploads", len(ids))
		}
		if d, err := parseChecksum(text); err == nil && len(d.Sum) != checksums[d.Algo] {
			t.Errorf("%q is %+v", text, d)
		}
		h := http.Header{headerLength: {text}, headerOffset: {text}}
		if n, err := number(h, headerOffset); err == nil && n < 0 {
			t.Errorf("%q is %d", text, n)
		}
		if n, err := length(h); err == nil && n < 0 {
			t.Errorf("%q is a length of %d", text, n)
		}
	})
}
