package caddyfile

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/portal"
)

func TestPortal(t *testing.T) {
	for text, want := range map[string]portal.Config{
		"portal":     {Switch: "on"},
		"portal off": {Switch: "off"},
		"portal {\n prefix /people\n session_idle 1h\n session_lifetime 2d\n trusted_host a.example\n trusted_host b.example:8443\n}": {
			Switch: "on", Prefix: "/people", SessionIdle: authn.Duration(time.Hour), SessionLifetime: authn.Duration(48 * time.Hour),
			TrustedHosts: []string{"a.example", "b.example:8443"},
		},
	} {
		var c portal.Config
		if err := Portal(on(text), &c); err != nil || !reflect.DeepEqual(c, want) {
			t.Errorf("%s: %+v, %v", text, c, err)
		}
	}
	for text, says := range map[string]string{
		"portal maybe":                                        "want on or off",
		"portal {\n prefix /v2/\n}":                           "the registry's",
		"portal {\n prefix auth\n}":                           "want a path",
		"portal {\n prefix //evil.example\n}":                 "want a path",
		"portal {\n session_idle 1s\n}":                       "shorter than a minute",
		"portal {\n session_lifetime 1000d\n}":                "longer than 90 days",
		"portal {\n session_idle 2h\n session_lifetime 1h\n}": "shorter than session_idle",
		"portal {\n trusted_host https://a.example\n}":        "want a host name",
		"portal {\n session_lifetme 1h\n}":                    "session_lifetime",
	} {
		if err := Portal(on(text), new(portal.Config)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
}

// on returns a dispenser that stands on the first token of a text.
func on(text string) *caddyfile.Dispenser {
	d := caddyfile.NewTestDispenser(text)
	d.Next()
	return d
}
