package authz

import "strings"

const (
	maxName   = 255
	maxTag    = 128
	maxHex    = 256
	maxUpload = 1024
)

// The classes of characters that the grammars below are made of.
const (
	lowerDigit  = 1 << iota // a-z 0-9: the stuff of names
	hexDigit                // 0-9 a-f
	tagStart                // A-Z a-z 0-9 _
	tagRest                 // tagStart and . -
	uploadChar              // tagRest and =
	extSegment              // what a path segment of an extension may contain
	algSeparate             // + . _ - between the parts of an algorithm
)

var charClass = func() (table [256]uint8) {
	set := func(class uint8, chars string) {
		for _, c := range []byte(chars) {
			table[c] |= class
		}
	}
	const digits, lower, upper = "0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	set(lowerDigit, lower+digits)
	set(hexDigit, digits+"abcdef")
	set(tagStart, upper+lower+digits+"_")
	set(tagRest, upper+lower+digits+"_.-")
	set(uploadChar, upper+lower+digits+"_.-=")
	// All of these are left alone by url.URL.EscapedPath, so that what is
	// forwarded is what was checked.
	set(extSegment, upper+lower+digits+"_.-~:@=+,")
	set(algSeparate, "+._-")
	return table
}()

// ValidName reports whether s is a repository name by the grammar of the
// distribution-spec: lower case only, at most 255 characters, without the
// registry host that some registries take as a first component.
func ValidName(s string) bool {
	if s == "" || len(s) > maxName || charClass[s[len(s)-1]]&lowerDigit == 0 {
		return false
	}
	prev, beforePrev := byte('/'), byte('/')
	for i := 0; i < len(s); i++ {
		c := s[i]
		if charClass[c]&lowerDigit == 0 {
			afterLetter := charClass[prev]&lowerDigit != 0
			switch c {
			case '/', '.':
				if !afterLetter {
					return false
				}
			case '_': // one or two
				if !afterLetter && (prev != '_' || charClass[beforePrev]&lowerDigit == 0) {
					return false
				}
			case '-': // any number
				if !afterLetter && prev != '-' {
					return false
				}
			default:
				return false
			}
		}
		prev, beforePrev = c, prev
	}
	return true
}

// ValidTag reports whether s is a tag: [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}.
func ValidTag(s string) bool {
	return s != "" && len(s) <= maxTag && charClass[s[0]]&tagStart != 0 && all(s, tagRest)
}

// ValidDigest reports whether s is a digest in hexadecimal, "sha256:…".
// For sha256 and sha512 the length is exact; other algorithms need 32 to 256
// digits. Digits are lower case, as the image-spec says: two spellings of
// one digest would be one file on some storages.
func ValidDigest(s string) bool {
	algorithm, hex, ok := strings.Cut(s, ":")
	if !ok {
		return false
	}
	switch algorithm {
	case "sha256":
		return len(hex) == 64 && all(hex, hexDigit)
	case "sha512":
		return len(hex) == 128 && all(hex, hexDigit)
	}
	return validAlgorithm(algorithm) && len(hex) >= 32 && len(hex) <= maxHex && all(hex, hexDigit)
}

// validAlgorithm checks [a-z0-9]+([+._-][a-z0-9]+)*.
func validAlgorithm(s string) bool {
	prev := uint8(algSeparate)
	for i := 0; i < len(s); i++ {
		class := charClass[s[i]]
		if class&lowerDigit == 0 && (class&algSeparate == 0 || prev&lowerDigit == 0) {
			return false
		}
		prev = class
	}
	return prev&lowerDigit != 0
}

// validUploadID takes what Distribution makes of an upload id, without the
// two values that are no ids but steps in a path.
func validUploadID(s string) bool {
	return s != "" && s != "." && s != ".." && len(s) <= maxUpload && all(s, uploadChar)
}

// all reports whether every character of s is of the class.
func all(s string, class uint8) bool {
	for i := 0; i < len(s); i++ {
		if charClass[s[i]]&class == 0 {
			return false
		}
	}
	return true
}
