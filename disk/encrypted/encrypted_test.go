package encrypted_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"kuva/disk/encrypted"
	"kuva/internal/testkit"
)

// program pipes b through a program.
func program(t *testing.T, home string, b []byte, name string, args ...string) []byte {
	t.Helper()
	testkit.Need(t, name)
	cmd := exec.Command(testkit.Program(name), args...)
	cmd.Stdin = bytes.NewReader(b)
	cmd.Env = []string{"HOME=" + home, "PATH=/usr/bin:/bin"}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(name, args, err)
	}
	return out
}

// TestPrograms: what the programs themselves make.
func TestPrograms(t *testing.T) {
	content := make([]byte, 200_000)
	for i := range content {
		content[i] = byte(i * i >> 3)
	}
	home := t.TempDir()
	t.Cleanup(func() { program(t, home, nil, "gpgconf", "--kill", "all") }) // gpg left its agent
	openssl := []string{"enc", "-aes-256-cbc", "-pbkdf2", "-iter", "1000", "-pass", "pass:x"}
	gpg := []string{"--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "x", "--s2k-count", "1024", "--symmetric", "-o", "-"}
	for name, c := range map[string]struct {
		want string
		out  []byte
	}{
		"openssl":        {encrypted.OpenSSL, program(t, home, content, "openssl", openssl...)},
		"openssl base64": {encrypted.OpenSSL, program(t, home, content, "openssl", append(openssl, "-a")...)},
		"gpg":            {encrypted.OpenPGP, program(t, home, content, "gpg", gpg...)},
		"gpg armored":    {encrypted.OpenPGP, program(t, home, content, "gpg", append([]string{"--armor"}, gpg...)...)},
		"gpg AES128":     {encrypted.OpenPGP, program(t, home, content, "gpg", append([]string{"--cipher-algo", "AES128"}, gpg...)...)},
	} {
		if got := encrypted.Detect(c.out[:min(len(c.out), encrypted.HeadLen)]); got != c.want {
			t.Errorf("%s: %q for % x", name, got, c.out[:16])
		}
	}
}

// unhex reads bytes with blanks between them.
func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestHeads: headers by the specifications, and others that come near.
func TestHeads(t *testing.T) {
	noise := make([]byte, 600)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	cat := func(parts ...any) []byte {
		var b []byte
		for _, p := range parts {
			switch p := p.(type) {
			case string:
				b = append(b, unhex(t, p)...)
			case []byte:
				b = append(b, p...)
			}
		}
		return b
	}
	rsa := cat("85 01 0c 03", noise[:8], "01 08 00", noise[:256]) // to a key of 2,048 bits
	x25519 := cat("c1 2d 03", noise[:8], "12", noise[:35])
	data := cat("d2 c0 4d 01", noise)
	for name, c := range map[string]struct {
		head []byte
		want string
	}{
		"to RSA":             {cat(rsa, data), encrypted.OpenPGP},
		"to two keys":        {cat(rsa, x25519, data), encrypted.OpenPGP},
		"in pieces":          {cat(x25519, "d2 ed 01", noise), encrypted.OpenPGP},
		"v6 key, v2 data":    {cat("c1 2a 06 15 04", noise[:20], "19", noise[:18], "d2 c0 4d 02", noise), encrypted.OpenPGP},
		"GnuPG's AEAD":       {cat(x25519, "d4 c0 4d 01", noise), encrypted.OpenPGP},
		"many keys, cut":     {bytes.Repeat(rsa, 20)[:encrypted.HeadLen], encrypted.OpenPGP},
		"a password":         {cat("8c 0d 04 09 03 02", noise[:9], data), encrypted.OpenPGP},
		"with a marker":      {cat("ca 03 50 47 50", rsa, data), encrypted.OpenPGP},
		"age":                {[]byte("age-encryption.org/v1\n-> X25519 abc\n"), encrypted.Age},
		"age armored":        {[]byte("-----BEGIN AGE ENCRYPTED FILE-----\nYWdl"), encrypted.Age},
		"LUKS1":              {[]byte("LUKS\xba\xbe\x00\x01aes"), encrypted.LUKS},
		"LUKS2":              {[]byte("LUKS\xba\xbe\x00\x02"), encrypted.LUKS},
		"base64":             {[]byte(base64.StdEncoding.EncodeToString(append([]byte("Salted__"), noise[:20]...))), encrypted.OpenSSL},
		"nothing":            {nil, ""},
		"one byte":           {[]byte{0x85}, ""},
		"data without a key": {data, ""},
		"a key, then noise":  {cat(rsa, "00 00 00 00"), ""},
		"a compressed file":  {cat("a3 01", noise), ""},
		"a signature":        {[]byte("-----BEGIN PGP SIGNATURE-----\n"), ""},
		"a public key":       {[]byte("-----BEGIN PGP PUBLIC KEY BLOCK-----\n"), ""},
		"boot code":          {cat("eb 63 90 10 8e d0 bc 00 b0"), ""},
		"other boot code":    {cat("fa 33 c0 8e d0 bc 00 7c"), ""},
		"zeros":              {make([]byte, 4096), ""},
		"bytes of ones":      {bytes.Repeat([]byte{0xff}, 4096), ""},
		"qcow2":              {[]byte("QFI\xfb\x00\x00\x00\x03"), ""},
		"text about it":      {[]byte("my Salted__ file"), ""},
	} {
		if got := encrypted.Detect(c.head); got != c.want {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
	}
}

// TestNoise: bytes that are any are hardly ever taken for a message.
func TestNoise(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	head := make([]byte, 512)
	hits := 0
	for range 200_000 {
		for i := range 64 {
			head[i] = byte(dice.Uint32())
		}
		if encrypted.Detect(head) != "" {
			hits++
		}
	}
	if hits > 2 {
		t.Errorf("%d of 200,000", hits)
	}
}

func FuzzDetect(f *testing.F) {
	f.Add([]byte("Salted__12345678"))
	f.Add([]byte("\x8c\x0d\x04\x09\x03\x02123456789\xd2\xc0\x4d\x01"))
	f.Add([]byte("\xc1\xff\xff\xff\xff\xff\x03"))
	f.Add([]byte("\x87\x03"))
	f.Fuzz(func(t *testing.T, head []byte) {
		if name := encrypted.Detect(head); name != "" && len(head) < 6 {
			t.Errorf("%q of %x", name, head)
		}
	})
}
