package imagev2

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMetadefRows goes through the table of the contract that is about metadata
// definitions (3.9) and the schemas: a conversation for each of its cells.
func TestMetadefRows(t *testing.T) {
	w := start(t, options{now: fixed})
	for name, steps := range metadefRows {
		t.Run(name, func(t *testing.T) { w.talk(t, filepath.Join("metadef", name), steps) })
	}
	files, err := os.ReadDir(filepath.Join("testdata", "rows", "metadef"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if metadefRows[strings.TrimSuffix(f.Name(), ".txt")] == nil {
			t.Errorf("%s is of no row", f.Name())
		}
	}
}

// md is a call of an administrator about namespaces.
func md(method, path string, status int, body ...string) step {
	return mdBy("admin", method, path, status, body...)
}

func mdBy(who, method, path string, status int, body ...string) step {
	request := who + " " + method + " /v2/metadefs" + path
	if len(body) > 0 {
		request += "\n\n" + body[0]
	}
	return step{request, status}
}

const mdWhole = `{"namespace":"NAME","display_name":"A whole one","description":"With all that there is.","visibility":"public","owner":"BLUE",
 "resource_type_associations":[{"name":"OS::Nova::Flavor","prefix":"hw:"},{"name":"OS::Cinder::Volume","prefix":"hw_","properties_target":"image"},{"name":"OS::Glance::Image"}],
 "properties":{"sockets":{"type":"integer","title":"Sockets","description":"How many","minimum":1,"maximum":8,"default":1,"readonly":false},
  "flags":{"type":"array","title":"Flags","operators":["<or>"],"items":{"type":"string","enum":["a","b"]},"minItems":0,"maxItems":2,"uniqueItems":true},
  "mode":{"type":"string","title":"Mode","enum":["one","two"],"pattern":"^[a-z]+$","minLength":1,"maxLength":3}},
 "objects":[{"name":"Limits","description":"Of it","required":["most"],"properties":{"most":{"type":"number","title":"Most","minimum":0.5}}}],
 "tags":[{"name":"red"},{"name":"blue"}]}`

func whole(name string) string { return strings.Replace(mdWhole, "NAME", name, 1) }

var metadefRows = map[string][]step{
	"namespaces-GET": {
		md("POST", "/namespaces", 201, `{"namespace":"list-a","visibility":"public","resource_type_associations":[{"name":"Row::List"}]}`),
		md("POST", "/namespaces", 201, `{"namespace":"list-b","owner":"BLUE","display_name":"Private","resource_type_associations":[{"name":"Row::List"},{"name":"Row::Other"}]}`),
		md("POST", "/namespaces", 201, `{"namespace":"list-c","visibility":"public","resource_type_associations":[{"name":"Row::List","prefix":"c_"}]}`),
		mdBy("alice", "GET", "/namespaces?resource_types=Row::List", 200),
		mdBy("bob", "GET", "/namespaces?resource_types=Row::List&sort_key=namespace&sort_dir=asc", 200),
		mdBy("alice", "GET", "/namespaces?resource_types=Row::Other,Row::None", 200),
		mdBy("alice", "GET", "/namespaces?resource_types=Row::None", 200),
		mdBy("alice", "GET", "/namespaces?resource_types=Row::List&visibility=private", 200),
		mdBy("alice", "GET", "/namespaces?resource_types=Row::List&sort_key=namespace&sort_dir=asc&limit=2", 200),
		mdBy("alice", "GET", "/namespaces?resource_types=Row::List&sort_key=namespace&sort_dir=asc&limit=2&marker=list-b", 200),
		mdBy("bob", "GET", "/namespaces?limit=2&marker=list-b", 404),
		mdBy("alice", "GET", "/namespaces?limit=0", 200),
		mdBy("alice", "GET", "/namespaces?limit=-1", 400),
		mdBy("alice", "GET", "/namespaces?sort_dir=up", 400),
		mdBy("alice", "GET", "/namespaces?sort_key=id%27--", 400),
		mdBy("alice", "GET", "/namespaces?visibility=shared", 400),
		mdBy("nobody", "GET", "/namespaces", 401),
	},
	"namespaces-POST": {
		md("POST", "/namespaces", 201, `{"namespace":"post-bare"}`),
		md("POST", "/namespaces", 409, `{"namespace":"post-bare"}`),
		md("POST", "/namespaces", 201, whole("post-whole")),
		md("GET", "/namespaces/post-whole", 200),
		mdBy("bob", "GET", "/namespaces/post-bare", 404),
		mdBy("alice", "POST", "/namespaces", 403, `{"namespace":"post-member"}`),
		md("POST", "/namespaces", 400, `{"display_name":"no name"}`),
		md("POST", "/namespaces", 400, `{"namespace":"post-bad","visibility":"shared"}`),
		md("POST", "/namespaces", 400, `{"namespace":"post-bad","colour":"red"}`),
		md("POST", "/namespaces", 400, `{"namespace":"post-bad","properties":{"p":{"type":"text","title":"P"}}}`),
		md("POST", "/namespaces", 400, `{"namespace":"post-bad","properties":{"p":{"type":"string"}}}`),
		md("POST", "/namespaces", 409, `{"namespace":"post-bad","tags":[{"name":"twice"},{"name":"twice"}]}`),
		md("POST", "/namespaces", 400, `["namespace"]`),
		md("POST", "/namespaces", 400, `null`),
		md("POST", "/namespaces", 403, `{"namespace":"post-bad","self":"/v2"}`),
		md("POST", "/namespaces", 403, `{"namespace":"post-bad","created_at":"2026-01-01T00:00:00Z"}`),
		md("GET", "/namespaces/post-bad", 404),
		{"admin POST /v2/metadefs/namespaces\nContent-Type: text/plain\n\n{}", 415},
	},
	"namespace-GET": {
		md("POST", "/namespaces", 201, whole("get whole/ä")),
		mdBy("bob", "GET", "/namespaces/get%20whole%2F%C3%A4", 200),
		mdBy("bob", "GET", "/namespaces/get%20whole%2F%C3%A4?resource_type=OS::Nova::Flavor", 200),
		mdBy("bob", "GET", "/namespaces/get%20whole%2F%C3%A4?resource_type=OS::Glance::Image", 200),
		mdBy("bob", "GET", "/namespaces/none", 404),
		mdBy("bob", "GET", "/namespaces/none%00", 404),
		{"bob PATCH /v2/metadefs/namespaces/none", 405},
	},
	"namespace-PUT": {
		md("POST", "/namespaces", 201, whole("put")),
		md("POST", "/namespaces", 201, `{"namespace":"put-taken"}`),
		md("PUT", "/namespaces/put", 200, `{"namespace":"put-2","description":"Other words","protected":true}`),
		md("GET", "/namespaces/put", 404),
		md("GET", "/namespaces/put-2/tags", 200),
		md("PUT", "/namespaces/put-2", 409, `{"namespace":"put-taken"}`),
		md("PUT", "/namespaces/put-2", 400, `{"description":"no name"}`),
		md("PUT", "/namespaces/put-2", 403, `{"namespace":"put-2","schema":"x"}`),
		md("PUT", "/namespaces/none", 404, `{"namespace":"none"}`),
		mdBy("alice", "PUT", "/namespaces/put-2", 404, `{"namespace":"put-2"}`),
	},
	"namespace-DELETE": {
		md("POST", "/namespaces", 201, `{"namespace":"del","protected":true,"tags":[{"name":"t"}]}`),
		md("DELETE", "/namespaces/del", 403),
		md("DELETE", "/namespaces/del/tags/t", 403),
		md("DELETE", "/namespaces/del/objects", 403),
		md("PUT", "/namespaces/del", 200, `{"namespace":"del"}`),
		md("DELETE", "/namespaces/del", 204),
		md("DELETE", "/namespaces/del", 404),
		md("POST", "/namespaces", 201, `{"namespace":"del"}`),
		md("GET", "/namespaces/del", 200),
	},
	"objects": {
		md("POST", "/namespaces", 201, `{"namespace":"objects","visibility":"public"}`),
		mdBy("bob", "GET", "/namespaces/objects/objects", 200),
		md("POST", "/namespaces/objects/objects", 201, `{"name":"b","description":"B","required":["p"],"properties":{"p":{"type":"string","title":"P"}}}`),
		md("POST", "/namespaces/objects/objects", 409, `{"name":"b"}`),
		md("POST", "/namespaces/objects/objects", 201, `{"name":"a"}`),
		md("POST", "/namespaces/objects/objects", 400, `{"description":"no name"}`),
		md("POST", "/namespaces/objects/objects", 400, `{"name":"c","required":["p","p"]}`),
		md("POST", "/namespaces/objects/objects", 403, `{"name":"c","self":"/v2"}`),
		md("POST", "/namespaces/none/objects", 404, `{"name":"a"}`),
		mdBy("bob", "GET", "/namespaces/objects/objects?sort_key=name&sort_dir=asc", 200),
		mdBy("bob", "GET", "/namespaces/objects/objects?sort_key=name&sort_dir=asc&limit=1&marker=a", 200),
		mdBy("bob", "GET", "/namespaces/objects/objects?limit=0", 400),
		mdBy("bob", "GET", "/namespaces/objects/objects?marker=none", 404),
		md("DELETE", "/namespaces/objects/objects", 204),
		mdBy("bob", "GET", "/namespaces/objects/objects", 200),
	},
	"object": {
		md("POST", "/namespaces", 201, `{"namespace":"object","visibility":"public","objects":[{"name":"o"},{"name":"taken"}]}`),
		mdBy("bob", "GET", "/namespaces/object/objects/o", 200),
		md("PUT", "/namespaces/object/objects/o", 200, `{"name":"o","description":"New","properties":{"p":{"type":"boolean","title":"P","default":true}}}`),
		md("PUT", "/namespaces/object/objects/o", 200, `{"name":"renamed"}`),
		md("PUT", "/namespaces/object/objects/renamed", 409, `{"name":"taken"}`),
		md("PUT", "/namespaces/object/objects/o", 404, `{"name":"o"}`),
		mdBy("bob", "GET", "/namespaces/object/objects/renamed", 200),
		md("DELETE", "/namespaces/object/objects/renamed", 204),
		md("DELETE", "/namespaces/object/objects/renamed", 404),
	},
	"properties": {
		md("POST", "/namespaces", 201, `{"namespace":"properties","visibility":"public"}`),
		mdBy("bob", "GET", "/namespaces/properties/properties", 200),
		md("POST", "/namespaces/properties/properties", 201, `{"name":"p","type":"string","title":"P","enum":["a","b"],"default":"a"}`),
		md("POST", "/namespaces/properties/properties", 409, `{"name":"p","type":"string","title":"P"}`),
		md("POST", "/namespaces/properties/properties", 201, `{"name":"n","type":"integer","title":"N","minimum":0,"default":8}`),
		md("POST", "/namespaces/properties/properties", 400, `{"name":"q","type":"string"}`),
		md("POST", "/namespaces/properties/properties", 400, `{"type":"string","title":"Q"}`),
		md("POST", "/namespaces/properties/properties", 400, `{"name":"q","type":"string","title":"Q","minLength":-1}`),
		md("POST", "/namespaces/properties/properties", 400, `{"name":"q","type":"string","title":"Q","default":[1]}`),
		mdBy("bob", "GET", "/namespaces/properties/properties", 200),
		md("DELETE", "/namespaces/properties/properties", 204),
		mdBy("bob", "GET", "/namespaces/properties/properties", 200),
	},
	"property": {
		md("POST", "/namespaces", 201, whole("property")),
		mdBy("bob", "GET", "/namespaces/property/properties/sockets", 200),
		mdBy("bob", "GET", "/namespaces/property/properties/hw:sockets?resource_type=OS::Nova::Flavor", 200),
		mdBy("bob", "GET", "/namespaces/property/properties/sockets?resource_type=OS::Nova::Flavor", 404),
		mdBy("bob", "GET", "/namespaces/property/properties/sockets?resource_type=OS::None", 404),
		md("PUT", "/namespaces/property/properties/sockets", 200, `{"name":"cores","type":"integer","title":"Cores"}`),
		md("PUT", "/namespaces/property/properties/cores", 409, `{"name":"mode","type":"integer","title":"Cores"}`),
		md("PUT", "/namespaces/property/properties/cores", 400, `{"name":"cores","type":"integer"}`),
		md("DELETE", "/namespaces/property/properties/cores", 204),
		mdBy("bob", "GET", "/namespaces/property/properties/cores", 404),
	},
	"tags": {
		md("POST", "/namespaces", 201, `{"namespace":"tags","visibility":"public"}`),
		md("POST", "/namespaces/tags/tags", 201, `{"tags":[{"name":"one"},{"name":"two"}]}`),
		md("POST", "/namespaces/tags/tags", 201, `{"tags":[{"name":"three"},{"name":"two"}]}`),
		mdBy("bob", "GET", "/namespaces/tags/tags?sort_key=name&sort_dir=asc", 200),
		{"admin POST /v2/metadefs/namespaces/tags/tags\nX-Openstack-Append: True\n\n" + `{"tags":[{"name":"four"}]}`, 201},
		{"admin POST /v2/metadefs/namespaces/tags/tags\nX-Openstack-Append: True\n\n" + `{"tags":[{"name":"five"},{"name":"two"}]}`, 409},
		md("POST", "/namespaces/tags/tags", 400, `{"tags":[{"colour":"red"}]}`),
		mdBy("bob", "GET", "/namespaces/tags/tags", 200),
		mdBy("bob", "GET", "/namespaces/tags/tags?limit=1&marker=three", 200),
		md("DELETE", "/namespaces/tags/tags", 204),
		mdBy("bob", "GET", "/namespaces/tags/tags", 200),
	},
	"tag": {
		md("POST", "/namespaces", 201, `{"namespace":"tag","visibility":"public"}`),
		md("POST", "/namespaces/tag/tags/red", 201),
		md("POST", "/namespaces/tag/tags/red", 409),
		md("POST", "/namespaces/tag/tags/"+strings.Repeat("x", 81), 400),
		md("POST", "/namespaces/tag/tags/blue", 201),
		mdBy("bob", "GET", "/namespaces/tag/tags/red", 200),
		md("PUT", "/namespaces/tag/tags/red", 200, `{"name":"green"}`),
		md("PUT", "/namespaces/tag/tags/green", 409, `{"name":"blue"}`),
		md("PUT", "/namespaces/tag/tags/green", 403, `{"name":"green","updated_at":""}`),
		md("DELETE", "/namespaces/tag/tags/green", 204),
		mdBy("bob", "GET", "/namespaces/tag/tags/green", 404),
	},
	"resource_types": {
		md("POST", "/namespaces", 201, `{"namespace":"types","visibility":"public"}`),
		mdBy("bob", "GET", "/namespaces/types/resource_types", 200),
		md("POST", "/namespaces/types/resource_types", 201, `{"name":"OS::Nova::Server","properties_target":"metadata"}`),
		md("POST", "/namespaces/types/resource_types", 409, `{"name":"OS::Nova::Server"}`),
		md("POST", "/namespaces/types/resource_types", 201, `{"name":"A::New::Kind","prefix":"new:"}`),
		md("POST", "/namespaces/types/resource_types", 400, `{"prefix":"new:"}`),
		mdBy("bob", "GET", "/namespaces/types/resource_types", 200),
		md("DELETE", "/namespaces/types/resource_types/A::New::Kind", 204),
		md("DELETE", "/namespaces/types/resource_types/A::New::Kind", 404),
		mdBy("bob", "GET", "/namespaces/types/resource_types", 200),
	},
	"schemas": {
		{"bob GET /v2/schemas/metadefs/namespace", 200},
		{"bob GET /v2/schemas/metadefs/namespaces", 200},
		{"bob GET /v2/schemas/metadefs/object", 200},
		{"bob GET /v2/schemas/metadefs/objects", 200},
		{"bob GET /v2/schemas/metadefs/property", 200},
		{"bob GET /v2/schemas/metadefs/properties", 200},
		{"bob GET /v2/schemas/metadefs/tag", 200},
		{"bob GET /v2/schemas/metadefs/tags", 200},
		{"bob GET /v2/schemas/metadefs/resource_type", 200},
		{"bob GET /v2/schemas/metadefs/resource_types", 200},
	},
}

// TestMetadefHostile sends what is too large, too deep or no document.
func TestMetadefHostile(t *testing.T) {
	w := start(t, options{})
	for _, s := range []step{
		md("POST", "/namespaces", 201, `{"namespace":"hostile"}`),
		md("POST", "/namespaces", 413, `{"namespace":"x","description":"%BIG%"}`),
		md("POST", "/namespaces", 400, `{"namespace":"x","properties":{"p":{"type":"string","title":"P","default":`+strings.Repeat("[", 40)+strings.Repeat("]", 40)+`}}}`),
		md("POST", "/namespaces/hostile/objects", 413, `{"name":"x","description":"`+strings.Repeat("a", 70_000)+`"}`),
		md("POST", "/namespaces/hostile/tags", 413, `{"tags":[`+strings.Repeat(`{"name":"x"},`, 1000)+`{"name":"x"}]}`),
		md("POST", "/namespaces/hostile/properties", 400, `{"name":"x","type":"string","title":"X","minimum":1e999}`),
		md("POST", "/namespaces/hostile/properties", 400, `{"name":"x\u0000","type":"string","title":"X"}`),
		md("POST", "/namespaces/hostile/properties", 400, `{"name":"x","type":"string","title":"X"} {}`),
		{"admin GET /v2/metadefs/namespaces\n\nbody", 400},
	} {
		head, body, _ := strings.Cut(s.request, "\n\n")
		words := strings.SplitN(head, " ", 3)
		if a := w.do(w.admin, words[1], words[2], w.fill(body)); a.status != s.status {
			t.Errorf("%s %.80s: %d, want %d: %.200s", head, body, a.status, s.status, a.body)
		}
	}
}
