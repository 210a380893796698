package loopfs

import (
	"errors"
	"os"
	"syscall"
	"testing"
)

func TestExt4IsFullWhenItIs(t *testing.T) {
	const size = 8 << 20
	dir := Ext4(t, size)
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Fatalf("not empty: %v, %v", entries, err)
	}
	f, err := os.Create(dir + "/a")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 64<<10)
	written := 0
	for err == nil && written < 2*size {
		var n int
		n, err = f.Write(block)
		written += n
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("after %d bytes in a file system of %d: %v", written, size, err)
	}
	if written < size/4 {
		t.Errorf("only %d bytes fit into %d", written, size)
	}
	if err := f.Truncate(0); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(block, 0); err != nil {
		t.Errorf("no room again after the file was emptied: %v", err)
	}
}
