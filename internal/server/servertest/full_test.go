package servertest_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kuva/api"
	"kuva/internal/server/servertest"
	"kuva/internal/testkit/loopfs"
)

// The disk is full: an upload is refused at once with a sentence that says so,
// reads go on, deleting and collecting work with not one byte free, and then
// uploads do, too.
func TestDiskFull(t *testing.T) {
	disk := loopfs.Ext4(t, 300<<20)
	data := filepath.Join(disk, "data")
	p := servertest.Start(t, servertest.Config{Data: data})
	c := p.Login(t, servertest.Admin)
	const size = 12 << 20
	var ids []string
	var refused string
	for n := 0; refused == ""; n++ {
		id := c.MustCreate(t, servertest.Fields{"name": "filler"})
		began := time.Now()
		err := c.Upload(id, bytes.NewReader(servertest.Random(uint64(n), size)))
		if err == nil {
			ids = append(ids, id)
			continue
		}
		t.Logf("upload %d of %d MiB, after %v: %v", n, size>>20, time.Since(began), err)
		if servertest.StatusOf(err) != http.StatusRequestEntityTooLarge || !strings.Contains(err.Error(), "no room") {
			t.Fatalf("not an answer that says what is wrong: %v", err)
		}
		refused = id
	}
	if len(ids) < 10 {
		t.Fatalf("only %d images of %d bytes found room", len(ids), size)
	}
	if img := c.MustShow(t, refused); img.Status != "queued" || !strings.Contains(img.LastFailure, "no room") {
		t.Errorf("the image that found no room: %+v", img)
	}
	// Somebody else takes what is left, to the last byte that ext4 gives.
	glutton := filepath.Join(disk, "glutton")
	eat(t, glutton)
	for n, id := range ids {
		c.MustDownload(t, id, servertest.Random(uint64(n), size))
	}
	began := time.Now()
	id := refused
	if err := c.Upload(id, bytes.NewReader(servertest.Random(99, size))); servertest.StatusOf(err) != http.StatusRequestEntityTooLarge {
		t.Errorf("upload to a disk without a free byte: %v", err)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the refusal took %v", took)
	}

	// Space comes back with not one byte free.
	for _, id := range ids[:len(ids)/2] {
		if err := c.Delete(id); err != nil {
			t.Fatalf("delete on a full disk: %v", err)
		}
	}
	kept := ids[len(ids)/2:]
	deleted := time.Now()
	for range 2 { // condemned by one cycle, deleted by the next
		if err := c.Collect(api.Collect{}); err != nil {
			t.Fatal(err)
		}
	}
	for {
		err := c.Upload(id, bytes.NewReader(servertest.Random(99, size)))
		if err == nil {
			break
		}
		if time.Since(deleted) > 5*time.Second {
			t.Fatalf("5 s after the deletions: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Logf("%d images of %d MiB filled the disk; uploads worked again %v after the deletions", len(ids), size>>20, time.Since(deleted))
	c.MustDownload(t, id, servertest.Random(99, size))
	for n, id := range kept {
		c.MustDownload(t, id, servertest.Random(uint64(n+len(ids)/2), size))
	}
	q, err := c.Quota()
	if err != nil {
		t.Fatal(err)
	}
	if want := int64(len(kept)+1) * size; q.Use.Bytes != want || q.Use.Reserved != 0 || q.Use.Uploads != 0 {
		t.Errorf("the quota counts %+v, there are %d bytes", q.Use, want)
	}
	p.MustStop(t)
	if err := os.Remove(glutton); err != nil {
		t.Error(err)
	}
}

// eat writes a file until nothing more fits.
func eat(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{1 << 20, 4 << 10} {
		for b := make([]byte, size); err == nil; {
			_, err = f.Write(b)
		}
		err = f.Sync()
	}
}
