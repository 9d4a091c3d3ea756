package management

import (
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

func TestUsers(t *testing.T) {
	s := prepare(t)
	list := func(query string) string { return string(s.admin("GET", "/users"+query, nil).want(200).body) }
	if got := list("?q=TEAM-A"); !strings.Contains(got, `"alice"`) || strings.Contains(got, `"bob"`) {
		t.Errorf("by group: %s", got)
	}
	if got := list("?disabled=true"); strings.Contains(got, `"alice"`) || !strings.Contains(got, `"bob"`) {
		t.Errorf("locked out: %s", got)
	}
	s.admin("GET", "/users?disabled=maybe", nil).want(422)
	s.call("alice", "GET", "/users", nil).want(403, CodeForbidden)

	// A token that the registry has from before, and one from after.
	registry := func(issued time.Time) error {
		p := *people["alice"]
		p.Credential, p.CredentialID, p.Issued = authn.CredentialRegistryToken, "jti-9", issued
		return s.state.Check(&p)
	}
	before := s.clock.now()
	s.clock.advance(1500 * time.Millisecond)
	pat := s.call("alice", "POST", "/tokens", `{"name":"t","expires":"2026-03-10T00:00:00Z"}`).want(201).text("secret")
	var tx state.Tx
	state.Put(&tx, s.state.Sessions, "s1", &state.Session{User: aliceID, Expires: s.clock.now().Add(time.Hour), Used: s.clock.now()}, state.Absent)
	if err := s.state.Commit(t.Context(), &tx); err != nil {
		t.Fatal(err)
	}
	if got := s.admin("GET", "/users/"+aliceID, nil).want(200); got.text("sessions") != "1" || got.text("tokens") != "1" {
		t.Errorf("%s", got.body)
	}

	s.admin("POST", "/users/"+aliceID+"/disable", nil).want(200)
	if registry(before) == nil || registry(s.clock.now()) == nil {
		t.Error("a registry token of a locked out user is good")
	}
	s.call("alice", "GET", "/whoami", nil).want(401)
	s.call(pat, "GET", "/whoami", nil).want(401)
	s.admin("DELETE", "/users/"+aliceID, nil).want(409, CodeConflict)
	s.admin("POST", "/users/"+aliceID+"/enable", nil).want(200)
	if registry(before) != nil {
		t.Error("enabled again, and its token is not good")
	}

	s.admin("POST", "/users/"+aliceID+"/sign-out", nil).want(204)
	if registry(before) == nil || registry(s.clock.now().Truncate(time.Second)) == nil || registry(s.clock.now().Add(time.Second)) != nil {
		t.Error("signing out ends what is earlier and nothing else")
	}
	s.call(pat, "GET", "/whoami", nil).want(401)
	if got := s.admin("GET", "/users/"+aliceID, nil); got.text("sessions") != "0" || got.text("tokens") != "0" || got.text("not_before") == "" {
		t.Errorf("%s", got.body)
	}
	s.clock.advance(time.Minute)
	s.admin("DELETE", "/users/"+aliceID, nil).want(204)
	s.admin("GET", "/users/"+aliceID, nil).want(404)
	if registry(s.clock.now().Add(-time.Second)) == nil {
		t.Error("a registry token of a forgotten user is good")
	}
	s.call("alice", "GET", "/whoami", nil).want(200) // somebody new
}

func TestRevocations(t *testing.T) {
	s := newStage(t)
	p := &authn.Principal{Kind: authn.KindRobot, Name: "ci", Credential: authn.CredentialRegistryToken, CredentialID: "jti-1", Issued: s.clock.now()}
	for _, c := range [][2]string{
		{`{"token":"jti-1","reason":"leaked"}`, "token/jti-1"},
		{`{"principal":"robot:ci"}`, "principal/robot:ci"},
		{`{"all":true}`, "all"},
	} {
		body, id := c[0], c[1]
		if err := s.state.Check(p); err != nil {
			t.Fatal(err)
		}
		s.clock.advance(time.Second)
		if got := s.admin("POST", "/revocations", body).want(201).text("id"); got != id {
			t.Errorf("%s: id %s", body, got)
		}
		if s.state.Check(p) == nil {
			t.Errorf("%s: still good", body)
		}
		s.clock.advance(time.Second)
		fresh := *p
		fresh.Issued, fresh.CredentialID = s.clock.now(), id
		p = &fresh
	}
	if got := s.admin("GET", "/revocations", nil).want(200); strings.Count(string(got.body), `"not_before"`) != 3 {
		t.Errorf("%s", got.body)
	}
	for _, body := range []string{`{}`, `{"token":"x","all":true}`, `{"principal":"x"}`, `{"principal":"group:x"}`} {
		s.admin("POST", "/revocations", body).want(422, CodeInvalid)
	}
	s.call("alice", "POST", "/revocations", `{"all":true}`).want(403, CodeForbidden)
}

func TestSigningKeys(t *testing.T) {
	s := newStage(t, ring(t))
	count := func(got seen) int { return strings.Count(string(got.body), `"id"`) }
	if n := count(s.admin("GET", "/signing-keys", nil).want(200)); n != 1 {
		t.Errorf("%d keys", n)
	}
	if n := count(s.admin("POST", "/signing-keys/rotate", nil).want(200)); n != 2 {
		t.Errorf("%d keys after a rotation", n)
	}
	got := s.admin("POST", "/signing-keys/revoke-all", nil).want(200)
	if count(got) != 1 || strings.Contains(string(got.body), "PRIVATE") {
		t.Errorf("%s", got.body)
	}
	s.call("alice", "GET", "/signing-keys", nil).want(403)
	starting := newStage(t)
	starting.admin("GET", "/signing-keys", nil).want(503, CodeUnavailable)
}
