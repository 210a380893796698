package kuvav1

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestReport: the report in the caller's language, and its refusals; every
// answer is held against the document by the harness.
func TestReport(t *testing.T) {
	w := start(t)
	id := w.image(w.alice, strings.Repeat("\x00", 1<<20))
	var got struct {
		Image, Language string
		LaunchMode      *string `json:"launch_mode"`
		Facts           struct {
			Disk struct {
				Size     int64
				DataDisk bool `json:"data_disk"`
			}
		}
	}
	if err := json.Unmarshal(w.inspected(w.alice, id).body, &got); err != nil {
		t.Fatal(err)
	}
	if got.Image != id || got.Language != "en" || got.LaunchMode != nil || !got.Facts.Disk.DataDisk || got.Facts.Disk.Size != 1<<20 {
		t.Errorf("%+v", got)
	}
	w.want(http.StatusNotFound, w.bob, "GET", "/kuva/v1/images/"+id+"/report", "")
	w.want(http.StatusBadRequest, w.alice, "GET", "/kuva/v1/images/"+id+"/report?x=1", "")

	var bill struct {
		Format     string `json:"bomFormat"`
		Components []any
	}
	a := w.do(w.alice, "GET", "/kuva/v1/images/"+id+"/report?sbom=cyclonedx", "")
	if err := json.Unmarshal(a.body, &bill); err != nil || bill.Format != "CycloneDX" || bill.Components == nil {
		t.Errorf("bill of materials: %d %s, %v", a.status, a.body, err)
	}
	w.want(http.StatusNotFound, w.bob, "GET", "/kuva/v1/images/"+id+"/report?sbom=cyclonedx", "")
	w.want(http.StatusBadRequest, w.alice, "GET", "/kuva/v1/images/"+id+"/report?sbom=spdx", "")
}

// inspected waits for the report of an image.
func (w *world) inspected(u *user, id string) answer {
	w.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		a := w.do(u, "GET", "/kuva/v1/images/"+id+"/report", "")
		if a.status == http.StatusOK {
			return a
		}
		if a.status != http.StatusConflict || time.Now().After(end) {
			w.t.Fatalf("report: %d %s", a.status, a.body)
		}
	}
}
