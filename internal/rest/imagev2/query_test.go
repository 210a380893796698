package imagev2

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"kuva"
	"kuva/internal/images"
)

func TestParseQuery(t *testing.T) {
	yes, no := true, false
	day := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	at := time.Date(2026, 11, 21, 20, 30, 40, 0, time.UTC)
	tests := []struct {
		query string
		want  func(q *images.Query) // nil is a refusal with 400
	}{
		{"", func(*images.Query) {}},
		{"limit=10", func(q *images.Query) { q.Limit = 10 }},
		{"limit=0", func(q *images.Query) { q.Limit = 0 }},
		{"limit=1000", func(q *images.Query) { q.Limit = 1000 }},
		{"limit=1001", func(q *images.Query) { q.Limit = 1000 }},
		{"limit=99999999999999999999999999", func(q *images.Query) { q.Limit = 1000 }},
		{"limit=-1", nil},
		{"limit=", nil},
		{"limit=ten", nil},
		{"limit=1.5", nil},
		{"marker=abc", func(q *images.Query) { q.Marker = "abc" }},

		{"sort=name:asc,status:desc", func(q *images.Query) { q.Sort = []images.Sort{{Key: "name"}, {Key: "status", Desc: true}} }},
		{"sort=name", func(q *images.Query) { q.Sort = []images.Sort{{Key: "name", Desc: true}} }},
		{"sort=size%3Aasc", func(q *images.Query) { q.Sort = []images.Sort{{Key: "size"}} }},
		{"sort=name:asc,name:desc", func(q *images.Query) { q.Sort = []images.Sort{{Key: "name"}} }},
		{"sort=owner", nil},
		{"sort=", nil},
		{"sort=name:up", nil},
		{"sort=name&sort_key=size", nil},
		{"sort=name&sort_dir=asc", nil},
		{"sort_key=name", func(q *images.Query) { q.Sort = []images.Sort{{Key: "name", Desc: true}} }},
		{"sort_key=name&sort_key=size&sort_dir=asc", func(q *images.Query) { q.Sort = []images.Sort{{Key: "name"}, {Key: "size"}} }},
		{"sort_key=name&sort_dir=asc&sort_key=size&sort_dir=desc", func(q *images.Query) {
			q.Sort = []images.Sort{{Key: "name"}, {Key: "size", Desc: true}}
		}},
		{"sort_dir=asc", func(q *images.Query) { q.Sort = []images.Sort{{Key: "created_at"}} }},
		{"sort_key=name&sort_key=size&sort_key=id&sort_dir=asc&sort_dir=desc", nil},
		{"sort_dir=asc&sort_dir=desc", nil},
		{"sort_key=foo", nil},
		{"sort_key=name&sort_dir=foo", nil},

		{"name=debian", func(q *images.Query) { q.Name = []string{"debian"} }},
		{"name=eq:debian", func(q *images.Query) { q.Name = []string{"debian"} }},
		{"name=in:a,b", func(q *images.Query) { q.Name = []string{"a", "b"} }},
		{`name=in:%22a,b%22,c`, func(q *images.Query) { q.Name = []string{"a,b", "c"} }},
		{`name=in:%22a%5C%22b%22`, func(q *images.Query) { q.Name = []string{`a"b`} }},
		{"name=in:", func(q *images.Query) { q.Name = []string{""} }},
		{`name=in:%22a`, nil},
		{`name=in:%22a%22b`, nil},
		{`name=in:a%22b%22`, nil},
		{"name=neq:a", nil},
		{"name=like:a", nil},
		{"name=2026-11-21T20:30:40", func(q *images.Query) { q.Name = []string{"2026-11-21T20:30:40"} }},
		{"id=in:a,b", func(q *images.Query) { q.ID = []string{"a", "b"} }},
		{"status=active", func(q *images.Query) { q.Status = []string{"active"} }},
		{"container_format=in:bare,ovf", func(q *images.Query) { q.ContainerFormat = []string{"bare", "ovf"} }},
		{"disk_format=qcow2", func(q *images.Query) { q.DiskFormat = []string{"qcow2"} }},

		{"created_at=gt:2026-11-21T20:30:40Z", func(q *images.Query) { q.Created = []images.TimeFilter{{Op: "gt", At: at}} }},
		{"created_at=gte:2026-11-21T20:30:40Z&created_at=lt:2026-11-21", func(q *images.Query) {
			q.Created = []images.TimeFilter{{Op: "gte", At: at}, {Op: "lt", At: day}}
		}},
		{"updated_at=2026-11-21T20:30:40", func(q *images.Query) { q.Updated = []images.TimeFilter{{Op: "eq", At: at}} }},
		{"updated_at=neq:2026-11-21T22:30:40%2B02:00", func(q *images.Query) { q.Updated = []images.TimeFilter{{Op: "neq", At: at}} }},
		{"updated_at=lte:2026-11-21", func(q *images.Query) { q.Updated = []images.TimeFilter{{Op: "lte", At: day}} }},
		{"created_at=gt:yesterday", nil},
		{"created_at=in:2026-11-21", nil},
		{"created_at=", nil},

		{"size_min=5&size_max=9", func(q *images.Query) { q.Min["size"], q.Max["size"] = 5, 9 }},
		{"size_min=5&size_min=7", func(q *images.Query) { q.Min["size"] = 7 }},
		{"size=5", func(q *images.Query) { q.Min["size"], q.Max["size"] = 5, 5 }},
		{"min_ram=5", func(q *images.Query) { q.Min["min_ram"], q.Max["min_ram"] = 5, 5 }},
		{"min_ram_min=5", func(q *images.Query) { q.Min["min_ram"] = 5 }},
		{"min_disk_max=5&virtual_size_max=6", func(q *images.Query) { q.Max["min_disk"], q.Max["virtual_size"] = 5, 6 }},
		{"size_min=x", nil},
		{"size_max=1e3", nil},
		{"size=", nil},
		{"cpu_min=x", func(q *images.Query) { q.Properties["cpu_min"] = "x" }},

		{"tag=a&tag=b", func(q *images.Query) { q.Tags = []string{"a", "b"} }},
		{"visibility=all", func(q *images.Query) { q.Visibility = "all" }},
		{"visibility=community", func(q *images.Query) { q.Visibility = "community" }},
		{"visibility=", func(*images.Query) {}},
		{"visibility=secret", nil},
		{"member_status=pending", func(q *images.Query) { q.MemberStatus = "pending" }},
		{"member_status=all", func(q *images.Query) { q.MemberStatus = "all" }},
		{"member_status=maybe", nil},
		{"owner=p&checksum=c&os_hash_value=h", func(q *images.Query) { q.Owner, q.Checksum, q.HashValue = "p", "c", "h" }},
		{"protected=true", func(q *images.Query) { q.Protected = &yes }},
		{"protected=false", func(q *images.Query) { q.Protected = &no }},
		{"protected=True", nil},
		{"protected=1", nil},
		{"os_hidden=true", func(q *images.Query) { q.Hidden = true }},
		{"os_hidden=True", func(q *images.Query) { q.Hidden = true }},
		{"os_hidden=false", func(*images.Query) {}},
		{"os_hidden=yes", nil},
		{"os_distro=debian&hw%20x=1", func(q *images.Query) { q.Properties["os_distro"], q.Properties["hw x"] = "debian", "1" }},
		{"changes-since=2026-11-21", nil},
		{"deleted=true", func(*images.Query) {}},

		{"name=%zz", nil},
		{"name=%ff", nil},
		{"name=%00", nil},
		{"&&", func(*images.Query) {}},
		{strings.Repeat("tag=a&", 200), nil},
	}
	for _, test := range tests {
		params, err := parseParameters(test.query)
		var got images.Query
		if err == nil {
			got, err = parseQuery(params)
		}
		if test.want == nil {
			if kuva.CodeOf(err) != kuva.CodeInvalid {
				t.Errorf("%q: got %+v, %v; want a refusal", test.query, got, err)
			}
			continue
		}
		want := images.Query{Limit: DefaultPage, Min: map[string]int64{}, Max: map[string]int64{}, Properties: map[string]string{}}
		test.want(&want)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v, %v; want %+v", test.query, got, err, want)
		}
	}
}

func TestPageLinks(t *testing.T) {
	tests := []struct{ query, first, next string }{
		{"", "/v2/images", "/v2/images?marker=ID"},
		{"limit=2&marker=x", "/v2/images?limit=2", "/v2/images?limit=2&marker=ID"},
		{"tag=a&tag=b%20c&sort=name:asc", "/v2/images?tag=a&tag=b+c&sort=name%3Aasc", "/v2/images?tag=a&tag=b+c&sort=name%3Aasc&marker=ID"},
		{"os_distro=%C3%A4%26&marker=", "/v2/images?os_distro=%C3%A4%26", "/v2/images?os_distro=%C3%A4%26&marker=ID"},
	}
	for _, test := range tests {
		params, err := parseParameters(test.query)
		if err != nil {
			t.Fatal(err)
		}
		if got := pageLink(params, ""); got != test.first {
			t.Errorf("first of %q is %q, want %q", test.query, got, test.first)
		}
		if got := pageLink(params, "ID"); got != test.next {
			t.Errorf("next of %q is %q, want %q", test.query, got, test.next)
		}
	}
}

func FuzzQuery(f *testing.F) {
	for _, s := range []string{
		"limit=5&marker=x", "sort=name:asc,size", "sort_key=id&sort_dir=asc", `name=in:"a,b",c`, "created_at=gt:2026-11-21T20:30:40Z",
		"size_min=5&min_ram_max=1", "tag=a&tag=b", "os_hidden=True", "%ff=%00", "name=in:%22%5C",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		params, err := parseParameters(raw)
		if err != nil {
			return
		}
		// A link made of the parameters leads to the same ones.
		_, query, _ := strings.Cut(pageLink(params, "m"), "?")
		again, err := parseParameters(query)
		if err != nil && len(params) < 99 {
			t.Fatalf("%q: the link %q is refused: %v", raw, query, err)
		}
		kept := 0
		for _, p := range params {
			if p.name != "marker" {
				kept++
			}
		}
		if err == nil && len(again) != kept+1 {
			t.Fatalf("%q became %q", raw, query)
		}
		q, err := parseQuery(params)
		if err != nil {
			if kuva.CodeOf(err) != kuva.CodeInvalid {
				t.Fatalf("%q: %v", raw, err)
			}
			return
		}
		if q.Limit < 0 || q.Limit > images.MaxPage || len(q.Sort) > len(sortKeys) || len(q.Name) > maxValues {
			t.Fatalf("%q gave %+v", raw, q)
		}
	})
}
