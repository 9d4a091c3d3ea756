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
	raw := u.EscapedPath()
	for tail := raw; ; escaped = true {
		i := strings.IndexByte(tail, '%')
		if i < 0 {
			return u.Path, escaped, nil
		}
		tail = tail[i:]
		if len(tail) < 3 || !strings.EqualFold(tail[:3], "%3A") || strings.IndexByte(tail, '/') >= 0 {
			return "", false, errPathEncoded
		}
		tail = tail[3:]
	}
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
