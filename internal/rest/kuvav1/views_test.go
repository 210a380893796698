package kuvav1

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3filter"

	"kuva/api"
	"kuva/internal/images"
)

// TestListViews: every view that is listed can be fetched where the list says,
// and is as long as it says.
func TestListViews(t *testing.T) {
	for _, format := range []string{"x-qemu-disk", "x-vmdk-disk", "x-vhd-disk", "x-vhdx-disk", "x-vdi-disk", "x-virtualbox-ova", "gzip", "zstd"} {
		openapi3filter.RegisterBodyDecoder("application/"+format, openapi3filter.FileBodyDecoder)
	}
	w := start(t)
	content := strings.Repeat("content of blue ", 64<<10)
	id := w.image(w.alice, content)
	var list api.Views
	w.want(http.StatusOK, w.alice, "GET", "/kuva/v1/images/"+id+"/views", "").into(t, &list)
	if len(list.Views) < 10 || list.Reason != nil || *list.Views[0].Recommended != "run" || *list.Views[1].Recommended != "carry" {
		t.Fatalf("%+v", list)
	}
	for _, v := range list.Views {
		a := w.want(http.StatusOK, w.rita, "GET", v.Href, "")
		length := a.header.Get("Content-Length")
		if v.Exact && int64(len(a.body)) != v.Size || v.Ranges != (length == strconv.Itoa(len(a.body)) && a.header.Get("Accept-Ranges") == "bytes") {
			t.Errorf("%+v: %d bytes, %v", v, len(a.body), a.header)
		}
		if media := a.header.Get("Content-Type"); media != v.MediaType {
			t.Errorf("%+v is sent as %s", v, media)
		}
		if v.AsSent && string(a.body) != content {
			t.Error("what was sent does not come back")
		}
		if v.Ranges {
			if part := w.want(http.StatusPartialContent, w.alice, "GET", v.Href, "", "Range", "bytes=5-9"); string(part.body) != string(a.body[5:10]) {
				t.Errorf("%+v: another part", v)
			}
		}
		w.want(http.StatusNotModified, w.alice, "GET", v.Href, "", "If-None-Match", a.header.Get("ETag"))
	}
	w.want(http.StatusBadRequest, w.alice, "GET", "/kuva/v1/images/"+id+"/views?x=1", "")
	w.want(http.StatusBadRequest, w.alice, "GET", "/kuva/v1/images/"+id+"/file?compress=true", "")
	w.want(http.StatusBadRequest, w.alice, "GET", "/kuva/v1/images/"+id+"/file?format=floppy", "")
	w.want(http.StatusNotFound, w.bob, "GET", "/kuva/v1/images/"+id+"/file?format=vdi", "")

	ami := w.image(w.alice, content, func(n *images.NewImage) { n.DiskFormat, n.ContainerFormat = "ami", "ami" })
	a := w.want(http.StatusOK, w.alice, "GET", "/kuva/v1/images/"+ami+"/views", "", "Accept-Language", "de")
	list = api.Views{}
	a.into(t, &list)
	if len(list.Views) != 1 || !list.Views[0].AsSent || list.Reason == nil || !strings.Contains(*list.Reason, "Abbild") {
		t.Errorf("%+v", list)
	}
	w.want(http.StatusConflict, w.alice, "GET", "/kuva/v1/images/"+ami+"/file?format=raw", "")
	queued := w.image(w.alice, "")
	w.want(http.StatusNoContent, w.alice, "GET", "/kuva/v1/images/"+queued+"/file?format=raw", "")
}
