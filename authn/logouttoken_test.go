package authn

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestLogoutTokens: a logout token is one in all that the specification asks
// for (OpenID Connect Back-Channel Logout 1.0 §2.6), and good once.
func TestLogoutTokens(t *testing.T) {
	key, clock := newECKey("k1"), &testClock{}
	p := newProvider(t, key)
	a := p.oidc(t, clock, nil)
	events := object{logoutEvent: object{}}
	now := clock.now()
	for name, test := range map[string]struct {
		claims, header object
		want           error
	}{
		"good":                 {object{}, nil, nil},
		"of a session alone":   {object{"sub": nil}, nil, nil},
		"of a user alone":      {object{"sid": nil}, nil, nil},
		"of nobody":            {object{"sub": nil, "sid": nil}, nil, ErrInvalid},
		"of a long user":       {object{"sub": strings.Repeat("s", maxSubject+1)}, nil, ErrInvalid},
		"of the longest":       {object{"sub": strings.Repeat("s", maxSubject)}, nil, nil},
		"without exp":          {object{"exp": nil}, nil, nil},
		"expired":              {object{"exp": now.Add(-2 * time.Minute).Unix()}, nil, ErrExpired},
		"old, without exp":     {object{"exp": nil, "iat": now.Add(-logoutAge - 2*time.Minute).Unix()}, nil, ErrExpired},
		"old":                  {object{"iat": now.Add(-logoutAge - 2*time.Minute).Unix(), "exp": now.Add(time.Hour).Unix()}, nil, ErrExpired},
		"from the future":      {object{"iat": now.Add(2 * time.Minute).Unix()}, nil, ErrInvalid},
		"without iat":          {object{"iat": nil}, nil, ErrInvalid},
		"with a nonce":         {object{"nonce": "n"}, nil, ErrInvalid},
		"without events":       {object{"events": nil}, nil, ErrInvalid},
		"of another event":     {object{"events": object{"x": object{}}}, nil, ErrInvalid},
		"of an event as text":  {object{"events": object{logoutEvent: "x"}}, nil, ErrInvalid},
		"events that are none": {object{"events": "x"}, nil, ErrInvalid},
		"for another":          {object{"aud": "other"}, nil, ErrInvalid},
		"without jti":          {object{"jti": nil}, nil, ErrInvalid},
		"with a long jti":      {object{"jti": strings.Repeat("j", maxSubject+1)}, nil, ErrInvalid},
		"of another issuer":    {object{"iss": "https://evil.example"}, nil, ErrInvalid},
		"an access token":      {object{}, object{"typ": "at+jwt"}, ErrInvalid},
		"without a type":       {object{}, object{"typ": nil}, nil},
	} {
		claims := object{"events": events, "nonce": nil, "sid": "s1", "jti": "jti of " + name}
		for k, v := range test.claims {
			claims[k] = v
		}
		header := object{"typ": "logout+jwt"}
		for k, v := range test.header {
			header[k] = v
		}
		token := key.sign(header, p.claims(now, claims))
		out, err := a.LogoutToken(t.Context(), token)
		if !errors.Is(err, test.want) || (err == nil) != (out != nil) {
			t.Errorf("%s: %+v, %v, want %v", name, out, err, test.want)
		}
		if err != nil {
			continue
		}
		if out.Issuer != p.URL || out.Subject != "" && out.Subject != "a1" && len(out.Subject) != maxSubject || out.Session != "" && out.Session != "s1" {
			t.Errorf("%s: %+v", name, out)
		}
		if _, err := a.Authenticate(t.Context(), &Credential{Scheme: SchemeBearer, Secret: token}); err == nil {
			t.Errorf("%s: somebody comes in with it", name)
		}
	}
}

// TestLogoutTokensAreSigned by a key of the provider, with an algorithm that is
// accepted.
func TestLogoutTokensAreSigned(t *testing.T) {
	key, other, edwards, clock := newECKey("k1"), newECKey("k1"), keysOfAllAlgorithms()["EdDSA"], &testClock{}
	edwards.id = "k2"
	p := newProvider(t, key, edwards)
	a := p.oidc(t, clock, nil)
	claims := p.claims(clock.now(), object{"events": object{logoutEvent: object{}}, "nonce": nil, "sid": "s1"})
	for name, signer := range map[string]testKey{"another key": other, "another algorithm": edwards} {
		if out, err := a.LogoutToken(t.Context(), signer.sign(object{"typ": "logout+jwt"}, claims)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
	if _, err := a.LogoutToken(t.Context(), key.sign(object{"typ": "logout+jwt"}, claims)); err != nil {
		t.Error(err)
	}
}

func TestProvidersAreDeclared(t *testing.T) {
	for issuer, want := range map[string][2]bool{ // without and with insecure_issuer
		"https://idp.example": {true, true}, "https://idp.example/realm": {true, true}, "http://idp.example": {false, true}, "http://localhost:8080": {true, true},
		"http://a.localhost": {true, true}, "http://127.0.0.1": {true, true}, "http://[::1]": {true, true}, "http://192.0.2.1": {false, true}, "http://localhost.example": {false, true},
		"ftp://localhost": {false, false}, "": {false, false}, "idp.example": {false, false}, "https://": {false, false}, "https:idp.example": {false, false}, "https://%zz": {false, false},
		"https://u@idp.example": {false, false}, "https://idp.example?a": {false, false}, "https://idp.example#a": {false, false},
	} {
		for i, insecure := range []bool{false, true} {
			if err := CheckIssuer(issuer, insecure); (err == nil) != want[i] {
				t.Errorf("%q, %v: %v", issuer, insecure, err)
			}
			if raw := issuer; !strings.HasPrefix(raw, "ftp") && !strings.Contains(raw, "realm") {
				if err := checkService(raw, insecure); (err == nil) != want[i] {
					t.Errorf("service %q, %v: %v", raw, insecure, err)
				}
			}
		}
	}
	const second, minute, hour = Duration(time.Second), Duration(time.Minute), Duration(time.Hour)
	for name, test := range map[string]struct {
		change func(*OIDCConfig)
		want   bool
	}{
		"plain":                   {func(*OIDCConfig) {}, true},
		"an audience only":        {func(c *OIDCConfig) { c.ClientID, c.Audiences = "", []string{"a"} }, true},
		"for anybody":             {func(c *OIDCConfig) { c.ClientID = "" }, false},
		"an empty audience":       {func(c *OIDCConfig) { c.Audiences = []string{"a", ""} }, false},
		"an empty party":          {func(c *OIDCConfig) { c.AuthorizedParties = []string{""} }, false},
		"an empty group":          {func(c *OIDCConfig) { c.RequiredGroups = []string{""} }, false},
		"a negative age":          {func(c *OIDCConfig) { c.MaxAge = -1 }, false},
		"keys for a second":       {func(c *OIDCConfig) { c.JWKSMaxAge = second }, true},
		"for less":                {func(c *OIDCConfig) { c.JWKSMaxAge = second - 1 }, false},
		"keys for a day":          {func(c *OIDCConfig) { c.JWKSMaxAge = 24 * hour }, true},
		"for more":                {func(c *OIDCConfig) { c.JWKSMaxAge = 24*hour + 1 }, false},
		"a week's grace":          {func(c *OIDCConfig) { c.JWKSGrace = 7 * 24 * hour }, true},
		"more":                    {func(c *OIDCConfig) { c.JWKSGrace = 7*24*hour + 1 }, false},
		"less than none":          {func(c *OIDCConfig) { c.JWKSGrace = -1 }, false},
		"clocks five minutes off": {func(c *OIDCConfig) { c.ClockSkew = 5 * minute }, true},
		"six":                     {func(c *OIDCConfig) { c.ClockSkew = 5*minute + 1 }, false},
		"clocks off by less":      {func(c *OIDCConfig) { c.ClockSkew = -1 }, false},
		"an algorithm":            {func(c *OIDCConfig) { c.Algorithms = []string{"EdDSA"} }, true},
		"another":                 {func(c *OIDCConfig) { c.Algorithms = []string{"none"} }, false},
		"asked never":             {func(c *OIDCConfig) { c.Recheck = -1 }, true},
	} {
		c := OIDCConfig{Issuer: "https://idp.example", ClientID: "registry"}
		test.change(&c)
		if err := c.Validate(); (err == nil) != test.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
