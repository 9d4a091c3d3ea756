package tokenendpoint

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

// TestOtherSitesGetNoToken: a form of another page sends the browser's
// credential along, and early data may be a replay.
func TestOtherSitesGetNoToken(t *testing.T) {
	const form = "grant_type=password&username=alice&password=alice"
	for header, want := range map[string]int{"Sec-Fetch-Site: cross-site": 403, "Origin: https://evil.example": 403, "Early-Data: 1": 425, "Sec-Fetch-Site: same-origin": 200} {
		s := newStage(t)
		w := s.post(form, func(r *http.Request) {
			name, value, _ := strings.Cut(header, ": ")
			r.Header.Set(name, value)
		})
		if w.Code != want || want != 200 && strings.Contains(w.Body.String(), `"token"`) {
			t.Errorf("%s: %d, want %d: %s", header, w.Code, want, w.Body)
		}
	}
}

func TestQueryIsBounded(t *testing.T) {
	s := newStage(t)
	query := "scope=repository:team/app:pull&client_id="
	for n, want := range map[int]int{maxQuery: 200, maxQuery + 1: 400} {
		if w := s.get(query+strings.Repeat("x", n-len(query)), basic("alice", "alice")); w.Code != want {
			t.Errorf("%d bytes: %d, want %d", n, w.Code, want)
		}
	}
	// The message about a parameter that comes twice is short as well.
	name := strings.Repeat("n", 1000)
	if w := s.get(name+"=1&"+name+"=2", basic("alice", "alice")); w.Code != 400 || strings.Contains(w.Body.String(), name[:65]) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestPostTakesNoQuery: a password that stands in a URL stands in logs.
func TestPostTakesNoQuery(t *testing.T) {
	s := newStage(t)
	if w := s.post("grant_type=password&username=alice&password=alice", func(r *http.Request) { r.URL.RawQuery = "x=y" }); w.Code != 400 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := s.post("grant_type=password&username=alice&password=alice&scope=%zz"); w.Code != 400 {
		t.Errorf("a broken body: %d %s", w.Code, w.Body)
	}
}

// TestEvidenceReachesTheAuthenticators by both methods.
func TestEvidenceReachesTheAuthenticators(t *testing.T) {
	s, asked := newStage(t), 0
	s.Evidence = func(*http.Request) *authn.Evidence { asked++; return nil }
	s.get("scope=repository:team/app:pull", basic("alice", "alice"))
	s.post("grant_type=password&username=alice&password=alice")
	if asked != 2 {
		t.Errorf("asked %d times", asked)
	}
}

// TestServicesThatAreRefusedAreNotRecorded, since anybody may write them.
func TestServicesThatAreRefusedAreNotRecorded(t *testing.T) {
	s := newStage(t)
	s.get("service=of-somebody-else", basic("alice", "alice"))
	if rec := s.records[len(s.records)-1]; rec.Service != "" {
		t.Errorf("recorded %q", rec.Service)
	}
}
