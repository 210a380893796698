// Package machine starts disks in QEMU, by emulation, so that it works wherever
// the tests do, and waits for what they say on the serial console.
package machine

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kuva/internal/testkit"
)

// Ready is what the disk of diskimage.Tiny says when it is up.
const Ready = "TINY-READY"

// Boot boots a disk by BIOS until its console shows a text, and switches the
// machine off. format is QEMU's name for the file's format; nothing is written
// to the file. It takes some eight CPU seconds for the tiny disk and 256 MiB.
func Boot(t testing.TB, file, format, text string, limit time.Duration) {
	t.Helper()
	testkit.Need(t, "qemu-system-x86_64")
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	console := filepath.Join(t.TempDir(), "console")
	name, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, testkit.Program("qemu-system-x86_64"),
		"-accel", "tcg,thread=single", "-cpu", "max", "-m", "256", "-nodefaults", "-display", "none", "-no-reboot",
		"-serial", "file:"+console,
		"-drive", "file="+strings.ReplaceAll(name, ",", ",,")+",format="+format+",if=virtio,snapshot=on")
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() {
		cancel() // kills it
		<-ended
	}()
	for {
		b, err := os.ReadFile(console)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(text)) {
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s: QEMU ended with %v\n%s\nconsole:\n%s", format, err, &said, tail(b))
		case <-ctx.Done():
			t.Fatalf("%s: no %q within %v\nconsole:\n%s", format, text, limit, tail(b))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func tail(b []byte) []byte { return b[max(0, len(b)-2000):] }
