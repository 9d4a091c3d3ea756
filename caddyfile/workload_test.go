package caddyfile

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
)

func TestWorkload(t *testing.T) {
	b, err := Workload(on(`workload ci https://gitlab.example.com {
		audience registry.test
		audience mirror.test
		require namespace_path corp corp/**
		require ref main
		when "claims.ref_protected == 'true'"
		max_age 10m
		single_use
		algorithms ES256 RS256
		jwks_file /etc/jwks.json
		jwks_max_age 1m
		jwks_grace 1d
		clock_skew 5s
		trust_pool file /etc/ssl/corp.pem
	}`))
	if err != nil {
		t.Fatal(err)
	}
	want := authn.WorkloadConfig{
		Issuer: "https://gitlab.example.com",
		Mappings: []authn.WorkloadMapping{{
			Name: "ci", Audiences: []string{"registry.test", "mirror.test"}, MaxAge: authn.Duration(10 * time.Minute), SingleUse: true,
			Require: []authn.ClaimRequirement{{Claim: "namespace_path", Values: []string{"corp", "corp/**"}}, {Claim: "ref", Values: []string{"main"}}},
			When:    []string{"claims.ref_protected == 'true'"},
		}},
		Algorithms: []string{"ES256", "RS256"}, JWKSFile: "/etc/jwks.json", JWKSMaxAge: authn.Duration(time.Minute),
		JWKSGrace: authn.Duration(24 * time.Hour), ClockSkew: authn.Duration(5 * time.Second),
	}
	if !reflect.DeepEqual(b.WorkloadConfig, want) || string(b.Trust) != `{"pem_files":["/etc/ssl/corp.pem"],"provider":"file"}` {
		t.Errorf("got  %+v, %s\nwant %+v", b.WorkloadConfig, b.Trust, want)
	}
	encoded, err := json.Marshal(b)
	var again WorkloadBlock
	if err != nil || json.Unmarshal(encoded, &again) != nil || !reflect.DeepEqual(again, *b) {
		t.Errorf("JSON %s gives %+v, %v", encoded, again, err)
	}
}

const anyKey = "jwks `" + `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}` + "`\n"

func TestWorkloadErrors(t *testing.T) {
	const head = "workload ci https://ci.example.com {\naudience a\nrequire x y\n"
	const github = "workload ci https://token.actions.githubusercontent.com {\naudience a\n"
	for _, test := range []struct{ name, text, want string }{
		{"no issuer", "workload ci", ":1"},
		{"three arguments", "workload ci https://ci.example.com a", ":1"},
		{"name", "workload a:b https://ci.example.com", "workload name"},
		{"no audience", "workload ci https://ci.example.com {\nrequire x y\n}", "audience is missing"},
		{"no require", "workload ci https://ci.example.com {\naudience a\n}", "require is missing"},
		{"GitHub, no owner", github + "require ref refs/heads/main\n}", "everybody"},
		{"GitHub, sub of all", github + "require sub repo:*\n}", "everybody"},
		{"http", "workload ci http://ci.example.com {\naudience a\nrequire x y\n}", "insecure_issuer"},
		{"require without value", head + "require z\n}", ":4"},
		{"require a placeholder", head + "require z {env.Z}\n}", "placeholders are not resolved"},
		{"audience a placeholder", head + "audience {env.Z}\n}", "placeholders are not resolved"},
		{"duration twice", head + "max_age 1m\nmax_age 2m\n}", ":5"},
		{"duration", head + "max_age soon\n}", ":4"},
		{"flag with argument", head + "single_use yes\n}", ":4"},
		{"relative file", head + "jwks_file jwks.json\n}", "absolute"},
		{"key set", head + "jwks keys\n}", "not JSON"},
		{"empty key set", head + "jwks `{}`\n}", "no usable signing key"},
		{"key set twice", head + anyKey + anyKey + "}", "already specified"},
		{"key set and file", head + anyKey + "jwks_file /a\n}", "both given"},
		{"none", head + "algorithms none\n}", ":4"},
		{"when", head + "when `claims.ref ==`\n}", ":4"},
		{"when of a request", head + "when `request.ip == \"10.0.0.1\"`\n}", "only claims are known here"},
		{"GitHub, no owner but when", github + "when `claims.repository_owner == \"acme\"`\n}", "everybody"},
		{"misspelt", head + "requires x y\n}", `did you mean "require"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Workload(on(test.text))
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "Testfile:") {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// Blocks of one issuer make one authenticator, where the first of them stands.
func TestWorkloadsOfOneIssuer(t *testing.T) {
	const one, other = " https://ci.example.com {\naudience a\nrequire x y\n", " https://other.example.com {\naudience a\nrequire x y\n"
	realm := func(blocks string) (*Config, error) {
		return Realm(caddyfile.NewTestDispenser("registry_auth {\n" + blocks + "}"))
	}
	c, err := realm("workload a" + one + "}\nworkload b" + other + "}\nworkload c" + one + anyKey + "}\nworkload d" + one + anyKey + "single_use\n}\n")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, raw := range c.AuthenticatorsRaw {
		var m struct {
			Type string
			authn.WorkloadConfig
		}
		if err := json.Unmarshal(raw, &m); err != nil {
			t.Fatal(err)
		}
		line := m.Type + " " + m.Issuer
		for _, mapping := range m.Mappings {
			line += " " + mapping.Name
		}
		if m.JWKS != nil {
			line += " with keys"
		}
		got = append(got, line)
	}
	want := []string{"workload https://ci.example.com a c d with keys", "workload https://other.example.com b"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, test := range []struct{ blocks, want string }{
		{"workload a" + one + "}\nworkload a" + one + "}\n", "already declared"},
		{"workload a" + one + "}\nworkload a" + other + "}\n", "already declared"},
		{"workload a" + one + "clock_skew 1s\n}\nworkload b" + one + "clock_skew 2s\n}\n", "clock_skew: another workload"},
		{"workload a" + one + "trust_pool file /a\n}\nworkload b" + one + "trust_pool file /b\n}\n", "trust_pool: another workload"},
		{"workload a" + one + anyKey + "}\nworkload b" + one + "jwks_file /b\n}\n", "both given"},
	} {
		if _, err := realm(test.blocks); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "Testfile:") {
			t.Errorf("%s\nerror %v, want %q", test.blocks, err, test.want)
		}
	}
}
