package qcow2_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"testing"

	"kuva/disk"
	"kuva/disk/disktest"
	"kuva/disk/qcow2"
)

// TestGolden holds layout version 1: a change of these sums is a new version,
// and the old one has to stay, since images are known by the hash of a view.
func TestGolden(t *testing.T) {
	if qcow2.LayoutVersion != 1 {
		t.Fatal("a new version needs sums of its own here")
	}
	src := disktest.NewSynthetic(700<<20+512, 99,
		disk.Extent{Off: 0, Len: 200_000}, disk.Extent{Off: 300 << 20, Len: 70_000, Kind: disk.Zero},
		disk.Extent{Off: 512<<20 - 1, Len: 2}, disk.Extent{Off: 700 << 20, Len: 512})
	for _, tt := range []struct {
		settings disk.Settings
		sum      string
	}{
		{nil, "769bb22541c578cdb7125f541016900172d42efc7c29bf5485ec63bce3057861"},
		{disk.Settings{"compat": "v2"}, "ab2d26e0ef8f47b3ee5444379fe2e5b5550b829a45e45c59c90d925b586a0e40"},
		{disk.Settings{"cluster_size": "512"}, "6ea6aa651e5192014a123b40ef6de9b26ac27069ace83d40ed2d2927515f53ab"},
		{disk.Settings{"cluster_size": "2M"}, "2681c0928cef32134fb16c36742498722e13ac59425731d05bd75745a00820ea"},
	} {
		view, err := qcow2.Layout(t.Context(), src, tt.settings)
		if err != nil {
			t.Fatal(err)
		}
		h := sha256.New()
		if _, err := io.Copy(h, io.NewSectionReader(view, 0, view.Size())); err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != tt.sum {
			t.Errorf("%v: %s, want %s", tt.settings, got, tt.sum)
		}
	}
}

// TestSettings: what is no setting is refused, before anything is read.
func TestSettings(t *testing.T) {
	src := disktest.NewSynthetic(1<<20, 1)
	for _, s := range []disk.Settings{
		{"cluster_size": "3k"},
		{"cluster_size": "256"},
		{"cluster_size": "4M"},
		{"cluster_size": "0"},
		{"cluster_size": "-1"},
		{"compat": "2"},
		{"compression_type": "lz4"},
		{"compression_type": "zstd", "compat": "0.10"},
		{"backing_file": "/etc/passwd"},
		{"data_file": "x"},
	} {
		if _, err := qcow2.Layout(t.Context(), src, s); !refused(err, disk.ReasonSetting) {
			t.Errorf("layout with %v: %v", s, err)
		}
		if _, err := qcow2.Stream(t.Context(), src, s); !refused(err, disk.ReasonSetting) {
			t.Errorf("stream with %v: %v", s, err)
		}
	}
	large := disktest.NewSynthetic(1<<40, 1)
	if _, err := qcow2.Layout(t.Context(), large, disk.Settings{"cluster_size": "512"}); !refused(err, disk.ReasonTooLarge) {
		t.Errorf("1 TiB in clusters of 512 bytes: %v", err)
	}
	huge := disktest.NewSynthetic(1<<60, 1)
	if _, err := qcow2.Layout(t.Context(), huge, disk.Settings{"cluster_size": "2M"}); !refused(err, disk.ReasonTooLarge) {
		t.Errorf("1 EiB: %v", err)
	}
}
