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
