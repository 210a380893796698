package api

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

func sampleImage() Image {
	at := time.Date(2026, 11, 21, 20, 30, 40, 0, time.UTC)
	return Image{
		ID: "1", Name: "n", Owner: "o", Status: "active", Visibility: "shared", Protected: true, Hidden: true,
		DiskFormat: "raw", ContainerFormat: "bare", MinDisk: 1, MinRAM: 2, Size: 3, VirtualSize: 4, Checksum: "c",
		HashAlgo: "sha512", HashValue: "h", CreatedAt: at, UpdatedAt: at.Add(time.Hour), Tags: []string{"t"},
		Self: "/v2/images/1", File: "/v2/images/1/file", Schema: "/v2/schemas/image",
		Properties: map[string]string{"a": "1", "Name": "not the name", "quote\"d": "<ä>"},
	}
}

func TestImageJSON(t *testing.T) {
	for about, img := range map[string]Image{"full": sampleImage(), "nulls": {Size: -1, VirtualSize: -1, Tags: []string{}}} {
		raw, err := json.Marshal(img)
		if err != nil {
			t.Fatal(err)
		}
		var back Image
		if err := json.Unmarshal(raw, &back); err != nil || !reflect.DeepEqual(img, back) {
			t.Errorf("%s: %+v became %s, then %+v, %v", about, img, raw, back, err)
		}
		var all map[string]any
		if err := json.Unmarshal(raw, &all); err != nil || len(all) != len(ImageFields)+len(img.Properties) {
			t.Errorf("%s: %d members in %s, %v", about, len(all), raw, err)
		}
		for _, name := range ImageFields {
			if _, ok := all[name]; !ok {
				t.Errorf("%s: %s is missing", about, name)
			}
		}
	}
	var nulls map[string]any
	raw, _ := json.Marshal(Image{Size: -1, VirtualSize: -1})
	_ = json.Unmarshal(raw, &nulls)
	for _, name := range []string{"name", "owner", "disk_format", "container_format", "size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value"} {
		if v, ok := nulls[name]; !ok || v != nil {
			t.Errorf("%s is %v, want null", name, v)
		}
	}
}

func TestPropertiesNeverHideFields(t *testing.T) {
	img := sampleImage()
	img.Properties = map[string]string{"status": "queued", "x": "y"}
	raw, err := json.Marshal(img)
	if err != nil {
		t.Fatal(err)
	}
	var back Image
	if err := json.Unmarshal(raw, &back); err != nil || back.Status != "active" || len(back.Properties) != 1 {
		t.Errorf("%s became %+v, %v", raw, back, err)
	}
}

// TestForeignImage reads what other servers add.
func TestForeignImage(t *testing.T) {
	var img Image
	err := json.Unmarshal([]byte(`{"id":"1","name":null,"size":null,"virtual_size":5,"tags":[],"created_at":"2026-11-21T20:30:40Z",
		"locations":[{"url":"x"}],"direct_url":"y","kernel_id":null,"stores":"a,b"}`), &img)
	want := map[string]string{"locations": `[{"url":"x"}]`, "direct_url": "y", "kernel_id": "null", "stores": "a,b"}
	if err != nil || img.Size != -1 || img.VirtualSize != 5 || !reflect.DeepEqual(img.Properties, want) {
		t.Errorf("got %+v, %v", img, err)
	}
	for _, bad := range []string{`[]`, `"x"`, `{"size":"x"}`, `{"created_at":"yesterday"}`, `{"updated_at":"0"}`, `{"tags":1}`} {
		if err := json.Unmarshal([]byte(bad), new(Image)); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}

func FuzzImage(f *testing.F) {
	raw, err := json.Marshal(sampleImage())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"id":"1","size":null,"x":{"y":[1]},"name":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var img Image
		if json.Unmarshal(body, &img) != nil {
			return
		}
		again, err := json.Marshal(img)
		if err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		if !json.Valid(again) {
			t.Fatalf("%q became %q", body, again)
		}
	})
}
