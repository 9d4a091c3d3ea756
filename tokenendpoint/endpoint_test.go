package tokenendpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-registry-auth/caddy-registry-auth/answer"
	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/authz"
)

func TestGrants(t *testing.T) {
	s := newStage(t)
	for name, c := range map[string]struct{ user, query, want string }{
		"login":                 {"alice", "account=alice&client_id=docker&offline_token=true&service=reg.test", ""},
		"pull":                  {"alice", "service=reg.test&scope=repository:team/app:pull", "repository:team/app:pull"},
		"push,pull":             {"alice", "scope=repository:team/app:push,pull", "repository:team/app:pull,push"},
		"star is expanded":      {"alice", "scope=repository:team/app:*", "repository:team/app:pull,push,delete"},
		"star of a developer":   {"robot$ci", "scope=repository:team/app:*", "repository:team/app:pull,push"},
		"repeated":              {"alice", "scope=repository:team/app:pull&scope=repository:pub/app:pull", "repository:team/app:pull repository:pub/app:pull"},
		"joined":                {"alice", "scope=repository:team/app:pull%20repository:pub/app:pull", "repository:team/app:pull repository:pub/app:pull"},
		"not merged by clients": {"alice", "scope=repository:team/app:pull+repository:team/app:pull,push", "repository:team/app:pull,push"},
		"subset silently":       {"bob", "scope=repository:pub/app:pull,push", "repository:pub/app:pull"},
		"class":                 {"alice", "scope=repository(plugin):team/app:pull", "repository:team/app:pull"},
		"other project":         {"bob", "scope=repository:other/app:pull,push", ""},
		"case of the type":      {"bob", "scope=REPOSITORY:team/secret:pull", ""},
		"double slash":          {"alice", "scope=repository:team//secret:pull", ""},
		"regexp":                {"alice", "scope=repository:.*:pull", ""},
		"glob":                  {"alice", "scope=repository:team/**:pull", ""},
		"empty name":            {"alice", "scope=repository::pull", ""},
		"dots":                  {"alice", "scope=repository:team/../team/app:pull", ""},
		"unknown type":          {"alice", "scope=foo:team/app:pull", ""},
		"unknown action":        {"alice", "scope=repository:team/app:manage,own", ""},
		"catalog, not admin":    {"alice", "scope=registry:catalog:*", ""},
		"catalog":               {"root", "scope=registry:catalog:*", "registry:catalog:*"},
		"other registry name":   {"root", "scope=registry:x:*", ""},
		"account is not obeyed": {"bob", "account=alice&scope=repository:team/app:pull", ""},
		"limits of the secret":  {"narrow", "scope=repository:team/app:pull,push+repository:team/b:pull", "repository:team/app:pull"},
	} {
		t.Run(name, func(t *testing.T) {
			a := readAnswer(t, s.get(c.query, basic(c.user, c.user)))
			if got := granted(t, a.Token); got != c.want {
				t.Errorf("granted %q, want %q", got, c.want)
			}
			p, err := s.verifier.Authenticate(t.Context(), &authn.Credential{Scheme: authn.SchemeBearer, Secret: a.Token})
			if err != nil {
				t.Fatal(err)
			}
			if p.Limits == nil {
				t.Error("the token has no upper bound")
			}
			rec := s.records[len(s.records)-1]
			if authz.FormatScopes(rec.Granted) != c.want || rec.Status != 200 || rec.Err != nil || rec.TokenID != p.CredentialID {
				t.Errorf("recorded %+v", rec)
			}
		})
	}
}

func TestToken(t *testing.T) {
	s := newStage(t)
	w := s.get("service=reg.test&scope=repository:team/app:pull", basic("alice", "alice"))
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Pragma": "no-cache", "Content-Type": "application/json",
		"Docker-Distribution-Api-Version": "registry/2.0", "Set-Cookie": "", "Www-Authenticate": "",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	a := readAnswer(t, w)
	if a.ExpiresIn != 300 || a.Scope != nil || a.TokenType != "" {
		t.Errorf("answer %+v", a)
	}
	c := claims(t, a.Token)
	if id, _ := c["jti"].(string); len(id) < 22 {
		t.Errorf("jti %q is short", id)
	}
	delete(c, "jti")
	want := map[string]any{
		"iss": "https://reg.test", "sub": "alice", "aud": "reg.test",
		"exp": float64(start.Unix() + 300), "nbf": float64(start.Unix() - 60), "iat": float64(start.Unix()),
		"access":    []any{map[string]any{"type": "repository", "name": "team/app", "actions": []any{"pull"}}},
		"principal": map[string]any{"kind": "user", "name": "alice", "groups": []any{"team"}, "by": "people", "with": "password", "id": "c-alice"},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %v\nwant %v", c, want)
	}
}

func TestTokenIsForTheServiceAskedFor(t *testing.T) {
	s := newStage(t)
	a := readAnswer(t, s.get("service=harbor-registry&scope=repository:team/app:pull", basic("alice", "alice")))
	if aud := claims(t, a.Token)["aud"]; aud != "harbor-registry" {
		t.Errorf("aud %v", aud)
	}
	for user, sub := range map[string]string{"alice": "alice", "robot$ci": "robot:ci"} {
		if got := claims(t, readAnswer(t, s.get("", basic(user, user))).Token)["sub"]; got != sub {
			t.Errorf("%s: sub %v, want %q", user, got, sub)
		}
	}
}

func TestLifetime(t *testing.T) {
	for user, want := range map[string]int{"alice": 300, "robot$ci": 90, "dying": 10} {
		s := newStage(t)
		a := readAnswer(t, s.get("", basic(user, user)))
		c := claims(t, a.Token)
		if a.ExpiresIn != max(want, 60) || c["exp"] != float64(start.Unix()+int64(want)) {
			t.Errorf("%s: expires_in %d, exp %v, want %d", user, a.ExpiresIn, c["exp"], want)
		}
	}
}

func TestAnonymous(t *testing.T) {
	s := newStage(t)
	for _, authorization := range [][]string{nil, {"Basic Og=="}} {
		a := readAnswer(t, s.get("service=reg.test&scope=repository:pub/app:pull,push+repository:team/secret:pull", authorization...))
		if got := granted(t, a.Token); got != "repository:pub/app:pull" {
			t.Errorf("granted %q", got)
		}
		if c := claims(t, a.Token); c["sub"] != "" || !reflect.DeepEqual(c["principal"], map[string]any{"kind": "anonymous"}) {
			t.Errorf("claims %v", c)
		}
		if got := granted(t, readAnswer(t, s.get("scope=repository:team/secret:pull", authorization...)).Token); got != "" {
			t.Errorf("granted %q", got)
		}
		for _, query := range []string{"service=reg.test", "scope=", "scope=&scope="} {
			w := s.get(query, authorization...)
			if w.Code != 401 || w.Header().Get("Www-Authenticate") != `Bearer realm="https://reg.test/v2/token",service="reg.test"` {
				t.Errorf("%q: %d %v", query, w.Code, w.Header())
			}
		}
	}
}

func TestPost(t *testing.T) {
	s := newStage(t)
	// As containerd does it: a wrong Basic header and an account are ignored.
	w := s.post("client_id=containerd-client&grant_type=password&account=root&username=alice&password=alice&service=reg.test"+
		"&scope=repository%3Ateam%2Fapp%3Apull+repository%3Ateam%2Fapp%3Apull%2Cpush&scope=repository:other/x:pull", func(r *http.Request) {
		r.Header.Set("Content-Type", formType+"; charset=utf-8")
		r.Header.Set("Authorization", basic("root", "root"))
	})
	a := readAnswer(t, w)
	if got := granted(t, a.Token); got != "repository:team/app:pull,push" {
		t.Errorf("granted %q", got)
	}
	if a.Scope == nil || *a.Scope != "repository:team/app:pull,push" || a.TokenType != "Bearer" || a.ExpiresIn != 300 {
		t.Errorf("answer %+v", a)
	}
	if claims(t, a.Token)["sub"] != "alice" {
		t.Error("a token for somebody else")
	}
	rec := s.records[0]
	if rec.Grant != GrantPassword || rec.ClientID != "containerd-client" || rec.Account != "root" || rec.Principal.Name != "alice" {
		t.Errorf("recorded %+v", rec)
	}
	if a := readAnswer(t, s.post("grant_type=password&username=alice&password=alice")); a.Scope == nil || *a.Scope != "" {
		t.Error("scope is required, also when it is empty")
	}
}

func TestRefusals(t *testing.T) {
	const form = "grant_type=password&username=alice&password=alice"
	token := func(s *stage) string {
		w := s.get("", basic("alice", "alice"))
		var a reply
		_ = json.Unmarshal(w.Body.Bytes(), &a)
		return a.Token
	}
	for name, c := range map[string]struct {
		ask    func(*stage) *httptest.ResponseRecorder
		status int
		oauth  string
		code   answer.Code
		retry  string
	}{
		"wrong password": {func(s *stage) *httptest.ResponseRecorder {
			return s.get("scope=repository:pub/app:pull", basic("alice", "x"))
		}, 401, "invalid_grant", answer.CodeUnauthorized, ""},
		"unknown user":   {func(s *stage) *httptest.ResponseRecorder { return s.get("", basic("eve", "x")) }, 401, "invalid_grant", answer.CodeUnauthorized, ""},
		"no user":        {func(s *stage) *httptest.ResponseRecorder { return s.get("", basic("", "x")) }, 401, "invalid_grant", answer.CodeUnauthorized, ""},
		"empty password": {func(s *stage) *httptest.ResponseRecorder { return s.get("", basic("alice", "")) }, 401, "invalid_grant", answer.CodeUnauthorized, ""},
		"expired":        {func(s *stage) *httptest.ResponseRecorder { return s.get("", basic("alice", "expired")) }, 401, "invalid_grant", answer.CodeUnauthorized, ""},
		"disabled":       {func(s *stage) *httptest.ResponseRecorder { return s.get("", basic("alice", "disabled")) }, 401, "invalid_grant", answer.CodeUnauthorized, ""},
		"from elsewhere": {func(s *stage) *httptest.ResponseRecorder { return s.get("", basic("alice", "elsewhere")) }, 401, "invalid_grant", answer.CodeUnauthorized, ""},
		"provider away":  {func(s *stage) *httptest.ResponseRecorder { return s.get("", basic("alice", "away")) }, 503, "temporarily_unavailable", answer.CodeUnavailable, "5"},
		"busy":           {func(s *stage) *httptest.ResponseRecorder { return s.get("", basic("alice", "busy")) }, 429, "temporarily_unavailable", answer.CodeTooManyRequests, "1"},
		"throttled":      {func(s *stage) *httptest.ResponseRecorder { return s.get("", basic("alice", "throttled")) }, 429, "temporarily_unavailable", answer.CodeTooManyRequests, "2"},
		"two credentials": {func(s *stage) *httptest.ResponseRecorder {
			return s.get("", basic("alice", "alice"), basic("bob", "bob"))
		}, 400, "invalid_request", answer.CodeUnauthorized, ""},
		"broken header": {func(s *stage) *httptest.ResponseRecorder { return s.get("", "Basic !") }, 400, "invalid_request", answer.CodeUnauthorized, ""},
		"other scheme":  {func(s *stage) *httptest.ResponseRecorder { return s.get("", "Negotiate abc") }, 401, "invalid_grant", answer.CodeUnauthorized, ""},
		"a registry token": {func(s *stage) *httptest.ResponseRecorder {
			return s.get("scope=repository:team/app:pull", "Bearer "+token(s))
		}, 401, "invalid_grant", answer.CodeUnauthorized, ""},
		"unknown bearer": {func(s *stage) *httptest.ResponseRecorder { return s.get("scope=repository:pub/app:pull", "Bearer abc") }, 401, "invalid_grant", answer.CodeUnauthorized, ""},
		"other service": {func(s *stage) *httptest.ResponseRecorder {
			return s.get("service=other&scope=repository:team/app:pull", basic("alice", "alice"))
		}, 400, "invalid_request", answer.CodeUnsupported, ""},
		"service twice": {func(s *stage) *httptest.ResponseRecorder {
			return s.get("service=reg.test&service=other", basic("alice", "alice"))
		}, 400, "invalid_request", answer.CodeUnsupported, ""},
		"broken query": {func(s *stage) *httptest.ResponseRecorder { return s.get("scope=%zz", basic("alice", "alice")) }, 400, "invalid_request", answer.CodeUnsupported, ""},
		"semicolons":   {func(s *stage) *httptest.ResponseRecorder { return s.get("a=b;c=d", basic("alice", "alice")) }, 400, "invalid_request", answer.CodeUnsupported, ""},
		"101 scopes": {func(s *stage) *httptest.ResponseRecorder {
			return s.get(strings.Repeat("&scope=repository:a/b:pull", 101), basic("alice", "alice"))
		}, 400, "invalid_request", answer.CodeUnsupported, ""},
		"5000 scopes": {func(s *stage) *httptest.ResponseRecorder {
			return s.get(strings.Repeat("&scope=repository:a/b:pull", 5000), basic("alice", "alice"))
		}, 400, "invalid_request", answer.CodeUnsupported, ""},
		"DELETE": {func(s *stage) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			s.ServeHTTP(w, httptest.NewRequest("DELETE", "/v2/token", nil))
			return w
		}, 405, "invalid_request", answer.CodeUnsupported, ""},

		"POST, wrong password": {func(s *stage) *httptest.ResponseRecorder {
			return s.post("grant_type=password&username=alice&password=x")
		}, 401, "invalid_grant", answer.CodeUnauthorized, ""},
		"POST, empty password": {func(s *stage) *httptest.ResponseRecorder {
			return s.post("grant_type=password&username=alice&password=")
		}, 401, "invalid_grant", answer.CodeUnauthorized, ""},
		"POST, nobody":   {func(s *stage) *httptest.ResponseRecorder { return s.post("grant_type=password") }, 400, "invalid_request", answer.CodeUnsupported, ""},
		"POST, no grant": {func(s *stage) *httptest.ResponseRecorder { return s.post("username=alice&password=alice") }, 400, "invalid_request", answer.CodeUnsupported, ""},
		"POST, client_credentials": {func(s *stage) *httptest.ResponseRecorder {
			return s.post("grant_type=client_credentials&client_id=x&service=reg.test")
		}, 400, "unsupported_grant_type", answer.CodeUnsupported, ""},
		"POST, refresh_token": {func(s *stage) *httptest.ResponseRecorder {
			return s.post("grant_type=refresh_token&refresh_token=x&client_id=x")
		}, 400, "unsupported_grant_type", answer.CodeUnsupported, ""},
		"POST, other service":  {func(s *stage) *httptest.ResponseRecorder { return s.post(form + "&service=other") }, 400, "invalid_request", answer.CodeUnsupported, ""},
		"POST, password twice": {func(s *stage) *httptest.ResponseRecorder { return s.post(form + "&password=x") }, 400, "invalid_request", answer.CodeUnsupported, ""},
		"POST, in the query": {func(s *stage) *httptest.ResponseRecorder {
			return s.post("", func(r *http.Request) { r.URL.RawQuery = form })
		}, 400, "invalid_request", answer.CodeUnsupported, ""},
		"POST, JSON": {func(s *stage) *httptest.ResponseRecorder {
			return s.post(`{"grant_type":"password"}`, func(r *http.Request) { r.Header.Set("Content-Type", "application/json") })
		}, 400, "invalid_request", answer.CodeUnsupported, ""},
		"POST, multipart": {func(s *stage) *httptest.ResponseRecorder {
			return s.post(form, func(r *http.Request) { r.Header.Set("Content-Type", "multipart/form-data; boundary=x") })
		}, 400, "invalid_request", answer.CodeUnsupported, ""},
		"POST, no type": {func(s *stage) *httptest.ResponseRecorder {
			return s.post(form, func(r *http.Request) { r.Header.Del("Content-Type") })
		}, 400, "invalid_request", answer.CodeUnsupported, ""},
		"POST, two types": {func(s *stage) *httptest.ResponseRecorder {
			return s.post(form, func(r *http.Request) { r.Header.Add("Content-Type", "application/json") })
		}, 400, "invalid_request", answer.CodeUnsupported, ""},
		"POST, too large":  {func(s *stage) *httptest.ResponseRecorder { return s.post(form + "&x=" + strings.Repeat("x", maxForm)) }, 413, "invalid_request", answer.CodeSizeInvalid, ""},
		"POST, not a form": {func(s *stage) *httptest.ResponseRecorder { return s.post("%zz") }, 400, "invalid_request", answer.CodeUnsupported, ""},
		"POST, broken off": {func(s *stage) *httptest.ResponseRecorder {
			return s.post("", func(r *http.Request) { r.Body = brokenBody{} })
		}, 400, "invalid_request", answer.CodeUnsupported, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			began := time.Now()
			w := c.ask(s)
			if took := time.Since(began); took > time.Second {
				t.Errorf("took %s", took)
			}
			var body struct {
				Error       string `json:"error"`
				Description string `json:"error_description"`
				Errors      []struct {
					Code    answer.Code
					Message string
				}
			}
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || len(body.Errors) != 1 {
				t.Fatalf("%v: %s", err, w.Body)
			}
			if w.Code != c.status || body.Error != c.oauth || body.Errors[0].Code != c.code || w.Header().Get("Retry-After") != c.retry {
				t.Errorf("%d %s, Retry-After %q", w.Code, w.Body, w.Header().Get("Retry-After"))
			}
			if body.Description == "" || body.Errors[0].Message != body.Description {
				t.Error("the messages differ, or are empty")
			}
			for _, word := range []string{`"token"`, "access_token", "bearer", "basic"} {
				if strings.Contains(strings.ToLower(w.Body.String()), word) {
					t.Errorf("the answer contains %s: %s", word, w.Body)
				}
			}
			if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Set-Cookie") != "" {
				t.Errorf("headers %v", w.Header())
			}
			if challenges := w.Header().Values("Www-Authenticate"); (w.Code == 401) != (len(challenges) == 1) {
				t.Errorf("challenges %q", challenges)
			}
			rec := s.records[len(s.records)-1]
			if rec.Status != c.status || rec.Code != c.code || rec.Err == nil || rec.TokenID != "" {
				t.Errorf("recorded %+v", rec)
			}
		})
	}
}

type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, errors.New("connection reset") }
func (brokenBody) Close() error             { return nil }

// TestNoEnumeration compares the answers for accounts that exist and that do
// not, byte by byte.
func TestNoEnumeration(t *testing.T) {
	s := newStage(t)
	first := s.get("", basic("alice", "x"))
	for _, c := range []string{basic("eve", "x"), basic("alice", "disabled"), basic("alice", "elsewhere")} {
		if w := s.get("", c); w.Body.String() != first.Body.String() || !reflect.DeepEqual(w.Header(), first.Header()) {
			t.Errorf("%v %s", w.Header(), w.Body)
		}
	}
}

func TestTokenSize(t *testing.T) {
	s := newStage(t)
	var query strings.Builder
	for i := range 40 {
		fmt.Fprintf(&query, "&scope=repository:team/%s%d:pull", strings.Repeat("x", 180), i)
	}
	a := readAnswer(t, s.get(query.String(), basic("alice", "alice")))
	if len(a.Token) > authn.MaxRegistryToken {
		t.Errorf("token of %d bytes", len(a.Token))
	}
	kept := strings.Fields(granted(t, a.Token))
	if len(kept) < 10 || len(kept) >= 40 || !strings.HasSuffix(kept[0], "x0:pull") {
		t.Errorf("kept %d scopes", len(kept))
	}
	if rec := s.records[0]; len(rec.Granted) != len(kept) || len(rec.Requested) != 40 {
		t.Errorf("recorded %d of %d", len(rec.Granted), len(rec.Requested))
	}

	// Nothing to leave out: the claims alone are too large.
	s.Policy = carryAll{s.Policy}
	s.Authenticate = func(context.Context, *authn.Credential) (*authn.Principal, error) {
		return person("alice", slices.Repeat([]string{"group"}, 2000)...), nil
	}
	if w := s.get("", basic("alice", "alice")); w.Code != 400 || !strings.Contains(w.Body.String(), "too large") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// carryAll is a policy to which everything is relevant.
type carryAll struct{ Authorizer }

func (carryAll) Relevant(p *authn.Principal) *authn.Principal { return p }

type brokenSigner struct{}

func (brokenSigner) Sign([]byte) (string, error) { return "", errors.New("no key") }

func TestKeysAway(t *testing.T) {
	s := newStage(t)
	s.Keys = brokenSigner{}
	if w := s.get("", basic("alice", "alice")); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	s.Authenticate = func(context.Context, *authn.Credential) (*authn.Principal, error) { return nil, nil }
	if w := s.get("", basic("alice", "alice")); w.Code != 503 {
		t.Errorf("nobody: %d", w.Code)
	}
}

func TestRecordIsBounded(t *testing.T) {
	s := newStage(t)
	long := strings.Repeat("x", 2000)
	s.get("client_id="+long+"&account="+long, basic("alice", "wrong"))
	rec := s.records[0]
	if len(rec.ClientID) != maxRecorded || len(rec.Account) != maxRecorded || rec.Principal != nil || rec.Grant != GrantDocker {
		t.Errorf("recorded %d and %d bytes", len(rec.ClientID), len(rec.Account))
	}
	s.Record, s.Realm = nil, nil // both are optional
	if w := s.get("", basic("alice", "wrong")); w.Code != 401 {
		t.Error(w.Code)
	}
}

// FuzzToken throws requests at the endpoint: it must not panic, nor answer
// with 500 or with anything but JSON, nor grant what the caller has not.
func FuzzToken(f *testing.F) {
	f.Add("POST", formType, "grant_type=password&username=bob&password=bob&scope=repository:pub/app:pull")
	f.Add("GET", "", "scope=repository:team/app:*&scope=registry:catalog:*&account=root")
	f.Add("POST", "application/x-www-form-urlencoded; charset=utf-8", "grant_type=password&grant_type=x&%zz")
	f.Add("GET", "", "service=reg.test&scope=repository:a:b:pull repository(plugin):pub/x:push")
	s := newStage(f)
	s.Record = nil
	f.Fuzz(func(t *testing.T, method, contentType, text string) {
		r := &http.Request{Method: method, URL: &url.URL{Path: "/v2/token"}, Header: http.Header{}, Body: http.NoBody}
		if method == "POST" {
			r.Header.Set("Content-Type", contentType)
			r.Body = readCloser{strings.NewReader(text)}
		} else {
			r.URL.RawQuery = text
			r.Header.Set("Authorization", basic("bob", "bob"))
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code == 500 || !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%d %q", w.Code, w.Body)
		}
		if w.Code != 200 {
			return
		}
		a := readAnswer(t, w)
		for _, scope := range strings.Fields(granted(t, a.Token)) {
			if !strings.HasPrefix(scope, "repository:pub/") || !strings.HasSuffix(scope, ":pull") {
				t.Fatalf("%q gives bob %q", text, scope)
			}
		}
	})
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }
