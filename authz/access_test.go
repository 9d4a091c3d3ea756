package authz

import (
	"net/url"
	"testing"
)

func TestRequestAccesses(t *testing.T) {
	const mount = "?mount=" + someDigest + "&from=team/base"
	for _, test := range []struct {
		method, target string
		action         Action
		scope          string // of the challenge
		write          bool
	}{
		{"GET", "/v2/", 0, "", false},
		{"GET", "/v2/_catalog", List, "registry:catalog:*", false},
		{"GET", "/v2/a/tags/list", List, "repository:a:pull", false},
		{"HEAD", "/v2/a/manifests/x", Pull, "repository:a:pull", false},
		{"GET", "/v2/a/manifests/" + someDigest, Pull, "repository:a:pull", false},
		{"PUT", "/v2/a/manifests/x", Push, "repository:a:pull,push", true},
		{"DELETE", "/v2/a/manifests/x", Delete, "repository:a:delete", true},
		{"GET", "/v2/a/blobs/" + someDigest, Pull, "repository:a:pull", false},
		{"DELETE", "/v2/a/blobs/" + someDigest, Delete, "repository:a:delete", true},
		{"GET", "/v2/a/referrers/" + someDigest, Pull, "repository:a:pull", false},
		{"POST", "/v2/a/blobs/uploads/", Push, "repository:a:pull,push", true},
		{"POST", "/v2/a/blobs/uploads/" + mount, Push, "repository:a:pull,push repository:team/base:pull", true},
		{"GET", "/v2/a/blobs/uploads/u", Push, "repository:a:pull,push", false},
		{"PATCH", "/v2/a/blobs/uploads/u", Push, "repository:a:pull,push", true},
		{"PUT", "/v2/a/blobs/uploads/u", Push, "repository:a:pull,push", true},
		{"DELETE", "/v2/a/blobs/uploads/u", Push, "repository:a:pull,push", true}, // cancels
		{"GET", "/v2/_zot/ext/search", List, "registry:catalog:*", false},
		{"PUT", "/v2/_zot/ext/mgmt", Manage, "registry:catalog:*", true},
		{"GET", "/v2/a/_ext/x", Pull, "repository:a:pull", false},
		{"PUT", "/v2/a/_ext/x", Push, "repository:a:pull,push", true},
	} {
		u, err := url.ParseRequestURI(test.target)
		if err != nil {
			t.Fatal(err)
		}
		r, err := ParseRequest(test.method, u, nil, testExtensions(t))
		if err != nil {
			t.Errorf("%s %s: %v", test.method, test.target, err)
			continue
		}
		if got := FormatScopes(r.Accesses()); got != test.scope || r.Action() != test.action || r.Write() != test.write {
			t.Errorf("%s %s: needs %q, scope %q, write %v", test.method, test.target, r.Action(), got, r.Write())
		}
	}
}

func TestZeroRequest(t *testing.T) {
	var r Request
	if r.Action() != 0 || r.Route == RouteBase || r.Route.String() != "unknown" || Route(200).String() != "unknown" {
		t.Error("the zero Request is something")
	}
}

func TestTagAndDigest(t *testing.T) {
	for _, test := range []struct{ method, target, tag, digest string }{
		{"GET", "/v2/a/manifests/v1", "v1", ""},
		{"GET", "/v2/a/manifests/" + someDigest, "", someDigest},
		{"GET", "/v2/a/blobs/" + someDigest, "", someDigest},
		{"PUT", "/v2/a/blobs/uploads/u?digest=" + someDigest, "", someDigest},
		{"GET", "/v2/a/tags/list", "", ""},
	} {
		u, _ := url.ParseRequestURI(test.target)
		r, err := ParseRequest(test.method, u, nil, nil)
		if err != nil || r.Tag() != test.tag || r.Digest() != test.digest {
			t.Errorf("%s: tag %q, digest %q, %v", test.target, r.Tag(), r.Digest(), err)
		}
	}
}
