package imagev2

import (
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"kuva"
	"kuva/internal/images"
)

// TestDecodePatch goes through the rules for changes row by row. A case
// without a code is accepted and gives the changes.
func TestDecodePatch(t *testing.T) {
	name := func(op string, value any) []change { return []change{{op: op, name: "name", value: value}} }
	tests := []struct {
		about, body string
		draft4      bool
		code        kuva.Code
		want        []change
	}{
		{about: "replace", body: `[{"op":"replace","path":"/name","value":"x"}]`, want: name("replace", "x")},
		{about: "add", body: `[{"op":"add","path":"/name","value":"x"}]`, want: name("add", "x")},
		{about: "remove of a property", body: `[{"op":"remove","path":"/foo"}]`, want: []change{{op: "remove", name: "foo"}}},
		{about: "none", body: `[]`, want: []change{}},
		{about: "null is empty text", body: `[{"op":"replace","path":"/name","value":null}]`, want: name("replace", "")},
		{about: "order is kept", body: `[{"op":"add","path":"/b","value":"1"},{"op":"remove","path":"/a"}]`, want: []change{{op: "add", name: "b", value: "1"}, {op: "remove", name: "a"}}},
		{about: "escaped name", body: `[{"op":"add","path":"/a~1b","value":"1"}]`, want: []change{{op: "add", name: "a/b", value: "1"}}},
		{about: "tags", body: `[{"op":"replace","path":"/tags","value":["a","b"]}]`, want: []change{{op: "replace", name: "tags", value: []any{"a", "b"}}}},
		{about: "extra members", body: `[{"op":"add","path":"/a","value":"1","from":"/b"}]`, want: []change{{op: "add", name: "a", value: "1"}}},

		{about: "object", body: `{"op":"add"}`, code: kuva.CodeInvalid},
		{about: "string", body: `"x"`, code: kuva.CodeInvalid},
		{about: "null", body: `null`, code: kuva.CodeInvalid},
		{about: "empty", body: ``, code: kuva.CodeInvalid},
		{about: "not JSON", body: `[{`, code: kuva.CodeInvalid},
		{about: "two values", body: `[] []`, code: kuva.CodeInvalid},
		{about: "not objects", body: `[1]`, code: kuva.CodeInvalid},
		{about: "no op", body: `[{"path":"/a","value":"1"}]`, code: kuva.CodeInvalid},
		{about: "op is no string", body: `[{"op":1,"path":"/a","value":"1"}]`, code: kuva.CodeInvalid},
		{about: "test", body: `[{"op":"test","path":"/a","value":"1"}]`, code: kuva.CodeInvalid},
		{about: "move", body: `[{"op":"move","path":"/a","from":"/b"}]`, code: kuva.CodeInvalid},
		{about: "copy", body: `[{"op":"copy","path":"/a","from":"/b"}]`, code: kuva.CodeInvalid},
		{about: "no path", body: `[{"op":"add","value":"1"}]`, code: kuva.CodeInvalid},
		{about: "path is no string", body: `[{"op":"add","path":["a"],"value":"1"}]`, code: kuva.CodeInvalid},
		{about: "no value for add", body: `[{"op":"add","path":"/a"}]`, code: kuva.CodeInvalid},
		{about: "no value for replace", body: `[{"op":"replace","path":"/a"}]`, code: kuva.CodeInvalid},
		{about: "no slash", body: `[{"op":"add","path":"a","value":"1"}]`, code: kuva.CodeInvalid},
		{about: "empty part", body: `[{"op":"add","path":"/a//b","value":"1"}]`, code: kuva.CodeInvalid},
		{about: "slash at the end", body: `[{"op":"add","path":"/a/","value":"1"}]`, code: kuva.CodeInvalid},
		{about: "unknown escape", body: `[{"op":"add","path":"/a~2","value":"1"}]`, code: kuva.CodeInvalid},
		{about: "deep", body: `[{"op":"add","path":"/a/b","value":"1"}]`, code: kuva.CodeInvalid},
		{about: "deep tags", body: `[{"op":"add","path":"/tags/-","value":"1"}]`, code: kuva.CodeInvalid},
		{about: "property is no string", body: `[{"op":"add","path":"/a","value":1}]`, code: kuva.CodeInvalid},
		{about: "property is null", body: `[{"op":"add","path":"/a","value":null}]`, code: kuva.CodeInvalid},
		{about: "kernel may be null", body: `[{"op":"add","path":"/kernel_id","value":null}]`, want: []change{{op: "add", name: "kernel_id", value: ""}}},
		{about: "protected is no boolean", body: `[{"op":"replace","path":"/protected","value":"true"}]`, code: kuva.CodeInvalid},
		{about: "min_disk is no integer", body: `[{"op":"replace","path":"/min_disk","value":1.5}]`, code: kuva.CodeInvalid},
		{about: "min_disk is negative", body: `[{"op":"replace","path":"/min_disk","value":-1}]`, code: kuva.CodeInvalid},
		{about: "min_ram is huge", body: `[{"op":"replace","path":"/min_ram","value":1e300}]`, code: kuva.CodeInvalid},
		{about: "tags are no strings", body: `[{"op":"replace","path":"/tags","value":["a",1]}]`, code: kuva.CodeInvalid},
		{about: "visibility is null", body: `[{"op":"replace","path":"/visibility","value":null}]`, code: kuva.CodeInvalid},

		{about: "location at a position", body: `[{"op":"add","path":"/locations/1","value":{"url":"x","metadata":{}}}]`, code: kuva.CodeForbidden},
		{about: "location at the end", body: `[{"op":"add","path":"/locations/-","value":{"url":"x","metadata":{}}}]`, code: kuva.CodeForbidden},
		{about: "location removed", body: `[{"op":"remove","path":"/locations/1"}]`, code: kuva.CodeForbidden},
		{about: "locations replaced", body: `[{"op":"replace","path":"/locations","value":[]}]`, code: kuva.CodeForbidden},
		{about: "locations added", body: `[{"op":"add","path":"/locations","value":[]}]`, code: kuva.CodeInvalid},
		{about: "location replaced", body: `[{"op":"replace","path":"/locations/1","value":{}}]`, code: kuva.CodeInvalid},
		{about: "location nowhere", body: `[{"op":"add","path":"/locations/x","value":{}}]`, code: kuva.CodeInvalid},
		{about: "location deeper", body: `[{"op":"add","path":"/locations/0/url","value":"x"}]`, code: kuva.CodeInvalid},

		{about: "base removed", body: `[{"op":"remove","path":"/name"}]`, code: kuva.CodeForbidden},
		{about: "tags removed", body: `[{"op":"remove","path":"/tags"}]`, code: kuva.CodeForbidden},
		{about: "location", body: `[{"op":"add","path":"/location","value":"x"}]`, code: kuva.CodeForbidden},
		{about: "deleted", body: `[{"op":"add","path":"/deleted","value":"x"}]`, code: kuva.CodeForbidden},
		{about: "deleted_at", body: `[{"op":"add","path":"/deleted_at","value":"x"}]`, code: kuva.CodeForbidden},
		{about: "os_glance", body: `[{"op":"add","path":"/os_glance_foo","value":"x"}]`, code: kuva.CodeForbidden},
		{about: "os_glance removed", body: `[{"op":"remove","path":"/os_glance"}]`, code: kuva.CodeForbidden},
		{about: "one of several fails", body: `[{"op":"add","path":"/a","value":"1"},{"op":"add","path":"/size","value":1}]`, code: kuva.CodeForbidden},

		{about: "draft 4 replace", draft4: true, body: `[{"replace":"/name","value":"x"}]`, want: []change{{op: "replace", name: "name", value: "x", strict: true}}},
		{about: "draft 4 add", draft4: true, body: `[{"add":"/a","value":"x"}]`, want: []change{{op: "add", name: "a", value: "x", strict: true}}},
		{about: "draft 4 remove", draft4: true, body: `[{"remove":"/a"}]`, want: []change{{op: "remove", name: "a", strict: true}}},
		{about: "draft 4 without op", draft4: true, body: `[{"value":"x"}]`, code: kuva.CodeInvalid},
		{about: "draft 4 with two", draft4: true, body: `[{"add":"/a","remove":"/a","value":"x"}]`, code: kuva.CodeInvalid},
		{about: "draft 4 path is no string", draft4: true, body: `[{"add":{},"value":"x"}]`, code: kuva.CodeInvalid},
		{about: "draft 4 without value", draft4: true, body: `[{"add":"/a"}]`, code: kuva.CodeInvalid},
		{about: "2.1 in draft 4", draft4: true, body: `[{"op":"add","path":"/a","value":"x"}]`, code: kuva.CodeInvalid},
		{about: "draft 4 in 2.1", body: `[{"add":"/a","value":"x"}]`, code: kuva.CodeInvalid},
	}
	for name := range readOnly {
		tests = append(tests, struct {
			about, body string
			draft4      bool
			code        kuva.Code
			want        []change
		}{about: "read-only " + name, body: `[{"op":"replace","path":"/` + name + `","value":"x"}]`, code: kuva.CodeForbidden})
	}
	for _, test := range tests {
		t.Run(test.about, func(t *testing.T) {
			got, err := decodePatch([]byte(test.body), test.draft4)
			if kuva.CodeOf(err) != test.code {
				t.Fatalf("got %v, want code %q", err, test.code)
			}
			if err == nil && !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestPatchIsBounded(t *testing.T) {
	one := `{"op":"add","path":"/a","value":"1"},`
	body := "[" + strings.Repeat(one, maxChanges) + strings.TrimSuffix(one, ",") + "]"
	if _, err := decodePatch([]byte(body), false); kuva.CodeOf(err) != kuva.CodeTooLarge {
		t.Errorf("%d operations gave %v", maxChanges+1, err)
	}
}

func TestOperations(t *testing.T) {
	got := operations([]change{{op: "add", name: "a"}, {op: "add", name: "b", strict: true}, {op: "replace", name: "c"}, {op: "remove", name: "d"}})
	want := []images.Op{images.OpAdd, images.OpCreate, images.OpReplace, images.OpRemove}
	for i := range want {
		if got[i].Op != want[i] {
			t.Errorf("operation %d became %v, want %v", i, got[i].Op, want[i])
		}
	}
}

func TestPatchMediaType(t *testing.T) {
	for media, ok := range map[string]bool{
		patch21: true, patchDraft4: true, patch21 + "; charset=utf-8": true,
		"application/json": false, "": false, "application/json-patch+json": false, "text": false, ";": false,
	} {
		r := httptest.NewRequest("PATCH", "/", strings.NewReader("[]"))
		r.Header.Set("Content-Type", media)
		w := httptest.NewRecorder()
		_, _, err := readPatch(w, r)
		if ok != (err == nil) || !ok && kuva.CodeOf(err) != kuva.CodeUnsupported {
			t.Errorf("%q: %v", media, err)
		}
		if got := w.Header().Get("Accept-Patch"); !ok && got != acceptPatch {
			t.Errorf("%q: Accept-Patch is %q", media, got)
		}
	}
}

func FuzzPatch(f *testing.F) {
	f.Add([]byte(`[{"op":"add","path":"/a~1","value":"1"},{"op":"remove","path":"/b"}]`), false)
	f.Add([]byte(`[{"replace":"/tags","value":["a"]}]`), true)
	f.Add([]byte(`[{"op":"replace","path":"/min_disk","value":1e9}]`), false)
	f.Add([]byte(`[[[[`), false)
	f.Fuzz(func(t *testing.T, body []byte, draft4 bool) {
		changes, err := decodePatch(body, draft4)
		if err != nil {
			if c := kuva.CodeOf(err); c == kuva.CodeInternal {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		for _, c := range changes {
			if c.name == "" || readOnly[c.name] || reserved[c.name] || c.op == "remove" && (isBase(c.name) || c.value != nil) {
				t.Fatalf("%q let %+v through", body, c)
			}
		}
	})
}
