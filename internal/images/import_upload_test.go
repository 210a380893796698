package images_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha512"
	"encoding/hex"
	"io"
	"strconv"
	"testing"

	"github.com/google/uuid"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/images"
)

// parted sends content in parts that end at the borders, with gaps where a
// stretch is nil, and finishes it.
func (w *world) parted(p kuva.Principal, o catalog.UploadOptions, stretches ...[]byte) string {
	w.t.Helper()
	size := int64(0)
	for _, s := range stretches {
		size += int64(len(s))
	}
	up := &catalog.Upload{
		ID: uuid.NewString(), Protocol: "tus", Project: p.ProjectID, Principal: p, Made: true, Size: size, State: catalog.UploadOpen, Options: o,
		CreatedAt: w.now(), UpdatedAt: w.now(), ExpiresAt: w.now().Add(images.UploadKept),
	}
	img, err := w.HoldImage(ctx, p, images.Hold{Size: size, Then: func(tx *catalog.Tx, img *catalog.Image) error {
		up.Image = img.ID
		return catalog.InsertUpload(ctx, tx, up)
	}})
	if err != nil {
		w.t.Fatal(err)
	}
	off := int64(0)
	for _, s := range stretches {
		at := off
		off += int64(len(s))
		if len(s) == 0 || o.Disk && bytes.Count(s, []byte{0}) == len(s) {
			continue
		}
		n, err := w.KeepPart(ctx, images.Part{
			Project: p.ProjectID, Holder: catalog.UploadHolder(up.ID), Content: bytes.NewReader(s), Size: int64(len(s)), Most: -1, Blocks: true, Off: at,
			Commit: func(tx *catalog.Tx, object, size int64) error {
				return catalog.InsertPart(ctx, tx, up.ID, catalog.UploadPart{Off: at, Size: size, Object: object})
			},
		})
		if err != nil || n != int64(len(s)) {
			w.t.Fatalf("part: %d, %v", n, err)
		}
	}
	err = w.db.Update(ctx, func(tx *catalog.Tx) error {
		up, err := catalog.LockUpload(ctx, tx, up.ID)
		if err != nil {
			return err
		}
		up.Received = size
		_, err = w.FinishUpload(ctx, tx, p, up)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return img.ID
}

func (w *world) uploadOf(image string) (up *catalog.Upload, parts []catalog.UploadPart) {
	w.t.Helper()
	err := w.db.View(ctx, func(tx *catalog.Tx) (err error) {
		if up, err = catalog.UploadOfImage(ctx, tx, image); err == nil {
			parts, err = catalog.UploadParts(ctx, tx, up.ID, 0, 10)
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return up, parts
}

// cuts divides content at borders off every grid.
func cuts(content []byte) (parts [][]byte) {
	for _, n := range []int{100_001, 2<<20 + 13, 64 << 10} {
		n = min(n, len(content))
		parts, content = append(parts, content[:n]), content[n:]
	}
	return append(parts, content)
}

// TestUploadBecomesDisk: what came in parts is a disk in the store, whatever its
// file was, and the image shows one file of it.
func TestUploadBecomesDisk(t *testing.T) {
	d := someDisk()
	raw := fileOf(t, d, "raw", nil)
	native := fileOf(t, d, "qcow2", nil)
	each(t, func(t *testing.T, w *world) {
		before := int64(0)
		for _, format := range []string{"raw", "qcow2", "vmdk", "vhdx"} {
			file := fileOf(t, d, format, nil)
			id := w.parted(alice, catalog.UploadOptions{DiskFormat: format}, cuts(file)...)
			eventually(t, format+" active with digests", func() bool {
				if why := w.show(alice, id).LastFailure; why != nil {
					t.Fatal(why.Sentence)
				}
				return w.show(alice, id).HashValue != ""
			})
			img := w.show(alice, id)
			if img.DiskFormat != "qcow2" || img.ContainerFormat != "bare" || img.Size != int64(len(native)) || img.VirtualSize != d.Size() {
				t.Fatalf("%s: %+v", format, img)
			}
			got := w.read(alice, id)
			sum, long := md5.Sum(got), sha512.Sum512(got)
			if !bytes.Equal(got, native) || img.MD5 != hex.EncodeToString(sum[:]) || img.HashValue != hex.EncodeToString(long[:]) {
				t.Errorf("%s: the native view has other bytes", format)
			}
			sent := sha512.Sum512(file)
			want := map[string]string{
				images.PropertySourceFormat: format, images.PropertySourceSize: strconv.Itoa(len(file)), images.PropertySourceSHA512: hex.EncodeToString(sent[:]),
			}
			for name, value := range want {
				if img.Properties[name] != value {
					t.Errorf("%s: %s is %q, want %q", format, name, img.Properties[name], value)
				}
			}
			v, err := w.OpenView(ctx, alice, id, "raw", images.ViewOptions{})
			if err != nil {
				t.Fatal(err)
			}
			r, err := v.Reader(ctx, 0, v.Size)
			if err != nil {
				t.Fatal(err)
			}
			if all, err := io.ReadAll(r); err != nil || !bytes.Equal(all, raw) {
				t.Errorf("%s: the raw view has other bytes, %v", format, err)
			}
			r.Close()
			eventually(t, "the parts go", func() bool {
				up, parts := w.uploadOf(id)
				return up.State == catalog.UploadDone && len(parts) == 0
			})
			live := w.collected().Live.Bytes
			if before > 0 && live > before+128<<10 { // what is cut anew at borders
				t.Errorf("%s: the store grew from %d to %d bytes", format, before, live)
			}
			before = live
			other, err := w.Copy(ctx, alice, id, "copy")
			if err != nil || other.HashValue != img.HashValue {
				t.Errorf("copy: %+v, %v", other, err)
			}
		}
	})
}

// TestUploadMoves: a disk in another realm is the same file.
func TestUploadMoves(t *testing.T) {
	d := someDisk()
	w := light(t)
	id := w.parted(alice, catalog.UploadOptions{}, cuts(fileOf(t, d, "raw", nil))...)
	eventually(t, "digests", func() bool { return w.show(alice, id).HashValue != "" })
	img := w.show(alice, id)
	// A rebuild brings it back without its digests, if they came too late.
	err := w.db.Update(ctx, func(tx *catalog.Tx) error {
		_, err := tx.Exec(ctx, "UPDATE image SET md5 = '', hash_algo = '', hash_value = '' WHERE id = $1", id)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	w.shut()
	w.open()
	eventually(t, "digests after a restart", func() bool { return w.show(alice, id).HashValue == img.HashValue })
	w.set(root, id, "visibility", "public")
	eventually(t, "in the platform's realm", func() bool { return w.show(alice, id).Object != img.Object })
	if !bytes.Equal(w.read(alice, id), fileOf(t, d, "qcow2", nil)) {
		t.Error("other bytes after the move")
	}
	if now := w.show(alice, id); now.HashValue != img.HashValue || now.Size != img.Size {
		t.Errorf("after the move: %+v", now)
	}
	other, err := w.Copy(ctx, bob, id, "mine")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "copied", func() bool { return w.show(bob, other.ID).Status == kuva.StatusActive })
	if !bytes.Equal(w.read(bob, other.ID), fileOf(t, d, "qcow2", nil)) {
		t.Error("other bytes in the copy")
	}
}

// TestUploadChoices: exact content, a raw native view, parts that are the
// disk's bytes with holes, and what is refused.
func TestUploadChoices(t *testing.T) {
	d := someDisk()
	raw := fileOf(t, d, "raw", nil)
	w := light(t)
	active := func(id string) *kuva.Image {
		t.Helper()
		eventually(t, "active", w.status(id))
		return w.show(alice, id)
	}
	file := fileOf(t, d, "vdi", nil)
	sum := md5.Sum(file)
	digests := map[string]string{"md5": hex.EncodeToString(sum[:])}
	exact := w.parted(alice, catalog.UploadOptions{DiskFormat: "vdi", Exact: true, Digests: digests}, cuts(file)...)
	if img := active(exact); img.DiskFormat != "vdi" || img.MD5 != digests["md5"] || !bytes.Equal(w.read(alice, exact), file) {
		t.Errorf("exact: %+v", img)
	}
	shown := w.parted(alice, catalog.UploadOptions{Native: "raw", Digests: digests}, cuts(file)...)
	if img := active(shown); img.DiskFormat != "raw" || img.Size != d.Size() || !bytes.Equal(w.read(alice, shown), raw) {
		t.Errorf("raw: %+v", img)
	}
	const hole = 4 << 20
	sparse := append(append(bytes.Clone(raw[:1<<20]), make([]byte, hole)...), raw[1<<20:2<<20]...)
	holes := w.parted(alice, catalog.UploadOptions{Disk: true, Native: "raw"}, sparse[:1<<20], make([]byte, hole), sparse[1<<20+hole:])
	if img := active(holes); img.VirtualSize != int64(len(sparse)) || !bytes.Equal(w.read(alice, holes), sparse) {
		t.Errorf("with holes: %+v", img)
	}

	file = sparse
	holes = w.parted(alice, catalog.UploadOptions{Disk: true, Exact: true, DiskFormat: "raw"}, sparse[:1<<20], make([]byte, hole), sparse[1<<20+hole:])
	if img := active(holes); img.DiskFormat != "raw" || img.HashValue == "" || !bytes.Equal(w.read(alice, holes), sparse) {
		t.Errorf("a file with holes: %+v", img)
	}

	for _, c := range []struct {
		what string
		code kuva.Code
		o    catalog.UploadOptions
	}{
		{"another digest", kuva.CodeDigest, catalog.UploadOptions{Digests: map[string]string{"md5": "00000000000000000000000000000000"}}},
		{"another format", kuva.CodeUnsupported, catalog.UploadOptions{DiskFormat: "qcow2"}},
	} {
		id := w.parted(alice, c.o, cuts(file)...)
		eventually(t, c.what, func() bool { up, parts := w.uploadOf(id); return up.State == catalog.UploadFailed && len(parts) == 0 })
		up, _ := w.uploadOf(id)
		if img := w.show(alice, id); img.Status != kuva.StatusQueued || img.LastFailure.Code != c.code || up.Failure.Code != c.code {
			t.Errorf("%s: %+v, %+v", c.what, img.LastFailure, up.Failure)
		}
	}
	w.collected()
	w.checkQuotas()
}
