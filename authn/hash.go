package authn

import (
	"crypto/md5" //nolint:gosec // what htpasswd files of former times have; only with insecure_legacy_hashes
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // the same
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
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

// Bounds of the parameters that a stored argon2id hash may ask us to spend.
const (
	maxArgon2Memory  = 256 << 10 // KiB
	maxArgon2Work    = 1 << 20   // memory in KiB × passes
	maxArgon2Passes  = 32
	maxArgon2Threads = 16
)

type argon2Hash struct {
	text           string
	memory, passes uint32
	threads        uint8
	salt, key      []byte
}

// HashPassword makes the stored form of a password that a person chose:
// argon2id with 19 MiB and two passes (RFC 9106; the OWASP minimum), about 25 ms.
func HashPassword(password string) string {
	h := argon2Hash{memory: 19 << 10, passes: 2, threads: 1, salt: make([]byte, 16)}
	_, _ = rand.Read(h.salt) // never fails
	key := argon2.IDKey([]byte(password), h.salt, h.passes, h.memory, h.threads, 32)
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.passes, h.threads, b64(h.salt), b64(key))
}

// parseArgon2 reads a PHC string:
// $argon2id$v=19$m=<KiB>,t=<passes>,p=<threads>$<salt>$<hash>.
func parseArgon2(stored string) (Hash, error) {
	malformed := errors.New("argon2id hash is not well formed: want $argon2id$v=19$m=…,t=…,p=…$<salt>$<hash>")
	fields := strings.Split(stored, "$")
	if len(fields) != 6 || fields[2] != "v="+strconv.Itoa(argon2.Version) {
		return nil, malformed
	}
	var parameter [3]uint64
	list := strings.Split(fields[3], ",")
	if len(list) != len(parameter) {
		return nil, malformed
	}
	for i, name := range []string{"m=", "t=", "p="} {
		value, ok := strings.CutPrefix(list[i], name)
		n, err := strconv.ParseUint(value, 10, 32)
		if !ok || err != nil {
			return nil, malformed
		}
		parameter[i] = n
	}
	memory, passes, threads := parameter[0], parameter[1], parameter[2]
	switch {
	case threads < 1 || threads > maxArgon2Threads:
		return nil, fmt.Errorf("argon2id hash: p=%d is not between 1 and %d", threads, maxArgon2Threads)
	case passes < 1 || passes > maxArgon2Passes:
		return nil, fmt.Errorf("argon2id hash: t=%d is not between 1 and %d", passes, maxArgon2Passes)
	case memory < 8*threads || memory > maxArgon2Memory:
		return nil, fmt.Errorf("argon2id hash: m=%d KiB is not between %d and %d", memory, 8*threads, maxArgon2Memory)
	case memory*passes > maxArgon2Work:
		return nil, fmt.Errorf("argon2id hash: m=%d KiB with t=%d costs too much for each login", memory, passes)
	}
	salt, errSalt := base64.RawStdEncoding.Strict().DecodeString(fields[4])
	key, errKey := base64.RawStdEncoding.Strict().DecodeString(fields[5])
	if errSalt != nil || errKey != nil || len(salt) < 8 || len(salt) > 64 || len(key) < 16 || len(key) > 64 {
		return nil, malformed
	}
	return &argon2Hash{text: stored, memory: uint32(memory), passes: uint32(passes), threads: uint8(threads), salt: salt, key: key}, nil
}

func (h *argon2Hash) Matches(secret string) bool {
	key := argon2.IDKey([]byte(secret), h.salt, h.passes, h.memory, h.threads, uint32(len(h.key)))
	return subtle.ConstantTimeCompare(key, h.key) == 1
}

func (h *argon2Hash) Slow() bool     { return true }
func (h *argon2Hash) ID() string     { return "" }
func (h *argon2Hash) stored() string { return h.text }
func (h *argon2Hash) cost() float64 {
	return float64(h.memory) * float64(h.passes) / 1500
}

// parseLegacyHash reads the hashes that the htpasswd program made before it
// knew bcrypt: "$apr1$<salt>$<hash>" (MD5, a thousand rounds) and "{SHA}<hash>"
// (one SHA-1, without a salt). Who gets hold of one soon has the password.
func parseLegacyHash(stored string) (Hash, error) {
	if encoded, ok := strings.CutPrefix(stored, shaPrefix); ok {
		sum, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if err != nil || len(sum) != sha1.Size {
			return nil, errors.New("SHA hash is not well formed: want {SHA} and 20 bytes in base64")
		}
		return shaHash(stored), nil
	}
	salt, hash, ok := strings.Cut(strings.TrimPrefix(stored, apr1Prefix), "$")
	if !ok || salt == "" || len(salt) > 8 || len(hash) != 22 || strings.Trim(salt+hash, cryptAlphabet) != "" {
		return nil, errors.New("APR1 hash is not well formed: want $apr1$<salt>$<hash>")
	}
	return apr1Hash(stored), nil
}

const (
	apr1Prefix = "$apr1$"
	shaPrefix  = "{SHA}"

	cryptAlphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

type shaHash string

func (h shaHash) Matches(secret string) bool {
	sum := sha1.Sum([]byte(secret)) //nolint:gosec // see above
	return subtle.ConstantTimeCompare([]byte(h), []byte(shaPrefix+base64.StdEncoding.EncodeToString(sum[:]))) == 1
}

func (h shaHash) Slow() bool     { return false }
func (h shaHash) ID() string     { return "" }
func (h shaHash) cost() float64  { return 0 }
func (h shaHash) stored() string { return string(h) }
func (h shaHash) unsalted() bool { return true }

type apr1Hash string

// maxAPR1Secret is the longest password that the htpasswd program hashes.
const maxAPR1Secret = 255

func (h apr1Hash) Matches(secret string) bool {
	usable := len(secret) <= maxAPR1Secret
	if !usable {
		secret = secret[:maxAPR1Secret]
	}
	salt, _, _ := strings.Cut(string(h)[len(apr1Prefix):], "$")
	return subtle.ConstantTimeCompare([]byte(h), []byte(apr1(secret, salt))) == 1 && usable
}

func (h apr1Hash) Slow() bool     { return true }
func (h apr1Hash) ID() string     { return "" }
func (h apr1Hash) cost() float64  { return 0.3 }
func (h apr1Hash) stored() string { return string(h) }

// apr1 is the APR's variant of FreeBSD's MD5 crypt (apr_md5_encode).
func apr1(password, salt string) string {
	digest := func(parts ...string) []byte {
		sum := md5.Sum([]byte(strings.Join(parts, ""))) //nolint:gosec // see above
		return sum[:]
	}
	first := []byte(password + apr1Prefix + salt)
	inner := string(digest(password, salt, password))
	for n := len(password); n > 0; n -= len(inner) {
		first = append(first, inner[:min(n, len(inner))]...)
	}
	for n := len(password); n > 0; n >>= 1 {
		if n&1 == 1 {
			first = append(first, 0)
		} else {
			first = append(first, password[0])
		}
	}
	sum := digest(string(first))
	for round := range 1000 {
		parts := []string{string(sum), "", "", password}
		if round%3 != 0 {
			parts[1] = salt
		}
		if round%7 != 0 {
			parts[2] = password
		}
		if round%2 == 1 {
			parts[0], parts[3] = password, string(sum)
		}
		sum = digest(parts...)
	}
	out := []byte(apr1Prefix + salt + "$")
	encode := func(a, b, c byte, n int) {
		for v := uint(a)<<16 | uint(b)<<8 | uint(c); n > 0; n-- {
			out = append(out, cryptAlphabet[v&63])
			v >>= 6
		}
	}
	for i := range 5 {
		last := i + 12
		if last == 16 {
			last = 5
		}
		encode(sum[i], sum[i+6], sum[last], 4)
	}
	encode(0, 0, sum[11], 2)
	return string(out)
}

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
