package trust

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/jose"
	"github.com/caddy-registry-auth/caddy-registry-auth/e2e/stage"
)

// notForUsers are names that could be read as another kind of principal, or as
// several.
var notForUsers = []string{"robot:ci", "workload:deploy", "robot$ci", "ROBOT$ci", "alice,bob", "alice bob", `al"ice`, `al\ice`}

// answerWithName is an external service for which the password is the name.
func answerWithName(w http.ResponseWriter, r *http.Request) {
	var question struct{ Secret string }
	_ = json.NewDecoder(r.Body).Decode(&question)
	_ = json.NewEncoder(w).Encode(map[string]any{"name": question.Secret, "groups": []string{}, "roles": []string{}})
}

func TestUsersOfNoSourceAreCalledLikeRobots(t *testing.T) {
	p := provider(t)
	asked := newBehind(t, answerWithName)
	s := start(t, `{
	servers {
		trusted_proxies static 127.0.0.1/32
	}
}
http://ADDR {
	registry_auth {
		oidc `+p.Issuer+` registry {
			prefix o-
		}
		external `+asked.URL+` {
			prefix x-
		}
		trusted_headers {
			user X-User
		}
		identity_headers
		project ** {
			developer authenticated
		}
	}
	registry_identity
	reverse_proxy UPSTREAM
}`, created)
	for _, name := range notForUsers {
		if status, body := s.pushes("X-User: " + name); status != 401 && status != 400 {
			t.Errorf("trusted header %q: %d: %s", name, status, body)
		}
		if strings.Contains(name, "$") {
			continue // with a prefix it is no robot's any more
		}
		token := idToken(t, p, "1", func(c jose.Object) { c["preferred_username"] = name })
		if status, body := s.pushes(bearer(token)); status != 401 {
			t.Errorf("ID token %q: %d: %s", name, status, body)
		}
		// What a service says that nobody may be called is that service's fault.
		if status, body := s.pushes(basic("external", name)); status != 503 && status != 401 {
			t.Errorf("external %q: %d: %s", name, status, body)
		}
	}
	if seen := s.Upstream.requests(); len(seen) > 0 {
		t.Errorf("%d requests reached the registry", len(seen))
	}
	if status, body := s.pushes("X-User: alice"); status != 201 {
		t.Errorf("%d: %s", status, body)
	}
}

// TestKindIsToldApartFromTheName: what stands behind the gateway, and registries
// that verify tokens themselves, can tell a user from a robot.
func TestKindIsToldApartFromTheName(t *testing.T) {
	p := provider(t)
	robotSecret, robotHash := stage.NewSecret()
	s := start(t, `http://ADDR {
	registry_auth {
		oidc `+p.Issuer+` registry
		identity_headers
		robot ci {
			secret_hash {env.CI_HASH}
		}
		project ** {
			developer authenticated
		}
	}
	reverse_proxy UPSTREAM
}`, created, "CI_HASH="+robotHash)
	user := idToken(t, p, "1", func(c jose.Object) { c["preferred_username"] = "ci" })
	for _, x := range []struct{ credential, name, kind, subject string }{
		{basic("ci", user), "ci", "user", "ci"},
		{basic("robot$ci", robotSecret), "robot:ci", "robot", "robot:ci"},
	} {
		s.Upstream.requests()
		token := s.tokenFor("repository:team/app:pull,push", x.credential)
		if status, body := s.pushes(bearer(token)); status != 201 {
			t.Fatalf("%d: %s", status, body)
		}
		for _, r := range s.Upstream.requests() {
			if r.Method == "PUT" && (r.Header.Get("X-Forwarded-User") != x.name || r.Header.Get("X-Registry-Kind") != x.kind) {
				t.Errorf("%s: the registry hears of %q, %q", x.name, r.Header.Get("X-Forwarded-User"), r.Header.Get("X-Registry-Kind"))
			}
		}
		parts, err := jose.Parse(token)
		if err != nil {
			t.Fatal(err)
		}
		principal, _ := parts.Claims["principal"].(map[string]any)
		if name, _ := principal["name"].(string); parts.Claims["sub"] != x.subject || principal["kind"] != x.kind || strings.Contains(name, ":") {
			t.Errorf("token: %v", parts.Claims)
		}
	}
	// A client cannot say it itself.
	s.wants(200, "GET", "/v2/team/app/tags/list", "", basic("robot$ci", robotSecret), "X-Registry-Kind: user")
	for _, r := range s.Upstream.requests() {
		if got := r.Header.Values("X-Registry-Kind"); len(got) != 1 || got[0] != "robot" {
			t.Errorf("the registry hears %q", got)
		}
	}
}
