package depot

import (
	"context"
	"encoding/base64"
	"fmt"
)

const secretMagic = "KUVASECR"

// SealSecret seals something that a project told in confidence, such as a
// token that a job needs, so that the database alone does not tell it.
// purpose is bound to it: OpenSecret must be given the same one.
func (d *Depot) SealSecret(ctx context.Context, project, purpose, secret string) (string, error) {
	r, err := d.realmOf(ctx, project)
	if err != nil {
		return "", err
	}
	b, err := r.current.sealRecord(secretMagic, purpose, []byte(secret))
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(b), nil
}

// OpenSecret opens what SealSecret sealed. ErrDamaged where it was not that,
// or for another purpose.
func (d *Depot) OpenSecret(ctx context.Context, purpose, sealed string) (string, error) {
	b, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return "", fmt.Errorf("secret: %w", ErrDamaged)
	}
	realm, keyID, err := recordKeys(secretMagic, b)
	if err != nil {
		return "", fmt.Errorf("secret: %w", err)
	}
	keys, err := d.keysOf(ctx, realm, keyID)
	if err != nil {
		return "", fmt.Errorf("secret: %w", err)
	}
	plain, err := keys.openRecord(secretMagic, purpose, b)
	return string(plain), err
}
