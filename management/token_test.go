package management

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

func init() {
	samples["listTokens"] = sample{path: "/tokens"}
	samples["createToken"] = sample{path: "/tokens", body: `{"name":"new"}`, as: "root"}
	samples["getToken"] = sample{path: "/tokens/tttttttttttt", missing: "/tokens/none"}
	samples["revokeToken"] = sample{path: "/tokens/tttttttttttt", missing: "/tokens/none"}
	prepares = append(prepares, func(s *stage) {
		_, hash := authn.NewSecret(authn.SecretPersonalToken)
		var tx state.Tx
		state.Put(&tx, s.state.Tokens, "tttttttttttt", &state.Token{User: s.see(people["root"]), Name: "old", Hash: hash, Created: s.clock.now(), Expires: s.clock.now().Add(time.Hour)}, state.Absent)
		if err := s.state.Commit(s.t.Context(), &tx); err != nil {
			s.t.Fatal(err)
		}
	})
}

func TestTokenLives(t *testing.T) {
	s := newStage(t)
	made := s.call("alice", "POST", "/tokens", `{"name":"laptop","scopes":["robots:write","tokens:write"],"permissions":[{"name":"team-a/**","actions":["pull","manage"]}]}`).want(201)
	secret, id := made.text("secret"), made.text("id")
	if !strings.HasPrefix(secret, "crapt_") || made.text("expires") != "2026-03-31T12:00:00Z" || made.text("owner") != "alice" {
		t.Fatalf("%s", made.body)
	}
	s.call("alice", "POST", "/tokens", `{"name":"laptop"}`).want(409, CodeExists)
	if got := s.call(secret, "GET", "/tokens/"+id, nil).want(200); strings.Contains(string(got.body), secret) {
		t.Errorf("shown again: %s", got.body)
	}
	// Its scopes bound it.
	s.call(secret, "GET", "/keys", nil).want(403, CodeScope)
	s.call(secret, "PUT", "/robots/team-a+x", `{"permissions":[{"name":"team-a/**","actions":["pull"]}]}`).want(403) // without end
	s.call(secret, "PUT", "/robots/team-a+x", `{"permissions":[{"name":"team-a/**","actions":["pull"]}],"expires":"2026-03-31T12:00:00Z"}`).want(201)
	// Its limits bound it, though alice may push.
	s.call(secret, "PUT", "/robots/team-a+y", `{"permissions":[{"name":"team-a/**","actions":["push"]}]}`).want(403)

	// What it makes is no broader, lives no longer.
	for body, status := range map[string]int{
		`{"name":"a"}`: 403, // limited, so that it needs limits
		`{"name":"b","permissions":[{"name":"team-a/x","actions":["pull"]}]}`:                                   201,
		`{"name":"c","permissions":[{"name":"team-a/x","actions":["push"]}]}`:                                   403,
		`{"name":"d","permissions":[{"name":"**","actions":["pull"]}]}`:                                         403,
		`{"name":"e","permissions":[],"scopes":["keys:read"]}`:                                                  403,
		`{"name":"f","permissions":[],"scopes":["*"]}`:                                                          403,
		`{"name":"g","permissions":[],"scopes":["robots:read"]}`:                                                201,
		`{"name":"h","permissions":[],"expires":"2026-04-30T00:00:00Z"}`:                                        403,
		`{"name":"i","permissions":[],"never_expires":true}`:                                                    422,
		`{"name":"j","permissions":[],"expires":"2026-03-30T00:00:00.7Z"}`:                                      201,
		`{"name":"k","permissions":[],"scopes":["nonsense"]}`:                                                   422,
		`{"name":"l\u0007","permissions":[]}`:                                                                   422,
		`{"name":"m","permissions":[],"never_expires":true,"expires":"2026-03-30T00:00:00Z"}`:                   422,
		`{"name":"n","permissions":[{"name":"team-a/x","actions":["pull"]},{"name":"b/x","actions":["pull"]}]}`: 403,
	} {
		if got := s.call(secret, "POST", "/tokens", body); got.status != status {
			t.Errorf("%s: %d, want %d: %s", body, got.status, status, got.body)
		}
	}
	// Others do not see it; administrators revoke it.
	s.call("bob", "GET", "/tokens/"+id, nil).want(404)
	s.call("bob", "DELETE", "/tokens/"+id, nil).want(404)
	s.call("bob", "GET", "/tokens?user=*", nil).want(403)
	var page List[AccessToken]
	if s.call("bob", "GET", "/tokens", nil).want(200).into(&page); len(page.Items) != 0 {
		t.Errorf("bob has %d", len(page.Items))
	}
	if s.call("root", "GET", "/tokens?user=*", nil).want(200).into(&page); len(page.Items) != 4 {
		t.Errorf("%d tokens", len(page.Items))
	}
	s.call("root", "DELETE", "/tokens/"+id, nil).want(204)
	s.call(secret, "GET", "/whoami", nil).want(401)
}

func TestTokenEndsWithItsTime(t *testing.T) {
	s := newStage(t)
	secret := s.call("root", "POST", "/tokens", `{"name":"x","scopes":["*"],"expires":"2026-03-01T13:00:00Z"}`).want(201).text("secret")
	s.call(secret, "GET", "/keys", nil).want(200)
	// It cannot make what outlives it, of another kind either.
	s.call(secret, "POST", "/keys", `{"name":"k","scopes":["*"]}`).want(403)
	s.clock.advance(time.Hour)
	s.call(secret, "GET", "/keys", nil).want(401)
	s.call("root", "POST", "/tokens", `{"name":"long","expires":"2027-01-01T00:00:00Z"}`).want(422)
	s.call("root", "POST", "/tokens", `{"name":"ever","never_expires":true}`).want(422)
	s.admin("POST", "/tokens", `{"name":"key"}`).want(403, CodeForbidden)
}

func TestTokensMayBeForEver(t *testing.T) {
	s := newStage(t, func(o *Options) { o.Config.TokenMaxLifetime = -1 })
	made := s.call("alice", "POST", "/tokens", `{"name":"ever","never_expires":true,"from":["192.0.2.0/24"],"scopes":["tokens:write"]}`).want(201)
	secret := made.text("secret")
	s.state.Tidy(t.Context())
	s.call(secret, "GET", "/tokens/"+made.text("id"), nil).want(200)
	s.call(secret, "POST", "/tokens", `{"name":"far"}`).want(403)
	s.call(secret, "POST", "/tokens", `{"name":"near","from":["192.0.2.7"]}`).want(201)
	s.remote = "198.51.100.1:1"
	s.call(secret, "GET", "/tokens", nil).want(401)
	s.remote = "192.0.2.7:1"
	s.call(secret, "DELETE", "/tokens/"+made.text("id"), nil).want(204)
	s.call(secret, "GET", "/tokens", nil).want(401)
}

func TestDisabledOwner(t *testing.T) {
	s := newStage(t)
	secret := s.call("alice", "POST", "/tokens", `{"name":"x","scopes":["*"]}`).want(201).text("secret")
	item, _ := s.state.Users.Get(s.see(people["alice"]))
	next := *item.Value
	next.Disabled = true
	var tx state.Tx
	state.Put(&tx, s.state.Users, item.ID, &next, state.Unchanged(item))
	if err := s.state.Commit(t.Context(), &tx); err != nil {
		t.Fatal(err)
	}
	s.call(secret, "GET", "/whoami", nil).want(401)
	s.call("alice", "GET", "/whoami", nil).want(401)
}

// TestMakingATokenSaysNothingOfItsOwner: how somebody was seen last is not what
// the session says that a token is made with.
func TestMakingATokenSaysNothingOfItsOwner(t *testing.T) {
	s := newStage(t)
	id := s.see(people["alice"])
	before, _ := s.state.Users.Get(id)
	shown := *people["alice"]
	shown.Authenticator, shown.Groups = "another", nil
	who, err := s.manager.Caller(&shown)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.manager.CreateToken(t.Context(), who, NewToken{TokenSettings: TokenSettings{Name: "laptop"}}); err != nil {
		t.Fatal(err)
	}
	after, _ := s.state.Users.Get(id)
	if !equalRecord(before.Value, after.Value) {
		t.Errorf("was %+v, is %+v", before.Value, after.Value)
	}
}

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
		secret, err := logins.IssueFor(t.Context(), people[name], "", limits, authn.TokenClient{Service: "registry", ClientID: name + "s docker", Remote: netip.MustParseAddr("192.0.2.9")}, nil)
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
