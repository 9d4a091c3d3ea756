package authn

import (
	"crypto/md5"  //nolint:gosec // what htpasswd files of former times have; only with insecure_legacy_hashes
	"crypto/sha1" //nolint:gosec // the same
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"
)

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
