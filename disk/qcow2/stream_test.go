package qcow2

import (
	"bytes"
	"io"
	"testing"

	"kuva/disk"
	"kuva/disk/disktest"
)

// packedTo streams a disk into a pipe after changing how.
func packedTo(t *testing.T, src disk.Disk, s disk.Settings, change func(s *stream)) []byte {
	t.Helper()
	st, err := Stream(t.Context(), src, s)
	if err != nil {
		t.Fatal(err)
	}
	change(st.(*stream))
	var b bytes.Buffer
	n, err := st.WriteTo(t.Context(), struct{ io.Writer }{&b})
	if err != nil || n != int64(b.Len()) {
		t.Fatalf("%d bytes written, %d came, %v", n, b.Len(), err)
	}
	return b.Bytes()
}

// TestPackedTwice: what does not fit into memory on its way into a pipe comes
// out the same.
func TestPackedTwice(t *testing.T) {
	src := disktest.NewSynthetic(40<<20+512, 4, disk.Extent{Off: 1 << 20, Len: 20 << 20}, disk.Extent{Off: 40 << 20, Len: 512})
	once := packedTo(t, src, nil, func(*stream) {})
	twice := packedTo(t, src, nil, func(s *stream) { s.spool = 1 << 20 })
	if !bytes.Equal(once, twice) {
		t.Fatal("other bytes")
	}
}

// TestManyUsers: a cluster of the file gets no more users than a refcount can
// say. A real one would need 65,536 pieces in a cluster.
func TestManyUsers(t *testing.T) {
	src := disktest.NewSynthetic(8<<20, 4, disk.Extent{Off: 0, Len: 8 << 20})
	s := disk.Settings{"cluster_size": "64k"}
	dense := packedTo(t, src, s, func(*stream) {})
	b := packedTo(t, src, s, func(s *stream) { s.maxRefs = 2 })
	if len(b) <= len(dense) {
		t.Errorf("%d bytes with fewer users, %d with more", len(b), len(dense))
	}
	r, size := bytes.NewReader(b), int64(len(b))
	d, err := Open(t.Context(), r, size, disk.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if off, err := disk.Compare(t.Context(), d, src); off >= 0 || err != nil {
		t.Errorf("differs at %d, %v", off, err)
	}
	if report, err := Check(t.Context(), r, size, disk.OpenOptions{}); err != nil || !report.Clean() {
		t.Errorf("%+v, %v", report, err)
	}
}
