package caddyfile

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint"
)

func readToken(t *testing.T, text string) (tokenendpoint.Config, error) {
	t.Helper()
	d := caddyfile.NewTestDispenser(text)
	d.Next()
	var c tokenendpoint.Config
	err := Token(d, &c)
	return c, err
}

func TestToken(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty":       {`token`, `{}`},
		"empty block": {"token {\n}", `{}`},
		"all": {`token {
			lifetime 10m
			algorithm RS256
			key_id libtrust
			x5c
			issuer {env.ISSUER}
			service_alias harbor-registry old
			service_alias older
			url https://auth.example.com/v2/token
			path /v2/token /service/token
			keycloak corp other
			jwks_path /keys
			certificates_path /certs.pem
			rotate_every 30d
		}`, `{"lifetime":"10m0s","algorithm":"RS256","key_id":"libtrust","x5c":true,"issuer":"{env.ISSUER}",` +
			`"service_aliases":["harbor-registry","old","older"],"url":"https://auth.example.com/v2/token",` +
			`"paths":["/v2/token","/service/token"],"keycloak":["corp","other"],` +
			`"jwks_path":"/keys","certificates_path":"/certs.pem","rotate_every":"720h0m0s"}`},
		"placeholder in url": {"token {\n url https://{env.AUTH_HOST}/v2/token\n}", `{"url":"https://{env.AUTH_HOST}/v2/token"}`},
		"never":              {"token {\n rotate_every never\n}", `{"rotate_every":"-1ns"}`},
	} {
		t.Run(name, func(t *testing.T) {
			read, err := readToken(t, c.text)
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(read)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			var again tokenendpoint.Config
			if err := json.Unmarshal(got, &again); err != nil {
				t.Error(err)
			}
			if err := again.Validate(); err != nil && !strings.Contains(again.URL, "{") {
				t.Error(err)
			}
		})
	}
}

func TestTokenErrors(t *testing.T) {
	for line, want := range map[string]string{
		"lifetim 5m":                             `did you mean "lifetime"`,
		"lifetime":                               "wrong argument count",
		"lifetime 5m 6m":                         "wrong argument count",
		"lifetime soon":                          "is not a duration",
		"lifetime 3s":                            "want 10s to 24h0m0s",
		"lifetime -5m":                           "is not a duration",
		"lifetime 5m\nlifetime 5m":               "lifetime already specified",
		"algorithm HS256":                        "want ES256, RS256 or EdDSA",
		"key_id sha1":                            "want thumbprint or libtrust",
		"x5c on":                                 "wrong argument count",
		"service_alias":                          "wrong argument count",
		"url /v2/token":                          "want an absolute URL",
		"url https://u:p@a.test":                 "want an absolute URL",
		"path token":                             "want an absolute path",
		"path /a/../b":                           "want an absolute path",
		"path /a?b":                              "want an absolute path",
		"path /a /a":                             "used twice",
		"keycloak a/b":                           "stands in a URL as it is",
		"keycloak a\nkeycloak a":                 "given twice",
		"jwks_path /v2/token":                    "used twice",
		"rotate_every 1h":                        "want at least 2h",
		"rotate_every sometimes":                 "is not a duration",
		"rotate_every never\nrotate_every never": "rotate_every already specified",
	} {
		t.Run(line, func(t *testing.T) {
			_, err := readToken(t, "token {\n"+line+"\n}")
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Fatalf("got %v, want %q", err, want)
			}
			at := "Testfile:2"
			if strings.Contains(line, "\n") {
				at = "Testfile:3"
			}
			if !strings.Contains(err.Error(), at) {
				t.Errorf("%v does not name %s", err, at)
			}
		})
	}
	if _, err := readToken(t, "token fast"); err == nil {
		t.Error("an argument of token was taken")
	}
}
