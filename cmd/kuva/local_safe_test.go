package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"kuva/disk/disktest"
	"kuva/internal/testkit"
	"kuva/internal/testkit/loopfs"
)

// named are files that name others, which they do not get to see: rows S-101
// (backing file), S-102 (data file), S-103 (json: names), S-104 (flat extents)
// and S-109 (parents) of the list of attacks.
func named(t *testing.T, dir, victim string) []string {
	t.Helper()
	var files []string
	file := func(name string) string {
		files = append(files, filepath.Join(dir, name))
		return files[len(files)-1]
	}
	write := func(name, text string) {
		if err := os.WriteFile(file(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	create := func(args ...string) {
		disktest.MustQEMU(t, append([]string{"create", "-q"}, args...)...)
	}
	create("-f", "qcow2", "-u", "-b", victim, "-F", "raw", file("backing.qcow2"), "1M")
	create("-f", "qcow2", "-u", "-b", "nbd://127.0.0.1:1/x", "-F", "raw", file("nbd.qcow2"), "1M")
	create("-f", "qcow2", "-u", "-b", `json:{"driver":"file","filename":"`+victim+`"}`, "-F", "raw", file("json.qcow2"), "1M")
	create("-f", "qcow2", "-o", "data_file="+filepath.Join(dir, "outside"), file("data.qcow2"), "1M")
	create("-f", "qed", "-u", "-b", victim, "-F", "raw", file("backing.qed"), "1M")
	const descriptor = "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=%PARENT%\ncreateType=\"%TYPE%\"\n%MORE%RW 8 FLAT \"%FILE%\" 0\n"
	for name, r := range map[string][]string{
		"flat.vmdk":   {"%PARENT%", "ffffffff", "%TYPE%", "monolithicFlat", "%MORE%", "", "%FILE%", victim},
		"parent.vmdk": {"%PARENT%", "87654321", "%TYPE%", "monolithicFlat", "%MORE%", "parentFileNameHint=\"" + victim + "\"\n", "%FILE%", victim},
		"device.vmdk": {"%PARENT%", "ffffffff", "%TYPE%", "fullDevice", "%MORE%", "", "%FILE%", "/dev/zero"},
	} {
		write(name, strings.NewReplacer(r...).Replace(descriptor))
	}
	// A differencing VHD with its parent's name in both headers.
	vhd := file("parent.vhd")
	create("-f", "vpc", vhd, "16M")
	b, err := os.ReadFile(vhd)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{0, len(b) - 512} {
		binary.BigEndian.PutUint32(b[at+60:], 4)
		vhdSum(b[at:at+512], 64)
	}
	for i, c := range victim {
		binary.BigEndian.PutUint16(b[512+64+2*i:], uint16(c))
	}
	b[512+40] = 1 // its id
	vhdSum(b[512:512+1024], 36)
	if err := os.WriteFile(vhd, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return files
}

func vhdSum(b []byte, at int) {
	binary.BigEndian.PutUint32(b[at:], 0)
	var sum uint32
	for _, c := range b {
		sum += uint32(c)
	}
	binary.BigEndian.PutUint32(b[at:], ^sum)
}

// opened matches what strace says of a call that names a file, and connected
// one that reaches for a network.
var (
	opened    = regexp.MustCompile(`(?m)^(?:\d+ +)?(?:openat|open|openat2|creat|stat|newfstatat|statx|lstat|readlink|readlinkat|access|faccessat2?)\([^"\n]*"([^"]*)"`)
	connected = regexp.MustCompile(`(?m)^(?:\d+ +)?(?:connect|bind|sendto)\(.*$`)
)

// TestOnlyTheInputIsOpened runs the real program under strace: whatever a file
// names, no other file is so much as looked for.
func TestOnlyTheInputIsOpened(t *testing.T) {
	testkit.Need(t, "strace", "qemu-img")
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("root:x:0:0"), 0o600); err != nil {
		t.Fatal(err)
	}
	log, out := filepath.Join(dir, "log"), filepath.Join(dir, "out.raw")
	for _, victim := range []string{"/etc/passwd", secret} {
		for _, file := range named(t, t.TempDir(), victim) {
			for _, args := range [][]string{{"info", file}, {"check", file}, {"map", file}, {"convert", "-q", file, out}, {"compare", file, file}} {
				cmd := exec.Command("strace", append([]string{"-f", "-e", "trace=%file,%network", "-o", log, "kuva"}, args...)...)
				printed, err := cmd.CombinedOutput()
				var exit *exec.ExitError
				if err != nil && !errors.As(err, &exit) {
					t.Fatal(err)
				}
				if err == nil && args[0] != "info" && args[0] != "check" {
					t.Errorf("kuva %v is not refused", args)
				}
				if bytes.Contains(printed, []byte("root:x:0")) {
					t.Errorf("kuva %v prints the secret", args)
				}
				b, err := os.ReadFile(log)
				if err != nil {
					t.Fatal(err)
				}
				seen := false
				for _, m := range opened.FindAllSubmatch(b, -1) {
					name := string(m[1])
					seen = seen || name == file
					if name != file && name != out && !ofTheSystem(name) {
						t.Errorf("kuva %v looks for %s", args, name)
					}
				}
				if !seen {
					t.Fatalf("strace has not seen kuva %v:\n%s", args, b)
				}
				if c := connected.Find(b); c != nil {
					t.Errorf("kuva %v: %s", args, c)
				}
			}
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("there is an output")
	}
}

// TestNamesInArchivesAreTexts (S-151, S-152): members that are called like other
// files, and links to them, are neither written nor followed; what is unpacked
// goes into a file whose name nobody chooses and which has none soon.
func TestNamesInArchivesAreTexts(t *testing.T) {
	testkit.Need(t, "strace")
	dir := t.TempDir()
	var plain bytes.Buffer
	w := tar.NewWriter(&plain)
	disk := make([]byte, 1<<20)
	copy(disk[510:], "\x55\xaa")
	for _, h := range []tar.Header{
		{Name: "../../../../../../evil", Typeflag: tar.TypeSymlink, Linkname: "/etc"},
		{Name: "passwd.raw", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"},
		{Name: "hard.raw", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"},
		{Name: "../../../../../../" + dir + "/evil.raw", Typeflag: tar.TypeReg, Size: int64(len(disk)), Mode: 0o644},
	} {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write(disk); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(plain.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	tmp := t.TempDir()
	log, out := filepath.Join(dir, "log"), filepath.Join(dir, "out.raw")
	for name, b := range map[string][]byte{"plain.tar": plain.Bytes(), "packed.tar.gz": packed.Bytes()} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"info", file}, {"convert", "-q", file, out}} {
			cmd := exec.Command("strace", append([]string{"-f", "-e", "trace=%file,%network", "-o", log, "kuva"}, args...)...)
			cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
			if printed, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("kuva %v: %v\n%s", args, err, printed)
			}
			b, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range opened.FindAllSubmatch(b, -1) {
				made := strings.HasPrefix(string(m[1]), filepath.Join(tmp, "kuva-")) || strings.HasPrefix(string(m[1]), out+".") || strings.HasPrefix(out, string(m[1])+"/")
				if name := string(m[1]); name != file && name != out && !made && !ofTheSystem(name) {
					t.Errorf("kuva %v looks for %s", args, name)
				}
			}
		}
	}
	if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, disk) {
		t.Errorf("%d bytes of the disk, %v", len(got), err)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left in TMPDIR: %v, %v", left, err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "evil.raw")); err == nil {
		t.Error("a member was written under its name")
	}
}

// ofTheSystem tells what every Go program looks at: itself, the kernel's
// folders, libraries and the time zone.
func ofTheSystem(name string) bool {
	// The S3 client's numbers of requests begin with the machine's id.
	for _, prefix := range []string{"/etc/machine-id", "/etc/hostname", "/proc/", "/sys/", "/dev/null", "/etc/localtime", "/usr/share/zoneinfo", "/usr/lib/", "/lib/", "/lib64/", "/etc/ld.so"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	exe, err := exec.LookPath("kuva")
	return name == "" || name == "/proc" || err == nil && (name == exe || name == filepath.Dir(exe)) || strings.HasSuffix(name, "/kuva")
}

// TestConvertKilled kills a conversion in its middle: source and the file that
// is to be replaced are as they were.
func TestConvertKilled(t *testing.T) {
	dir := t.TempDir()
	src, dst := filepath.Join(dir, "src.raw"), filepath.Join(dir, "dst.qcow2")
	randomFile(t, src, 48<<20)
	if err := os.WriteFile(dst, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		cmd := exec.Command("kuva", "convert", "-c", "-q", src, dst)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			if parts, err := filepath.Glob(dst + ".*.part"); err == nil && len(parts) > 0 {
				if info, err := os.Stat(parts[0]); err == nil && info.Size() > 0 {
					break
				}
			}
			if time.Now().After(deadline) {
				t.Fatal("it does not begin")
			}
		}
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("it was done before the signal")
		}
		asItWas(t, dst)
		parts, err := filepath.Glob(dst + ".*.part")
		if err != nil {
			t.Fatal(err)
		}
		if signal == syscall.SIGTERM && len(parts) > 0 {
			t.Errorf("stopped in peace it leaves %v", parts)
		}
		for _, p := range parts {
			if err := os.Remove(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	if code, _, errs := kuva(t, "convert", "-c", "-q", src, dst); code != 0 {
		t.Fatal(errs)
	}
	mustKuva(t, "compare", "-q", src, dst)
	if info, err := os.Stat(dst); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v: the mode is not that of the old file", info.Mode(), err)
	}
}

func asItWas(t *testing.T, dst string) {
	t.Helper()
	if b, err := os.ReadFile(dst); err != nil || string(b) != "old" {
		t.Fatalf("the old file holds %d bytes, %v", len(b), err)
	}
}

// TestConvertDiskFull has too little room: the old file stays, no part is left.
func TestConvertDiskFull(t *testing.T) {
	dir := loopfs.Ext4(t, 16<<20)
	src, dst := filepath.Join(t.TempDir(), "src.raw"), filepath.Join(dir, "dst.raw")
	randomFile(t, src, 32<<20)
	if err := os.WriteFile(dst, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"raw", "qcow2", "vmdk"} {
		code, _, errs := kuva(t, "convert", "-q", "-O", format, src, dst)
		if code != exitFailed || !strings.Contains(errs, "no space left") {
			t.Errorf("%s: code %d, %s", format, code, errs)
		}
		asItWas(t, dst)
	}
	if parts, err := filepath.Glob(dst + ".*.part"); err != nil || len(parts) > 0 {
		t.Errorf("left behind: %v, %v", parts, err)
	}
}

// TestConvertDevice writes onto a disk of the machine, which is full of old
// bytes, and reads from it.
func TestConvertDevice(t *testing.T) {
	testkit.NeedRoot(t)
	testkit.Need(t, "losetup")
	dir := t.TempDir()
	src, file := filepath.Join(dir, "src.raw"), filepath.Join(dir, "file")
	disktest.WriteFile(t, src, disktest.RandomDisk(3<<20, 3))
	if err := os.WriteFile(file, bytes.Repeat([]byte{0xff}, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	losetup := testkit.Program("losetup")
	b, err := exec.Command(losetup, "--find", "--show", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	device := strings.TrimSpace(string(b))
	t.Cleanup(func() {
		if out, err := exec.Command(losetup, "--detach", device).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	mustKuva(t, "convert", "-q", "-O", "raw", src, device)
	want, err := os.ReadFile(src)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(device)
	if err != nil || len(got) != 4<<20 || !bytes.Equal(got[:len(want)], want) || got[len(want)] != 0xff {
		t.Errorf("%d bytes, %v, or not those of the source and behind them the old ones", len(got), err)
	}
	var info described
	fromJSON(t, mustKuva(t, "info", "--json", "-f", "raw", device), &info)
	if info.FileSize != 4<<20 {
		t.Errorf("a device of %d bytes", info.FileSize)
	}
	disktest.WriteFile(t, src, disktest.RandomDisk(5<<20, 3))
	if code, _, errs := kuva(t, "convert", "-q", "-O", "raw", src, device); code != exitFailed || !strings.Contains(errs, "has room for 4194304 bytes, 5242880 are needed") {
		t.Errorf("too large: code %d, %s", code, errs)
	}
	if code, _, errs := kuva(t, "convert", "-q", "-O", "raw", device, device); code != exitUsage {
		t.Errorf("onto itself: code %d, %s", code, errs)
	}
}
