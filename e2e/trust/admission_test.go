package trust

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// everywhere has an endpoint of each sort.
const everywhere = `http://ADDR {
	registry_auth {
		service registry.test
		management {
			api_key test {env.ADMIN_KEY}
			harbor_robots
		}
		project team/** {
			robot ci pull push delete {
				secret_hash {env.CI_HASH}
			}
		}
	}
	registry_identity /ui/*
	reverse_proxy UPSTREAM
}`

// TestEarlyDataChangesNothing: what a proxy has taken from a handshake that is
// not over may be a replay (RFC 8470).
func TestEarlyDataChangesNothing(t *testing.T) {
	secret, hash := stage.NewSecret()
	s := start(t, everywhere, nil, "CI_HASH="+hash)
	const early = "Early-Data: 1"
	for _, tt := range []struct{ method, path, credential string }{
		{"POST", "/v2/team/app/blobs/uploads/", basic("robot-ci", secret)},
		{"PUT", "/v2/team/app/manifests/latest", basic("robot-ci", secret)},
		{"DELETE", "/v2/team/app/manifests/latest", basic("robot-ci", secret)},
		{"POST", "/auth/api/v1/signing-keys/rotate", bearer(adminKey)},
		{"DELETE", "/auth/api/v1/robots/x", bearer(adminKey)},
		{"PUT", "/auth/api/v1/robots/x", bearer(adminKey)},
		{"POST", "/api/v2.0/robots", bearer(adminKey)},
		{"POST", "/ui/page", basic("robot-ci", secret)},
		{"POST", "/beside", "X-Nothing: x"},
	} {
		s.Upstream.requests()
		s.wants(http.StatusTooEarly, tt.method, tt.path, "", early, tt.credential, jsonBody)
		if seen := s.Upstream.requests(); len(seen) > 0 {
			t.Errorf("%s %s reaches the server behind", tt.method, tt.path)
		}
	}
	// What changes nothing may be repeated.
	s.wants(http.StatusOK, "GET", "/v2/team/app/tags/list", "", early, basic("robot-ci", secret))
	s.wants(http.StatusOK, "GET", "/auth/api/v1/whoami", "", early, bearer(adminKey))
}

// TestReadingHasNoBody: a server that does not read the body of a GET takes it
// for the next request.
func TestReadingHasNoBody(t *testing.T) {
	secret, hash := stage.NewSecret()
	s := start(t, everywhere, nil, "CI_HASH="+hash)
	for _, path := range []string{"/v2/team/app/tags/list", "/ui/page", "/beside"} {
		for _, body := range []string{
			"Content-Length: 21\r\n\r\nGET /admin HTTP/1.1\r\n", "Transfer-Encoding: chunked\r\n\r\n15\r\nGET /admin HTTP/1.1\r\n\r\n0\r\n\r\n",
		} {
			s.Upstream.requests()
			status := s.raw("GET " + path + " HTTP/1.1\r\nHost: " + s.Addr + "\r\n" + basic("robot-ci", secret) + "\r\nConnection: close\r\n" + body)
			if !strings.Contains(status, " 400 ") {
				t.Errorf("%s: %s", path, status)
			}
			if seen := s.Upstream.requests(); len(seen) > 0 {
				t.Errorf("%s reaches the server behind", path)
			}
		}
	}
}

// TestOtherSitesCannotAct: browsers send what they once asked for by
// themselves, also for a page of another site.
func TestOtherSitesCannotAct(t *testing.T) {
	secret, hash := stage.NewSecret()
	s := start(t, everywhere, nil, "CI_HASH="+hash)
	upgrade := []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-Websocket-Version: 13", "Sec-Websocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}
	for _, from := range [][]string{
		{"Origin: https://evil.example"}, {"Origin: null"}, {"Sec-Fetch-Site: cross-site"}, {"Sec-Fetch-Site: same-site", "Origin: http://sibling.127.0.0.1"},
	} {
		s.Upstream.requests()
		for _, tt := range []struct{ method, path string }{
			{"POST", "/v2/team/app/blobs/uploads/"}, {"DELETE", "/v2/team/app/manifests/latest"}, {"POST", "/ui/page"}, {"PUT", "/ui/page"},
		} {
			s.wants(http.StatusForbidden, tt.method, tt.path, "", append(from, basic("robot-ci", secret))...)
		}
		s.wants(http.StatusForbidden, "GET", "/ui/socket", "", append(append(from, basic("robot-ci", secret)), upgrade...)...)
		if seen := s.Upstream.requests(); len(seen) > 0 {
			t.Errorf("%s: %s reaches the server behind", from, seen[0].URL)
		}
	}
	// Programs send neither header; the site's own pages send good ones.
	s.wants(http.StatusOK, "POST", "/ui/page", "", basic("robot-ci", secret))
	s.wants(http.StatusOK, "POST", "/ui/page", "", basic("robot-ci", secret), "Sec-Fetch-Site: same-origin", "Origin: "+s.URL)
	s.wants(http.StatusOK, "GET", "/ui/page", "", basic("robot-ci", secret), "Sec-Fetch-Site: cross-site")
	s.wants(http.StatusOK, "GET", "/ui/socket", "", append([]string{basic("robot-ci", secret), "Origin: " + s.URL}, upgrade...)...)
}

// TestHostIsAHost: the name that a client writes is repeated in challenges.
func TestHostIsAHost(t *testing.T) {
	_, hash := stage.NewSecret()
	s := start(t, everywhere, nil, "CI_HASH="+hash)
	for _, host := range []string{`evil.example"`, "evil.example/x", "user@evil.example", "evil example", ""} {
		for _, path := range []string{"/v2/", "/auth/api/v1/whoami", "/ui/page", "/v2/token"} {
			if status := s.raw("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n"); !strings.Contains(status, " 400 ") {
				t.Errorf("Host %q, %s: %s", host, path, status)
			}
		}
	}
}
