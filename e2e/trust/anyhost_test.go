package trust

import (
	"strings"
	"testing"
)

// TestSitesOfAnyNameRepeatNoOddHost: the server lets more bytes through than
// names have, quotes among them, and a site without a name of its own gets all.
func TestSitesOfAnyNameRepeatNoOddHost(t *testing.T) {
	s := start(t, `http://:PORT {
	registry_auth {
		service registry.test
		management {
			api_key test {env.ADMIN_KEY}
		}
		project ** {
			guest authenticated
		}
	}
	registry_identity /ui/*
	reverse_proxy UPSTREAM
}`, nil)
	for host, want := range map[string]string{
		"evil.example'": " 400 ", "evil.example;x": " 400 ", "evil.example,r": " 400 ", "(evil.example)": " 400 ", "a=b": " 400 ", "%22.example": " 400 ", "": " 400 ",
		"fine.example": " 401 ", "[2001:db8::1]:5000": " 401 ",
	} {
		for _, path := range []string{"/v2/", "/auth/api/v1/whoami", "/ui/page"} {
			if status := s.raw("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n"); !strings.Contains(status, want) {
				t.Errorf("Host %q, %s: %s, want%s", host, path, status, want)
			}
		}
	}
	if seen := s.Upstream.requests(); len(seen) > 0 {
		t.Errorf("%s reaches the server behind", seen[0].URL)
	}
}
