package rest

import (
	"crypto/md5" //nolint:gosec // named by the API
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"kuva"
	"kuva/internal/images"
)

func TestAnnounced(t *testing.T) {
	data := []byte("kuva")
	m, s, l := md5.Sum(data), sha256.Sum256(data), sha512.Sum512(data) //nolint:gosec // named by the API
	b64 := base64.StdEncoding.EncodeToString
	tests := []struct {
		about  string
		header http.Header
		want   []images.Digest
		bad    bool
	}{
		{"none", http.Header{}, nil, false},
		{"md5 in hex", http.Header{"Content-Md5": {hex.EncodeToString(m[:])}}, []images.Digest{{Algo: "md5", Sum: m[:]}}, false},
		{"md5 in base64", http.Header{"Content-Md5": {b64(m[:])}}, []images.Digest{{Algo: "md5", Sum: m[:]}}, false},
		{"sha512", http.Header{"X-Kuva-Sha512": {hex.EncodeToString(l[:])}}, []images.Digest{{Algo: "sha512", Sum: l[:]}}, false},
		{"digest", http.Header{"Digest": {"SHA-256=" + b64(s[:]) + ", md5=" + b64(m[:])}}, []images.Digest{{Algo: "sha256", Sum: s[:]}, {Algo: "md5", Sum: m[:]}}, false},
		{"two headers", http.Header{"Digest": {"sha-512=" + b64(l[:]), "unixsum=30637"}}, []images.Digest{{Algo: "sha512", Sum: l[:]}}, false},
		{"unknown", http.Header{"Digest": {"crc32c=AAAAAA=="}}, nil, false},
		{"short md5", http.Header{"Content-Md5": {"abc"}}, nil, true},
		{"no hex", http.Header{"Content-Md5": {strings.Repeat("x", 32)}}, nil, true},
		{"no base64", http.Header{"Content-Md5": {strings.Repeat("!", 24)}}, nil, true},
		{"another length in base64", http.Header{"Content-Md5": {b64(make([]byte, 18))}}, nil, true},
		{"known without value", http.Header{"Digest": {"sha-256"}}, nil, true},
		{"md5 as sha-256", http.Header{"Digest": {"sha-256=" + b64(m[:])}}, nil, true},
		{"short sha512", http.Header{"X-Kuva-Sha512": {hex.EncodeToString(s[:])}}, nil, true},
		{"very many", http.Header{"Digest": {strings.Repeat("a=b,", 1000)}}, nil, true},
	}
	for _, test := range tests {
		got, err := Announced(test.header)
		if test.bad {
			if kuva.CodeOf(err) != kuva.CodeInvalid {
				t.Errorf("%s: got %v, %v; want a refusal", test.about, got, err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %v, %v; want %v", test.about, got, err, test.want)
		}
	}
}

func FuzzDigests(f *testing.F) {
	f.Add("d41d8cd98f00b204e9800998ecf8427e", "sha-256=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "")
	f.Add("1B2M2Y8AsgTpgAmY7PhCfg==", "md5=,,=", "00")
	f.Fuzz(func(t *testing.T, md5, digest, sha512 string) {
		got, err := Announced(http.Header{"Content-Md5": {md5}, "Digest": {digest}, "X-Kuva-Sha512": {sha512}})
		if err != nil {
			return
		}
		for _, d := range got {
			want := map[string]int{"md5": 16, "sha1": 20, "sha256": 32, "sha512": 64}[d.Algo]
			if want == 0 || len(d.Sum) != want {
				t.Fatalf("%q %q %q gave %+v", md5, digest, sha512, d)
			}
		}
	})
}
