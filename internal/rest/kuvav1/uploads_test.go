package kuvav1

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"kuva"
	"kuva/api"
	"kuva/chunk"
	"kuva/internal/catalog"
	"kuva/message"
)

// begin makes an upload of a disk of five bytes.
func (w *world) begin(u *user) *catalog.Upload {
	w.t.Helper()
	up, err := w.asks.Begin(w.t.Context(), w.principal(u), 5, map[string]string{"name": "disk"})
	if err != nil {
		w.t.Fatal(err)
	}
	return up
}

// TestUploads sends a disk by hand, as the document says.
func TestUploads(t *testing.T) {
	w := start(t)
	disk := bytes.Repeat([]byte("kuva"), 50_000)
	made := w.want(http.StatusCreated, w.alice, "POST", "/kuva/v1/uploads", `{"size":262144,"metadata":{"name":"by hand","native":"raw","colour":"blue"}}`)
	var up api.Upload
	made.into(t, &up)
	at := made.header.Get("Location")
	if at != "/kuva/v1/uploads/"+up.ID || up.State != "open" || up.Protocol != "ask" || *up.Size != chunk.Size || up.Received != 0 || up.Metadata["colour"] != "blue" || up.ImageID == nil {
		t.Fatalf("%s %+v", at, up)
	}
	ask := string(api.EncodeAsk(0, []api.AskEntry{{Hash: chunk.Sum(disk), Len: int64(len(disk))}, {Len: chunk.Size - int64(len(disk)), Hole: true}}))
	var asked api.Asked
	w.want(http.StatusOK, w.alice, "POST", at+"/parts/7/ask", ask, "Content-Type", api.AskMedia).into(t, &asked)
	if asked.Durable || len(asked.Lacking) != 1 || asked.Lacking[0] != 1 {
		t.Fatalf("%+v", asked)
	}
	frames := string(api.AppendFrame(nil, disk))
	w.want(http.StatusUnsupportedMediaType, w.alice, "PUT", at+"/parts/7", frames, "Content-Type", "text/plain")
	w.want(http.StatusUnsupportedMediaType, w.alice, "POST", at+"/parts/7/ask", ask)
	w.want(http.StatusBadRequest, w.alice, "PUT", at+"/parts/7", frames[:9], "Content-Type", api.ChunksMedia)
	for _, n := range []string{"x", "07", "-1", "2147483648", "1.5"} {
		w.want(http.StatusBadRequest, w.alice, "PUT", at+"/parts/"+n, frames, "Content-Type", api.ChunksMedia)
	}
	w.want(http.StatusConflict, w.alice, "PUT", at+"/parts/8", frames, "Content-Type", api.ChunksMedia)
	w.want(http.StatusNoContent, w.alice, "PUT", at+"/parts/7", frames, "Content-Type", api.ChunksMedia)
	var parts api.UploadParts
	w.want(http.StatusOK, w.alice, "GET", at+"/parts?limit=1", "").into(t, &parts)
	if len(parts.Parts) != 1 || parts.Next == nil || parts.Parts[0].Digest != chunk.Sum([]byte(ask)).String() {
		t.Fatalf("%+v", parts)
	}
	w.want(http.StatusOK, w.alice, "GET", *parts.Next, "").into(t, &parts)
	if len(parts.Parts) != 0 || parts.Next != nil {
		t.Fatalf("%+v", parts)
	}
	w.want(http.StatusBadRequest, w.alice, "GET", at+"/parts?marker=-1", "")
	w.want(http.StatusBadRequest, w.alice, "POST", at+"/finish", `{"digest":"`+strings.Repeat("0", 64)+`"}`)
	digest := api.FinishDigest([]chunk.Hash{chunk.Sum([]byte(ask))})
	w.want(http.StatusAccepted, w.alice, "POST", at+"/finish", `{"digest":"`+digest.String()+`"}`).into(t, &up)
	if up.JobID == nil || up.Received != chunk.Size {
		t.Errorf("%+v", up)
	}
	until(t, "the upload", func() bool {
		w.want(http.StatusOK, w.alice, "GET", at, "").into(t, &up)
		return up.State == "done"
	})
	img, err := w.images.Show(t.Context(), w.principal(w.alice), *up.ImageID)
	if err != nil || img.Status != kuva.StatusActive || img.DiskFormat != "raw" || img.Size != chunk.Size || img.Name != "by hand" {
		t.Errorf("%+v %v", img, err)
	}
	got := w.want(http.StatusOK, w.alice, "GET", "/kuva/v1/images/"+img.ID+"/file?format=raw", "")
	if !bytes.Equal(got.body, append(disk, make([]byte, chunk.Size-len(disk))...)) {
		t.Error("other bytes came back")
	}
	var list api.Uploads
	w.want(http.StatusOK, w.alice, "GET", "/kuva/v1/uploads?state=done&limit=1", "").into(t, &list)
	if len(list.Uploads) != 1 || list.Next == nil || list.Uploads[0].ID != up.ID {
		t.Errorf("%+v", list)
	}
	w.want(http.StatusBadRequest, w.alice, "GET", "/kuva/v1/uploads?state=odd", "")
	w.want(http.StatusBadRequest, w.alice, "POST", "/kuva/v1/uploads", `{"size":0}`)
	w.want(http.StatusNoContent, w.alice, "DELETE", at, "")
	open := w.begin(w.alice)
	w.want(http.StatusNoContent, w.alice, "DELETE", "/kuva/v1/uploads/"+open.ID, "")
	if _, err := w.images.Show(t.Context(), w.principal(w.alice), open.Image); kuva.CodeOf(err) != kuva.CodeNotFound {
		t.Errorf("the image of an upload that was ended: %v", err)
	}
}

// TestUploadOfNull: metadata are never null.
func TestUploadOfNull(t *testing.T) {
	b, err := json.Marshal(wireUpload(&catalog.Upload{Size: -1}, message.English))
	if err != nil || !strings.Contains(string(b), `"metadata":{}`) || !strings.Contains(string(b), `"size":null`) {
		t.Errorf("%s %v", b, err)
	}
}
