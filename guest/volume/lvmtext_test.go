package volume

import (
	"reflect"
	"testing"

	"kuva/guest/budget"
)

func TestParseLVM(t *testing.T) {
	got, err := parseLVM("# comment\na { b = 1 c = [\"x\", 2] f = [] }\nd=\"q\\\"\\\\\" e = -3 g = 1.5\x00\x00", nil)
	want := section{"a": section{"b": int64(1), "c": []any{"x", int64(2)}, "f": []any{}}, "d": `q"\`, "e": int64(-3), "g": "1.5"}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%#v, %v", got, err)
	}
}

func FuzzParseLVM(f *testing.F) {
	f.Add("a { b = 1 c = [\"x\", 2] }\nd=\"q\\\"\"")
	f.Add("vg { logical_volumes { root { segment1 { stripes = [\"pv0\", 0] } } } }")
	f.Fuzz(func(t *testing.T, text string) {
		top, err := parseLVM(text, budget.New(t.Context(), budget.Limits{Steps: 1 << 16}))
		if (top == nil) != (err != nil) {
			t.Errorf("%v and %v", top, err)
		}
	})
}
