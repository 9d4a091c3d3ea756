package authn

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

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
