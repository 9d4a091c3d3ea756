package portal

import (
	"crypto/rand"
	"strings"
	"unicode"
)

// codeLetters are those of RFC 8628 §6.1: no vowels, so that no words come
// about, and none that look alike. Eight of them are 34 bits.
const codeLetters = "BCDFGHJKLMNPQRSTVWXZ"

const codeLength = 8

// newUserCode makes a code for people.
func newUserCode() string {
	code := make([]byte, 0, codeLength)
	fair := byte(256 / len(codeLetters) * len(codeLetters))
	for len(code) < codeLength {
		var random [16]byte
		_, _ = rand.Read(random[:]) // never fails
		for _, b := range random {
			if b < fair && len(code) < codeLength {
				code = append(code, codeLetters[int(b)%len(codeLetters)])
			}
		}
	}
	return string(code)
}

// spelled is a code as people read it: "BCDF-GHJK".
func spelled(code string) string {
	if len(code) != codeLength {
		return code
	}
	return code[:4] + "-" + code[4:]
}

// userCode reads a code as people write it; empty if it is none.
func userCode(text string) string {
	code := strings.Map(func(r rune) rune {
		switch {
		case r == '-' || unicode.IsSpace(r):
			return -1
		case 'a' <= r && r <= 'z':
			return r - ('a' - 'A')
		}
		return r
	}, text)
	if len(code) != codeLength || strings.Trim(code, codeLetters) != "" {
		return ""
	}
	return code
}
