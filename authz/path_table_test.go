package authz

import (
	"net/url"
	"testing"
)

// TestPathsThatMayBeTheRegistrys, and those that are not, at the edges.
func TestPathsThatMayBeTheRegistrys(t *testing.T) {
	for path, want := range map[string]bool{
		"v2/x": true, "v2": true, "v": false, "x": false, "/x": false, "/v": false, "/v3/%41": false, "/a2/%41": false, "/v1/..": false,
		"/a/v2/b/../..": true, "/a/v2/b": false, "/a/b/../..": false, "/a/../v2/x": true, "/a/%2576%32": false, "/a/../%2576%32/x": true,
		"%76%32/x": true, "/\x7fv2/x": true, "/v2\x7f/x": true, "/v2./x": true, "/v2../x": true, "/.v2/x": false, "/v%zz2/x": false, "/%": false, "/%7": false,
	} {
		if got := IsRegistryPath(&url.URL{Path: path}); got != want {
			t.Errorf("%q: %v", path, got)
		}
	}
}

func TestOneColonIsEscaped(t *testing.T) {
	for _, test := range []struct {
		raw, path string
		want      bool
	}{
		{"/a%3Ab", "/a:b", true},
		{"/a%3ab", "/a:b", true},
		{"/a%3A", "/a:", true},
		{"%3Ab", ":b", true},
		{"/a:b", "/a:b", false},
		{"/a%3Ab/c", "/a:b/c", false},
		{"/a%3A/", "/a:/", false},
		{"/a%3Ab", "/x:b", false},
		{"/a%3Ab", "/a;b", false},
		{"/a%3Ab", "/a:x", false},
		{"/a%3Ab", "/a:bc", false},
		{"/a%3Ab%3Ac", "/a:b:c", false},
		{"/a%3Ab", "/a:", false},
	} {
		if isEscapedColon(test.raw, test.path) != test.want {
			t.Errorf("%s of %s: %v", test.raw, test.path, !test.want)
		}
	}
	for _, u := range []*url.URL{{Opaque: "x", Path: "/v2/"}, {Path: "/v2/a/b", RawPath: "/v2/a%2Fb"}, {Path: "/v2/a:b", RawPath: "/v2/x%3Ab"}} {
		// The last one's RawPath is not of its Path, so the path itself is sent.
		path, escaped, err := cleartext(u)
		if want := u.RawPath == "/v2/x%3Ab"; (err == nil) != want || escaped || want && path != u.Path {
			t.Errorf("%+v: %q %v %v", u, path, escaped, err)
		}
	}
}
