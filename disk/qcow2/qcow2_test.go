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
	disktest.Run(t, qcow2.Format,
		plain("default", "", 63*tib, nil),
		plain("v2", "compat=0.10", 63*tib, disk.Settings{"compat": "0.10"}),
		plain("512", "cluster_size=512", 128<<30-512, disk.Settings{"cluster_size": "512"}),
		plain("4k", "cluster_size=4k", 8*tib, disk.Settings{"cluster_size": "4k"}),
		plain("2M", "cluster_size=2M", 63*tib, disk.Settings{"cluster_size": "2M"}),
	)
}
