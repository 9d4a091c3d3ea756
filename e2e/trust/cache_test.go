package trust

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// cached has private and public repositories behind a registry that lets
// everybody keep everything.
const cached = `http://ADDR {
	registry_auth {
		service registry.test
		project team/** {
			robot ci pull push {
				secret_hash {env.CI_HASH}
			}
		}
		project pub/** {
			guest anyone
		}
		project office/** {
			guest anyone {
				from 10.0.0.0/8
			}
		}
	}
	reverse_proxy UPSTREAM
}`

const blobPath = "/blobs/sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

// cachingRegistry answers as registries do, and worse.
func cachingRegistry(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.Contains(r.URL.Path, "/blobs/"):
		w.Header().Set("Cache-Control", "max-age=31536000")
	case strings.Contains(r.URL.Path, "/silent/"):
	default:
		w.Header().Set("Cache-Control", "public, s-maxage=600, max-age=60")
		w.Header().Set("Expires", "Thu, 31 Dec 2037 23:55:55 GMT")
		w.Header().Set("Surrogate-Control", "max-age=3600")
		w.Header().Set("Cdn-Cache-Control", "max-age=3600")
		w.Header().Set("X-Accel-Expires", "3600")
	}
	w.Header().Set("Etag", `"x"`)
	_, _ = w.Write([]byte("bytes of " + r.URL.Path))
}

// TestPrivateBytesAreNotShared: a cache in front, such as a CDN, does not give
// anybody what another has pulled.
func TestPrivateBytesAreNotShared(t *testing.T) {
	secret, hash := stage.NewSecret()
	s := start(t, cached, cachingRegistry, "CI_HASH="+hash)
	url := nginx(t, s, "proxy_cache_path ${DIR}/cache keys_zone=registry:1m;",
		"proxy_set_header Host $http_host; proxy_cache registry; proxy_cache_valid 200 302 307 1h; proxy_ignore_headers Set-Cookie; add_header X-Cache $upstream_cache_status always;")
	paths := []string{blobPath, "/manifests/latest", "/tags/list", "/silent" + blobPath, "/referrers/" + strings.TrimPrefix(blobPath, "/blobs/")}
	for _, path := range paths {
		path = "/v2/team/app" + path
		s.wants(http.StatusOK, "GET", url+path, "", basic("robot-ci", secret))
		s.wants(http.StatusUnauthorized, "GET", url+path, "")
		s.wants(http.StatusUnauthorized, "GET", url+path, "", basic("robot-ci", "wrong"))
		s.wants(http.StatusOK, "GET", url+path, "", basic("robot-ci", secret))
	}
	for _, path := range paths {
		res, _ := s.call("GET", "/v2/team/app"+path, "", basic("robot-ci", secret))
		if got := res.Header.Get("Cache-Control"); !strings.Contains(got, "private") || strings.Contains(got, "public") || strings.Contains(got, "s-maxage") {
			t.Errorf("%s: Cache-Control %q", path, got)
		}
		if got := strings.Join(res.Header.Values("Vary"), ", "); !strings.Contains(got, "Authorization") || !strings.Contains(got, "Cookie") {
			t.Errorf("%s: Vary %q", path, got)
		}
		for _, name := range []string{"Surrogate-Control", "Cdn-Cache-Control", "X-Accel-Expires"} {
			if res.Header.Get(name) != "" {
				t.Errorf("%s: %s reaches caches", path, name)
			}
		}
	}
}

// TestPublicBytesAreShared: what anybody may read may be kept for everybody,
// as the registry says.
func TestPublicBytesAreShared(t *testing.T) {
	_, hash := stage.NewSecret()
	s := start(t, `{
	servers {
		trusted_proxies static 127.0.0.1
	}
}
`+cached, cachingRegistry, "CI_HASH="+hash)
	res, _ := s.call("GET", "/v2/pub/app"+blobPath, "")
	if got := res.Header.Get("Cache-Control"); res.StatusCode != http.StatusOK || got != "max-age=31536000" {
		t.Errorf("%s, Cache-Control %q", res.Status, got)
	}
	// Who is in the office is not anybody.
	res, _ = s.call("GET", "/v2/office/app"+blobPath, "", "X-Forwarded-For: 10.1.1.1")
	if got := res.Header.Get("Cache-Control"); res.StatusCode != http.StatusOK || !strings.Contains(got, "private") {
		t.Errorf("%s, Cache-Control %q", res.Status, got)
	}
}
