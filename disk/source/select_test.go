package source_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"kuva/disk"
	"kuva/disk/source"
	"kuva/disk/wrap"
)

// selected reads the file of the disk in an archive.
func selected(t *testing.T, b []byte, o source.Options) ([]byte, *source.Source, error) {
	t.Helper()
	format := source.Packing(b[:min(len(b), source.PackingHead)])
	s, r, n, err := source.Select(t.Context(), format, bytes.NewReader(b), int64(len(b)), o)
	if err != nil {
		return nil, s, err
	}
	got, err := io.ReadAll(r)
	if err == nil && int64(len(got)) != n {
		t.Errorf("%d bytes of %d", len(got), n)
	}
	return got, s, err
}

// TestSelect: the file of the disk comes from tar, OVA and zip as Open chooses
// it, without room to unpack anything.
func TestSelect(t *testing.T) {
	d := sample(3)
	raw, qcow2, vmdk := file(t, "raw", d), file(t, "qcow2", d), packed(t, d)
	readme, desc := member{"README", []byte("hello")}, member{"m.ovf", descriptor([]string{"a.vmdk", "b.vmdk"}, "", 0, 1)}
	disks := []member{{"a.vmdk", vmdk}, {"b.vmdk", packed(t, sample(4))}}
	for name, c := range map[string]struct {
		file   []byte
		want   []byte
		layers string
	}{
		"tar":            {tarOf(t, readme, member{"d.qcow2", qcow2}), qcow2, "tar qcow2"},
		"tar of raw":     {tarOf(t, readme, member{"disk.raw", raw}), raw, "tar raw"},
		"zip stored":     {zipOf(t, zip.Store, readme, member{"d.qcow2", qcow2}), qcow2, "zip qcow2"},
		"zip packed":     {zipOf(t, zip.Deflate, readme, member{"d.img", raw}), raw, "zip raw"},
		"ova":            {tarOf(t, append([]member{desc}, disks...)...), vmdk, "ova vmdk"},
		"ova and its mf": {tarOf(t, desc, disks[0], disks[1], manifest(append(disks, desc)...)), vmdk, "ova vmdk"},
	} {
		got, s, err := selected(t, c.file, source.Options{})
		if err != nil || !bytes.Equal(got, c.want) || strings.Join(s.Layers, " ") != c.layers {
			t.Errorf("%s: %d bytes, %+v, %v", name, len(got), s, err)
		}
	}
}

// TestSelectRefuses: what Open refuses, and sums that are found wrong at the end.
func TestSelectRefuses(t *testing.T) {
	d := sample(3)
	raw, qcow2, vmdk := file(t, "raw", d), file(t, "qcow2", d), packed(t, d)
	broken := zipOf(t, zip.Store, member{"d.img", raw})
	broken[len(broken)/2] ^= 1
	desc, disk1 := member{"m.ovf", descriptor([]string{"a.vmdk"}, "", 0)}, member{"a.vmdk", vmdk}
	other := manifest(member{"a.vmdk", raw}, desc)
	for name, c := range map[string]struct {
		file   []byte
		o      source.Options
		reason disk.Reason // "" is malformed
	}{
		"two disks":       {tarOf(t, member{"a.raw", raw}, member{"b.qcow2", qcow2}), source.Options{}, disk.ReasonChoice},
		"no disk":         {tarOf(t, member{"a", []byte("a")}, member{"b", []byte("b")}), source.Options{}, disk.ReasonNoDisk},
		"packed twice":    {tarOf(t, member{"a.gz", gz(t, raw)}), source.Options{}, disk.ReasonNested},
		"a zip in a tar":  {tarOf(t, member{"a.zip", zipOf(t, zip.Store, member{"a.raw", raw})}), source.Options{}, disk.ReasonNested},
		"too much":        {zipOf(t, zip.Deflate, member{"a.raw", raw}), source.Options{Limits: wrap.Limits{Output: 1000}}, disk.ReasonLimit},
		"a bomb":          {zipOf(t, zip.Deflate, member{"a.raw", bytes.Repeat([]byte("a"), 66<<20)}), source.Options{}, disk.ReasonLimit},
		"a wrong sum":     {broken, source.Options{}, ""},
		"a wrong mf":      {tarOf(t, desc, disk1, other), source.Options{}, ""},
		"wrong, but raw":  {tarOf(t, desc, other, disk1), source.Options{}, ""},
		"no such disk":    {tarOf(t, member{"a.raw", raw}), source.Options{Choice: 2}, disk.ReasonChoice},
		"half an archive": {tarOf(t, member{"a.raw", raw})[:len(raw)/2], source.Options{}, ""},
	} {
		_, _, err := selected(t, c.file, c.o)
		var malformed *disk.Malformed
		var refused *disk.Refused
		switch {
		case c.reason == "" && errors.As(err, &malformed):
		case c.reason != "" && errors.As(err, &refused) && refused.Reason == c.reason:
		default:
			t.Errorf("%s: %v", name, err)
		}
	}
	// A nearly empty disk is none: what is not kept does not count.
	empty := make([]byte, 80<<20)
	copy(empty[40<<20:], raw)
	if got, _, err := selected(t, zipOf(t, zip.Deflate, member{"a.raw", empty}), source.Options{}); err != nil || !bytes.Equal(got, empty) {
		t.Errorf("a nearly empty disk: %d bytes, %v", len(got), err)
	}
}
