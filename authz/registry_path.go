package authz

import (
	"net/url"
	"strings"
)

// IsRegistryPath reports whether a request is for ParseRequest to judge: its
// path is /v2 or below, or is something that a server might take for that
// after decoding it (once or more), folding its case, cleaning it, or
// cutting off path parameters. ParseRequest refuses the latter; they must
// not reach a registry by any other way.
func IsRegistryPath(u *url.URL) bool {
	path := u.Path
	if u.Opaque != "" {
		return true // "GET x:v2/ HTTP/1.1": forwarded as it is
	}
	if path == "/" || path == "" {
		return false
	}
	if strings.HasPrefix(path, "/v2") && (len(path) == 3 || path[3] == '/') {
		return true
	}
	if startsOrdinary(path) && strings.IndexByte(path, '%') < 0 && !strings.Contains(path, "..") {
		return false
	}
	return looksLikeRegistry(path)
}

// startsOrdinary reports whether a path with at least two characters starts
// like one whose first segment is not v2, however it is read, as long as
// nothing in it is encoded and nothing leads back up.
func startsOrdinary(path string) bool {
	c := path[0]
	if c != '/' || len(path) < 2 {
		return false
	}
	if c = path[1]; c == 'v' || c == 'V' {
		return len(path) > 2 && path[2] != '2'
	}
	return charClass[c]&tagStart != 0
}

// looksLikeRegistry reads a path that has been decoded once as loosely as
// any server might. Readings that stop half-way need no look of their own:
// a segment "v2", a slash and ".." stay what they are when more is decoded.
func looksLikeRegistry(path string) bool {
	var stack [512]byte
	decoded := decodeFully(stack[:0], path)
	first, anywhere, up := true, false, false
	for len(decoded) > 0 {
		end := 0
		for end < len(decoded) && decoded[end] != '/' && decoded[end] != '\\' {
			end++
		}
		segment := bareSegment(decoded[:end])
		decoded = decoded[min(end+1, len(decoded)):]

		dots := 0
		for dots < len(segment) && segment[dots] == '.' {
			dots++
		}
		if dots == len(segment) { // empty, ".", ".." or worse
			up = up || dots > 1
			continue
		}
		for len(segment) > 0 && segment[len(segment)-1] == '.' {
			segment = segment[:len(segment)-1]
		}
		if len(segment) == 2 && segment[0]|0x20 == 'v' && segment[1] == '2' {
			if first || up {
				return true
			}
			anywhere = true
		}
		first = false
	}
	return anywhere && up
}

// bareSegment cuts path parameters and what could be taken for the start of
// a query or a fragment, or for the end of a string, off a segment, and
// spaces and control characters off its ends.
func bareSegment(s []byte) []byte {
	for i, c := range s {
		if c == ';' || c == '?' || c == '#' || c == 0 {
			s = s[:i]
			break
		}
	}
	for len(s) > 0 && isBlank(s[0]) {
		s = s[1:]
	}
	for len(s) > 0 && isBlank(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func isBlank(c byte) bool { return c <= ' ' || c == 0x7f }

// decodeFully appends s to dst with its percent-encoding decoded until none
// is left, also that which decoding brings forth ("%2576").
func decodeFully(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		dst = append(dst, s[i])
		for n := len(dst); n >= 3 && dst[n-3] == '%'; n = len(dst) {
			hi, lo := unhex(dst[n-2]), unhex(dst[n-1])
			if hi > 15 || lo > 15 {
				break
			}
			dst = append(dst[:n-3], hi<<4|lo)
		}
	}
	return dst
}
