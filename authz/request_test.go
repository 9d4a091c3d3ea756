package authz

import (
	"bufio"
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// parseTarget reads a request the way a server does that got it from the
// wire.
func parseTarget(t *testing.T, method, target string, headers ...string) (Request, error) {
	t.Helper()
	raw := method + " " + target + " HTTP/1.1\r\nHost: reg.test\r\n" + strings.Join(append(headers, "\r\n"), "\r\n")
	hr, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	return ParseRequest(hr.Method, hr.URL, hr.Header, testExtensions(t))
}

func TestParseRequestAccepts(t *testing.T) {
	const q = "digest=" + someDigest
	for _, test := range []struct {
		method, target string
		want           Request // without Method and Path, unless Path differs
	}{
		{"GET", "/v2", Request{Route: RouteBase, Path: "/v2/"}},
		{"HEAD", "/v2/", Request{Route: RouteBase}},
		{"GET", "http://reg.test/v2/", Request{Route: RouteBase, Path: "/v2/"}},
		{"GET", "/v2/_catalog", Request{Route: RouteCatalog}},
		{"GET", "/v2/_catalog?n=100&last=a%2Fb", Request{Route: RouteCatalog, RawQuery: "n=100&last=a%2Fb"}},
		{"GET", "/v2/app/tags/list?n=0", Request{Route: RouteTags, Repository: "app", RawQuery: "n=0"}},
		{"GET", "/v2/team/a.b__c-d--e/tags/list", Request{Route: RouteTags, Repository: "team/a.b__c-d--e"}},
		{"GET", "/v2/team/a/b/c/d/tags/list", Request{Route: RouteTags, Repository: "team/a/b/c/d"}},
		{"GET", "/v2/team/app/manifests/A_b.C-1", Request{Route: RouteManifest, Repository: "team/app", Reference: "A_b.C-1"}},
		{"HEAD", "/v2/team/app/manifests/" + someDigest, Request{Route: RouteManifest, Repository: "team/app", Reference: someDigest}},
		{"GET", "/v2/team/app/manifests/x?_method=DELETE", Request{Route: RouteManifest, Repository: "team/app", Reference: "x", RawQuery: "_method=DELETE"}},
		{"GET", "/v2/team/app/manifests/x?ns=docker.io", Request{Route: RouteManifest, Repository: "team/app", Reference: "x", RawQuery: "ns=docker.io"}},
		{"PUT", "/v2/team/app/manifests/" + someDigest + "?tag=a&tag=b%2Dc", Request{Route: RouteManifest, Repository: "team/app", Reference: someDigest, Tags: []string{"a", "b-c"}, RawQuery: "tag=a&tag=b%2Dc"}},
		{"GET", "/v2/team/app/manifests/x?tag=..", Request{Route: RouteManifest, Repository: "team/app", Reference: "x", RawQuery: "tag=.."}},
		{"DELETE", "/v2/team/app/manifests/x", Request{Route: RouteManifest, Repository: "team/app", Reference: "x"}},
		{"GET", "/v2/team/app/blobs/sha256%3A" + someDigest[7:], Request{Route: RouteBlob, Repository: "team/app", Reference: someDigest, Path: "/v2/team/app/blobs/" + someDigest}},
		{"GET", "/v2/team/app/manifests/sha256%3a" + someDigest[7:], Request{Route: RouteManifest, Repository: "team/app", Reference: someDigest, Path: "/v2/team/app/manifests/" + someDigest}},
		{"DELETE", "/v2/app/blobs/" + longDigest, Request{Route: RouteBlob, Repository: "app", Reference: longDigest}},
		{"GET", "/v2/app/referrers/" + someDigest + "?artifactType=a%2Fb", Request{Route: RouteReferrers, Repository: "app", Reference: someDigest, RawQuery: "artifactType=a%2Fb"}},
		{"POST", "/v2/app/blobs/uploads/", Request{Route: RouteUploads, Repository: "app"}},
		{"POST", "/v2/app/blobs/uploads", Request{Route: RouteUploads, Repository: "app", Path: "/v2/app/blobs/uploads/"}},
		{"POST", "/v2/app/blobs/uploads/?digest-algorithm=sha512", Request{Route: RouteUploads, Repository: "app", RawQuery: "digest-algorithm=sha512"}},
		{"POST", "/v2/app/blobs/uploads/?" + q, Request{Route: RouteUploads, Repository: "app", Reference: someDigest, RawQuery: q}},
		{"GET", "/v2/app/blobs/uploads/a-B_.=9", Request{Route: RouteUpload, Repository: "app", Upload: "a-B_.=9"}},
		{"PATCH", "/v2/app/blobs/uploads/u?_state=x%3D%3D", Request{Route: RouteUpload, Repository: "app", Upload: "u", RawQuery: "_state=x%3D%3D"}},
		{"PUT", "/v2/app/blobs/uploads/u?_state=x&" + q, Request{Route: RouteUpload, Repository: "app", Upload: "u", Reference: someDigest, RawQuery: "_state=x&" + q}},
		{"DELETE", "/v2/app/blobs/uploads/u", Request{Route: RouteUpload, Repository: "app", Upload: "u"}},

		// Names that hold the words of other routes: the last ones count.
		{"GET", "/v2/pub/manifests/secret/manifests/1", Request{Route: RouteManifest, Repository: "pub/manifests/secret", Reference: "1"}},
		{"GET", "/v2/pub/tags/list/x/tags/list", Request{Route: RouteTags, Repository: "pub/tags/list/x"}},
		{"GET", "/v2/tags/list/tags/list", Request{Route: RouteTags, Repository: "tags/list"}},
		{"GET", "/v2/v2/manifests/uploads", Request{Route: RouteManifest, Repository: "v2", Reference: "uploads"}},
		{"GET", "/v2/a/blobs/blobs/" + someDigest, Request{Route: RouteBlob, Repository: "a/blobs", Reference: someDigest}},
		{"GET", "/v2/blobs/uploads/manifests/1", Request{Route: RouteManifest, Repository: "blobs/uploads", Reference: "1"}},
		{"POST", "/v2/blobs/blobs/uploads/", Request{Route: RouteUploads, Repository: "blobs"}},
		{"GET", "/v2/a/blobs/uploads/uploads", Request{Route: RouteUpload, Repository: "a", Upload: "uploads"}},
		{"GET", "/v2/token/referrers/referrers/" + someDigest, Request{Route: RouteReferrers, Repository: "token/referrers", Reference: someDigest}},
	} {
		got, err := parseTarget(t, test.method, test.target)
		if err != nil {
			t.Errorf("%s %s: %v", test.method, test.target, err)
			continue
		}
		test.want.Method = test.method
		if test.want.Path == "" {
			test.want.Path, _, _ = strings.Cut(test.target, "?")
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s %s:\ngot  %+v\nwant %+v", test.method, test.target, got, test.want)
		}
	}
}

func TestParseRequestRefuses(t *testing.T) {
	long := strings.Repeat("a", 255)
	for _, test := range []struct {
		method, target string
		want           *RequestError
	}{
		{"GET", "/", errPathSegment},
		{"GET", "/V2/a/tags/list", errUnknownRoute},
		{"GET", "//v2/", errPathSegment},
		{"GET", "/v2//", errPathSegment},
		{"GET", "/v2/app", errUnknownRoute},
		{"GET", "/v2/tags/list", errUnknownRoute},
		{"GET", "/v2/manifests/x", errUnknownRoute},
		{"GET", "/v2/app/manifests/", errPathSegment},
		{"GET", "/v2/app/tags/list/", errPathSegment},
		{"GET", "/v2/_catalog/", errPathSegment},
		{"GET", "/v2/_zot/ext/", errPathSegment},
		{"GET", "/v2/_other/ext", errExtension},
		{"GET", "/v2/app/_other/tags/list", errExtension},
		{"GET", "/v2/_catalog/x/tags/list", errExtension},
		{"GET", "/v2/PRIV/app/manifests/1", errName},
		{"GET", "/v2/h:5000/app/manifests/1", errName},
		{"GET", "/v2/a___b/tags/list", errName},
		{"GET", "/v2/a..b/tags/list", errName},
		{"POST", "/v2/-a/blobs/uploads/", errName},
		{"GET", "/v2/a-/tags/list", errName},
		{"GET", "/v2/x/" + long + "/tags/list", errName},
		{"GET", "/v2/a/manifests/.x", errTagUnknown},
		{"HEAD", "/v2/a/manifests/" + strings.Repeat("x", 129), errTagUnknown},
		{"PUT", "/v2/a/manifests/-x", errTag},
		{"PUT", "/v2/a/manifests/x~", errTag},
		{"PUT", "/v2/a/manifests/" + someDigest + "?tag=a%2Fb", errTag},
		{"GET", "/v2/a/manifests/x%3Ay", errDigest},
		{"GET", "/v2/a/manifests/sha256:abc", errDigest},
		{"GET", "/v2/a/blobs/sha256:" + strings.ToUpper(someDigest[7:]), errDigest},
		{"GET", "/v2/a/blobs/latest", errDigest},
		{"GET", "/v2/a/referrers/x", errDigest},
		{"GET", "/v2/a/blobs/uploads/a~b", errUploadID},
		{"GET", "/v2/a/blobs/uploads/" + strings.Repeat("x", 1025), errUploadID},
		{"GET", "/v2/a/blobs/uploads/..", errPathSegment},
		{"GET", "/v2/a/blobs/uploads/.", errPathSegment},
		{"GET", "/v2/sha256%3Aa/tags/list", errPathEncoded},
		{"GET", "/v2/a/manifests%3Ax", errUnknownRoute},
		{"GET", "/v2/_zot/ext/a%3Ab", errPathEncoded},
		{"GET", "/v2/a/%74ags/list", errPathEncoded},
		{"GET", "/v2/a/manifests/%31", errPathEncoded},
		{"GET", "/v2/a/manifests/%", nil}, // not even a URL
		{"GET", "/v2/a/manifests/a%20b", errPathCharacter},
		{"GET", "/v2/a/manifests/x|y", errPathEncoded},
		{"PUT", "/v2/a/tags/list", methodsRead.refusal()},
		{"PATCH", "/v2/", methodsRead.refusal()},
		{"GET", "/v2/a/blobs/uploads/", methodPost.refusal()},
		{"POST", "/v2/a/manifests/x", (methodsRead | methodPut | methodDelete).refusal()},
	} {
		u, err := url.ParseRequestURI(test.target)
		if test.want == nil {
			if err == nil {
				t.Errorf("%s is a URL", test.target)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.target, err)
			continue
		}
		_, err = ParseRequest(test.method, u, nil, testExtensions(t))
		if !reflect.DeepEqual(err, error(test.want)) {
			t.Errorf("%s %s: got %v, want %v", test.method, test.target, err, test.want)
		}
	}
}

func TestParseRequestOpaque(t *testing.T) {
	u, err := url.ParseRequestURI("x:v2/a/tags/list")
	if err != nil {
		t.Fatal(err)
	}
	if !IsRegistryPath(u) {
		t.Error("not claimed")
	}
	if _, err := ParseRequest("GET", u, nil, nil); err != errPathSegment {
		t.Error(err)
	}
}

// Path and RawPath that contradict each other, after somebody edited one of
// them, are read as they will be written.
func TestParseRequestStaleRawPath(t *testing.T) {
	u := &url.URL{Path: "/v2/pub/tags/list", RawPath: "/v2/team%2Fsecret/tags/list"}
	r, err := ParseRequest("GET", u, nil, nil)
	if err != nil || r.Path != u.EscapedPath() || r.Repository != "pub" {
		t.Errorf("%+v, %v", r, err)
	}
}

// Every method on every endpoint; what is not listed is 405 with an Allow.
func TestParseRequestMethods(t *testing.T) {
	endpoints := map[string]string{
		"/v2/":                             "GET HEAD",
		"/v2/_catalog":                     "GET HEAD",
		"/v2/a/tags/list":                  "GET HEAD",
		"/v2/a/manifests/x":                "GET HEAD PUT DELETE",
		"/v2/a/manifests/" + someDigest:    "GET HEAD PUT DELETE",
		"/v2/a/blobs/" + someDigest:        "GET HEAD DELETE",
		"/v2/a/referrers/" + someDigest:    "GET HEAD",
		"/v2/a/blobs/uploads":              "POST",
		"/v2/a/blobs/uploads/":             "POST",
		"/v2/a/blobs/uploads/u":            "GET PATCH PUT DELETE",
		"/v2/_zot/ext/search":              "GET POST",
		"/v2/_zot/ext/mgmt":                "GET HEAD POST PUT PATCH DELETE",
		"/v2/_oci/ext/discover":            "GET HEAD",
		"/v2/a/_ext/x":                     "GET HEAD PUT",
		"/v2/a/_ext/" + someDigest + "/_y": "GET HEAD PUT",
	}
	methods := append([]string{
		"OPTIONS", "TRACE", "CONNECT", "PROPFIND", "COPY", "get", "Get", "GETS", "", "PUT,GET", "M-SEARCH",
	}, methodNames[:]...)
	for path, allowed := range endpoints {
		for _, method := range methods {
			r, err := ParseRequest(method, &url.URL{Path: path}, nil, testExtensions(t))
			if slices.Contains(strings.Fields(allowed), method) {
				if err != nil || r.Method != method {
					t.Errorf("%s %s: %v", method, path, err)
				}
				continue
			}
			var re *RequestError
			if !errors.As(err, &re) || re.Status != 405 || re.Code != "UNSUPPORTED" || re.Allow == "" {
				t.Errorf("%s %s: %#v", method, path, err)
			}
		}
	}
}
