package authn

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// Hash is the stored form of a secret. It is immutable.
type Hash interface {
	// Matches reports whether secret is the one that was hashed. It takes as
	// long for a right one as for a wrong one.
	Matches(secret string) bool
	// Slow reports whether Matches is made to be expensive, so that it must
	// go through a [HashPool].
	Slow() bool
	// ID is the public identifier of a secret of ours, else empty.
	ID() string
	// stored is the text that was parsed.
	stored() string
	// cost is about how many milliseconds Matches takes.
	cost() float64
}

// ParseHash reads the stored form of a secret: "sha256:<id>:<base64url>" as
// [NewSecret] makes it, an argon2id PHC string ("$argon2id$v=19$m=…"), or
// bcrypt ("$2a$", "$2b$", "$2y$"). Parameters that no honest hash has are
// refused. Errors never repeat the text: it may be a secret put in the place
// of its hash.
func ParseHash(stored string) (Hash, error) {
	switch {
	case stored == "":
		return nil, errors.New("hash is empty")
	case strings.HasPrefix(stored, "sha256:"):
		return parseSHA256(stored)
	case strings.HasPrefix(stored, "$argon2id$"):
		return parseArgon2(stored)
	case strings.HasPrefix(stored, "$2a$"), strings.HasPrefix(stored, "$2b$"), strings.HasPrefix(stored, "$2y$"):
		return parseBcrypt(stored)
	}
	if _, ours := secretKind(stored); ours {
		return nil, errors.New("this is a secret and not its hash: make the hash with \"caddy registry-auth hash-secret\", and the secret anew, for it has been written down")
	}
	return nil, errors.New("unknown form of hash: want sha256:<id>:<hash>, $argon2id$… or $2b$… (bcrypt)")
}

// HashID returns what tells a hash from others in public, such as in a log:
// the id of a secret of ours, else a fingerprint of the stored form, which has
// a salt in it that nobody outside knows.
func HashID(h Hash) string {
	if id := h.ID(); id != "" {
		return id
	}
	sum := sha256.Sum256([]byte(h.stored()))
	return "pw-" + hex.EncodeToString(sum[:6])
}

// sha256Hash is the hash of a secret of ours: 256 random bits need no
// stretching.
type sha256Hash struct {
	id  string
	sum [sha256.Size]byte
}

func parseSHA256(stored string) (Hash, error) {
	id, encoded, _ := strings.Cut(strings.TrimPrefix(stored, "sha256:"), ":")
	if !isSecretID(id) {
		return nil, fmt.Errorf("sha256 hash: want sha256:<id of %d letters a-z and digits>:<hash>", secretIDLength)
	}
	sum, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || len(sum) != sha256.Size {
		return nil, errors.New("sha256 hash: the part after the id is not 32 bytes in base64url without padding")
	}
	return &sha256Hash{id: strings.Clone(id), sum: [sha256.Size]byte(sum)}, nil
}

func (h *sha256Hash) Matches(secret string) bool {
	sum := digest(secret)
	return subtle.ConstantTimeCompare(sum[:], h.sum[:]) == 1
}

func (h *sha256Hash) Slow() bool    { return false }
func (h *sha256Hash) ID() string    { return h.id }
func (h *sha256Hash) cost() float64 { return 0 }
func (h *sha256Hash) stored() string {
	return "sha256:" + h.id + ":" + base64.RawURLEncoding.EncodeToString(h.sum[:])
}

// maxBcryptCost bounds what one check may cost: 16 is about four seconds.
const maxBcryptCost = 16

// maxBcryptSecret is what bcrypt looks at: it ignores the bytes that follow,
// so that longer secrets would share their hash with others.
const maxBcryptSecret = 72

type bcryptHash string

func parseBcrypt(stored string) (Hash, error) {
	cost, err := bcrypt.Cost([]byte(stored))
	if err != nil || len(stored) != 60 {
		return nil, errors.New("bcrypt hash is not well formed")
	}
	if cost > maxBcryptCost {
		return nil, fmt.Errorf("bcrypt hash: cost %d is above %d", cost, maxBcryptCost)
	}
	return bcryptHash(stored), nil
}

func (h bcryptHash) Matches(secret string) bool {
	usable := len(secret) <= maxBcryptSecret
	if !usable {
		secret = secret[:maxBcryptSecret] // take the time of a wrong one
	}
	return bcrypt.CompareHashAndPassword([]byte(h), []byte(secret)) == nil && usable
}

func (h bcryptHash) Slow() bool     { return true }
func (h bcryptHash) ID() string     { return "" }
func (h bcryptHash) stored() string { return string(h) }

func (h bcryptHash) cost() float64 {
	cost, _ := bcrypt.Cost([]byte(h))
	return float64(uint(1)<<cost) / 16
}
