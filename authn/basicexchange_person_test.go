package authn

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestBasicExchangePersonByAccessToken: where the ID token has not what is
// needed, the access token must be one, of our client, for us.
func TestBasicExchangePersonByAccessToken(t *testing.T) {
	for name, test := range map[string]struct {
		claims object
		change func(*BasicExchangeConfig)
		want   error
	}{
		"good":                   {object{}, nil, nil},
		"an ID token":            {object{"nonce": "n"}, nil, ErrUnavailable},
		"of another client":      {object{"azp": "other"}, nil, ErrUnavailable},
		"of nobody":              {object{"azp": nil}, nil, ErrUnavailable},
		"for another audience":   {object{"aud": "else"}, nil, ErrInvalid},
		"for two audiences":      {object{"aud": []string{"else", "api"}}, nil, nil},
		"without a name":         {object{"preferred_username": nil}, nil, ErrInvalid},
		"a name that is none":    {object{"preferred_username": "a\nb"}, nil, ErrInvalid},
		"a long subject":         {object{"sub": strings.Repeat("s", maxSubject+1)}, nil, ErrInvalid},
		"the longest subject":    {object{"sub": strings.Repeat("s", maxSubject)}, nil, nil},
		"not in the group":       {object{}, func(c *BasicExchangeConfig) { c.RequiredGroups = []string{"else"} }, ErrDisabled},
		"in the group":           {object{}, func(c *BasicExchangeConfig) { c.RequiredGroups = []string{"dev"} }, nil},
		"of a client's own name": {object{"azp": nil, "sub": "gateway"}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTokenServer(t)
			claims := object{"aud": "api", "preferred_username": "alice", "azp": "gateway", "nonce": nil, "jti": nil}
			for k, v := range test.claims {
				claims[k] = v
			}
			answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_ = r.ParseForm()
				if r.PostForm.Get("scope") != "" {
					t.Errorf("asked for %q", r.PostForm.Get("scope"))
				}
				_ = json.NewEncoder(w).Encode(object{"access_token": s.key.sign(object{"typ": "at+jwt"}, s.testProvider.claims(s.clock.now(), claims)), "id_token": "x"})
			})
			s.answer.Store(&answer)
			a := s.authenticator(t, func(c *BasicExchangeConfig) {
				c.Audiences = []string{"api"}
				c.PasswordGrant = &PasswordGrant{ClientID: "gateway", ClientSecret: "gw", AccessToken: true}
				if test.change != nil {
					test.change(c)
				}
			})
			p, err := a.Authenticate(t.Context(), password("alice", "pw"))
			if !errors.Is(err, test.want) || err == nil && (p.String() != "user:alice" || p.Credential != CredentialPasswordGrant || p.Issuer != s.URL) {
				t.Errorf("%+v, %v, want %v", p, err, test.want)
			}
			if err == nil {
				other := *p
				other.Issuer = "https://other.example"
				if a.Recheck(p, nil) != nil || !errors.Is(a.Recheck(&other, nil), ErrDisabled) {
					t.Error("a registry token of another provider is good")
				}
			}
		})
	}
}

// TestBasicExchangeRefusals: only what the provider clearly says of a password
// makes it wrong.
func TestBasicExchangeRefusals(t *testing.T) {
	for _, test := range []struct {
		status  int
		body    string
		refused bool
		says    string
	}{
		{400, `{"error":"invalid_grant","error_description":"bad"}`, true, `"invalid_grant" ("bad")`},
		{400, `{"error":"invalid_grant","error_description":"not s3cret"}`, true, `"invalid_grant"`},
		{401, `{"error":"invalid_client"}`, true, `"invalid_client"`},
		{403, `{"error":"access_denied"}`, true, `"access_denied"`},
		{401, ``, true, "status 401"},
		{401, `{"error":1,"error_description":"x"}`, true, "status 401"},
		{401, `{"error":"invalid_request"}`, false, `"invalid_request"`},
		{400, `{"error":"invalid_request"}`, false, `"invalid_request"`},
		{400, ``, false, "status 400"},
		{399, `{"error":"invalid_grant"}`, false, `"invalid_grant"`},
		{499, `{"error":"invalid_grant"}`, true, `"invalid_grant"`},
		{500, `{"error":"invalid_grant"}`, false, `"invalid_grant"`},
		{503, `unavailable`, false, "status 503"},
	} {
		err := refusal(test.status, []byte(test.body), "s3cret")
		if errors.Is(err, errRefused) != test.refused || errors.Is(err, ErrUnavailable) == test.refused || !strings.HasSuffix(err.Error(), test.says) {
			t.Errorf("%d %s: %v", test.status, test.body, err)
		}
	}
}

// TestBasicExchangeEndpoint: it is found by the issuer once in a while, or is
// the one that is configured; what the provider breaks off is no answer.
func TestBasicExchangeEndpoint(t *testing.T) {
	s := newTokenServer(t)
	fixed := s.authenticator(t, func(c *BasicExchangeConfig) {
		withPasswords(c)
		c.TokenEndpoint = s.URL + "/elsewhere"
	})
	if _, err := fixed.Authenticate(t.Context(), password("builder", "s:1 &%")); !errors.Is(err, ErrUnavailable) || s.asked.Load() != 0 {
		t.Errorf("%v, asked %d times", err, s.asked.Load())
	}
	a := s.authenticator(t, withPasswords)
	for name, answer := range map[string]http.HandlerFunc{
		"broken off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, "{")
		},
		"no JSON":   func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
		"no token":  func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") },
		"a gateway": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
	} {
		s.answer.Store(&answer)
		if _, err := a.Authenticate(t.Context(), password("builder", "s:1 &%")); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.answer.Store(nil)
	if p, err := a.Authenticate(t.Context(), password("builder", "s:1 &%")); err != nil || p.Name != "builder" {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestBasicExchangeDeclarations(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*BasicExchangeConfig)
		want   bool
	}{
		"plain":                 {nil, true},
		"post":                  {func(c *BasicExchangeConfig) { c.ClientAuth = ClientAuthPost }, true},
		"basic":                 {func(c *BasicExchangeConfig) { c.ClientAuth = ClientAuthBasic }, true},
		"another way":           {func(c *BasicExchangeConfig) { c.ClientAuth = "jwt" }, false},
		"a token endpoint":      {func(c *BasicExchangeConfig) { c.TokenEndpoint = "https://idp.example/token" }, true},
		"with a fragment":       {func(c *BasicExchangeConfig) { c.TokenEndpoint = "https://idp.example/token#a" }, false},
		"that is none":          {func(c *BasicExchangeConfig) { c.TokenEndpoint = "https://%zz" }, false},
		"in the clear":          {func(c *BasicExchangeConfig) { c.TokenEndpoint = "http://idp.example/token" }, false},
		"no client id":          {func(c *BasicExchangeConfig) { c.PasswordGrant = &PasswordGrant{} }, false},
		"a client id":           {func(c *BasicExchangeConfig) { c.PasswordGrant = &PasswordGrant{ClientID: "x"} }, true},
		"names without people":  {func(c *BasicExchangeConfig) { c.Username = "email" }, false},
		"names of people":       {func(c *BasicExchangeConfig) { c.PasswordGrant, c.Username = &PasswordGrant{ClientID: "x"}, "email" }, true},
		"an empty scope":        {func(c *BasicExchangeConfig) { c.Scopes = []string{"a", ""} }, false},
		"an empty audience":     {func(c *BasicExchangeConfig) { c.Audiences = []string{""} }, false},
		"an empty group":        {func(c *BasicExchangeConfig) { c.RequiredGroups = []string{""} }, false},
		"most connections":      {func(c *BasicExchangeConfig) { c.Connections = 1024 }, true},
		"more":                  {func(c *BasicExchangeConfig) { c.Connections = 1025 }, false},
		"less than none":        {func(c *BasicExchangeConfig) { c.Connections = -1 }, false},
		"an empty parameter":    {func(c *BasicExchangeConfig) { c.Parameters = map[string]string{"": "x"} }, false},
		"a parameter of ours":   {func(c *BasicExchangeConfig) { c.Parameters = map[string]string{"grant_type": "x"} }, false},
		"a parameter":           {func(c *BasicExchangeConfig) { c.Parameters = map[string]string{"resource": "x"} }, true},
		"the longest cache":     {func(c *BasicExchangeConfig) { c.Cache = Duration(24 * time.Hour) }, true},
		"a longer one":          {func(c *BasicExchangeConfig) { c.Cache = Duration(24*time.Hour + 1) }, false},
		"a negative one":        {func(c *BasicExchangeConfig) { c.CacheFailures = -1 }, false},
		"failures for too long": {func(c *BasicExchangeConfig) { c.CacheFailures = Duration(5*time.Minute + 1) }, false},
		"a late offset":         {func(c *BasicExchangeConfig) { c.CacheOffset = Duration(time.Hour + 1) }, false},
		"a long timeout":        {func(c *BasicExchangeConfig) { c.Timeout = Duration(time.Minute + 1) }, false},
	} {
		c := BasicExchangeConfig{Issuer: "https://idp.example", ClientCredentials: true}
		if test.change != nil {
			test.change(&c)
		}
		if err := c.Validate(); (err == nil) != test.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
