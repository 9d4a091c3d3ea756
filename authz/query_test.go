package authz

import (
	"net/url"
	"strings"
	"testing"
)

func TestParseRequestMount(t *testing.T) {
	const d, enc = someDigest, "sha256%3A" + "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	const start, session = "/v2/team/app/blobs/uploads/", "/v2/team/app/blobs/uploads/u"
	for _, test := range []struct {
		method, path, query string
		from                string // of a mount that is to be authorized
		forwarded           string
	}{
		{"POST", start, "mount=" + d + "&from=team/base", "team/base", "mount=" + d + "&from=team/base"},
		{"POST", start, "from=team%2Fbase&mount=" + enc, "team/base", "from=team%2Fbase&mount=" + enc},
		{"POST", start, "a=%41&mount=" + enc + "&from=team%2fbase&origin=x", "team/base", "a=%41&mount=" + enc + "&from=team%2fbase&origin=x"},
		// Nothing that could be authorized: an ordinary upload.
		{"POST", start, "mount=" + d, "", ""},
		{"POST", start, "mount=" + d + "&from=", "", ""},
		{"POST", start, "mount=&from=team/base", "", ""},
		{"POST", start, "from=team/base&b=%c3%a9&&c", "", "b=%c3%a9&&c"},
		{"POST", start, "x=1&mount=" + d + "&from=index.docker.io/Library%2Fx&y", "", "x=1&y"},
		{"POST", start, "mount=" + d + "&from=team%252fsecret", "", ""},
		{"POST", start, "mount=" + d + "&from=team/a+b", "", ""},
		{"POST", start, "mount=" + d + "&from=%20team/a", "", ""},
		{"POST", start, "mount=" + d + "&from=%C3%A9", "", ""},
		// No mount elsewhere, though some registry reads the parameters.
		{"GET", "/v2/", "from=team/secret", "", ""},
		{"GET", "/v2/a/manifests/x", "ns=d&from=team/secret", "", "ns=d"},
		{"DELETE", "/v2/a/manifests/x", "mount=x&from=y", "", ""},
		{"GET", "/v2/_catalog", "n=1&from=a&last=b", "", "n=1&last=b"},
		{"PATCH", session, "_state=a%3D&from=team/secret", "", "_state=a%3D"},
		{"PUT", session, "mount=" + d + "&from=team/base&digest=" + d, "", "digest=" + d},
		{"POST", "/v2/_zot/ext/search", "from=a&query={a}", "", "query={a}"},
	} {
		u := &url.URL{Path: test.path, RawQuery: test.query}
		r, err := ParseRequest(test.method, u, nil, testExtensions(t))
		if err != nil {
			t.Errorf("%s %s: %v", test.method, u, err)
			continue
		}
		if r.From != test.from || (r.Mount == d) != (test.from != "") || r.RawQuery != test.forwarded {
			t.Errorf("%s %s: mount=%q from=%q forwarded %q", test.method, u, r.Mount, r.From, r.RawQuery)
		}
		source, ok := r.Source()
		if ok != (test.from != "") || source.Name != test.from {
			t.Errorf("%s %s: source %v", test.method, u, source)
		}
	}
}

func TestDropMount(t *testing.T) {
	u := &url.URL{Path: "/v2/a/blobs/uploads/", RawQuery: "&x=%7e&mount=" + someDigest + "&mounts=1&from=b&digest-algorithm=sha512&"}
	r, err := ParseRequest("POST", u, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.DropMount()
	if want := "&x=%7e&mounts=1&digest-algorithm=sha512&"; r.RawQuery != want || r.Mount != "" || r.From != "" {
		t.Errorf("%+v", r)
	}
	if len(r.Accesses()) != 1 {
		t.Error(r.Accesses())
	}
}

func TestParseRequestBadQuery(t *testing.T) {
	const d = someDigest
	const start, session = "/v2/a/blobs/uploads/", "/v2/a/blobs/uploads/u"
	tags := strings.Repeat("&tag=x", 101)
	for _, test := range []struct {
		method, path, query string
		want                *RequestError
	}{
		{"POST", start, "mount=latest&from=b", errDigest},
		{"POST", start, "mount=sha256:12&from=b", errDigest},
		{"POST", start, "digest=x", errDigest},
		{"POST", start, "mount=" + d + "&mount=" + d + "&from=b", errQueryRepeated},
		{"POST", start, "mount=" + d + "&from=b&from=c", errQueryRepeated},
		{"POST", start, "mount=" + d + "&from=b&from=b", errQueryRepeated},
		{"POST", start, "from&mount=" + d + "&from=b", errQueryRepeated},
		{"POST", start, "mount=" + d + "&from=b&fr%6fm=c", errQueryKey},
		{"POST", start, "%6D%6F%75%6E%74=" + d + "&from=b", errQueryKey},
		{"POST", start, "Mount=" + d + "&from=b", errQueryKey},
		{"POST", start, "mount=" + d + "&FROM=b", errQueryKey},
		{"POST", start, "mount=" + d + "&from+=b", errQueryKey},
		{"POST", start, "mount=" + d + "&%20from=b", errQueryKey},
		{"PUT", session, "digest=" + d + "&digest=" + d, errQueryRepeated},
		{"PUT", session, "digest=" + d + "&d%69gest=" + d, errQueryKey},
		{"PUT", session, "digest=", errDigest},
		{"PUT", session, "digest=sha256%253Aabc", errDigest},
		{"GET", "/v2/a/manifests/x", "from=b&from=b", errQueryRepeated},
		{"PUT", "/v2/a/manifests/" + d, "tag=", errTag},
		{"PUT", "/v2/a/manifests/" + d, "t%61g=x", errQueryKey},
		{"PUT", "/v2/a/manifests/" + d, tags[1:], errQueryTags},
		{"GET", "/v2/a/tags/list", "n=", errPagination},
		{"GET", "/v2/a/tags/list", "n=+1", errPagination},
		{"GET", "/v2/a/tags/list", "n=1e3", errPagination},
		{"GET", "/v2/a/tags/list", "n=10000000", errPagination},
		{"GET", "/v2/a/tags/list", "n=1&n=2", errQueryRepeated},
		{"GET", "/v2/_catalog", "last=a&last=b", errQueryRepeated},
		{"GET", "/v2/_catalog", "l%61st=a", errQueryKey},
		{"GET", "/v2/_catalog", "last=a%00", errQuery},
		{"GET", "/v2/_catalog", "last=a%7f", errQuery},
		{"GET", "/v2/", "a;b", errQuery},
		{"GET", "/v2/", "a=%", errQuery},
		{"GET", "/v2/", "a=%4", errQuery},
		{"GET", "/v2/", "a=%zz", errQuery},
		{"GET", "/v2/", "a=%0g", errQuery},
		{"GET", "/v2/", "%0A=1", errQuery},
		{"GET", "/v2/", "a#b", errQuery},
		{"GET", "/v2/", "a b", errQuery},
		{"GET", "/v2/", "\u00e9", errQuery},
		{"GET", "/v2/", strings.Repeat("x", maxQuery+1), errQueryLong},
	} {
		u := &url.URL{Path: test.path, RawQuery: test.query}
		if _, err := ParseRequest(test.method, u, nil, nil); err != error(test.want) {
			t.Errorf("%s %s: got %v, want %v", test.method, u, err, test.want)
		}
	}
}
