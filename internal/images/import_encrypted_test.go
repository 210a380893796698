package images_test

import (
	"errors"
	"strings"
	"testing"

	"kuva"
	"kuva/disk/encrypted"
	"kuva/internal/images"
)

// TestRefuseEncrypted: each kind is refused with the command that helps.
func TestRefuseEncrypted(t *testing.T) {
	for with, head := range map[string]string{
		encrypted.OpenSSL: "Salted__........",
		encrypted.Age:     "age-encryption.org/v1\n",
		encrypted.OpenPGP: "-----BEGIN PGP MESSAGE-----\n",
		encrypted.LUKS:    "LUKS\xba\xbe\x00\x02",
	} {
		err := images.RefuseEncrypted([]byte(head))
		var e *kuva.Error
		if !errors.As(err, &e) || e.Code != kuva.CodeUnsupported {
			t.Errorf("%s: %v", with, err)
			continue
		}
		text := e.Text.In("en")
		if !strings.Contains(text, with) || strings.Contains(text, "{") || strings.Contains(text, "example with ,") {
			t.Errorf("%s: %q", with, text)
		}
	}
	if err := images.RefuseEncrypted([]byte("QFI\xfb")); err != nil {
		t.Error(err)
	}
}
