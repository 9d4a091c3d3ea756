package authn

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"
	"strings"
	"sync"
)

// SecretKind is the prefix that tells a secret of ours what it is for, for
// people who find one in a log and for scanners that look for leaked ones.
type SecretKind string

// The kinds of secret that we make.
const (
	SecretRobot         SecretKind = "craro" // a robot's password
	SecretPersonalToken SecretKind = "crapt" // a person's access token
	SecretIdentityToken SecretKind = "crait" // the refresh token of docker login
	SecretAPIKey        SecretKind = "craak" // a key for the management API
	SecretBootstrap     SecretKind = "crabs" // what the first administrator's key is asked for with
)

// The parts of a secret, <prefix>_<id>_<random>_<checksum>, in characters.
// 43 characters of base62 are 256 random bits.
const (
	secretIDLength       = 12
	secretRandomLength   = 43
	secretChecksumLength = 6
	secretLength         = 5 + 1 + secretIDLength + 1 + secretRandomLength + 1 + secretChecksumLength
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// Secret is what can be read off a secret of ours without knowing any.
type Secret struct {
	Kind SecretKind
	// ID identifies the secret in public: it is stored and logged in the clear.
	ID string
}

// NewSecret makes a secret of 256 random bits. The secret is shown once and
// thrown away; stored, which holds its hash only, is what is kept: it is what
// [ParseHash] reads and is safe in a shell and in a configuration file.
func NewSecret(kind SecretKind) (secret, stored string) {
	return RenewSecret(kind, randomText("0123456789abcdefghijklmnopqrstuvwxyz", secretIDLength))
}

// RenewSecret makes a secret that takes the place of one with the same id.
func RenewSecret(kind SecretKind, id string) (secret, stored string) {
	return secretOf(kind, id, randomText(base62, secretRandomLength))
}

// DeriveSecret makes the secret that follows from another one with the same id
// and a seed, always the same. Neither of the two leads to it without the other.
func DeriveSecret(kind SecretKind, id, from string, seed []byte) (secret, stored string) {
	mac, n := hmac.New(sha256.New, []byte(from)), byte(0)
	return secretOf(kind, id, textOf(base62, secretRandomLength, func(buf []byte) {
		for len(buf) > 0 {
			mac.Reset()
			mac.Write([]byte{n})
			mac.Write(seed)
			buf, n = buf[copy(buf, mac.Sum(nil)):], n+1
		}
	}))
}

func secretOf(kind SecretKind, id, random string) (secret, stored string) {
	body := string(kind) + "_" + id + "_" + random
	check := checksum(body)
	secret = body + "_" + string(check[:])
	sum := sha256.Sum256([]byte(secret))
	return secret, "sha256:" + id + ":" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// ParseSecret reads a secret of ours, checking its form and checksum, which
// finds typing errors and guesses before anything is looked up. It returns
// [ErrNotMine] if s has none of our prefixes, [ErrInvalid] if it has one and
// is broken.
func ParseSecret(s string) (Secret, error) {
	parsed, err := parseSecret(s)
	parsed.ID = strings.Clone(parsed.ID) // keep the ID, let the secret go
	return parsed, err
}

// parseSecret is ParseSecret; its ID shares the secret's memory.
func parseSecret(s string) (Secret, error) {
	kind, ok := secretKind(s)
	if !ok {
		return Secret{}, ErrNotMine
	}
	if len(s) != secretLength {
		return Secret{}, fmt.Errorf("%w: %s secret has the wrong length", ErrInvalid, kind)
	}
	body, sum := s[:secretLength-secretChecksumLength-1], s[secretLength-secretChecksumLength:]
	id, random, ok := strings.Cut(body[len(kind)+1:], "_")
	if !ok || s[len(body)] != '_' || len(id) != secretIDLength || !isBase62(random) || !isSecretID(id) {
		return Secret{}, fmt.Errorf("%w: %s secret is not well formed", ErrInvalid, kind)
	}
	// Not a secret comparison: the checksum follows from what was sent.
	if want := checksum(body); sum != string(want[:]) {
		return Secret{}, fmt.Errorf("%w: %s secret has a wrong checksum", ErrInvalid, kind)
	}
	return Secret{Kind: kind, ID: id}, nil
}

// secretKind returns the kind that a secret's prefix claims.
func secretKind(s string) (SecretKind, bool) {
	prefix, _, found := strings.Cut(s, "_")
	switch kind := SecretKind(prefix); kind {
	case SecretRobot, SecretPersonalToken, SecretIdentityToken, SecretAPIKey, SecretBootstrap:
		return kind, found
	}
	return "", false
}

func isSecretID(id string) bool {
	for i := range len(id) {
		if b := id[i]; (b < 'a' || b > 'z') && (b < '0' || b > '9') {
			return false
		}
	}
	return len(id) == secretIDLength
}

func isBase62(s string) bool {
	for i := range len(s) {
		if b := s[i]; (b < '0' || b > '9') && (b < 'A' || b > 'Z') && (b < 'a' || b > 'z') {
			return false
		}
	}
	return s != ""
}

// checksum is the CRC-32 (IEEE) of s in base62, padded to six characters.
func checksum(s string) (out [secretChecksumLength]byte) {
	sum := crc32.ChecksumIEEE(bytesOf(s))
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = base62[sum%62]
		sum /= 62
	}
	return out
}

// randomText returns n characters of an alphabet, each equally likely.
func randomText(alphabet string, n int) string {
	return textOf(alphabet, n, func(buf []byte) { _, _ = rand.Read(buf) }) // never fails
}

// textOf is randomText with bytes from elsewhere.
func textOf(alphabet string, n int, read func([]byte)) string {
	out := make([]byte, 0, n)
	fair := 256 - 256%len(alphabet) // bytes above would prefer some characters
	for len(out) < n {
		var buf [64]byte
		read(buf[:])
		for _, b := range buf {
			if int(b) < fair && len(out) < n {
				out = append(out, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(out)
}

// processMAC is HMAC-SHA256 with a key that was made for it and dies with the
// process. What it returns stands for secrets in memory without being of use
// to whoever reads that memory's dump elsewhere.
type processMAC struct{ pool sync.Pool }

func newProcessMAC() *processMAC {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return &processMAC{pool: sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

// sum is the HMAC over the length-prefixed parts: no two lists of parts have
// the same text, however they are cut.
func (m *processMAC) sum(parts ...string) (sum cacheKey) {
	mac := m.pool.Get().(hash.Hash) //nolint:forcetypeassert // the pool holds nothing else
	defer m.pool.Put(mac)
	mac.Reset()
	for _, part := range parts {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		mac.Write(length[:])
		mac.Write(bytesOf(part))
	}
	mac.Sum(sum[:0])
	return sum
}
