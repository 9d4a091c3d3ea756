package caddyfile

import (
	"encoding/json"
	"github.com/caddy-registry-auth/caddy-registry-auth/authn"
	"github.com/caddy-registry-auth/caddy-registry-auth/tokenendpoint"
	cf "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func OIDC(d *cf.Dispenser) (authn.OIDCConfig, json.RawMessage, error) {
	return authn.OIDCConfig{}, nil, nil
}
func Robot(d *cf.Dispenser) (authn.RobotConfig, []string, error) {
	return authn.RobotConfig{}, nil, nil
}
func Token(d *cf.Dispenser, c *tokenendpoint.Config) error { return nil }
