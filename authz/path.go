package authz

import (
	"net/url"
	"strings"
)

// cleartext returns the decoded path of u if its percent-encoding is such
// that every server decodes it alike: there is none, or it is the colon of a
// digest, which must then be the last segment (escaped is true, and the
// caller has to see that it is a digest).
func cleartext(u *url.URL) (path string, escaped bool, err error) {
	if u.Opaque != "" {
		return "", false, errPathSegment
	}
	if u.RawPath == "" {
		// What the grammar accepts of this needs no escaping at all.
		return u.Path, false, nil
	}
	if isEscapedColon(u.RawPath, u.Path) {
		return u.Path, true, nil
	}
	// A RawPath that does not belong to Path is not what will be written.
	if u.EscapedPath() == u.Path {
		return u.Path, false, nil
	}
	return "", false, errPathEncoded
}

// isEscapedColon reports whether raw is path with nothing but one colon
// escaped, and that in the last segment.
func isEscapedColon(raw, path string) bool {
	before, after, ok := strings.Cut(raw, "%3A")
	if !ok {
		before, after, ok = strings.Cut(raw, "%3a")
	}
	return ok && len(path) == len(before)+1+len(after) && strings.IndexByte(after, '/') < 0 &&
		path[:len(before)] == before && path[len(before)] == ':' && path[len(before)+1:] == after
}

// diagnose finds the most basic fault of a path that was not accepted, and
// returns otherwise if the path is in order as far as its form goes.
func diagnose(path string, otherwise *RequestError) *RequestError {
	for i := 0; i < len(path); i++ {
		if c := path[i]; c != '/' && charClass[c]&extSegment == 0 {
			if c == '%' {
				return errPathEncoded
			}
			return errPathCharacter
		}
	}
	// Nothing stands before the first slash, and one endpoint ends in one.
	trimmed := strings.TrimSuffix(strings.TrimPrefix(path, "/"), "/blobs/uploads/")
	for segment := range strings.SplitSeq(trimmed, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return errPathSegment
		}
	}
	return otherwise
}

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
