package tokenendpoint_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint/keys"
)

// The endpoint grants what was asked for and is allowed. It is told who
// somebody is, and what they may do.
func ExampleEndpoint() {
	policy, err := authz.Compile(authz.Config{AnonymousRead: []authz.Read{{Patterns: []string{"public/**"}}}})
	if err != nil {
		panic(err)
	}
	ring, err := keys.Open(context.Background(), keys.NewMemoryStore(), keys.Config{})
	if err != nil {
		panic(err)
	}
	endpoint := &tokenendpoint.Endpoint{
		Service: "registry.example.com", Issuer: "https://registry.example.com",
		Authenticate: authn.NewChain(nil, nil).Authenticate, Policy: policy, Keys: ring,
		ClientIP: func(*http.Request) netip.Addr { return netip.MustParseAddr("192.0.2.7") },
	}
	for _, scope := range []string{"repository:public/app:pull,push", ""} {
		w := httptest.NewRecorder()
		endpoint.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v2/token?service=registry.example.com&scope="+scope, nil))
		var body struct {
			Token     string `json:"token"`
			ExpiresIn int    `json:"expires_in"`
			Error     string `json:"error"`
		}
		_ = json.Unmarshal(w.Body.Bytes(), &body)
		fmt.Printf("%d token: %t, good for %d s, %q\n", w.Code, body.Token != "", body.ExpiresIn, body.Error)
	}
	// Output:
	// 200 token: true, good for 300 s, ""
	// 401 token: false, good for 0 s, "invalid_grant"
}

// A challenge sends clients to the token endpoint.
func ExampleChallenge() {
	h := http.Header{}
	(&tokenendpoint.Challenge{
		Realm: "https://registry.example.com/v2/token", Service: "registry.example.com",
		Scope: []authz.Access{{Type: authz.TypeRepository, Name: "team-a/app", Actions: authz.Pull | authz.Push}},
	}).Set(h)
	fmt.Println(h.Get("WWW-Authenticate"))
	// Output:
	// Bearer realm="https://registry.example.com/v2/token",service="registry.example.com",scope="repository:team-a/app:pull,push"
}
