package management

import (
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/state"
)

func init() {
	samples["listKeys"] = sample{path: "/keys"}
	samples["createKey"] = sample{path: "/keys", body: `{"name":"new","scopes":["robots:read"]}`}
	samples["getKey"] = sample{path: "/keys/kkkkkkkkkkkk", missing: "/keys/none"}
	samples["changeKey"] = sample{path: "/keys/kkkkkkkkkkkk", body: `{"disabled":true}`, missing: "/keys/none"}
	samples["deleteKey"] = sample{path: "/keys/kkkkkkkkkkkk", missing: "/keys/none"}
	prepares = append(prepares, func(s *stage) { s.putKey("kkkkkkkkkkkk", &state.APIKey{Name: "old", Scopes: []string{"robots:read"}}) })
}

// putKey stores a key with an id of one's own, which cannot be shown.
func (s *stage) putKey(id string, k *state.APIKey) {
	s.t.Helper()
	_, k.Hash = authn.NewSecret(authn.SecretAPIKey)
	k.Created = s.clock.now()
	var tx state.Tx
	state.Put(&tx, s.state.APIKeys, id, k, state.Absent)
	if err := s.state.Commit(s.t.Context(), &tx); err != nil {
		s.t.Fatal(err)
	}
}

func TestKeyLives(t *testing.T) {
	s := newStage(t)
	made := s.admin("POST", "/keys", `{"name":"ci","scopes":["robots:write","keys:write"],"expires":"2026-06-01T00:00:00Z"}`).want(201)
	key, id := made.text("secret"), made.text("id")
	s.admin("POST", "/keys", `{"name":"ci","scopes":["robots:read"]}`).want(409, CodeExists)
	s.admin("POST", "/keys", `{"name":"root","scopes":["robots:read"]}`).want(409, CodeExists)
	if got := s.call(key, "GET", "/keys/"+id, nil).want(200); strings.Contains(string(got.body), key) {
		t.Errorf("shown again: %s", got.body)
	}
	// What it makes is good for no more of the API, and no longer.
	for body, status := range map[string]int{
		`{"permissions":[{"name":"**","actions":["pull","push","delete"]}],"expires":"2026-06-01T00:00:00Z"}`: 201,
		`{"permissions":[{"name":"**","actions":["*"]}],"expires":"2026-06-01T00:00:00Z"}`:                    403,
		`{"permissions":[{"name":"**","actions":["pull"]}]}`:                                                  403,
	} {
		if got := s.call(key, "PUT", "/robots/x", body); got.status != status {
			t.Errorf("%s: %d, want %d: %s", body, got.status, status, got.body)
		}
		s.admin("DELETE", "/robots/x", nil)
	}
	s.call(key, "GET", "/tokens", nil).want(403, CodeScope)
	for body, status := range map[string]int{
		`{"name":"a","scopes":["robots:read"],"expires":"2026-05-01T00:00:00Z"}`: 201,
		`{"name":"b","scopes":["robots:read"]}`:                                  403, // would outlive it
		`{"name":"c","scopes":["*"],"expires":"2026-05-01T00:00:00Z"}`:           403,
		`{"name":"d","scopes":["tokens:read"],"expires":"2026-05-01T00:00:00Z"}`: 403,
		`{"name":"e","scopes":[],"expires":"2026-05-01T00:00:00Z"}`:              422,
		`{"name":"f","scopes":["x"],"expires":"2026-05-01T00:00:00Z"}`:           422,
		`{"name":"g","scopes":["robots:read"],"from":["1.2.3"]}`:                 422,
	} {
		if got := s.call(key, "POST", "/keys", body); got.status != status {
			t.Errorf("%s: %d, want %d: %s", body, got.status, status, got.body)
		}
	}
	// Without keys:write it makes none.
	weak := s.admin("POST", "/keys", `{"name":"weak","scopes":["keys:read"]}`).want(201).text("secret")
	s.call(weak, "POST", "/keys", `{"name":"x","scopes":["keys:read"]}`).want(403, CodeScope)
	// It touches none that is good for more.
	strong := s.admin("POST", "/keys", `{"name":"strong","scopes":["*"]}`).want(201).text("id")
	s.call(key, "DELETE", "/keys/"+strong, nil).want(403, CodeForbidden)
	s.call(key, "PATCH", "/keys/"+strong, `{"disabled":true}`).want(403, CodeForbidden)

	s.admin("PATCH", "/keys/"+id, `{"disabled":true}`).want(200)
	s.call(key, "GET", "/whoami", nil).want(401)
	s.admin("PATCH", "/keys/"+id, `{"disabled":false}`).want(200)
	s.call(key, "GET", "/whoami", nil).want(200)
	s.admin("DELETE", "/keys/"+id, nil).want(204)
	s.call(key, "GET", "/whoami", nil).want(401)

	// Only administrators see keys at all.
	for _, method := range []string{"GET", "DELETE"} {
		s.call("alice", method, "/keys/"+strong, nil).want(403, CodeForbidden)
	}
	s.call("alice", "GET", "/keys", nil).want(403, CodeForbidden)
	s.call("alice", "POST", "/keys", `{"name":"x","scopes":["robots:read"]}`).want(403, CodeForbidden)
}

func TestStaticKeys(t *testing.T) {
	s := newStage(t)
	got := s.admin("GET", "/keys/static:root", nil).want(200)
	if got.text("source") != "Caddyfile:3" || strings.Contains(string(got.body), adminKey) {
		t.Errorf("%s", got.body)
	}
	s.admin("DELETE", "/keys/static:root", nil).want(409, CodeDeclared)
	s.admin("PATCH", "/keys/static:root", `{"disabled":true}`).want(409, CodeDeclared)
	s.call("", "GET", "/whoami", nil, "Authorization", basic("anything", adminKey)).want(200)
	s.call(adminKey+"x", "GET", "/whoami", nil).want(401)
	s.call(adminKey[:len(adminKey)-1], "GET", "/whoami", nil).want(401)

	for _, c := range []struct {
		key, value string
		config     StaticKeyConfig
	}{
		{"short", strings.Repeat("x", 31), StaticKeyConfig{Name: "a"}},
		{"scope", adminKey, StaticKeyConfig{Name: "a", Scopes: []string{"x"}}},
		{"from", adminKey, StaticKeyConfig{Name: "a", From: []string{"x"}}},
		{"name", adminKey, StaticKeyConfig{}},
		{"hash", "sha256:x", StaticKeyConfig{Name: "a"}},
	} {
		_, err := New(Options{State: s.state, Config: Config{APIKeys: []StaticKeyConfig{c.config}}, StaticKeys: []string{c.value}})
		if err == nil || strings.Contains(err.Error(), c.value) {
			t.Errorf("%s: %v", c.key, err)
		}
	}
	// A hash stands for the key, networks hold.
	secret, hash := authn.NewSecret(authn.SecretAPIKey)
	s = newStage(t, func(o *Options) {
		o.Config.APIKeys = []StaticKeyConfig{{Name: "hashed", Scopes: []string{"robots:read"}, From: []string{"192.0.2.0/24"}}}
		o.StaticKeys = []string{hash}
	})
	s.call(secret, "GET", "/robots", nil).want(200)
	s.call(secret, "GET", "/keys", nil).want(403)
	s.remote = "198.51.100.1:1"
	s.call(secret, "GET", "/robots", nil).want(401)
}

// TestEnablingKeys: a key that was disabled is not enabled with one that is good
// for less.
func TestEnablingKeys(t *testing.T) {
	s := newStage(t)
	id := s.admin("POST", "/keys", `{"name":"broad","scopes":["*"]}`).want(201).text("id")
	limited := s.admin("POST", "/keys", `{"name":"limited","scopes":["*"],"from":["192.0.2.0/24"]}`).want(201).text("secret")
	s.call(limited, "PATCH", "/keys/"+id, `{"disabled":true}`).want(200)
	s.call(limited, "PATCH", "/keys/"+id, `{"disabled":false}`).want(403, CodeForbidden)
	s.admin("PATCH", "/keys/"+id, `{"disabled":false}`).want(200)
}

// TestBootstrapKeyEnds has the first key that lasts end the temporary one.
func TestBootstrapKeyEnds(t *testing.T) {
	s := newStage(t)
	secret := s.keyWith("*")
	parsed, _ := authn.ParseSecret(secret)
	item, _ := s.state.APIKeys.Get(parsed.ID)
	next := *item.Value
	next.Bootstrap, next.Expires = true, s.clock.now().Add(3600e9)
	var tx state.Tx
	state.Put(&tx, s.state.APIKeys, item.ID, &next, state.Unchanged(item))
	if err := s.state.Commit(t.Context(), &tx); err != nil {
		t.Fatal(err)
	}
	s.call(secret, "POST", "/keys", `{"name":"ci","scopes":["robots:read"]}`).want(201)
	s.call(secret, "GET", "/whoami", nil).want(200)
	lasting := s.call(secret, "POST", "/keys", `{"name":"admin","scopes":["*"]}`).want(201).text("secret")
	s.call(secret, "GET", "/whoami", nil).want(401)
	s.call(lasting, "GET", "/keys", nil).want(200)
}

// TestKeysFromElsewhere holds what a key makes to its networks.
func TestKeysFromElsewhere(t *testing.T) {
	for _, c := range []struct {
		inner, outer []string
		want         bool
	}{
		{nil, nil, true},
		{[]string{"10.0.0.0/8"}, nil, true},
		{nil, []string{"10.0.0.0/8"}, false},
		{[]string{"10.1.0.0/16", "10.2.3.4"}, []string{"10.0.0.0/8"}, true},
		{[]string{"10.0.0.0/8"}, []string{"10.1.0.0/16"}, false},
		{[]string{"10.1.0.0/16", "192.0.2.1"}, []string{"10.0.0.0/8"}, false},
		{[]string{"2001:db8::1"}, []string{"10.0.0.0/8"}, false},
	} {
		if got := sourcesWithin(c.inner, c.outer); got != c.want {
			t.Errorf("%v within %v: %v", c.inner, c.outer, got)
		}
	}
}
