package imagev2

import (
	"encoding/json"
	"reflect"
	"testing"

	"kuva"
	"kuva/internal/metadef"
)

// FuzzNamespace: what is no document is refused with a code; one that passes
// its check says the same after it was answered and read again.
func FuzzNamespace(f *testing.F) {
	usual, err := metadef.Usual()
	if err != nil {
		f.Fatal(err)
	}
	for i := range usual {
		b, err := json.Marshal(usual[i])
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, seed := range []string{
		whole("seed"), ``, `null`, `[]`, `{"namespace":1}`, `{"namespace":"a","tags":[null]}`, `{"namespace":"a","properties":{"p":null}}`,
		`{"namespace":"a","properties":{"":{"type":"string","title":"x"}}}`, `{"namespace":"a","objects":[{"name":"o","properties":{"p":{"type":"string","title":"x","enum":[1,true,"x"]}}}]}`,
		`{"namespace":"a","NAMESPACE":"b"}`, `{"namespace":"a","self":""}`, `{"namespace":"\ud800"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		doc, err := parseNamespace(body)
		if err == nil {
			err = doc.Check()
		}
		if err != nil {
			if kuva.CodeOf(err) == kuva.CodeInternal {
				t.Fatalf("no code: %v", err)
			}
			return
		}
		b, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseNamespace(b)
		if err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		c, err := json.Marshal(again)
		if err != nil || !reflect.DeepEqual(b, c) {
			t.Fatalf("%v: not the same again:\n%s\n%s", err, b, c)
		}
	})
}
