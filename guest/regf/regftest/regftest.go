// Package regftest makes registry hives for tests and lists them by hivex,
// which is another implementation of the format.
package regftest

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kuva/internal/testkit"
)

// Minimal is a hive with nothing but a root: made by hand, and enough for hivex
// to write into.
func Minimal() []byte {
	const when = 131_000_000_000_000_000 // in 2016
	b := make([]byte, 8192)
	le := binary.LittleEndian
	copy(b, "regf")
	le.PutUint32(b[4:], 1)
	le.PutUint32(b[8:], 1)
	le.PutUint64(b[12:], when)
	le.PutUint32(b[20:], 1)
	le.PutUint32(b[24:], 5)
	le.PutUint32(b[32:], 1)
	le.PutUint32(b[36:], 0x20)
	le.PutUint32(b[40:], 4096)
	le.PutUint32(b[44:], 1)
	Seal(b)

	bin := b[4096:]
	copy(bin, "hbin")
	le.PutUint32(bin[8:], 4096)
	le.PutUint64(bin[20:], when)
	const key, security = 96, 72
	nk := bin[0x20:]
	cell := func(b []byte, size int) { le.PutUint32(b, uint32(-int32(size))) }
	cell(nk, key)
	copy(nk[4:], "nk")
	le.PutUint16(nk[6:], 0x2c) // root, cannot be deleted, name in Latin-1
	le.PutUint64(nk[8:], when)
	for _, at := range []int{20, 32, 36, 44, 52} {
		le.PutUint32(nk[at:], 0xffffffff)
	}
	le.PutUint32(nk[48:], 0x20+key)
	le.PutUint16(nk[76:], 4)
	copy(nk[80:], "ROOT")

	sk := nk[key:]
	cell(sk, security)
	copy(sk[4:], "sk")
	le.PutUint32(sk[8:], 0x20+key)
	le.PutUint32(sk[12:], 0x20+key)
	le.PutUint32(sk[16:], 1)
	le.PutUint32(sk[20:], 20)
	sk[24] = 1 // a security descriptor that says nothing
	le.PutUint16(sk[26:], 0x8000)
	rest := 4096 - 0x20 - key - security
	le.PutUint32(sk[security:], uint32(rest))
	return b
}

// Seal writes the checksum of a hive's header.
func Seal(b []byte) {
	le := binary.LittleEndian
	var x uint32
	for i := 0; i < 508; i += 4 {
		x ^= le.Uint32(b[i:])
	}
	le.PutUint32(b[508:], x)
}

// Merge makes a hive of a text as regedit writes it, without its first line.
// Keys begin with HKEY_LOCAL_MACHINE\TEST, which is the root of the hive; those
// above a key are made with it. Texts are ASCII; others go as hex(1): and so on.
func Merge(t testing.TB, text string) []byte {
	t.Helper()
	testkit.Need(t, "hivexregedit")
	file := filepath.Join(t.TempDir(), "hive")
	if err := os.WriteFile(file, Minimal(), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(testkit.Program("hivexregedit"), "--merge", "--prefix", `HKEY_LOCAL_MACHINE\TEST`, file)
	cmd.Stdin = strings.NewReader("Windows Registry Editor Version 5.00\n\n" + withParents(text))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("hivexregedit: %v\n%s", err, out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// withParents adds the keys above others, which hivexregedit wants named.
func withParents(text string) string {
	var b strings.Builder
	seen := map[string]bool{}
	for line := range strings.Lines(text) {
		if key := strings.TrimSpace(line); strings.HasPrefix(key, "[") && strings.HasSuffix(key, "]") {
			parts := strings.Split(strings.Trim(key, "[]"), `\`)
			for i := 3; i < len(parts); i++ {
				if parent := strings.Join(parts[:i], `\`); !seen[parent] {
					seen[parent] = true
					b.WriteString("[" + parent + "]\n\n")
				}
			}
			seen[strings.Join(parts, `\`)] = true
		}
		b.WriteString(line)
	}
	return b.String()
}

// list prints a line for each key and each value: depth and name of keys; name,
// type and data of values. Names and data are in hexadecimal.
const list = `
use Win::Hivex; use Encode;
my $h = Win::Hivex->open($ARGV[0]);
sub hex_of { return unpack("H*", encode("UTF-8", $_[0])) }
sub walk {
	my ($node, $depth) = @_;
	print "key $depth ", hex_of($h->node_name($node)), "\n";
	for my $v ($h->node_values($node)) {
		my ($type, $data) = $h->value_value($v);
		print "value ", hex_of($h->value_key($v)), " $type ", unpack("H*", $data), "\n";
	}
	walk($_, $depth + 1) for $h->node_children($node);
}
walk($h->root(), 0);
`

// List lists a hive by hivex: "key DEPTH NAME" and "value NAME TYPE DATA" in
// the order of the file, names and data in hexadecimal.
func List(t testing.TB, hive []byte) []string {
	t.Helper()
	testkit.Need(t, "perl", "hivexregedit")
	file := filepath.Join(t.TempDir(), "hive")
	if err := os.WriteFile(file, hive, 0o600); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := exec.Command(testkit.Program("perl"), "-e", list, file)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("hivex: %v\n%s", err, &stderr)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}
