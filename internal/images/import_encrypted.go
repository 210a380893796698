package images

import (
	"kuva"
	"kuva/disk/encrypted"
)

// EncryptedHead is how many bytes of a file RefuseEncrypted wants to see.
const EncryptedHead = encrypted.HeadLen

// decrypt are the commands that take off what encrypted.Detect tells.
var decrypt = map[string]string{
	encrypted.OpenSSL: "openssl enc -d",
	encrypted.Age:     "age -d",
	encrypted.OpenPGP: "gpg -d",
	encrypted.LUKS:    "cryptsetup open",
}

// RefuseEncrypted refuses a file that somebody encrypted as a whole, told by
// its first bytes: CodeUnsupported with the way out. Every source from
// elsewhere asks it before the rest of the file travels.
func RefuseEncrypted(head []byte) error {
	with := encrypted.Detect(head)
	if with == "" {
		return nil
	}
	return kuva.E(kuva.CodeUnsupported, "image.source_encrypted", "with", with, "command", decrypt[with])
}
