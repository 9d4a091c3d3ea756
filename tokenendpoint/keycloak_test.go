package tokenendpoint

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

const keycloakPath = "/realms/corp/protocol/docker-v2/auth"

func (s *stage) keycloak(method, path, parameters, authorization string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path+"?"+parameters, nil)
	if method == http.MethodPost {
		r = httptest.NewRequest(method, path, strings.NewReader(parameters))
		r.Header.Set("Content-Type", formType)
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// At Keycloak's paths refusals are Keycloak's, to the letter; what it refuses
// for no good reason is answered.
func TestKeycloakAnswers(t *testing.T) {
	s := newStage(t)
	s.Config.Keycloak = []string{"corp"}
	const (
		wrongLogin = `{"errors":[{"code":"UNAUTHORIZED","message":"Invalid username or password.","detail":[]}]}`
		wrongScope = `{"errors":[{"code":"UNAUTHORIZED","message":"Invalid username or password.","detail":[{"type":"repository","name":"team/app","actions":["pull","push"]}]}]}`
		noService  = `{"error":"invalid_request","error_description":"service parameter must be provided"}`
		noClient   = `{"error":"invalid_client","error_description":"Client specified by 'service' parameter does not exist"}`
	)
	for name, test := range map[string]struct {
		method, query, authorization string
		status                       int
		body                         string // empty: a token
	}{
		"login check":          {"GET", "service=reg.test&account=alice", basic("alice", "alice"), 200, ""},
		"pull and push":        {"GET", "service=reg.test&scope=repository:team/app:pull,push", basic("alice", "alice"), 200, ""},
		"an alias":             {"GET", "service=harbor-registry", basic("alice", "alice"), 200, ""},
		"anonymous pull":       {"GET", "service=reg.test&scope=repository:pub/app:pull", "", 200, ""},
		"name with a port":     {"GET", "service=reg.test&scope=repository:host:5000/a:pull", basic("alice", "alice"), 200, ""},
		"POST":                 {"POST", "service=reg.test&grant_type=password&username=alice&password=alice", "", 200, ""},
		"no service":           {"GET", "scope=repository:team/app:pull", basic("alice", "alice"), 400, noService},
		"no service, POST":     {"POST", "grant_type=password&username=alice&password=alice", "", 400, noService},
		"unknown service":      {"GET", "service=other", basic("alice", "alice"), 400, noClient},
		"wrong password":       {"GET", "service=reg.test", basic("alice", "bob"), 401, wrongLogin},
		"wrong, with a scope":  {"GET", "service=reg.test&scope=repository:team/app:pull,push", basic("alice", "bob"), 401, wrongScope},
		"unknown user":         {"GET", "service=reg.test", basic("nobody", "x"), 401, wrongLogin},
		"disabled user":        {"GET", "service=reg.test", basic("alice", "disabled"), 401, wrongLogin},
		"expired secret":       {"GET", "service=reg.test", basic("alice", "expired"), 401, wrongLogin},
		"login check, nobody":  {"GET", "service=reg.test", "", 401, wrongLogin},
		"unknown grant":        {"POST", "service=reg.test&grant_type=x", "", 400, `{"error":"unsupported_grant_type","error_description":"the grant type is not supported; use \"password\""}`},
		"wrong password, POST": {"POST", "service=reg.test&grant_type=password&username=alice&password=bob", "", 401, wrongLogin},
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{keycloakPath, strings.TrimSuffix(keycloakPath, "/auth")} {
				w := s.keycloak(test.method, path, test.query, test.authorization)
				if w.Code != test.status {
					t.Fatalf("%d %s", w.Code, w.Body)
				}
				if test.body == "" {
					if a := readAnswer(t, w); a.Token == "" {
						t.Error("no token")
					}
					continue
				}
				if got := strings.TrimSpace(w.Body.String()); got != test.body {
					t.Errorf("got  %s\nwant %s", got, test.body)
				}
				challenge := w.Header().Values("WWW-Authenticate")
				if want := `Basic realm="reg.test", charset="UTF-8"`; test.status == 401 && (len(challenge) != 1 || challenge[0] != want) {
					t.Errorf("challenge %q", challenge)
				}
				if w.Header().Get("Cache-Control") != "no-store" {
					t.Error("may be cached")
				}
			}
		})
	}
	// What Keycloak has no answer for is answered as everywhere.
	for secret, status := range map[string]int{"away": 503, "busy": 429, "throttled": 429} {
		if w := s.keycloak("GET", keycloakPath, "service=reg.test", basic("alice", secret)); w.Code != status || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %d %v", secret, w.Code, w.Header())
		}
	}
	if w := s.keycloak("PUT", keycloakPath, "service=reg.test", ""); w.Code != 405 || w.Header().Get("Allow") != "GET, POST" {
		t.Errorf("PUT: %d", w.Code)
	}
	// The other paths have not changed.
	if w := s.get("service=reg.test", basic("alice", "bob")); !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer ") {
		t.Errorf("elsewhere: %v", w.Header())
	}
	if w := s.get("scope=repository:team/app:pull", basic("alice", "alice")); w.Code != 200 {
		t.Errorf("no service elsewhere: %d", w.Code)
	}
}

// A mount asks for two scopes. Keycloak reads the first of them.
func TestKeycloakReadsAllScopes(t *testing.T) {
	s := newStage(t)
	s.Config.Keycloak = []string{"corp"}
	query := url.Values{"service": {"reg.test"}, "scope": {"repository:team/app:pull,push", "repository:pub/base:pull"}}.Encode()
	a := readAnswer(t, s.keycloak("GET", keycloakPath, query, basic("alice", "alice")))
	if got := granted(t, a.Token); got != "repository:team/app:pull,push repository:pub/base:pull" {
		t.Errorf("granted %q", got)
	}
	if _, err := s.verifier.Authenticate(t.Context(), &authn.Credential{Scheme: authn.SchemeBearer, Secret: a.Token}); err != nil {
		t.Error(err)
	}
}

func TestKeycloakSettings(t *testing.T) {
	c := Config{Keycloak: []string{"corp", "other"}}
	want := "/v2/token /realms/corp/protocol/docker-v2/auth /realms/corp/protocol/docker-v2 /realms/other/protocol/docker-v2/auth /realms/other/protocol/docker-v2"
	if got := strings.Join(c.TokenPaths(), " "); got != want || c.Validate() != nil {
		t.Errorf("%s, %v", got, c.Validate())
	}
	for _, wrong := range [][]string{{""}, {"a/b"}, {"a b"}, {".."}, {"a", "a"}, {"a?b"}} {
		if err := (&Config{Keycloak: wrong}).Validate(); err == nil {
			t.Errorf("%q was taken", wrong)
		}
	}
	if err := (&Config{Keycloak: []string{"corp"}, Paths: []string{keycloakPath}}).Validate(); err == nil {
		t.Error("a path is used twice")
	}
}

func TestServiceOf(t *testing.T) {
	form := "service=b&username=x"
	post := httptest.NewRequest("POST", "/x?service=a", strings.NewReader(form))
	post.Header.Set("Content-Type", formType)
	if got := ServiceOf(post); got != "b" {
		t.Errorf("POST: %q", got)
	}
	if err := post.ParseForm(); err != nil || post.PostForm.Get("username") != "x" {
		t.Errorf("the body is gone: %v", err)
	}
	for query, want := range map[string]string{"service=a": "a", "": "", "service=a&service=b": "", "%zz": ""} {
		if got := ServiceOf(&http.Request{Method: "GET", URL: &url.URL{RawQuery: query}}); got != want {
			t.Errorf("%q: %q", query, got)
		}
	}
	if got := ServiceOf(httptest.NewRequest("POST", "/x", strings.NewReader(strings.Repeat("a", maxForm+10)))); got != "" {
		t.Errorf("a long body: %q", got)
	}
}
