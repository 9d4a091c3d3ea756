package management

import (
	"net/netip"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

func init() {
	samples["listIdentityTokens"] = sample{path: "/identity-tokens"}
	samples["getIdentityToken"] = sample{path: "/identity-tokens/iiiiiiiiiiii", missing: "/identity-tokens/none"}
	samples["revokeIdentityToken"] = sample{path: "/identity-tokens/iiiiiiiiiiii", missing: "/identity-tokens/none"}
	prepares = append(prepares, func(s *stage) {
		_, hash := authn.NewSecret(authn.SecretIdentityToken)
		var tx state.Tx
		state.Put(&tx, s.state.IdentityTokens, "iiiiiiiiiiii", &state.IdentityToken{User: s.see(people["root"]), Hash: hash, Created: s.clock.now(), Expires: s.clock.now().Add(time.Hour)}, state.Absent)
		if err := s.state.Commit(s.t.Context(), &tx); err != nil {
			s.t.Fatal(err)
		}
	})
}

// TestIdentityTokens: people see and end their own, administrators
// everybody's.
func TestIdentityTokens(t *testing.T) {
	s := newStage(t)
	logins := s.state.NewLogins(state.LoginConfig{Lifetime: 24 * time.Hour, Idle: time.Hour}, nil)
	login := func(name string, limits []authn.Limit) (secret, id string) {
		t.Helper()
		s.see(people[name])
		secret, err := logins.IssueFor(t.Context(), people[name], "", limits, authn.TokenClient{Service: "registry", ClientID: name + "s docker", Remote: netip.MustParseAddr("192.0.2.9")})
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := authn.ParseSecret(secret)
		if err != nil {
			t.Fatal(err)
		}
		return secret, parsed.ID
	}
	good := func(secret string) bool {
		_, err := logins.Authenticate(t.Context(), &authn.Credential{Scheme: authn.SchemeIdentityToken, Secret: secret})
		return err == nil
	}
	alices, alice := login("alice", []authn.Limit{{Type: "repository", Name: "team-a/**", Actions: []string{"pull"}}})
	_, second := login("alice", nil)
	bobs, bob := login("bob", nil)

	var page List[IdentityToken]
	s.call("alice", "GET", "/identity-tokens", nil).want(200).into(&page)
	if len(page.Items) != 2 {
		t.Fatalf("alice has %+v", page.Items)
	}
	got := s.call("alice", "GET", "/identity-tokens/"+alice, nil).want(200)
	if got.text("client") != "alices docker" || got.text("owner") != "alice" || got.text("remote") != "192.0.2.9" || got.text("service") != "registry" || len(got.text("hash")) > 0 {
		t.Errorf("%s", got.body)
	}
	// Others' do not exist for her.
	s.call("alice", "GET", "/identity-tokens/"+bob, nil).want(404)
	s.call("alice", "DELETE", "/identity-tokens/"+bob, nil).want(404)
	s.call("alice", "GET", "/identity-tokens?user=*", nil).want(403)
	s.call("alice", "GET", "/identity-tokens?user="+s.see(people["bob"]), nil).want(403)
	if !good(bobs) {
		t.Fatal("bob's login ended")
	}
	// Without the scope she does not even see her own.
	narrow := s.call("alice", "POST", "/tokens", `{"name":"x","scopes":["tokens:read"]}`).want(201).text("secret")
	s.call(narrow, "GET", "/identity-tokens", nil).want(200)
	s.call(narrow, "DELETE", "/identity-tokens/"+alice, nil).want(403, CodeScope)

	s.call("alice", "DELETE", "/identity-tokens/"+alice, nil).want(204)
	if good(alices) {
		t.Error("the login goes on")
	}
	s.call("root", "GET", "/identity-tokens?user="+s.see(people["alice"]), nil).want(200).into(&page)
	if len(page.Items) != 1 || page.Items[0].ID != second {
		t.Errorf("alice has %+v", page.Items)
	}
	s.call("root", "DELETE", "/identity-tokens/"+bob, nil).want(204)
	if good(bobs) {
		t.Error("bob's login goes on")
	}
	s.admin("GET", "/identity-tokens", nil).want(200).into(&page)
	if len(page.Items) != 1 {
		t.Errorf("there are %+v", page.Items)
	}
	// What has rested for too long is none any more.
	s.clock.advance(2 * time.Hour)
	s.call("alice", "GET", "/identity-tokens/"+second, nil).want(404)
	s.call("alice", "GET", "/identity-tokens", nil).want(200).into(&page)
	if len(page.Items) != 0 {
		t.Errorf("ended, and shown: %+v", page.Items)
	}
}
