package authz

import (
	"net/http"
	"net/url"
	"testing"
)

func BenchmarkParseRequest(b *testing.B) {
	header := http.Header{"Accept": {"*/*"}, "Authorization": {"Bearer x"}, "User-Agent": {"docker/29.0"}}
	upload := http.Header{"Content-Type": {"application/octet-stream"}}
	for _, bm := range []struct {
		name, method, target string
		header               http.Header
	}{
		{"ManifestByTag", "GET", "/v2/team/project/app/manifests/v1.2.3", header},
		{"ManifestByDigest", "GET", "/v2/team/project/app/manifests/" + someDigest, header},
		{"Blob", "GET", "/v2/team/project/app/blobs/" + someDigest, header},
		{"EncodedColon", "GET", "/v2/team/project/app/blobs/sha256%3A" + someDigest[7:], header},
		{"Mount", "POST", "/v2/team/app/blobs/uploads/?mount=" + someDigest + "&from=team/base", header},
		{"UploadChunk", "PATCH", "/v2/team/app/blobs/uploads/4f0c2d9e-2a61-4f0e-9d8c-3f4d1a7b8c9d?_state=abcdefghijklmnop", upload},
		{"RefusedName", "GET", "/v2/Team/app/manifests/x", header},
	} {
		u, err := url.ParseRequestURI(bm.target)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r, _ := ParseRequest(bm.method, u, bm.header, nil)
				_ = r.Target()
			}
		})
	}
}

func BenchmarkIsRegistryPath(b *testing.B) {
	for _, bm := range []struct{ name, path string }{
		{"Ours", "/v2/team/project/app/manifests/v1.2.3"},
		{"Other", "/assets/app-3f4d1a7b.js"},
		{"Root", "/"},
		{"Odd", "/x/../v2/team/app"},
	} {
		u := &url.URL{Path: bm.path}
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				IsRegistryPath(u)
			}
		})
	}
}

func BenchmarkParseScopes(b *testing.B) {
	values := []string{"repository:team/app:pull,push repository:team/base:pull"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseScopes(values); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFormatScopes(b *testing.B) {
	list := []Access{{TypeRepository, "team/app", Pull | Push}, {TypeRepository, "team/base", Pull}}
	b.ReportAllocs()
	for b.Loop() {
		FormatScopes(list)
	}
}
