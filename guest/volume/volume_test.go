package volume_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"kuva/disk"
	"kuva/disk/disktest"
	"kuva/guest/budget"
	"kuva/guest/guesttest"
	"kuva/guest/volume"
	"kuva/internal/testkit"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func run(t testing.TB, stdin, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(testkit.Program(program), args...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "LVM_SUPPRESS_FD_WARNINGS=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
	return string(out)
}

func image(t testing.TB, size int64) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "image")
	must(t, os.WriteFile(name, nil, 0o600))
	must(t, os.Truncate(name, size))
	return name
}

func scan(t testing.TB, d disk.Disk) *volume.Layout {
	t.Helper()
	l, err := volume.Scan(d, budget.New(t.Context(), budget.Limits{}))
	must(t, err)
	return l
}

// lines prints what a test compares: name, start and size in sectors of 512
// bytes, type, flags and label.
func lines(l *volume.Layout) string {
	var b strings.Builder
	for _, v := range l.Volumes {
		fmt.Fprintf(&b, "%s %d+%d %s", v.Name, v.Off/512, v.Size/512, v.Role)
		if v.Boot {
			b.WriteString(" boot")
		}
		if v.Label != "" {
			fmt.Fprintf(&b, " %q", v.Label)
		}
		if v.Content.Type != "" {
			fmt.Fprintf(&b, " holds %s", v.Content.Type)
		}
		b.WriteString("\n")
	}
	for _, n := range l.Notes {
		fmt.Fprintf(&b, "note %s\n", n.ID)
	}
	return b.String()
}

func compare(t testing.TB, l *volume.Layout, want string) {
	t.Helper()
	if got, want := lines(l), strings.ReplaceAll(strings.TrimLeft(want, "\n"), "\t", ""); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestMBR(t *testing.T) {
	testkit.Need(t, "sfdisk", "mkswap")
	name := image(t, 64<<20)
	run(t, `label: dos
label-id: 0x1234abcd
start=2048, size=20480, type=83, bootable
start=22528, size=8192, type=82
start=30720, type=5
start=32768, size=20480, type=83
start=55296, size=20480, type=8e
start=77824, size=10240, type=7
`, "sfdisk", "-q", name)
	swap := image(t, 8192*512)
	run(t, "", "mkswap", "-q", "-L", "swapper", swap)
	run(t, "", "dd", "if="+swap, "of="+name, "bs=512", "seek=22528", "conv=notrunc", "status=none")
	l := scan(t, guesttest.RawFile(t, name))
	compare(t, l, `
		p1 2048+20480 linux boot
		p2 22528+8192 linux-swap holds swap
		p3 30720+100352 extended
		p5 32768+20480 linux
		p6 55296+20480 linux-lvm
		p7 77824+10240 microsoft-basic
	`)
	if l.Scheme != volume.MBR || l.ID != "1234abcd" || l.Volumes[3].UUID != "1234abcd-05" || l.Volumes[1].Content.Label != "swapper" {
		t.Errorf("%+v", l)
	}
}

const gptScript = `label: gpt
label-id: 01234567-89AB-CDEF-0123-456789ABCDEF
start=4096, size=20480, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, name="root ünï", uuid=11111111-2222-3333-4444-555555555555
start=24576, size=2048, type=21686148-6449-6E6F-744E-656564454649, name="bios", attrs="LegacyBIOSBootable"
start=26624, size=8192, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name="efi"
`

const gptWant = `
		p1 4096+20480 linux "root ünï"
		p2 24576+2048 bios-boot boot "bios"
		p3 26624+8192 efi-system "efi"
	`

func TestGPT(t *testing.T) {
	testkit.Need(t, "sfdisk")
	name := image(t, 64<<20)
	run(t, gptScript, "sfdisk", "-q", name)
	l := scan(t, guesttest.RawFile(t, name))
	compare(t, l, gptWant)
	if l.Scheme != volume.GPT || l.ID != "01234567-89ab-cdef-0123-456789abcdef" || l.Volumes[0].UUID != "11111111-2222-3333-4444-555555555555" || l.SectorSize != 512 {
		t.Errorf("%+v", l)
	}
	whole, err := os.ReadFile(name)
	must(t, err)
	for _, tt := range []struct {
		name, notes string
		change      func(b []byte) []byte
	}{
		{"first copy gone", "note gpt-primary-broken\n", func(b []byte) []byte { clear(b[512:1024]); return b }},
		{"first entries changed", "note gpt-primary-broken\n", func(b []byte) []byte { b[1024+56]++; return b }},
		{"second copy gone", "note gpt-backup-broken\n", func(b []byte) []byte { clear(b[len(b)-512:]); return b }},
		{"disk grown", "note gpt-backup-not-at-end\n", func(b []byte) []byte { return append(b, make([]byte, 1<<20)...) }},
		{"disk cut", "note gpt-backup-broken\n", func(b []byte) []byte { return b[:60<<20] }},
		{"no protective MBR", "note gpt-without-protective-mbr\n", func(b []byte) []byte { clear(b[:512]); return b }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := scan(t, guesttest.RawBytes(t, tt.change(append([]byte(nil), whole...))))
			compare(t, l, gptWant+tt.notes)
		})
	}
	t.Run("both gone", func(t *testing.T) {
		b := append([]byte(nil), whole...)
		b[600]++
		b[len(b)-512+60]++
		l := scan(t, guesttest.RawBytes(t, b))
		compare(t, l, "note gpt-broken\n")
		if l.Scheme != volume.GPT {
			t.Error(l.Scheme)
		}
	})
}

// TestGPT4K: the same on a disk with sectors of 4 KiB.
func TestGPT4K(t *testing.T) {
	testkit.NeedRoot(t)
	testkit.Need(t, "sfdisk", "losetup")
	name := image(t, 64<<20)
	dev := loop(t, name, "--sector-size", "4096")
	run(t, "label: gpt\nstart=512, size=2560, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4\n", "sfdisk", "-q", "--no-reread", "--no-tell-kernel", dev)
	l := scan(t, guesttest.RawFile(t, name))
	compare(t, l, "p1 4096+20480 linux\n")
	if l.SectorSize != 4096 {
		t.Errorf("%+v", l)
	}
}

func TestHybrid(t *testing.T) {
	testkit.Need(t, "sfdisk", "sgdisk")
	name := image(t, 64<<20)
	run(t, gptScript, "sfdisk", "-q", name)
	run(t, "", "sgdisk", "--hybrid", "1", name)
	compare(t, scan(t, guesttest.RawFile(t, name)), gptWant+"note hybrid-mbr\n")
}

// TestWhole: disks without a table.
func TestWhole(t *testing.T) {
	testkit.Need(t, "mke2fs", "mkfs.vfat")
	for program, want := range map[string]string{"mke2fs": "ext2", "mkfs.vfat": "vfat"} {
		name := image(t, 8<<20)
		args := []string{name}
		if program == "mke2fs" {
			args = []string{"-q", "-F", name}
		}
		run(t, "", program, args...)
		l := scan(t, guesttest.RawFile(t, name))
		compare(t, l, "disk 0+16384  holds "+want+"\n")
		if l.Scheme != volume.None {
			t.Error(l.Scheme)
		}
	}
	compare(t, scan(t, guesttest.RawBytes(t, make([]byte, 1<<20))), "disk 0+2048 \n")
	compare(t, scan(t, guesttest.RawBytes(t, nil)), "disk 0+0 \n")
}

// loop gives a loop device for a file, until the end of the test.
func loop(t testing.TB, name string, args ...string) string {
	t.Helper()
	dev := strings.TrimSpace(run(t, "", "losetup", append(append([]string{"-f", "--show"}, args...), name)...))
	t.Cleanup(func() { run(t, "", "losetup", "-d", dev) })
	return dev
}

// TestLVM lets LVM divide two partitions of a disk, writes into each of their
// extents which it is, and compares the volumes with what lvs says.
func TestLVM(t *testing.T) {
	testkit.NeedRoot(t)
	testkit.Need(t, "sfdisk", "losetup", "pvcreate", "vgcreate", "lvcreate", "lvextend", "lvs")
	name := image(t, 200<<20)
	run(t, "label: gpt\nstart=2048,size=184320,type=lvm\nstart=186368,size=184320,type=lvm\n", "sfdisk", "-q", name)
	a := loop(t, name, "-o", fmt.Sprint(2048*512), "--sizelimit", fmt.Sprint(90<<20))
	b := loop(t, name, "-o", fmt.Sprint(186368*512), "--sizelimit", fmt.Sprint(90<<20))
	lvm := func(program string, args ...string) string {
		config := fmt.Sprintf(`devices{filter=["a|%s$|","a|%s$|","r|.*|"] use_devicesfile=0} activation{monitoring=0 udev_sync=0}`, a, b)
		return run(t, "", program, append([]string{"--driverloaded", "n", "-qq", "--config", config}, args...)...)
	}
	lvm("pvcreate", "-y", a, b)
	lvm("vgcreate", "-y", "-s", "1M", "vg-0", a, b)
	lvm("lvcreate", "-y", "-an", "-Zn", "-n", "root", "-l", "20", "vg-0", a)
	lvm("lvcreate", "-y", "-an", "-Zn", "-n", "swap", "-l", "10", "vg-0", b)
	lvm("lvcreate", "-y", "-an", "-Zn", "-n", "fast", "-i", "2", "-I", "64k", "-l", "16", "vg-0")
	lvm("lvextend", "-y", "-l", "+25", "vg-0/root", b)
	segments := lvm("lvs", "--segments", "--noheadings", "--separator", ",", "-o", "lv_name,seg_start_pe,seg_pe_ranges,stripe_size", "--units", "b", "--nosuffix")
	for i, dev := range []string{a, b} {
		f, err := os.OpenFile(dev, os.O_WRONLY, 0)
		must(t, err)
		for k := range 89 {
			p := []byte(strings.Repeat(fmt.Sprintf("%d:%03d ", i, k), 1<<20/6+1)[:1<<20])
			_, err := f.WriteAt(p, int64(k+1)<<20)
			must(t, err)
		}
		must(t, f.Sync())
		must(t, f.Close())
	}
	l := scan(t, guesttest.RawFile(t, name))
	compare(t, l, `
		p1 2048+184320 linux-lvm holds LVM2_member
		p2 186368+184320 linux-lvm holds LVM2_member
		vg-0/fast 0+32768 
		vg-0/root 0+92160 
		vg-0/swap 0+20480 
	`)
	seen := 0
	for line := range strings.Lines(segments) {
		cells := strings.Split(strings.TrimSpace(line), ",")
		if len(cells) != 4 {
			continue
		}
		var v volume.Volume
		for _, have := range l.Volumes {
			if have.Name == "vg-0/"+cells[0] {
				v = have
			}
		}
		must(t, v.Err)
		start, err := strconv.Atoi(cells[1])
		must(t, err)
		stripe, err := strconv.Atoi(cells[3])
		must(t, err)
		ranges := strings.Fields(cells[2])
		if stripe == 0 {
			stripe = 1 << 20
		}
		legs := make([]struct{ pv, first, last int }, len(ranges))
		for i, r := range ranges {
			dev, span, _ := strings.Cut(r, ":")
			if dev == b {
				legs[i].pv = 1
			}
			_, err := fmt.Sscanf(span, "%d-%d", &legs[i].first, &legs[i].last)
			must(t, err)
		}
		n := (legs[0].last - legs[0].first + 1) << 20 / stripe * len(legs) // stripes in the segment
		p := make([]byte, stripe)
		for k := range n {
			leg := legs[k%len(legs)]
			off := k / len(legs) * stripe // on the leg
			want := strings.Repeat(fmt.Sprintf("%d:%03d ", leg.pv, leg.first+off>>20), 1<<20/6+1)[off%(1<<20):][:stripe]
			must(t, disk.ReadFull(v.Disk, p, int64(start)<<20+int64(k*stripe)))
			if string(p) != want {
				t.Fatalf("%s, stripe %d: %.20q, want %.20q", v.Name, k, p, want)
			}
		}
		seen++
	}
	if seen != 4 {
		t.Errorf("%d segments:\n%s", seen, segments)
	}
	for _, v := range l.Volumes[2:] {
		want := map[string]string{"vg-0/fast": "striped", "vg-0/root": "linear", "vg-0/swap": "linear"}[v.Name]
		if v.Kind != want || v.Size != v.Disk.Size() || len(v.UUID) != 38 {
			t.Errorf("%+v", v)
		}
		disktest.Sound(t, v.Disk, disktest.ReadAll(t, v.Disk))
	}
	// One of the two is gone: what lies on the other alone is still read.
	whole, err := os.ReadFile(name)
	must(t, err)
	clear(whole[186368*512:][:1<<20])
	l = scan(t, guesttest.RawBytes(t, whole))
	for _, v := range l.Volumes[2:] {
		if v.Disk != nil || v.Err == nil {
			t.Errorf("%s is read without its second half: %v", v.Name, v.Err)
		}
	}
	if len(l.Notes) != 1 || l.Notes[0].ID != volume.NoteLVM {
		t.Errorf("%v", l.Notes)
	}
}

// TestEncrypted: what is only named.
func TestEncrypted(t *testing.T) {
	testkit.Need(t, "cryptsetup")
	for _, version := range []string{"1", "2"} {
		name := image(t, 32<<20)
		run(t, "secret", "cryptsetup", "luksFormat", "-q", "--type", "luks"+version, "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--uuid", "12345678-1234-1234-1234-123456789abc", name)
		c := scan(t, guesttest.RawFile(t, name)).Whole.Content
		if c.Type != "crypto_LUKS" || c.Version != version || c.UUID != "12345678-1234-1234-1234-123456789abc" || !c.Encrypted() {
			t.Errorf("%+v", c)
		}
	}
}
