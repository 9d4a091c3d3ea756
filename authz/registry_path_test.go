package authz

import (
	"net/url"
	"strings"
	"testing"
)

func TestIsRegistryPath(t *testing.T) {
	for _, target := range []string{
		"/v2", "/v2/", "/v2/a/tags/list", "/v2/../x", "/V2", "/V2/a", "//v2/", "///V2", "/./v2/a", "/.//v2",
		"/x/../v2/a", "/x/%2e%2e/v2/", "/x/.%2E/V2", "/a/b/../../v2/x", "/a%2fb/../v2", "/%762/", "/%56%32/", "/v%32",
		"/v2%2fa", "/v2%2Fa", "/%2fv2/", "/%2e/v2", "/v2;/x", "/v2;a=b/x", "/;x/v2/", "/x/..;/v2/", "/x/..;a/v2",
		`/v2\x`, `/v2%5cx`, `/\v2`, `/x\..\v2`, "/x%5c..%5cv2/", "/%2576%2532/", "/%252576%32", "/v2%252fa", "/%252e%252e/v2",
		"/x/%252e%252e/v2", "/v2%20/", "/%20v2", "/v2./", "/v2%00/x", "/v2%00x", "/v2%3fx", "/v2%23x", "/v2%0a", "/x/../y/v2",
		"x:v2/", "http://h/v2/", "http://h//V2",
	} {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Errorf("%s: %v", target, err)
			continue
		}
		if !IsRegistryPath(u) {
			t.Errorf("%s: not claimed", target)
		}
		// All but the canonical ones are then refused.
		if _, err := ParseRequest("GET", u, nil, nil); err == nil && !strings.HasPrefix(u.EscapedPath(), "/v2") {
			t.Errorf("%s: accepted", target)
		}
	}
	for _, target := range []string{
		"/", "*", "http://h", "/index.html", "/v", "/v1/search", "/v20/", "/v2x", "/v2ray/a", "/vendor/v2", "/api/v2/x",
		"/api/v2", "/a//v2/x", "/a/./v2", "/a;b/v2", "/%7euser/v2/x", "/x/../y", "/..", "/%2e%2e/x", "/a%2fv2/b", "/2v/", "/v/2",
		"/v2-beta/", "/.well-known/acme-challenge/x", "/token", "/%zz", "/v3/", "/é",
	} {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			u = &url.URL{Path: target}
		}
		if IsRegistryPath(u) {
			t.Errorf("%s: claimed", target)
		}
	}
}

// A path that decodes again and again takes time in proportion to its
// length.
func TestIsRegistryPathDepth(t *testing.T) {
	if !IsRegistryPath(&url.URL{Path: "/%" + strings.Repeat("25", 1<<20) + "762/"}) {
		t.Error("not claimed")
	}
}
