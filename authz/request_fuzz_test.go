package authz

import (
	"errors"
	"net/http"
	"net/url"
	"path"
	"reflect"
	"strings"
	"testing"
)

const (
	someDigest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	longDigest = "sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce" +
		"47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"
)

var fuzzTargets = []string{
	"/v2", "/v2/", "/v2/_catalog?n=10&last=team%2Fapp", "/v2/team/app/tags/list?n=5",
	"/v2/team/app/manifests/v1.0", "/v2/pub/manifests/secret/manifests/1",
	"/v2/team/app/manifests/" + someDigest + "?tag=a&tag=b", "/v2/team/app/manifests/" + longDigest,
	"/v2/team/app/blobs/sha256%3A" + someDigest[7:], "/v2/team/app/referrers/" + someDigest,
	"/v2/blobs/uploads/blobs/uploads/", "/v2/team/app/blobs/uploads", "/v2/team/app/blobs/uploads/abc?_state=x-_=",
	"/v2/team/app/blobs/uploads/?mount=" + someDigest + "&from=team%2Fbase&origin=x",
	"/v2/team/app/blobs/uploads/a.b=?digest=" + someDigest, "/v2/_zot/ext/search?query=%7B%7D",
	"/v2/team/app/_ext/x/manifests/1", "/v2/priv%2Fapp/manifests/1", "//v2/a/tags/list", "/V2/", "/%762/",
	"/x/../v2/a/tags/list", "/v2;/x", "/v2%5cx", "/v2/a/../b/tags/list", "/v2/h:5000/a/tags/list",
	"/v2/PRIV/app/manifests/1", "/v2/a/blobs/uploads/..", "/%252e%252e/v2", "/v2/a/tags/list?fr%6fm=b;n=1",
	"/v2/a/manifests/x%00", "http://host/v2/a/tags/list", "*", "x:v2/",
}

func testExtensions(t testing.TB) *Extensions {
	ext, err := NewExtensions([]Extension{
		{Path: "_zot/ext/*", Action: List, Methods: []string{"GET", "POST"}},
		{Path: "_oci/ext/discover", Action: List},
		{Path: "_zot/ext/mgmt", Action: Manage},
		{Path: "{name}/_ext/*", Action: Pull},
		{Path: "{name}/_ext/*", Action: Push, Methods: []string{"PUT"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return ext
}

// For every accepted request, what was authorized is what Distribution's and
// zot's routers serve when they get what is forwarded.
func FuzzRequest(f *testing.F) {
	ext := testExtensions(f)
	for _, target := range fuzzTargets {
		for _, method := range methodNames {
			f.Add(method, target)
		}
	}
	f.Fuzz(func(t *testing.T, method, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		r, err := ParseRequest(method, u, http.Header{}, ext)
		if err != nil {
			var re *RequestError
			if !errors.As(err, &re) || re.Status < 400 || re.Status > 499 || re.Code == "" || re.Message == "" {
				t.Fatalf("odd error %#v", err)
			}
			return
		}
		if !IsRegistryPath(u) {
			t.Fatal("accepted, but not taken for a registry path")
		}
		checkPath(t, r, u)
		checkUpstream(t, r, distributionRoutes)
		checkUpstream(t, r, zotRoutes)
		checkQuery(t, r, u)

		// What is forwarded is its own canonical form.
		again, err := ParseRequest(method, &url.URL{Path: r.Path, RawQuery: r.RawQuery}, http.Header{}, ext)
		if err != nil || !reflect.DeepEqual(r, again) {
			t.Fatalf("read again: %+v, %v\nat first: %+v", again, err, r)
		}
		if r.Route != RouteBase && r.Action() == 0 {
			t.Fatal("needs no right")
		}
	})
}

func checkPath(t *testing.T, r Request, u *url.URL) {
	t.Helper()
	if got := (&url.URL{Path: r.Path}).EscapedPath(); got != r.Path {
		t.Fatalf("canonical path %q is escaped to %q", r.Path, got)
	}
	if got := cleanPath(r.Path); got != r.Path {
		t.Fatalf("canonical path %q is cleaned to %q", r.Path, got)
	}
	if strings.ContainsAny(r.Path, "%\\;?#") || strings.TrimSuffix(r.Path, "/") != strings.TrimSuffix(u.Path, "/") {
		t.Fatalf("canonical path %q of %q", r.Path, u.Path)
	}
}

func checkUpstream(t *testing.T, r Request, routes []upstreamRoute) {
	t.Helper()
	for _, got := range match(routes, r.Path) {
		want := Request{Route: r.Route, Repository: r.Repository, Upload: r.Upload}
		if r.Route != RouteUploads && r.Route != RouteUpload { // there it is from the query
			want.Reference = r.Reference
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: authorized %+v, served %+v", r.Path, want, got)
		}
	}
}

func checkQuery(t *testing.T, r Request, u *url.URL) {
	t.Helper()
	values, err := url.ParseQuery(r.RawQuery)
	if err != nil {
		t.Fatalf("query %q: %v", r.RawQuery, err)
	}
	if values.Get("mount") != r.Mount || values.Get("from") != r.From ||
		len(values["mount"]) > 1 || len(values["from"]) > 1 || len(values["digest"]) > 1 {
		t.Fatalf("query %q, read as mount=%q from=%q", r.RawQuery, r.Mount, r.From)
	}
	if (r.Mount == "") != (r.From == "") || r.Mount != "" && (!ValidDigest(r.Mount) || !ValidName(r.From)) {
		t.Fatalf("mount=%q from=%q", r.Mount, r.From)
	}
	if (r.Route == RouteUploads || r.Route == RouteUpload) && r.Reference != "" && values.Get("digest") != r.Reference {
		t.Fatalf("digest %q, forwarded %q", r.Reference, r.RawQuery)
	}
	if len(r.Tags) > 0 && !reflect.DeepEqual(values["tag"], r.Tags) {
		t.Fatalf("tags %q, forwarded %q", r.Tags, r.RawQuery)
	}
	r.DropMount()
	if want := withoutMount(u.RawQuery); r.RawQuery != want {
		t.Fatalf("query without mount: %q, want %q", r.RawQuery, want)
	}
}

// What is not taken for a registry path is none to Caddy's matchers, nor to
// an upstream that decodes and cleans.
func FuzzIsRegistryPath(f *testing.F) {
	for _, target := range fuzzTargets {
		f.Add(target)
	}
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || IsRegistryPath(u) {
			return
		}
		reading := u.EscapedPath()
		for range 4 {
			for _, p := range []string{
				reading, cleanPath(reading), path.Clean(strings.ReplaceAll(reading, `\`, "/")),
				cleanPath(withoutParameters(reading)),
			} {
				p = strings.ToLower(p)
				if p == "/v2" || strings.HasPrefix(p, "/v2/") {
					t.Fatalf("%q is not claimed, yet could be read as %q", target, p)
				}
			}
			if reading, err = url.PathUnescape(reading); err != nil {
				return
			}
		}
	})
}

// withoutParameters reads a path as servlet containers do.
func withoutParameters(p string) string {
	segments := strings.Split(p, "/")
	for i, s := range segments {
		segments[i], _, _ = strings.Cut(s, ";")
	}
	return strings.Join(segments, "/")
}
