package qcow2_test

import (
	"testing"

	"kuva/disk"
	"kuva/disk/disktest"
	"kuva/disk/qcow2"
)

func TestFormat(t *testing.T) {
	const tib = 1 << 40
	plain := func(name, qemu string, largest int64, settings disk.Settings) disktest.Variant {
		return disktest.Variant{
			Name: name, Settings: settings, QEMU: "qcow2", QEMUOptions: qemu, QEMUCheck: true, MaxSize: largest,
		}
	}
	packed := func(name, qemu string, settings disk.Settings) disktest.Variant {
		v := plain(name, qemu, 0, settings)
		v.Stream, v.Compress = true, true
		return v
	}
	disktest.Run(t, qcow2.Format,
		plain("default", "", 63*tib, nil),
		plain("v2", "compat=0.10", 63*tib, disk.Settings{"compat": "0.10"}),
		plain("512", "cluster_size=512", 128<<30-512, disk.Settings{"cluster_size": "512"}),
		plain("4k", "cluster_size=4k", 8*tib, disk.Settings{"cluster_size": "4k"}),
		packed("zlib", "", nil),
		packed("zlib v2", "compat=0.10", disk.Settings{"compat": "v2"}),
		packed("zlib 512", "cluster_size=512", disk.Settings{"cluster_size": "512"}),
		packed("zlib 2M", "cluster_size=2M", disk.Settings{"cluster_size": "2M"}),
		packed("zstd", "compression_type=zstd", disk.Settings{"compression_type": "zstd"}),
		packed("zstd 512", "cluster_size=512,compression_type=zstd", disk.Settings{"compression_type": "zstd", "cluster_size": "512"}),
		packed("zstd 2M", "cluster_size=2M,compression_type=zstd", disk.Settings{"compression_type": "zstd", "cluster_size": "2M"}),
		plain("2M", "cluster_size=2M", 63*tib, disk.Settings{"cluster_size": "2M"}),
	)
}
