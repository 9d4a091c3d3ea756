package authz

import (
	"bufio"
	"errors"
	"net/http"
	"strings"
	"testing"
)

// Known attacks on registries behind proxies, as requests from the wire.
// Status 0 is a request that is well-formed: it has to be refused, or
// answered, for what it asks, and the row says what that is read as. Status
// -1 is a path that is not ours.
func TestParseRequestAttacks(t *testing.T) {
	deep := "/v2/" + strings.Repeat("a/", 200) + "a/tags/list"
	mount := "mount=" + someDigest
	for _, test := range []struct {
		id, method, target string
		header             string
		status             int
		action             Action
		repository         string
	}{
		{id: "path-enc-slash", target: "/v2/pub%2f..%2fteam/secret/tags/list", status: 400},
		{id: "path-enc-slash-plain", target: "/v2/team%2fsecret/tags/list", status: 400},
		{id: "path-enc-slash-first", target: "/v2%2fteam/secret/tags/list", status: 400},
		{id: "path-enc-v", target: "/%762/team/secret/tags/list", status: 400},
		{id: "path-enc-2", target: "/v%32/team/secret/tags/list", status: 400},
		{id: "path-enc-all", target: "/v2/team/secret%2fmanifests%2fx", status: 400},
		{id: "path-enc-keyword", target: "/v2/team/secret/%6danifests/x", status: 400},
		{id: "path-enc-catalog", target: "/v2/%5fcatalog", status: 400},
		{id: "path-dotdot", target: "/v2/pub/../team/secret/tags/list", status: 400},
		{id: "path-dotdot-enc", target: "/v2/pub/%2e%2e/team/secret/tags/list", status: 400},
		{id: "path-dotdot-enc-up", target: "/v2/pub/%2E%2E/team/secret/tags/list", status: 400},
		{id: "path-dotdot-half", target: "/v2/pub/.%2e/team/secret/tags/list", status: 400},
		{id: "path-dotdot-before", target: "/x/../v2/team/secret/tags/list", status: 400},
		{id: "path-dbl-enc", target: "/v2/pub%252f..%252fteam/secret/tags/list", status: 400},
		{id: "path-dbl-enc-v", target: "/%25762/team/secret/tags/list", status: 400},
		{id: "path-pre-dot", target: "/./v2/team/secret/tags/list", status: 400},
		{id: "path-dbl-slash", target: "//v2/team/secret/tags/list", status: 400},
		{id: "path-dbl-slash-in", target: "/v2/team//secret/tags/list", status: 400},
		{id: "path-dbl-slash-mid", target: "/v2//team/secret/tags/list", status: 400},
		{id: "path-semicolon", target: "/v2/team;x=1/secret/tags/list", status: 400},
		{id: "path-semicolon-dots", target: "/v2/..;/v2/team/secret/tags/list", status: 400},
		{id: "path-semicolon-v2", target: "/v2;/team/secret/tags/list", status: 400},
		{id: "path-backslash", target: `/v2\team\secret\tags\list`, status: 400},
		{id: "path-backslash-enc", target: "/v2/pub/..%5cteam/secret/tags/list", status: 400},
		{id: "path-backslash-up", target: "/v2%5Cteam/secret/tags/list", status: 400},
		{id: "path-case-v", target: "/V2/team/secret/tags/list", status: 404},
		{id: "path-case-name", target: "/v2/Team/secret/tags/list", status: 400},
		{id: "path-case-keyword", target: "/v2/team/secret/Manifests/x", status: 404},
		{id: "path-nul", target: "/v2/pub/app/manifests/x%00", status: 400},
		{id: "path-crlf", target: "/v2/pub/app/manifests/x%0d%0aX-A:1", status: 400},
		{id: "path-overlong", target: "/v2/pub/..%c0%afteam/tags/list", status: 400},
		{id: "path-utf8-name", target: "/v2/te%D0%B0m/secret/tags/list", status: 400},
		{id: "path-hash-enc", target: "/v2/team/secret/tags/list%23/v2/pub/app/tags/list", status: 400},
		{id: "path-hash-raw", target: "/v2/team/secret/tags/list#/v2/pub/app/tags/list", status: 400},
		{id: "path-qmark-enc", target: "/v2/team/secret/tags/list%3f/v2/pub/app/tags/list", status: 400},
		{id: "path-query-path", target: "/v2/team/secret/tags/list?x=/v2/pub/app/tags/list", action: List, repository: "team/secret"},
		{id: "path-reserved-word", target: "/v2/pub/manifests/secret/manifests/1", action: Pull, repository: "pub/manifests/secret"},
		{id: "path-deep-name", target: deep, status: 400},
		{id: "path-absolute-form", target: "http://reg.test/v2/team/secret/tags/list", action: List, repository: "team/secret"},
		{id: "path-asterisk", method: "OPTIONS", target: "*", status: -1},
		{id: "path-sidedoor-debug", target: "/debug/vars", status: -1},
		{id: "path-sidedoor-zot-mgmt", target: "/v2/_zot/ext/mgmt", status: 404},
		{id: "path-sidedoor-oras", target: "/oras/artifacts/v1/team/secret/manifests/x/referrers", status: -1},
		{id: "path-sidedoor-gitea-api", target: "/api/v1/users/search", status: -1},
		{id: "path-sidedoor-v1", target: "/v1/search?q=secret", status: -1},

		{id: "method-get", method: "get", target: "/v2/team/app/manifests/x", status: 405},
		{id: "method-PROPFIND", method: "PROPFIND", target: "/v2/team/app/manifests/x", status: 405},
		{id: "method-COPY", method: "COPY", target: "/v2/team/app/manifests/x", status: 405},
		{id: "method-override-query", target: "/v2/team/app/manifests/x?_method=DELETE", action: Pull, repository: "team/app"},
		{id: "method-delete-tag", method: "DELETE", target: "/v2/team/app/manifests/x", action: Delete, repository: "team/app"},
		{id: "method-head-private", method: "HEAD", target: "/v2/team/secret/manifests/x", action: Pull, repository: "team/secret"},

		{id: "mount-query", method: "POST", target: "/v2/pub/app/blobs/uploads/?" + mount + "&from=team/secret", action: Push, repository: "pub/app"},
		{id: "mount-form-body", method: "POST", target: "/v2/pub/app/blobs/uploads/", header: "Content-Type: application/x-www-form-urlencoded", status: 415},
		{id: "mount-multipart-body", method: "POST", target: "/v2/pub/app/blobs/uploads/", header: "Content-Type: multipart/form-data; boundary=b", status: 415},
		{id: "mount-enc-key", method: "POST", target: "/v2/pub/app/blobs/uploads/?m%6funt=" + someDigest + "&fr%6fm=team%2fsecret", status: 400},
		{id: "mount-dup-from", method: "POST", target: "/v2/pub/app/blobs/uploads/?" + mount + "&from=pub/app&from=team/secret", status: 400},
		{id: "mount-semicolon", method: "POST", target: "/v2/pub/app/blobs/uploads/?" + mount + ";from=team/secret", status: 400},
		{id: "mount-lying-from", method: "POST", target: "/v2/pub/app/blobs/uploads/?" + mount + "&from=pub/other", action: Push, repository: "pub/app"},
		{id: "mount-no-from", method: "POST", target: "/v2/pub/app/blobs/uploads/?" + mount, action: Push, repository: "pub/app"},
		{id: "blob-get-other-repo", target: "/v2/pub/app/blobs/" + someDigest, action: Pull, repository: "pub/app"},

		{id: "upload-hijack-GET", target: "/v2/pub/app/blobs/uploads/U", action: Push, repository: "pub/app"},
		{id: "upload-hijack-PUT", method: "PUT", target: "/v2/pub/app/blobs/uploads/U?digest=" + someDigest, action: Push, repository: "pub/app"},
		{id: "upload-dup-digest", method: "PUT", target: "/v2/pub/app/blobs/uploads/U?digest=" + someDigest + "&digest=" + someDigest, status: 400},
		{id: "referrers-private", target: "/v2/team/secret/referrers/" + someDigest, action: Pull, repository: "team/secret"},

		{id: "catalog-anon", target: "/v2/_catalog", action: List},
		{id: "catalog-n-1000000000", target: "/v2/_catalog?n=1000000000", status: 400},
		{id: "catalog-n-abc", target: "/v2/_catalog?n=abc", status: 400},
		{id: "catalog-n-negative", target: "/v2/_catalog?n=-1", status: 400},
		{id: "catalog-n-1", target: "/v2/_catalog?n=%201", status: 400},
		{id: "catalog-last-inject", target: "/v2/_catalog?n=1&last=%3e%3b%20rel%3d%22x%22%0d%0aX-A:1", status: 400},
	} {
		t.Run(test.id, func(t *testing.T) {
			method := test.method
			if method == "" {
				method = "GET"
			}
			head := method + " " + test.target + " HTTP/1.1\r\nHost: reg.test\r\n" + test.header
			hr, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.TrimSuffix(head, "\r\n") + "\r\n\r\n")))
			if err != nil {
				t.Fatal(err)
			}
			if ours := IsRegistryPath(hr.URL); ours != (test.status != -1) {
				t.Fatalf("IsRegistryPath = %v", ours)
			}
			r, err := ParseRequest(hr.Method, hr.URL, hr.Header, nil)
			var re *RequestError
			switch {
			case test.status == 0:
				if err != nil || r.Action() != test.action || r.Repository != test.repository {
					t.Errorf("got %+v, %v", r, err)
				}
			case !errors.As(err, &re) || test.status > 0 && re.Status != test.status:
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
}
