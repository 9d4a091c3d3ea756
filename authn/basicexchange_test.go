package authn

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// tokenServer adds a token endpoint to a provider. It knows the client
// builder, whose secret is "s:1 &%", and alice, whose password is "pw".
type tokenServer struct {
	*testProvider
	key    testKey
	clock  *testClock
	asked  atomic.Int32
	answer atomic.Pointer[http.HandlerFunc] // instead of the good one

	mu     sync.Mutex
	claims object // changes of the claims
	header object
	last   url.Values
	user   string // of the last request's Authorization header
}

func newTokenServer(t *testing.T) *tokenServer {
	s := &tokenServer{key: newECKey("k1"), clock: &testClock{}}
	s.testProvider = newProvider(t, s.key)
	s.fail(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/token" {
			return false
		}
		s.asked.Add(1)
		if answer := s.answer.Load(); answer != nil {
			(*answer)(w, r)
			return true
		}
		s.serve(w, r)
		return true
	})
	return s
}

func (s *tokenServer) serve(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	user, secret, inHeader := r.BasicAuth()
	user, _ = url.QueryUnescape(user)
	secret, _ = url.QueryUnescape(secret)
	if !inHeader {
		user, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	s.mu.Lock()
	s.last, s.user = r.PostForm, user
	changes, header := s.claims, s.header
	s.mu.Unlock()
	refuse := func(code string) {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(object{"error": code, "error_description": "not so: " + secret + r.PostForm.Get("password")})
	}
	claims := object{"preferred_username": nil, "jti": nil, "nonce": nil}
	answer := object{"token_type": "Bearer"}
	switch {
	case r.PostForm.Get("grant_type") == "client_credentials" && user == "builder" && secret == "s:1 &%":
		claims["aud"], claims["sub"], claims["client_id"] = "api", "builder", "builder"
		for k, v := range changes {
			claims[k] = v
		}
		h := object{"typ": "at+jwt"}
		for k, v := range header {
			h[k] = v
		}
		answer["access_token"] = s.key.sign(h, s.testProvider.claims(s.clock.now(), claims))
	case r.PostForm.Get("grant_type") == "password" && user == "gateway" && secret == "gw" && r.PostForm.Get("username") == "alice" && r.PostForm.Get("password") == "pw":
		claims["aud"], claims["preferred_username"] = "gateway", "alice"
		answer["id_token"] = s.key.sign(nil, s.testProvider.claims(s.clock.now(), claims))
		answer["access_token"] = "opaque"
	case r.PostForm.Get("grant_type") == "password":
		refuse("invalid_grant")
		return
	default:
		refuse("invalid_client")
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (s *tokenServer) authenticator(t *testing.T, change func(*BasicExchangeConfig)) *BasicExchange {
	t.Helper()
	c := BasicExchangeConfig{Issuer: s.URL, Algorithms: []string{"ES256"}, Timeout: Duration(500 * time.Millisecond)}
	if change != nil {
		change(&c)
	}
	a, err := NewBasicExchange(c, Options{Now: s.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func withPasswords(c *BasicExchangeConfig) {
	c.ClientCredentials, c.PasswordGrant = true, &PasswordGrant{ClientID: "gateway", ClientSecret: "gw"}
}

func TestBasicExchangeClient(t *testing.T) {
	s := newTokenServer(t)
	for _, auth := range []string{"", ClientAuthPost} {
		a := s.authenticator(t, func(c *BasicExchangeConfig) {
			c.Prefix, c.Audiences, c.Scopes, c.ClientAuth = "kc-", []string{"api"}, []string{"b", "a"}, auth
			c.Parameters = map[string]string{"resource": "urn:x"}
		})
		p, err := a.Authenticate(t.Context(), password("builder", "s:1 &%"))
		if err != nil {
			t.Fatal(err)
		}
		if p.String() != "workload:kc-builder" || !slices.Equal(p.Groups, []string{"kc-dev", "kc-ops"}) || p.Issuer != s.URL ||
			p.Authenticator != "basic_exchange:"+s.URL || p.Credential != CredentialClientSecret || !p.Expires.IsZero() {
			t.Errorf("%+v", p)
		}
		if s.last.Get("scope") != "a b" || s.last.Get("resource") != "urn:x" || (s.last.Get("client_secret") != "") != (auth == ClientAuthPost) {
			t.Errorf("request %v", s.last)
		}
		if err := a.Recheck(p, nil); err != nil {
			t.Error(err)
		}
	}
}

func TestBasicExchangePerson(t *testing.T) {
	s := newTokenServer(t)
	a := s.authenticator(t, func(c *BasicExchangeConfig) {
		c.PasswordGrant = &PasswordGrant{ClientID: "gateway", ClientSecret: "gw"}
	})
	p, err := a.Authenticate(t.Context(), password("alice", "pw"))
	if err != nil || p.String() != "user:alice" || p.Credential != CredentialPasswordGrant || !p.Expires.IsZero() {
		t.Fatalf("%+v %v", p, err)
	}
	if s.last.Get("scope") != "openid" || s.user != "gateway" {
		t.Errorf("request %v by %s", s.last, s.user)
	}
	if _, err := a.Authenticate(t.Context(), password("builder", "s:1 &%")); !errors.Is(err, ErrInvalid) {
		t.Errorf("a client, where only people are accepted: %v", err)
	}
	if err := a.Recheck(&Principal{Kind: KindWorkload, Issuer: s.URL}, nil); !errors.Is(err, ErrDisabled) {
		t.Errorf("a client's registry token: %v", err)
	}
	both := s.authenticator(t, withPasswords)
	for name, secret := range map[string]string{"alice": "pw", "builder": "s:1 &%"} {
		if _, err := both.Authenticate(t.Context(), password(name, secret)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBasicExchangeTokens(t *testing.T) {
	other := newECKey("k1")
	tests := []struct {
		name           string
		claims, header object
		change         func(*BasicExchangeConfig)
		want           error
	}{
		{"good", nil, nil, nil, nil},
		{"azp", object{"client_id": nil, "azp": "builder"}, nil, nil, nil},
		{"only sub", object{"client_id": nil}, nil, nil, nil},
		{"typ JWT", nil, object{"typ": "JWT"}, nil, nil},
		{"another client", object{"client_id": "other"}, nil, nil, ErrUnavailable},
		{"two clients", object{"azp": "other"}, nil, nil, ErrUnavailable},
		{"nobody's", object{"client_id": nil, "sub": "x"}, nil, nil, ErrUnavailable},
		{"another issuer", object{"iss": "https://evil.example"}, nil, nil, ErrUnavailable},
		{"expired", object{"exp": 1000}, nil, nil, ErrUnavailable},
		{"logout token", nil, object{"typ": "logout+jwt"}, nil, ErrUnavailable},
		{"unsigned", nil, object{"alg": "none"}, nil, ErrUnavailable},
		{"another audience", nil, nil, func(c *BasicExchangeConfig) { c.Audiences = []string{"else"} }, ErrInvalid},
		{"not in the group", nil, nil, func(c *BasicExchangeConfig) { c.RequiredGroups = []string{"else"} }, ErrDisabled},
		{"another key", nil, nil, nil, ErrUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newTokenServer(t)
			s.claims, s.header = tt.claims, tt.header
			if tt.name == "another key" {
				s.key = other
			}
			_, err := s.authenticator(t, tt.change).Authenticate(t.Context(), password("builder", "s:1 &%"))
			if !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
			if errors.Is(err, ErrUnavailable) && errors.Is(err, ErrInvalid) {
				t.Errorf("both: %v", err)
			}
		})
	}
}

func TestBasicExchangeShapes(t *testing.T) {
	s := newTokenServer(t)
	a := s.authenticator(t, withPasswords)
	robot, _ := NewSecret(SecretRobot)
	for name, c := range map[string]*Credential{
		"bearer": show("x"), "token": password("builder", s.key.sign(nil, object{})), "robot's secret": password("builder", robot),
		"robot's name": password("robot$ci", "x"), "no name": password("", "x"), "no secret": password("x", ""),
	} {
		if _, err := a.Authenticate(t.Context(), c); !errors.Is(err, ErrNotMine) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s.asked.Load() != 0 {
		t.Error("the provider was asked")
	}
}

// TestBasicExchangeFaults: what is the provider's fault is never the client's.
func TestBasicExchangeFaults(t *testing.T) {
	status := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		}
	}
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   error
	}{
		"500":            {status(500, "oops"), ErrUnavailable},
		"503":            {status(503, `{"error":"invalid_client"}`), ErrUnavailable},
		"429":            {status(429, ""), ErrUnavailable},
		"404":            {status(404, ""), ErrUnavailable},
		"invalid_scope":  {status(400, `{"error":"invalid_scope"}`), ErrUnavailable},
		"no JSON":        {status(200, "<html>"), ErrUnavailable},
		"empty":          {status(200, "{}"), ErrUnavailable},
		"opaque":         {status(200, `{"access_token":"abc"}`), ErrUnavailable},
		"invalid_client": {status(401, `{"error":"invalid_client"}`), ErrInvalid},
		"unauthorized":   {status(400, `{"error":"unauthorized_client"}`), ErrInvalid},
		"plain 401":      {status(401, ""), ErrInvalid},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, ErrUnavailable},
		"endless": {func(w http.ResponseWriter, _ *http.Request) {
			for block := []byte(strings.Repeat(" ", 1<<16)); ; {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		}, ErrUnavailable},
		"hangs": {func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // or the server would not see the client leave
			<-r.Context().Done()
		}, ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTokenServer(t)
			a := s.authenticator(t, nil)
			if _, err := a.Authenticate(t.Context(), password("builder", "s:1 &%")); err != nil {
				t.Fatal(err)
			}
			s.answer.Store(&tt.answer)
			if _, err := a.Authenticate(t.Context(), password("builder", "other")); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
			if _, err := a.Authenticate(t.Context(), password("builder", "s:1 &%")); err != nil {
				t.Errorf("who was here before: %v", err)
			}
		})
	}
	s := newTokenServer(t)
	s.away()
	if _, err := s.authenticator(t, nil).Authenticate(t.Context(), password("builder", "x")); !errors.Is(err, ErrUnavailable) {
		t.Errorf("no discovery: %v", err)
	}
}

func TestBasicExchangeRemembers(t *testing.T) {
	s := newTokenServer(t)
	a := s.authenticator(t, nil)
	ask := func(secret string, want error, asked int32) {
		t.Helper()
		s.asked.Store(0)
		_, err := a.Authenticate(t.Context(), password("builder", secret))
		if !errors.Is(err, want) || s.asked.Load() != asked {
			t.Errorf("%s: %v after %d questions, want %v after %d", secret, err, s.asked.Load(), want, asked)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("the error has the secret: %v", err)
		}
	}
	const good = "s:1 &%"
	ask(good, nil, 1)
	ask(good, nil, 0)
	ask("wrong-secret", ErrInvalid, 1)
	ask("wrong-secret", ErrInvalid, 0)
	s.clock.advance(defaultExchangeFailures)
	ask("wrong-secret", ErrInvalid, 1)
	s.clock.advance(5*time.Minute - 20*time.Second - time.Second) // before the token's expiry, less the offset
	ask(good, nil, 0)
	s.clock.advance(time.Second)
	ask(good, nil, 1)

	s.asked.Store(0)
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() { _, _ = a.Authenticate(t.Context(), password("builder", "at once")) })
	}
	wait.Wait()
	if n := s.asked.Load(); n != 1 {
		t.Errorf("%d questions for one password", n)
	}
}

func TestBasicExchangeConfig(t *testing.T) {
	tests := []struct {
		change func(*BasicExchangeConfig)
		want   string
	}{
		{func(*BasicExchangeConfig) {}, ""},
		{func(c *BasicExchangeConfig) { c.Issuer = "http://idp.example" }, "insecure_issuer"},
		{func(c *BasicExchangeConfig) { c.TokenEndpoint = "http://idp.example/token" }, "want https"},
		{func(c *BasicExchangeConfig) { c.TokenEndpoint = "https://idp.example/token" }, ""},
		{func(c *BasicExchangeConfig) { c.PasswordGrant = &PasswordGrant{} }, "client_id"},
		{func(c *BasicExchangeConfig) { c.ClientAuth = "none" }, "client_auth"},
		{func(c *BasicExchangeConfig) { c.Username = "email" }, "password grant is off"},
		{func(c *BasicExchangeConfig) { c.Parameters = map[string]string{"client_id": "x"} }, "cannot be set"},
		{func(c *BasicExchangeConfig) { c.Cache = Duration(48 * time.Hour) }, "cache"},
		{func(c *BasicExchangeConfig) { c.Scopes = []string{""} }, "empty"},
		{func(c *BasicExchangeConfig) { c.Algorithms = []string{"none"} }, "none"},
	}
	for i, tt := range tests {
		c := BasicExchangeConfig{Issuer: "https://idp.example"}
		tt.change(&c)
		err := c.Validate()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%d: %v, want %q", i, err, tt.want)
		}
	}
}
