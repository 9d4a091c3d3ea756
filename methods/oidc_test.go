package methods

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	_ "github.com/caddyserver/caddy/v2/modules/caddytls" // the trust pools

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

func TestOIDC(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       authn.OIDCConfig
		trust      string
	}{
		{
			"one line", "oidc https://sso.example.com/realms/corp registry",
			authn.OIDCConfig{Issuer: "https://sso.example.com/realms/corp", ClientID: "registry"},
			"",
		},
		{
			"all", `oidc https://sso.example.com {
				client_id registry
				audience api
				audience web other
				authorized_party cli
				username email
				groups realm.groups comma
				roles realm_access.roles json
				prefix corp/
				required_group dev ops
				require_claim department
				algorithms RS256 EdDSA
				max_age 1d
				jwks_max_age 5m
				jwks_grace 2h
				clock_skew 30s
				trust_pool file /etc/ssl/corp.pem
			}`,
			authn.OIDCConfig{
				Issuer: "https://sso.example.com", ClientID: "registry", Audiences: []string{"api", "web", "other"}, AuthorizedParties: []string{"cli"},
				ClaimsConfig: authn.ClaimsConfig{
					Username: "email", Groups: "realm.groups", GroupsForm: "comma", Roles: "realm_access.roles", RolesForm: "json", Prefix: "corp/",
					RequiredGroups: []string{"dev", "ops"}, RequiredClaims: []string{"department"},
				},
				Algorithms: []string{"RS256", "EdDSA"}, MaxAge: authn.Duration(24 * time.Hour), JWKSMaxAge: authn.Duration(5 * time.Minute),
				JWKSGrace: authn.Duration(2 * time.Hour), ClockSkew: authn.Duration(30 * time.Second),
			},
			`{"pem_files":["/etc/ssl/corp.pem"],"provider":"file"}`,
		},
		{
			"http on this machine", "oidc http://127.0.0.1:9900 registry",
			authn.OIDCConfig{Issuer: "http://127.0.0.1:9900", ClientID: "registry"},
			"",
		},
		{
			"http elsewhere", "oidc http://sso.test registry {\ninsecure_issuer\n}",
			authn.OIDCConfig{Issuer: "http://sso.test", ClientID: "registry", InsecureIssuer: true},
			"",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var module OIDC
			err := read(&module, test.text)
			c, trust := module.OIDCConfig, module.CARaw
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(c, test.want) {
				t.Errorf("got  %+v\nwant %+v", c, test.want)
			}
			if string(trust) != test.trust {
				t.Errorf("trust pool %s", trust)
			}
			encoded, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			var again authn.OIDCConfig
			if err := json.Unmarshal(encoded, &again); err != nil || !reflect.DeepEqual(again, c) {
				t.Errorf("JSON %s gives %+v, %v", encoded, again, err)
			}
		})
	}
}

func TestOIDCErrors(t *testing.T) {
	const head = "oidc https://sso.example.com registry {\n"
	for _, test := range []struct{ name, text, want string }{
		{"no issuer", "oidc", ":1"},
		{"three arguments", "oidc https://a.example b c", ":1"},
		{"no client", "oidc https://a.example", "neither client_id nor audience"},
		{"http", "oidc http://sso.example.com registry", "insecure_issuer"},
		{"not a URL", "oidc sso registry", "not an absolute URL"},
		{"client twice", head + "client_id other\n}", ":2"},
		{"username twice", head + "username a\nusername b\n}", ":3"},
		{"username empty", head + "username\n}", ":2"},
		{"username two", head + "username a b\n}", ":2"},
		{"groups empty", head + "groups \"\"\n}", ":2"},
		{"audience empty", head + "audience\n}", ":2"},
		{"none", head + "algorithms none\n}", ":2"},
		{"HS256", head + "prefix x\nalgorithms RS256 HS256\n}", ":3"},
		{"duration", head + "jwks_max_age soon\n}", ":2"},
		{"negative", head + "max_age -1m\n}", ":2"},
		{"duration twice", head + "max_age 1m\nmax_age 2m\n}", "already specified"},
		{"too short", head + "jwks_max_age 1ms\n}", "jwks_max_age"},
		{"skew", head + "clock_skew 1h\n}", "clock_skew"},
		{"flag with argument", head + "insecure_issuer yes\n}", ":2"},
		{"flag twice", head + "insecure_issuer\ninsecure_issuer\n}", ":3"},
		{"trust pool, nothing", head + "trust_pool\n}", ":2"},
		{"trust pool, unknown", head + "trust_pool nowhere\n}", ":2"},
		{"trust pool twice", head + "trust_pool file a\ntrust_pool file b\n}", ":3"},
		{"unknown", head + "colour blue\n}", "unrecognized subdirective \"colour\""},
		{"misspelt", head + "audiences x\n}", "did you mean \"audience\""},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := read(new(OIDC), test.text)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "Testfile:") {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func TestSignIn(t *testing.T) {
	var c OIDC
	err := read(&c, `oidc https://sso.example.com web {
		client_secret {env.SECRET}
		name "Example Corp"
		scopes openid groups
		extra_auth_params prompt login hd example.com
		userinfo off
		subject_alias https://old.example.com
	}`)
	want := authn.SignInConfig{
		ClientSecret: "{env.SECRET}", DisplayName: "Example Corp", Scopes: []string{"openid", "groups"}, UserInfo: "off",
		ExtraAuthParams: map[string]string{"prompt": "login", "hd": "example.com"}, SubjectAlias: "https://old.example.com",
	}
	if err != nil || !reflect.DeepEqual(c.SignInConfig, want) || !c.SignsIn() || c.IdentityIssuer() != want.SubjectAlias {
		t.Errorf("%+v, %v", c, err)
	}
	for text, says := range map[string]string{
		"sign_in maybe":                    "want on or off",
		"scopes email":                     "openid is missing",
		"extra_auth_params state x":        "set by the gateway",
		"extra_auth_params prompt":         "pairs",
		"extra_auth_params a 1 a 2":        "already specified",
		"client_secret a\nclient_secret b": "client_secret",
	} {
		err := read(new(OIDC), "oidc https://sso.example.com web {\n"+text+"\n}")
		if says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
}
