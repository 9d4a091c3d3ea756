package signature

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Digest returns the digest of content, "sha256:" and 64 hex digits.
func Digest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// ValidDigest reports whether s is a SHA-256 digest in its one canonical
// spelling. Other algorithms are no use here: cosign signs SHA-256 digests.
func ValidDigest(s string) bool {
	digits, ok := strings.CutPrefix(s, "sha256:")
	return ok && validHex(digits)
}

func validHex(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) == 2*sha256.Size
}

// ReferrersTag reports whether a tag is one under which clients look for
// referrers in a registry without the referrers API (distribution-spec 1.1,
// "Referrers Tag Schema").
func ReferrersTag(tag string) bool {
	digits, ok := strings.CutPrefix(tag, "sha256-")
	return ok && validHex(digits)
}
