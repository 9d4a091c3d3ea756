package tokenendpoint

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint/keys"
)

var start = time.Date(2027, 1, 15, 8, 0, 0, 0, time.UTC)

// clock is a clock that tests set.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func openRing(t testing.TB, cfg keys.Config) *keys.Ring {
	t.Helper()
	r, err := keys.Open(context.Background(), keys.NewMemoryStore(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// accounts is an authenticator of people whose password is their name, and of
// secrets that fail in a way of their own.
type accounts map[string]*authn.Principal

var failures = map[string]error{
	"expired":   authn.ErrExpired,
	"disabled":  authn.ErrDisabled,
	"elsewhere": authn.ErrForbiddenSource,
	"away":      authn.ErrUnavailable,
	"busy":      authn.ErrBusy,
	"throttled": &authn.ThrottledError{RetryAfter: 1500 * time.Millisecond, Err: authn.ErrInvalid},
}

func (a accounts) Authenticate(_ context.Context, c *authn.Credential) (*authn.Principal, error) {
	if err, ok := failures[c.Secret]; ok {
		return nil, fmt.Errorf("account %q: %w", c.Username, err)
	}
	if c.Scheme != authn.SchemeBasic {
		return nil, authn.ErrNotMine
	}
	if p, ok := a[c.Username]; ok && c.Secret == c.Username {
		return p, nil
	}
	return nil, authn.ErrInvalid
}

// stage is an endpoint with everything that it needs.
type stage struct {
	*Endpoint
	clock    *clock
	ring     *keys.Ring
	verifier *authn.RegistryToken
	records  []Record
}

func person(name string, groups ...string) *authn.Principal {
	return &authn.Principal{Kind: authn.KindUser, Name: name, Groups: groups, Credential: "password", CredentialID: "c-" + name}
}

func newStage(t testing.TB) *stage {
	t.Helper()
	s := &stage{clock: &clock{at: start}}
	s.ring = openRing(t, keys.Config{Now: s.clock.now})
	people := accounts{
		"alice": person("alice", "team", "unmentioned"), "bob": person("bob"), "root": person("root"),
		"robot$ci": {Kind: authn.KindRobot, Name: "ci", Credential: "robot_secret", CredentialID: "abc", Expires: start.Add(90 * time.Second)},
		"dying":    {Kind: authn.KindUser, Name: "dying", Expires: start.Add(time.Second)},
		"narrow": {
			Kind: authn.KindUser, Name: "alice", Groups: []string{"team"},
			Limits: []authn.Limit{{Type: "repository", Name: "team/app", Actions: []string{"pull"}}},
		},
	}
	policy, err := authz.Compile(authz.Config{
		Admins: []authz.Admin{{Subjects: []string{"user:root"}}},
		Projects: []authz.Project{
			{Patterns: []string{"team/**"}, Grants: []authz.Grant{
				{Role: "maintainer", Subjects: []string{"group:team"}}, {Role: "developer", Subjects: []string{"robot:ci"}},
			}},
			{Patterns: []string{"pub/**"}, Grants: []authz.Grant{{Role: "guest", Subjects: []string{"anyone"}}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.verifier, err = authn.NewRegistryToken(authn.RegistryTokenConfig{
		Issuer: "https://reg.test", Service: "reg.test", Aliases: []string{"harbor-registry"}, Keys: s.ring, Now: s.clock.now, CacheSize: 64,
	})
	if err != nil {
		t.Fatal(err)
	}
	chain := authn.NewChain([]authn.Member{authn.NewMember("registry_token", s.verifier), authn.NewMember("people", people)}, nil)
	s.Endpoint = &Endpoint{
		Service: "reg.test", Issuer: "https://reg.test", Config: Config{ServiceAliases: []string{"harbor-registry"}},
		Authenticate: chain.Authenticate, Policy: policy, Keys: s.ring,
		ClientIP: func(*http.Request) netip.Addr { return netip.MustParseAddr("192.0.2.7") },
		Realm:    func(*http.Request) string { return "https://reg.test/v2/token" },
		Record:   func(_ *http.Request, r Record) { s.records = append(s.records, r) },
		Now:      s.clock.now,
	}
	return s
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func (s *stage) get(query string, authorization ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "/v2/token?"+query, nil)
	if len(authorization) > 0 {
		r.Header["Authorization"] = authorization
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

const formType = "application/x-www-form-urlencoded"

func (s *stage) post(form string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "/v2/token", strings.NewReader(form))
	r.Header.Set("Content-Type", formType)
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// reply is a token answer, decoded strictly.
type reply struct {
	Token       string  `json:"token"`
	AccessToken string  `json:"access_token"`
	ExpiresIn   int     `json:"expires_in"`
	TokenType   string  `json:"token_type"`
	Scope       *string `json:"scope"`
}

func readAnswer(t *testing.T, w *httptest.ResponseRecorder) reply {
	t.Helper()
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	decoder := json.NewDecoder(w.Body)
	decoder.DisallowUnknownFields() // no issued_at, no refresh_token
	var a reply
	if err := decoder.Decode(&a); err != nil {
		t.Fatal(err)
	}
	if a.Token == "" || a.Token != a.AccessToken {
		t.Error("token and access_token differ, or are empty")
	}
	return a
}

// claims returns what a token says, as any registry reads it.
func claims(t *testing.T, token string) (c map[string]any) {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(payload, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// granted returns the access of a token as scopes.
func granted(t *testing.T, token string) string {
	t.Helper()
	var list []string
	for _, entry := range claims(t, token)["access"].([]any) {
		e := entry.(map[string]any)
		var actions []string
		for _, a := range e["actions"].([]any) {
			actions = append(actions, a.(string))
		}
		list = append(list, e["type"].(string)+":"+e["name"].(string)+":"+strings.Join(actions, ","))
	}
	return strings.Join(list, " ")
}
