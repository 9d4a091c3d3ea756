package authn

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
)

// HashSecret returns the stored form of a secret: a plain SHA-256 for secrets
// of ours, whose 256 random bits nobody can guess, and argon2id for anything
// else, which a person may have chosen. A secret that looks like one of ours
// and is broken is refused: it would never be accepted.
func HashSecret(secret string) (string, error) {
	parsed, err := ParseSecret(secret)
	switch {
	case errors.Is(err, ErrNotMine):
		return HashPassword(secret), nil
	case err != nil:
		return "", fmt.Errorf("hashing: %w", err)
	}
	sum := sha256.Sum256([]byte(secret))
	return "sha256:" + parsed.ID + ":" + base64.RawURLEncoding.EncodeToString(sum[:]), nil
}
