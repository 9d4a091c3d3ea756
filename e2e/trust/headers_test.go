package trust

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// identified has a realm that tells the server behind who somebody is: under
// /v2/, under /ui/ where it asks for a sign-in, and beside both where it does
// not.
const identified = `http://ADDR {
	registry_auth {
		service registry.test
		identity_headers
		drop_headers X-Legacy-Sso Company-User
		project team/** {
			robot ci pull push {
				secret_hash {env.CI_HASH}
			}
		}
	}
	registry_identity /ui/*
	reverse_proxy UPSTREAM
}`

// productHeaders are in what products believe to be who somebody is.
var productHeaders = []string{
	"X-Forwarded-User", "X-Forwarded-Groups", "X-Forwarded-Email", "X-Registry-Role", "X-Forwarded-Preferred-Username",
	"Iv-User", "Iv-Groups", "Tailscale-User-Login", "Tailscale-User-Name", "Cf-Access-Authenticated-User-Email", "Cf-Access-Jwt-Assertion",
	"Impersonate-User", "Impersonate-Group", "Impersonate-Extra-Scopes", "Client-Verify", "Ssl-Client-Verify", "Ssl-Client-Cert", "Client-Cert",
	"Private-Token", "Job-Token", "Deploy-Token", "Remote-User", "Remote-Groups", "X-Remote-User", "X-Webauth-User", "X-Auth-Request-User",
	"X-Auth-User", "X-Authentik-Username", "X-Pomerium-Jwt-Assertion", "X-Goog-Authenticated-User-Email", "X-Goog-Iap-Jwt-Assertion",
	"X-Amzn-Oidc-Identity", "X-Ms-Client-Principal-Name", "X-Vouch-User", "X-Token-Subject", "X-Consumer-Username", "X-Jwt-Assertion",
	"Sm-User", "Smuser", "Oam-Remote-User", "Auth-User", "Oidc-Claim-Sub", "X-Userinfo", "X-User", "X-Email", "X-Groups", "Proxy-User",
	"X-Legacy-Sso", "Company-User",
}

// TestNobodyElseSaysWhoSomebodyIs: no header in which a server behind could
// look for a name comes from the client, on any route.
func TestNobodyElseSaysWhoSomebodyIs(t *testing.T) {
	secret, hash := stage.NewSecret()
	s := start(t, identified, nil, "CI_HASH="+hash)
	headers := []string{basic("robot-ci", secret)}
	for _, h := range productHeaders {
		headers = append(headers, h+": mallory", strings.ReplaceAll(h, "-", "_")+": mallory", strings.ToUpper(h)+": mallory")
	}
	for _, path := range []string{"/v2/team/app/tags/list", "/ui/page", "/beside"} {
		s.Upstream.requests()
		s.wants(http.StatusOK, "GET", path, "", headers...)
		for _, r := range s.Upstream.requests() {
			for name, values := range r.Header {
				if path == "/beside" && strings.HasSuffix(name, "-Token") {
					continue // a credential, which is the client's own to show there
				}
				if strings.Contains(strings.Join(values, ","), "mallory") {
					t.Errorf("%s: %s: %s reaches the server behind", path, name, values)
				}
			}
		}
	}
}

// TestVerifiedIdentityArrives: what the gateway says cannot be taken out by
// what the client says about the connection.
func TestVerifiedIdentityArrives(t *testing.T) {
	secret, hash := stage.NewSecret()
	s := start(t, identified, nil, "CI_HASH="+hash)
	for _, path := range []string{"/v2/team/app/tags/list", "/ui/page"} {
		for _, h := range []string{
			"Connection: X-Forwarded-User, X-Forwarded-Groups", "Connection: keep-alive, x-forwarded-user", "Trailer: X-Forwarded-User",
			"Proxy-Connection: X-Forwarded-User", "Te: X-Forwarded-User", "Keep-Alive: X-Forwarded-User",
		} {
			s.Upstream.requests()
			s.wants(http.StatusOK, "GET", path, "", basic("robot-ci", secret), h)
			seen := s.Upstream.requests()
			if len(seen) != 1 || !strings.Contains(seen[0].Header.Get("X-Forwarded-User"), "ci") {
				t.Errorf("%s with %s: the server behind is told %q", path, h, seen[0].Header.Get("X-Forwarded-User"))
			}
		}
	}
}

// TestTrailersSayNothing: a trailer comes after all checks.
func TestTrailersSayNothing(t *testing.T) {
	secret, hash := stage.NewSecret()
	s := start(t, identified, nil, "CI_HASH="+hash)
	for _, path := range []string{"/v2/team/app/blobs/uploads/", "/ui/page", "/beside"} {
		s.Upstream.requests()
		status := s.raw("POST " + path + " HTTP/1.1\r\nHost: " + s.Addr + "\r\n" + basic("robot-ci", secret) +
			"\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\nTrailer: X-Forwarded-User\r\nConnection: close\r\n\r\n" +
			"1\r\nx\r\n0\r\nX-Forwarded-User: mallory\r\n\r\n")
		for _, r := range s.Upstream.requests() {
			if r.Trailer.Get("X-Forwarded-User") != "" || r.Header.Get("X-Forwarded-User") == "mallory" || r.Header.Get("Trailer") != "" {
				t.Errorf("%s (%s): a trailer reaches the server behind: %v", path, status, r.Trailer)
			}
		}
	}
}

// raw sends bytes as they are and returns the status line of the answer.
func (s *scene) raw(request string) string {
	s.t.Helper()
	c, err := net.DialTimeout("tcp", s.Addr, 5*time.Second)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := fmt.Fprint(c, request); err != nil {
		s.t.Fatal(err)
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		s.t.Fatalf("no answer: %v", err)
	}
	return strings.TrimSpace(line)
}
