package caddyfile

import (
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-registry-auth/caddy-registry-auth/management"
)

func parseBootstrap(text string) (management.BootstrapConfig, error) {
	var c management.BootstrapConfig
	d := caddyfile.NewTestDispenser(text)
	d.Next()
	err := Bootstrap(d, &c)
	return c, err
}

func TestBootstrap(t *testing.T) {
	c, err := parseBootstrap("bootstrap {\n secret {env.X}\n ttl 30m\n admin_key_file /run/key\n file /etc/bootstrap.yaml\n}")
	if err != nil {
		t.Fatal(err)
	}
	want := management.BootstrapConfig{Secret: "{env.X}", TTL: management.Duration(30 * time.Minute), AdminKeyFile: "/run/key", File: "/etc/bootstrap.yaml"}
	if c != want {
		t.Errorf("%+v", c)
	}
	if c, err = parseBootstrap("bootstrap off"); err != nil || !c.Off {
		t.Errorf("%+v, %v", c, err)
	}
	for text, want := range map[string]string{
		"bootstrap on":                                     "wrong argument",
		"bootstrap off x":                                  "wrong argument",
		"bootstrap {\n secrets x\n}":                       `did you mean "secret"`,
		"bootstrap {\n ttl 48h\n}":                         "at most",
		"bootstrap {\n ttl 1h\n ttl 2h\n}":                 "already specified",
		"bootstrap {\n secret plain-text\n}":               "placeholder",
		"bootstrap {\n secret {env.X}\n secret_file /x\n}": "one of the two",
		"bootstrap {\n admin_key_file key\n}":              "absolute path",
		"bootstrap off {\n file /x\n}":                     "it is off",
	} {
		if _, err := parseBootstrap(text); err == nil || !strings.Contains(strings.ToLower(err.Error()), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
